//! A change of a flat document: scalar puts and deletes on root keys, in Automerge's encoding.
//!
//! Any Automerge can load what is made here. It refuses to judge whether a change may be applied;
//! `gate` judges its bytes and `doc` its place in a document.

use std::num::NonZeroU64;

use automerge::legacy;
use bytes::Bytes;
use smol_str::SmolStr;

use crate::id::{ActorId, ChangeHash};
use crate::value::Value;

/// The id of an operation: a counter, and the actor that made it. Greater wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// Lamport counter, from 1.
    pub counter: u32,
    /// The actor.
    pub actor: ActorId,
}

/// What an operation does to its key.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Sets the key to a scalar.
    Put(Value),
    /// Removes what the predecessors put.
    Delete,
}

/// One operation on a root key.
#[derive(Debug, Clone, PartialEq)]
pub struct Op {
    /// The key.
    pub key: SmolStr,
    /// What is done to it.
    pub action: Action,
    /// The puts on this key that it replaces, ascending.
    pub preds: Vec<OpId>,
}

/// A change with its parts in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// SHA-256 of the chunk's body.
    pub hash: ChangeHash,
    /// Who made it.
    pub actor: ActorId,
    /// Its number among the actor's changes to this document, from 1.
    pub seq: u32,
    /// Counter of its first operation.
    pub start_op: u32,
    /// The device's time in milliseconds since 1970: a claim, never used for order.
    pub time_millis: i64,
    /// The changes it was made on, ascending.
    pub deps: Vec<ChangeHash>,
    /// Its operations, at least one.
    pub ops: Vec<Op>,
    /// The chunk in plain form.
    pub bytes: Bytes,
}

impl Change {
    /// Encodes a change in the one canonical form.
    ///
    /// `deps` and each op's `preds` may come in any order.
    pub fn encode(
        actor: ActorId,
        seq: u32,
        start_op: u32,
        time_millis: i64,
        deps: Vec<ChangeHash>,
        ops: Vec<Op>,
    ) -> Self {
        let expanded = automerge::ExpandedChange {
            operations: ops.iter().map(to_legacy).collect(),
            actor_id: automerge::ActorId::from(actor.0),
            hash: None,
            seq: u64::from(seq),
            start_op: NonZeroU64::new(u64::from(start_op)).expect("op counters begin at 1"),
            time: time_millis,
            message: None,
            deps: deps.iter().map(|dep| automerge::ChangeHash(dep.0)).collect(),
            extra_bytes: Vec::new(),
            author: None,
        };
        let encoded = automerge::Change::from(expanded);
        let mut deps = deps;
        deps.sort_unstable();
        Self {
            hash: ChangeHash(encoded.hash().0),
            actor,
            seq,
            start_op,
            time_millis,
            deps,
            ops,
            bytes: Bytes::copy_from_slice(encoded.raw_bytes()),
        }
    }

    /// Counter of its last operation.
    pub fn max_op(&self) -> u32 {
        self.start_op + self.ops.len() as u32 - 1
    }

    /// The id of the operation at `index`.
    pub fn op_id(&self, index: usize) -> OpId {
        OpId { counter: self.start_op + index as u32, actor: self.actor }
    }
}

fn to_legacy(op: &Op) -> legacy::Op {
    let mut preds: Vec<legacy::OpId> = op
        .preds
        .iter()
        .map(|id| legacy::OpId(u64::from(id.counter), automerge::ActorId::from(id.actor.0)))
        .collect();
    preds.sort_unstable();
    legacy::Op {
        action: match &op.action {
            Action::Put(value) => legacy::OpType::Put(to_scalar(value)),
            Action::Delete => legacy::OpType::Delete,
        },
        obj: legacy::ObjectId::Root,
        key: legacy::Key::Map(op.key.as_str().into()),
        pred: preds.into(),
        insert: false,
    }
}

/// Our scalar as Automerge's.
pub(crate) fn to_scalar(value: &Value) -> automerge::ScalarValue {
    use automerge::ScalarValue as S;
    match value {
        Value::Null => S::Null,
        Value::Bool(flag) => S::Boolean(*flag),
        Value::Int(number) => S::Int(*number),
        Value::Uint(number) => S::Uint(*number),
        Value::Float(number) => S::F64(*number),
        Value::Text(text) => S::Str(text.as_str().into()),
        Value::Bytes(bytes) => S::Bytes(bytes.clone()),
        Value::Timestamp(millis) => S::Timestamp(*millis),
    }
}

/// Automerge's scalar as ours; `None` for counters and types we do not know.
pub(crate) fn from_scalar(scalar: &automerge::ScalarValue) -> Option<Value> {
    use automerge::ScalarValue as S;
    Some(match scalar {
        S::Null => Value::Null,
        S::Boolean(flag) => Value::Bool(*flag),
        S::Int(number) => Value::Int(*number),
        S::Uint(number) => Value::Uint(*number),
        S::F64(number) => Value::Float(*number),
        S::Str(text) => Value::Text(text.to_string()),
        S::Bytes(bytes) => Value::Bytes(bytes.clone()),
        S::Timestamp(millis) => Value::Timestamp(*millis),
        S::Counter(_) | S::Unknown { .. } => return None,
    })
}
