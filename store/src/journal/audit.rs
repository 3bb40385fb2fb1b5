//! Reading everything again, from the first byte.
//!
//! An audit finds rot in records that nobody has read for long. It changes nothing and refuses to
//! repair.

use std::io;

use super::checkpoint::Checkpoint;
use super::index::Places;
use super::read::ReadError;
use super::walk::Stop;
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

impl<D: Disk> Journal<D> {
    /// Verifies every durable byte: checksums, chain, numbers, digests, notes.
    pub fn audit(&self) -> io::Result<AuditReport> {
        let mut fresh = Checkpoint::default();
        let mut report = AuditReport { segments: self.segments(), ..AuditReport::default() };
        match self.reread(&mut fresh) {
            Ok(()) => report.damage.extend(self.difference(&fresh)),
            Err(Stop::Io(error)) => return Err(error),
            Err(Stop::Flaw(first)) => {
                report.damage = salvage::damage_of(&self.disk, &self.headers)?;
                if report.damage.is_empty() {
                    report.damage.push(first);
                }
            }
        }
        report.commits = fresh.link.commits;
        report.changes = fresh.spaces.values().map(|track| track.durable.seq).sum();
        Ok(report)
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
        for header in &self.headers {
            let mut walk = scan::start(&self.disk, header, fresh)?;
            while fresh.link.commits < self.state.link.commits {
                let Some(commit) = walk.next_commit()? else { break };
                scan::take(fresh, header.number, &commit)?;
            }
        }
        Ok(())
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
