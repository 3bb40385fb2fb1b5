//! The changes that Linli's machines write, read without Automerge.
//!
//! Automerge reads a change twice and encodes it once to show that it is canonical, which took a
//! quarter of a hub's processor in a cold push. Here it is read once, and taken only in the one form
//! that Automerge would write: each number in its shortest bytes, each run as long as it can be, nothing
//! that is not needed. Source of the layout: the Automerge binary format, change chunks and column
//! encodings. Automerge remains the judge: what is taken here it takes as well, and reads the same.
//!
//! It refuses to say what is wrong with a change: whatever it does not know is left to Automerge.

use bytes::Bytes;

use super::scan::Input;
use crate::change::{Action, Change, Op, OpId};
use crate::id::{ActorId, ChangeHash};
use crate::limits::{
    CHANGE_ACTORS_MAX, CHANGE_MILLIS_MAX, CHANGE_OPS_MAX, KEY_BYTES_MAX, OP_COUNTER_MAX,
    TEXT_BYTES_MAX,
};
use crate::value::Value;

// Columns of operations, by their specification: number of the column, type of its values.
const KEYS: u64 = 0x15;
const INSERTS: u64 = 0x34;
const ACTIONS: u64 = 0x42;
const METAS: u64 = 0x56;
const RAWS: u64 = 0x57;
const PRED_COUNTS: u64 = 0x70;
const PRED_ACTORS: u64 = 0x71;
const PRED_COUNTERS: u64 = 0x73;

const PUT: u64 = 1;
const DELETE: u64 = 3;

// A value's type stands in the lower four bits, and its length in bytes above them.
const NULL: u64 = 0;
const FALSE: u64 = 1;
const TRUE: u64 = 2;
const INT: u64 = 4;
const TEXT: u64 = 6;

/// Reads a chunk whose counts and runs are bounded; `data` is its body, `hash` its hash. `None` if it
/// is not of the form that our machines write.
pub(super) fn read(bytes: &Bytes, data: &[u8], hash: ChangeHash) -> Option<Change> {
    let mut input = Input(data);
    let deps = ascending(&mut input, |input| Some(ChangeHash(input.take(32)?.try_into().ok()?)))?;
    let actor = actor(&mut input)?;
    let seq = counter(input.shortest_unsigned()?)?;
    let start_op = counter(input.shortest_unsigned()?).filter(|start| *start > 0)?;
    let time_millis = input.shortest_signed()?;
    if time_millis.unsigned_abs() > CHANGE_MILLIS_MAX || input.shortest_unsigned()? != 0 {
        return None;
    }
    let others = ascending(&mut input, self::actor)?;
    if others.len() > CHANGE_ACTORS_MAX || others.contains(&actor) {
        return None;
    }
    let mut actors = vec![(actor, true)];
    actors.extend(others.into_iter().map(|other| (other, false)));
    let ops = Columns::read(&mut input)?.ops(&mut actors)?;
    let last = u64::from(start_op) + ops.len() as u64 - 1;
    let whole =
        input.0.is_empty() && last <= OP_COUNTER_MAX && actors.iter().all(|(_, used)| *used);
    let bytes = bytes.clone();
    whole.then_some(Change { hash, actor, seq, start_op, time_millis, deps, ops, bytes })
}

fn counter(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|_| number <= OP_COUNTER_MAX)
}

fn actor(input: &mut Input<'_>) -> Option<ActorId> {
    let len = input.shortest_unsigned()?;
    ActorId::from_slice(input.take(len)?)
}

/// As many as are counted, each greater than the one before.
fn ascending<T: Ord>(
    input: &mut Input<'_>,
    read: impl Fn(&mut Input<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let many = input.shortest_unsigned()?;
    let mut all = Vec::new();
    for _ in 0..many {
        let one = read(input)?;
        if all.last().is_some_and(|last| *last >= one) {
            return None;
        }
        all.push(one);
    }
    Some(all)
}

/// The columns that a flat change has; those that it lacks are empty.
#[derive(Default)]
struct Columns<'a> {
    keys: Input<'a>,
    inserts: Input<'a>,
    actions: Input<'a>,
    metas: Input<'a>,
    raws: Input<'a>,
    pred_counts: Input<'a>,
    pred_actors: Input<'a>,
    pred_counters: Input<'a>,
}

impl<'a> Columns<'a> {
    fn read(input: &mut Input<'a>) -> Option<Self> {
        let many = input.shortest_unsigned()?;
        let mut shapes = [(0, 0); 8];
        for shape in shapes.get_mut(..usize::try_from(many).ok()?)? {
            *shape = (input.shortest_unsigned()?, input.shortest_unsigned()?);
        }
        let (mut columns, mut before) = (Self::default(), 0);
        for (spec, len) in shapes.into_iter().take(many as usize) {
            let column = match spec {
                KEYS => &mut columns.keys,
                INSERTS => &mut columns.inserts,
                ACTIONS => &mut columns.actions,
                METAS => &mut columns.metas,
                RAWS => &mut columns.raws,
                PRED_COUNTS => &mut columns.pred_counts,
                PRED_ACTORS => &mut columns.pred_actors,
                PRED_COUNTERS => &mut columns.pred_counters,
                _ => return None,
            };
            if spec <= before || len == 0 {
                return None;
            }
            *column = Input(input.take(len)?);
            before = spec;
        }
        Some(columns)
    }

    /// The operations; notes which of the `actors` they name.
    fn ops(mut self, actors: &mut [(ActorId, bool)]) -> Option<Vec<Op>> {
        // Nothing is inserted into a list: one run of no.
        let many = self.inserts.shortest_unsigned()?;
        if many == 0 || many > CHANGE_OPS_MAX as u64 || !self.inserts.0.is_empty() {
            return None;
        }
        let (mut keys, mut actions) = (Runs::<&[u8]>::of(self.keys), Runs::<u64>::of(self.actions));
        let (mut metas, mut raws) = (Runs::<u64>::of(self.metas), self.raws);
        let mut pred_counts = Runs::<u64>::of(self.pred_counts);
        let mut pred_actors = Runs::<u64>::of(self.pred_actors);
        let mut pred_counters = Runs::<i64>::of(self.pred_counters);
        let mut pred_counter: i64 = 0;
        let mut ops = Vec::with_capacity(many as usize);
        for _ in 0..many {
            let key = std::str::from_utf8(keys.next()?).ok()?;
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return None;
            }
            let action = match (actions.next()?, metas.next()?) {
                (PUT, meta) => Action::Put(value(meta, &mut raws)?),
                (DELETE, NULL) => Action::Delete,
                _ => return None,
            };
            let mut preds: Vec<OpId> = Vec::new();
            for _ in 0..pred_counts.next()? {
                let (actor, used) = actors.get_mut(usize::try_from(pred_actors.next()?).ok()?)?;
                *used = true;
                pred_counter = pred_counter.checked_add(pred_counters.next()?)?;
                let counter = counter(u64::try_from(pred_counter).ok()?)?;
                let pred = OpId { counter, actor: *actor };
                let after = preds
                    .last()
                    .is_none_or(|last| (last.counter, last.actor) < (pred.counter, pred.actor));
                if !after {
                    return None;
                }
                preds.push(pred);
            }
            ops.push(Op { key: key.into(), action, preds });
        }
        let whole = keys.ended()
            && actions.ended()
            && metas.ended()
            && raws.0.is_empty()
            && pred_counts.ended()
            && pred_actors.ended()
            && pred_counters.ended();
        whole.then_some(ops)
    }
}

fn value(meta: u64, raws: &mut Input<'_>) -> Option<Value> {
    let (kind, len) = (meta & 0b1111, meta >> 4);
    match (kind, len) {
        (NULL, 0) => Some(Value::Null),
        (FALSE, 0) => Some(Value::Bool(false)),
        (TRUE, 0) => Some(Value::Bool(true)),
        (INT, len) => {
            let mut raw = Input(raws.take(len)?);
            let number = raw.shortest_signed()?;
            raw.0.is_empty().then_some(Value::Int(number))
        }
        (TEXT, len) if len <= TEXT_BYTES_MAX as u64 => {
            let text = std::str::from_utf8(raws.take(len)?).ok()?;
            Some(Value::Text(text.to_owned()))
        }
        // Numbers and bytes that only other programs write.
        _ => None,
    }
}

/// What a column's runs are of.
trait Item<'a>: Copy + PartialEq {
    fn read(input: &mut Input<'a>) -> Option<Self>;
}

impl Item<'_> for u64 {
    fn read(input: &mut Input<'_>) -> Option<Self> {
        input.shortest_unsigned()
    }
}

impl Item<'_> for i64 {
    fn read(input: &mut Input<'_>) -> Option<Self> {
        input.shortest_signed()
    }
}

impl<'a> Item<'a> for &'a [u8] {
    fn read(input: &mut Input<'a>) -> Option<Self> {
        let len = input.shortest_unsigned()?;
        input.take(len)
    }
}

/// A column of runs without absent values: `n` and a value that stands `n` times, or `-n` and `n`
/// values of which no two neighbours are equal.
struct Runs<'a, T> {
    input: Input<'a>,
    left: u64,
    literal: bool,
    last: Option<T>,
}

impl<'a, T: Item<'a>> Runs<'a, T> {
    fn of(input: Input<'a>) -> Self {
        Self { input, left: 0, literal: false, last: None }
    }

    /// The next value; `None` if there is none, or the runs are not as long as they can be.
    fn next(&mut self) -> Option<T> {
        let begins = self.left == 0;
        if begins {
            let run = self.input.shortest_signed()?;
            // Absent values, runs of one, which are literal, and literals that were not joined.
            if run == 0 || run == 1 || (run < 0 && self.literal) {
                return None;
            }
            (self.left, self.literal) = (run.unsigned_abs(), run < 0);
        }
        self.left -= 1;
        if begins || self.literal {
            let value = T::read(&mut self.input)?;
            if self.last.replace(value) == Some(value) {
                return None;
            }
        }
        self.last
    }

    fn ended(&self) -> bool {
        self.left == 0 && self.input.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
