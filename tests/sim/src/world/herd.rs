//! Everybody at once: in a large world, once all has settled, a street's hub is away for some
//! seconds, people work on, and all desks come back within one second.
//!
//! It refuses to be kind: nobody waits for anybody else.

use linli_domain::id::Role;

use super::{Event, World};
use crate::checkers::{Checker, Violation};
use crate::machine::Input;
use crate::planted::Planted;
use crate::truth::MachineNo;

/// The hub is away so long.
const AWAY_MS: u64 = 3_000;
/// All come back within this time.
const RETURN_MS: u64 = 1_000;
/// Acts of people at each desk meanwhile.
const ACTS: usize = 3;
/// After so long everybody has been served: some round trips, a dial, and pauses of repair that
/// double where a cause comes by another road.
const SERVED_MS: u64 = 20_000;
/// Turns of the hub for each desk until then: a hello, what it sends, what it is sent, what it
/// acknowledges, in each of its spaces, and a tick every second.
const TURNS_PER_DESK: u64 = 15;

/// A herd on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Herd {
    hub: MachineNo,
    /// When the first may return.
    from_ms: u64,
    /// Turns the hub has taken since.
    turns: u64,
    desks: u64,
}

impl World {
    /// Lets a herd loose, once in a large world; true if it did.
    pub(super) fn let_loose(&mut self) -> Result<bool, Violation> {
        if !self.large {
            return Ok(false);
        }
        if let Some(herd) = self.herd {
            return self.served(herd).map(|()| false);
        }
        let hubs = (0..self.machines.len())
            .filter(|no| self.machines[*no].name.role() == Role::StreetHub)
            .max_by_key(|hub| self.desks_of(*hub).len());
        let Some(hub) = hubs else { return Ok(false) };
        let roads = self.desks_of(hub);
        let name = self.machines[hub].name.clone();
        self.trace.say(self.now_ms, format_args!("all desks of {name} come back at once"));
        self.trace.count("herds");
        let from_ms = self.now_ms + AWAY_MS;
        for road in roads.iter().copied() {
            self.roads[road].blocked_until = from_ms;
            // A program that ends tells its peers.
            let standing = self.wires.iter().find(|(_, wire)| wire.road == road && !wire.cut);
            if let Some(wire) = standing.map(|(number, _)| *number) {
                self.cut(wire, true);
            }
            let desk = self.roads[road].ends[0];
            for _ in 0..ACTS {
                self.give(desk, Input::Person);
            }
            let wait = AWAY_MS + self.keeper.between(1, RETURN_MS);
            self.plan(wait, Event::Call { road });
        }
        self.herd = Some(Herd { hub, from_ms, turns: 0, desks: roads.len() as u64 });
        self.peace_since = Some(from_ms);
        Ok(true)
    }

    /// The roads on which somebody dials a machine.
    fn desks_of(&self, hub: MachineNo) -> Vec<usize> {
        (0..self.roads.len()).filter(|road| self.roads[*road].ends[1] == hub).collect()
    }

    /// Live: the hub has served everybody, soon enough and in few enough turns.
    fn served(&mut self, herd: Herd) -> Result<(), Violation> {
        let took = self.now_ms.saturating_sub(herd.from_ms);
        let name = &self.machines[herd.hub].name;
        let Herd { turns, desks, .. } = herd;
        self.trace.count_by("turns of a hub for a herd", turns);
        self.trace.count_by("desks of a herd", desks);
        if took > SERVED_MS || turns > desks * TURNS_PER_DESK {
            let text = format!("{name} took {took} ms and {turns} turns for a herd of {desks}");
            return Err(Violation::new(Checker::Live, text));
        }
        Ok(())
    }

    /// Counts a turn of the hub that a herd comes back to.
    pub(super) fn count_turn(&mut self, machine: MachineNo) {
        let now_ms = self.now_ms;
        if let Some(herd) = self.herd.as_mut().filter(|herd| herd.hub == machine)
            && now_ms >= herd.from_ms
        {
            herd.turns += 1;
        }
    }

    /// The hub that serves whoever was there first, and nobody else for as long as they talk.
    pub(super) fn leave_waiting(&mut self, machine: MachineNo, inputs: &mut Vec<Input>) {
        if !self.plants(Planted::LastComeNeverServed)
            || self.machines[machine].name.role() == Role::Node
        {
            return;
        }
        let wire_of = |input: &Input| match input {
            Input::Frame { wire, .. } => Some(*wire),
            _ => None,
        };
        let last = self.wires.keys().next_back().copied();
        let (later, now) = std::mem::take(inputs)
            .into_iter()
            .partition(|input| wire_of(input).is_some() && wire_of(input) == last);
        *inputs = now;
        let later: Vec<Input> = later;
        self.machines[machine].inbox.extend(later);
    }
}
