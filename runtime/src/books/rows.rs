//! Rows of the views: halves of entries and cursors. All of it can be derived again.

use linli_domain::id::{EntryId, EpochId, PeerName, Space};
use linli_replica::frame::Cursor;
use linli_store::disk::Disk;
use linli_store::journal::Head;
use linli_store::views::{Views, ViewsError};

use super::{Books, BooksTrouble};
use crate::half::Half;
use crate::limits::HALVES_WARM_MAX;

/// One row to write: key, and value or `None` to delete.
pub type Row = (Vec<u8>, Option<Vec<u8>>);

const HALF: u8 = b'h';
const CURSOR: u8 = b'k';
const PROVEN: u8 = b'p';
const ACKED: u8 = b'a';

/// The key of a half's row: `h<space>\0<kind>/<id>`.
fn half_key(space: &Space, entry: &str) -> Vec<u8> {
    let mut key = vec![HALF];
    key.extend_from_slice(space.to_string().as_bytes());
    key.push(0);
    key.extend_from_slice(entry.as_bytes());
    key
}

/// The key of a row about a peer and a space: tag, `<peer> <space>`.
fn peer_key(tag: u8, (peer, space): &(PeerName, Space)) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(format!("{peer} {space}").as_bytes());
    key
}

impl<D: Disk, V: Views> Books<D, V> {
    /// Reads a half's row; an entry without one is empty.
    pub(super) fn load_half(&mut self, space: &Space, entry: &EntryId) -> Half {
        let row = match self.store.get(&half_key(space, entry.as_str())) {
            Ok(row) => row,
            Err(error) => {
                self.view_failed(error.to_string());
                None
            }
        };
        let Some(row) = row else { return Half::default() };
        match Half::from_row(&row) {
            Ok(half) => half,
            Err(error) => {
                self.view_failed(format!("{entry}: {error}"));
                Half::default()
            }
        }
    }

    pub(super) fn load_cursors(&mut self) {
        for (place, row) in self.peer_rows(CURSOR) {
            if let Some(cursor) = read_cursor(&row) {
                self.cursors.insert(place, cursor);
            }
        }
        for (place, row) in self.peer_rows(PROVEN) {
            if let Some(cursor) = read_cursor(&row) {
                self.proven.insert(place, cursor);
            }
        }
        for (place, row) in self.peer_rows(ACKED) {
            if let Ok(seq) = row.try_into().map(u64::from_le_bytes) {
                self.acked.insert(place, seq);
            }
        }
    }

    fn peer_rows(&mut self, tag: u8) -> Vec<((PeerName, Space), Vec<u8>)> {
        let rows = self.rows(&[tag]);
        let place = |key: &[u8]| {
            let (peer, space) = std::str::from_utf8(key.get(1..)?).ok()?.split_once(' ')?;
            Some((PeerName::parse(peer).ok()?, Space::parse(space).ok()?))
        };
        rows.into_iter().filter_map(|(key, row)| Some((place(&key)?, row))).collect()
    }

    /// Ids of a space's entries of one kind that begin after `after`, ascending. Rows must have
    /// been written first: what is only on the shelf is not seen.
    pub fn entry_ids(
        &self,
        space: &Space,
        kind: &str,
        after: Option<&EntryId>,
        max: usize,
    ) -> Result<Vec<EntryId>, ViewsError> {
        let prefix = half_key(space, &format!("{kind}/"));
        let after = after.map(|entry| half_key(space, entry.as_str()));
        let rows = self.store.scan(&prefix, after.as_deref(), max)?;
        let name = |key: &[u8]| {
            let at = key.iter().position(|byte| *byte == 0)? + 1;
            EntryId::parse(std::str::from_utf8(&key[at..]).ok()?).ok()
        };
        Ok(rows.iter().filter_map(|(key, _)| name(key)).collect())
    }

    /// Kinds that occur in a space, ascending; rows must have been written first.
    pub fn kinds_in(&self, space: &Space) -> Result<Vec<String>, ViewsError> {
        let mut kinds: Vec<String> = Vec::new();
        let prefix = half_key(space, "");
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.store.scan(&prefix, after.as_deref(), 1)?;
            let Some((key, _)) = rows.first() else { return Ok(kinds) };
            let entry = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            let kind = entry.split('/').next().unwrap_or_default().to_owned();
            // `0` follows `/`: the next key is behind every entry of this kind.
            after = Some(half_key(space, &format!("{kind}0")));
            kinds.push(kind);
        }
    }

    /// All rows whose keys begin with `prefix`.
    pub fn rows(&mut self, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.scan(prefix, None, usize::MAX).unwrap_or_else(|error| {
            self.view_failed(error.to_string());
            Vec::new()
        })
    }

    /// What is staged from now on may rest on rows that were taken for absent: it is not committed.
    pub(super) fn view_failed(&mut self, what: String) {
        self.views_failed = true;
        self.troubles.push(BooksTrouble::View(what));
    }

    /// Whether a view could not be read in this turn.
    pub(crate) fn views_failed(&self) -> bool {
        self.views_failed
    }

    /// One row.
    pub fn row(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.store.get(key).unwrap_or_else(|error| {
            self.view_failed(error.to_string());
            None
        })
    }

    /// Lets go of halves that are clean and old.
    pub fn trim(&mut self, space: &Space) {
        if let Some(book) = self.spaces.get_mut(space) {
            book.shelf.trim(HALVES_WARM_MAX);
        }
    }

    /// The head of a space, staged changes included.
    pub fn head(&self, space: &Space) -> Option<Head> {
        self.spaces.get(space).map(|book| book.head)
    }

    /// Notes what an entry's open half adds to the figures, in its row.
    pub fn count(&mut self, space: &Space, entry: &EntryId, counted: Box<[u8]>) {
        self.half_mut(space, entry).counted = counted;
        if let Some(book) = self.spaces.get_mut(space) {
            book.shelf.mark(entry);
        }
    }

    /// Writes rows; durable with the next checkpoint, together.
    pub fn write(&mut self, rows: Vec<Row>) {
        self.store.write(rows);
    }

    /// Number of halves that differ from their rows.
    pub fn dirty(&self) -> usize {
        self.spaces.values().map(|book| book.shelf.dirty()).sum()
    }

    /// Takes the rows of up to `max` changed halves, and of all changed cursors.
    pub fn take_rows(&mut self, max: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        for (space, book) in &mut self.spaces {
            let taken = book.shelf.take_dirty(max.saturating_sub(rows.len()));
            book.has_rows |= !taken.is_empty();
            for entry in taken {
                if let Some(half) = book.shelf.peek(&entry) {
                    rows.push((half_key(space, entry.as_str()), Some(half.to_row())));
                }
            }
            book.shelf.trim(HALVES_WARM_MAX);
        }
        for place in std::mem::take(&mut self.cursors_dirty) {
            if let Some(cursor) = self.cursors.get(&place) {
                rows.push((peer_key(CURSOR, &place), Some(cursor_row(cursor))));
            }
        }
        for place in std::mem::take(&mut self.proven_dirty) {
            if let Some(cursor) = self.proven.get(&place) {
                rows.push((peer_key(PROVEN, &place), Some(cursor_row(cursor))));
            }
        }
        for place in std::mem::take(&mut self.acked_dirty) {
            if let Some(seq) = self.acked.get(&place) {
                rows.push((peer_key(ACKED, &place), Some(seq.to_le_bytes().to_vec())));
            }
        }
        rows
    }

    /// Whether the row of a half says what the shelf says; one that is not on the shelf, or was
    /// not written yet, has nothing to differ from.
    pub(crate) fn row_agrees(&mut self, space: &Space, entry: &EntryId) -> bool {
        let shelf = self.spaces.get(space).map(|book| &book.shelf);
        let clean = shelf.filter(|shelf| !shelf.is_dirty(entry));
        let Some(at_hand) = clean.and_then(|shelf| shelf.peek(entry)).map(Half::to_row) else {
            return true;
        };
        self.row(&half_key(space, entry.as_str())).is_none_or(|row| row == at_hand)
    }

    /// Gives the views up: the turn does not end well, and the next start derives them again.
    pub(crate) fn doubt_views(&mut self, what: String) {
        self.view_failed(what);
    }
}

pub(super) fn cursor_row(cursor: &Cursor) -> Vec<u8> {
    let mut row = cursor.epoch.0.to_vec();
    row.extend_from_slice(&cursor.seq.to_le_bytes());
    row.extend_from_slice(&cursor.chain.to_le_bytes());
    row
}

pub(super) fn read_cursor(row: &[u8]) -> Option<Cursor> {
    let (epoch, rest) = row.split_first_chunk()?;
    let (seq, chain) = rest.split_first_chunk()?;
    let chain: &[u8; 8] = chain.try_into().ok()?;
    let (seq, chain) = (u64::from_le_bytes(*seq), u64::from_le_bytes(*chain));
    Some(Cursor { epoch: EpochId(*epoch), seq, chain })
}
