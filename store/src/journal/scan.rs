//! Walking several segments, one after the other, into a checkpoint.
//!
//! It verifies that each segment continues the one before, and refuses to pass a flaw.

use super::checkpoint::Checkpoint;
use super::segment::{self, Header};
use super::walk::{Commit, Link, Stop, Walk};
use super::{Damage, Flaw};
use crate::disk::{Disk, read_full};
use crate::limits::WINDOW_BYTES;

/// What a scan passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    pub commits: u64,
    pub changes: u64,
    pub bytes: u64,
}

/// Where a scan ended.
#[derive(Debug)]
pub(crate) enum End {
    /// At the end of the last segment, or at zeros reserved there.
    Clean,
    /// At a flaw in the last segment; the state stands before it.
    Flawed(Damage),
}

/// Advances `state` over all commits of the segments with these headers, in order, the first
/// `headers` entry being segment 1. A flaw anywhere but in the last segment is an error.
pub(crate) fn scan<D: Disk + ?Sized>(
    disk: &D,
    headers: &[Header],
    state: &mut Checkpoint,
    passed: &mut Passed,
) -> Result<End, Stop> {
    let first = state.at.segment.max(1) as usize;
    let mut end = End::Clean;
    for header in headers.get(first - 1..).unwrap_or_default() {
        let mut walk = start(disk, header, state)?;
        end = match scan_segment(&mut walk, header, state, passed) {
            Ok(()) => End::Clean,
            Err(Stop::Io(error)) => return Err(Stop::Io(error)),
            // A flaw inside of a whole commit lies before the walk, which has passed it.
            Err(Stop::Flaw(damage))
                if only_zeros(disk, header.number, walk.offset.min(damage.offset))? =>
            {
                End::Clean
            }
            Err(Stop::Flaw(damage)) if header.number as usize == headers.len() => {
                End::Flawed(damage)
            }
            Err(Stop::Flaw(damage)) => return Err(Stop::Flaw(damage)),
        };
    }
    Ok(end)
}

/// A walk over the part of a segment that `state` has not seen.
pub(crate) fn start<'d, D: Disk + ?Sized>(
    disk: &'d D,
    header: &Header,
    state: &Checkpoint,
) -> Result<Walk<'d, D>, Stop> {
    if header.number == state.at.segment {
        return Ok(Walk::new(disk, header, u64::from(state.at.offset), state.link)?);
    }
    if state.link != (Link { commits: header.commits, chain: header.chain }) {
        let damage = Damage { segment: header.number, offset: 0, flaw: Flaw::Chain };
        return Err(Stop::Flaw(damage));
    }
    Ok(Walk::from_start(disk, header)?)
}

pub(crate) fn scan_segment<D: Disk + ?Sized>(
    walk: &mut Walk<'_, D>,
    header: &Header,
    state: &mut Checkpoint,
    passed: &mut Passed,
) -> Result<(), Stop> {
    loop {
        let Some(commit) = walk.next_commit()? else { return Ok(()) };
        passed.commits += 1;
        passed.bytes += commit.bytes.len() as u64;
        passed.changes += take(state, header.number, &commit)?;
    }
}

/// Advances `state` over one commit; a record that does not follow is damage.
pub(crate) fn take(state: &mut Checkpoint, segment: u32, commit: &Commit<'_>) -> Result<u64, Stop> {
    state
        .apply(segment, commit)
        .map_err(|(offset, flaw)| Stop::Flaw(Damage { segment, offset: u64::from(offset), flaw }))
}

/// Whether nothing but zeros follows in a segment.
pub(crate) fn only_zeros<D: Disk + ?Sized>(
    disk: &D,
    number: u32,
    offset: u64,
) -> std::io::Result<bool> {
    Ok(used_after(disk, number, offset)? == 0)
}

/// Bytes from `offset` to the last one that is not zero.
pub(crate) fn used_after<D: Disk + ?Sized>(
    disk: &D,
    number: u32,
    offset: u64,
) -> std::io::Result<u64> {
    let name = segment::name(number);
    let mut window = vec![0; WINDOW_BYTES as usize];
    let (mut at, mut used) = (offset, 0);
    loop {
        let read = read_full(disk, &name, at, &mut window)?;
        if let Some(last) = window[..read].iter().rposition(|byte| *byte != 0) {
            used = at - offset + last as u64 + 1;
        }
        at += read as u64;
        if read < window.len() {
            return Ok(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use linli_domain::id::ChangeHash;

    use super::super::record::{Body, Change};
    use super::super::walk::Link;
    use super::super::{Journal, JournalOptions, OpenError, Pending};
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn a_last_commit_that_does_not_follow_is_damage_and_not_an_end() {
        let mut pending = Pending::default();
        pending.begin_segment(1, Link::default());
        pending.write(&Body::Note { key: "epoch", value: b"7" });
        pending.write(&Body::Change(Change {
            space: "community/yili/open",
            seq: 7,
            origin: 0,
            chain: 1,
            entry: "issue/1",
            hash: ChangeHash([1; 32]),
            bytes: b"change",
        }));
        pending.seal(Link::default());
        let mut disk = MemoryDisk::new();
        disk.append("00000001.seg", &pending.buffer).expect("append");
        let opened = Journal::open(disk, JournalOptions::default());
        assert!(
            matches!(&opened, Err(OpenError::Damaged(damage)) if damage.flaw == Flaw::Order),
            "{opened:?}"
        );
    }
}
