//! A TOML file read with the place of every word, so that each fault names its line.
//!
//! It never stops at the first fault: what is missing or of the wrong type becomes an empty value
//! and a fault on the list.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Nearest, PackError};

/// A value with the byte offset where it stands in its file.
#[derive(Debug, Clone, Default)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

/// One table of the file.
#[derive(Clone, Copy)]
pub(super) struct Part<'t> {
    /// What faults call it.
    pub(super) what: &'static str,
    /// Where it begins.
    pub(super) at: usize,
    table: &'t DeTable<'t>,
}

/// A file being read, and the faults found so far.
pub(super) struct Source<'s> {
    file: &'s str,
    text: &'s str,
    pub(super) errors: Vec<PackError>,
}

impl<'t> Part<'t> {
    /// The root table of a parsed file.
    pub(super) fn root(parsed: &'t Spanned<DeTable<'t>>) -> Self {
        Self { what: "a pack", at: 0, table: parsed.get_ref() }
    }

    /// Whether it has the key.
    pub(super) fn has(self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether the value of a key is a table.
    pub(super) fn is_part(self, key: &str) -> bool {
        self.get(key).is_some_and(|(value, _)| value.is_table())
    }

    /// Where a key's value stands, or the table itself.
    pub(super) fn place_of(self, key: &str) -> usize {
        self.get(key).map_or(self.at, |(_, span)| span.start)
    }

    fn get(self, key: &str) -> Option<(&'t DeValue<'t>, Range<usize>)> {
        self.table
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| (value.get_ref(), value.span()))
    }
}

impl<'s> Source<'s> {
    pub(super) fn new(file: &'s str, text: &'s str) -> Self {
        Self { file, text, errors: Vec::new() }
    }

    /// Notes a fault at a byte offset.
    pub(super) fn fault(&mut self, at: usize, fault: Fault) {
        let (line, column) = place(self.text, at);
        self.errors.push(PackError { file: self.file.to_owned(), line, column, fault });
    }

    /// `file:line` of an offset.
    pub(super) fn line_of(&self, at: usize) -> String {
        format!("{}:{}", self.file, place(self.text, at).0)
    }

    /// The offset in the file of a character of a string value that begins at `at`.
    pub(super) fn inside(&self, at: usize, chars: usize) -> usize {
        let raw = &self.text[at.min(self.text.len())..];
        let quote = ["\"\"\"", "'''", "\"", "'"].iter().find(|quote| raw.starts_with(**quote));
        let mut skip = quote.map_or(0, |quote| quote.len());
        if skip == 3 {
            skip += raw[skip..].len() - raw[skip..].trim_start_matches(['\r', '\n']).len().max(1);
        }
        let ahead: usize = raw[skip..].chars().take(chars).map(char::len_utf8).sum();
        at + skip + ahead
    }

    /// Refuses keys that the table does not have.
    pub(super) fn only(&mut self, part: Part<'_>, known: &[&str]) {
        for key in part.table.keys() {
            let word: &str = key.get_ref();
            if !known.contains(&word) {
                let nearest = Nearest::to(word, known.iter().copied());
                let fault = Fault::UnknownKey { table: part.what, key: word.to_owned(), nearest };
                self.fault(key.span().start, fault);
            }
        }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, part: Part<'_>, key: &'static str) -> Placed<String> {
        self.required(part, key, Self::opt_text)
    }

    /// A text that may be there.
    pub(super) fn opt_text(&mut self, part: Part<'_>, key: &'static str) -> Option<Placed<String>> {
        let (value, span) = part.get(key)?;
        match value.as_str() {
            Some(text) => Some(Placed { value: text.to_owned(), at: span.start }),
            None => self.wrong(key, "a text", value, span),
        }
    }

    /// A flag; absent is false.
    pub(super) fn flag(&mut self, part: Part<'_>, key: &'static str) -> bool {
        let Some((value, span)) = part.get(key) else { return false };
        value.as_bool().or_else(|| self.wrong(key, "true or false", value, span)).unwrap_or(false)
    }

    /// A whole number that must be there; `None` is a fault already.
    pub(super) fn number(&mut self, part: Part<'_>, key: &'static str) -> Option<Placed<i64>> {
        let Some((value, span)) = part.get(key) else {
            self.fault(part.at, Fault::MissingKey { table: part.what, key });
            return None;
        };
        let number = value
            .as_integer()
            .and_then(|digits| i64::from_str_radix(digits.as_str(), digits.radix()).ok());
        match number {
            Some(number) => Some(Placed { value: number, at: span.start }),
            None => self.wrong(key, "a whole number", value, span),
        }
    }

    /// A list of texts that may be there.
    pub(super) fn opt_texts(
        &mut self,
        part: Part<'_>,
        key: &'static str,
    ) -> Option<Vec<Placed<String>>> {
        let (value, span) = part.get(key)?;
        let Some(list) = value.as_array() else {
            return self.wrong(key, "a list of texts", value, span);
        };
        let mut texts = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(text) => {
                    texts.push(Placed { value: text.to_owned(), at: item.span().start });
                }
                None => {
                    self.wrong::<()>(key, "a list of texts", item.get_ref(), item.span());
                }
            }
        }
        Some(texts)
    }

    /// A list of texts that must be there.
    pub(super) fn texts(&mut self, part: Part<'_>, key: &'static str) -> Vec<Placed<String>> {
        self.required(part, key, |source, part, key| {
            let at = part.get(key)?.1.start;
            source.opt_texts(part, key).map(|value| Placed { value, at })
        })
        .value
    }

    /// A table that may be there; faults inside it call it `what`.
    pub(super) fn opt_part<'t>(
        &mut self,
        part: Part<'t>,
        key: &'static str,
        what: &'static str,
    ) -> Option<Part<'t>> {
        let (value, span) = part.get(key)?;
        match value.as_table() {
            Some(table) => Some(Part { what, at: span.start, table }),
            None => self.wrong(key, "a table", value, span),
        }
    }

    /// A list of tables; absent is empty.
    pub(super) fn parts<'t>(
        &mut self,
        part: Part<'t>,
        key: &'static str,
        what: &'static str,
    ) -> Vec<Part<'t>> {
        let Some((value, span)) = part.get(key) else { return Vec::new() };
        let Some(list) = value.as_array() else {
            return self.wrong(key, "a list of tables", value, span).unwrap_or_default();
        };
        let mut parts = Vec::new();
        for item in list {
            match item.get_ref().as_table() {
                Some(table) => parts.push(Part { what, at: item.span().start, table }),
                None => {
                    self.wrong::<()>(key, "a list of tables", item.get_ref(), item.span());
                }
            }
        }
        parts
    }

    fn required<'t, T: Default>(
        &mut self,
        part: Part<'t>,
        key: &'static str,
        read: impl FnOnce(&mut Self, Part<'t>, &'static str) -> Option<Placed<T>>,
    ) -> Placed<T> {
        if !part.has(key) {
            self.fault(part.at, Fault::MissingKey { table: part.what, key });
        }
        read(self, part, key).unwrap_or(Placed { value: T::default(), at: part.at })
    }

    fn wrong<T>(
        &mut self,
        key: &'static str,
        wanted: &'static str,
        value: &DeValue<'_>,
        span: Range<usize>,
    ) -> Option<T> {
        self.fault(span.start, Fault::WrongType { key, wanted, found: value.type_str() });
        None
    }
}

/// Line and column, both from 1, of a byte offset.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        assert_eq!(place("a\n问b", 0), (1, 1));
        assert_eq!(place("a\n问b", 2), (2, 1));
        assert_eq!(place("a\n问b", 5), (2, 2));
    }

    #[test]
    fn a_place_inside_a_quoted_text_skips_the_quotes() {
        let text = "x = \"ab\"\ny = \"\"\"\nq == 1\"\"\"";
        let source = Source::new("f", text);
        assert_eq!(&text[source.inside(4, 1)..=source.inside(4, 1)], "b");
        let long = text.find("\"\"\"").unwrap();
        assert_eq!(&text[source.inside(long, 0)..][..6], "q == 1");
    }
}
