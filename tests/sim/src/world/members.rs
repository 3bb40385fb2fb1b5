//! Member lists: desks are let in, lost and taken off the list, also at several desks side by
//! side and while some are away.
//!
//! The founding desk is never lost: where every desk shuts the others out, only the recovery
//! sheets bring somebody back, and those are not of this world.

use linli_domain::id::{PeerName, Role};
use linli_domain::seal::{Act, MemberKeys};
use linli_runtime::ask::{Answer, Ask};

use super::World;
use super::turns::Owed;
use crate::machine::{Input, Machine};
use crate::planted::Planted;
use crate::trace::short;
use crate::truth::{Closed, MachineNo};

/// An act or fault in so many loses a desk.
const LOST_ONE_IN: u32 = 30;

impl World {
    /// Desks of a machine's community that lack its key, or are not on its list.
    pub(super) fn waiting_with(&self, machine: MachineNo) -> Vec<(PeerName, MemberKeys)> {
        let at = &self.machines[machine];
        let list = at.members();
        let waits = |other: &Machine| {
            let listed = |list: &linli_domain::seal::Members| {
                other.device_keys().is_some_and(|keys| list.admission(&keys).is_some())
            };
            other.ring.is_none() || list.as_ref().is_some_and(|list| !listed(list))
        };
        self.machines
            .iter()
            .filter(|other| other.name.community == at.name.community && waits(other))
            .filter(|other| !other.hostile && !self.lost.contains(&other.name))
            .filter_map(|other| Some((other.name.clone(), other.device_keys()?)))
            .collect()
    }

    /// Somebody finds that a desk is gone, and takes it off the list; sometimes two do, and
    /// sometimes each finds another gone, apart from one another.
    pub(super) fn lose_desk(&mut self) {
        if !self.keeper.one_in(LOST_ONE_IN) {
            return;
        }
        let is_desk = |at: &Machine| {
            at.enrolled && !at.hostile && at.name.role() == Role::Node && at.list.is_some()
        };
        let desks: Vec<MachineNo> =
            (0..self.machines.len()).filter(|no| is_desk(&self.machines[*no])).collect();
        let Some(first) = self.keeper.pick(&desks).copied() else { return };
        let community = self.machines[first].name.community.clone();
        let beside: Vec<MachineNo> =
            desks.into_iter().filter(|no| self.machines[*no].name.community == community).collect();
        let apart = self.keeper.one_in(2);
        let many = if self.keeper.one_in(2) { 2 } else { 1 };
        for nth in 0..many {
            let helper = if nth == 0 { first } else { self.keeper.one_of(&beside) };
            let others: Vec<PeerName> = beside
                .iter()
                .map(|no| &self.machines[*no])
                .filter(|at| !at.founds && at.name != self.machines[helper].name)
                .map(|at| at.name.clone())
                .collect();
            let Some(name) = self.keeper.pick(&others).cloned() else { continue };
            if apart {
                self.cut_off(helper);
            }
            self.give(helper, Input::Remove { name });
        }
    }

    /// Somebody takes a desk off the list.
    pub(super) fn remove_desk(&mut self, machine: MachineNo, name: PeerName, owed: &mut Owed) {
        let Some(site) = &mut self.machines[machine].site else { return };
        let answer = site.ask(Ask::RemoveDevice { machine: name.machine.to_string() });
        let helper = &self.machines[machine].name;
        let what = match &answer {
            Answer::Removed { epoch, left, .. } => format!("key epoch {epoch}, {left} left"),
            Answer::Trouble(trouble) => format!("trouble {}", trouble.code),
            _ => String::new(),
        };
        self.trace.say(self.now_ms, format_args!("{helper} removes {name}: {what}"));
        if matches!(answer, Answer::Removed { .. }) {
            owed.removed.push(name);
        }
    }

    /// Keeps the ring and the list of a machine as its program writes them after a turn.
    pub(super) fn keep_keys(&mut self, machine: MachineNo) {
        let oldest = self.plants(Planted::OldKeyKept);
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return };
        if let Some(ring) = site.take_ring() {
            self.trace.count(if at.ring.is_some() {
                "keys that came later"
            } else {
                "desks that got the ring"
            });
            if oldest && at.ring.is_some() {
                if let Some(ring) = &at.ring {
                    site.books().set_ring(ring.clone().into());
                }
            } else {
                at.ring = Some(ring);
            }
            self.hand_on(machine);
        }
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return };
        if let Some(list) = site.take_list() {
            at.list = Some(list);
        }
    }

    /// The careless office that copies a new ring to every desk, also to those that are gone.
    fn hand_on(&mut self, from: MachineNo) {
        if !self.plants(Planted::RingHandedOn) {
            return;
        }
        let (ring, name) = (self.machines[from].ring.clone(), self.machines[from].name.clone());
        for at in self.machines.iter_mut().filter(|at| self.lost.contains(&at.name)) {
            if let (Some(ring), Some(site)) = (&ring, &mut at.site)
                && at.name.community == name.community
            {
                at.ring = Some(ring.clone());
                site.books().set_ring(ring.clone().into());
            }
        }
    }

    /// Takes note of who is known to be gone where a member has sealed an envelope. What the machine heard
    /// in this very turn is not counted: it may have come behind the edit.
    pub(super) fn note_sealed(&mut self, machine: MachineNo, hash: linli_domain::id::ChangeHash) {
        let at = &self.machines[machine];
        // One that is gone itself has no later key to seal with.
        let Some(list) = at.members().filter(|_| at.is_member()) else { return };
        let gone: Vec<PeerName> = self
            .machines
            .iter()
            .filter(|at| at.name.community == self.machines[machine].name.community)
            .filter(|at| {
                let keys = at.device_keys().filter(|_| !at.hostile);
                keys.is_some_and(|keys| list.was_member(&keys) && list.admission(&keys).is_none())
            })
            .map(|at| at.name.clone())
            .collect();
        if !gone.is_empty() {
            let name = &self.machines[machine].name;
            let text = short(&hash.0);
            self.trace.say(self.now_ms, format_args!("{name} seals {text} without {}", gone.len()));
            self.trace.count("envelopes sealed after a removal");
            let removals = list.statements().filter(|one| matches!(one.act, Act::Remove { .. }));
            let removals = removals.map(|one| one.hash).collect();
            self.truth.note_closed_to(hash, Closed { gone, removals });
        }
    }
}
