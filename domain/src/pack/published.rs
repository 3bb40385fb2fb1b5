//! Packs that a hub gives out, in place of those of the same name or beside them.
//!
//! A definition decides what is sealed. So a pack from a hub may add and correct, but it may not
//! open what was sealed: a community's desks refuse such a pack, whoever sends it.

use std::collections::BTreeSet;
use std::fmt;

use super::{Class, IdRule, Kind, PackError, Registry};

/// What a pack would open that is sealed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loosened {
    /// The kind.
    pub kind: String,
    /// What of it.
    pub part: Part,
}

/// The part of a kind that would be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A field.
    Field(String),
    /// The remarks of an action.
    Remark(String),
    /// The parts of its ids, kept under the community's secret now.
    Ids,
}

impl fmt::Display for Loosened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = &self.kind;
        match &self.part {
            Part::Field(field) => write!(f, "`{kind}.{field}` is sealed and would be open"),
            Part::Remark(action) => {
                write!(f, "remarks of `{action}` on `{kind}` are sealed and would be open")
            }
            Part::Ids => write!(f, "the ids of `{kind}` are keyed and would be plain"),
        }
    }
}

/// The name that a pack file gives itself; `None` for a text that gives none.
pub fn pack_name(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    table.get("pack")?.as_str().map(str::to_owned)
}

impl Registry {
    /// These definitions with other packs, given as (file name, text), in place of those of the
    /// same name or beside them. Everything is checked again, against everything.
    pub fn with_packs(&self, published: &[(&str, &str)]) -> Result<Self, Vec<PackError>> {
        let names: BTreeSet<String> =
            published.iter().filter_map(|(_, text)| pack_name(text)).collect();
        let kept = self.sources.iter().filter(|(name, _)| !names.contains(*name));
        let kept = kept.map(|(_, source)| (source.0.as_str(), source.1.as_str()));
        // What is new comes last, so that a clash is its fault and not that of what was there.
        let files: Vec<(&str, &str)> = kept.chain(published.iter().copied()).collect();
        let registry = Self::load(&files)?;
        Ok(if self.open_only { registry.open_metrics() } else { registry })
    }

    /// What `other` would open that is sealed here. What is not defined here is nothing it could
    /// open.
    pub fn loosened_by(&self, other: &Self) -> Vec<Loosened> {
        let pairs = self.kinds().filter_map(|kind| Some((kind, other.kind(&kind.name)?)));
        pairs.flat_map(|(now, then)| loosened(now, then)).collect()
    }

    /// Fields that mean something else in `other`: ledgers hold values of the old type, and the
    /// same name must not be read in two ways. Given as sentences.
    pub fn retyped_by(&self, other: &Self) -> Vec<String> {
        let mut retyped = Vec::new();
        for (now, then) in self.kinds().filter_map(|kind| Some((kind, other.kind(&kind.name)?))) {
            for field in &now.fields {
                let (name, was) = (&field.name, field.field_type);
                let is = then.field(name).map_or(was, |field| field.field_type);
                if is != was {
                    retyped.push(format!("`{}.{name}` is {was:?} and would be {is:?}", now.name));
                }
            }
        }
        retyped
    }
}

fn loosened(now: &Kind, then: &Kind) -> Vec<Loosened> {
    let opens = |now: Class, then: Class| now.is_sealed() && !then.is_sealed();
    let fields = now.fields.iter().map(|field| &field.name);
    let fields = fields.filter(|name| opens(now.class_of(name), then.class_of(name)));
    let actions = now.workflow.iter().flat_map(|flow| &flow.actions).map(|action| &action.name);
    let actions =
        actions.filter(|name| opens(now.step_note_class(name), then.step_note_class(name)));
    let keyed = |kind: &Kind| matches!(kind.id, IdRule::Keyed(_));
    let ids = (keyed(now) && !keyed(then)).then_some(Part::Ids);
    let parts = fields.cloned().map(Part::Field).chain(actions.cloned().map(Part::Remark));
    parts.chain(ids).map(|part| Loosened { kind: now.name.clone(), part }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::GOOD;
    use super::*;

    fn forum() -> Registry {
        Registry::load(&[("forum.toml", GOOD)]).unwrap()
    }

    #[test]
    fn a_pack_takes_the_place_of_the_one_of_its_name() {
        let forum = forum();
        let raised = GOOD.replace("version = 1", "version = 2").replace("照明", "路灯");
        let then = forum.with_packs(&[("another-file.toml", &raised)]).unwrap();
        assert_eq!(then.packs().count(), 1);
        assert_eq!(then.pack("forum").unwrap().version, 2);
        assert_ne!(then.hash(), forum.hash());
        let back = then.with_packs(&[("forum.toml", GOOD)]).unwrap();
        assert_eq!(back.hash(), forum.hash());
    }

    #[test]
    fn a_pack_beside_the_others_is_checked_against_them() {
        let beside = GOOD.replace("pack = \"forum\"", "pack = \"second\"");
        let errors = forum().with_packs(&[("second.toml", &beside)]).unwrap_err();
        assert!(errors.iter().all(|error| error.file == "second.toml"), "{errors:?}");
        assert!(errors.iter().any(|error| error.to_string().contains("forum.toml:")), "{errors:?}");
    }

    #[test]
    fn metrics_left_out_stay_left_out() {
        let hub = forum().open_metrics();
        let sealed = GOOD.replace("f.category == 'lighting'", "f.phone != ''");
        let then = hub.with_packs(&[("forum.toml", &sealed)]).unwrap();
        assert!(then.metric("M02").is_none());
        assert!(forum().with_packs(&[("forum.toml", &sealed)]).unwrap().metric("M02").is_some());
    }

    #[test]
    fn what_is_sealed_cannot_be_opened() {
        let forum = forum();
        let opened = |from: &str, to: &str| {
            assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must stand once");
            let then = forum.with_packs(&[("forum.toml", &GOOD.replace(from, to))]).unwrap();
            forum.loosened_by(&then).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let phone = "name = \"phone\", type = \"text\", class = ";
        assert_eq!(
            opened(&format!("{phone}\"C2\""), &format!("{phone}\"C1\"")),
            ["`issue.phone` is sealed and would be open"]
        );
        assert_eq!(
            opened("en = \"Remark\" }", "en = \"Remark\", note_class = \"C0\" }"),
            ["remarks of `remark` on `issue` are sealed and would be open"]
        );
        assert_eq!(opened("version = 1", "version = 2"), [""; 0]);
        let keyed = GOOD.replace("{ from = [\"number\"] }", "{ keyed = [\"number\"] }");
        let keyed = Registry::load(&[("forum.toml", &keyed)]).unwrap();
        let told: Vec<String> = keyed.loosened_by(&forum).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["the ids of `issue` are keyed and would be plain"]);
    }

    #[test]
    fn a_field_that_changes_its_type_is_named() {
        let forum = forum();
        let typed =
            GOOD.replace("name = \"tags\", type = \"set\"", "name = \"tags\", type = \"text\"");
        let then = forum.with_packs(&[("forum.toml", &typed)]).unwrap();
        assert_eq!(forum.retyped_by(&then), ["`issue.tags` is Set and would be Text"]);
        assert_eq!(forum.retyped_by(&forum), [""; 0]);
    }

    #[test]
    fn a_text_says_its_own_name() {
        assert_eq!(pack_name(GOOD).as_deref(), Some("forum"));
        assert_eq!(pack_name("pack = 7"), None);
        assert_eq!(pack_name("no toml ="), None);
    }
}
