//! A batch on its way to the disk while its owner goes on.
//!
//! Sled keeps readers out for as long as it applies a batch, and a checkpoint of a busy morning
//! takes it a fifth of a second. So a long batch is written to a file of our own first, then
//! applied in small pieces, flushed, and the file emptied: stopped anywhere in between, the next
//! open applies the whole of it again. It refuses to run two batches at a time.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::engine::Engine;
use super::plan::{Plan, Planned};
use super::row::Tally;
use crate::journal::{u32_at, u64_at};
use crate::limits::PIECE_ROWS;
use crate::views::{Doubt, ViewBatch, ViewsError};

/// The file in the views' directory: magic, length u64, rows, CRC-32C over the rows; integers are
/// little-endian. A row is its key and its value, each behind its length u32; a removed one has
/// the length [`REMOVED`] and no value.
const FILE: &str = "linli-redo";
const MAGIC: &[u8; 8] = b"llredo1\n";
const REMOVED: u32 = u32::MAX;

/// Where the batch begun last stands, shared by the views and the thread that lands it.
#[derive(Debug, Default)]
pub(super) struct Landing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    tally: Tally,
    busy: bool,
    failed: Option<ViewsError>,
}

impl Landing {
    pub(super) fn new(tally: Tally) -> Self {
        Self { state: Mutex::new(State { tally, ..State::default() }), changed: Condvar::new() }
    }

    /// Of all rows, those of the batch included once it has landed.
    pub(super) fn tally(&self) -> Tally {
        self.settled().tally
    }

    pub(super) fn set_tally(&self, tally: Tally) {
        self.settled().tally = tally;
    }

    /// Lands a batch in a thread of its own.
    pub(super) fn begin(
        self: &Arc<Self>,
        engine: Arc<Engine>,
        dir: &Path,
        batch: Arc<ViewBatch>,
    ) -> Result<(), ViewsError> {
        let mut tally = {
            let mut state = self.settled();
            state.busy = true;
            state.tally
        };
        let (landing, dir) = (self.clone(), dir.to_owned());
        let spawned = thread::Builder::new().name("linli-views".to_owned()).spawn(move || {
            let work = || land(&engine, &dir, &batch, &mut tally);
            let outcome = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or(Err(ViewsError::Broken(Doubt::Panicked)));
            // Whoever waits may close the database at once.
            drop((engine, batch));
            landing.end(outcome.map(|()| tally));
        });
        if let Err(error) = spawned {
            self.state().busy = false;
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether nothing is on its way; the error of the last batch, once.
    pub(super) fn ended(&self, wait: bool) -> Result<bool, ViewsError> {
        let mut state = if wait { self.settled() } else { self.state() };
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(!state.busy),
        }
    }

    /// Waits until nothing is on its way.
    pub(super) fn wait(&self) {
        drop(self.settled());
    }

    /// As [`Self::wait`], for at most so long.
    pub(super) fn wait_for(&self, longest: Duration) {
        let waited = self.changed.wait_timeout_while(self.state(), longest, |state| state.busy);
        drop(waited);
    }

    fn end(&self, outcome: Result<Tally, ViewsError>) {
        let mut state = self.state();
        match outcome {
            Ok(tally) => state.tally = tally,
            Err(error) => state.failed = Some(error),
        }
        state.busy = false;
        self.changed.notify_all();
    }

    fn settled(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        self.changed.wait_while(state, |state| state.busy).unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn land(
    engine: &Engine,
    dir: &Path,
    batch: &ViewBatch,
    tally: &mut Tally,
) -> Result<(), ViewsError> {
    let mut planned = *tally;
    let plan = Plan::of(engine, batch, &mut planned)?;
    let redo = plan.len() > PIECE_ROWS;
    if redo {
        write_down(dir, plan.rows())?;
    }
    for piece in plan.pieces(if redo { PIECE_ROWS } else { usize::MAX }) {
        engine.apply(batch_of(piece))?;
    }
    engine.flush()?;
    if redo {
        forget(dir)?;
    }
    *tally = planned;
    Ok(())
}

/// Applies again what was written down and perhaps not applied to its end.
pub(super) fn finish(engine: &Engine, dir: &Path) -> Result<(), ViewsError> {
    let Some(rows) = written_down(dir)? else { return Ok(()) };
    tracing::info!(rows = rows.len(), "finishing a checkpoint that was cut short");
    for piece in rows.chunks(PIECE_ROWS) {
        engine.apply(batch_of(piece))?;
    }
    engine.flush()?;
    Ok(forget(dir)?)
}

pub(super) fn batch_of(rows: &[Planned]) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, value) in rows {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    batch
}

fn write_down(dir: &Path, rows: &[Planned]) -> io::Result<()> {
    let mut out = Vec::with_capacity(rows.iter().map(Plan::bytes).sum::<usize>() + 20);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0; 8]);
    for (key, value) in rows {
        out.extend_from_slice(&(key.len() as u32).to_le_bytes());
        out.extend_from_slice(key);
        let len = value.as_ref().map_or(REMOVED, |value| value.len() as u32);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let len = (out.len() - 16) as u64;
    out[8..16].copy_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c(&out[16..]);
    out.extend_from_slice(&crc.to_le_bytes());
    let path = dir.join(FILE);
    let is_new = !path.exists();
    let mut file = File::options().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&out)?;
    file.sync_data()?;
    if is_new {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Empties the file, durably: applied again after a later batch, it would undo that.
fn forget(dir: &Path) -> io::Result<()> {
    File::options().write(true).truncate(true).open(dir.join(FILE))?.sync_data()
}

/// The rows written down; `None` if there are none, or the file was not finished: then nothing of
/// them was applied.
fn written_down(dir: &Path) -> io::Result<Option<Vec<Planned>>> {
    let mut bytes = Vec::new();
    match File::open(dir.join(FILE)) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> Option<Vec<Planned>> {
    let body = bytes.strip_prefix(MAGIC)?;
    let len = usize::try_from(u64_at(body, 0)?).ok()?;
    let rows = body.get(8..)?.get(..len)?;
    if u32_at(&body[8..], len)? != crc32c::crc32c(rows) {
        return None;
    }
    let mut rest = rows;
    let mut take = |bytes: usize| {
        let (taken, left) = rest.split_at_checked(bytes)?;
        rest = left;
        Some(taken)
    };
    let mut out = Vec::new();
    while let Some(len) = take(4) {
        let key = take(u32_at(len, 0)? as usize)?.to_vec();
        let value = match u32_at(take(4)?, 0)? {
            REMOVED => None,
            len => Some(take(len as usize)?.to_vec()),
        };
        out.push((key, value));
    }
    Some(out)
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Directories cannot be synced there; the system writes names through.
#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::{SledViews, Views as _};

    fn batch(round: u8, rows: u16) -> ViewBatch {
        let mut batch = ViewBatch::new();
        for number in 0..rows {
            let bytes = if number % 7 == 0 { 20_000 } else { 90 };
            batch.put(number.to_be_bytes(), vec![round; bytes]);
        }
        batch.delete((u16::from(round) % rows).to_be_bytes());
        batch
    }

    fn opened(dir: &Path) -> SledViews {
        SledViews::open(dir, 4 << 20).expect("opens")
    }

    #[test]
    fn what_was_written_down_reads_back_and_a_cut_or_spoilt_file_is_nothing() {
        let home = tempfile::tempdir().expect("temporary directory");
        let rows = vec![
            (b"ra".to_vec(), Some(b"1".to_vec())),
            (b"rb".to_vec(), None),
            (b"rc".to_vec(), Some(Vec::new())),
        ];
        assert_eq!(written_down(home.path()).expect("reads"), None);
        write_down(home.path(), &rows).expect("writes");
        assert_eq!(written_down(home.path()).expect("reads"), Some(rows));
        let bytes = std::fs::read(home.path().join(FILE)).expect("reads");
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "cut at {len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), None, "bit {bit}");
        }
        forget(home.path()).expect("forgets");
        assert_eq!(written_down(home.path()).expect("reads"), None);
    }

    /// Stopped after any number of pieces, the next open finishes the batch.
    #[test]
    fn a_batch_cut_short_is_finished_by_the_next_open() {
        let rows = 5 * PIECE_ROWS as u16;
        for applied in 0..8 {
            let home = tempfile::tempdir().expect("temporary directory");
            let mut views = opened(home.path());
            views.write(&batch(1, rows)).expect("write");
            views.flush().expect("flush");
            let mut tally = views.landing.tally();
            let engine = views.engine.clone().expect("engine");
            let plan = Plan::of(&engine, &batch(2, rows), &mut tally).expect("plan");
            write_down(home.path(), plan.rows()).expect("writes");
            for piece in plan.pieces(PIECE_ROWS).take(applied) {
                engine.apply(batch_of(piece)).expect("apply");
            }
            engine.flush().expect("flush");
            drop((engine, views));
            let views = opened(home.path());
            views.audit().expect("audit");
            let mut expected = batch(1, rows);
            expected.extend(batch(2, rows));
            for (key, value) in expected.rows() {
                let found = views.get(key).expect("get");
                assert_eq!(found.as_deref(), value, "{key:?} after {applied} pieces");
            }
            assert_eq!(written_down(home.path()).expect("reads"), None);
        }
    }

    #[test]
    fn reads_during_a_landing_give_old_rows_or_new_ones_and_never_a_mixture() {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut views = opened(home.path());
        for round in 1..30 {
            views.begin(Arc::new(batch(round, 200))).expect("begins");
            let mut landed = false;
            while !landed {
                landed = views.landed(false).expect("lands");
                for (_, value) in views.scan(b"", None, usize::MAX).expect("scan") {
                    assert!(value.iter().all(|byte| *byte == value[0]), "a mixture");
                    assert!([round - 1, round].contains(&value[0]) || value[0] + 2 >= round);
                }
            }
            views.audit().expect("audit");
        }
    }
}
