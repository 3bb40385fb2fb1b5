//! The owner's rows: changed ones in memory over those that are being written, over those in the
//! views.
//!
//! It refuses to write; a checkpoint does.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::{Store, manifest};
use crate::disk::Disk;
use crate::views::{Row, RowAudit, Views, ViewsError};

impl<D: Disk, V: Views> Store<D, V> {
    /// The value of a row; `None` if there is none.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        let key = manifest::owner_key(key);
        let landing = || self.landing.as_ref().and_then(|landing| landing.rows().get(&key));
        match self.dirty.get(&key).or_else(landing) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.views.get(&key),
        }
    }

    /// At most `max` rows whose keys begin with `prefix` and come after `after`, in order.
    pub fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Row>, ViewsError> {
        let prefix = manifest::owner_key(prefix);
        let mut after = after.map(manifest::owner_key);
        let mut rows = Vec::new();
        while rows.len() < max {
            let page = max - rows.len();
            let old = self.views.scan(&prefix, after.as_deref(), page)?;
            // Up to here the page knows all old rows; beyond the last page, everything.
            let until =
                (old.len() == page).then(|| old.last().map(|(key, _)| key.clone())).flatten();
            merge(&mut rows, old, self.changed(&prefix, after.as_deref(), until.as_deref()), max);
            match until {
                Some(until) => after = Some(until),
                None => break,
            }
        }
        for (key, _) in &mut rows {
            key.remove(0);
        }
        Ok(rows)
    }

    /// Puts and removes rows. Seen at once, durable with the next checkpoint.
    pub fn write(&mut self, rows: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        for (key, value) in rows {
            self.dirty.set(manifest::owner_key(&key), value);
        }
    }

    /// Bytes of changed rows in memory.
    pub fn dirty_bytes(&self) -> usize {
        self.dirty.bytes()
    }

    /// Reads every row of the views and compares them with their tally.
    pub fn audit_views(&self) -> Result<(), ViewsError> {
        self.views.audit()
    }

    /// Takes an audit of the views' rows on by at most `max` rows; true while there is more.
    pub fn audit_views_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError> {
        self.views.audit_slice(audit, max)
    }

    /// Changed rows with this prefix after one key and up to another, in order.
    fn changed<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        until: Option<&'a [u8]>,
    ) -> impl Iterator<Item = Changed<'a>> {
        let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
        let landing = self.landing.as_ref().map(|landing| landing.rows().rows_from(from));
        let rows = Above {
            newer: self.dirty.rows_from(from).peekable(),
            older: landing.into_iter().flatten().peekable(),
        };
        rows.skip_while(move |(key, _)| Some(*key) == after).take_while(move |(key, _)| {
            key.starts_with(prefix) && until.is_none_or(|until| *key <= until)
        })
    }
}

/// A key, and its value or that it is removed.
type Changed<'a> = (&'a [u8], Option<&'a [u8]>);

/// Two lists in the order of their keys as one; of a key in both, the newer one counts.
struct Above<N: Iterator, O: Iterator> {
    newer: Peekable<N>,
    older: Peekable<O>,
}

impl<'a, N, O> Iterator for Above<N, O>
where
    N: Iterator<Item = Changed<'a>>,
    O: Iterator<Item = Changed<'a>>,
{
    type Item = Changed<'a>;

    fn next(&mut self) -> Option<Changed<'a>> {
        let (Some((newer, _)), Some((older, _))) = (self.newer.peek(), self.older.peek()) else {
            return self.newer.next().or_else(|| self.older.next());
        };
        match newer.cmp(older) {
            Ordering::Less => self.newer.next(),
            Ordering::Greater => self.older.next(),
            Ordering::Equal => {
                self.older.next();
                self.newer.next()
            }
        }
    }
}

/// Adds old and changed rows to `rows` in the order of their keys, the changed ones winning.
fn merge<'a>(
    rows: &mut Vec<Row>,
    old: Vec<Row>,
    changed: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    max: usize,
) {
    let mut old = old.into_iter().peekable();
    let mut changed = changed.peekable();
    while rows.len() < max {
        let next_changed = match (old.peek(), changed.peek()) {
            (None, None) => return,
            (Some((old_key, _)), Some((key, _))) => *key <= old_key.as_slice(),
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        if next_changed {
            let Some((key, value)) = changed.next() else { return };
            old.next_if(|(old_key, _)| old_key == key);
            if let Some(value) = value {
                rows.push((key.to_vec(), value.to_vec()));
            }
        } else {
            rows.extend(old.next());
        }
    }
}
