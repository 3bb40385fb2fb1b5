//! The bytes of every format that was ever written stay readable, and today's format is the one
//! that lies in `tests/golden`. Files there are added to, never edited.

use linli_store::{Disk, Journal, JournalOptions, MemoryDisk};

use crate::engine::{Engine, Memory};
use crate::history::{History, change, space};

const SEGMENT: &str = "00000001.seg";
const FORMAT_1: &[u8] = include_bytes!("../golden/journal-1.seg");

/// Writes what the golden file holds: a change in each kind of space, notes, and one removed.
fn write(engine: &Memory) -> History {
    let (mut store, _) = engine.open(linli_store::StoreOptions::default());
    let mut history = History::default();
    history.note(&mut store, "epoch", b"0123456789abcdef");
    for number in 0..4 {
        history.add(&mut store, &space(number as usize), change(number, 20));
    }
    store.commit().expect("commit");
    history.add(&mut store, &space(0), change(9, 0));
    history.note(&mut store, "author/甲", b"");
    store.remove_note("epoch").expect("remove");
    history.notes.remove("epoch");
    store.commit().expect("commit");
    history
}

#[test]
fn the_first_format_is_read_and_still_written() {
    let engine = Memory::new();
    let history = write(&engine);
    assert!(engine.disk.bytes(SEGMENT).as_deref() == Some(FORMAT_1), "the format has changed");
    let mut disk = MemoryDisk::new();
    disk.append(SEGMENT, FORMAT_1).expect("append");
    let (journal, report) = Journal::open(disk, JournalOptions::default()).expect("opens");
    assert_eq!(report.cut, None);
    history.check_journal(&journal);
}
