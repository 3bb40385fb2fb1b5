//! The gate: the bytes of a change against a document, through parser, check and rows.
//!
//! The first byte of an input says which document, the others are the chunk. Automerge is the
//! judge: what our code takes must load in it again under the same heads, read the same, and take
//! a further edit. It refuses to judge which of two refusals is the better one.

mod history;
mod shapes;

use automerge::Automerge;
use bytes::Bytes;
use linli_domain::change::Change;
use linli_domain::doc::{Doc, Fit, entry_of};
use linli_domain::gate;
use linli_domain::id::{ActorId, ChangeHash, EntryId};
use linli_domain::value::Value;

use self::history::{State, states};
use crate::{Target, Verdict};

pub(crate) const TARGET: Target =
    Target { name: "gate", run, mutate: shapes::mutate, seeds: shapes::seeds };

fn run(input: &[u8]) -> Verdict {
    let Some((which, chunk)) = input.split_first() else { return Verdict::refused("empty") };
    let state = &states()[usize::from(*which) % states().len()];
    let bytes = Bytes::copy_from_slice(chunk);
    let hash = gate::hash_of(&bytes).unwrap_or_default();
    let parsed = gate::parse(&bytes, &hash);
    let judged = gate::judge(&bytes, &hash);
    // As text: a number that is none equals nothing, not even itself.
    assert_eq!(format!("{parsed:?}"), format!("{judged:?}"), "Automerge reads another change");
    let change = match parsed {
        Ok(change) => change,
        Err(refusal) => return Verdict::refused(refusal.code()),
    };
    assert_eq!((&change.bytes, change.hash), (&bytes, hash), "another change than was sent");
    match state.doc.check(&change) {
        Ok(Fit::Fits) => {}
        Ok(Fit::Known) => return Verdict::refused("known"),
        Ok(Fit::Missing(_)) => return Verdict::refused("missing"),
        Err(refusal) => return Verdict::refused(refusal.code()),
    }
    taken(state, &change);
    Verdict::Accepted
}

/// What must hold of a change that was let in.
fn taken(state: &State, change: &Change) {
    let mut judge = state.judge.clone();
    apply(&mut judge, &change.bytes);
    let mut doc = state.doc.clone();
    doc.apply(change);
    same_heads(&doc, &judge);
    let loaded = Automerge::load(&judge.save()).expect("a document with it loads again");
    same_heads(&doc, &loaded);
    let mut all = state.changes.clone();
    all.push(change.bytes.clone());
    assert_eq!(doc.compare(&all), Ok(()), "Automerge reads another document");

    let row = doc.to_row();
    let back = Doc::from_row(&row).expect("our own row");
    assert_eq!(back.to_row(), row, "the row reads back as another document");
    let id = EntryId::parse("issue/fuzz-1").expect("an id");
    let _ = entry_of(&id, Some(&doc), None);

    let keys = change.ops.iter().map(|op| op.key.to_string()).take(4);
    let puts = keys
        .filter(|key| !key.starts_with('#'))
        .map(|key| (key, Some(Value::from("a further edit"))));
    let puts = puts.chain([("further".to_owned(), Some(Value::Int(1)))]);
    let Some(more) = back.edit(ActorId([0xee; 16]), 9, puts.collect()) else { return };
    let parsed = gate::parse(&more.bytes, &more.hash).expect("our own edit");
    assert_eq!(doc.check(&parsed), Ok(Fit::Fits), "a further edit does not fit");
    apply(&mut judge, &more.bytes);
    doc.apply(&parsed);
    same_heads(&doc, &judge);
}

fn apply(judge: &mut Automerge, bytes: &Bytes) {
    let change = automerge::Change::try_from(&bytes[..]).expect("it passed the gate");
    judge.apply_changes([change]).expect("Automerge takes it");
}

fn same_heads(doc: &Doc, judge: &Automerge) {
    let mut heads: Vec<ChangeHash> =
        judge.get_heads().iter().map(|head| ChangeHash(head.0)).collect();
    heads.sort_unstable();
    assert_eq!(doc.heads(), heads, "other heads than Automerge");
}
