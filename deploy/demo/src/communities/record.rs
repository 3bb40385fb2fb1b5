//! One line of `import-json`: an entry with its fields and steps.
//!
//! It refuses to know the packs; a test holds the records against them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An entry as it is imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The kind.
    pub kind: String,
    /// The id without its kind; absent where the kind derives it from fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Fields; a set is an array of texts.
    pub fields: BTreeMap<String, Value>,
    /// Steps, in the order they were taken.
    #[serde(default)]
    pub steps: Vec<RecordStep>,
}

/// One act on an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordStep {
    /// What was done.
    pub action: String,
    /// The business date, `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`.
    pub at: String,
    /// The desk or post that did it.
    pub by: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Record {
    /// An entry whose id is derived from its fields.
    pub(super) fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), id: None, fields: BTreeMap::new(), steps: Vec::new() }
    }

    /// Sets a field.
    #[must_use]
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Sets a field where there is a value.
    #[must_use]
    pub(super) fn with_some(self, field: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    /// Sets a set.
    #[must_use]
    pub(super) fn items<S: AsRef<str>>(self, field: &str, items: &[S]) -> Self {
        let items: Vec<Value> = items.iter().map(|item| item.as_ref().into()).collect();
        self.with(field, items)
    }

    /// Adds a step by the office.
    #[must_use]
    pub(super) fn step(self, action: &str, at: impl Into<String>) -> Self {
        self.step_by(action, at, "社区内勤")
    }

    /// Adds a step by a post.
    #[must_use]
    pub(super) fn step_by(mut self, action: &str, at: impl Into<String>, by: &str) -> Self {
        let (action, by) = (action.to_owned(), by.to_owned());
        self.steps.push(RecordStep { action, at: at.into(), by, note: None });
        self
    }

    /// Adds a remark to the last step.
    #[must_use]
    pub(super) fn noted(mut self, note: &str) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.note = Some(note.to_owned());
        }
        self
    }
}
