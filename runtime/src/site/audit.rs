//! The audit: the journal read from end to end, every row of the views summed and compared with
//! their tally, every half compared with what its changes make of it, both files of the key shelf,
//! and the small files beside the store.
//!
//! It goes in slices at quiet moments: once a day, when somebody asks, and when a read met damage.
//! Views that are found broken are given up, so that the next start derives them again. It refuses
//! to mend a journal; that is for a person, with the machine at rest.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use linli_domain::id::{ChangeHash, EntryId, Space};
use linli_replica::holdings::Holdings as _;
use linli_replica::limits::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};
use linli_store::disk::Disk;
use linli_store::journal::Auditing;
use linli_store::keys::{SHELF_FILES, ShelfAudit};
use linli_store::views::{RowAudit, Views};

use super::Site;
use crate::ask::{Answer, AuditView};
use crate::limits::{
    AUDIT_AGAIN_MILLIS, AUDIT_BYTES_MAX, AUDIT_EVERY_MILLIS, AUDIT_FIRST_MILLIS, AUDIT_NAMED_MAX,
    AUDIT_ROWS, AUDIT_SLICE_BYTES, SLICE_ENTRIES,
};

/// Looks at what lies beside the store, and names what is wrong with it; nothing else may be asked
/// of a machine that opens no file itself.
pub type Watch = Box<dyn FnMut() -> Vec<String> + Send>;

/// What was audited, and what is.
pub(super) struct Audits {
    going: Option<Box<Going>>,
    last: Option<Audited>,
    /// Not told of yet.
    news: bool,
    /// When the next one begins by itself, in milliseconds since 1970.
    due: u64,
    watch: Option<Watch>,
}

impl fmt::Debug for Audits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audits").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Audits {
    pub(super) fn new(now_millis: u64) -> Self {
        let due = now_millis + AUDIT_FIRST_MILLIS;
        Self { going: None, last: None, news: false, due, watch: None }
    }
}

/// A whole audit.
#[derive(Debug, Clone, Default)]
pub struct Audited {
    /// When it began and ended, in milliseconds since 1970.
    pub began: u64,
    /// See `began`.
    pub ended: u64,
    /// Records of the journal.
    pub records: u64,
    /// Rows of the views.
    pub rows: u64,
    /// Halves compared with their changes.
    pub documents: u64,
    /// What is wrong, each with its place; the first [`AUDIT_NAMED_MAX`].
    pub damage: Vec<String>,
}

impl Audited {
    /// The same as an answer.
    pub fn answer(&self) -> Answer {
        let Self { records, rows, documents, damage, .. } = self.clone();
        Answer::Audit { records, rows, documents, damage }
    }

    fn name(&mut self, what: String) {
        if self.damage.len() < AUDIT_NAMED_MAX {
            self.damage.push(what);
        }
    }
}

/// One that is under way.
struct Going {
    found: Audited,
    stage: Stage,
    journal: Auditing,
    rows: RowAudit,
}

enum Stage {
    Journal,
    Rows,
    /// Spaces that are left, the last one first, and what is read of it.
    Halves(Vec<Space>, Collected),
    Keys(ShelfAudit),
    Files,
}

/// The changes of some entries of a space, in journal order.
#[derive(Default)]
struct Collected {
    /// Entries up to here were compared.
    after: Option<EntryId>,
    /// Read up to this record.
    seq: u64,
    /// Entries from here on wait for the next pass over the space.
    until: Option<EntryId>,
    bytes: usize,
    changes: BTreeMap<EntryId, Vec<(ChangeHash, Bytes)>>,
}

impl Collected {
    fn take(&mut self, entry: EntryId, hash: ChangeHash, bytes: Bytes) {
        let waits = |until: &EntryId| entry >= *until;
        if self.after.as_ref().is_some_and(|after| entry <= *after)
            || self.until.as_ref().is_some_and(waits)
        {
            return;
        }
        self.bytes += bytes.len();
        self.changes.entry(entry).or_default().push((hash, bytes));
        while self.bytes > AUDIT_BYTES_MAX && self.changes.len() > 1 {
            let Some((last, dropped)) = self.changes.pop_last() else { return };
            self.bytes -= dropped.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            self.until = Some(last);
        }
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Has what lies beside the store looked at with every audit.
    pub fn watch(&mut self, watch: Watch) {
        self.audits.watch = Some(watch);
    }

    /// Begins an audit, unless one is under way; [`Self::idle`] takes it on.
    pub fn begin_audit(&mut self) {
        if self.audits.going.is_some() {
            return;
        }
        let now = self.books.now_millis();
        self.audits.due = now + AUDIT_EVERY_MILLIS;
        self.audits.going = Some(Box::new(Going {
            found: Audited { began: now, ..Audited::default() },
            stage: Stage::Journal,
            journal: Auditing::default(),
            rows: RowAudit::default(),
        }));
    }

    /// The audit that ended since the last call.
    pub fn take_audited(&mut self) -> Option<Audited> {
        std::mem::take(&mut self.audits.news).then(|| self.audits.last.clone()).flatten()
    }

    /// Audits everything at once. On a large journal it takes seconds.
    pub(super) fn audit(&mut self) -> Answer {
        self.audits.going = None;
        self.begin_audit();
        while self.audit_slice() {}
        let last = self.audits.last.as_ref();
        last.map_or_else(|| Audited::default().answer(), Audited::answer)
    }

    /// A read met damage: what else is damaged is looked for soon, but not all the time.
    pub(super) fn audit_soon(&mut self) {
        let now = self.books.now_millis();
        let began = self.audits.last.as_ref().map(|last| last.began);
        if began.is_none_or(|began| now.abs_diff(began) > AUDIT_AGAIN_MILLIS) {
            self.audits.due = now;
        }
    }

    /// How the last audit ended, and whether one is under way.
    pub(super) fn audit_view(&self) -> AuditView {
        let last = self.audits.last.as_ref();
        AuditView {
            running: self.audits.going.is_some(),
            ended: last.map(|last| self.local(last.ended)),
            records: last.map_or(0, |last| last.records),
            rows: last.map_or(0, |last| last.rows),
            documents: last.map_or(0, |last| last.documents),
            damage: last.map(|last| last.damage.clone()).unwrap_or_default(),
        }
    }

    /// Takes an audit on that is due or under way by some milliseconds; true while there is more.
    pub(super) fn audit_on(&mut self) -> bool {
        let now = self.books.now_millis();
        // A clock that was set back does not put it off for years.
        let ahead = self.audits.due.saturating_sub(now);
        if ahead == 0 || ahead > AUDIT_EVERY_MILLIS + AUDIT_FIRST_MILLIS {
            self.begin_audit();
        }
        self.audit_slice()
    }

    fn audit_slice(&mut self) -> bool {
        let Some(mut going) = self.audits.going.take() else { return false };
        let Going { found, stage, journal, rows } = &mut *going;
        let next = match stage {
            Stage::Journal => {
                match self.books.store.journal().audit_slice(journal, AUDIT_SLICE_BYTES) {
                    Ok(true) => None,
                    Ok(false) => {
                        found.records = journal.report().changes;
                        for damage in &journal.report().damage {
                            found.name(format!("journal: {damage}"));
                        }
                        Some(Stage::Rows)
                    }
                    Err(error) => {
                        found.name(format!("journal: {error}"));
                        Some(Stage::Rows)
                    }
                }
            }
            Stage::Rows => match self.books.store.audit_views_slice(rows, AUDIT_ROWS) {
                Ok(true) => None,
                Ok(false) => {
                    found.rows = rows.rows();
                    let spaces = self.books.heads().map(|(space, _)| space.clone());
                    Some(Stage::Halves(spaces.collect(), Collected::default()))
                }
                Err(error) => {
                    found.name(format!("views: {error}"));
                    self.books.doubt_views(error.to_string());
                    // Halves are read from them.
                    Some(Stage::Keys(ShelfAudit::default()))
                }
            },
            Stage::Halves(spaces, collected) => match spaces.last().cloned() {
                None => Some(Stage::Keys(ShelfAudit::default())),
                Some(space) => {
                    if !self.audit_halves(&space, collected, found) {
                        spaces.pop();
                        *collected = Collected::default();
                    }
                    None
                }
            },
            Stage::Keys(keys) => match self.books.store.audit_keys_slice(keys, AUDIT_ROWS) {
                Ok(true) => None,
                Ok(false) => {
                    let [first, second] = SHELF_FILES;
                    for row in keys.mended() {
                        found.name(format!(
                            "keys: row {row} of {first} or {second}; the other file has it, and both \
                             are written anew"
                        ));
                    }
                    for row in keys.lost() {
                        found.name(format!("keys: row {row} of {first} and {second}"));
                    }
                    Some(Stage::Files)
                }
                Err(error) => {
                    found.name(format!("keys: {error}"));
                    Some(Stage::Files)
                }
            },
            Stage::Files => {
                for what in self.audits.watch.as_mut().map(|watch| watch()).unwrap_or_default() {
                    found.name(what);
                }
                found.ended = self.books.now_millis();
                self.audits.last = Some(std::mem::take(found));
                self.audits.news = true;
                return false;
            }
        };
        if let Some(next) = next {
            going.stage = next;
        }
        self.audits.going = Some(going);
        true
    }

    /// Reads some changes of a space, or compares some halves with theirs; false once the space is
    /// done.
    fn audit_halves(
        &mut self,
        space: &Space,
        collected: &mut Collected,
        found: &mut Audited,
    ) -> bool {
        let end = self.books.store.head(space).seq;
        if collected.seq < end {
            let slice = self.books.read(space, collected.seq, BATCH_ITEMS_MAX, BATCH_BYTES_MAX);
            let Some(last) = slice.last() else {
                let at = collected.seq + 1;
                found.name(format!("journal: record {at} of {space} cannot be read"));
                return false;
            };
            collected.seq = last.seq;
            for placed in slice {
                let item = placed.item;
                collected.take(item.entry, item.hash, item.bytes);
            }
            return true;
        }
        for _ in 0..SLICE_ENTRIES {
            let Some((entry, changes)) = collected.changes.pop_first() else {
                let more = collected.until.is_some();
                let after = collected.after.take();
                *collected = Collected { after, ..Collected::default() };
                return more;
            };
            found.documents += 1;
            if let Some(difference) = self.difference(space, &entry, &changes) {
                found.name(format!("views: {space} {entry}: {difference}"));
            }
            collected.after = Some(entry);
        }
        true
    }

    /// In what a half is not what its changes make of it.
    fn difference(
        &mut self,
        space: &Space,
        entry: &EntryId,
        changes: &[(ChangeHash, Bytes)],
    ) -> Option<String> {
        if !self.books.row_agrees(space, entry) {
            return Some("its row is not what the machine works with".to_owned());
        }
        let half = self.books.half(space, entry);
        if space.is_sealed() {
            let held = changes.iter().all(|(hash, _)| half.seals.contains(hash));
            let same = held && half.seals.len() == changes.len();
            return (!same).then(|| "its envelopes are not those of the journal".to_owned());
        }
        let changes: Vec<Bytes> = changes.iter().map(|(_, bytes)| bytes.clone()).collect();
        half.doc.compare(&changes).err().map(|difference| difference.to_string())
    }
}
