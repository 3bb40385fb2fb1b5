//! Stories of a street over real processes: the hub and the desks that offices run, on real disks,
//! with mutual TLS between them.
//!
//! Each story founds a street of its own and ends it. It refuses to wait for time to pass: it looks
//! until something holds, and a minute without it is a failure.

mod attackers;
mod backups;
mod canaries;
mod copies;
mod definitions;
mod discovery;
mod disks;
mod duty_turn;
mod erasure;
mod follow;
mod kill_cycles;
mod members;
mod mishaps;
mod network_cut;
mod newcomer;
mod refusal;
mod refusals;
mod second_desk;
mod shut_out;
mod sixty_issues;
mod stick;
mod traces;
mod water_leak;

use std::path::Path;
use std::sync::OnceLock;

use linli_demo::office::{Daemon, Programs, Street, settle};
use linli_domain::id::{CommunityId, EntryId};
use linli_runtime::ask::{Answer, Ask, EntryView, FigureQuery, NodeView, PAGE_MAX, Trouble};
use serde_json::Value as Json;
use tempfile::TempDir;

/// A street whose folder ends with it. Processes end first: fields fall in this order.
struct Town {
    street: Street,
    dir: TempDir,
}

impl Town {
    /// Founds a street in a folder of that name.
    fn found(folder: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join(folder);
        std::fs::create_dir(&below).unwrap();
        Self { street: Street::found(programs(), &below).unwrap(), dir }
    }

    fn hub(&self) -> &Daemon {
        &self.street.hub
    }

    fn desk(&self, community: &str, name: &str) -> Daemon {
        self.street.desk(community, name).unwrap()
    }

    /// A folder for what the story itself writes.
    fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// The programs, built once for all stories.
fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::build(false).unwrap())
}

fn id(community: &str) -> CommunityId {
    CommunityId::parse(community).unwrap()
}

/// The one line of a metric.
fn figure(daemon: &Daemon, community: &str, metric: &str, period: &str) -> Json {
    let query = FigureQuery {
        metric: Some(metric.to_owned()),
        community: Some(id(community)),
        period: Some(period.to_owned()),
        ..FigureQuery::default()
    };
    let mut lines = daemon.figures(query).unwrap();
    assert_eq!(lines.len(), 1, "one line of {metric} for {community} in {period}: {lines:?}");
    lines.remove(0)
}

/// A figure as people read it.
fn text(daemon: &Daemon, community: &str, metric: &str, period: &str) -> String {
    figure(daemon, community, metric, period)["text"].as_str().unwrap().to_owned()
}

/// Every line of a community, without the moment it is from: at a desk that is now, at a hub when
/// it last heard from there.
fn all_figures(daemon: &Daemon, community: &str) -> Vec<Json> {
    let query = FigureQuery { community: Some(id(community)), ..FigureQuery::default() };
    let mut lines = daemon.figures(query).unwrap();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("as_of").unwrap();
    }
    lines
}

/// Every entry of a ledger, with all that the machine can read.
fn entries(daemon: &Daemon, community: &str, kind: &str) -> Vec<EntryView> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (kind, community) = (kind.to_owned(), Some(id(community)));
        let ask = Ask::List { kind, state: None, community, after, max: PAGE_MAX, whole: true };
        let Answer::Entries { entries, next, .. } = daemon.ask(&ask).unwrap() else {
            panic!("a list is a page of entries")
        };
        all.extend(entries);
        after = next;
        if after.is_none() {
            return all;
        }
    }
}

/// An entry as a reader without a reason sees it.
fn show(daemon: &Daemon, community: &str, entry: &EntryId) -> EntryView {
    show_because(daemon, community, entry, None)
}

/// An entry as a reader with a reason sees it.
fn show_because(
    daemon: &Daemon,
    community: &str,
    entry: &EntryId,
    reason: Option<&str>,
) -> EntryView {
    let (entry, reason) = (entry.clone(), reason.map(str::to_owned));
    match daemon.ask(&Ask::Show { community: Some(id(community)), entry, reason }).unwrap() {
        Answer::Entry(view) => *view,
        other => panic!("a show answered {other:?}"),
    }
}

fn find(daemon: &Daemon, text: &str) -> Vec<EntryView> {
    match daemon.ask(&Ask::Find { text: text.to_owned(), after: None, max: 20 }).unwrap() {
        Answer::Entries { entries, .. } => entries,
        other => panic!("a search answered {other:?}"),
    }
}

/// What a question that cannot be done is answered.
fn trouble(daemon: &Daemon, ask: &Ask) -> Trouble {
    match daemon.try_ask(ask).unwrap() {
        Answer::Trouble(trouble) => trouble,
        other => panic!("this should not be possible, and was answered {other:?}"),
    }
}

fn add(kind: &str, fields: Json) -> Ask {
    let fields = serde_json::from_value(fields).unwrap();
    Ask::Add { kind: kind.to_owned(), id: None, fields }
}

/// A machine as the hub's register has it.
fn machine(hub: &Daemon, name: &str) -> NodeView {
    let Answer::Nodes { nodes } = hub.ask(&Ask::Nodes {}).unwrap() else {
        panic!("a hub lists its machines")
    };
    nodes.into_iter().find(|node| node.name == name).unwrap()
}

/// How every story ends: hub and desks hold and count the same, nothing was refused anywhere, and
/// each machine finds itself sound.
fn assert_all_is_well(hub: &Daemon, community: &str, desks: &[&Daemon]) {
    settle(hub, community, desks).unwrap();
    let figures = all_figures(hub, community);
    assert!(!figures.is_empty(), "the hub has figures");
    for desk in desks {
        assert_eq!(all_figures(desk, community), figures);
    }
    for daemon in desks.iter().copied().chain([hub]) {
        assert_sound(daemon);
    }
}

/// Nothing refused, every figure as counted from its entries, journal and rows undamaged.
fn assert_sound(daemon: &Daemon) {
    let Answer::Refused { refused, .. } = daemon.ask(&Ask::Refused { max: PAGE_MAX }).unwrap()
    else {
        panic!("a list of refusals")
    };
    assert!(refused.is_empty(), "{}: {refused:?}", daemon.data().display());
    let Answer::Recount { entries, differences, .. } = daemon.ask(&Ask::Recount {}).unwrap() else {
        panic!("a recount")
    };
    assert!(entries > 0, "a recount reads the entries");
    assert!(differences.is_empty(), "{}: {differences:?}", daemon.data().display());
    let Answer::Audit { records, damage, .. } = daemon.ask(&Ask::Audit {}).unwrap() else {
        panic!("an audit")
    };
    assert!(records > 0, "an audit reads the records");
    assert!(damage.is_empty(), "{}: {damage:?}", daemon.data().display());
}
