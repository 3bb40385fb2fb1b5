//! Reconciliation: finding the changes two peers do not share by comparing digests of ranges of
//! hashes, a byte of prefix at a time.
//!
//! Used when a cursor means nothing any more: a restored backup, a lost tail, a new acquaintance
//! who already holds most of it. Costs a frame for each range that differs, whatever the number
//! of changes that agree.

use linli_domain::digest::Digest;
use linli_domain::id::ChangeHash;

use crate::engine::{Effect, LinkId};
use crate::frame::{Frame, Hashes, Ranges};
use crate::holdings::Holdings;
use crate::limits::{HASHES_PER_FRAME_MAX, RANGE_LIST_MAX};
use crate::session::Session;

/// Longest prefix worth splitting: beyond it, ranges are listed whatever their size.
const PREFIX_BYTES_MAX: usize = 8;

/// Tells the peer the digests of all ranges of the space.
pub(crate) fn begin(
    link: LinkId,
    session: &mut Session,
    holdings: &mut dyn Holdings,
    effects: &mut Vec<Effect>,
) {
    session.note_begun(holdings);
    let children = children_of(within(ours(session, holdings), &[]), 0);
    let ranges = Ranges { space: session.space().clone(), prefix: Vec::new(), children };
    effects.push(Effect::Send { link, frame: Frame::Ranges(ranges) });
}

/// The peer's ranges: answer those that differ, with smaller ranges or with hashes.
pub(crate) fn compare(
    link: LinkId,
    session: &mut Session,
    told: &Ranges,
    holdings: &mut dyn Holdings,
    effects: &mut Vec<Effect>,
) -> Result<(), &'static str> {
    if told.prefix.len() > PREFIX_BYTES_MAX {
        return Err("a range prefix is too long");
    }
    session.note_comparing();
    let space = session.space().clone();
    let all = ours(session, holdings);
    let mine = children_of(within(all, &told.prefix), told.prefix.len());
    let find = |list: &[(u8, Digest)], byte: u8| {
        list.iter().find(|(at, _)| *at == byte).map(|(_, digest)| *digest).unwrap_or_default()
    };
    let mut answers = Vec::new();
    for byte in 0..=u8::MAX {
        let (here, there) = (find(&mine, byte), find(&told.children, byte));
        if here == there {
            continue;
        }
        let mut prefix = told.prefix.clone();
        prefix.push(byte);
        let hashes = within(all, &prefix);
        let small = here.count.max(there.count) <= RANGE_LIST_MAX;
        answers.push(if small || prefix.len() >= PREFIX_BYTES_MAX {
            let hashes = hashes.iter().take(HASHES_PER_FRAME_MAX).map(|(hash, _)| *hash).collect();
            Frame::Hashes(Hashes { space: space.clone(), prefix, hashes, answer: true })
        } else {
            let children = children_of(hashes, prefix.len());
            Frame::Ranges(Ranges { space: space.clone(), prefix, children })
        });
    }
    if told.prefix.is_empty() && answers.is_empty() {
        session.note_same();
    }
    effects.extend(answers.into_iter().map(|frame| Effect::Send { link, frame }));
    Ok(())
}

/// The peer's hashes of one range: queue what it lacks, and ask for what we lack.
pub(crate) fn list(
    link: LinkId,
    session: &mut Session,
    told: &Hashes,
    holdings: &mut dyn Holdings,
    effects: &mut Vec<Effect>,
) -> Result<(), &'static str> {
    if told.prefix.len() > PREFIX_BYTES_MAX || !told.hashes.is_sorted() {
        return Err("a range of hashes is not well formed");
    }
    session.note_listed();
    let mine = within(ours(session, holdings), &told.prefix).to_vec();
    for (hash, seq) in &mine {
        if told.hashes.binary_search(hash).is_err() {
            session.queue_repair(*seq);
        }
    }
    let lacking =
        told.hashes.iter().any(|hash| mine.binary_search_by(|(known, _)| known.cmp(hash)).is_err());
    if told.answer && lacking {
        let hashes = mine.iter().take(HASHES_PER_FRAME_MAX).map(|(hash, _)| *hash).collect();
        let space = session.space().clone();
        let answer = Hashes { space, prefix: told.prefix.clone(), hashes, answer: false };
        effects.push(Effect::Send { link, frame: Frame::Hashes(answer) });
    }
    Ok(())
}

fn ours<'s>(session: &'s mut Session, holdings: &mut dyn Holdings) -> &'s [(ChangeHash, u64)] {
    let space = session.space().clone();
    session.hashes.get_or_insert_with(|| holdings.hashes(&space))
}

/// The part of an ascending list whose hashes begin with `prefix`.
fn within<'s>(all: &'s [(ChangeHash, u64)], prefix: &[u8]) -> &'s [(ChangeHash, u64)] {
    let from = all.partition_point(|(hash, _)| hash.0[..prefix.len()] < *prefix);
    let to = all.partition_point(|(hash, _)| hash.0[..prefix.len()] <= *prefix);
    &all[from..to]
}

/// Digests by the byte at `depth`; bytes that do not occur are left out.
fn children_of(range: &[(ChangeHash, u64)], depth: usize) -> Vec<(u8, Digest)> {
    let mut children: Vec<(u8, Digest)> = Vec::new();
    for (hash, _) in range {
        let byte = hash.0[depth];
        match children.last_mut() {
            Some((last, digest)) if *last == byte => digest.add(hash),
            _ => children.push((byte, Digest::from_iter([*hash]))),
        }
    }
    children
}
