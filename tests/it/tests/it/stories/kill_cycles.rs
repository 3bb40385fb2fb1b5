//! Hub and desk are killed at chance moments under load, and start again without a hand.
//!
//! Every edit that was answered is there at the end, at desk and hub, once and as answered.
//! `LINLI_KILL_CYCLES` says how often, `LINLI_KILL_SEED` which chances; both are printed.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard};

use linli_demo::office::{settle, until};
use linli_domain::id::EntryId;
use linli_runtime::ask::{Answer, Ask, EntryView, StepForm};
use linli_runtime::local_api::AskClient;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{Town, assert_all_is_well, entries, machine, programs, text};

const YILI: &str = "yili";
const CYCLES: usize = 50;
const WRITERS: usize = 4;
/// Edits answered between a start and the next kill, at most.
const EDITS_MAX: u64 = 60;
/// Edits that may be begun beyond the moment of a kill, so that it falls among them.
const MORE: u64 = 16;
const DAY: &str = "2026-04-01";

#[test]
fn kill_cycles() {
    let cycles = number("LINLI_KILL_CYCLES").map_or(CYCLES, |cycles| cycles as usize);
    let seed = number("LINLI_KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    eprintln!("LINLI_KILL_CYCLES={cycles} LINLI_KILL_SEED={seed}");
    let mut chance = ChaCha8Rng::seed_from_u64(seed);

    let mut town = Town::found("street");
    let mut desk = town.desk(YILI, "desk-a");
    let name = desk.status().unwrap().name;
    let load = Load::default();
    let ledgers = std::thread::scope(|scope| {
        // Whatever fails below, the writers end.
        let closing = Closing(&load);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (load, data) = (&load, desk.data().to_owned());
                scope.spawn(move || Writer::new(writer).write(load, &data))
            })
            .collect();
        load.open();
        for cycle in 0..cycles {
            // One of two in two cycles of five each, both in the fifth.
            let (at_hub, at_desk) = match chance.random_range(0..5) {
                0 | 1 => (true, false),
                2 | 3 => (false, true),
                _ => (true, true),
            };
            if at_hub {
                until("the desk is linked again", || {
                    Ok(machine(town.hub(), &name).connected.then_some(()))
                })
                .unwrap();
            }
            load.run(chance.random_range(0..EDITS_MAX));
            if at_hub {
                town.street.hub.kill();
            }
            if at_desk {
                desk.kill();
            }
            for (program, daemon) in
                [(&programs().hub, &mut town.street.hub), (&programs().node, &mut desk)]
            {
                if daemon.pid().is_some() {
                    continue;
                }
                if chance.random_bool(0.2) {
                    kill_while_it_starts(program, daemon.data(), chance.random_bool(0.5));
                }
                daemon.resume().unwrap_or_else(|error| panic!("cycle {cycle}: {error:#}"));
            }
            if at_desk {
                load.open();
            }
        }
        drop(closing);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });

    let written: BTreeMap<EntryId, u64> = ledgers.into_iter().flatten().collect();
    let answered = load.lock().answered;
    assert!(answered > 0);
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let lost = [&desk, town.hub()].map(|machine| lost(&written, &entries(machine, YILI, "issue")));
    eprintln!(
        "{cycles} cycles: {} entries, {answered} edits answered; lost at the desk {}, at the hub {}",
        written.len(),
        lost[0],
        lost[1]
    );
    assert_eq!(lost, [0, 0], "edits that were answered");
    assert_all_is_well(town.hub(), YILI, &[&desk]);
    for machine in [&desk, town.hub()] {
        let held = entries(machine, YILI, "issue");
        assert_eq!(held.len(), written.len(), "as many as were added");
        for entry in &held {
            let turns = written.get(&entry.entry).expect("nobody added this one");
            assert_as_answered(entry, *turns, machine.data() == desk.data());
        }
        let accepted = written.values().filter(|acts| **acts >= 3).count();
        assert_eq!(text(machine, YILI, "M01", "2026-04"), accepted.to_string());
    }
}

/// Answered edits that are not in what a machine holds.
fn lost(written: &BTreeMap<EntryId, u64>, held: &[EntryView]) -> u64 {
    let acts = |entry: &EntryId| {
        let found = held.iter().find(|view| view.entry == *entry);
        let number = found.and_then(|view| view.fields.get("number")?.as_str()?.parse().ok());
        number.unwrap_or(0_u64)
    };
    written.iter().map(|(entry, turns)| turns.saturating_sub(acts(entry))).sum()
}

/// What an entry is after so many acts: added, reported, accepted, then edited again and again.
fn assert_as_answered(entry: &EntryView, acts: u64, whole: bool) {
    let steps: Vec<&str> = entry.steps.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(steps, ["report", "accept"][..(acts as usize - 1).min(2)], "{entry:?}");
    assert_eq!(entry.fields["number"], json!(acts.to_string()), "{entry:?}");
    let detail = whole.then(|| json!(acts.to_string()));
    assert_eq!(entry.fields.get("detail"), detail.as_ref(), "{entry:?}");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Starts it and kills it, at once or when it has said its first word.
fn kill_while_it_starts(program: &Path, data: &Path, at_once: bool) {
    let mut child = Command::new(program)
        .args(["serve", "--log", "debug", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    if !at_once {
        log.lines().next().unwrap().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the one who kills and those who write share.
#[derive(Default)]
struct Load {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Starts of the desk so far; writers look for the daemon anew at each.
    start: u64,
    /// Edits answered.
    answered: u64,
    /// Edits that may be begun.
    allowed: u64,
    /// No edit is begun any more.
    closed: bool,
    /// Somebody has failed: nobody waits for anybody any more.
    failed: bool,
}

impl Load {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The desk serves.
    fn open(&self) {
        self.lock().start += 1;
        self.changed.notify_all();
    }

    /// Lets writers write until so many more edits are answered. Some are under way then.
    fn run(&self, edits: u64) {
        let mut state = self.lock();
        let until = state.answered + edits;
        state.allowed = edits + MORE;
        self.changed.notify_all();
        let wait = |state: &mut State| state.answered < until && !state.failed;
        let state = self.changed.wait_while(state, wait).unwrap();
        assert!(!state.failed, "a writer has failed");
    }

    /// Waits for leave to begin an edit; gives the desk's start, or nothing when it is over.
    fn begin(&self) -> Option<u64> {
        let wait = |state: &mut State| !state.closed && (state.allowed == 0 || state.start == 0);
        let mut state = self.changed.wait_while(self.lock(), wait).unwrap();
        if state.closed {
            return None;
        }
        state.allowed -= 1;
        Some(state.start)
    }

    fn answered(&self) {
        self.lock().answered += 1;
        self.changed.notify_all();
    }

    /// An edit got no answer: waits for the desk's next start, and gives it.
    fn unanswered(&self, start: u64) -> Option<u64> {
        let wait = |state: &mut State| state.start == start && !state.failed;
        let state = self.changed.wait_while(self.lock(), wait).unwrap();
        (!state.failed).then_some(state.start)
    }
}

/// Lets no edit begin once it is dropped, and tells everybody if that is a failure.
struct Closing<'l>(&'l Load);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.failed |= std::thread::panicking();
        drop(state);
        self.0.changed.notify_all();
    }
}

/// One who adds issues and works on them. An edit without an answer is made again: it must come
/// to the same, whether the first attempt reached the disk or not.
struct Writer {
    number: usize,
    /// Acts answered, for each entry.
    written: BTreeMap<EntryId, u64>,
    current: Option<(EntryId, u64)>,
}

impl Writer {
    /// Acts on an entry before the next one is added.
    const ACTS: u64 = 6;

    fn new(number: usize) -> Self {
        Self { number, written: BTreeMap::new(), current: None }
    }

    fn write(mut self, load: &Load, data: &Path) -> BTreeMap<EntryId, u64> {
        let mut connection = None;
        let closing = Closing(load);
        while let Some(mut start) = load.begin() {
            let (entry, act) = self.next();
            // An act that was begun is made again until it is answered, also when no other begins.
            loop {
                if connection.as_ref().is_none_or(|(from, _)| *from != start) {
                    connection = AskClient::find(data).ok().map(|client| (start, client));
                }
                let answer = connection.as_ref().map(|(_, client)| client.ask(&ask(&entry, act)));
                match answer {
                    Some(Ok(Answer::Written { .. })) => break,
                    Some(Ok(Answer::Trouble(trouble))) if trouble.code != "stopping" => {
                        panic!("{entry} act {act}: {}", trouble.en)
                    }
                    _ => match load.unanswered(start) {
                        Some(next) => start = next,
                        None => return self.written,
                    },
                }
            }
            self.written.insert(entry.clone(), act);
            self.current = Some((entry, act));
            load.answered();
        }
        drop(closing);
        self.written
    }

    /// The next act: which entry, and its how manyeth.
    fn next(&self) -> (EntryId, u64) {
        match &self.current {
            Some((entry, act)) if *act < Self::ACTS => (entry.clone(), act + 1),
            _ => {
                let id = format!("w{}-{:05}", self.number, self.written.len());
                (EntryId::new("issue", &id).unwrap(), 1)
            }
        }
    }
}

/// The question that an act is.
fn ask(entry: &EntryId, act: u64) -> Ask {
    let mut fields =
        BTreeMap::from(["number", "detail"].map(|f| (f.to_owned(), json!(act.to_string()))));
    let step = |action: &str| {
        let (action, at, by) = (action.to_owned(), Some(DAY.to_owned()), Some("李".to_owned()));
        StepForm { action, at, by, note: None }
    };
    match act {
        1 => {
            fields.insert("title".to_owned(), json!("灯不亮"));
            Ask::Add { kind: "issue".to_owned(), id: Some(entry.id().to_owned()), fields }
        }
        2 => Ask::Step { community: None, entry: entry.clone(), step: step("report"), fields },
        3 => Ask::Step { community: None, entry: entry.clone(), step: step("accept"), fields },
        _ => Ask::Edit { community: None, entry: entry.clone(), fields },
    }
}
