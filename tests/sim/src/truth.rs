//! What really happened: which machine made which change, who has promised to keep it, and what
//! was crafted by a hostile peer.
//!
//! It is outside all machines and believes none of them.

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::id::{ActorId, ChangeHash, EntryId, PeerName, Space, StatementHash};

/// A machine of the world, by its place in the list.
pub(crate) type MachineNo = usize;

/// A change that a machine made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) by: MachineNo,
    pub(crate) space: Space,
    pub(crate) entry: EntryId,
}

/// What happened to all changes of the world.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    made: BTreeMap<ChangeHash, Made>,
    crafted: BTreeSet<ChangeHash>,
    numbers: BTreeMap<(Space, EntryId, ActorId, u32), ChangeHash>,
    /// Machines that have each change durably, and were not set back since.
    promised: BTreeMap<ChangeHash, BTreeSet<MachineNo>>,
    /// Changes that some hub has had, whatever became of it since.
    reached: BTreeSet<ChangeHash>,
    /// Envelopes whose machine knew that desks had been removed.
    closed_to: BTreeMap<ChangeHash, Closed>,
    /// What each machine has told a peer that it refuses.
    refused: BTreeMap<MachineNo, BTreeSet<ChangeHash>>,
}

/// What a machine knew where it sealed.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Desks that were not in force by its list.
    pub(crate) gone: Vec<PeerName>,
    /// The removals of its list.
    pub(crate) removals: BTreeSet<StatementHash>,
}

impl Truth {
    pub(crate) fn made(&self, hash: &ChangeHash) -> Option<&Made> {
        self.made.get(hash)
    }

    pub(crate) fn note_made(&mut self, hash: ChangeHash, made: Made) {
        self.made.insert(hash, made);
    }

    /// Takes note of a change's number; gives the other change that has it, if there is one.
    pub(crate) fn note_number(
        &mut self,
        space: &Space,
        entry: &EntryId,
        actor: ActorId,
        seq: u32,
        hash: ChangeHash,
    ) -> Option<ChangeHash> {
        let place = (space.clone(), entry.clone(), actor, seq);
        let first = *self.numbers.entry(place).or_insert(hash);
        (first != hash).then_some(first)
    }

    /// The change that has a number of an author in an entry.
    pub(crate) fn numbered(
        &self,
        space: &Space,
        entry: &EntryId,
        actor: ActorId,
        seq: u32,
    ) -> Option<ChangeHash> {
        self.numbers.get(&(space.clone(), entry.clone(), actor, seq)).copied()
    }

    pub(crate) fn note_crafted(&mut self, hash: ChangeHash) {
        self.crafted.insert(hash);
    }

    pub(crate) fn is_crafted(&self, hash: &ChangeHash) -> bool {
        self.crafted.contains(hash)
    }

    /// A machine sealed this knowing that desks are gone.
    pub(crate) fn note_closed_to(&mut self, hash: ChangeHash, closed: Closed) {
        self.closed_to.insert(hash, closed);
    }

    /// What whoever sealed this knew, if it knew that a desk is gone.
    pub(crate) fn is_closed_to(&self, hash: &ChangeHash, desk: &PeerName) -> Option<&Closed> {
        self.closed_to.get(hash).filter(|closed| closed.gone.contains(desk))
    }

    /// A machine has said, or shown, that it keeps a change.
    pub(crate) fn promise(&mut self, machine: MachineNo, hash: ChangeHash) {
        self.promised.entry(hash).or_default().insert(machine);
    }

    /// A hub has a change.
    pub(crate) fn note_reached(&mut self, hash: ChangeHash) {
        self.reached.insert(hash);
    }

    /// A change that a machine made and keeps, and that no hub ever had.
    pub(crate) fn unsent(&self, machine: MachineNo) -> Option<&Made> {
        self.promised
            .iter()
            .filter(|(hash, machines)| machines.contains(&machine) && !self.reached.contains(*hash))
            .filter_map(|(hash, _)| self.made.get(hash))
            .find(|made| made.by == machine)
    }

    /// Whether some other machine keeps each of these, too.
    pub(crate) fn is_copied(&self, machine: MachineNo, held: &BTreeSet<ChangeHash>) -> bool {
        let keeps = |machines: &BTreeSet<MachineNo>| machines.iter().any(|other| *other != machine);
        held.iter().all(|hash| self.promised.get(hash).is_some_and(keeps))
    }

    /// A machine has told a peer that it refuses a change.
    pub(crate) fn note_refused(&mut self, machine: MachineNo, hash: ChangeHash) {
        self.refused.entry(machine).or_default().insert(hash);
    }

    /// What a machine has told that it refuses.
    pub(crate) fn refused(&self, machine: MachineNo) -> impl Iterator<Item = &ChangeHash> {
        self.refused.get(&machine).into_iter().flatten()
    }

    /// A machine was set back to an older state: what it lacks now it no longer promises, and what
    /// it has refused it may have forgotten. Gives the number of promises it is let off.
    pub(crate) fn set_back(&mut self, machine: MachineNo, held: &BTreeSet<ChangeHash>) -> u64 {
        self.refused.remove(&machine);
        let mut released = 0;
        for (hash, machines) in &mut self.promised {
            if !held.contains(hash) && machines.remove(&machine) {
                released += 1;
            }
        }
        released
    }

    /// A promised change that a machine does not hold.
    pub(crate) fn broken_promise(
        &self,
        machine: MachineNo,
        held: &BTreeSet<ChangeHash>,
    ) -> Option<ChangeHash> {
        self.promised
            .iter()
            .find(|(hash, machines)| machines.contains(&machine) && !held.contains(*hash))
            .map(|(hash, _)| *hash)
    }

    /// Changes of a space that some machine has promised to keep.
    pub(crate) fn kept(&self, space: &Space) -> BTreeSet<ChangeHash> {
        self.promised
            .iter()
            .filter(|(_, machines)| !machines.is_empty())
            .filter(|(hash, _)| self.made.get(hash).is_some_and(|made| made.space == *space))
            .map(|(hash, _)| *hash)
            .collect()
    }
}
