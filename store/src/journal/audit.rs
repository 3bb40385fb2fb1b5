//! Reading everything again, from the first byte.
//!
//! An audit finds rot in records that nobody has read for long. It changes nothing and refuses to
//! repair. It goes in slices, so that who keeps the journal can work in between.

use std::io;

use super::checkpoint::Checkpoint;
use super::index::Places;
use super::reach::Reach;
use super::read::ReadError;
use super::walk::{Link, Stop};
use super::{Damage, Flaw, Journal, salvage, scan};
use crate::disk::Disk;

/// What an audit read and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Segment files.
    pub segments: u32,
    /// Intact commits, up to the first damage.
    pub commits: u64,
    /// Intact changes, up to the first damage.
    pub changes: u64,
    /// Every stretch that is not what was written; empty in a sound journal.
    pub damage: Vec<Damage>,
}

/// An audit that is under way.
#[derive(Debug, Default)]
pub struct Auditing {
    /// The journal as it reads, as far as it was read.
    fresh: Checkpoint,
    /// After a flaw, which is kept: the next segment to look through, and the chain at its start
    /// where that is known.
    pieces: Option<(Damage, u32, Option<Link>)>,
    report: AuditReport,
}

impl Auditing {
    /// What was found so far.
    pub fn report(&self) -> &AuditReport {
        &self.report
    }

    fn count(&mut self) {
        self.report.commits = self.fresh.link.commits;
        self.report.changes = self.fresh.spaces.values().map(|track| track.durable.seq).sum();
    }
}

impl<D: Disk> Journal<D> {
    /// Verifies every durable byte: checksums, chain, numbers, digests, notes, the reach.
    pub fn audit(&self) -> io::Result<AuditReport> {
        let mut audit = Auditing::default();
        while self.audit_slice(&mut audit, u64::MAX)? {}
        Ok(audit.report)
    }

    /// Takes an audit on by about `max_bytes`, to the end of a commit, or by a segment once a flaw
    /// was found; true while there is more. The journal may grow meanwhile.
    pub fn audit_slice(&self, audit: &mut Auditing, max_bytes: u64) -> io::Result<bool> {
        audit.report.segments = self.segments();
        if let Some((first, number, before)) = audit.pieces {
            return self.audit_pieces(audit, first, number, before);
        }
        match self.reread_some(&mut audit.fresh, max_bytes) {
            Ok(more) => {
                audit.fresh.forget_places();
                audit.count();
                if more {
                    return Ok(true);
                }
                audit.report.damage.extend(self.difference(&audit.fresh));
                audit.report.damage.extend(Reach::read(&self.disk)?.flaw(&self.state));
                Ok(false)
            }
            Err(Stop::Io(error)) => Err(error),
            Err(Stop::Flaw(first)) => {
                audit.count();
                audit.pieces = Some((first, 1, Some(Link::default())));
                Ok(true)
            }
        }
    }

    /// Names what is damaged in one segment; true while there are more.
    fn audit_pieces(
        &self,
        audit: &mut Auditing,
        first: Damage,
        number: u32,
        before: Option<Link>,
    ) -> io::Result<bool> {
        let Some(header) = self.headers.get(number as usize - 1) else { return Ok(false) };
        let at = self.state.at;
        let durable = if number == at.segment { at.offset as usize } else { usize::MAX };
        let (found, link) = salvage::damage_in(&self.disk, header, before, durable)?;
        audit.report.damage.extend(found);
        audit.pieces = Some((first, number + 1, link));
        let more = number < self.segments();
        if !more && audit.report.damage.is_empty() {
            audit.report.damage.push(first);
        }
        Ok(more)
    }

    /// Finds the place of every record again by walking the whole journal: for when the views have
    /// lost the index. Takes 8 bytes of memory for each record until the next manifest.
    pub(crate) fn rebuild_places(&mut self) -> Result<(), ReadError> {
        let mut fresh = Checkpoint::default();
        self.reread(&mut fresh)?;
        if let Some(damage) = self.difference(&fresh) {
            return Err(ReadError::Stretch(damage));
        }
        for (space, track) in &mut self.state.spaces {
            let places = fresh.spaces.remove(space).map(|found| found.places);
            let mut places: Places = places.unwrap_or_default();
            for seq in track.durable.seq + 1..=track.head.seq {
                places.push(track.places.get(seq).expect("a waiting record's place is held"));
            }
            track.places = places;
            track.changed = true;
        }
        Ok(())
    }

    fn reread(&self, fresh: &mut Checkpoint) -> Result<(), Stop> {
        while self.reread_some(fresh, u64::MAX)? {}
        Ok(())
    }

    /// Reads on from where `fresh` stands for about `max_bytes`; true while there is more.
    fn reread_some(&self, fresh: &mut Checkpoint, max_bytes: u64) -> Result<bool, Stop> {
        let mut read = 0;
        let first = fresh.at.segment.max(1) as usize;
        for header in self.headers.get(first - 1..).unwrap_or_default() {
            let mut walk = scan::start(&self.disk, header, fresh)?;
            while fresh.link.commits < self.state.link.commits {
                let at = walk.offset;
                let commit = match walk.next_commit() {
                    Ok(Some(commit)) => commit,
                    Ok(None) => break,
                    Err(stop) => {
                        self.only_room(stop, header.number, at)?;
                        break;
                    }
                };
                read += commit.bytes.len() as u64;
                scan::take(fresh, header.number, &commit)?;
                if read >= max_bytes {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Where what was read again is not what the journal knows.
    fn difference(&self, fresh: &Checkpoint) -> Option<Damage> {
        let heads = self.state.spaces.iter().filter(|(_, track)| track.durable.seq > 0);
        let same_heads = heads
            .map(|(space, track)| (space, track.durable))
            .eq(fresh.spaces.iter().map(|(space, track)| (space, track.durable)));
        let same_notes = self.has_pending() || self.state.notes == fresh.notes;
        let same = fresh.link == self.state.link && same_heads && same_notes;
        let (segment, offset) = (fresh.at.segment, u64::from(fresh.at.offset));
        (!same).then_some(Damage { segment, offset, flaw: Flaw::Order })
    }
}
