//! What a formula sees of one entry: its fields, sets, state and dates, borrowed and not copied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer};
use cel::common::types::{self, CelBool, CelDouble, CelInt, CelList, CelString, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::formula::Map;
use crate::entry::Entry;
use crate::value::Value;
use crate::workflow::Progress;

/// The variables of formulas, in the order of the handbook.
pub(crate) const VARIABLES: [&str; 5] = ["f", "sets", "state", "at", "since"];

/// The variables of one entry.
pub(crate) struct Scope<'a> {
    fields: Keyed<'a, Value>,
    sets: Keyed<'a, BTreeSet<String>>,
    state: CelString<'a>,
    at: Keyed<'a, String>,
    since: Keyed<'a, String>,
    progress: &'a Progress,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(entry: &'a Entry, progress: &'a Progress) -> Self {
        Self {
            fields: Keyed(&entry.fields),
            sets: Keyed(&entry.sets),
            state: CelString::from(progress.state.as_str()),
            at: Keyed(&progress.done),
            since: Keyed(&progress.entered),
            progress,
        }
    }

    pub(super) fn state(&self) -> &str {
        &self.progress.state
    }

    /// A field that formulas see.
    pub(super) fn field(&self, name: &str) -> Option<&'a Value> {
        self.fields.0.get(name).filter(|value| value.is_seen())
    }

    pub(super) fn has(&self, map: Map, key: &str) -> bool {
        match map {
            Map::Fields => self.field(key).is_some(),
            Map::Sets => self.sets.0.contains_key(key),
            Map::Done => self.at.0.contains_key(key),
            Map::Entered => self.since.0.contains_key(key),
        }
    }

    /// A text under a key; of a set there is none.
    pub(super) fn text(&self, map: Map, key: &str) -> Option<&'a str> {
        match map {
            Map::Fields => self.field(key).and_then(Value::as_text),
            Map::Sets => None,
            Map::Done => self.at.0.get(key).map(String::as_str),
            Map::Entered => self.since.0.get(key).map(String::as_str),
        }
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value: &dyn Val = match variable {
            "f" => &self.fields,
            "sets" => &self.sets,
            "state" => &self.state,
            "at" => &self.at,
            "since" => &self.since,
            _ => return None,
        };
        Some(CowVal::Borrowed(value))
    }
}

/// A map that a formula may index, test with `has` and search with `in`.
#[derive(Debug)]
struct Keyed<'a, T>(&'a BTreeMap<String, T>);

/// What stands in such a map, as a formula sees it; `None` counts as absent.
trait Seen: std::fmt::Debug + Send + Sync {
    fn seen<'v>(&'v self) -> Option<Box<dyn Val + 'v>>;
}

impl Seen for String {
    fn seen<'v>(&'v self) -> Option<Box<dyn Val + 'v>> {
        Some(Box::new(CelString::from(self.as_str())))
    }
}

impl Value {
    /// Whether a formula can do anything with it: what it cannot, counts as absent.
    fn is_seen(&self) -> bool {
        match self {
            Self::Text(_) | Self::Int(_) | Self::Bool(_) | Self::Float(_) => true,
            Self::Uint(_) => self.as_int().is_some(),
            Self::Null | Self::Bytes(_) | Self::Timestamp(_) => false,
        }
    }
}

impl Seen for Value {
    fn seen<'v>(&'v self) -> Option<Box<dyn Val + 'v>> {
        match self {
            Self::Text(text) => Some(Box::new(CelString::from(text.as_str()))),
            Self::Int(number) => Some(Box::new(CelInt::from(*number))),
            Self::Bool(flag) => Some(Box::new(CelBool::from(*flag))),
            Self::Float(number) => Some(Box::new(CelDouble::from(*number))),
            Self::Uint(_) => Some(Box::new(CelInt::from(self.as_int()?))),
            Self::Null | Self::Bytes(_) | Self::Timestamp(_) => None,
        }
    }
}

impl Seen for BTreeSet<String> {
    fn seen<'v>(&'v self) -> Option<Box<dyn Val + 'v>> {
        let items: Vec<Box<dyn Val + 'v>> = self
            .iter()
            .map(|item| Box::new(CelString::from(item.as_str())) as Box<dyn Val + 'v>)
            .collect();
        Some(Box::new(CelList::from(items)))
    }
}

impl<T: Seen> Keyed<'_, T> {
    fn key(key: &dyn Val) -> Result<&str, ExecutionError> {
        key.downcast_ref::<CelString>().map(CelString::inner).ok_or_else(|| {
            ExecutionError::UnexpectedType {
                got: key.get_type().name().to_owned(),
                want: "string".to_owned(),
            }
        })
    }
}

impl<T: Seen> Val for Keyed<'_, T> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &types::MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Keyed(self.0))
    }
}

impl<T: Seen> Container for Keyed<'_, T> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.0.get(Self::key(key)?).is_some_and(|value| value.seen().is_some()))
    }
}

impl<'a, T: Seen> Indexer for Keyed<'a, T> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = Self::key(key)?;
        let map: &'a BTreeMap<String, T> = self.0;
        map.get(name)
            .and_then(Seen::seen)
            .map(CowVal::Owned)
            .ok_or_else(|| ExecutionError::NoSuchKey(Arc::new(name.to_owned())))
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(self.get(key)?.into_owned())
    }
}
