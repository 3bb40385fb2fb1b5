//! Views in sled 0.34, held at arm's length.
//!
//! What sled does not do is done here: it never syncs its file, so we do; it loses keys silently
//! when its file rots, so every row has a checksum and a tally counts and sums them; it panics, so
//! every call runs behind a fence; it writes large pages to files it never syncs, so long values
//! are cut into pieces. One tree, no periodic flush, a stated cache. It refuses to be the only
//! place of anything.

mod engine;
mod place;
mod row;

use std::path::{Path, PathBuf};

use self::engine::Engine;
use self::row::Kind;
pub(super) use self::row::Tally;
use super::{Doubt, Row, RowAudit, ViewBatch, Views, ViewsError};
use crate::limits::{
    AUDIT_RESTARTS_MAX, AUDIT_ROWS, CHECKED_ROWS_MAX, REWRITE_BYTES_MIN, REWRITE_FACTOR,
    ROW_BYTES_MAX,
};
use crate::limits::{ROW_KEY_BYTES_MAX, ROW_PIECE_BYTES};

/// Views in a directory of their own.
#[derive(Debug)]
pub struct SledViews {
    dir: PathBuf,
    cache_bytes: u64,
    /// Absent after a failed `clear` only.
    engine: Option<Engine>,
    tally: Tally,
}

impl SledViews {
    /// Opens the views in `dir`, making it if it is absent. Damage is `ViewsError::Broken`; the
    /// directory is then left as it is.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, ViewsError> {
        place::tidy(dir)?;
        if place::is_marked(dir) {
            return Err(ViewsError::Broken(Doubt::Marked));
        }
        let engine = Engine::open(dir, cache_bytes)?;
        let mut views = Self {
            dir: dir.to_owned(),
            cache_bytes,
            engine: Some(engine),
            tally: Tally::default(),
        };
        views.tally = views.read_tally()?;
        if views.tally.rows <= CHECKED_ROWS_MAX {
            views.audit()?;
        }
        let size = place::size(dir);
        let live = views.tally.bytes.saturating_mul(REWRITE_FACTOR);
        if size > REWRITE_BYTES_MIN.max(live) { views.rewrite() } else { Ok(views) }
    }

    /// As `open`; a broken directory is moved aside and an empty one takes its place. Returns what
    /// was wrong.
    pub fn open_or_fresh(
        dir: &Path,
        cache_bytes: u64,
    ) -> Result<(Self, Option<Doubt>), ViewsError> {
        match Self::open(dir, cache_bytes) {
            Ok(views) => Ok((views, None)),
            Err(ViewsError::Broken(doubt)) => {
                place::move_aside(dir)?;
                Ok((Self::open(dir, cache_bytes)?, Some(doubt)))
            }
            Err(error) => Err(error),
        }
    }

    fn engine(&self) -> Result<&Engine, ViewsError> {
        self.engine.as_ref().ok_or(ViewsError::Broken(Doubt::Marked))
    }

    fn broken(&self, doubt: Doubt) -> ViewsError {
        match &self.engine {
            Some(engine) => engine.broken(doubt),
            None => ViewsError::Broken(doubt),
        }
    }

    fn read_tally(&self) -> Result<Tally, ViewsError> {
        let engine = self.engine()?;
        match engine.get(row::TALLY_KEY)? {
            Some(bytes) => Tally::decode(&bytes).ok_or_else(|| self.broken(Doubt::Tally)),
            None if engine.is_empty()? => Ok(Tally::default()),
            None => Err(self.broken(Doubt::Tally)),
        }
    }

    /// The stored form of a row and its content; `None` if there is no such row.
    fn checked(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Kind)>, ViewsError> {
        let Some(stored) = self.engine()?.get(key)? else { return Ok(None) };
        match row::decode(key, &stored) {
            Some(kind) => Ok(Some((stored, kind))),
            None => Err(self.broken(Doubt::Row)),
        }
    }

    /// The value of a row from its stored form.
    fn whole(&self, key: &[u8], kind: Kind) -> Result<Vec<u8>, ViewsError> {
        match kind {
            Kind::Whole(value) => Ok(value),
            Kind::Cut { pieces, bytes } => {
                let mut value = Vec::with_capacity(bytes as usize);
                for number in 0..pieces {
                    match self.checked(&row::piece_key(key, number))? {
                        Some((_, Kind::Whole(piece))) => value.extend_from_slice(&piece),
                        _ => return Err(self.broken(Doubt::Row)),
                    }
                }
                if value.len() == bytes as usize { Ok(value) } else { Err(self.broken(Doubt::Row)) }
            }
        }
    }

    /// Plans the removal of a row with its pieces.
    fn plan_removal(
        &self,
        key: &[u8],
        tally: &mut Tally,
        plan: &mut sled::Batch,
    ) -> Result<(), ViewsError> {
        let Some((stored, kind)) = self.checked(key)? else { return Ok(()) };
        tally.take(key, &stored);
        plan.remove(key);
        if let Kind::Cut { pieces, .. } = kind {
            for number in 0..pieces {
                let piece_key = row::piece_key(key, number);
                if let Some((stored, _)) = self.checked(&piece_key)? {
                    tally.take(&piece_key, &stored);
                }
                plan.remove(piece_key);
            }
        }
        Ok(())
    }

    /// Copies all rows to a new directory, since sled does not give room back.
    fn rewrite(self) -> Result<Self, ViewsError> {
        let fresh_dir = place::fresh_dir(&self.dir);
        place::remove(&fresh_dir)?;
        let fresh = Engine::open(&fresh_dir, self.cache_bytes)?;
        let mut after = Vec::new();
        loop {
            let rows = self.engine()?.rows_after(&after, 512)?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            let mut plan = sled::Batch::default();
            for (key, stored) in rows {
                plan.insert(key, stored);
            }
            fresh.apply(plan)?;
        }
        fresh.flush()?;
        drop(fresh);
        let (dir, cache_bytes, tally) = (self.dir.clone(), self.cache_bytes, self.tally);
        drop(self);
        place::swap_in(&dir, &fresh_dir)?;
        let engine = Engine::open(&dir, cache_bytes)?;
        Ok(Self { dir, cache_bytes, engine: Some(engine), tally })
    }
}

impl Views for SledViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        let key = row::row_key(key);
        match self.checked(&key)? {
            Some((_, kind)) => self.whole(&key, kind).map(Some),
            None => Ok(None),
        }
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Row>, ViewsError> {
        let prefix = row::row_key(prefix);
        let after = after.map(row::row_key);
        let mut rows = Vec::new();
        for (key, stored) in self.engine()?.scan(&prefix, after.as_deref(), max)? {
            let kind = row::decode(&key, &stored).ok_or_else(|| self.broken(Doubt::Row))?;
            let value = self.whole(&key, kind)?;
            rows.push((key[1..].to_vec(), value));
        }
        Ok(rows)
    }

    fn write(&mut self, batch: &ViewBatch) -> Result<(), ViewsError> {
        let mut tally = self.tally;
        let mut plan = sled::Batch::default();
        for (key, value) in batch.rows() {
            if key.len() > ROW_KEY_BYTES_MAX {
                return Err(ViewsError::TooLong { bytes: key.len(), max: ROW_KEY_BYTES_MAX });
            }
            let key = row::row_key(key);
            self.plan_removal(&key, &mut tally, &mut plan)?;
            let Some(value) = value else { continue };
            if value.len() > ROW_BYTES_MAX {
                return Err(ViewsError::TooLong { bytes: value.len(), max: ROW_BYTES_MAX });
            }
            let mut put = |key: Vec<u8>, stored: Vec<u8>| {
                tally.add(&key, &stored);
                plan.insert(key, stored);
            };
            if value.len() <= ROW_PIECE_BYTES {
                let stored = row::encode_whole(&key, value);
                put(key, stored);
            } else {
                let pieces = value.chunks(ROW_PIECE_BYTES);
                let stored = row::encode_cut(&key, pieces.len() as u32, value.len() as u32);
                for (number, piece) in (0..).zip(pieces) {
                    let piece_key = row::piece_key(&key, number);
                    let stored = row::encode_whole(&piece_key, piece);
                    put(piece_key, stored);
                }
                put(key, stored);
            }
        }
        plan.insert(row::TALLY_KEY, tally.encode());
        self.engine()?.apply(plan)?;
        self.tally = tally;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ViewsError> {
        self.engine()?.flush()
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        if let Some(engine) = self.engine.take() {
            let broken = engine.is_broken();
            drop(engine);
            if broken {
                place::move_aside(&self.dir)?;
            } else {
                place::remove(&self.dir)?;
            }
        } else {
            place::move_aside(&self.dir)?;
        }
        self.tally = Tally::default();
        self.engine = Some(Engine::open(&self.dir, self.cache_bytes)?);
        Ok(())
    }

    fn audit_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError> {
        let engine = self.engine()?;
        if audit.of != Some(self.tally) {
            // Rows were written: what was summed no longer fits. Each row's own checksum does, so
            // after some such restarts the rest is read without comparing sums.
            if audit.of.is_some() && audit.restarts < AUDIT_RESTARTS_MAX {
                *audit = RowAudit { restarts: audit.restarts + 1, ..RowAudit::default() };
            }
            audit.of = Some(self.tally);
        }
        let wanted = max.min(AUDIT_ROWS);
        let rows = engine.rows_after(&audit.after, wanted)?;
        for (key, stored) in rows.iter().filter(|(key, _)| key != row::TALLY_KEY) {
            row::decode(key, stored).ok_or_else(|| self.broken(Doubt::Row))?;
            audit.found.add(key, stored);
            audit.rows += 1;
        }
        if let Some((last, _)) = rows.last() {
            audit.after.clone_from(last);
        }
        if rows.len() == wanted {
            return Ok(true);
        }
        let summed = audit.restarts < AUDIT_RESTARTS_MAX;
        if summed && audit.found != self.tally {
            return Err(self.broken(Doubt::Tally));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_the_same_after_they_were_written_anew() {
        let home = tempfile::tempdir().expect("temporary directory");
        let dir = home.path().join("views");
        let mut views = SledViews::open(&dir, 4 << 20).expect("opens");
        for round in 0..30_u32 {
            let mut batch = ViewBatch::new();
            for number in 0..50_u32 {
                let bytes = if number % 10 == 0 { 20_000 } else { 300 };
                batch.put(number.to_be_bytes(), vec![round as u8; bytes]);
            }
            views.write(&batch).expect("write");
            views.flush().expect("flush");
        }
        let before = views.scan(b"", None, 99).expect("scan");
        let size = place::size(&dir);
        let views = views.rewrite().expect("rewrite");
        assert!(place::size(&dir) < size, "{} of {size} bytes", place::size(&dir));
        assert_eq!(views.scan(b"", None, 99).expect("scan"), before);
        drop(views);
        let views = SledViews::open(&dir, 4 << 20).expect("opens");
        views.audit().expect("audit");
        assert_eq!(views.scan(b"", None, 99).expect("scan"), before);
        assert_eq!(std::fs::read_dir(home.path()).expect("directory").count(), 1);
    }

    #[test]
    fn a_row_that_vanished_or_changed_is_noticed_at_open() {
        for (spoil, vanishes) in [(b"rb".as_slice(), true), (b"ra", true), (b"rb", false)] {
            let home = tempfile::tempdir().expect("temporary directory");
            let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
            let mut batch = ViewBatch::new();
            batch.put(*b"a", *b"1");
            batch.put(*b"b", *b"2");
            views.write(&batch).expect("write");
            views.flush().expect("flush");
            let mut plan = sled::Batch::default();
            if vanishes {
                plan.remove(spoil);
            } else {
                plan.insert(spoil, b"other".as_slice());
            }
            views.engine().expect("engine").apply(plan).expect("apply");
            drop(views);
            for _ in 0..2 {
                let refused = SledViews::open(home.path(), 4 << 20).map(|_| ());
                assert!(matches!(refused, Err(ViewsError::Broken(_))), "{refused:?}");
            }
        }
    }

    #[test]
    fn no_row_becomes_a_file_that_sled_never_syncs() {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
        let mut batch = ViewBatch::new();
        for number in 0..200_u32 {
            let mut key = vec![b'k'; ROW_KEY_BYTES_MAX - 4];
            key.extend_from_slice(&number.to_be_bytes());
            batch.put(key, vec![number as u8; ROW_PIECE_BYTES]);
        }
        batch.put(*b"long", vec![1; ROW_BYTES_MAX]);
        views.write(&batch).expect("write");
        views.flush().expect("flush");
        let blobs = std::fs::read_dir(home.path().join("blobs")).map_or(0, Iterator::count);
        assert_eq!(blobs, 0);
    }
}
