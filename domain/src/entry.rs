//! An entry 记录 as people read it: fields, sets and steps, joined from its two halves.
//!
//! Reading never fails: what is there is returned, with a list of oddities. It refuses to judge
//! steps; `workflow` does that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::hlc::Hlc;
use crate::id::EntryId;
use crate::value::Value;

/// One workflow act on an entry, immutable once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Orders the steps of an entry, whatever the wall clocks said.
    pub id: StepId,
    /// The action's code, as the pack's workflow names it.
    pub action: String,
    /// The business date: `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`, as the office states it.
    pub at: String,
    /// Who did it, as the office names its staff: a desk or account, never a resident.
    pub by: String,
    /// A remark; lives in the sealed half unless the pack says otherwise.
    pub note: Option<String>,
}

/// `<hlc, 16 hex digits>-<8 hex digits of the actor>`; text order is causal order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub String);

impl StepId {
    /// Makes the id of a step written at `hlc` by the actor whose last four bytes are `tail`.
    pub fn new(hlc: Hlc, tail: [u8; 4]) -> Self {
        let tail = u32::from_be_bytes(tail);
        Self(format!("{}-{tail:08x}", hlc.to_hex()))
    }

    /// The clock part, if the id is well formed.
    pub fn hlc(&self) -> Option<Hlc> {
        let (clock, tail) = self.0.split_once('-')?;
        (tail.len() == 8).then(|| Hlc::parse(clock)).flatten()
    }
}

/// The stored form of a step, as a JSON text under the key `#<step id>`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredStep {
    #[serde(rename = "a", default)]
    pub(crate) action: String,
    #[serde(rename = "t", default)]
    pub(crate) at: String,
    #[serde(rename = "b", default)]
    pub(crate) by: String,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// A field with more than one live value: the sides of a concurrent edit.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldConflict {
    /// The field.
    pub field: String,
    /// The value the rule chose (greatest op id), as the entry shows it.
    pub chosen: Value,
    /// The other live values with the actor that wrote each, in hex.
    pub others: Vec<(String, Value)>,
}

/// Something in a document that could not be read as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// The document key.
    pub key: String,
    /// What is odd about it.
    pub what: &'static str,
}

/// An entry, joined from its open half and, where this machine may read it, its sealed half.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry {
    /// Its id; `None` only in the default value.
    pub id: Option<EntryId>,
    /// Scalar fields of both halves.
    pub fields: BTreeMap<String, Value>,
    /// Set fields of both halves: the items present.
    pub sets: BTreeMap<String, BTreeSet<String>>,
    /// Steps in step-id order.
    pub steps: Vec<Step>,
    /// Fields with several live values.
    pub conflicts: Vec<FieldConflict>,
    /// What could not be read.
    pub oddities: Vec<Oddity>,
}

impl Entry {
    /// A field's text, or the empty string.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_text).unwrap_or("")
    }

    /// The kind, or the empty string.
    pub fn kind(&self) -> &str {
        self.id.as_ref().map_or("", EntryId::kind)
    }
}
