//! Peace: faults end, everybody comes back, and the world has to settle.

use linli_domain::id::PeerName;
use linli_runtime::limits::SCRUB_EVERY_MILLIS;

use super::{Event, World};
use crate::checkers::{Checker, Violation, rows, settled};
use crate::machine::{DISK_MS, Input};
use crate::network::{FAST, Road};
use crate::planted::Planted;
use crate::truth::MachineNo;

/// All links must agree within this time once faults are over: the longest silence of a dead
/// link, a dial, and some ticks of repair.
const LIVE_MS: u64 = 60_000;
/// How often somebody looks.
const LOOK_MS: u64 = 500;

impl World {
    /// Ends all faults.
    pub(super) fn make_peace(&mut self) -> Result<(), Violation> {
        self.peace_since = Some(self.now_ms);
        self.trace.say(self.now_ms, format_args!("peace"));
        for road in &mut self.roads {
            road.blocked_until = 0;
            road.pace_ms = FAST;
        }
        for machine in &mut self.machines {
            machine.disk.heal();
            machine.doom = None;
            machine.disk_ms = DISK_MS;
        }
        let played_with: Vec<u64> =
            self.wires.iter().filter(|(_, wire)| wire.tampered).map(|(no, _)| *no).collect();
        for wire in played_with {
            self.cut(wire, true);
        }
        while self.machines.iter().any(|machine| !machine.enrolled) {
            self.enrol();
        }
        // An operator who sees desks put off raises the limit, and starts the hub again.
        for machine in 0..self.machines.len() {
            let stays = self.plants(Planted::LimitStays);
            let at = &mut self.machines[machine];
            if !stays && std::mem::take(&mut at.node_bytes_per_day) > 0 {
                self.crash(machine)?;
            }
        }
        for machine in 0..self.machines.len() {
            if self.machines[machine].views_broken {
                self.crash(machine)?;
            }
        }
        for machine in 0..self.machines.len() {
            if !self.machines[machine].hostile && self.machines[machine].site.is_none() {
                self.plan(1, Event::Start { machine });
            }
        }
        self.plan(LOOK_MS, Event::Peace);
        Ok(())
    }

    /// True once every link agrees and nothing is on its way.
    pub(super) fn is_peace(&mut self) -> Result<bool, Violation> {
        let Some(problem) = self.unrest() else {
            if self.link_again() {
                self.plan(LOOK_MS, Event::Peace);
                return Ok(false);
            }
            if self.let_loose()? {
                self.plan(LOOK_MS, Event::Peace);
                return Ok(false);
            }
            let took = self.now_ms.saturating_sub(self.peace_since.unwrap_or(0));
            self.trace.say(self.now_ms, format_args!("settled after {took} ms"));
            return Ok(true);
        };
        // A herd begins a little later.
        if self.now_ms.saturating_sub(self.peace_since.unwrap_or(0)) > LIVE_MS {
            let text = format!("{} s after the last fault, {problem}", LIVE_MS / 1_000);
            return Err(Violation::new(Checker::Live, text));
        }
        self.plan(LOOK_MS, Event::Peace);
        Ok(false)
    }

    /// What keeps the world from resting.
    fn unrest(&mut self) -> Option<String> {
        let names = self.names();
        let hostile: Vec<bool> = self.machines.iter().map(|machine| machine.hostile).collect();
        let shut: Vec<bool> = (0..self.roads.len()).map(|road| self.is_shut(road)).collect();
        for (number, machine) in self.machines.iter_mut().enumerate() {
            let name = machine.name.clone();
            if machine.hostile {
                continue;
            }
            let Some(site) = &mut machine.site else { return Some(format!("{name} is off")) };
            if machine.inbox.iter().any(|input| !matches!(input, Input::Tick)) {
                return Some(format!("{name} has inputs waiting"));
            }
            let standings = site.standings();
            for (other, road) in neighbours(&self.roads, &hostile, number) {
                if shut[road] {
                    continue;
                }
                if !standings.iter().any(|standing| standing.peer == names[other]) {
                    return Some(format!(
                        "{name} has no session with {} on road {road}",
                        names[other]
                    ));
                }
            }
            for standing in standings {
                if standing.unsent > 0 || !standing.agreed {
                    return Some(format!(
                        "{name} and {} do not agree on {}, {} changes unsent",
                        standing.peer, standing.space, standing.unsent
                    ));
                }
            }
        }
        for (number, road) in self.roads.iter().enumerate() {
            if shut[number] || road.ends.iter().any(|end| self.machines[*end].hostile) {
                continue;
            }
            let stands = self.wires.values().any(|wire| {
                let known = wire.sides.iter().all(|side| {
                    side.knows
                        && side.coming.is_empty()
                        && self.machines[side.machine].life == side.life
                });
                wire.road == number && !wire.cut && known
            });
            if !stands {
                let names = road.ends.map(|end| self.machines[end].name.to_string());
                return Some(format!("{} and {} have no link", names[0], names[1]));
            }
        }
        None
    }

    /// Everything that must hold at peace; then some machines lose their views, and it must hold
    /// again.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        // Long enough for everybody to write its views anew after the last erasure.
        self.now_ms += SCRUB_EVERY_MILLIS;
        self.finish_work()?;
        self.screens_are_up_to_date()?;
        settled::all(self)?;
        settled::copies_are_known(self)?;
        for _ in 0..2 {
            let machine = self.fate.place(self.machines.len());
            rows::derived_again(&self.machines[machine], self.now_ms)?;
        }
        for machine in self.machines.iter().filter(|machine| machine.damaged) {
            rows::derived_again(machine, self.now_ms)?;
        }
        let before = settled::read_out(self);
        let rebuilt: Vec<MachineNo> =
            (0..2).map(|_| self.fate.place(self.machines.len())).collect();
        for machine in rebuilt {
            self.rebuild(machine)?;
        }
        let after = settled::read_out(self);
        settled::same(&before, &after, &self.names())?;
        settled::alone(self)
    }

    /// Throws a machine's views away and starts it on its journal alone.
    fn rebuild(&mut self, machine: MachineNo) -> Result<(), Violation> {
        if self.machines[machine].hostile {
            return Ok(());
        }
        let at = &mut self.machines[machine];
        at.drop_site();
        at.disk.crash(linli_store::CrashKeep::Nothing);
        at.views = linli_store::MemoryViews::new();
        let (now_ms, planted) = (self.now_ms, self.planted);
        let name = at.name.clone();
        at.start(now_ms, planted)
            .map_err(|error| Violation::new(Checker::Sound, format!("{name}: {error:?}")))?;
        self.trace.count("rebuilds at peace");
        self.finish_work()?;
        self.keeps_promises(machine)
    }

    /// Ends every machine's turn, and does what it would do when idle.
    fn finish_work(&mut self) -> Result<(), Violation> {
        for machine in 0..self.machines.len() {
            let wall_ms = self.machines[machine].wall_ms(self.now_ms);
            let at = &mut self.machines[machine];
            let name = at.name.clone();
            let Some(site) = &mut at.site else { continue };
            site.set_now(wall_ms);
            site.end_turn().map_err(|error| {
                Violation::new(Checker::Sound, format!("{name} at peace: {error}"))
            })?;
            while site.idle() {}
            self.read_journal(machine, true)?;
            self.keeps_promises(machine)?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<PeerName> {
        self.machines.iter().map(|machine| machine.name.clone()).collect()
    }
}

/// The honest machines a machine has roads to, with the roads.
fn neighbours(roads: &[Road], hostile: &[bool], machine: MachineNo) -> Vec<(MachineNo, usize)> {
    let other = |(number, road): (usize, &Road)| match road.ends {
        [left, right] if left == machine && !hostile[right] => Some((right, number)),
        [left, right] if right == machine && !hostile[left] => Some((left, number)),
        _ => None,
    };
    roads.iter().enumerate().filter_map(other).collect()
}
