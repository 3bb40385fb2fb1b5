//! The documents that changes are held against: small honest histories, made once and the same in
//! every run. It refuses to hold anything dishonest.

use std::sync::OnceLock;

use automerge::Automerge;
use bytes::Bytes;
use linli_domain::change::{Change, OpId};
use linli_domain::doc::{Doc, Fit};
use linli_domain::id::ActorId;
use linli_domain::value::Value;

/// A document, as we and as Automerge hold it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) doc: Doc,
    pub(super) judge: Automerge,
    /// What it is made of, in order.
    pub(super) changes: Vec<Bytes>,
    /// The same, taken apart.
    pub(super) parsed: Vec<Change>,
    /// Ids of all its operations.
    pub(super) ops: Vec<OpId>,
}

/// Desks that write in these histories.
pub(super) fn desk(number: u8) -> ActorId {
    ActorId([number; 16])
}

pub(super) type Puts = Vec<(String, Option<Value>)>;

pub(super) fn put(key: &str, value: impl Into<Value>) -> (String, Option<Value>) {
    (key.to_owned(), Some(value.into()))
}

/// All documents.
pub(super) fn states() -> &'static [State] {
    static STATES: OnceLock<Vec<State>> = OnceLock::new();
    STATES.get_or_init(|| vec![State::default(), one(), apart(), long(), three_heads(), steps()])
}

impl State {
    fn take(&mut self, change: &Change) {
        assert_eq!(self.doc.check(change), Ok(Fit::Fits), "these histories are honest");
        self.doc.apply(change);
        let theirs = automerge::Change::try_from(&change.bytes[..]).expect("our own change");
        self.judge.apply_changes([theirs]).expect("an honest change");
        self.changes.push(change.bytes.clone());
        self.ops.extend((0..change.ops.len()).map(|at| change.op_id(at)));
        self.parsed.push(change.clone());
    }

    fn edit(&mut self, by: u8, puts: Puts) {
        let change = self.doc.edit(desk(by), 1_700_000_000_000, puts).expect("it differs");
        self.take(&change);
    }
}

fn first() -> Puts {
    vec![put("title", "路灯不亮"), put("floor", Value::Int(-3)), put("tag:a", Value::Bool(true))]
}

/// One change.
fn one() -> State {
    let mut state = State::default();
    state.edit(1, first());
    state
}

/// Two desks that wrote the same keys apart, and a third that has seen both.
fn apart() -> State {
    let mut state = one();
    let base = state.doc.clone();
    let mine = base.edit(desk(2), 1, vec![put("title", "左"), put("note", "x")]);
    let theirs = base.edit(desk(3), 2, vec![put("title", "右"), ("floor".to_owned(), None)]);
    for change in [mine, theirs] {
        state.take(&change.expect("it differs"));
    }
    state.edit(4, vec![put("seen", Value::Uint(2))]);
    state
}

/// One desk that changes its mind: values replaced, deleted and put again.
fn long() -> State {
    let mut state = one();
    for turn in 0..6_i64 {
        state.edit(1, vec![put("floor", Value::Int(turn)), put("time", Value::Timestamp(turn))]);
        state.edit(1, vec![("time".to_owned(), None)]);
    }
    state
}

/// Three heads of unequal length, with a key in conflict between all.
fn three_heads() -> State {
    let mut state = one();
    let base = state.doc.clone();
    for by in 2..5_u8 {
        let mut branch = base.clone();
        for turn in 0..by {
            let puts = vec![put("title", format!("{by}-{turn}")), put("own", Value::Float(0.5))];
            let change = branch.edit(desk(by), i64::from(turn), puts);
            if let Some(change) = change {
                branch.apply(&change);
                state.take(&change);
            }
        }
    }
    state
}

/// Workflow steps, each in its author's own name.
fn steps() -> State {
    let mut state = one();
    for by in 1..3_u8 {
        let key = format!("#019000000000000{by}-{}", format!("{by:02x}").repeat(4));
        state.edit(by, vec![put(&key, r#"{"a":"accept","t":"2026-03-01","b":"desk"}"#)]);
    }
    state
}
