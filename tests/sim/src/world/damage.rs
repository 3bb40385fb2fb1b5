//! Damage at rest, and what the office does about it: a journal is salvaged and filled up by
//! peers, broken views are made anew by the next start.
//!
//! It refuses damage that goes unnoticed: what rots has to be found before the machine works on.

use linli_runtime::ask::{Answer, Ask};
use linli_store::disk::Disk as _;
use linli_store::{Doubt, Journal, SHELF_FILES};

use super::World;
use crate::checkers::{Checker, Violation};
use crate::machine::{Machine, journal_options};
use crate::medium::SimDisk;
use crate::truth::MachineNo;

/// What the files of a journal end with.
const SEGMENT: &str = ".seg";
/// How far a journal had come, beside its segments.
const REACH: &str = "reach";
/// Its bytes, the last four being its checksum.
const REACH_BYTES: usize = 64;
/// What a disk loses at once.
const PAGE_BYTES: u64 = 4_096;

impl World {
    /// Bits turn over in a machine's journal while it is off; the next start or audit finds it.
    pub(super) fn rot(&mut self, machine: MachineNo) -> Result<(), Violation> {
        if self.fate.one_in(3) {
            return self.rot_shelf(machine);
        }
        let held = &self.machines[machine].held;
        // Where no copy exists, nothing can be repaired; a world that sets others back has none.
        if self.rotted || !self.truth.is_copied(machine, held) {
            return Ok(());
        }
        self.rotted = true;
        self.crash(machine)?;
        let at = &mut self.machines[machine];
        let mut files = at.disk.list().unwrap_or_default();
        files.retain(|name| name.ends_with(SEGMENT));
        let Some(file) = self.fate.pick(&files) else { return Ok(()) };
        let content = at.disk.bytes(file).unwrap_or_default();
        let Some(last) = content.iter().rposition(|byte| *byte != 0) else { return Ok(()) };
        let bytes = last as u64 + 1;
        // The last page too, where the reach kept up: it knows that the journal did not end there.
        // One that a power cut left behind does not.
        let pages = last as u64 / PAGE_BYTES + u64::from(reaches(at, file, last));
        if pages > 0 && self.fate.one_in(4) {
            at.disk.zero_page(file, self.fate.between(0, pages - 1) as usize);
        } else {
            at.disk.flip_bit(file, self.fate.between(0, bytes * 8 - 1));
        }
        at.rotten = true;
        let name = &at.name;
        self.trace.say(self.now_ms, format_args!("{file} of {name} rots"));
        self.trace.count("journals that rot");
        Ok(())
    }

    /// One file of a machine's key shelf rots while it is off; the next start mends it with the
    /// other one.
    fn rot_shelf(&mut self, machine: MachineNo) -> Result<(), Violation> {
        // Both would rot, if it was off already.
        if self.machines[machine].site.is_none() {
            return Ok(());
        }
        self.crash(machine)?;
        let file = self.fate.one_of(&SHELF_FILES);
        let at = &self.machines[machine];
        let bytes = at.disk.bytes(file).map_or(0, |bytes| bytes.len() as u64);
        if bytes == 0 {
            return Ok(());
        }
        if self.fate.one_in(4) {
            at.disk.zero_page(file, self.fate.between(0, (bytes - 1) / PAGE_BYTES) as usize);
        } else {
            at.disk.flip_bit(file, self.fate.between(0, bytes * 8 - 1));
        }
        let name = &at.name;
        self.trace.say(self.now_ms, format_args!("{file} of {name} rots"));
        self.trace.count("key shelves that rot");
        Ok(())
    }

    /// Views that fail while the machine runs; it has to stop, and start with new ones.
    pub(super) fn break_views(&mut self, machine: MachineNo) {
        let at = &mut self.machines[machine];
        if at.site.is_some() {
            at.views.break_with(Doubt::Row);
            at.views_broken = true;
            let name = &at.name;
            self.trace.say(self.now_ms, format_args!("the views of {name} break"));
            self.trace.count("views that break at work");
        }
    }

    /// Whether the machine that has just started was told of its damage: at the start, which cut
    /// a tail off, or by the audit that follows.
    pub(super) fn finds_rot(&mut self, machine: MachineNo) -> Result<Found, Violation> {
        let at = &mut self.machines[machine];
        let cut = at.tail_cut;
        let Some(site) = &mut at.site else { return Ok(Found::Nothing) };
        if let Answer::Audit { damage, .. } = site.ask(Ask::Audit {})
            && !damage.is_empty()
        {
            return Ok(Found::Damage);
        }
        // What rotted may have been zeros, or a tail that no commit had sealed: then nothing that
        // was promised is missing, as is looked up next.
        Ok(if cut { Found::Cut } else { Found::Nothing })
    }

    /// Saves what is intact of a damaged journal; peers have the rest.
    pub(super) fn salvage(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let planted = self.planted;
        let at = &mut self.machines[machine];
        at.drop_site();
        at.rotten = false;
        let name = at.name.clone();
        // An office that salvages has a disk that works.
        at.disk.heal();
        let mut disk = SimDisk::new(at.disk.clone(), planted);
        let report = Journal::salvage(&mut disk, journal_options()).map_err(|error| {
            Violation::new(Checker::Sound, format!("{name} cannot be salvaged: {error}"))
        })?;
        let lost = report.damage.len();
        self.trace.say(self.now_ms, format_args!("{name} is salvaged, {lost} stretches lost"));
        self.trace.count("journals salvaged");
        let well = self.machines[machine].well.copy();
        self.start_set_back(machine, well)
    }
}

/// Whether the reach of a journal says that it goes beyond this byte of a segment.
fn reaches(machine: &Machine, file: &str, byte: usize) -> bool {
    machine.disk.bytes(REACH).is_some_and(|reach| goes_beyond(&reach, file, byte))
}

/// As [`reaches`], of the bytes. Of a reach that a power cut left in part the store believes
/// nothing, so it tells nobody that an end is missing: a journal whose only page is then gone
/// looks like one that was never written.
fn goes_beyond(reach: &[u8], file: &str, byte: usize) -> bool {
    let word = |at: usize| {
        let bytes = reach.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let whole = reach.len() == REACH_BYTES
        && crc32c::crc32c(&reach[..REACH_BYTES - 4]) == word(REACH_BYTES - 4);
    // Where segment and offset stand in it.
    whole && file.starts_with(&format!("{:08}", word(12))) && word(16) as usize > byte
}

/// What is known of a journal that may have rotted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is whole.
    Nothing,
    /// The start cut its last commit off.
    Cut,
    /// It is damaged, and must be salvaged.
    Damage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_that_was_left_in_part_says_nothing() {
        let mut reach = [0; REACH_BYTES];
        reach[12..16].copy_from_slice(&1_u32.to_le_bytes());
        reach[16..20].copy_from_slice(&1_890_u32.to_le_bytes());
        let crc = crc32c::crc32c(&reach[..REACH_BYTES - 4]);
        reach[REACH_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        assert!(goes_beyond(&reach, "00000001.seg", 1_889));
        assert!(!goes_beyond(&reach, "00000001.seg", 1_890), "it ends there");
        assert!(!goes_beyond(&reach, "00000002.seg", 0), "it knows of no second segment");
        assert!(!goes_beyond(&reach[..REACH_BYTES / 2], "00000001.seg", 0));
        reach[REACH_BYTES / 2..].fill(0);
        assert!(!goes_beyond(&reach, "00000001.seg", 0));
    }
}
