//! The key shelf through crashes, damage and erasures.

use proptest::prelude::*;

use super::*;
use crate::limits::KEY_ROW_BYTES;
use crate::{CrashKeep, DiskCall};

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
        assert!(shelf.put(disk, place(number), name(number), &wrapped(number)));
    }
    shelf.flush(disk).expect("flush");
    shelf
}

/// How many keys of a document are held.
fn held(disk: &MemoryDisk, shelf: &mut KeyShelf, number: u8) -> usize {
    shelf.keys(disk, &place(number)).expect("read").len()
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
    let held = shelf.keys(&disk, &place(2)).expect("read");
    assert_eq!(held, [KeyRow { name: name(2), wrapped: wrapped(2).into() }]);
    assert!(!shelf.put(&disk, place(2), name(2), &wrapped(2)), "it is there");
    assert!(shelf.put(&disk, place(2), name(2), &wrapped(9)), "another key of that name");
    assert!(!shelf.put(&disk, place(2), name(2), &wrapped(8)), "a third one is one too many");
    assert!(!shelf.put(&disk, place(4), name(4), &[1; WRAPPED_KEY_BYTES_MAX + 1]));
    assert!(!shelf.put(&disk, place(4), name(4), &[]));
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
    let (mut shelf, report) = open(&mut disk);
    assert_eq!(report, ShelfReport { mended: 0, lost: vec![2] });
    assert!(held(&disk, &mut shelf, 2) == 0);
    assert_eq!(shelf.len(), 2);
    assert_eq!(open(&mut disk).1, ShelfReport::default(), "said once");
}

#[test]
fn an_erased_document_leaves_no_byte_of_its_key_and_takes_none_again() {
    let mut disk = MemoryDisk::new();
    let mut shelf = filled(&mut disk, 3);
    assert!(contains(&disk, &wrapped(2)));
    assert!(shelf.put(&disk, place(2), name(7), &wrapped(7)), "put in the same turn");
    assert!(shelf.erase(place(2)) && !shelf.erase(place(2)));
    assert!(!shelf.put(&disk, place(2), name(2), &wrapped(2)));
    shelf.flush(&mut disk).expect("flush");
    shelf.rewrite(&mut disk).expect("rewrite");
    disk.crash(CrashKeep::Everything);
    for gone in [2, 7] {
        assert!(!contains(&disk, &wrapped(gone)[..16]), "key {gone}");
    }
    let (mut shelf, report) = open(&mut disk);
    assert_eq!(report, ShelfReport::default());
    assert!(shelf.is_erased(&place(2)) && !shelf.is_clean(&place(2)) && shelf.unclean() == 1);
    assert!(!shelf.put(&disk, place(2), name(2), &wrapped(2)), "nor after a start");
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
fn where_the_files_differ_a_mark_wins_over_a_key_and_the_worse_mark_over_the_better() {
    let key = slot::key(&place(1), &name(1), &wrapped(1));
    let mark = |clean| slot::erased(&place(1), clean);
    let cases = [
        ([vec![mark(false), key], vec![mark(false), key]], false),
        ([vec![key, mark(true)], vec![key, mark(true)]], true),
        ([vec![mark(true), mark(false)], vec![mark(true), mark(false)]], false),
        ([vec![mark(true)], vec![mark(false)]], false),
        ([vec![mark(false)], vec![mark(true)]], false),
        ([vec![mark(true)], vec![key]], true),
    ];
    for (files, clean) in cases {
        let mut disk = MemoryDisk::new();
        for (file, rows) in SHELF_FILES.into_iter().zip(&files) {
            disk.append(file, &slot::header()).expect("append");
            disk.append(file, rows.as_flattened()).expect("append");
        }
        let (mut shelf, _) = open(&mut disk);
        assert!(shelf.is_erased(&place(1)) && held(&disk, &mut shelf, 1) == 0, "{files:?}");
        assert_eq!((shelf.is_clean(&place(1)), shelf.len()), (clean, 0), "{files:?}");
        assert!(!contains(&disk, &wrapped(1)[..16]), "{files:?}");
    }
}

#[test]
fn a_crash_at_any_call_keeps_what_was_durable_and_undoes_no_erasure() {
    for call in [DiskCall::Append, DiskCall::Sync, DiskCall::SyncDir] {
        for nth in 1..6 {
            let mut disk = MemoryDisk::new();
            let mut shelf = filled(&mut disk, 2);
            disk.fail(call, nth);
            shelf.put(&disk, place(3), name(3), &wrapped(3));
            let flushed = shelf.flush(&mut disk).is_ok();
            shelf.erase(place(1));
            let erased = shelf.rewrite(&mut disk).is_ok();
            assert!(flushed || !erased, "nothing is written after a failure");
            disk.heal();
            disk.crash(CrashKeep::Nothing);
            let (mut shelf, report) = open(&mut disk);
            assert_eq!(report.lost, Vec::<u64>::new(), "{call:?} {nth}");
            assert_eq!(held(&disk, &mut shelf, 2), 1, "{call:?} {nth}");
            assert!(!flushed || held(&disk, &mut shelf, 3) == 1, "{call:?} {nth}");
            assert!(!erased || shelf.is_erased(&place(1)), "{call:?} {nth}");
            assert!(shelf.is_erased(&place(1)) || held(&disk, &mut shelf, 1) == 1);
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
    let whole = KeyShelf::whole(copies).expect("read").expect("there is one");
    let mut disk = MemoryDisk::new();
    disk.append(SHELF_FILES[0], &whole).expect("append");
    assert_eq!(open(&mut disk).0.len(), 3);
    assert_eq!(KeyShelf::whole([None, None]).expect("read"), None);
}

#[test]
fn a_key_that_rots_while_the_store_is_open_is_read_from_the_other_file_and_mended() {
    let mut disk = MemoryDisk::new();
    let mut shelf = filled(&mut disk, 3);
    let sound = disk.bytes(SHELF_FILES[0]);
    disk.flip_bit(SHELF_FILES[0], (2 * KEY_ROW_BYTES as u64 + 70) * 8);
    assert_eq!(held(&disk, &mut shelf, 2), 1);
    shelf.rewrite(&mut disk).expect("rewrite");
    assert_eq!(SHELF_FILES.map(|file| disk.bytes(file)), [sound.clone(), sound]);
    // One that rots in both is gone, and the next open says so.
    for file in SHELF_FILES {
        disk.flip_bit(file, (2 * KEY_ROW_BYTES as u64 + 70) * 8);
    }
    let (mut before, kept) = (shelf, disk.copy());
    assert_eq!(held(&disk, &mut before, 2), 0);
    before.rewrite(&mut disk).expect("rewrite");
    assert_eq!((held(&disk, &mut before, 1), held(&disk, &mut before, 3)), (1, 1));
    let mut disk = kept;
    assert_eq!(open(&mut disk).1.lost, [2]);
}

#[test]
fn an_audit_finds_every_damaged_row_of_either_file() {
    let mut sound = MemoryDisk::new();
    filled(&mut sound, 7);
    for row in 0..8 {
        for files in [&SHELF_FILES[..1], &SHELF_FILES[1..], &SHELF_FILES[..]] {
            let mut disk = sound.copy();
            let mut shelf = open(&mut disk).0;
            for file in files {
                disk.flip_bit(file, (row * KEY_ROW_BYTES as u64 + 70) * 8);
            }
            let mut audit = ShelfAudit::default();
            while shelf.audit_slice(&disk, &mut audit, 3).expect("read") {}
            assert_eq!(audit.rows(), 8);
            let (mended, lost): (&[u64], &[u64]) =
                if files.len() == 1 { (&[row], &[]) } else { (&[], &[row]) };
            assert_eq!((audit.mended(), audit.lost()), (mended, lost));
            shelf.rewrite(&mut disk).expect("rewrite");
            if files.len() == 1 {
                for file in SHELF_FILES {
                    assert_eq!(disk.bytes(file), sound.bytes(file), "mended");
                }
            }
        }
    }
}

#[test]
fn a_read_that_fails_once_is_made_at_the_other_file_and_one_that_fails_twice_is_an_error() {
    let mut disk = MemoryDisk::new();
    let mut shelf = filled(&mut disk, 3);
    disk.fail(DiskCall::Read, 1);
    assert_eq!(held(&disk, &mut shelf, 2), 1);
    disk.heal();
    disk.fail(DiskCall::Read, 1);
    disk.fail(DiskCall::Read, 2);
    assert!(shelf.keys(&disk, &place(2)).is_err(), "which is not to say that there is none");
    disk.heal();
    assert_eq!(held(&disk, &mut shelf, 2), 1);
}

#[test]
fn files_of_several_pieces_are_read_and_written_anew() {
    let mut disk = MemoryDisk::new();
    let (mut shelf, _) = open(&mut disk);
    let many = 9_000_u32;
    let at = |number: u32| {
        let mut place = [0; 32];
        place[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_le_bytes());
        place[28..].copy_from_slice(&number.to_le_bytes());
        (DocumentPlace(place), KeyName(place))
    };
    for number in 0..many {
        let (place, name) = at(number);
        assert!(shelf.put(&disk, place, name, &number.to_le_bytes()));
        if number % 1_000 == 0 {
            shelf.flush(&mut disk).expect("flush");
        }
    }
    shelf.flush(&mut disk).expect("flush");
    shelf.erase(at(4_321).0);
    shelf.rewrite(&mut disk).expect("rewrite");
    // A crash took the end of the second file.
    let end = disk.len(SHELF_FILES[1]).expect("len");
    disk.truncate(SHELF_FILES[1], end - 5_000 * KEY_ROW_BYTES as u64 - 7).expect("cut");
    for opened in [false, true] {
        if opened {
            shelf = open(&mut disk).0;
            assert_eq!(disk.bytes(SHELF_FILES[0]), disk.bytes(SHELF_FILES[1]));
        }
        for number in (0..many).step_by(97).chain([4_320, 4_321, 4_322, many - 1]) {
            let keys = shelf.keys(&disk, &at(number).0).expect("read");
            let wanted = if number == 4_321 { vec![] } else { vec![number.to_le_bytes()] };
            let wrapped: Vec<&[u8]> = keys.iter().map(|key| &*key.wrapped).collect();
            assert_eq!(wrapped, wanted, "{number}, opened anew: {opened}");
        }
        assert_eq!(shelf.len() as u32, many - 1);
    }
}

/// What may happen to a shelf.
#[derive(Debug, Clone)]
enum Act {
    Put(u8, u8),
    Erase(u8),
    Commit,
    /// The power fails; what is written and not synced stays or goes.
    Crash(bool),
    /// A bit of one file flips, somewhere.
    Rot(bool, u32),
    /// One file is put back as it was at the last commit but one.
    Stale(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1..9_u8, 1..3_u8).prop_map(|(document, wrap)| Act::Put(document, wrap)),
        1 => (1..9_u8).prop_map(Act::Erase),
        4 => Just(Act::Commit),
        2 => any::<bool>().prop_map(Act::Crash),
        1 => any::<(bool, u32)>().prop_map(|(file, bit)| Act::Rot(file, bit)),
        1 => any::<bool>().prop_map(Act::Stale),
    ]
}

proptest! {
    #[test]
    fn any_life_keeps_what_was_durable_and_nothing_that_was_erased(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut disk = MemoryDisk::new();
        let mut shelf = open(&mut disk).0;
        let wrap = |document: u8, nth: u8| vec![document * 8 + nth; 40];
        // Keys by document, those that are durable; and erased documents.
        let mut durable: BTreeSet<(u8, u8)> = BTreeSet::new();
        let mut put = durable.clone();
        let mut erased: BTreeMap<u8, bool> = BTreeMap::new();
        let mut before: [Option<Vec<u8>>; 2] = [None, None];
        let mut rotten = false;
        for act in acts {
            match act {
                Act::Put(document, nth) => {
                    let new = shelf.put(&disk, place(document), name(document), &wrap(document, nth));
                    let gone = erased.contains_key(&document);
                    prop_assert_eq!(new, !gone && !put.contains(&(document, nth)));
                    if new {
                        put.insert((document, nth));
                    }
                }
                Act::Erase(document) => {
                    shelf.erase(place(document));
                    erased.entry(document).or_insert(false);
                    put.retain(|(at, _)| *at != document);
                }
                Act::Commit => {
                    before = SHELF_FILES.map(|file| disk.bytes(file));
                    shelf.flush(&mut disk).expect("flush");
                    shelf.rewrite(&mut disk).expect("rewrite");
                    durable.clone_from(&put);
                    for durable in erased.values_mut() {
                        *durable = true;
                    }
                }
                Act::Crash(keep) => {
                    disk.crash(if keep { CrashKeep::Everything } else { CrashKeep::Nothing });
                    shelf = open(&mut disk).0;
                    erased.retain(|_, durable| *durable);
                    put.clone_from(&durable);
                    rotten = false;
                }
                // One copy of one row: the next open mends it.
                Act::Rot(second, bit) if !rotten => {
                    let file = SHELF_FILES[usize::from(second)];
                    if let Some(bytes) = disk.bytes(file).filter(|bytes| !bytes.is_empty()) {
                        disk.flip_bit(file, u64::from(bit) % (bytes.len() as u64 * 8));
                        rotten = true;
                    }
                }
                // As a crash leaves them that comes between the two files.
                Act::Stale(second) if !rotten => {
                    let at = usize::from(second);
                    if let Some(bytes) = &before[at] {
                        disk.write_whole(SHELF_FILES[at], bytes).expect("write");
                        shelf = open(&mut disk).0;
                        erased.retain(|_, durable| *durable);
                        put.clone_from(&durable);
                    }
                }
                Act::Rot(..) | Act::Stale(_) => {}
            }
            for document in 1..9 {
                let keys = shelf.keys(&disk, &place(document)).expect("read");
                let mut keys: Vec<Vec<u8>> = keys.into_iter().map(|key| key.wrapped.into()).collect();
                keys.sort_unstable();
                let wanted: Vec<Vec<u8>> = put
                    .range((document, 0)..=(document, u8::MAX))
                    .map(|(document, nth)| wrap(*document, *nth))
                    .collect();
                prop_assert_eq!(&keys, &wanted, "document {}", document);
                prop_assert_eq!(shelf.is_erased(&place(document)), erased.contains_key(&document));
            }
        }
        for (document, durable) in erased {
            for nth in 1..3 {
                prop_assert!(!durable || !contains(&disk, &wrap(document, nth)));
            }
        }
    }
}
