//! A ledger kind: its fields, their classes, and how its entries are named.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::id::EntryId;
use crate::value::Value;
use crate::workflow::Workflow;

/// A name for people, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Label {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// The class of a field: who may read it, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Class {
    /// Public: anyone.
    C0,
    /// Work: community and hub.
    C1,
    /// Personal: the community only.
    C2,
    /// Sensitive: named roles of the community only, each look-up recorded.
    C3,
}

impl Class {
    /// Whether it lives in the sealed half.
    pub fn is_sealed(self) -> bool {
        self >= Self::C2
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// A whole number of 分 (1/100 yuan).
    Money,
    /// `YYYY-MM-DD`.
    Date,
    /// `YYYY-MM-DDTHH:MM`.
    Datetime,
    /// Yes or no.
    Bool,
    /// One of the field's choices.
    Choice,
    /// The id of another entry.
    Entry,
    /// A set of texts, or of choices where the field has some.
    Set,
}

/// One of the values of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// As stored.
    pub value: String,
    /// As shown.
    pub label: Label,
}

/// A field of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name: the document key.
    pub name: String,
    /// What it holds.
    pub field_type: FieldType,
    /// Who may read it.
    pub class: Class,
    /// Its name for people.
    pub label: Label,
    /// Whether a form may not leave it empty.
    pub required: bool,
    /// Whether look-ups search in it.
    pub search: bool,
    /// The values of a choice, in the order of the pack.
    pub choices: Vec<Choice>,
    /// For an entry field: the kind it points to, where the pack says so.
    pub of: Option<String>,
}

/// How the entries of a kind are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdRule {
    /// A new ULID for each.
    Ulid,
    /// Derived from fields anyone may read.
    From(IdParts),
    /// A keyed hash of fields, some of them personal.
    Keyed(IdParts),
}

/// The fields that make an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdParts {
    /// The kind whose entries are named.
    pub kind: String,
    /// The fields, in order.
    pub fields: Vec<String>,
}

impl IdRule {
    /// The id (without kind) that these fields give, or `None` when the rule draws one or a part
    /// is missing. `keyed` hashes the parts of a kind under the community's id secret.
    ///
    /// The same fields give the same id on every desk. Parts are joined with '-', an entry part
    /// without its kind; where that is not a valid id (it holds Chinese, say), the id is `x` and
    /// 26 characters of a hash over kind and parts.
    pub fn derive(
        &self,
        fields: &BTreeMap<String, Value>,
        keyed: impl Fn(&str, &[&str]) -> String,
    ) -> Option<String> {
        let (Self::From(names) | Self::Keyed(names)) = self else { return None };
        let parts: Vec<String> =
            names.fields.iter().map(|name| id_part(fields.get(name)?)).collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match self {
            Self::Ulid => None,
            Self::Keyed(names) => Some(keyed(&names.kind, &parts)),
            Self::From(names) => {
                let joined = parts.join("-");
                if EntryId::new(&names.kind, &joined).is_ok() {
                    Some(joined)
                } else {
                    Some(hashed(&names.kind, &parts))
                }
            }
        }
    }
}

fn id_part(value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(text) => text.trim(),
        Value::Int(number) => return Some(number.to_string()),
        Value::Bool(flag) => return Some(flag.to_string()),
        _ => return None,
    };
    let bare = EntryId::parse(text).map_or(text.to_owned(), |entry| entry.id().to_owned());
    (!bare.is_empty()).then_some(bare)
}

fn hashed(kind: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let text = BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase();
    format!("x{}", &text[..26])
}

/// A ledger kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Its name: the part of an entry id before the slash.
    pub name: String,
    /// The pack that defines it.
    pub pack: String,
    /// The ledger's code, such as `L06`; housekeeping kinds have none.
    pub ledger: Option<String>,
    /// Its name for people.
    pub label: Label,
    /// How its entries are named.
    pub id: IdRule,
    /// Whether the whole kind lives in the sealed half.
    pub sealed: bool,
    /// The field that names an entry's grid; empty where entries have none.
    pub grid: String,
    /// Its fields, in the order of the pack.
    pub fields: Vec<Field>,
    /// Its workflow, if it has one.
    pub workflow: Option<Arc<Workflow>>,
}

impl Kind {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The class of a field, a set (`field:item` is read as its field) or an unknown key. What
    /// the pack does not know is taken for personal, and so is all of a sealed kind.
    pub fn class_of(&self, key: &str) -> Class {
        let name = key.split_once(':').map_or(key, |(field, _)| field);
        let class = self.field(name).map_or(Class::C2, |field| field.class);
        if self.sealed { class.max(Class::C2) } else { class }
    }

    /// The class of the remark of a step.
    pub fn step_note_class(&self, action: &str) -> Class {
        let known = self.workflow.as_ref().and_then(|workflow| workflow.action(action));
        let class = known.map_or(Class::C2, |action| action.note_class);
        if self.sealed { class.max(Class::C2) } else { class }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn parts(names: &[&str]) -> IdParts {
        IdParts { kind: "duty".into(), fields: names.iter().map(|&name| name.into()).collect() }
    }

    fn unkeyed(_: &str, _: &[&str]) -> String {
        unreachable!("this rule has no key")
    }

    #[test]
    fn two_desks_derive_the_same_id_from_the_same_fields() {
        let rule = IdRule::From(parts(&["group", "month"]));
        let given = fields(&[("group", "group/37".into()), ("month", " 2026-03 ".into())]);
        assert_eq!(rule.derive(&given, unkeyed).as_deref(), Some("37-2026-03"));
        let number = fields(&[("group", Value::Int(37)), ("month", "2026-03".into())]);
        assert_eq!(rule.derive(&number, unkeyed).as_deref(), Some("37-2026-03"));
    }

    #[test]
    fn a_part_in_chinese_gives_a_valid_id_of_its_own() {
        let rule = IdRule::From(parts(&["group", "month"]));
        let id = |group: &str| {
            rule.derive(&fields(&[("group", group.into()), ("month", "2026-03".into())]), unkeyed)
                .unwrap()
        };
        assert!(EntryId::new("duty", &id("第三组")).is_ok());
        assert_eq!(id("第三组"), id("第三组"));
        assert_ne!(id("第三组"), id("第四组"));
    }

    #[test]
    fn an_empty_or_missing_part_gives_no_id() {
        let rule = IdRule::From(parts(&["group"]));
        assert_eq!(rule.derive(&fields(&[]), unkeyed), None);
        assert_eq!(rule.derive(&fields(&[("group", "  ".into())]), unkeyed), None);
        assert_eq!(IdRule::Ulid.derive(&fields(&[]), unkeyed), None);
    }

    #[test]
    fn a_keyed_rule_hands_over_kind_and_parts() {
        let rule = IdRule::Keyed(parts(&["building", "room"]));
        let given = fields(&[("building", "3".into()), ("room", "501".into())]);
        let id = rule.derive(&given, |kind, parts| format!("{kind}:{}", parts.join("|")));
        assert_eq!(id.as_deref(), Some("duty:3|501"));
    }

    #[test]
    fn what_the_pack_does_not_know_is_personal() {
        let field = Field {
            name: "title".into(),
            field_type: FieldType::Text,
            class: Class::C1,
            label: Label::default(),
            required: false,
            search: false,
            choices: Vec::new(),
            of: None,
        };
        let mut kind = Kind {
            name: "issue".into(),
            pack: "p".into(),
            ledger: None,
            label: Label::default(),
            id: IdRule::Ulid,
            sealed: false,
            grid: String::new(),
            fields: vec![field],
            workflow: None,
        };
        assert_eq!(kind.class_of("title"), Class::C1);
        assert_eq!(kind.class_of("title:item"), Class::C1);
        assert_eq!(kind.class_of("phone"), Class::C2);
        assert_eq!(kind.step_note_class("report"), Class::C2);
        kind.sealed = true;
        assert_eq!(kind.class_of("title"), Class::C2, "a sealed kind is sealed whole");
    }
}
