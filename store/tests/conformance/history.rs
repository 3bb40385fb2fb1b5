//! What a store should hold, kept beside it in plain collections, and the checks that it does.

use std::collections::BTreeMap;

use linli_domain::digest::Digest;
use linli_domain::id::{ChangeHash, EntryId, Space};
use linli_store::{Disk, Head, Journal, NoBlocks, Record, Store, ViewBatch, Views, link};

/// One change as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) origin: u64,
    pub(crate) entry: EntryId,
    pub(crate) hash: ChangeHash,
    pub(crate) bytes: Vec<u8>,
}

/// Spaces with their changes in order, and the notes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) spaces: BTreeMap<Space, Vec<Change>>,
    pub(crate) notes: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn space(number: usize) -> Space {
    let all = [
        "community/cui-zhu/open",
        "community/cui-zhu/sealed",
        "community/song-tao/open",
        "street/he-ping/board",
    ];
    Space::parse(all[number % all.len()]).expect("a space")
}

/// A change that no other number yields, of about `bytes` bytes.
pub(crate) fn change(number: u64, bytes: usize) -> Change {
    let mut hash = [0; 32];
    for (at, word) in hash.chunks_exact_mut(8).enumerate() {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ at as u64);
        word.copy_from_slice(&mixed.to_le_bytes());
    }
    let entry = EntryId::new("issue", &format!("{:02}", number % 7)).expect("an entry id");
    let body = (0..bytes).map(|at| (number as usize * 31 + at) as u8).collect();
    Change { origin: number % 3, entry, hash: ChangeHash(hash), bytes: body }
}

impl History {
    pub(crate) fn add<D: Disk, V: Views>(
        &mut self,
        store: &mut Store<D, V>,
        at: &Space,
        change: Change,
    ) {
        let Change { origin, entry, hash, bytes } = &change;
        let seq = store.append(at, *origin, entry, hash, bytes).expect("append");
        let list = self.spaces.entry(at.clone()).or_default();
        list.push(change);
        assert_eq!(seq, list.len() as u64);
    }

    /// Adds `count` changes over all spaces, `per_commit` to a commit, and commits the last.
    pub(crate) fn grow<D: Disk, V: Views>(
        &mut self,
        store: &mut Store<D, V>,
        count: u64,
        per_commit: u64,
        bytes: usize,
    ) {
        let before = self.changes();
        for number in before..before + count {
            self.add(store, &space((number % 3) as usize), change(number, bytes));
            if number % per_commit == per_commit - 1 {
                store.commit().expect("commit");
            }
        }
        store.commit().expect("commit");
    }

    pub(crate) fn note<D: Disk, V: Views>(
        &mut self,
        store: &mut Store<D, V>,
        key: &str,
        value: &[u8],
    ) {
        store.append_note(key, value).expect("note");
        self.notes.insert(key.to_owned(), value.to_vec());
    }

    pub(crate) fn changes(&self) -> u64 {
        self.spaces.values().map(|list| list.len() as u64).sum()
    }

    pub(crate) fn head(&self, at: &Space) -> Head {
        let mut head = Head::default();
        for change in self.spaces.get(at).into_iter().flatten() {
            let digest: Digest = std::iter::once(change.hash).collect();
            head = Head {
                seq: head.seq + 1,
                chain: link(head.chain, &change.hash),
                digest: head.digest.plus(&digest),
            };
        }
        head
    }

    /// Checks heads, every record by every way of reading, hashes, chain and notes.
    pub(crate) fn check<D: Disk, V: Views>(&self, store: &mut Store<D, V>) {
        self.check_heads(store.journal());
        for (at, list) in &self.spaces {
            let mut after = 0;
            for page in list.chunks(7) {
                let records = store.read(at, after, 7, usize::MAX).expect("read");
                assert_same(at, after, &records, page);
                after += page.len() as u64;
            }
            assert_eq!(store.read(at, after, 7, usize::MAX).expect("read"), []);
            let all = store.read(at, 0, usize::MAX, usize::MAX).expect("read");
            assert_same(at, 0, &all, list);
            let hashes: Vec<_> = list.iter().map(|change| change.hash).zip(1..).collect();
            assert_eq!(store.hashes(at).expect("hashes"), hashes);
            for (record, seq) in all.iter().zip(1..).step_by(5) {
                assert_eq!(store.read_one(at, seq).expect("read").as_ref(), Some(record));
                assert_eq!(store.chain_at(at, seq).expect("chain"), Some(record.chain));
            }
            let beyond = list.len() as u64 + 1;
            assert_eq!(store.read_one(at, beyond).expect("read"), None);
            assert_eq!(store.chain_at(at, beyond).expect("chain"), None);
            assert_eq!(store.chain_at(at, 0).expect("chain"), Some(0));
        }
    }

    /// As `check`, for a journal whose index is in memory.
    pub(crate) fn check_journal<D: Disk>(&self, journal: &Journal<D>) {
        self.check_heads(journal);
        for (at, list) in &self.spaces {
            let all = journal.read(at, 0, usize::MAX, usize::MAX, &NoBlocks).expect("read");
            assert_same(at, 0, &all, list);
        }
    }

    fn check_heads<D: Disk>(&self, journal: &Journal<D>) {
        let heads: Vec<_> = self.spaces.keys().map(|at| (at, self.head(at))).collect();
        let found: Vec<_> = journal.spaces().filter(|(_, head)| head.seq > 0).collect();
        assert_eq!(found, heads);
        let notes: Vec<_> =
            self.notes.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        assert_eq!(journal.notes().collect::<Vec<_>>(), notes);
    }
}

pub(crate) fn assert_same(at: &Space, after: u64, records: &[Record], expected: &[Change]) {
    assert_eq!(records.len(), expected.len());
    for ((record, change), seq) in records.iter().zip(expected).zip(after + 1..) {
        assert!(same(record, at, seq, change), "{record:?} is not {change:?} at {seq}");
    }
}

pub(crate) fn same(record: &Record, at: &Space, seq: u64, change: &Change) -> bool {
    record.space == *at
        && record.seq == seq
        && record.origin == change.origin
        && record.entry == change.entry
        && record.hash == change.hash
        && record.bytes == change.bytes
}

/// Applies a record to rows in a way that must not happen twice: counts and sums.
pub(crate) fn apply<D: Disk, V: Views>(store: &mut Store<D, V>, record: &Record) {
    let mut batch = ViewBatch::new();
    let sum: u64 = record.bytes.iter().map(|byte| u64::from(*byte)).sum();
    for (key, more) in [
        (format!("count/{}/{}", record.space, record.entry), 1),
        (format!("sum/{}", record.space), sum + record.seq),
    ] {
        let before = store.get(key.as_bytes()).expect("row").map_or(0, |row| number(&row));
        batch.put(key, (before + more).to_le_bytes());
    }
    store.write(batch);
}

/// Applies what the views have not seen; returns how many records that were.
pub(crate) fn catch_up<D: Disk, V: Views>(store: &mut Store<D, V>) -> usize {
    let mut seen = 0;
    while !store.replay_done() {
        for record in store.replay_next(5).expect("replay") {
            apply(store, &record);
            seen += 1;
        }
    }
    seen
}

/// The rows that `apply` makes of a whole history.
pub(crate) fn rows_of(history: &History) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    for (at, list) in &history.spaces {
        for (change, seq) in list.iter().zip(1..) {
            *rows.entry(format!("count/{at}/{}", change.entry)).or_default() += 1;
            let sum: u64 = change.bytes.iter().map(|byte| u64::from(*byte)).sum();
            *rows.entry(format!("sum/{at}")).or_default() += sum + seq;
        }
    }
    rows
}

pub(crate) fn rows<D: Disk, V: Views>(store: &Store<D, V>) -> BTreeMap<String, u64> {
    let rows = store.scan(b"", None, usize::MAX).expect("scan");
    let text = |key| String::from_utf8(key).expect("text");
    rows.into_iter().map(|(key, row)| (text(key), number(&row))).collect()
}

fn number(row: &[u8]) -> u64 {
    u64::from_le_bytes(row.try_into().expect("eight bytes"))
}
