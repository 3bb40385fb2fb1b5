//! Nothing sealed leaks: a thousand personal texts that nobody else would write are put in wherever a
//! desk takes such texts, and sought wherever they must not be, in every disguise.
//!
//! A desk's own views may hold what the desk has opened, and what it answers its own people may show
//! it. Everything else may not: the rest of its folder, its log with everything switched on, all
//! that it says to others, files that are carried away; of a hub nothing at all, its memory included.

mod acts;
mod forms;
mod relay;
mod seek;
mod words;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use linli_demo::office::{Daemon, Street, approve, run, settle};
use linli_domain::id::EntryId;
use linli_runtime::ask::{Answer, Ask, FigureQuery, PAGE_MAX};
use tempfile::TempDir;

use acts::{
    back_up, carry_a_bundle, edit_more, look_up, try_what_is_refused, write_by_hand, write_in_bulk,
};
use relay::{Ends, Relay};
use seek::{Seeker, Tally};
use words::Words;

use super::{assert_all_is_well, find, id, programs};

const CANARIES: usize = 1_000;
const YILI: &str = "yili";
const CHUNHUI: &str = "chunhui";
/// What everybody may read, to show that the search finds what is there.
const OPEN: [&str; 2] = ["三号楼东侧公示栏已更换", "the lamp at the north gate is dark"];

#[test]
fn a_thousand_canaries_are_found_nowhere_but_in_the_views_of_their_desks() {
    let began = Instant::now();
    let mut town = Heard::found();
    let mut words = Words::new(20_260_306);
    let mut said = Vec::new();
    let (mut first, mut second) = (town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b"));
    let other = town.desk(CHUNHUI, "desk-a");
    approve(&first, &second).unwrap();
    let lan = town.join_over_the_office(&mut first, &mut second);

    let erased = write_by_hand(&town, &first, &mut words, &mut said);
    write_in_bulk(&town, &other, &mut words, 300, &mut said);
    write_in_bulk(&town, &first, &mut words, 800, &mut said);
    try_what_is_refused(&town, &first, &mut words, &mut said);
    look_up(&town, &first, &mut words, &mut said);
    settle(&town.street.hub, YILI, &[&first, &second]).unwrap();
    carry_a_bundle(&town, &first, &second, &mut words, &mut said);
    let erase = ["erase", erased.as_str(), "--reason", "moved away", "--yes"];
    town.done(&first, &erase, "", &mut said);
    settle(&town.street.hub, YILI, &[&first, &second]).unwrap();
    edit_more(&second, &mut words);
    settle(&town.street.hub, YILI, &[&first, &second]).unwrap();
    settle(&town.street.hub, CHUNHUI, &[&other]).unwrap();
    back_up(&town, &first, &mut said);
    let mut answers = ask_the_hub(&town.street.hub, &erased);
    while words.drawn().len() < CANARIES {
        // The last ones are only looked for.
        let word = words.phone();
        assert!(find(&first, &word).is_empty());
    }
    assert_eq!(words.drawn().len(), CANARIES);

    let written = began.elapsed();
    let mut seeker = Seeker::new(words.drawn());
    let hub = town.street.hub.pid().unwrap();
    look_into_memory(&mut seeker, hub);
    let memory = seeker.tally();
    println!(
        "written after {written:?}; memory of the hub: {} parts, {} bytes, {:?}",
        memory.places,
        memory.bytes,
        began.elapsed()
    );
    assert!(memory.bytes > 1_000_000, "its memory can be read");
    // A hub that is asked for a person has the question in its memory, and nowhere else.
    for text in &words.drawn()[..20] {
        let ask = Ask::Find { text: text.clone(), after: None, max: 9 };
        answers.push(serde_json::to_string(&town.street.hub.try_ask(&ask).unwrap()).unwrap());
        let (kind, state) = ("issue".to_owned(), Some(text.clone()));
        let ask = Ask::List { kind, state, community: None, after: None, max: 9, whole: true };
        answers.push(serde_json::to_string(&town.street.hub.try_ask(&ask).unwrap()).unwrap());
    }
    assert_all_is_well(&town.street.hub, YILI, &[&first, &second]);
    assert_all_is_well(&town.street.hub, CHUNHUI, &[&other]);
    let relays = [town.relay.take().unwrap(), lan];
    town.street.hub.stop().unwrap();
    for mut desk in [first, second, other] {
        desk.stop().unwrap();
    }

    let dir = town.dir.path();
    // The searches of the end are the only words that never were at a desk's disk.
    let mut views = Seeker::new(words.drawn());
    views.folder(&dir.join("street"), &|path| path.is_dir() || path.components().any(is_views));
    let held = views.take();
    let kept = words
        .drawn()
        .iter()
        .filter(|word| held.found.iter().any(|found| found.contains(&format!(": {word} (UTF-8)"))));
    let kept = kept.count();
    assert!(kept > 800, "the desks really hold them: {kept}");

    seeker
        .folder(dir, &|path| !path.components().any(is_views) || path.starts_with(town.hub_dir()));
    for (nth, told) in said.iter().enumerate() {
        seeker.bytes(&format!("what was said, {nth}"), told.as_bytes());
    }
    for (nth, answer) in answers.iter().enumerate() {
        seeker.bytes(&format!("answer {nth} of the hub"), answer.as_bytes());
    }
    for (nth, relay) in relays.iter().enumerate() {
        for bytes in relay.sealed() {
            seeker.bytes(&format!("network {nth}"), &bytes);
        }
        for bytes in relay.plain() {
            seeker.bytes(&format!("inside TLS of network {nth}"), &bytes);
        }
    }
    let tally = seeker.take();
    println!(
        "{CANARIES} canaries, {kept} of them in views of desks; {} patterns sought in {} places, {} \
         bytes, {} compressed streams, in {:?}",
        seeker.patterns(),
        tally.places,
        tally.bytes,
        tally.streams,
        began.elapsed(),
    );
    assert_nothing(&tally);
    assert_the_search_reached_everything(&town, &relays, &answers, &tally);
}

fn is_views(part: std::path::Component<'_>) -> bool {
    part.as_os_str() == "views"
}

fn assert_nothing(tally: &Tally) {
    let shown = tally.found.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(tally.found.is_empty(), "{} leaks:\n{shown}", tally.found.len());
}

/// Open words are found where the canaries were not: in the hub's journal, inside TLS, in what the
/// hub answers, and at trace level the logs are full.
fn assert_the_search_reached_everything(
    town: &Heard,
    relays: &[Relay],
    answers: &[String],
    tally: &Tally,
) {
    let mut open = Seeker::new(&OPEN.map(str::to_owned));
    open.folder(&town.hub_dir().join("journal"), &|_| true);
    assert!(!open.take().found.is_empty(), "in the hub's journal");
    for (nth, relay) in relays.iter().enumerate() {
        for bytes in relay.plain() {
            open.bytes("inside", &bytes);
        }
        assert!(!open.take().found.is_empty(), "inside TLS of network {nth}");
        assert!(relay.sealed().iter().map(Vec::len).sum::<usize>() > 10_000);
        for bytes in relay.sealed() {
            open.bytes("outside", &bytes);
        }
        assert!(open.take().found.is_empty(), "TLS of network {nth} hides even what is open");
    }
    for answer in answers {
        open.bytes("an answer", answer.as_bytes());
    }
    assert!(!open.take().found.is_empty(), "in an answer of the hub");
    assert!(tally.streams > 0, "bodies inside TLS are compressed");
    for folder in ["hub", "yili-desk-a", "yili-desk-b", "chunhui-desk-a"] {
        let log =
            std::fs::read_to_string(town.street_dir().join(folder).join("daemon.log")).unwrap();
        assert!(log.contains("TRACE") && log.len() > 50_000, "{folder}: {}", log.len());
    }
}

/// A street that is heard at every place.
struct Heard {
    street: Street,
    relay: Option<Relay>,
    dir: TempDir,
}

impl Heard {
    fn found() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("street");
        std::fs::create_dir(&below).unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let (listener, address) = Relay::bind();
        let address = format!("\"{address}\"");
        let settings = [("address", address.as_str()), ("log", "\"trace,automerge=trace\"")];
        let street = Street::found_with(programs(), &below, &settings).unwrap();
        let hub = street.hub.data();
        let text = std::fs::read_to_string(hub.join("hub.toml")).unwrap();
        let listens = text.parse::<toml::Table>().unwrap()["listen"].as_str().unwrap().to_owned();
        let ends = Ends {
            answerer: listens.parse().unwrap(),
            identity: hub.join("identity").join("identity.pem"),
            callers: below.clone(),
        };
        Self { relay: Some(Relay::begin(listener, ends)), street, dir }
    }

    fn street_dir(&self) -> PathBuf {
        self.dir.path().join("street")
    }

    fn hub_dir(&self) -> PathBuf {
        self.street_dir().join("hub")
    }

    /// A desk that dials the hub through the relay and logs all it can.
    fn desk(&self, community: &str, name: &str) -> Daemon {
        let data = self.street_dir().join(format!("{community}-{name}"));
        std::fs::create_dir(&data).unwrap();
        let invite = Ask::Invite { community: id(community), hours: 1 };
        let Answer::Invitation { token, .. } = self.street.hub.ask(&invite).unwrap() else {
            panic!("the hub gives an invitation")
        };
        run(&programs().node, &data, &["enrol", &token, "--name", name]).unwrap();
        set(&data, "");
        Daemon::start(&programs().node, &data, &[]).unwrap()
    }

    /// Two desks of a community link over the office's network, which is heard as well.
    fn join_over_the_office(&self, answers: &mut Daemon, calls: &mut Daemon) -> Relay {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let answerer = free.local_addr().unwrap();
        drop(free);
        let (listener, address) = Relay::bind();
        let identity = answers.data().join("identity").join("identity.pem");
        let ends = Ends { answerer, identity, callers: self.street_dir() };
        for (desk, setting) in [
            (answers, format!("[lan]\nlisten = \"{answerer}\"\n")),
            (calls, format!("[lan]\nneighbours = [\"{address}\"]\n")),
        ] {
            desk.stop().unwrap();
            set(desk.data(), &setting);
            desk.resume().unwrap();
        }
        Relay::begin(listener, ends)
    }

    /// Runs a command that logs all it can and keeps its temporary files where they are sought.
    fn command(&self, program: &Path, arguments: &[&str], data: &Path, typed: &str) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).args(["--log", "trace", "--lang", "en", "--data"]).arg(data);
        command.env("TMPDIR", self.dir.path().join("tmp"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing has closed its end.
        let _unread = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The same at a desk, where it must succeed; what it said is kept.
    fn done(
        &self,
        desk: &Daemon,
        arguments: &[&str],
        typed: &str,
        said: &mut Vec<String>,
    ) -> String {
        let output = self.command(&programs().node, arguments, desk.data(), typed);
        let [told, complained] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{arguments:?}: {complained}");
        said.extend([told.clone(), complained]);
        told
    }

    /// The same, where it must fail.
    fn refused(&self, desk: &Daemon, arguments: &[&str], typed: &str, said: &mut Vec<String>) {
        let output = self.command(&programs().node, arguments, desk.data(), typed);
        let [told, complained] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(!output.status.success() && !complained.is_empty(), "{arguments:?}: {told}");
        said.extend([told, complained]);
    }

    /// The same, where what it shows may be read at the desk; only what it logs is kept.
    fn shown(&self, desk: &Daemon, arguments: &[&str], said: &mut Vec<String>) -> String {
        let mut both = Vec::new();
        let told = self.done(desk, arguments, "", &mut both);
        said.extend(both.pop());
        told
    }
}

/// Everything is logged; `lan` is what is set of the office's network.
fn set(data: &Path, lan: &str) {
    let path = data.join("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut kept: String = text
        .lines()
        .take_while(|line| !line.starts_with("[lan]"))
        .filter(|line| !line.starts_with("log = "))
        .flat_map(|line| [line, "\n"])
        .collect();
    kept.push_str("log = \"trace,automerge=trace\"\n");
    kept.push_str(lan);
    std::fs::write(path, kept).unwrap();
}

/// Everything a hub answers its people.
fn ask_the_hub(hub: &Daemon, erased: &EntryId) -> Vec<String> {
    let mut asks = vec![
        Ask::Figures(FigureQuery::default()),
        Ask::Behind {
            figure: FigureQuery { metric: Some("M21".to_owned()), ..FigureQuery::default() },
            after: None,
            max: PAGE_MAX,
        },
        Ask::Conflicts { max: PAGE_MAX },
        Ask::Refused { max: PAGE_MAX },
        Ask::Erasures { max: PAGE_MAX },
        Ask::Nodes {},
        Ask::Status {},
        Ask::Digests {},
        Ask::Recount {},
        Ask::Audit {},
    ];
    for community in [YILI, CHUNHUI] {
        for kind in ["issue", "household", "care", "call_log", "lookup", "device", "erasure"] {
            let (kind, community) = (kind.to_owned(), Some(id(community)));
            asks.push(Ask::List {
                kind,
                state: None,
                community,
                after: None,
                max: PAGE_MAX,
                whole: true,
            });
        }
    }
    let (community, reason) = (Some(id(YILI)), Some("看一眼".to_owned()));
    asks.push(Ask::Show { community, entry: erased.clone(), reason });
    asks.iter().map(|ask| serde_json::to_string(&hub.try_ask(ask).unwrap()).unwrap()).collect()
}

/// What a dump of a process that crashed would hold: every page of its memory that it has written
/// to.
fn look_into_memory(seeker: &mut Seeker, pid: u32) {
    const PAGE: u64 = 4096;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let pages = File::open(format!("/proc/{pid}/pagemap")).unwrap();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut table = vec![0; ((to - from) / PAGE * 8) as usize];
        if pages.read_exact_at(&mut table, from / PAGE * 8).is_err() {
            continue;
        }
        // Present, or swapped out.
        let held: Vec<bool> = table.chunks_exact(8).map(|page| page[7] & 0xc0 != 0).collect();
        let mut at = from;
        for run in held.chunk_by(|one, next| one == next) {
            let length = run.len() as u64 * PAGE;
            let mut bytes = vec![0; if run[0] { length as usize } else { 0 }];
            // A part that was given back meanwhile holds nothing.
            if run[0] && memory.read_exact_at(&mut bytes, at).is_ok() {
                seeker.bytes(&format!("memory of the hub at {at:x}"), &bytes);
            }
            at += length;
        }
    }
}
