//! A document as bytes: the row a view keeps so that the document need not be replayed.
//!
//! Version 1: a version byte, then counts and fields as LEB128 varints, hashes and actors raw.
//! The row is derived from the journal and may be thrown away.

use std::collections::BTreeMap;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{Applied, Doc, OpRef, Puts, weight};
use crate::id::{ActorId, ChangeHash};
use crate::limits::OP_COUNTER_MAX;
use crate::value::Value;

const VERSION: u8 = 1;

/// A row that cannot be read; the document must be replayed from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Written by a version that this one does not know.
    #[error("the row has version {0}, which this version cannot read")]
    Version(u8),
    /// Cut short or inconsistent.
    #[error("the row is damaged")]
    Damaged,
}

impl Doc {
    /// Writes the row.
    pub fn to_row(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.changes.len() * 48 + self.live_bytes * 2);
        out.push(VERSION);
        put(&mut out, self.actors.len() as u64);
        for actor in &self.actors {
            out.extend_from_slice(&actor.0);
        }
        put(&mut out, self.changes.len() as u64);
        for change in &self.changes {
            out.extend_from_slice(&change.hash.0);
            put(&mut out, u64::from(change.actor));
            put(&mut out, u64::from(change.seq));
            put(&mut out, u64::from(change.start_op));
            put(&mut out, u64::from(change.max_op - change.start_op));
            put(&mut out, change.deps.len() as u64);
            for dep in &change.deps {
                put(&mut out, u64::from(*dep));
            }
        }
        put(&mut out, self.keys.len() as u64);
        for (key, puts) in &self.keys {
            put_bytes(&mut out, key.as_bytes());
            put(&mut out, puts.live.len() as u64);
            for (op, value) in &puts.live {
                put_op(&mut out, *op);
                put_value(&mut out, value);
            }
            put(&mut out, puts.past.len() as u64);
            for op in &puts.past {
                put_op(&mut out, *op);
            }
        }
        out
    }

    /// Reads a row.
    pub fn from_row(row: &[u8]) -> Result<Self, RowError> {
        let (&version, rest) = row.split_first().ok_or(RowError::Damaged)?;
        if version != VERSION {
            return Err(RowError::Version(version));
        }
        let mut input = Input(rest);
        let doc = input.doc().ok_or(RowError::Damaged)?;
        if input.0.is_empty() { Ok(doc) } else { Err(RowError::Damaged) }
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_op(out: &mut Vec<u8>, op: OpRef) {
    put(out, u64::from(op.counter));
    put(out, u64::from(op.actor));
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(false) => out.push(1),
        Value::Bool(true) => out.push(2),
        Value::Int(number) => {
            out.push(3);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Uint(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Float(number) => {
            out.push(5);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(6);
            put_bytes(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(7);
            put_bytes(out, bytes);
        }
        Value::Timestamp(millis) => {
            out.push(8);
            out.extend_from_slice(&millis.to_le_bytes());
        }
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn doc(&mut self) -> Option<Doc> {
        let actors: SmallVec<[ActorId; 1]> = self.many(|input| input.array().map(ActorId))?;
        let changes: Vec<Applied> = self.many(Self::change)?;
        let key_count = self.number()?;
        let mut keys = BTreeMap::new();
        let mut live_bytes = 0;
        for _ in 0..key_count {
            let key = SmolStr::from(std::str::from_utf8(self.bytes()?).ok()?);
            let live: SmallVec<[(OpRef, Value); 1]> =
                self.many(|input| Some((input.op()?, input.value()?)))?;
            live_bytes += live.iter().map(|(_, value)| weight(value)).sum::<usize>();
            let past = self.many(Self::op)?;
            keys.insert(key, Puts { live, past });
        }
        let known = |op: &OpRef| usize::from(op.actor) < actors.len();
        let sound = changes.iter().enumerate().all(|(at, change)| {
            usize::from(change.actor) < actors.len()
                && change.deps.iter().all(|dep| (*dep as usize) < at)
        }) && changes.is_sorted_by(|one, next| one.order() < next.order())
            && keys.values().all(|puts: &Puts| {
                puts.live.iter().all(|(op, _)| known(op)) && puts.past.iter().all(known)
            });
        if !sound {
            return None;
        }
        let mut is_head = vec![true; changes.len()];
        for dep in changes.iter().flat_map(|change| &change.deps) {
            is_head[*dep as usize] = false;
        }
        let heads = (0..changes.len() as u32).filter(|at| is_head[*at as usize]).collect();
        let max_op = changes.iter().map(|change| change.max_op).max().unwrap_or(0);
        Some(Doc { actors, changes, heads, keys, max_op, live_bytes })
    }

    fn change(&mut self) -> Option<Applied> {
        let hash = ChangeHash(self.array()?);
        let actor = u16::try_from(self.number()?).ok()?;
        let seq = self.number32()?;
        let start_op = self.number32()?;
        let max_op = start_op.checked_add(self.number32()?)?;
        if u64::from(seq.max(max_op)) > OP_COUNTER_MAX {
            return None;
        }
        let deps = self.many(Self::number32)?;
        Some(Applied { hash, actor, seq, start_op, max_op, deps })
    }

    fn op(&mut self) -> Option<OpRef> {
        Some(OpRef { counter: self.number32()?, actor: u16::try_from(self.number()?).ok()? })
    }

    fn value(&mut self) -> Option<Value> {
        let [tag] = self.array()?;
        Some(match tag {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(i64::from_le_bytes(self.array()?)),
            4 => Value::Uint(u64::from_le_bytes(self.array()?)),
            5 => Value::Float(f64::from_le_bytes(self.array()?)),
            6 => Value::Text(String::from_utf8(self.bytes()?.to_vec()).ok()?),
            7 => Value::Bytes(self.bytes()?.to_vec()),
            8 => Value::Timestamp(i64::from_le_bytes(self.array()?)),
            _ => return None,
        })
    }

    fn many<T, C: FromIterator<T>>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<C> {
        let count = self.number()?;
        // Every item takes at least a byte, so a damaged count cannot reserve more than the row.
        if count > self.0.len() as u64 {
            return None;
        }
        (0..count).map(|_| one(self)).collect()
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn number32(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&[u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
}
