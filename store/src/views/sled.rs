//! Views in sled 0.34, held at arm's length.
//!
//! What sled does not do is done here: it never syncs its file, so we do; it loses keys silently
//! when its file rots, so every row has a checksum and a tally counts and sums them; it panics, so
//! every call runs behind a fence; it writes a row some five times, and large pages to files it
//! never syncs, so long values lie in a heap beside it. One tree, no periodic flush, a stated cache.
//! It refuses to be the only place of anything.

mod base;
mod engine;
mod heap;
mod landing;
mod place;
mod plan;
mod row;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::base::Base;
use self::engine::CLOSE_WAIT;
use self::heap::Window;
use self::landing::Landing;
use self::plan::plan;
use self::row::Sums;
pub(super) use self::row::Tally;
use super::{Doubt, Row, RowAudit, ViewBatch, Views, ViewsError};
use crate::limits::{
    AUDIT_RESTARTS_MAX, AUDIT_ROWS, CHECKED_ROWS_MAX, REWRITE_BYTES_MIN, REWRITE_FACTOR,
    REWRITE_ROWS,
};

/// Views in a directory of their own.
#[derive(Debug)]
pub struct SledViews {
    dir: PathBuf,
    cache_bytes: u64,
    /// Absent after a failed `clear` only.
    base: Option<Arc<Base>>,
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
        let (base, sums) = Base::open(dir, cache_bytes)?;
        let (rows, live) = (sums.tally.rows, sums.live());
        let mut views = Self {
            dir: dir.to_owned(),
            cache_bytes,
            base: Some(Arc::new(base)),
            landing: Arc::new(Landing::new(sums)),
        };
        if rows <= CHECKED_ROWS_MAX {
            views.audit()?;
        }
        if place::size(dir) > REWRITE_BYTES_MIN.max(live.saturating_mul(REWRITE_FACTOR)) {
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

    fn base(&self) -> Result<&Base, ViewsError> {
        self.base.as_deref().ok_or(ViewsError::Broken(Doubt::Marked))
    }

    fn broken(&self, doubt: Doubt) -> ViewsError {
        match &self.base {
            Some(base) => base.engine.broken(doubt),
            None => ViewsError::Broken(doubt),
        }
    }

    /// The value of a row by its stored key, read once more if it does not fit together.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        self.settled(|| match self.base()?.checked(key)? {
            Some((_, kind)) => Ok(self.base()?.value(key, kind, &mut Window::default())?.map(Some)),
            None => Ok(Some(None)),
        })
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
        let (fresh, mut sums) = Base::open(&fresh_dir, self.cache_bytes)?;
        let mut after = None::<Vec<u8>>;
        loop {
            let rows = self.scan(&[], after.as_deref(), REWRITE_ROWS)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            let mut batch = ViewBatch::new();
            for (key, value) in rows {
                batch.put(key, value);
            }
            apply(&fresh, &batch, &mut sums)?;
        }
        fresh.engine.flush()?;
        drop(fresh);
        self.base = None;
        place::swap_in(&self.dir, &fresh_dir)?;
        let (base, sums) = Base::open(&self.dir, self.cache_bytes)?;
        self.base = Some(Arc::new(base));
        self.landing.set_sums(sums);
        Ok(())
    }
}

impl Views for SledViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        self.value(&row::row_key(key))
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
            let (base, mut window) = (self.base()?, Window::default());
            let mut rows = Vec::new();
            for (key, stored) in base.engine.scan(&prefix, after.as_deref(), max)? {
                let kind = row::decode(&key, &stored).ok_or_else(|| self.broken(Doubt::Row))?;
                let Some(value) = base.value(&key, kind, &mut window)? else { return Ok(None) };
                rows.push((key[1..].to_vec(), value));
            }
            Ok(Some(rows))
        })
    }

    fn write(&mut self, batch: &ViewBatch) -> Result<(), ViewsError> {
        let mut sums = self.landing.sums();
        let base = self.base()?;
        let gone = apply(base, batch, &mut sums)?;
        if !gone.is_empty() {
            base.engine.flush()?;
            base.heap.remove(&gone)?;
        }
        self.landing.set_sums(sums);
        Ok(())
    }

    fn begin(&mut self, batch: Arc<ViewBatch>) -> Result<(), ViewsError> {
        self.landing.ended(true)?;
        let base = self.base.clone().ok_or(ViewsError::Broken(Doubt::Marked))?;
        self.landing.begin(base, &self.dir, batch)
    }

    fn landed(&mut self, wait: bool) -> Result<bool, ViewsError> {
        self.landing.ended(wait)
    }

    fn flush(&mut self) -> Result<(), ViewsError> {
        self.base()?.engine.flush()
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        // Whatever became of the batch on its way, it goes with the rest.
        let _ended = self.landing.ended(true);
        if let Some(base) = self.base.take() {
            let broken = base.engine.is_broken();
            drop(base);
            if broken {
                place::move_aside(&self.dir)?;
            } else {
                place::remove(&self.dir)?;
            }
        } else {
            place::move_aside(&self.dir)?;
        }
        let (base, sums) = Base::open(&self.dir, self.cache_bytes)?;
        self.base = Some(Arc::new(base));
        self.landing.set_sums(sums);
        Ok(())
    }

    fn scrub(&mut self) -> Result<(), ViewsError> {
        self.rewrite()?;
        Ok(place::forget_broken(&self.dir)?)
    }

    fn audit_slice(&self, audit: &mut RowAudit, max: usize) -> Result<bool, ViewsError> {
        let tally = self.landing.sums().tally;
        let base = self.base()?;
        if audit.of != Some(tally) {
            // Rows were written: what was summed no longer fits. Each row's own checksum does, so
            // after some such restarts the rest is read without comparing sums.
            if audit.of.is_some() && audit.restarts < AUDIT_RESTARTS_MAX {
                *audit = RowAudit { restarts: audit.restarts + 1, ..RowAudit::default() };
            }
            audit.of = Some(tally);
        }
        let wanted = max.min(AUDIT_ROWS);
        let rows = base.engine.rows_after(&audit.after, wanted)?;
        let mut window = Window::default();
        for (key, stored) in rows.iter().filter(|(key, _)| key != row::TALLY_KEY) {
            let kind = row::decode(key, stored).ok_or_else(|| self.broken(Doubt::Row))?;
            if base.value(key, kind, &mut window)?.is_none() {
                // It may have been written elsewhere meanwhile.
                self.value(key)?;
            }
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

/// Writes a batch without waiting for sled to be durable. Returns the files of the heap that may go
/// once it is.
fn apply(base: &Base, batch: &ViewBatch, sums: &mut Sums) -> Result<Vec<u32>, ViewsError> {
    let mut rows = Vec::new();
    let gone = plan(base, batch, sums, |row| {
        rows.push(row);
        Ok(())
    })?;
    base.engine.apply(landing::batch_of(&rows))?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{
        HEAP_FACTOR, HEAP_FILE_BYTES, HEAP_SPARE_BYTES, ROW_BYTES_MAX, ROW_KEY_BYTES_MAX,
        VALUE_INLINE_BYTES,
    };

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
            views.base().expect("base").engine.apply(plan).expect("apply");
            drop(views);
            for _ in 0..2 {
                let refused = SledViews::open(home.path(), 4 << 20).map(|_| ());
                assert!(matches!(refused, Err(ViewsError::Broken(_))), "{refused:?}");
            }
        }
    }

    #[test]
    fn the_heap_lets_go_of_what_no_row_names() {
        const BYTES: usize = 512 << 10;
        let home = tempfile::tempdir().expect("temporary directory");
        let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
        // One row of sixteen stays; the others are written again in the next round.
        let stays = |round: u8| [0, round];
        for round in 0..32_u8 {
            let mut batch = ViewBatch::new();
            batch.put(stays(round), vec![round; BYTES]);
            for number in 1..16_u8 {
                batch.put([1, number], vec![round; BYTES]);
            }
            // In turn by the two ways to write.
            if round % 2 == 0 {
                views.begin(Arc::new(batch)).expect("begins");
                views.landed(true).expect("lands");
            } else {
                views.write(&batch).expect("write");
            }
            let spare = HEAP_SPARE_BYTES + HEAP_FILE_BYTES + 2 * 16 * BYTES as u64;
            let most = views.landing.sums().live() * HEAP_FACTOR + spare;
            assert!(place::size(home.path()) < most, "{round}: {}", place::size(home.path()));
        }
        assert!(!home.path().join("heap-00000000").exists(), "it held what stays, too");
        let check = |views: &SledViews| {
            views.audit().expect("audit");
            for round in 0..32_u8 {
                assert_eq!(views.get(&stays(round)).expect("get"), Some(vec![round; BYTES]));
            }
            for number in 1..16_u8 {
                assert_eq!(views.get(&[1, number]).expect("get"), Some(vec![31; BYTES]));
            }
        };
        check(&views);
        drop(views);
        check(&SledViews::open(home.path(), 4 << 20).expect("opens"));
    }

    #[test]
    fn a_heap_that_is_cut_or_gone_or_changed_is_noticed_at_open() {
        type Spoil = fn(&Path, &mut Vec<u8>);
        let spoils: [(&str, Spoil); 4] = [
            ("a bit of a value", |_, bytes| *bytes.last_mut().expect("bytes") ^= 4),
            ("a bit of a length", |_, bytes| bytes[4] ^= 1),
            ("cut", |_, bytes| bytes.truncate(bytes.len() - 1)),
            ("gone", |file, _| std::fs::remove_file(file).expect("remove")),
        ];
        for (what, spoil) in spoils {
            let home = tempfile::tempdir().expect("temporary directory");
            let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
            let mut batch = ViewBatch::new();
            batch.put(*b"a", [1; 100]);
            batch.put(*b"b", [2; 100]);
            views.write(&batch).expect("write");
            views.flush().expect("flush");
            drop(views);
            let file = home.path().join("heap-00000000");
            let mut bytes = std::fs::read(&file).expect("read");
            spoil(&file, &mut bytes);
            if file.exists() {
                std::fs::write(&file, bytes).expect("write");
            }
            for _ in 0..2 {
                let refused = SledViews::open(home.path(), 4 << 20).map(|_| ());
                assert!(matches!(refused, Err(ViewsError::Broken(_))), "{what}: {refused:?}");
            }
        }
    }

    #[test]
    fn what_was_not_written_to_its_end_is_cut_off() {
        let home = tempfile::tempdir().expect("temporary directory");
        let put = |value: u8| {
            let mut batch = ViewBatch::new();
            batch.put(*b"row", [value; 100]);
            batch
        };
        let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
        views.write(&put(1)).expect("write");
        views.flush().expect("flush");
        // Values of a batch whose rows never came.
        plan(views.base().expect("base"), &put(2), &mut views.landing.sums(), |_| Ok(()))
            .expect("plan");
        drop(views);
        std::fs::write(home.path().join("heap-00000007"), b"of a batch like that").expect("write");
        let file = home.path().join("heap-00000000");
        let before = std::fs::metadata(&file).expect("file").len();
        let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
        assert!(std::fs::metadata(&file).expect("file").len() < before);
        assert!(!home.path().join("heap-00000007").exists());
        assert_eq!(views.get(b"row").expect("get"), Some(vec![1; 100]));
        views.write(&put(3)).expect("write");
        views.audit().expect("audit");
        assert_eq!(views.get(b"row").expect("get"), Some(vec![3; 100]));
    }

    #[test]
    fn no_row_becomes_a_file_that_sled_never_syncs() {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut views = SledViews::open(home.path(), 4 << 20).expect("opens");
        let mut batch = ViewBatch::new();
        for number in 0..200_u32 {
            let mut key = vec![b'k'; ROW_KEY_BYTES_MAX - 4];
            key.extend_from_slice(&number.to_be_bytes());
            batch.put(key, vec![number as u8; VALUE_INLINE_BYTES]);
        }
        batch.put(*b"long", vec![1; ROW_BYTES_MAX]);
        views.write(&batch).expect("write");
        views.flush().expect("flush");
        let blobs = std::fs::read_dir(home.path().join("blobs")).map_or(0, Iterator::count);
        assert_eq!(blobs, 0);
    }
}
