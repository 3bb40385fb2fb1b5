//! A store that was put back: another life, and no edits before its peers were met.

use linli_replica::holdings::Holdings as _;
use linli_store::journal::{Journal, JournalOptions};

use super::*;
use crate::books::RESTORED_NOTE;

#[test]
fn a_journal_that_was_set_back_begins_another_life_and_a_sound_one_goes_on() {
    let (disk, views) = (MemoryDisk::default(), MemoryViews::default());
    let place = |disk: &MemoryDisk| (disk.copy(), views.clone());
    let mut desk = open_on((disk.clone(), views.clone()), "d/s/c/a", Some(ring()), 1, 0);
    desk.end_turn().expect("commits");
    let old = disk.copy();
    written(add(&mut desk, "issue", json!({"title": "井盖松动"})));
    desk.end_turn().expect("commits");
    let life = desk.books().epoch();
    desk.close().expect("closes");
    let mut again = open_on(place(&disk), "d/s/c/a", Some(ring()), 2, 0);
    assert_eq!(again.books().epoch(), life);
    drop(again);
    let mut back = open_on(place(&old), "d/s/c/a", Some(ring()), 3, 0);
    assert_ne!(back.books().epoch(), life, "the views knew of more");
}

#[test]
fn a_restored_desk_edits_once_it_has_met_its_hub_and_not_before() {
    let disk = MemoryDisk::default();
    let (mut journal, _) = Journal::open(disk.clone(), JournalOptions::default()).expect("opens");
    for space in ["community/c/open", "community/c/sealed"] {
        journal.append_note(&format!("{RESTORED_NOTE}{space}"), b"").expect("a note");
    }
    journal.commit().expect("commits");
    drop(journal);
    let place = (disk.clone(), MemoryViews::default());
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a")]);
    let mut sites = vec![hub, open_on(place, "d/s/c/a", Some(ring()), 2, 0)];
    let refused = add(&mut sites[1], "issue", json!({"title": "井盖松动"}));
    assert!(
        matches!(&refused, Answer::Trouble(trouble) if trouble.code == "restored"),
        "{refused:?}"
    );
    assert!(matches!(sites[1].ask(Ask::Recount {}), Answer::Recount { .. }), "reading goes on");
    settle(&mut sites, &[(0, 1)]);
    written(add(&mut sites[1], "issue", json!({"title": "井盖松动"})));
    sites[1].end_turn().expect("commits");
    // And it stays so over a restart.
    let again = open_on((disk, MemoryViews::default()), "d/s/c/a", Some(ring()), 3, 0);
    assert!(again.books.unmet().is_empty());
}
