//! A flat document: the exact state of an Automerge document whose root map holds scalars only.
//!
//! It keeps what the gate and a reader need (which puts are live on each key, which ever were,
//! and who depends on whom) and so decides, applies and makes changes without loading the
//! document itself. Automerge is its judge: a property test and the background audit compare the
//! two. It refuses to hold a change it has not checked.

mod judge;
mod read;
mod row;

pub use judge::Difference;
pub use read::{ENTRY_SET_SEPARATOR, STEP_PREFIX, entry_of, part_of, step_key, step_value};
pub use row::RowError;

use std::collections::BTreeMap;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::change::{Action, Change, Op, OpId};
use crate::gate::Refusal;
use crate::id::{ActorId, ChangeHash};
use crate::limits::{DOC_CHANGES_MAX, DOC_LIVE_BYTES_MAX, OP_COUNTER_MAX};
use crate::value::Value;

/// A flat document. It is the same, to the order of its changes, whatever order they came in: a
/// sealed half is opened as its keys come, and its row must be the one that a replay gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Doc {
    /// In the order of their first changes.
    actors: SmallVec<[ActorId; 1]>,
    /// By first op, then by hash; what a change was made on stands before it.
    changes: Vec<Applied>,
    /// Places in `changes`, ascending.
    heads: SmallVec<[u32; 2]>,
    keys: BTreeMap<SmolStr, Puts>,
    max_op: u32,
    live_bytes: usize,
}

/// A change that is in the document.
#[derive(Debug, Clone, PartialEq)]
struct Applied {
    hash: ChangeHash,
    actor: u16,
    seq: u32,
    start_op: u32,
    max_op: u32,
    /// Places in `changes`; all before this one.
    deps: SmallVec<[u32; 2]>,
}

impl Applied {
    /// Where it stands among the changes of a document: behind all that it was made on, since a
    /// change begins behind the last op of these.
    fn order(&self) -> (u32, ChangeHash) {
        (self.start_op, self.hash)
    }
}

/// The puts on one key.
#[derive(Debug, Clone, PartialEq, Default)]
struct Puts {
    /// Not replaced by anything yet, ascending by op id: the last one is what readers see.
    live: SmallVec<[(OpRef, Value); 1]>,
    /// Replaced or deleted, ascending by op id.
    past: Vec<OpRef>,
}

/// An op id with its actor's place in `actors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OpRef {
    counter: u32,
    actor: u16,
}

/// What a document says of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It may be applied.
    Fits,
    /// It is there already.
    Known,
    /// Changes it depends on are not there yet.
    Missing(Vec<ChangeHash>),
}

impl Doc {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was ever written to it.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Hashes of all changes, causes first.
    pub fn hashes(&self) -> impl Iterator<Item = ChangeHash> + '_ {
        self.changes.iter().map(|change| change.hash)
    }

    /// Whether a change is in it.
    pub fn holds(&self, hash: &ChangeHash) -> bool {
        self.place(hash).is_some()
    }

    /// The changes nothing depends on yet, ascending.
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<ChangeHash> =
            self.heads.iter().map(|&at| self.changes[at as usize].hash).collect();
        heads.sort_unstable();
        heads
    }

    /// The value readers see.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)?.live.last().map(|(_, value)| value)
    }

    /// Keys with a value, ascending, with what readers see.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value)> + '_ {
        self.keys
            .iter()
            .filter_map(|(key, puts)| puts.live.last().map(|(_, value)| (key.as_str(), value)))
    }

    /// All live values of a key with the op that put each, ascending: more than one is a conflict.
    pub fn sides(&self, key: &str) -> Vec<(OpId, &Value)> {
        let live = self.keys.get(key).map(|puts| puts.live.as_slice()).unwrap_or_default();
        live.iter().map(|(op, value)| (self.op_id(*op), value)).collect()
    }

    /// The gate, second half: whether `change` fits here. Nothing is altered.
    ///
    /// Source of the rules: what Automerge takes for granted of a change and does not check.
    /// With them, no accepted change makes Automerge panic or a document unloadable.
    pub fn check(&self, change: &Change) -> Result<Fit, Refusal> {
        if self.holds(&change.hash) {
            return Ok(Fit::Known);
        }
        let actor = self.actor(&change.actor);
        let own_last = actor.and_then(|actor| self.changes.iter().rfind(|c| c.actor == actor));
        let last_seq = own_last.map_or(0, |last| last.seq);
        if change.seq <= last_seq {
            return Err(Refusal::Fork);
        }
        let missing: Vec<ChangeHash> =
            change.deps.iter().filter(|dep| !self.holds(dep)).copied().collect();
        if !missing.is_empty() {
            return Ok(Fit::Missing(missing));
        }
        if change.seq != last_seq + 1 {
            return Err(Refusal::WrongSeq);
        }
        let deps: Vec<u32> = change.deps.iter().filter_map(|dep| self.place(dep)).collect();
        let deps_max = deps.iter().map(|&at| self.changes[at as usize].max_op).max().unwrap_or(0);
        let ends_at = u64::from(change.start_op) + change.ops.len() as u64 - 1;
        if change.start_op != deps_max + 1 || ends_at > OP_COUNTER_MAX {
            return Err(Refusal::WrongStartOp);
        }
        let past = self.ancestors(&deps);
        if own_last.is_some_and(|last| !past.contains(self, &last.hash)) {
            return Err(Refusal::WrongSeq);
        }
        self.check_ops(change, &past)?;
        self.check_room(change)?;
        Ok(Fit::Fits)
    }

    /// Applies a change that [`Self::check`] found to fit.
    pub fn apply(&mut self, change: &Change) {
        let actor = self.intern(change.actor);
        for (index, op) in change.ops.iter().enumerate() {
            let preds: Vec<OpRef> = op.preds.iter().filter_map(|id| self.op_ref(*id)).collect();
            let puts = self.keys.entry(op.key.clone()).or_default();
            let mut freed = 0;
            let order = |put: OpRef| (put.counter, self.actors[put.actor as usize]);
            puts.live.retain(|(put, value)| {
                let replaced = preds.contains(put);
                if replaced {
                    let at = puts.past.partition_point(|past| order(*past) < order(*put));
                    puts.past.insert(at, *put);
                    freed += weight(value);
                }
                !replaced
            });
            self.live_bytes -= freed.min(self.live_bytes);
            if let Action::Put(value) = &op.action {
                let id = OpRef { counter: change.start_op + index as u32, actor };
                let at = puts.live.partition_point(|(put, _)| order(*put) < order(id));
                puts.live.insert(at, (id, value.clone()));
                self.live_bytes += weight(value);
            }
        }
        let deps: SmallVec<[u32; 2]> =
            change.deps.iter().filter_map(|dep| self.place(dep)).collect();
        self.heads.retain(|head| !deps.contains(head));
        let (hash, seq, start_op) = (change.hash, change.seq, change.start_op);
        let max_op = change.max_op();
        self.insert(Applied { hash, actor, seq, start_op, max_op, deps });
        self.max_op = self.max_op.max(max_op);
    }

    /// Puts a change in its place, as a head. That is the end, but for changes made apart.
    fn insert(&mut self, change: Applied) {
        let at = self.changes.partition_point(|other| other.order() < change.order());
        let is_last = at == self.changes.len();
        let place = at as u32;
        let later = self.changes[at..].iter_mut().flat_map(|change| &mut change.deps);
        for moved in later.chain(&mut self.heads).filter(|moved| **moved >= place) {
            *moved += 1;
        }
        self.changes.insert(at, change);
        let heads_before = self.heads.partition_point(|head| *head < place);
        self.heads.insert(heads_before, place);
        if !is_last {
            self.sort_actors();
        }
    }

    /// Numbers the actors in the order of their first changes.
    fn sort_actors(&mut self) {
        let mut first = vec![self.changes.len(); self.actors.len()];
        for (at, change) in self.changes.iter().enumerate().rev() {
            first[usize::from(change.actor)] = at;
        }
        let mut order: Vec<u16> = (0..self.actors.len() as u16).collect();
        order.sort_by_key(|actor| first[usize::from(*actor)]);
        let mut numbers = vec![0; order.len()];
        for (number, actor) in order.iter().enumerate() {
            numbers[usize::from(*actor)] = number as u16;
        }
        self.actors = order.iter().map(|actor| self.actors[usize::from(*actor)]).collect();
        for change in &mut self.changes {
            change.actor = numbers[usize::from(change.actor)];
        }
        for puts in self.keys.values_mut() {
            for op in puts.live.iter_mut().map(|(op, _)| op).chain(&mut puts.past) {
                op.actor = numbers[usize::from(op.actor)];
            }
        }
    }

    /// Makes the change that sets or removes `puts`, seen from the whole document; `None` if
    /// nothing would differ. Nothing is altered.
    pub fn edit(
        &self,
        actor: ActorId,
        time_millis: i64,
        puts: Vec<(String, Option<Value>)>,
    ) -> Option<Change> {
        let ops: Vec<Op> =
            puts.into_iter().filter_map(|(key, value)| self.op(key, value)).collect();
        if ops.is_empty() {
            return None;
        }
        let own = self.actor(&actor);
        let last = own.and_then(|own| self.changes.iter().rfind(|change| change.actor == own));
        let seq = last.map_or(0, |last| last.seq) + 1;
        Some(Change::encode(actor, seq, self.max_op + 1, time_millis, self.heads(), ops))
    }

    fn op(&self, key: String, value: Option<Value>) -> Option<Op> {
        let live = self.keys.get(key.as_str()).map(|puts| puts.live.as_slice()).unwrap_or_default();
        let unchanged = match (live, &value) {
            ([], None) => true,
            ([(_, only)], Some(value)) => only == value,
            _ => false,
        };
        if unchanged {
            return None;
        }
        let preds = live.iter().map(|(put, _)| self.op_id(*put)).collect();
        let action = value.map_or(Action::Delete, Action::Put);
        Some(Op { key: key.into(), action, preds })
    }

    fn check_ops(&self, change: &Change, past: &Ancestors) -> Result<(), Refusal> {
        for (index, op) in change.ops.iter().enumerate() {
            if change.ops[..index].iter().any(|earlier| earlier.key == op.key) {
                return Err(Refusal::WrongPredecessor);
            }
            let puts = self.keys.get(&op.key);
            if op.key.starts_with(STEP_PREFIX) {
                read::check_step(change, op, puts.is_some())?;
            }
            if op.preds.is_empty() && op.action == Action::Delete {
                return Err(Refusal::WrongPredecessor);
            }
            for (at, pred) in op.preds.iter().enumerate() {
                let known = self.op_ref(*pred).filter(|pred| {
                    puts.is_some_and(|puts| {
                        puts.past.contains(pred) || puts.live.iter().any(|(put, _)| put == pred)
                    })
                });
                let visible = known.is_some_and(|pred| past.contains_op(self, pred));
                if !visible || op.preds[..at].contains(pred) {
                    return Err(Refusal::WrongPredecessor);
                }
            }
        }
        Ok(())
    }

    fn check_room(&self, change: &Change) -> Result<(), Refusal> {
        let more: usize = change
            .ops
            .iter()
            .map(|op| if let Action::Put(value) = &op.action { weight(value) } else { 0 })
            .sum();
        let actors_full = self.actors.len() >= usize::from(u16::MAX);
        if self.changes.len() >= DOC_CHANGES_MAX
            || self.live_bytes + more > DOC_LIVE_BYTES_MAX
            || actors_full
        {
            return Err(Refusal::DocumentFull);
        }
        Ok(())
    }

    /// What the given changes were made on, themselves included.
    fn ancestors(&self, deps: &[u32]) -> Ancestors {
        let sees_all = self.heads.iter().all(|head| deps.contains(head));
        if sees_all {
            return Ancestors::All;
        }
        let mut seen = vec![false; self.changes.len()];
        let mut open: Vec<u32> = deps.to_vec();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut seen[at as usize], true) {
                open.extend(&self.changes[at as usize].deps);
            }
        }
        Ancestors::Some(seen)
    }

    fn place(&self, hash: &ChangeHash) -> Option<u32> {
        self.changes.iter().rposition(|change| change.hash == *hash).map(|at| at as u32)
    }

    fn actor(&self, actor: &ActorId) -> Option<u16> {
        self.actors.iter().position(|known| known == actor).map(|at| at as u16)
    }

    fn intern(&mut self, actor: ActorId) -> u16 {
        self.actor(&actor).unwrap_or_else(|| {
            self.actors.push(actor);
            (self.actors.len() - 1) as u16
        })
    }

    fn op_ref(&self, id: OpId) -> Option<OpRef> {
        Some(OpRef { counter: id.counter, actor: self.actor(&id.actor)? })
    }

    fn op_id(&self, op: OpRef) -> OpId {
        OpId { counter: op.counter, actor: self.actors[op.actor as usize] }
    }
}

/// Which changes a change was made on.
enum Ancestors {
    All,
    Some(Vec<bool>),
}

impl Ancestors {
    fn contains(&self, doc: &Doc, hash: &ChangeHash) -> bool {
        match self {
            Self::All => doc.holds(hash),
            Self::Some(seen) => doc.place(hash).is_some_and(|at| seen[at as usize]),
        }
    }

    fn contains_op(&self, doc: &Doc, op: OpRef) -> bool {
        match self {
            Self::All => true,
            Self::Some(seen) => doc.changes.iter().zip(seen).any(|(change, seen)| {
                *seen
                    && change.actor == op.actor
                    && (change.start_op..=change.max_op).contains(&op.counter)
            }),
        }
    }
}

/// Bytes a value takes in the bound on live values.
fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::Timestamp(_) => 8,
    }
}

#[cfg(test)]
mod tests;
