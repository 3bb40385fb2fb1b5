//! Views in sled 0.34, held at arm's length.
//!
//! What sled does not do is done here: it never syncs its file, so we do; it loses keys silently
//! when its file rots, so every row has a checksum and a tally counts and sums them; it panics, so
//! every call runs behind a fence; it writes large pages to files it never syncs, so long values
//! are cut into pieces. One tree, no periodic flush, a stated cache. It refuses to be the only
//! place of anything.

mod engine;
mod landing;
mod place;
mod plan;
mod row;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::engine::{CLOSE_WAIT, Engine};
use self::landing::Landing;
use self::plan::{checked, plan};
use self::row::Kind;
pub(super) use self::row::Tally;
use super::{Doubt, Row, RowAudit, ViewBatch, Views, ViewsError};
use crate::limits::{
    AUDIT_RESTARTS_MAX, AUDIT_ROWS, CHECKED_ROWS_MAX, REWRITE_BYTES_MIN, REWRITE_FACTOR,
};

/// Views in a directory of their own.
#[derive(Debug)]
pub struct SledViews {
    dir: PathBuf,
    cache_bytes: u64,
    /// Absent after a failed `clear` only.
    engine: Option<Arc<Engine>>,
    landing: Arc<Landing>,
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
        landing::finish(&engine, dir)?;
        let tally = read_tally(&engine)?;
        let mut views = Self {
            dir: dir.to_owned(),
            cache_bytes,
            engine: Some(Arc::new(engine)),
            landing: Arc::new(Landing::new(tally)),
        };
        if tally.rows <= CHECKED_ROWS_MAX {
            views.audit()?;
        }
        let size = place::size(dir);
        let live = tally.bytes.saturating_mul(REWRITE_FACTOR);
        if size > REWRITE_BYTES_MIN.max(live) {
            views.rewrite()?;
        }
        Ok(views)
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
        self.engine.as_deref().ok_or(ViewsError::Broken(Doubt::Marked))
    }

    fn broken(&self, doubt: Doubt) -> ViewsError {
        match &self.engine {
            Some(engine) => engine.broken(doubt),
            None => ViewsError::Broken(doubt),
        }
    }

    /// The value of a row from its stored form; `None` if its pieces are not those of this value.
    fn whole(&self, key: &[u8], kind: Kind) -> Result<Option<Vec<u8>>, ViewsError> {
        let (pieces, bytes, sum) = match kind {
            Kind::Whole(value) => return Ok(Some(value)),
            Kind::Cut { pieces, bytes, sum } => (pieces, bytes, sum),
        };
        let mut value = Vec::with_capacity(bytes as usize);
        for number in 0..pieces {
            match checked(self.engine()?, &row::piece_key(key, number))? {
                Some((_, Kind::Whole(piece))) => value.extend_from_slice(&piece),
                _ => return Ok(None),
            }
        }
        let fits = value.len() == bytes as usize && crc32c::crc32c(&value) == sum;
        Ok(fits.then_some(value))
    }

    /// Reads; what does not fit together is read once more when no batch is on its way.
    fn settled<T>(
        &self,
        read: impl Fn() -> Result<Option<T>, ViewsError>,
    ) -> Result<T, ViewsError> {
        if let Some(done) = read()? {
            return Ok(done);
        }
        self.landing.wait();
        read()?.ok_or_else(|| self.broken(Doubt::Row))
    }

    /// Copies all rows to a new directory, since sled does not give room back.
    fn rewrite(&mut self) -> Result<(), ViewsError> {
        self.landing.wait();
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
        self.engine = None;
        place::swap_in(&self.dir, &fresh_dir)?;
        self.engine = Some(Arc::new(Engine::open(&self.dir, self.cache_bytes)?));
        Ok(())
    }
}

impl Views for SledViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        let key = row::row_key(key);
        self.settled(|| match checked(self.engine()?, &key)? {
            Some((_, kind)) => Ok(self.whole(&key, kind)?.map(Some)),
            None => Ok(Some(None)),
        })
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Row>, ViewsError> {
        let prefix = row::row_key(prefix);
        let after = after.map(row::row_key);
        self.settled(|| {
            let mut rows = Vec::new();
            for (key, stored) in self.engine()?.scan(&prefix, after.as_deref(), max)? {
                let kind = row::decode(&key, &stored).ok_or_else(|| self.broken(Doubt::Row))?;
                let Some(value) = self.whole(&key, kind)? else { return Ok(None) };
                rows.push((key[1..].to_vec(), value));
            }
            Ok(Some(rows))
        })
    }

    fn write(&mut self, batch: &ViewBatch) -> Result<(), ViewsError> {
        let mut tally = self.landing.tally();
        let engine = self.engine()?;
        let mut rows = Vec::new();
        plan(engine, batch, &mut tally, |row| {
            rows.push(row);
            Ok(())
        })?;
        engine.apply(landing::batch_of(&rows))?;
        self.landing.set_tally(tally);
        Ok(())
    }

    fn begin(&mut self, batch: Arc<ViewBatch>) -> Result<(), ViewsError> {
        self.landing.ended(true)?;
        let engine = self.engine.clone().ok_or(ViewsError::Broken(Doubt::Marked))?;
        self.landing.begin(engine, &self.dir, batch)
    }

    fn landed(&mut self, wait: bool) -> Result<bool, ViewsError> {
        self.landing.ended(wait)
    }

    fn flush(&mut self) -> Result<(), ViewsError> {
        self.engine()?.flush()
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        // Whatever became of the batch on its way, it goes with the rest.
        let _ended = self.landing.ended(true);
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
        self.landing.set_tally(Tally::default());
        self.engine = Some(Arc::new(Engine::open(&self.dir, self.cache_bytes)?));
        Ok(())
    }

    fn scrub(&mut self) -> Result<(), ViewsError> {
        self.rewrite()?;
        Ok(place::forget_broken(&self.dir)?)
    }

    fn audit_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError> {
        let tally = self.landing.tally();
        let engine = self.engine()?;
        if audit.of != Some(tally) {
            // Rows were written: what was summed no longer fits. Each row's own checksum does, so
            // after some such restarts the rest is read without comparing sums.
            if audit.of.is_some() && audit.restarts < AUDIT_RESTARTS_MAX {
                *audit = RowAudit { restarts: audit.restarts + 1, ..RowAudit::default() };
            }
            audit.of = Some(tally);
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
        if summed && audit.found != tally {
            return Err(self.broken(Doubt::Tally));
        }
        Ok(false)
    }
}

impl Drop for SledViews {
    fn drop(&mut self) {
        // The next open finishes what does not end in time.
        self.landing.wait_for(CLOSE_WAIT);
    }
}

fn read_tally(engine: &Engine) -> Result<Tally, ViewsError> {
    match engine.get(row::TALLY_KEY)? {
        Some(bytes) => Tally::decode(&bytes).ok_or_else(|| engine.broken(Doubt::Tally)),
        None if engine.is_empty()? => Ok(Tally::default()),
        None => Err(engine.broken(Doubt::Tally)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, ROW_PIECE_BYTES};

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
        views.rewrite().expect("rewrite");
        assert!(place::size(&dir) < size, "{} of {size} bytes", place::size(&dir));
        assert_eq!(views.scan(b"", None, 99).expect("scan"), before);
        drop(views);
        let views = SledViews::open(&dir, 4 << 20).expect("opens");
        views.audit().expect("audit");
        assert_eq!(views.scan(b"", None, 99).expect("scan"), before);
        assert_eq!(std::fs::read_dir(home.path()).expect("directory").count(), 1);
    }

    #[test]
    fn nothing_that_was_replaced_is_left_after_a_scrub() {
        let home = tempfile::tempdir().expect("temporary directory");
        let dir = home.path().join("views");
        let mut views = SledViews::open(&dir, 4 << 20).expect("opens");
        let put = |views: &mut SledViews, value: &[u8]| {
            let mut batch = ViewBatch::new();
            batch.put(*b"row", value);
            views.write(&batch).expect("write");
            views.flush().expect("flush");
        };
        let holds = |dir: &Path, needle: &[u8]| {
            let files = std::fs::read_dir(dir).expect("directory");
            files
                .filter_map(|file| std::fs::read(file.expect("entry").path()).ok())
                .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
        };
        put(&mut views, b"canary of a person");
        put(&mut views, b"nothing");
        let aside = home.path().join("views.broken-1");
        std::fs::create_dir(&aside).expect("directory");
        assert!(holds(&dir, b"canary"), "a log keeps what was replaced");
        views.scrub().expect("scrub");
        assert!(!holds(&dir, b"canary") && !aside.exists());
        assert_eq!(views.get(b"row").expect("get").as_deref(), Some(b"nothing".as_slice()));
        put(&mut views, b"goes on");
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
