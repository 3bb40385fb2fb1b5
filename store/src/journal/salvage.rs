//! Making a sound journal of a damaged one.
//!
//! Every record that is intact is written again, in order, into new segments; the damaged files
//! stay beside them as `.damaged`. Numbers after a lost record change, so peers' cursors no longer
//! fit, which their chain values tell them; the store needs a new epoch, and fetches what was lost
//! from a peer whose digest differs. A salvage that is interrupted is taken up by the next open.
//! It refuses to repair a record.

use std::io;

use linli_domain::id::{EntryId, Space};

use super::reach::{self, Reach};
use super::record::{self, Body, FRAME_BYTES};
use super::segment::{self, HEADER_BYTES, Header};
use super::walk::Link;
use super::{
    AppendError, Checkpoint, CommitError, Damage, Flaw, Journal, JournalOptions, OpenError,
};
use crate::disk::{Disk, read_full};

/// Marks a salvage in progress; holds the number of damaged segments.
const MARKER: &str = "salvage";

/// What a salvage kept and lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// Changes written again.
    pub changes: u64,
    /// Notes written again, removals counted.
    pub notes: u64,
    /// The stretches that were lost.
    pub damage: Vec<Damage>,
}

/// Why a salvage did not finish. The next open takes it up again.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The disk failed.
    #[error("the journal's disk failed while salvaging")]
    Io(#[from] io::Error),
    /// The new journal cannot be opened.
    #[error("the new journal cannot be opened")]
    Open(#[source] Box<OpenError>),
    /// A record that was read cannot be written.
    #[error("a record cannot be written again")]
    Append(#[from] AppendError),
    /// The new journal cannot be committed.
    #[error("the new journal cannot be committed")]
    Commit(#[from] CommitError),
}

impl<D: Disk> Journal<D> {
    /// Makes a sound journal of the intact records of a damaged one. No journal may be open on this
    /// disk. One that was interrupted is finished: what it has put aside is all there is.
    pub fn salvage(disk: &mut D, options: JournalOptions) -> Result<SalvageReport, SalvageError> {
        if let Some(report) = resume(disk, options)? {
            return Ok(report);
        }
        let names = disk.list()?;
        for name in names.iter().filter(|name| name.ends_with(DAMAGED)) {
            disk.remove(name)?;
        }
        disk.sync_dir()?;
        let last = names.iter().filter_map(|name| segment::number(name)).max().unwrap_or(0);
        disk.write_whole(MARKER, &last.to_le_bytes())?;
        finish(disk, options, last)
    }
}

/// Whether a salvage was interrupted.
pub(super) fn is_pending<D: Disk>(disk: &D) -> io::Result<bool> {
    Ok(disk.list()?.iter().any(|name| name == MARKER))
}

/// Takes up a salvage that was interrupted.
pub(super) fn resume<D: Disk>(
    disk: &mut D,
    options: JournalOptions,
) -> Result<Option<SalvageReport>, SalvageError> {
    let mut last = [0; 4];
    match read_full(disk, MARKER, 0, &mut last) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SalvageError::Io(error)),
        Ok(_) => finish(disk, options, u32::from_le_bytes(last)).map(Some),
    }
}

const DAMAGED: &str = ".damaged";
/// The reach of the damaged journal.
const REACH: &str = "reach.damaged";

fn finish<D: Disk>(
    disk: &mut D,
    options: JournalOptions,
    last: u32,
) -> Result<SalvageReport, SalvageError> {
    let names = disk.list()?;
    if names.iter().any(|name| name == reach::NAME) && !names.iter().any(|name| name == REACH) {
        disk.rename(reach::NAME, REACH)?;
    }
    for number in 1..=last {
        let (sound, damaged) = (segment::name(number), damaged_name(number));
        if names.contains(&sound) && !names.contains(&damaged) {
            disk.rename(&sound, &damaged)?;
        }
    }
    disk.sync_dir()?;
    // What still is a segment now was written by the interrupted salvage.
    for name in disk.list()?.iter().filter(|name| segment::number(name).is_some()) {
        disk.remove(name)?;
    }
    disk.sync_dir()?;
    let report = write_again(disk, options, last)?;
    disk.remove(MARKER)?;
    disk.sync_dir()?;
    Ok(report)
}

fn write_again<D: Disk>(
    disk: &mut D,
    options: JournalOptions,
    last: u32,
) -> Result<SalvageReport, SalvageError> {
    let mut report = SalvageReport::default();
    let mut known = Checkpoint::default();
    let mut before = Some(Link::default());
    let reach = Reach::read_from(disk, REACH)?.end().map(|end| end.at());
    for number in 1..=last {
        let bytes = read_whole(disk, &damaged_name(number))?;
        // Up to where the journal is known to have come, everything was durable, sealed or not.
        let durable = match reach {
            Some(at) if at.segment == number => at.offset as usize,
            Some(at) if at.segment > number => usize::MAX,
            _ if number < last => usize::MAX,
            _ => 0,
        };
        let pieces = Pieces::of(&bytes, number, before, durable);
        before = pieces.link;
        report.damage.extend(&pieces.damage);
        let opened = Journal::open_checked(&mut *disk, options, Some(known));
        let (mut journal, _) = opened.map_err(|error| SalvageError::Open(Box::new(error)))?;
        for (_, frame) in &pieces.frames {
            write_one(&mut journal, frame, &mut report)?;
        }
        journal.commit()?;
        known = journal.into_checkpoint();
    }
    Ok(report)
}

fn write_one<D: Disk>(
    journal: &mut Journal<D>,
    frame: &[u8],
    report: &mut SalvageReport,
) -> Result<(), SalvageError> {
    let mut write = || match record::decode(frame) {
        Some(Body::Change(change)) => {
            if let (Ok(space), Ok(entry)) =
                (Space::parse(change.space), EntryId::parse(change.entry))
            {
                journal.append(&space, change.origin, &entry, &change.hash, change.bytes)?;
                report.changes += 1;
            }
            Ok(())
        }
        Some(Body::Note { key, value }) => {
            report.notes += 1;
            journal.append_note(key, value)
        }
        Some(Body::NoteGone { key }) => {
            report.notes += 1;
            journal.remove_note(key)
        }
        Some(Body::Seal(_)) | None => Ok(()),
    };
    match write() {
        Err(AppendError::CommitDue { .. }) => {
            journal.commit()?;
            write_one(journal, frame, report)
        }
        done => Ok(done?),
    }
}

/// Every damaged stretch of one segment, and the chain at its end if that is known. All before
/// `durable` belongs to the journal.
pub(super) fn damage_in<D: Disk>(
    disk: &D,
    header: &Header,
    before: Option<Link>,
    durable: usize,
) -> io::Result<(Vec<Damage>, Option<Link>)> {
    let bytes = read_whole(disk, &segment::name(header.number))?;
    let pieces = Pieces::of(&bytes, header.number, before, durable);
    Ok((pieces.damage, pieces.link))
}

/// What is intact in the bytes of one segment.
struct Pieces<'a> {
    /// Whole frames with their offsets, seals included.
    frames: Vec<(usize, &'a [u8])>,
    damage: Vec<Damage>,
    /// The chain at its end, if its last commit is sealed.
    link: Option<Link>,
}

impl<'a> Pieces<'a> {
    /// `before` is the chain at the end of the segment before, if known: from it a lost header is
    /// known too. All before `durable` belongs to the journal, whether a seal follows or not.
    fn of(bytes: &'a [u8], number: u32, before: Option<Link>, durable: usize) -> Self {
        let mut pieces = Self { frames: Vec::new(), damage: Vec::new(), link: None };
        let lost = |offset, flaw| Damage { segment: number, offset: offset as u64, flaw };
        let stated = Header::decode(bytes.get(..HEADER_BYTES).unwrap_or_default(), number).ok();
        let known = before.map(|Link { commits, chain }| Header { number, commits, chain });
        if stated.is_none() {
            pieces.damage.push(lost(0, Flaw::Header));
        }
        let Some(header) = stated.or(known) else { return pieces };
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // A chain value may end in zeros, so the last seal may reach beyond the last used byte.
        let used = bytes.len().min(used + 32);
        let (seed, mut at, mut sealed) = (header.seed(), HEADER_BYTES, 0);
        let mut flawed_from = None;
        while at < used {
            let Some(frame) = intact(&bytes[at..], seed, at) else {
                flawed_from.get_or_insert(at);
                at += 1;
                continue;
            };
            if let Some(from) = flawed_from.take() {
                pieces.damage.push(lost(from, Flaw::Checksum));
            }
            pieces.frames.push((at, frame));
            at += frame.len();
            if let Some(Body::Seal(seal)) = record::decode(frame) {
                sealed = pieces.frames.len();
                pieces.link = Some(Link { commits: seal.ordinal, chain: seal.chain });
            }
        }
        let end = pieces.frames.last().map_or(HEADER_BYTES, |(at, frame)| at + frame.len());
        let torn = bytes.get(end..).unwrap_or_default().iter().any(|byte| *byte != 0);
        if torn && end < durable {
            pieces.damage.push(lost(end, Flaw::Checksum));
        } else if durable != usize::MAX && end < durable {
            pieces.damage.push(lost(end, Flaw::CutShort));
        }
        // Records that no seal follows were durable only if that is known otherwise.
        let kept = pieces.frames.partition_point(|(at, _)| *at < durable);
        pieces.frames.truncate(sealed.max(kept));
        if torn || sealed < pieces.frames.len() {
            pieces.link = None;
        }
        pieces
    }
}

fn intact(bytes: &[u8], seed: u32, at: usize) -> Option<&[u8]> {
    let frame = bytes.get(..record::frame_bytes(bytes.get(..FRAME_BYTES)?)?)?;
    record::verified(frame, seed, at as u32)?;
    record::decode(frame).map(|_| frame)
}

fn read_whole<D: Disk>(disk: &D, name: &str) -> io::Result<Vec<u8>> {
    let len = match disk.len(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        len => len?,
    };
    let mut bytes = vec![0; len as usize];
    let read = read_full(disk, name, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn damaged_name(number: u32) -> String {
    format!("{number:08}{DAMAGED}")
}
