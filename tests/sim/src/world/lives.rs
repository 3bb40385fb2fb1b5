//! Machines that are there twice, and machines that begin once more: a copied disk on which two
//! machines go on, and a hub that is lost for good and made anew from its desks. And packs that
//! are published while some machines are away.
//!
//! It refuses to tell anybody: machines have to find out from one another.

use std::sync::PoisonError;

use linli_domain::id::Role;
use linli_replica::holdings::Whose;
use linli_runtime::ask::{Answer, Ask, PackFile};
use linli_runtime::books::BooksTrouble;
use linli_store::{MemoryDisk, MemoryViews};

use super::{Event, World};
use crate::chance::{Chance, Well};
use crate::checkers::{Checker, Violation};
use crate::machine::Input;
use crate::network::Road;
use crate::packs;
use crate::planted::Planted;
use crate::truth::MachineNo;

/// Versions of a pack that a world may see; each takes a moment to read.
const PACK_VERSION_MAX: u64 = 3;

impl World {
    /// An office copies a desk's disk, and both machines go on under one name.
    pub(super) fn copy_disk(&mut self, machine: MachineNo) {
        let from = &self.machines[machine];
        let copied = self.machines.iter().any(|machine| machine.copy_of.is_some());
        if copied || from.name.role() != Role::Node || from.life == 0 || from.rotten {
            return;
        }
        let well = Well::new(Chance::new(self.fate.between(0, u64::MAX), 0));
        let mut copy = from.copy(well);
        (copy.copy_of, copy.other_life) = (Some(machine), true);
        self.machines[machine].other_life = true;
        let number = self.machines.len();
        self.trace.say(self.now_ms, format_args!("the disk of {} is copied", copy.name));
        self.trace.count("disks copied");
        self.machines.push(copy);
        let roads: Vec<[MachineNo; 2]> = self.roads.iter().map(|road| road.ends).collect();
        for ends in roads.into_iter().filter(|ends| ends.contains(&machine)) {
            let [dials, dialled] = ends.map(|end| if end == machine { number } else { end });
            self.roads.push(Road::new((dials, dialled)));
            let at = self.weather.between(1, 2_000);
            self.plan(at, Event::Dial { road: self.roads.len() - 1 });
        }
        self.plan(1, Event::Start { machine: number });
    }

    /// A hub is gone with all its copies; another takes its place, with its name and nothing else.
    pub(super) fn rebuild_hub(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let at = &self.machines[machine];
        // Where a journal has rotted, the hub may have the only copy of what was lost there.
        if at.name.role() != Role::StreetHub || self.rotted {
            return Ok(());
        }
        self.cut_all(machine);
        let at = &mut self.machines[machine];
        at.drop_site();
        (at.disk, at.views) = (MemoryDisk::new(), MemoryViews::new());
        at.backups.clear();
        at.rebuilt = true;
        let (name, well) = (at.name.clone(), at.well.copy());
        self.trace.say(self.now_ms, format_args!("{name} is lost for good, and made anew"));
        self.trace.count("hubs rebuilt");
        self.start_set_back(machine, well)
    }

    /// Every street publishes the next version of a pack; who is away hears of it later.
    pub(super) fn publish(&mut self) {
        if self.pack_version == PACK_VERSION_MAX {
            return;
        }
        self.pack_version += 1;
        let version = self.pack_version;
        self.trace.say(self.now_ms, format_args!("version {version} of a pack is published"));
        self.trace.count("packs published");
        if self.plants(Planted::DefinitionsMixed) {
            let hash = packs::in_force(version);
            for machine in &self.machines {
                *machine.published.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
            }
        }
        for machine in 0..self.machines.len() {
            if self.machines[machine].name.role() == Role::StreetHub {
                self.give(machine, Input::Publish { version });
            }
        }
    }

    /// The office hands its hub a version of a pack.
    pub(super) fn put_on_board(
        &mut self,
        machine: MachineNo,
        version: u64,
    ) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return Ok(()) };
        let file = PackFile { file: "issues.toml".to_owned(), text: packs::issues(version) };
        match site.ask(Ask::Publish { files: vec![file] }) {
            Answer::Packs { .. } => Ok(()),
            // Its own program has that version, or the desks gave a newer one back.
            Answer::Trouble(trouble) if trouble.code == "pack-version" => Ok(()),
            other => {
                let text = format!("{} does not publish version {version}: {other:?}", at.name);
                Err(Violation::new(Checker::Orderly, text))
            }
        }
    }

    /// Takes note of a report that two journals go under one name; `Err` gives back any other
    /// trouble, and one that nobody can have.
    pub(super) fn hears_of_other_life(
        &mut self,
        machine: MachineNo,
        trouble: BooksTrouble,
    ) -> Result<(), BooksTrouble> {
        let BooksTrouble::OtherLife { peer, whose } = &trouble else { return Err(trouble) };
        let name = match whose {
            Whose::Ours => &self.machines[machine].name,
            Whose::Theirs => peer,
        };
        if !self.machines.iter().any(|machine| machine.name == *name && machine.other_life) {
            return Err(trouble);
        }
        self.trace.count("second lives reported");
        if !self.plants(Planted::CloneNotNoticed) {
            self.doubled.insert(name.clone());
        }
        Ok(())
    }

    /// Links machines on copied disks once more, now that nothing is written any more: the later of
    /// the two meets what was read from the other. True if there was anything to do.
    pub(super) fn link_again(&mut self) -> bool {
        if std::mem::replace(&mut self.linked_again, true) {
            return false;
        }
        let twins: Vec<MachineNo> = self
            .machines
            .iter()
            .enumerate()
            .filter_map(|(number, machine)| Some([number, machine.copy_of?]))
            .flatten()
            .collect();
        let roads: Vec<usize> = (0..self.roads.len())
            .filter(|road| self.roads[*road].ends.iter().any(|end| twins.contains(end)))
            .collect();
        for road in &roads {
            self.cut_road(*road);
        }
        !roads.is_empty()
    }
}
