//! What goes wrong, and what the offices do about it.

use linli_store::{CrashKeep, DiskCall, MemoryViews};

use super::{Event, World};
use crate::chance::Well;
use crate::checkers::{Checker, Violation};
use crate::hostile::Prank;
use crate::machine::{DISK_MS, Doom, Input, Machine};
use crate::network::{FAST, Road, SLOW};
use crate::plan::{DAY_MS, draw_clock};
use crate::planted::Planted;
use crate::truth::MachineNo;

/// Backups an office keeps.
const BACKUPS_KEPT: usize = 3;
/// The longest absence that is promised to need no visit.
const ABSENCE_DAYS_MAX: u64 = 400;
/// A disk that stalls.
const SLOW_DISK_MS: u64 = 10_000;

impl World {
    /// One fault, of those this world has.
    pub(super) fn break_something(&mut self) -> Result<(), Violation> {
        let machine = self.fate.place(self.machines.len());
        if self.machines[machine].hostile {
            return self.prank();
        }
        if !self.machines[machine].enrolled {
            self.enrol();
            return Ok(());
        }
        match self.fate.between(0, 21) {
            0 if self.faults.crashes && self.machines[machine].site.is_some() => {
                self.trace.count("crashes");
                self.crash(machine)
            }
            1 | 2 if self.faults.crashes => {
                let doom = self.fate.one_of(&[Doom::BeforeCommit, Doom::AfterCommit]);
                self.machines[machine].doom = Some(doom);
                Ok(())
            }
            3 | 4 if self.faults.disks => {
                self.plan_disk_fault(machine);
                Ok(())
            }
            5 => {
                self.back_up(machine);
                Ok(())
            }
            6 if self.faults.restores => self.restore(machine),
            7 if self.faults.views => self.spoil_views(machine),
            8 | 9 if self.faults.partitions => {
                self.partition(machine);
                Ok(())
            }
            10 | 11 => {
                let wires: Vec<u64> = self.wires.keys().copied().collect();
                if let Some(wire) = self.fate.pick(&wires).copied() {
                    self.cut(wire, false);
                }
                Ok(())
            }
            12 if self.faults.slow => {
                let road = self.fate.place(self.roads.len());
                self.roads[road].pace_ms = self.fate.one_of(&[FAST, SLOW]);
                self.trace.count("roads that change their pace");
                Ok(())
            }
            13 if self.faults.clocks => {
                self.machines[machine].clock_off_ms = draw_clock(&mut self.fate);
                self.trace.count("clocks set");
                Ok(())
            }
            14 | 15 if self.faults.rot => self.rot(machine),
            16 if self.faults.broken_views => {
                self.break_views(machine);
                Ok(())
            }
            17 if self.faults.absences => self.long_absence(machine),
            18 if self.faults.slow => {
                let slow = self.fate.one_in(2);
                self.machines[machine].disk_ms = if slow { SLOW_DISK_MS } else { DISK_MS };
                self.trace.count("disks that change their pace");
                Ok(())
            }
            19 if self.faults.copies => {
                self.copy_disk(machine);
                Ok(())
            }
            20 if self.faults.rebuilds => self.rebuild_hub(machine),
            21 if self.faults.definitions => {
                self.publish();
                Ok(())
            }
            _ => self.prank(),
        }
    }

    /// A machine is off for weeks or months, while the others work on.
    fn long_absence(&mut self, machine: MachineNo) -> Result<(), Violation> {
        self.crash(machine)?;
        let days = self.fate.between(1, ABSENCE_DAYS_MAX);
        for machine in &mut self.machines {
            machine.clock_off_ms += days as i64 * DAY_MS;
        }
        self.trace.say(self.now_ms, format_args!("{days} days pass"));
        self.trace.count("long absences");
        Ok(())
    }

    /// Power fails at a machine; it comes back after a while.
    pub(super) fn crash(&mut self, machine: MachineNo) -> Result<(), Violation> {
        if self.machines[machine].site.is_none() {
            return Ok(());
        }
        let keep = match self.fate.between(0, 4) {
            0 | 1 => CrashKeep::Nothing,
            2 => CrashKeep::Prefix(self.fate.between(0, 400) as usize),
            3 => CrashKeep::Sectors(self.fate.between(0, u64::MAX)),
            _ => CrashKeep::Everything,
        };
        let batches = self.fate.between(0, 2) as usize;
        self.cut_all(machine);
        let at = &mut self.machines[machine];
        at.drop_site();
        at.disk.crash(keep);
        at.views.crash(batches);
        let name = &at.name;
        self.trace.say(self.now_ms, format_args!("{name} loses power, {keep:?} stays"));
        self.come_back(machine);
        Ok(())
    }

    /// A machine is switched on again after some seconds, or at once when there is peace.
    pub(super) fn come_back(&mut self, machine: MachineNo) {
        let longest = if self.peace_since.is_some() { 100 } else { 8_000 };
        let wait = self.fate.between(10, longest);
        self.plan(wait, Event::Start { machine });
    }

    fn plan_disk_fault(&mut self, machine: MachineNo) {
        let nth = self.fate.between(1, 3);
        let kind = self.fate.between(0, 3);
        let disk = &self.machines[machine].disk;
        match kind {
            0 => disk.fail(DiskCall::Append, nth),
            1 => disk.fail(DiskCall::Sync, nth),
            2 => disk.fail(DiskCall::SyncDir, 1),
            _ => disk.fill_after(self.fate.between(0, 3_000)),
        }
        let name = &self.machines[machine].name;
        self.trace.say(self.now_ms, format_args!("the disk of {name} will fail"));
        self.trace.count("disk faults planned");
    }

    fn back_up(&mut self, machine: MachineNo) {
        let at = &mut self.machines[machine];
        if at.backups.len() == BACKUPS_KEPT {
            at.backups.remove(0);
        }
        at.backups.push(at.back_up());
        self.trace.count("backups");
    }

    /// An office puts an old copy of its store back.
    fn restore(&mut self, machine: MachineNo) -> Result<(), Violation> {
        if self.machines[machine].backups.is_empty() {
            return Ok(());
        }
        self.cut_all(machine);
        let nth = self.fate.place(self.machines[machine].backups.len());
        let which_views = self.fate.between(0, 2);
        let at = &mut self.machines[machine];
        at.drop_site();
        // What a copier takes of a running program's files may end anywhere in a record.
        at.views.crash(0);
        at.rotten = false;
        let backup = &at.backups[nth];
        at.disk = backup.disk.copy();
        match which_views {
            0 => at.views = backup.views.copy(),
            1 => at.views = MemoryViews::new(),
            // The views of the machine as it was: they know more than the journal.
            _ => {}
        }
        let well = backup.well.copy();
        let name = at.name.clone();
        self.trace.say(self.now_ms, format_args!("{name} is restored from backup {nth}"));
        self.trace.count("restores");
        self.start_set_back(machine, well)
    }

    /// Starts a machine that has fewer changes than it promised, and lets it off those. `well` is
    /// what it drew from when the backup was made.
    pub(super) fn start_set_back(
        &mut self,
        machine: MachineNo,
        well: Well,
    ) -> Result<(), Violation> {
        let (now_ms, planted) = (self.now_ms, self.planted);
        let at = &mut self.machines[machine];
        let name = at.name.clone();
        at.start(now_ms, planted).map_err(|error| {
            let text = format!("{name} does not start from a backup: {error:?}");
            Violation::new(Checker::Sound, text)
        })?;
        self.let_off(machine)?;
        let at = &mut self.machines[machine];
        at.drop_site();
        if self.planted == Some(Planted::ActorReuse) {
            at.well = well;
        }
        at.life += 1;
        self.come_back(machine);
        Ok(())
    }

    /// Lets a machine that was set back off what it promised and lacks now.
    pub(super) fn let_off(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        (at.other_life, at.damaged, at.again) = (true, true, None);
        at.shown.clear();
        self.read_journal(machine, false)?;
        let released = self.truth.set_back(machine, &self.machines[machine].held);
        self.trace.count_by("changes set back", released);
        Ok(())
    }

    /// Views get lost or old while the machine is off.
    fn spoil_views(&mut self, machine: MachineNo) -> Result<(), Violation> {
        self.crash(machine)?;
        let stale = self.fate.one_in(2);
        let at = &mut self.machines[machine];
        match at.backups.first().filter(|_| stale) {
            Some(backup) => {
                at.views = backup.views.copy();
                self.trace.count("views set back");
            }
            None => {
                at.views = MemoryViews::new();
                self.trace.count("views lost");
            }
        }
        Ok(())
    }

    /// No wire can stand on any road of a machine for a while.
    pub(super) fn cut_off(&mut self, machine: MachineNo) {
        let until = self.now_ms + self.keeper.between(500, 10_000);
        let own = |road: &&mut Road| road.ends.contains(&machine);
        for road in self.roads.iter_mut().filter(own) {
            road.blocked_until = road.blocked_until.max(until);
        }
        self.trace.count("partitions");
        for road in 0..self.roads.len() {
            if self.roads[road].ends.contains(&machine) {
                self.cut_road(road);
            }
        }
    }

    /// No wire can stand on some or all roads of a machine for a while.
    fn partition(&mut self, machine: MachineNo) {
        let all = self.fate.one_in(2);
        let until = self.now_ms + self.fate.between(500, 20_000);
        self.trace.count("partitions");
        let roads: Vec<usize> = (0..self.roads.len())
            .filter(|road| self.roads[*road].ends.contains(&machine))
            .collect();
        for road in roads {
            if all || self.fate.one_in(2) {
                self.roads[road].blocked_until = until;
                self.cut_road(road);
            }
        }
    }

    /// A further desk joins its community.
    pub(super) fn enrol(&mut self) {
        let Some(machine) = self.machines.iter().position(|machine| !machine.enrolled) else {
            return;
        };
        self.machines[machine].enrolled = true;
        self.trace.count("desks enrolled late");
        let street = self.machines[machine].name.street.clone();
        let hub = self
            .machines
            .iter()
            .position(|other| other.name.street == street && other.name.community.is_none());
        if let Some(hub) = hub.filter(|_| !self.plants(Planted::LostEnrolment)) {
            self.give(hub, Input::Enrolled);
        }
        self.plan(1, Event::Start { machine });
    }

    /// The hostile desk says something it should not.
    fn prank(&mut self) -> Result<(), Violation> {
        let Some(mallory) = self.mallory.no() else { return Ok(()) };
        let own: Vec<(u64, usize)> = self
            .wires
            .iter()
            .filter(|(_, wire)| !wire.cut)
            .filter_map(|(number, wire)| {
                let side = wire.sides.iter().position(|side| side.machine == mallory)?;
                Some((*number, side))
            })
            .collect();
        let Some((wire, side)) = self.fate.pick(&own).copied() else { return Ok(()) };
        let victim = self.wires[&wire].sides[1 - side].machine;
        let name = self.machines[mallory].name.clone();
        let Machine { site, entries, .. } = &mut self.machines[victim];
        let Some(site) = site else { return Ok(()) };
        let prank = self.mallory.prank(&name, site, entries, &self.truth);
        let Some(Prank { what, frame, crafted, made }) = prank else { return Ok(()) };
        self.trace.say(self.now_ms, format_args!("mallory: {what}"));
        self.trace.count("hostile frames");
        for hash in crafted {
            self.truth.note_crafted(hash);
        }
        for (hash, mut change) in made {
            change.by = mallory;
            self.truth.note_made(hash, change);
        }
        self.carry(wire, side, frame);
        Ok(())
    }
}
