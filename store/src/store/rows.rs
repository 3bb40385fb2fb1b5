//! The owner's rows: changed ones in memory over those in the views.
//!
//! It refuses to write; a checkpoint does.

use super::{Store, manifest};
use crate::disk::Disk;
use crate::views::{Row, RowAudit, ViewBatch, Views, ViewsError};

impl<D: Disk, V: Views> Store<D, V> {
    /// The value of a row; `None` if there is none.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        let key = manifest::owner_key(key);
        match self.dirty.get(&key) {
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
    pub fn write(&mut self, batch: ViewBatch) {
        for (key, value) in batch.into_rows() {
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

    fn changed<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        until: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let from = self.dirty.rows_from(after.filter(|after| *after > prefix).unwrap_or(prefix));
        from.skip_while(move |(key, _)| Some(*key) == after).take_while(move |(key, _)| {
            key.starts_with(prefix) && until.is_none_or(|until| *key <= until)
        })
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
