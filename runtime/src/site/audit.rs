//! The audit: the journal read from end to end, the rows compared with their tally, and documents
//! compared with what Automerge makes of the same changes.

use std::collections::BTreeMap;

use bytes::Bytes;
use linli_domain::id::{EntryId, Space};
use linli_replica::holdings::Holdings as _;
use linli_replica::limits::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::Answer;
use crate::limits::AUDIT_DOCUMENTS_MAX;

impl<D: Disk, V: Views> Site<D, V> {
    /// Audits what is durable. Reads everything; on a large journal it takes seconds.
    pub(super) fn audit(&mut self) -> Answer {
        let mut damage = Vec::new();
        let mut records = 0;
        match self.books.store.journal().audit() {
            Ok(report) => {
                records = report.changes;
                damage.extend(report.damage.iter().map(ToString::to_string));
            }
            Err(error) => damage.push(error.to_string()),
        }
        if let Err(error) = self.books.store.audit_views() {
            damage.push(error.to_string());
        }
        let spaces: Vec<Space> = self
            .books
            .heads()
            .map(|(space, _)| space.clone())
            .filter(|space| !space.is_sealed())
            .collect();
        let mut documents = 0;
        let from = self.audited.take();
        for space in spaces {
            if from.as_ref().is_some_and(|(at, _)| space < *at) {
                continue;
            }
            let after = from.as_ref().filter(|(at, _)| *at == space).map(|(_, entry)| entry);
            let left = AUDIT_DOCUMENTS_MAX.saturating_sub(documents);
            if left == 0 {
                break;
            }
            let changes = self.changes_by_entry(&space, after, left);
            for (entry, changes) in &changes {
                documents += 1;
                if let Err(difference) = self.books.doc(&space, entry).compare(changes) {
                    damage.push(format!("{space} {entry}: {difference}"));
                }
            }
            if changes.len() == left {
                let last = changes.into_iter().next_back().map(|(entry, _)| entry);
                self.audited = last.map(|entry| (space, entry));
            }
        }
        Answer::Audit { records, documents: documents as u64, damage }
    }

    /// Durable changes of the first `max` entries behind `after`, by entry, in journal order.
    fn changes_by_entry(
        &mut self,
        space: &Space,
        after: Option<&EntryId>,
        max: usize,
    ) -> BTreeMap<EntryId, Vec<Bytes>> {
        let mut found: BTreeMap<EntryId, Vec<Bytes>> = BTreeMap::new();
        let mut seq = 0;
        loop {
            let slice = self.books.read(space, seq, BATCH_ITEMS_MAX, BATCH_BYTES_MAX);
            let Some(last) = slice.last() else { return found };
            seq = last.seq;
            for placed in slice {
                let entry = placed.item.entry;
                if after.is_some_and(|after| entry <= *after) {
                    continue;
                }
                found.entry(entry).or_default().push(placed.item.bytes);
                if found.len() > max {
                    found.pop_last();
                }
            }
        }
    }
}
