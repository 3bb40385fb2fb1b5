//! Opening a journal: what is kept, what is cut, what is refused.
//!
//! A crash can leave behind the last sealed commit: nothing, zeros, or pieces of one commit that
//! was never acknowledged. That is cut. If a later commit is sealed behind a flaw, the flaw is not
//! a crash's, and the open is refused.

use std::fmt;

use linli_domain::id::Space;

use super::checkpoint::Checkpoint;
use super::reach::Reach;
use super::record::{self, Body, SEAL_BYTES};
use super::scan::{self, End, Passed};
use super::segment::{self, HEADER_BYTES, Header, Position};
use super::tail::Tail;
use super::walk::{Link, Stop};
use super::{Damage, Flaw, Journal, JournalOptions, OpenError, Pending, SalvageReport, salvage};
use crate::disk::{Disk, read_full};
use crate::limits::{PENDING_BYTES_MAX, WINDOW_BYTES};

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Segment files.
    pub segments: u32,
    /// Commits read.
    pub commits_read: u64,
    /// Changes read.
    pub changes_read: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// The tail that was cut, if a crash had left one.
    pub cut: Option<Cut>,
    /// Why the checkpoint was not used and everything was read instead.
    pub refused: Option<Refusal>,
    /// Records that the checkpoint knew and the journal no longer holds: an older copy was put
    /// back, or its end was lost. The store then needs a new epoch.
    pub lost: Vec<Lost>,
    /// What an interrupted salvage, finished by this open, kept and lost.
    pub salvaged: Option<SalvageReport>,
    /// Commits at the end that were durable once and are gone, or others now, as the reach tells.
    pub short: Option<Short>,
    /// The reach was not what was written; it was written anew.
    pub reach_lost: bool,
}

impl OpenReport {
    /// Whether something that was durable may be missing: an older copy was put back, the end was
    /// lost, or what is intact was written anew. What peers know of this journal's numbers is then
    /// about another life of it, and the store needs a new epoch.
    pub fn set_back(&self) -> bool {
        let cut = self.cut.as_ref().is_some_and(|cut| cut.sealed);
        self.refused.is_some() || cut || self.salvaged.is_some() || self.short.is_some()
    }
}

/// A journal that ends earlier, or otherwise, than it once did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// Commits it had.
    pub had: u64,
    /// Commits it has.
    pub has: u64,
}

/// A tail that was cut at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where the last sealed commit ends.
    pub at: Position,
    /// Bytes behind it, reserved zeros not counted.
    pub bytes: u64,
    /// Whether the tail was a whole commit with a flaw inside. That is either a commit whose pages
    /// reached the disk out of order, or a durable one that rotted; the bytes were kept aside.
    pub sealed: bool,
    /// Name of the file in which the bytes were kept aside.
    pub kept_as: Option<String>,
}

/// A space that ends earlier than it once did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The space.
    pub space: Space,
    /// Number of its last record as the checkpoint knew it.
    pub had: u64,
    /// Number of its last record now.
    pub has: u64,
}

/// Why a checkpoint does not fit a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The journal ends before it.
    BeyondTheEnd,
    /// The journal holds something else at its place.
    OtherHistory,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeyondTheEnd => "the journal ends before the views",
            Self::OtherHistory => "the views belong to another journal",
        })
    }
}

impl<D: Disk> Journal<D> {
    /// Opens a journal by reading all of it; an empty disk is an empty journal.
    pub fn open(disk: D, options: JournalOptions) -> Result<(Self, OpenReport), OpenError> {
        Self::open_from(disk, options, None)
    }

    /// Opens a journal by reading what came after the checkpoint. A checkpoint that does not fit is
    /// refused in the report and everything is read.
    pub fn open_from(
        mut disk: D,
        options: JournalOptions,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let salvaged = salvage::resume(&mut disk, options).map_err(Box::new)?;
        let (journal, report) = Self::open_checked(disk, options, checkpoint)?;
        Ok((journal, OpenReport { salvaged, ..report }))
    }

    /// As `open_from`, on a disk where no salvage is in progress.
    pub(super) fn open_checked(
        mut disk: D,
        options: JournalOptions,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let segments = segment::count(&disk)?;
        let mut headers = read_headers(&disk, segments)?;
        let refused = match &checkpoint {
            Some(checkpoint) => refuse(&disk, &headers, checkpoint)?,
            None => None,
        };
        let reach = Reach::read(&disk)?;
        let mut report = OpenReport { refused, ..OpenReport::default() };
        let before = if refused.is_none() { checkpoint.clone() } else { None };
        let mut state = before.unwrap_or_default();
        let mut passed = Passed::default();
        let end = scan::scan(&disk, &headers, &mut state, &mut passed).map_err(stopped)?;
        if let End::Flawed(damage) = end {
            if headers.len() < segments as usize {
                // A later segment was begun, so this one had been closed cleanly.
                return Err(OpenError::Damaged(damage));
            }
            if reach.commits() > state.link.commits {
                // What is flawed was durable: pieces of it can be saved.
                return Err(OpenError::Damaged(damage));
            }
            let header = headers.last().expect("a flaw lies in a segment");
            report.cut = Some(judge_tail(&mut disk, header, &state, damage)?);
        }
        if headers.len() < segments as usize {
            if reach.commits() > state.link.commits && scan::used_after(&disk, segments, 0)? > 0 {
                let damage = Damage { segment: segments, offset: 0, flaw: Flaw::Header };
                return Err(OpenError::Damaged(damage));
            }
            report.cut = judge_headerless(&mut disk, segments, &state)?;
        }
        report.reach_lost = reach == Reach::Unreadable;
        let (had, has) = (reach.commits(), state.link.commits);
        let other = match reach.end() {
            Some(end) if had <= has => refuse(&disk, &headers, &end)?.is_some(),
            _ => false,
        };
        report.short = (had > has || other).then_some(Short { had, has });
        close_end(&mut disk, &mut headers, &state, report.cut.is_some())?;
        report.segments = headers.len() as u32;
        report.commits_read = passed.commits;
        report.changes_read = passed.changes;
        report.bytes_read = passed.bytes;
        if let (Some(checkpoint), Some(_)) = (&checkpoint, refused) {
            report.lost = lost(checkpoint, &state);
        }
        if !report.set_back() {
            // Otherwise the next open has to notice as well, until the owner has committed.
            Reach::write(&mut disk, &state);
        }
        let tail = Tail::new(options.tail_bytes);
        let pending = Pending::default();
        let journal = Self { disk, options, headers, state, pending, tail, poisoned: false };
        Ok((journal, report))
    }
}

/// Headers of all segments; the last may be absent if its file does not begin with one.
pub(super) fn read_headers<D: Disk>(disk: &D, segments: u32) -> Result<Vec<Header>, OpenError> {
    let mut headers: Vec<Header> = Vec::with_capacity(segments as usize);
    for number in 1..=segments {
        let damaged = |flaw| Err(OpenError::Damaged(Damage { segment: number, offset: 0, flaw }));
        match segment::read_header(disk, number)? {
            Some(header) => {
                let follows = match headers.last() {
                    Some(before) => before.commits <= header.commits,
                    None => header.commits == 0 && header.chain == [0; 32],
                };
                if !follows {
                    return damaged(Flaw::Chain);
                }
                headers.push(header);
            }
            None if number == segments => {}
            None => return damaged(Flaw::Header),
        }
    }
    Ok(headers)
}

/// Whether a checkpoint is the end of a commit of this journal.
fn refuse<D: Disk>(
    disk: &D,
    headers: &[Header],
    checkpoint: &Checkpoint,
) -> Result<Option<Refusal>, OpenError> {
    let at = checkpoint.at;
    if at.segment == 0 {
        return Ok(None);
    }
    let Some(header) = headers.get(at.segment as usize - 1) else {
        return Ok(Some(Refusal::BeyondTheEnd));
    };
    let mut frame = [0; SEAL_BYTES];
    let Some(seal_at) = at.offset.checked_sub(SEAL_BYTES as u32) else {
        return Ok(Some(Refusal::OtherHistory));
    };
    let read = read_full(disk, &segment::name(at.segment), u64::from(seal_at), &mut frame)?;
    if read < SEAL_BYTES || frame == [0; SEAL_BYTES] {
        return Ok(Some(Refusal::BeyondTheEnd));
    }
    let link = record::verified(&frame, header.seed(), seal_at)
        .and_then(|_| record::decode(&frame))
        .and_then(|body| match body {
            Body::Seal(seal) => Some(Link { commits: seal.ordinal, chain: seal.chain }),
            Body::Change(_) | Body::Note { .. } | Body::NoteGone { .. } => None,
        });
    Ok((link != Some(checkpoint.link)).then_some(Refusal::OtherHistory))
}

/// Decides about a flaw in the last segment: damage if a commit after the flawed one is sealed.
fn judge_tail<D: Disk>(
    disk: &mut D,
    header: &Header,
    state: &Checkpoint,
    damage: Damage,
) -> Result<Cut, OpenError> {
    let offset =
        if state.at.segment == header.number { state.at.offset } else { HEADER_BYTES as u32 };
    let at = Position { segment: header.number, offset };
    let seals = seals_behind(disk, header, u64::from(offset))?;
    let next = state.link.commits + 1;
    // A record with the right checksum was written as it is: no crash makes it wrong.
    let written_so = matches!(damage.flaw, Flaw::Order | Flaw::Shape);
    if written_so || seals.iter().any(|ordinal| *ordinal > next) {
        return Err(OpenError::Damaged(damage));
    }
    let bytes = scan::used_after(disk, header.number, u64::from(offset))?;
    let sealed = seals.contains(&next);
    let kept_as = if sealed { Some(keep_aside(disk, at, bytes)?) } else { None };
    Ok(Cut { at, bytes, sealed, kept_as })
}

/// Decides about a last segment without a header: damage if a commit after its first is sealed.
/// Of the first, a crash may have kept the seal and not the header.
fn judge_headerless<D: Disk>(
    disk: &mut D,
    number: u32,
    state: &Checkpoint,
) -> Result<Option<Cut>, OpenError> {
    let header = Header { number, commits: state.link.commits, chain: state.link.chain };
    let seals = seals_behind(disk, &header, HEADER_BYTES as u64)?;
    let next = state.link.commits + 1;
    if seals.iter().any(|ordinal| *ordinal > next) {
        let damage = Damage { segment: number, offset: 0, flaw: Flaw::Header };
        return Err(OpenError::Damaged(damage));
    }
    let bytes = scan::used_after(disk, number, 0)?;
    let at = Position { segment: number, offset: 0 };
    let sealed = seals.contains(&next);
    let kept_as = if sealed { Some(keep_aside(disk, at, bytes)?) } else { None };
    Ok((bytes > 0).then_some(Cut { at, bytes, sealed, kept_as }))
}

/// The ordinals of all intact seals from `offset` on, wherever they stand.
pub(super) fn seals_behind<D: Disk>(
    disk: &D,
    header: &Header,
    offset: u64,
) -> Result<Vec<u64>, OpenError> {
    let name = segment::name(header.number);
    let (seed, mut found) = (header.seed(), Vec::new());
    let mut window = vec![0; WINDOW_BYTES as usize];
    let mut at = offset;
    loop {
        let read = read_full(disk, &name, at, &mut window)?;
        for (start, frame) in window[..read].windows(SEAL_BYTES).enumerate() {
            if record::may_be_seal(frame)
                && record::verified(frame, seed, at as u32 + start as u32).is_some()
                && let Some(Body::Seal(seal)) = record::decode(frame)
            {
                found.push(seal.ordinal);
            }
        }
        if read < window.len() {
            return Ok(found);
        }
        at += (read - SEAL_BYTES + 1) as u64;
    }
}

fn keep_aside<D: Disk>(disk: &mut D, at: Position, bytes: u64) -> Result<String, OpenError> {
    let kept = format!("cut-{:08}-{:08x}.bin", at.segment, at.offset);
    let most = bytes.min(2 * PENDING_BYTES_MAX as u64) as usize;
    let mut tail = vec![0; most];
    let read = read_full(disk, &segment::name(at.segment), u64::from(at.offset), &mut tail)?;
    disk.write_whole(&kept, &tail[..read])?;
    Ok(kept)
}

/// Makes the last segment end where the last commit ends, and drops one that holds none.
fn close_end<D: Disk>(
    disk: &mut D,
    headers: &mut Vec<Header>,
    state: &Checkpoint,
    cut: bool,
) -> Result<(), OpenError> {
    let segments = segment::count(disk)?;
    for number in (state.at.segment + 1..=segments).rev() {
        disk.remove(&segment::name(number))?;
        disk.sync_dir()?;
    }
    headers.truncate(state.at.segment as usize);
    if state.at.segment > 0 {
        let name = segment::name(state.at.segment);
        let end = u64::from(state.at.offset);
        if disk.len(&name)? > end {
            disk.truncate(&name, end)?;
            if cut {
                disk.sync(&name)?;
            }
        }
    }
    Ok(())
}

fn lost(checkpoint: &Checkpoint, state: &Checkpoint) -> Vec<Lost> {
    let spaces = checkpoint.spaces.iter();
    let lost = spaces.filter_map(|(space, track)| {
        let (had, has) = (track.durable.seq, state.head(space).seq);
        (has < had).then(|| Lost { space: space.clone(), had, has })
    });
    lost.collect()
}

pub(super) fn stopped(stop: Stop) -> OpenError {
    match stop {
        Stop::Io(error) => OpenError::Io(error),
        Stop::Flaw(damage) => OpenError::Damaged(damage),
    }
}
