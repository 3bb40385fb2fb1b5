//! The loop over a machine in memory: what is answered is durable, and a journal that fails ends
//! the daemon instead of lying.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;

use linli_domain::digest::Digest;
use linli_domain::hlc::Hlc;
use linli_domain::id::{EpochId, Space};
use linli_domain::pack::Registry;
use linli_domain::seal::{CommunityKey, KeyRing};
use linli_replica::frame::{Hello, SpaceState};
use linli_replica::limits::BATCH_BYTES_MAX;
use linli_store::disk::{CrashKeep, DiskCall, MemoryDisk};
use linli_store::store::{Store, StoreOptions};
use linli_store::views::MemoryViews;
use serde_json::json;

use super::*;
use crate::ahead::Ahead;
use crate::ask::{EntryView, RecordForm};
use crate::limits::SPACE_WAITING_BYTES_MAX;
use crate::link::Links;
use crate::site::{OpenSiteError, Opening, Standing};

fn site(disk: MemoryDisk) -> Site<MemoryDisk, MemoryViews> {
    let (store, _) = Store::open(disk, MemoryViews::new(), StoreOptions::default()).unwrap();
    Site::open(opening(), store, now_millis()).unwrap()
}

fn opening() -> Opening {
    let mut drawn = 0_u8;
    Opening {
        me: PeerName::parse("d/s/yili/desk-a").unwrap(),
        registry: Arc::new(Registry::builtin()),
        ring: Some(KeyRing::new([1; 32], CommunityKey { epoch: 1, secret: [2; 32] })),
        members: Standing::default(),
        device: None,
        entropy: Box::new(move |bytes| {
            drawn = drawn.wrapping_add(1);
            bytes.fill(drawn);
        }),
        utc_offset_minutes: CHINA_OFFSET_MINUTES,
        node_bytes_per_day: 0,
        authority: None,
    }
}

fn start(disk: MemoryDisk) -> (Links, Handle, Ended) {
    let (links, events) = Links::new();
    let (handle, ended) = spawn(site(disk), events, None).unwrap();
    (links, handle, ended)
}

fn add(title: &str) -> Ask {
    let fields = BTreeMap::from([("title".to_owned(), json!(title))]);
    Ask::Add { kind: "issue".into(), id: None, fields }
}

async fn titles(handle: &Handle) -> Vec<String> {
    let list = Ask::List {
        kind: "issue".into(),
        state: None,
        community: None,
        after: None,
        max: 100,
        whole: true,
    };
    let Answer::Entries { entries, .. } = handle.ask(list).await else { panic!("entries") };
    let title = |entry: &EntryView| entry.fields["title"].as_str().unwrap().to_owned();
    let mut titles: Vec<String> = entries.iter().map(title).collect();
    titles.sort();
    titles
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_power_cut() {
    let disk = MemoryDisk::new();
    let (_links, handle, _ended) = start(disk.clone());
    for title in ["灯", "水"] {
        assert!(matches!(handle.ask(add(title)).await, Answer::Written { .. }));
    }
    disk.crash(CrashKeep::Nothing);
    // The thread behind the first one still runs; it keeps its disk for itself.
    let (_links, handle, _ended) = start(disk.copy());
    assert_eq!(titles(&handle).await, ["水", "灯"]);
}

#[tokio::test]
async fn many_askers_share_turns_and_each_gets_its_own_answer() {
    let (_links, handle, _ended) = start(MemoryDisk::new());
    let asked = (0..300).map(|nth| {
        let handle = handle.clone();
        tokio::spawn(async move {
            let record = RecordForm {
                kind: "issue".into(),
                id: Some(format!("n{nth}")),
                fields: BTreeMap::from([("title".to_owned(), json!("灯"))]),
                steps: Vec::new(),
            };
            let ask = Ask::Import { records: vec![record], dry_run: false };
            assert!(matches!(handle.ask(ask).await, Answer::Imported { added: 1, .. }));
            let entry = linli_domain::id::EntryId::new("issue", &format!("n{nth}")).unwrap();
            let show = Ask::Show { community: None, entry: entry.clone(), reason: None };
            let Answer::Entry(shown) = handle.ask(show).await else { panic!("{entry}") };
            assert_eq!(shown.entry, entry);
        })
    });
    for asker in asked.collect::<Vec<_>>() {
        asker.await.unwrap();
    }
}

#[tokio::test]
async fn a_journal_that_fails_ends_the_daemon_and_answers_nothing_false() {
    let disk = MemoryDisk::new();
    let (_links, handle, ended) = start(disk.clone());
    assert!(matches!(handle.ask(add("灯")).await, Answer::Written { .. }));
    disk.fail(DiskCall::Sync, 1);
    let Answer::Trouble(trouble) = handle.ask(add("水")).await else { panic!("a trouble") };
    assert_eq!(trouble.code, "stopping");
    assert!(matches!(ended.await, Ok(Err(DaemonError::Commit(_)))));
    let Answer::Trouble(_) = handle.ask(Ask::Status {}).await else { panic!("a trouble") };
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_back_opens_nothing_and_loses_nothing() {
    let disk = MemoryDisk::new();
    let (_links, handle, _ended) = start(disk.clone());
    assert!(matches!(handle.ask(add("灯")).await, Answer::Written { .. }));
    let disk = disk.copy();
    let options = StoreOptions::default();
    let (store, _) = Store::open(disk.clone(), MemoryViews::new(), options).unwrap();
    disk.fail(DiskCall::Read, 1);
    let failed = Site::open(opening(), store, now_millis());
    assert!(matches!(failed, Err(OpenSiteError::Replay(_))), "{failed:?}");
    let (_links, handle, _ended) = start(disk.copy());
    assert_eq!(titles(&handle).await, ["灯"]);
}

#[tokio::test]
async fn what_waits_for_a_peer_that_reads_nothing_is_bounded() {
    let (links, events) = Links::new();
    let (_calls_in, calls) = mpsc::channel(1);
    let (site, wires) = (site(MemoryDisk::new()), Wires::default());
    let (audits, followers) = (Vec::new(), Followers::default());
    let (keys, shut_out) = (None, watch::Sender::default());
    let mut machine = Machine { site, wires, events, calls, keys, audits, followers, shut_out };
    // Twice as much as a window holds.
    for page in 0..4 {
        let record = |nth: usize| RecordForm {
            kind: "issue".into(),
            id: Some(format!("p{page}n{nth}")),
            fields: BTreeMap::from([
                ("title".to_owned(), json!("灯")),
                ("result".to_owned(), json!("修".repeat(2_000))),
            ]),
            steps: Vec::new(),
        };
        let records = (0..500).map(record).collect();
        let (reply, _answer) = oneshot::channel();
        let ask = Box::new(Ask::Import { records, dry_run: false });
        machine.turn(Input::Call(Call::Ask { ask, reply }), false).unwrap();
    }
    // The connection of a peer that reads nothing draws nothing: nobody polls `_outgoing`.
    let peer = PeerName::parse("d/s/-/hub").unwrap();
    let (session, _outgoing) = links.open(peer, false);
    let link = session.link();
    let running = tokio::spawn(session.run(pending(), pending(), || None));
    let up = machine.events.recv().await.unwrap();
    machine.turn(Input::Event(up), false).unwrap();
    let space = Space::Open(CommunityId::parse("yili").unwrap());
    let state = SpaceState {
        space,
        held: Digest::default(),
        head: 0,
        chain: 0,
        cursor: None,
        refused: Digest::default(),
    };
    let hello = Hello { epoch: EpochId([7; 16]), now: Hlc(1), spaces: vec![state] };
    let (frame, ahead) = (Frame::Hello(hello), Ahead::default());
    machine.turn(Input::Event(LinkEvent::Frame { link, frame, ahead }), false).unwrap();
    let first = machine.wires.queued_bytes();
    assert!(first > BATCH_BYTES_MAX, "a window is under way: {first}");
    for _ in 0..100 {
        machine.turn(Input::Tick, true).unwrap();
        let queued = machine.wires.queued_bytes();
        assert!(queued <= SPACE_WAITING_BYTES_MAX, "{queued} bytes wait");
    }
    println!("{} bytes wait", machine.wires.queued_bytes());
    running.abort();
}

#[tokio::test]
async fn a_stop_ends_in_good_order() {
    let disk = MemoryDisk::new();
    let (_links, handle, ended) = start(disk.clone());
    handle.ask(add("灯")).await;
    handle.stop().await;
    assert!(matches!(ended.await, Ok(Ok(()))));
    let (_links, handle, _ended) = start(disk);
    assert_eq!(titles(&handle).await, ["灯"]);
}

#[tokio::test]
async fn who_follows_an_entry_is_told_of_each_change_and_of_the_end() {
    let (_links, handle, ended) = start(MemoryDisk::new());
    let Answer::Written { entry, .. } = handle.ask(add("灯")).await else { panic!("written") };
    let follow = |seen: Option<String>| {
        let (handle, entry) = (handle.clone(), entry.clone());
        let ask = Ask::Follow { community: None, entry, seen };
        tokio::spawn(async move { handle.ask(ask).await })
    };
    let Answer::Entry(first) = follow(None).await.unwrap() else { panic!("an entry") };
    let mut seen = first.digest;
    for title in ["灯又坏了", "修好了"] {
        let told = follow(Some(seen.clone()));
        let fields = BTreeMap::from([("title".to_owned(), json!(title))]);
        let edit = Ask::Edit { community: None, entry: entry.clone(), fields };
        assert!(matches!(handle.ask(edit).await, Answer::Written { .. }));
        let Answer::Entry(shown) = told.await.unwrap() else { panic!("an entry") };
        assert_eq!(shown.fields["title"], title);
        assert_ne!(shown.digest, seen);
        seen = shown.digest;
    }
    let nobody = follow(Some(seen.clone()));
    nobody.abort();
    let waits = follow(Some(seen));
    // Behind it in the queue: the stop finds it waiting, or keeps it from beginning.
    handle.stop().await;
    let Answer::Trouble(trouble) = waits.await.unwrap() else { panic!("a trouble") };
    assert_eq!(trouble.code, "stopping");
    assert!(matches!(ended.await, Ok(Ok(()))));
}
