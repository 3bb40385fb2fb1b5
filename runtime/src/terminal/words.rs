//! Names of kinds, fields, states, actions and metrics as people know them.
//!
//! They come from the definitions inside the program and from those that its daemon has of the hub;
//! what neither knows is shown by its code.

use std::sync::OnceLock;

use linli_domain::pack::{Label, Registry};
use serde_json::Value as Json;

use super::Lang;
use crate::ask::PackView;

/// Finds names in one language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) lang: Lang,
}

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// The definitions in force.
pub(super) fn registry() -> &'static Registry {
    REGISTRY.get_or_init(Registry::builtin)
}

/// Adds the packs a hub has published, before the first word is looked up; later ones say nothing.
pub(super) fn learn(packs: &[PackView]) {
    let published: Vec<(&str, &str)> =
        packs.iter().filter_map(|pack| Some((pack.pack.as_str(), pack.text.as_deref()?))).collect();
    if !published.is_empty()
        && let Ok(registry) = Registry::builtin().with_packs(&published)
    {
        let _already = REGISTRY.set(registry);
    }
}

impl Words {
    fn label(self, label: Option<&Label>, code: &str) -> String {
        let text = label.map(|label| self.lang.pick(&label.zh, &label.en));
        text.filter(|text| !text.is_empty()).map_or_else(|| code.to_owned(), Clone::clone)
    }

    pub(super) fn field(self, kind: &str, name: &str) -> String {
        let field = registry().kind(kind).and_then(|kind| kind.field(name));
        self.label(field.map(|field| &field.label), name)
    }

    pub(super) fn state(self, kind: &str, code: &str) -> String {
        let kind = registry().kind(kind);
        let state = kind.and_then(|kind| kind.workflow.as_ref()?.state(code));
        self.label(state.map(|state| &state.label), code)
    }

    /// `受理 accept`: the name people know and the code that commands take.
    pub(super) fn action(self, kind: &str, code: &str) -> String {
        let kind = registry().kind(kind);
        let action = kind.and_then(|kind| kind.workflow.as_ref()?.action(code));
        match self.label(action.map(|action| &action.label), "") {
            name if name.is_empty() => code.to_owned(),
            name => format!("{name} ({code})"),
        }
    }

    /// Names of a kind's fields in the order of its pack.
    pub(super) fn order(kind: &str) -> Vec<&'static str> {
        registry().kind(kind).map_or_else(Vec::new, |kind| {
            kind.fields.iter().map(|field| field.name.as_str()).collect()
        })
    }

    /// A field's value: choices by their names, sets joined.
    pub(super) fn value(self, kind: &str, field: &str, value: &Json) -> String {
        let choices = registry().kind(kind).and_then(|kind| kind.field(field));
        let one = |text: &str| {
            let choice =
                choices.and_then(|field| field.choices.iter().find(|choice| choice.value == text));
            self.label(choice.map(|choice| &choice.label), text)
        };
        match value {
            Json::Null => String::new(),
            Json::Bool(true) => self.lang.pick("是", "yes").to_owned(),
            Json::Bool(false) => self.lang.pick("否", "no").to_owned(),
            Json::String(text) => one(text),
            Json::Array(items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), one))
                    .collect();
                items.join(self.lang.pick("、", ", "))
            }
            Json::Number(_) | Json::Object(_) => value.to_string(),
        }
    }
}
