//! Recovery of a journal over segments that are not what was written.
//!
//! An input is a story: one byte says which journal was written, then come strokes of four bytes
//! each that spoil it. So an input is small, and a stroke can repair checksums and chains as bytes
//! alone cannot. What opens must give back a prefix of what was written; what does not must name a
//! flaw, and its salvage keep every record whose bytes are as they were. It refuses strokes on a
//! running journal.

mod forge;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::id::{ChangeHash, Space};
use linli_store::journal::OpenError;
use linli_store::{Flaw, Journal, JournalOptions, MemoryDisk, NoBlocks};

use self::forge::{Spoilt, Stroke};
use self::written::{Written, written};
use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "journal", run, mutate, seeds };

/// Strokes that are played; more say nothing new.
const STROKES_MAX: usize = 12;

const OPTIONS: JournalOptions = JournalOptions { segment_bytes: 1_500, tail_bytes: 1 << 12 };

fn run(input: &[u8]) -> Verdict {
    let Some((which, strokes)) = input.split_first() else { return Verdict::refused("empty") };
    let whole = &written()[usize::from(*which) % written().len()];
    let disk = whole.disk.copy();
    let mut spoilt = Spoilt::default();
    for stroke in strokes.as_chunks::<4>().0.iter().take(STROKES_MAX) {
        Stroke::read(*stroke).play(&disk, &mut spoilt);
    }
    let untouched = whole.untouched(&disk);
    let opened = disk.copy();
    match Journal::open(opened.clone(), OPTIONS) {
        Ok((journal, report)) => {
            let held = content(&journal);
            if !spoilt.forged {
                whole.is_prefix(&held);
                let all: usize = held.values().map(Vec::len).sum();
                let less = all < whole.records.len();
                let told = report.set_back() || spoilt.reach;
                assert!(!less || told, "{all} records are left and nobody is told: {report:?}");
            }
            goes_on(journal, opened);
            Verdict::Accepted
        }
        Err(OpenError::Damaged(damage)) => {
            salvaged(whole, disk, &untouched, &spoilt);
            Verdict::refused(damage.flaw.to_string())
        }
        Err(OpenError::Newer { .. }) => Verdict::refused("newer"),
        Err(other) => panic!("a journal in memory: {other}"),
    }
}

/// Everything a journal gives back, by every way of reading.
fn content(journal: &Journal<MemoryDisk>) -> BTreeMap<Space, Vec<ChangeHash>> {
    let spaces: Vec<_> = journal.spaces().map(|(at, head)| (at.clone(), head)).collect();
    let mut all = BTreeMap::new();
    for (space, head) in spaces {
        let records = journal.read(&space, 0, usize::MAX, usize::MAX, &NoBlocks).expect("reads");
        let hashes = journal.hashes(&space, &NoBlocks).expect("hashes");
        assert_eq!(records.len() as u64, head.seq, "{space}: another head");
        assert!(hashes.iter().map(|(hash, _)| hash).eq(records.iter().map(|r| &r.hash)));
        let digest = hashes.iter().map(|(hash, _)| *hash).collect();
        assert_eq!(head.digest, digest, "{space}: another digest");
        all.insert(space, records.into_iter().map(|record| record.hash).collect());
    }
    // How far it once reached is told by the report of the open, and written anew by a commit.
    let damage = journal.audit().expect("an audit").damage;
    let damage: Vec<_> = damage.into_iter().filter(|at| at.flaw != Flaw::Reach).collect();
    assert_eq!(damage, [], "opened and not sound");
    all
}

/// It takes one more record, and opens with it.
fn goes_on(mut journal: Journal<MemoryDisk>, disk: MemoryDisk) {
    let (space, entry) = (written::space(0), written::entry(0));
    let before = journal.head(&space).seq;
    journal.append(&space, 1, &entry, &ChangeHash([0xfe; 32]), b"one more").expect("appends");
    journal.commit().expect("commits");
    drop(journal);
    let (journal, report) = Journal::open(disk, OPTIONS).expect("opens with one more");
    assert_eq!(journal.head(&space).seq, before + 1);
    assert_eq!((report.cut, report.short), (None, None), "its own end was cut");
}

fn salvaged(
    whole: &Written,
    mut disk: MemoryDisk,
    untouched: &BTreeSet<ChangeHash>,
    spoilt: &Spoilt,
) {
    let report = match Journal::salvage(&mut disk, OPTIONS) {
        Ok(report) => report,
        Err(error) => panic!("cannot be salvaged: {error:?}"),
    };
    let (journal, _) = Journal::open(disk.clone(), OPTIONS).expect("a salvaged journal opens");
    let held: BTreeSet<ChangeHash> = content(&journal).into_values().flatten().collect();
    if !spoilt.forged && !spoilt.moved {
        assert!(!report.damage.is_empty(), "it did not open, and nothing was wrong");
    }
    if !spoilt.forged {
        let written: BTreeSet<ChangeHash> = whole.records.iter().map(|at| at.hash).collect();
        assert!(held.is_subset(&written), "salvage kept what nobody wrote");
    }
    if !spoilt.forged && !spoilt.moved && !spoilt.reach {
        let lost: Vec<_> = untouched.difference(&held).collect();
        assert!(lost.is_empty(), "{} intact records were not kept", lost.len());
    }
    goes_on(journal, disk);
}

fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    if input.is_empty() || chance.one_in(8) {
        crate::blind::mutate(input, others, chance);
    } else if input.len() > 4 && chance.one_in(3) {
        let at = 1 + chance.below(input.len() - 1);
        input[at] = chance.bytes::<1>()[0];
    } else if input.len() > 4 && chance.one_in(4) {
        input.truncate(input.len() - 4);
    } else {
        input.extend_from_slice(&chance.bytes::<4>());
    }
    input.truncate(1 + 4 * STROKES_MAX);
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for which in 0..written().len() as u8 {
        out.push((format!("honest-{which}"), vec![which]));
        for kind in (0..forge::KINDS).filter(|_| which == 2) {
            out.push((format!("stroke-{which}-{kind}"), vec![which, kind, 0, 90, 3]));
        }
    }
    out
}
