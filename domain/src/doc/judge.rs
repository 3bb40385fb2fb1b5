//! Automerge as the judge of a flat document: the same changes, read by the library itself.

use std::collections::BTreeMap;

use automerge::ReadDoc as _;
use bytes::Bytes;

use super::Doc;
use crate::change::from_scalar;
use crate::gate;
use crate::value::Value;

/// How a document differs from what Automerge makes of its changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Automerge does not take the changes, or panics on them.
    #[error("Automerge does not take the changes")]
    NotTaken,
    /// The heads differ.
    #[error("the heads differ")]
    Heads,
    /// The live values of a key differ.
    #[error("the values of `{0}` differ")]
    Values(String),
}

impl Doc {
    /// Compares this document with what Automerge makes of its changes, in journal order.
    pub fn compare(&self, changes: &[Bytes]) -> Result<(), Difference> {
        let judge = gate::fenced(|| load(changes)).flatten().ok_or(Difference::NotTaken)?;
        let mut heads: Vec<[u8; 32]> = judge.get_heads().iter().map(|head| head.0).collect();
        heads.sort_unstable();
        if heads != self.heads().iter().map(|head| head.0).collect::<Vec<_>>() {
            return Err(Difference::Heads);
        }
        let theirs = values(&judge);
        let ours: BTreeMap<String, Vec<Option<Value>>> = self
            .values()
            .map(|(key, _)| {
                let sides = self.sides(key).into_iter().map(|(_, value)| Some(value.clone()));
                (key.to_owned(), sides.collect())
            })
            .collect();
        let keys = theirs.keys().chain(ours.keys());
        for key in keys {
            if theirs.get(key) != ours.get(key) {
                return Err(Difference::Values(key.clone()));
            }
        }
        Ok(())
    }
}

fn load(changes: &[Bytes]) -> Option<automerge::Automerge> {
    let mut doc = automerge::Automerge::new();
    let parsed: Result<Vec<automerge::Change>, _> =
        changes.iter().map(|bytes| automerge::Change::try_from(&bytes[..])).collect();
    doc.apply_changes(parsed.ok()?).ok()?;
    Some(doc)
}

fn values(doc: &automerge::Automerge) -> BTreeMap<String, Vec<Option<Value>>> {
    let sides = |key: &str| {
        let all = doc.get_all(automerge::ROOT, key).unwrap_or_default();
        all.iter()
            .map(|(value, _)| match value {
                automerge::Value::Scalar(scalar) => from_scalar(scalar),
                automerge::Value::Object(_) => None,
            })
            .collect()
    };
    doc.keys(automerge::ROOT)
        .map(|key| {
            let values = sides(&key);
            (key, values)
        })
        .collect()
}
