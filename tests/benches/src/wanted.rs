//! Which of the works are wanted.

/// Works by name, such as `W5`; none means all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    /// Reads the names a person gave.
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self(names.into_iter().map(|name| name.to_uppercase()).collect())
    }

    /// Whether this work is wanted.
    pub(crate) fn has(&self, work: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == work)
    }

    /// Whether any of these is wanted.
    pub(crate) fn any(&self, works: &[&str]) -> bool {
        works.iter().any(|work| self.has(work))
    }
}
