//! Inputs of the gate: honest changes, those that were seen to crash, hang or poison a document,
//! and what becomes of either when its parts are changed and its length and checksum repaired.
//!
//! It refuses to be subtle: each mutation breaks one thing, and a few together find the rest.

use linli_domain::change::{Action, Change, Op, OpId};
use linli_domain::gate;
use linli_domain::id::ChangeHash;
use linli_domain::limits::{CHANGE_OPS_MAX, KEY_BYTES_MAX};
use linli_domain::value::Value;
use sha2::{Digest as _, Sha256};

use super::history::{Puts, State, desk, put, states};
use crate::chance::Chance;

/// Where a chunk's hashed part begins.
const HASHED_FROM: usize = 8;

pub(super) fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    if input.is_empty() {
        input.push(0);
    }
    if chance.one_in(24) {
        input[0] = chance.bytes::<1>()[0];
    }
    let state = &states()[usize::from(input[0]) % states().len()];
    let chunk = bytes::Bytes::copy_from_slice(&input[1..]);
    let honest = gate::hash_of(&chunk).and_then(|hash| gate::parse(&chunk, &hash).ok());
    let mutant = match honest {
        Some(change) if chance.below(4) > 0 => reshaped(change, state, chance),
        _ => scrambled(&chunk, others, chance),
    };
    input.truncate(1);
    input.extend_from_slice(&mutant);
}

/// Other bytes behind the head, under the right length and checksum most of the time.
fn scrambled(chunk: &[u8], others: &[&[u8]], chance: &mut Chance) -> Vec<u8> {
    let Some((kind, mut data)) = taken_apart(chunk) else {
        let mut out = chunk.to_vec();
        crate::blind::mutate(&mut out, others, chance);
        return resealed(out);
    };
    crate::blind::mutate(&mut data, others, chance);
    let mut out = build(if chance.one_in(40) { chance.bytes::<1>()[0] } else { kind }, &data);
    if chance.one_in(40) {
        crate::blind::mutate(&mut out, others, chance);
    }
    out
}

fn taken_apart(chunk: &[u8]) -> Option<(u8, Vec<u8>)> {
    let kind = *chunk.get(HASHED_FROM)?;
    let rest = chunk.get(HASHED_FROM + 1..)?;
    let len_bytes = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    Some((kind, rest[len_bytes..].to_vec()))
}

/// A chunk around `data`, with length and checksum as they should be.
fn build(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, kind];
    let mut len = data.len();
    while len >= 0x80 {
        out.push((len as u8 & 0x7f) | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(data);
    resealed(out)
}

fn resealed(mut chunk: Vec<u8>) -> Vec<u8> {
    if chunk.len() > HASHED_FROM {
        let hash = Sha256::digest(&chunk[HASHED_FROM..]);
        chunk[4..8].copy_from_slice(&hash[..4]);
    }
    chunk
}

/// The change with some of its parts exchanged, encoded again.
fn reshaped(mut change: Change, state: &State, chance: &mut Chance) -> Vec<u8> {
    for _ in 0..=chance.below(2) {
        reshape(&mut change, state, chance);
    }
    if change.ops.is_empty() {
        change.ops.push(Op { key: "k".into(), action: Action::Delete, preds: Vec::new() });
    }
    let Change { actor, seq, start_op, time_millis, deps, ops, .. } = change;
    // Beyond this Automerge's own encoder gives up.
    let start_op = start_op.clamp(1, u32::MAX - CHANGE_OPS_MAX as u32);
    Change::encode(actor, seq, start_op, time_millis, deps, ops).bytes.to_vec()
}

fn reshape(change: &mut Change, state: &State, chance: &mut Chance) {
    let near = chance.below(5) as u32;
    match chance.below(12) {
        0 => change.seq = change.seq.wrapping_add(near).wrapping_sub(2),
        1 => change.start_op = change.start_op.wrapping_add(near).wrapping_sub(2),
        2 if chance.one_in(2) => change.seq = chance.number() as u32,
        2 => change.start_op = chance.number() as u32,
        3 => change.time_millis = chance.number() as i64,
        4 => change.actor = desk(chance.below(7) as u8),
        5 => reshape_deps(change, state, chance),
        // As an honest desk would that has seen only these changes.
        6 => {
            reshape_deps(change, state, chance);
            let seen = state.parsed.iter().filter(|other| change.deps.contains(&other.hash));
            change.start_op = seen.map(Change::max_op).max().unwrap_or(0).wrapping_add(1);
        }
        7 => {
            let at = chance.below(change.ops.len());
            if let Some(op) = change.ops.get(at).cloned() {
                change.ops.push(Op { key: key(state, chance).into(), ..op });
            }
        }
        8 if change.ops.len() > 1 => drop(change.ops.remove(chance.below(change.ops.len()))),
        _ => {
            let at = chance.below(change.ops.len());
            if let Some(op) = change.ops.get_mut(at) {
                reshape_op(op, state, chance);
            }
        }
    }
}

fn reshape_deps(change: &mut Change, state: &State, chance: &mut Chance) {
    if chance.one_in(2) && !change.deps.is_empty() {
        change.deps.remove(chance.below(change.deps.len()));
    }
    if chance.one_in(2) {
        let known = chance.pick(&state.parsed).map(|known| known.hash);
        change.deps.push(known.unwrap_or_else(|| ChangeHash(chance.bytes())));
    }
}

fn reshape_op(op: &mut Op, state: &State, chance: &mut Chance) {
    match chance.below(6) {
        0 => op.key = key(state, chance).into(),
        1 => op.action = Action::Delete,
        2 => op.action = Action::Put(value(chance)),
        3 if !op.preds.is_empty() => drop(op.preds.remove(chance.below(op.preds.len()))),
        4 => op.preds.extend(chance.pick(&state.ops)),
        _ => {
            let actor = desk(chance.below(6) as u8);
            op.preds.push(OpId { counter: chance.below(24) as u32, actor });
        }
    }
}

fn key(state: &State, chance: &mut Chance) -> String {
    let keys: Vec<&str> = state.doc.values().map(|(key, _)| key).collect();
    match chance.below(6) {
        0 => "k".repeat(chance.below(KEY_BYTES_MAX + 4)),
        1 => format!("#{:016x}-{}", chance.number(), "01".repeat(4)),
        2 => "time".to_owned(),
        _ => chance.pick(&keys).map_or_else(|| "k".to_owned(), |key| (*key).to_owned()),
    }
}

fn value(chance: &mut Chance) -> Value {
    match chance.below(9) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::Int(chance.number() as i64),
        3 => Value::Uint(chance.number()),
        4 => Value::Float(f64::from_bits(chance.number())),
        5 => Value::Float(chance.one_of(&[f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE])),
        6 => Value::Bytes(chance.bytes::<8>()[..chance.below(9)].to_vec()),
        7 => Value::Timestamp(chance.number() as i64),
        _ => Value::Text("字".repeat(chance.below(200))),
    }
}

/// The first inputs.
pub(super) fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for (nth, state) in states().iter().enumerate() {
        let mut add = |name: &str, chunk: &[u8]| {
            let mut input = vec![nth as u8];
            input.extend_from_slice(chunk);
            out.push((format!("{name}-{nth}"), input));
        };
        for (name, by, puts) in edits(state) {
            if let Some(change) = state.doc.edit(desk(by), 1_700_000_001_000, puts) {
                add(name, &change.bytes);
            }
        }
        for (name, chunk) in crafted(state).into_iter().filter(|_| nth % 3 == 0) {
            add(name, &chunk);
        }
    }
    out
}

fn edits(state: &State) -> Vec<(&'static str, u8, Puts)> {
    let all = state.doc.values().map(|(key, _)| key);
    let all = all.filter(|key| !key.starts_with('#')).map(|key| (key.to_owned(), None));
    vec![
        ("honest-same-desk", 1, vec![put("title", "改"), put("late", Value::Float(2.5))]),
        ("honest-new-desk", 9, vec![put("title", "新"), put("raw", Value::Bytes(vec![1, 2]))]),
        ("honest-clears", 2, all.chain([put("last", Value::Null)]).collect()),
    ]
}

/// What was seen to crash, hang or poison Automerge.
fn crafted(state: &State) -> Vec<(&'static str, Vec<u8>)> {
    let op = |key: &str, preds| Op { key: key.into(), action: Action::Put(Value::Int(1)), preds };
    let deps = state.doc.heads();
    let start = state.parsed.iter().map(Change::max_op).max().unwrap_or(0) + 1;
    let make = |seq, start, ops| Change::encode(desk(9), seq, start, 0, deps.clone(), ops).bytes;
    let never = OpId { counter: start + 7, actor: desk(1) };
    let mut head = vec![0, 16];
    head.extend_from_slice(&[9; 16]);
    head.extend_from_slice(&[1, 1, 0, 0, 0]);
    let bomb = [&head[..], &[1, 0x42, 6, 0x80, 0x80, 0x80, 0xc0, 0x00, 1]].concat();
    let honest = make(1, start, vec![op("k", Vec::new())]);
    let stranger = vec![ChangeHash([7; 32])];
    let orphan = Change::encode(desk(9), 1, start, 0, stranger, vec![op("k", Vec::new())]);
    vec![
        ("crafted-number-1000", make(1000, start, vec![op("k", Vec::new())]).to_vec()),
        ("crafted-counter-end", make(1, u32::MAX - 600, vec![op("k", Vec::new())]).to_vec()),
        ("crafted-counter-ahead", make(1, start + 9, vec![op("k", Vec::new())]).to_vec()),
        ("crafted-predecessor", make(1, start, vec![op("title", vec![never])]).to_vec()),
        ("crafted-key-twice", make(1, start, vec![op("k", vec![]), op("k", vec![])]).to_vec()),
        ("crafted-orphan", orphan.bytes.to_vec()),
        ("crafted-run-bomb", build(1, &bomb)),
        ("crafted-document", build(0, &head)),
        ("crafted-compressed", build(2, &head)),
        ("crafted-two-chunks", [&honest[..], &honest[..]].concat()),
        ("crafted-cut", honest[..honest.len() / 2].to_vec()),
    ]
}
