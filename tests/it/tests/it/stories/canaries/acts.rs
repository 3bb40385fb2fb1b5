//! What people of the desks do with canaries: all that takes a personal text.
//!
//! It refuses to judge where the texts come to lie; what commands said is kept for that.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use linli_demo::office::Daemon;
use linli_domain::id::EntryId;
use linli_runtime::ask::{Ask, StepForm};
use serde_json::{Value as Json, json};

use super::words::Words;
use super::{Heard, OPEN, YILI};
use crate::stories::{add, entries, find, programs, show_because, trouble};

/// Entries of several kinds by single commands; gives one that is erased later.
pub(super) fn write_by_hand(
    town: &Heard,
    desk: &Daemon,
    words: &mut Words,
    said: &mut Vec<String>,
) -> EntryId {
    let building = json!({"code": "b3", "tree": "building", "level": "building", "name": "3号楼"});
    desk.add("grid", building).unwrap();
    let mut erased = None;
    for open in OPEN {
        let title = format!("title={open}");
        let [reporter, phone] = [words.name(), words.phone()];
        let (reporter, phone) = (format!("reporter={reporter}"), format!("phone={phone}"));
        let address = format!("address={}", words.address());
        let add = ["add", "issue", &title, &reporter, &phone, &address, "--json"];
        let told: Json = serde_json::from_str(&town.done(desk, &add, "", said)).unwrap();
        let entry = told["entry"].as_str().unwrap();
        let detail = format!("detail={}", words.note());
        town.done(desk, &["edit", entry, &detail], "", said);
        town.done(desk, &["step", entry, "report", "--note", &words.note()], "", said);
        erased = Some(EntryId::parse(entry).unwrap());
    }
    let [name, number] =
        [format!("name={}", words.name()), format!("id_number={}", words.id_number())];
    let room = format!("room={}", words.address());
    let dwelling = ["add", "household", "building=grid/b3", "entrance=2", &room, &name, &number];
    town.done(desk, &dwelling, "", said);
    erased.unwrap()
}

/// Records of four ledgers from standard input, until so many canaries are drawn.
pub(super) fn write_in_bulk(
    town: &Heard,
    desk: &Daemon,
    words: &mut Words,
    until: usize,
    said: &mut Vec<String>,
) {
    let mut lines = String::new();
    for nth in 0.. {
        if words.drawn().len() + 6 > until {
            break;
        }
        let step = |action: &str, note: String| json!({"action": action, "at": "2026-03-06", "by": "李", "note": note});
        let record = match nth % 4 {
            0 => json!({
                "kind": "issue", "steps": [step("report", words.note())], "fields": {
                    "title": format!("事项 {nth}"), "category": "repair", "reporter": words.name(),
                    "phone": words.phone(), "address": words.address(), "detail": words.note(),
                },
            }),
            1 => json!({
                "kind": "household", "steps": [step("collect", words.note())], "fields": {
                    "building": "grid/b3", "entrance": "1", "room": words.address(),
                    "name": words.name(), "phone": words.phone(), "id_number": words.id_number(),
                    "remark": words.note(),
                },
            }),
            2 => json!({
                "kind": "care", "steps": [step("visit", words.note())], "fields": {
                    "care_kind": "hardship", "name": words.name(), "address": words.address(),
                    "phone": words.phone(), "need": words.note(),
                },
            }),
            _ => json!({
                "kind": "call_log", "fields": {
                    "time": "2026-03-06T09:30", "matter": words.note(), "caller": words.name(),
                    "phone": words.phone(),
                },
            }),
        };
        lines += &record.to_string();
        lines.push('\n');
    }
    town.done(desk, &["import-json", "-"], &lines, said);
}

/// Edits that are refused, each with canaries in what is wrong with it and beside that.
pub(super) fn try_what_is_refused(
    town: &Heard,
    desk: &Daemon,
    words: &mut Words,
    said: &mut Vec<String>,
) {
    let known = desk.add("issue", json!({"title": "路灯", "phone": words.phone()})).unwrap();
    let step = |at: Option<String>, action: &str, note: String| {
        let step = StepForm { action: action.into(), at, by: None, note: Some(note) };
        Ask::Step { community: None, entry: known.clone(), step, fields: [].into() }
    };
    let edit = |entry: &str, fields: Json| Ask::Edit {
        community: None,
        entry: EntryId::parse(entry).unwrap(),
        fields: serde_json::from_value(fields).unwrap(),
    };
    let long = format!("{}{}", words.note(), "长".repeat(60_000));
    let asks = [
        add("issue", json!({"title": "a", "category": words.phone(), "reporter": words.name()})),
        add(
            "care",
            json!({"care_kind": words.note(), "name": words.name(), "address": words.address()}),
        ),
        add(
            "household",
            json!({"building": "grid/b3", "members": words.name(), "phone": words.phone()}),
        ),
        add(
            "household",
            json!({"building": "grid/b3", "entrance": "1", "id_number": words.id_number()}),
        ),
        add("issue", json!({"phone": words.phone(), "address": words.address()})),
        add("issue", json!({"title": "a", "fone": words.phone()})),
        add("issue", json!({"title": "a", "detail": long})),
        add("call_log", json!({"time": words.phone(), "matter": words.note()})),
        edit("issue/nothing", json!({"phone": words.phone(), "detail": words.note()})),
        edit(known.as_str(), json!({"due": words.id_number(), "merged_into": words.name()})),
        step(Some(words.phone()), "report", words.note()),
        step(None, "resolve", words.note()),
    ];
    for ask in &asks {
        said.push(serde_json::to_string(&trouble(desk, ask)).unwrap());
    }
    let [value, other, date] = [words.phone(), words.note(), words.phone()];
    let (choice, whole) = (format!("category={value}"), format!("members:={other}"));
    for arguments in [
        &["add", "issue", "title=a", &choice][..],
        &["add", "issue", "title=a", &value],
        &["add", "household", "building=grid/b3", &whole],
        &["edit", "issue/nothing", &format!("phone={value}")],
        &["step", known.as_str(), "report", "--at", &date, "--note", &other],
    ] {
        town.refused(desk, arguments, "", said);
    }
    for line in [
        json!(words.phone()),
        json!({"kind": "issue", "fields": words.name()}),
        json!({"kind": "issue", "steps": [words.note()]}),
        json!({"kind": "issue", "fields": {"title": "a", "source": words.name()}}),
    ] {
        town.refused(desk, &["import-json", "-"], &format!("{line}\n"), said);
        town.refused(desk, &["import-json", "-", "--json"], &format!("{line}\n"), said);
    }
    let ask =
        format!("{{\"ask\": \"add\", \"kind\": \"issue\", \"fields\": \"{}\"}}", words.phone());
    said.push(post(desk, &ask));
    said.push(post(desk, &format!("{{\"ask\": \"{}\"}}", words.name())));
}

/// A question as no program of ours asks it.
fn post(desk: &Daemon, body: &str) -> String {
    let text = std::fs::read_to_string(desk.data().join("local-api.json")).unwrap();
    let api: Json = serde_json::from_str(&text).unwrap();
    let mut stream = TcpStream::connect(api["address"].as_str().unwrap()).unwrap();
    let (token, length) = (api["token"].as_str().unwrap(), body.len());
    write!(
        stream,
        "POST /v1/ask HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("bad-question"), "{answer}");
    answer
}

/// What a desk may show its people it does not write down.
pub(super) fn look_up(town: &Heard, desk: &Daemon, words: &mut Words, said: &mut Vec<String>) {
    let known = words.drawn()[0].clone();
    assert!(town.shown(desk, &["find", &known], said).contains(OPEN[0]));
    let [entry] = &find(desk, &known)[..] else { panic!("one entry has this name") };
    let why = words.note();
    let shown = town.shown(desk, &["show", entry.entry.as_str(), "--reason", &why], said);
    assert!(shown.contains(&known), "{shown}");
    town.shown(desk, &["list", "issue", "--state", &words.name()], said);
    town.shown(desk, &["find", &words.address(), &words.id_number()], said);
    town.shown(desk, &["export-json", "issue"], said);
}

/// What one desk writes while the other is cut off goes there in a file.
pub(super) fn carry_a_bundle(
    town: &Heard,
    from: &Daemon,
    to: &Daemon,
    words: &mut Words,
    said: &mut Vec<String>,
) {
    to.set_online(false).unwrap();
    let form = json!({"title": "随文件来", "reporter": words.name(), "phone": words.phone()});
    let entry = from.add("issue", form).unwrap();
    let file = town.dir.path().join("bundle");
    let file = file.to_str().unwrap();
    town.done(from, &["bundle", "export", file], "", said);
    town.done(to, &["bundle", "import", file], "", said);
    let phone = words.drawn().last().unwrap();
    assert_eq!(show_because(to, YILI, &entry, Some("核对")).fields["phone"], json!(phone));
    to.set_online(true).unwrap();
}

/// Edits and steps at the other desk, with all kinds of personal texts.
pub(super) fn edit_more(desk: &Daemon, words: &mut Words) {
    let issues = entries(desk, YILI, "issue");
    for view in issues.iter().filter(|view| !view.erased).take(40) {
        let fields = json!({"phone": words.phone(), "detail": words.note()});
        desk.edit(&view.entry, fields).unwrap();
    }
}

/// The hub's backup, and a desk's: sealed, and without keys.
pub(super) fn back_up(town: &Heard, desk: &Daemon, said: &mut Vec<String>) {
    let place = |name: &str| town.dir.path().join(name).to_str().unwrap().to_owned();
    let words = place("passphrase");
    std::fs::write(&words, "correct horse battery staple\n").unwrap();
    let (sealed, plain, hub) = (place("sealed.backup"), place("plain.backup"), place("hub.backup"));
    town.done(desk, &["backup", &sealed, "--passphrase-file", &words], "", said);
    town.done(desk, &["backup", &plain], "", said);
    town.done(desk, &["drill", &sealed, "--passphrase-file", &words], "", said);
    let output = town.command(&programs().hub, &["backup", &hub], &town.hub_dir(), "");
    assert!(output.status.success(), "{output:?}");
    said.extend([output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()));
}
