//! The journals that are spoilt: honest ones of some segments, and where their records lie. It
//! refuses chance, so that an input means the same in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use linli_domain::id::{ChangeHash, EntryId, Space};
use linli_store::{Disk as _, Journal, MemoryDisk};

use super::OPTIONS;
use super::forge::{HEADER_BYTES, frames, segments};

/// A journal as it was written.
pub(super) struct Written {
    pub(super) disk: MemoryDisk,
    pub(super) records: Vec<Place>,
}

/// A record of it.
pub(super) struct Place {
    space: Space,
    pub(super) hash: ChangeHash,
    segment: String,
    frame: std::ops::Range<usize>,
}

pub(super) fn space(number: usize) -> Space {
    let all = ["community/yili/open", "community/yili/sealed", "street/he-ping/board"];
    Space::parse(all[number % all.len()]).expect("a space")
}

pub(super) fn entry(number: usize) -> EntryId {
    EntryId::new("issue", &format!("{number:02}")).expect("an entry id")
}

/// Records, records in one commit, and bytes of a record.
const SHAPES: [(u8, u8, usize); 4] = [(1, 1, 20), (24, 1, 60), (40, 5, 200), (30, 30, 10)];

pub(super) fn written() -> &'static [Written] {
    static ALL: OnceLock<Vec<Written>> = OnceLock::new();
    ALL.get_or_init(|| {
        SHAPES.into_iter().map(|(count, each, len)| write(count, each, len)).collect()
    })
}

fn write(count: u8, each: u8, len: usize) -> Written {
    let disk = MemoryDisk::new();
    let (mut journal, _) = Journal::open(disk.clone(), OPTIONS).expect("an empty disk");
    journal.append_note("epoch", b"7").expect("a note");
    let mut spaces = BTreeMap::new();
    for number in 0..count {
        let at = space(usize::from(number));
        let hash = ChangeHash([number + 1; 32]);
        let bytes = vec![number ^ 0x55; len + usize::from(number % 7)];
        journal.append(&at, 0, &entry(usize::from(number % 5)), &hash, &bytes).expect("appends");
        spaces.insert(hash, at);
        if number % each == each - 1 {
            journal.commit().expect("commits");
        }
    }
    journal.commit().expect("commits");
    drop(journal);
    let mut records = Vec::new();
    for segment in segments(&disk) {
        let bytes = disk.bytes(&segment).expect("a segment");
        for frame in frames(&bytes) {
            let hash =
                bytes.get(frame.start + 36..frame.start + 68).and_then(ChangeHash::from_slice);
            let known = hash.and_then(|hash| Some((hash, spaces.get(&hash)?.clone())));
            if let Some((hash, space)) = known {
                records.push(Place { space, hash, segment: segment.clone(), frame });
            }
        }
    }
    assert_eq!(records.len(), usize::from(count), "every record was found again");
    Written { disk, records }
}

impl Written {
    /// The records that a disk still holds in their place, under their segment's own header.
    pub(super) fn untouched(&self, disk: &MemoryDisk) -> BTreeSet<ChangeHash> {
        let mut kept = BTreeSet::new();
        for segment in segments(disk) {
            let (Some(now), Some(then)) = (disk.bytes(&segment), self.disk.bytes(&segment)) else {
                continue;
            };
            if now.get(..HEADER_BYTES) != then.get(..HEADER_BYTES) {
                continue;
            }
            let same =
                |place: &&Place| now.get(place.frame.clone()) == then.get(place.frame.clone());
            let of_segment = self.records.iter().filter(|place| place.segment == segment);
            kept.extend(of_segment.filter(same).map(|place| place.hash));
        }
        kept
    }

    /// Each space holds the first of its records, in their order, and nothing else.
    pub(super) fn is_prefix(&self, held: &BTreeMap<Space, Vec<ChangeHash>>) {
        for (space, hashes) in held {
            let mine = self.records.iter().filter(|place| place.space == *space);
            let first: Vec<_> = mine.map(|place| place.hash).take(hashes.len()).collect();
            assert_eq!(*hashes, first, "{space} holds something else than was written");
        }
    }
}

/// The files of a disk, for whoever wants to look at all of them.
pub(super) fn names(disk: &MemoryDisk) -> Vec<String> {
    disk.list().expect("a disk in memory")
}
