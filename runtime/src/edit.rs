//! From what a person typed to what is written in the two halves of an entry, or to a sentence
//! that says what to do instead.
//!
//! Pure: it reads an entry and its definitions, and writes nothing.

mod parse;
mod trouble;

use std::collections::BTreeMap;

use linli_domain::doc::{ENTRY_SET_SEPARATOR, step_key, step_value};
use linli_domain::entry::{Entry, Step, StepId};
use linli_domain::pack::{FieldType, Kind};
use linli_domain::value::Value;
use linli_domain::workflow::fold;
use serde_json::Value as Json;

pub use parse::parse_field;
pub use trouble::EditError;

/// New values of document keys; `None` removes.
pub type Puts = Vec<(String, Option<Value>)>;

/// What an edit writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// Into the open half.
    pub open: Puts,
    /// Into the sealed half.
    pub sealed: Puts,
}

/// A field's new content.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A scalar, or nothing.
    Scalar(Option<Value>),
    /// All items of a set.
    Set(Vec<String>),
}

/// Reads the fields of a form by the kind's definition.
pub fn read_fields(
    kind: &Kind,
    form: &BTreeMap<String, Json>,
) -> Result<BTreeMap<String, Content>, EditError> {
    form.iter()
        .map(|(name, json)| {
            let field = kind.field(name).ok_or_else(|| EditError::unknown_field(kind, name))?;
            Ok((name.clone(), parse_field(field, json)?))
        })
        .collect()
}

/// Names the required fields that neither the form nor the entry has.
pub fn check_required(
    kind: &Kind,
    entry: &Entry,
    fields: &BTreeMap<String, Content>,
) -> Result<(), EditError> {
    for field in kind.fields.iter().filter(|field| field.required) {
        let given = match fields.get(&field.name) {
            Some(Content::Scalar(Some(_))) => true,
            Some(Content::Set(items)) => !items.is_empty(),
            Some(Content::Scalar(None)) => false,
            None => entry.fields.contains_key(&field.name) || entry.sets.contains_key(&field.name),
        };
        if !given {
            return Err(EditError::Missing {
                field: field.name.clone(),
                label: field.label.clone(),
            });
        }
    }
    Ok(())
}

/// Sorts new field contents into the halves by class.
pub fn draft_fields(kind: &Kind, entry: &Entry, fields: &BTreeMap<String, Content>) -> Draft {
    let mut draft = Draft::default();
    for (name, content) in fields {
        let half =
            if kind.class_of(name).is_sealed() { &mut draft.sealed } else { &mut draft.open };
        match content {
            Content::Scalar(value) => half.push((name.clone(), value.clone())),
            Content::Set(items) => {
                let there = entry.sets.get(name);
                let key = |item: &String| format!("{name}{ENTRY_SET_SEPARATOR}{item}");
                for item in items {
                    if there.is_none_or(|there| !there.contains(item)) {
                        half.push((key(item), Some(Value::Bool(true))));
                    }
                }
                for item in there.into_iter().flatten() {
                    if !items.contains(item) {
                        half.push((key(item), None));
                    }
                }
            }
        }
    }
    draft
}

/// Adds steps to a draft, after checking that each is legal where it lands. Steps that the entry
/// has already (same action, date and person) are left out, so that an import can be repeated.
pub fn draft_steps(
    kind: &Kind,
    entry: &Entry,
    steps: Vec<Step>,
    mut next_id: impl FnMut() -> StepId,
    draft: &mut Draft,
) -> Result<(), EditError> {
    let Some(workflow) = &kind.workflow else {
        return match steps.first() {
            None => Ok(()),
            Some(step) => Err(EditError::NoWorkflow { action: step.action.clone() }),
        };
    };
    let mut known = entry.steps.clone();
    for mut step in steps {
        let same = |there: &Step| {
            there.action == step.action && there.at == step.at && there.by == step.by
        };
        if entry.steps.iter().any(same) {
            continue;
        }
        let before = fold(workflow, &known);
        if workflow.action_in(&before.state, &step.action).is_none() {
            return Err(EditError::illegal_step(workflow, &before.state, &step.action));
        }
        step.id = next_id();
        let key = step_key(&step.id);
        if kind.sealed {
            draft.sealed.push((key, Some(step_value(&step, true))));
        } else {
            let note_sealed = kind.step_note_class(&step.action).is_sealed();
            draft.open.push((key.clone(), Some(step_value(&step, !note_sealed))));
            if note_sealed && let Some(note) = &step.note {
                let only_note = Step {
                    id: step.id.clone(),
                    action: String::new(),
                    at: String::new(),
                    by: String::new(),
                    note: Some(note.clone()),
                };
                draft.sealed.push((key, Some(step_value(&only_note, true))));
            }
        }
        known.push(step);
    }
    Ok(())
}

/// `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`, and a day that exists.
pub fn is_business_date(text: &str) -> bool {
    parse::is_date_or_time(text)
}

/// Whether a field is a set.
pub fn is_set(kind: &Kind, name: &str) -> bool {
    kind.field(name).is_some_and(|field| field.field_type == FieldType::Set)
}
