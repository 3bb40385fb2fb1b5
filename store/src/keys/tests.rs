//! The key shelf through crashes, damage and erasures.

use super::*;
use crate::{CrashKeep, DiskCall, MemoryDisk};

fn place(number: u8) -> DocumentPlace {
    DocumentPlace([number; 32])
}

fn name(number: u8) -> KeyName {
    KeyName([number; 32])
}

/// A wrapped key as no other document has it.
fn wrapped(number: u8) -> [u8; 77] {
    [100 + number; 77]
}

fn open(disk: &mut MemoryDisk) -> (KeyShelf, ShelfReport) {
    KeyShelf::open(disk).expect("opens")
}

/// A shelf with keys of the documents `1..=many`, durable.
fn filled(disk: &mut MemoryDisk, many: u8) -> KeyShelf {
    let (mut shelf, _) = open(disk);
    for number in 1..=many {
        assert!(shelf.put(place(number), name(number), &wrapped(number)));
    }
    shelf.flush(disk).expect("flush");
    shelf
}

fn contains(disk: &MemoryDisk, needle: &[u8]) -> bool {
    let files = disk.list().expect("list");
    files.iter().any(|file| {
        let bytes = disk.bytes(file).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn what_was_flushed_survives_a_crash_and_an_empty_shelf_makes_no_file() {
    let mut disk = MemoryDisk::new();
    let (mut shelf, report) = open(&mut disk);
    shelf.flush(&mut disk).expect("flush");
    assert_eq!((shelf.len(), report), (0, ShelfReport::default()));
    assert_eq!(disk.list().expect("list"), Vec::<String>::new());
    filled(&mut disk, 3);
    disk.crash(CrashKeep::Nothing);
    let (mut shelf, report) = open(&mut disk);
    assert_eq!((shelf.len(), report), (3, ShelfReport::default()));
    let held: Vec<&[u8]> = shelf.named(&place(2), &name(2)).collect();
    assert_eq!(held, [wrapped(2)]);
    assert!(!shelf.put(place(2), name(2), &wrapped(2)), "it is there");
    assert!(shelf.put(place(2), name(2), &wrapped(9)), "another key of that name");
    assert!(!shelf.put(place(2), name(2), &wrapped(8)), "a third one is one too many");
    assert!(!shelf.put(place(4), name(4), &[1; WRAPPED_KEY_BYTES_MAX + 1]));
    assert!(!shelf.put(place(4), name(4), &[]));
}

#[test]
fn every_single_flipped_bit_in_one_file_is_mended_from_the_other() {
    let mut sound = MemoryDisk::new();
    filled(&mut sound, 3);
    for file in SHELF_FILES {
        let bits = sound.bytes(file).expect("file").len() as u64 * 8;
        for bit in 0..bits {
            let mut disk = sound.copy();
            disk.flip_bit(file, bit);
            let (shelf, report) = open(&mut disk);
            assert_eq!((shelf.len(), report.lost.len()), (3, 0), "{file} bit {bit}");
            // The last row may be one that was never finished; the other file still has it.
            let last = bit / 8 / KEY_ROW_BYTES as u64 == 3;
            assert_eq!(report.mended, usize::from(!last), "{file} bit {bit}");
            for file in SHELF_FILES {
                assert_eq!(disk.bytes(file), sound.bytes(file), "mended");
            }
        }
        let mut disk = sound.copy();
        disk.remove(file).expect("remove");
        assert_eq!(open(&mut disk).0.len(), 3);
        assert_eq!(disk.bytes(file), sound.bytes(file));
    }
}

#[test]
fn a_row_that_both_files_lost_is_named_and_hides_no_other() {
    let mut disk = MemoryDisk::new();
    filled(&mut disk, 3);
    for file in SHELF_FILES {
        disk.flip_bit(file, (2 * KEY_ROW_BYTES as u64 + 40) * 8);
    }
    let (shelf, report) = open(&mut disk);
    assert_eq!(report, ShelfReport { mended: 0, lost: vec![2] });
    assert!(shelf.keys(&place(2)).is_empty());
    assert_eq!(shelf.len(), 2);
    assert_eq!(open(&mut disk).1, ShelfReport::default(), "said once");
}

#[test]
fn an_erased_document_leaves_no_byte_of_its_key_and_takes_none_again() {
    let mut disk = MemoryDisk::new();
    let mut shelf = filled(&mut disk, 3);
    assert!(contains(&disk, &wrapped(2)));
    assert!(shelf.put(place(2), name(7), &wrapped(7)), "put in the same turn");
    assert!(shelf.erase(place(2)) && !shelf.erase(place(2)));
    assert!(!shelf.put(place(2), name(2), &wrapped(2)));
    shelf.flush(&mut disk).expect("flush");
    shelf.rewrite(&mut disk).expect("rewrite");
    disk.crash(CrashKeep::Everything);
    for gone in [2, 7] {
        assert!(!contains(&disk, &wrapped(gone)[..16]), "key {gone}");
    }
    let (mut shelf, report) = open(&mut disk);
    assert_eq!(report, ShelfReport::default());
    assert!(shelf.is_erased(&place(2)) && !shelf.is_clean(&place(2)) && shelf.unclean() == 1);
    assert!(!shelf.put(place(2), name(2), &wrapped(2)), "nor after a start");
    assert_eq!(shelf.len(), 2);
    shelf.note_clean();
    shelf.rewrite(&mut disk).expect("rewrite");
    assert!(open(&mut disk).0.is_clean(&place(2)));
}

#[test]
fn a_key_that_only_one_file_still_has_goes_with_the_mark_in_the_other() {
    let mut disk = MemoryDisk::new();
    let mut shelf = filled(&mut disk, 2);
    let before = disk.bytes(SHELF_FILES[1]).expect("file");
    shelf.erase(place(1));
    shelf.rewrite(&mut disk).expect("rewrite");
    disk.write_whole(SHELF_FILES[1], &before).expect("write");
    let (shelf, _) = open(&mut disk);
    assert!(shelf.is_erased(&place(1)) && shelf.len() == 1);
    assert!(!contains(&disk, &wrapped(1)[..16]));
}

#[test]
fn a_crash_at_any_call_keeps_what_was_durable_and_undoes_no_erasure() {
    for call in [DiskCall::Append, DiskCall::Sync, DiskCall::SyncDir] {
        for nth in 1..6 {
            let mut disk = MemoryDisk::new();
            let mut shelf = filled(&mut disk, 2);
            disk.fail(call, nth);
            shelf.put(place(3), name(3), &wrapped(3));
            let flushed = shelf.flush(&mut disk).is_ok();
            shelf.erase(place(1));
            let erased = shelf.rewrite(&mut disk).is_ok();
            assert!(flushed || !erased, "nothing is written after a failure");
            disk.heal();
            disk.crash(CrashKeep::Nothing);
            let (shelf, report) = open(&mut disk);
            assert_eq!(report.lost, Vec::<u64>::new(), "{call:?} {nth}");
            assert_eq!(shelf.keys(&place(2)).len(), 1, "{call:?} {nth}");
            assert!(!flushed || shelf.keys(&place(3)).len() == 1, "{call:?} {nth}");
            assert!(!erased || shelf.is_erased(&place(1)), "{call:?} {nth}");
            assert!(shelf.is_erased(&place(1)) || shelf.keys(&place(1)).len() == 1);
        }
    }
}

#[test]
fn a_backup_takes_what_both_files_hold_together() {
    let mut disk = MemoryDisk::new();
    filled(&mut disk, 3);
    disk.flip_bit(SHELF_FILES[0], (KEY_ROW_BYTES as u64 + 40) * 8);
    disk.flip_bit(SHELF_FILES[1], (2 * KEY_ROW_BYTES as u64 + 40) * 8);
    let copies = SHELF_FILES.map(|file| disk.bytes(file));
    let whole = KeyShelf::whole(&copies).expect("read").expect("there is one");
    assert_eq!(Copy::read(&whole).expect("read").slots.len(), 3);
    assert_eq!(KeyShelf::whole(&[None, None]).expect("read"), None);
}
