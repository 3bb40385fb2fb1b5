//! A journal is surveyed without being changed, and a copy of it up to a commit is proven as it is
//! read.

use linli_store::{Disk, Journal, MemoryDisk, OpenError, Retrace};

use crate::engine::{Engine, Memory, small};
use crate::history::History;

fn bytes_of(disk: &MemoryDisk, name: &str, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    let read = disk.read_at(name, 0, &mut bytes).expect("read");
    bytes.truncate(read);
    bytes
}

fn everything(disk: &MemoryDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.list().expect("list");
    let whole = |name: String| {
        let len = disk.len(&name).expect("len");
        let bytes = bytes_of(disk, &name, len);
        (name, bytes)
    };
    names.into_iter().map(whole).collect()
}

#[test]
fn a_copy_of_an_extent_is_sound_however_much_was_written_since() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.note(&mut store, "epoch", b"7");
    for _ in 0..12 {
        history.grow(&mut store, 5, 2, 100);
        let extent = store.journal().extent().expect("extent");
        history.grow(&mut store, 30, 3, 100);
        let mut retrace = Retrace::default();
        for (name, len) in &extent.segments {
            let bytes = bytes_of(&engine.disk, name, *len);
            retrace.segment(name, &bytes).expect("a sound segment");
        }
        let found = retrace.finish();
        assert_eq!(found.extent, extent);
        assert_eq!(found.notes["epoch"], b"7");
    }
}

#[test]
fn no_flipped_bit_of_a_copy_goes_unseen() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    History::default().grow(&mut store, 25, 4, 60);
    let extent = store.journal().extent().expect("extent");
    let copy: Vec<(String, Vec<u8>)> = extent
        .segments
        .iter()
        .map(|(name, len)| (name.clone(), bytes_of(&engine.disk, name, *len)))
        .collect();
    assert!(copy.len() > 1, "more than one segment");
    for spoilt in 0..copy.len() {
        for bit in (0..copy[spoilt].1.len() * 8).step_by(13) {
            let mut retrace = Retrace::default();
            let outcome = copy.iter().enumerate().try_for_each(|(nth, (name, bytes))| {
                let mut bytes = bytes.clone();
                if nth == spoilt {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                retrace.segment(name, &bytes)
            });
            assert!(outcome.is_err(), "segment {spoilt}, bit {bit}");
        }
    }
}

#[test]
fn a_survey_changes_nothing_and_passes_over_a_torn_tail_only() {
    let engine = Memory::new();
    let (mut store, _) = engine.open(small());
    let mut history = History::default();
    history.grow(&mut store, 40, 4, 100);
    let extent = store.journal().extent().expect("extent");
    assert_eq!(Journal::survey(&engine.disk).expect("sound").extent, extent);
    drop(store);
    let mut torn = engine.disk.copy();
    let (last, _) = extent.segments.last().expect("segments").clone();
    torn.append(&last, b"pieces of a commit").expect("append");
    let before = everything(&torn);
    assert_eq!(Journal::survey(&torn).expect("a torn tail").extent, extent);
    assert_eq!(everything(&torn), before);
    let spoilt = engine.disk.copy();
    assert!(spoilt.flip_bit("00000002.seg", 900));
    let before = everything(&spoilt);
    assert!(matches!(Journal::survey(&spoilt), Err(OpenError::Damaged(_))));
    assert_eq!(everything(&spoilt), before);
}
