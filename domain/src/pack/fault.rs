//! What is wrong with a pack, where, and what was probably meant.

use std::fmt;

/// One fault of one pack file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {fault}")]
pub struct PackError {
    /// The file as it was named to `Registry::load`.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// What can be wrong with a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not TOML.
    #[error("not TOML: {0}")]
    Toml(String),
    /// A key that this table does not have.
    #[error("{table} has no key `{key}`{nearest}")]
    UnknownKey {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What was probably meant.
        nearest: Nearest,
    },
    /// A key that must stand here.
    #[error("{table} lacks the key `{key}`")]
    MissingKey {
        /// The table.
        table: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value of the wrong type.
    #[error("`{key}` should be {wanted}, not {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A value outside the few that are known.
    #[error("`{value}` is not a {what}{nearest}")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The value.
        value: String,
        /// What was probably meant.
        nearest: Nearest,
    },
    /// A name that breaks the rule of names.
    #[error("`{0}` is not a name: a-z, then up to 31 of a-z, 0-9 and '_'")]
    BadName(String),
    /// A code that breaks the rule of codes.
    #[error("`{0}` is not a code: up to 32 of A-Z, a-z, 0-9, '-' and '_'")]
    BadCode(String),
    /// A word that formulas keep for themselves.
    #[error("`{0}` is a reserved word of formulas and cannot be a name")]
    Reserved(String),
    /// A name that stands already.
    #[error("the {what} `{name}` is already defined at {first}")]
    Duplicate {
        /// What is defined twice.
        what: &'static str,
        /// Its name.
        name: String,
        /// Where it stands first, as `file:line`.
        first: String,
    },
    /// An id would show a personal field to everyone who sees the id.
    #[error("`{0}` is personal (C2 or C3): an id that reads it must be `keyed`")]
    PersonalIdPart(String),
    /// The grid of an open entry must be readable wherever the entry is.
    #[error("the grid field `{0}` is personal (C2 or C3), so a hub could not place the entry")]
    PersonalGrid(String),
    /// A formula that is not CEL.
    #[error("formula: {0}")]
    Formula(String),
    /// A key that has no meaning beside another.
    #[error("`{key}` has no meaning here: {why}")]
    OutOfPlace {
        /// The key.
        key: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A number out of range.
    #[error("`{key}` should be {wanted}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The range in words.
        wanted: &'static str,
    },
}

/// The known word nearest to an unknown one, if one is near.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nearest(pub Option<String>);

impl Nearest {
    /// Picks the nearest of the known words.
    pub(crate) fn to<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let near = |candidate: &&str| {
            let slips = strsim::damerau_levenshtein(word, candidate);
            slips <= SLIP_MIN.max(word.chars().count() / 3)
                || strsim::jaro_winkler(word, candidate) >= LIKE_MIN
        };
        let best = known.into_iter().filter(near).min_by(|left, right| {
            let slips = |other: &str| strsim::damerau_levenshtein(word, other);
            let like = |other: &str| strsim::jaro_winkler(word, other);
            slips(left).cmp(&slips(right)).then(like(right).total_cmp(&like(left)))
        });
        Self(best.map(str::to_owned))
    }
}

/// A suggestion that is further off would mislead more than help: one slip of the finger, one for
/// every three letters, or this likeness (Jaro-Winkler).
const SLIP_MIN: usize = 1;
const LIKE_MIN: f64 = 0.85;

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => write!(f, ", did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["title", "category", "grid"];
        assert_eq!(Nearest::to("titel", known).0.as_deref(), Some("title"));
        assert_eq!(Nearest::to("gird", known).0.as_deref(), Some("grid"));
        assert_eq!(Nearest::to("dya", ["month", "day"]).0.as_deref(), Some("day"));
        assert_eq!(Nearest::to("categories", known).0.as_deref(), Some("category"));
        assert_eq!(Nearest::to("zzz", known).0, None);
    }
}
