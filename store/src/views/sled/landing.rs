//! A batch on its way to the disk while its owner goes on.
//!
//! Sled keeps readers out for as long as it applies a batch, and a checkpoint of a busy morning
//! takes it a fifth of a second. So a long batch is written to a file of our own first, then
//! applied in small pieces, flushed, and the file emptied: stopped anywhere in between, the next
//! open applies the whole of it again. It refuses to run two batches at a time.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::base::Base;
use super::engine::Engine;
use super::plan::{Planned, plan};
use super::row::Sums;
use crate::disk::sync_directory;
use crate::journal::{u32_at, u64_at};
use crate::limits::PIECE_ROWS;
use crate::views::{Doubt, ViewBatch, ViewsError};

/// The file in the views' directory: magic, length u64 of the rows, their CRC-32C u32, the rows, a
/// zero u32; integers are little-endian. A row is its key and its value, each behind its length
/// u32; a removed one has the length [`REMOVED`] and no value.
const FILE: &str = "linli-redo";
const MAGIC: &[u8; 8] = b"llredo1\n";
const HEAD_BYTES: usize = 20;
const REMOVED: u32 = u32::MAX;

/// Where the batch begun last stands, shared by the views and the thread that lands it.
///
/// It is one thread for all batches: what sled keeps in memory is allocated by it, and the memory of
/// a thread that ends is hardly used again.
#[derive(Debug, Default)]
pub(super) struct Landing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sums: Sums,
    busy: bool,
    failed: Option<ViewsError>,
    /// Gives the thread its work; it ends with this. `None` before the first batch.
    thread: Option<Sender<Work>>,
}

type Work = Box<dyn FnOnce() + Send>;

impl State {
    /// Begins the thread, if it does not run.
    fn thread(&mut self) -> io::Result<&Sender<Work>> {
        if self.thread.is_none() {
            let (thread, works) = channel::<Work>();
            thread::Builder::new()
                .name("linli-views".to_owned())
                .spawn(move || works.into_iter().for_each(|work| work()))?;
            self.thread = Some(thread);
        }
        self.thread.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Landing {
    pub(super) fn new(sums: Sums) -> Self {
        Self { state: Mutex::new(State { sums, ..State::default() }), changed: Condvar::new() }
    }

    /// Of all rows, those of the batch included once it has landed.
    pub(super) fn sums(&self) -> Sums {
        self.settled().sums.clone()
    }

    pub(super) fn set_sums(&self, sums: Sums) {
        self.settled().sums = sums;
    }

    /// Lands a batch in the thread.
    pub(super) fn begin(
        self: &Arc<Self>,
        base: Arc<Base>,
        dir: &Path,
        batch: Arc<ViewBatch>,
    ) -> Result<(), ViewsError> {
        let mut state = self.settled();
        let mut sums = state.sums.clone();
        let (landing, dir) = (self.clone(), dir.to_owned());
        let work = Box::new(move || {
            let work = || land(&base, &dir, &batch, &mut sums);
            let outcome = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or(Err(ViewsError::Broken(Doubt::Panicked)));
            // Whoever waits may close the database at once.
            drop((base, batch));
            landing.end(outcome.map(|()| sums));
        });
        let thread = state.thread()?;
        thread.send(work).map_err(|_| io::Error::from(io::ErrorKind::NotConnected))?;
        state.busy = true;
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

    fn end(&self, outcome: Result<Sums, ViewsError>) {
        let mut state = self.state();
        match outcome {
            Ok(sums) => state.sums = sums,
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

fn land(base: &Base, dir: &Path, batch: &ViewBatch, sums: &mut Sums) -> Result<(), ViewsError> {
    let engine = &base.engine;
    let gone = if batch.len() <= PIECE_ROWS {
        let mut rows = Vec::new();
        let gone = plan(base, batch, sums, |row| {
            rows.push(row);
            Ok(())
        })?;
        engine.apply(batch_of(&rows))?;
        engine.flush()?;
        gone
    } else {
        // Never the whole of it in memory: the batch itself stands there already.
        let mut redo = Redo::begin(dir)?;
        let gone = plan(base, batch, sums, |row| Ok(redo.add(&row)?))?;
        redo.end(dir)?;
        finish(engine, dir)?;
        gone
    };
    Ok(base.heap.remove(&gone)?)
}

/// Applies what was written down, if it was to its end, and forgets it.
pub(super) fn finish(engine: &Engine, dir: &Path) -> Result<(), ViewsError> {
    let path = dir.join(FILE);
    let found = match File::open(&path) {
        Ok(file) => found(&mut BufReader::new(file))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Unfinished,
        Err(error) => return Err(error.into()),
    };
    match found {
        Found::Unfinished => return Ok(()),
        Found::Spoilt => return Err(engine.broken(Doubt::Row)),
        Found::Whole => {}
    }
    let mut file = BufReader::new(File::open(&path)?);
    file.seek_relative(HEAD_BYTES as i64)?;
    let mut piece = Vec::with_capacity(PIECE_ROWS);
    loop {
        let row = read_row(&mut file)?;
        let last = row.is_none();
        piece.extend(row);
        if last || piece.len() == PIECE_ROWS {
            engine.apply(batch_of(&piece))?;
            piece.clear();
        }
        if last {
            break;
        }
    }
    engine.flush()?;
    // The rows stand, and the owner does not know: nothing more is written above them.
    forget(dir).map_err(|error| engine.failed(error))
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

/// The file while it is written.
struct Redo {
    file: BufWriter<File>,
    is_new: bool,
    bytes: u64,
    sum: u32,
}

impl Redo {
    fn begin(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let is_new = !path.exists();
        let file = File::options().create(true).truncate(true).write(true).open(&path)?;
        let mut redo = Self { file: BufWriter::new(file), is_new, bytes: 0, sum: 0 };
        redo.file.write_all(&[0; HEAD_BYTES])?;
        Ok(redo)
    }

    fn add(&mut self, (key, value): &Planned) -> io::Result<()> {
        let len = value.as_ref().map_or(REMOVED, |value| value.len() as u32);
        let parts: [&[u8]; 4] = [
            &(key.len() as u32).to_le_bytes(),
            key,
            &len.to_le_bytes(),
            value.as_deref().unwrap_or_default(),
        ];
        for part in parts {
            self.file.write_all(part)?;
            self.bytes += part.len() as u64;
            self.sum = crc32c::crc32c_append(self.sum, part);
        }
        Ok(())
    }

    /// Makes it count.
    fn end(mut self, dir: &Path) -> io::Result<()> {
        self.file.write_all(&[0; 4])?;
        self.file.rewind()?;
        self.file.write_all(MAGIC)?;
        self.file.write_all(&self.bytes.to_le_bytes())?;
        self.file.write_all(&self.sum.to_le_bytes())?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        if self.is_new { sync_directory(dir) } else { Ok(()) }
    }
}

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It was not written to its end, or forgotten: no row of it was applied, or all were.
    Unfinished,
    /// It was, and nothing in it has changed.
    Whole,
    /// It was, and is not what was written. Some of it may have been applied.
    Spoilt,
}

fn found(file: &mut impl Read) -> io::Result<Found> {
    let mut head = [0; HEAD_BYTES];
    if !read_full(file, &mut head)? || head == [0; HEAD_BYTES] {
        return Ok(Found::Unfinished);
    }
    let (Some(mut left), Some(expected)) = (u64_at(&head, 8), u32_at(&head, 16)) else {
        return Ok(Found::Spoilt);
    };
    let (mut sum, mut buffer) = (0, vec![0; 64 << 10]);
    while left > 0 {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if !read_full(file, &mut buffer[..wanted])? {
            return Ok(Found::Spoilt);
        }
        sum = crc32c::crc32c_append(sum, &buffer[..wanted]);
        left -= wanted as u64;
    }
    let mut end = [1; 4];
    let fits = head[..8] == *MAGIC && sum == expected;
    let whole = fits && read_full(file, &mut end)? && end == [0; 4];
    Ok(if whole { Found::Whole } else { Found::Spoilt })
}

/// The next row of a whole file; `None` behind the last.
fn read_row(file: &mut impl Read) -> io::Result<Option<Planned>> {
    let mut number = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    };
    let len = number()?;
    // No key is empty: this is the end.
    if len == 0 {
        return Ok(None);
    }
    let mut key = vec![0; len as usize];
    file.read_exact(&mut key)?;
    let mut len = [0; 4];
    file.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    if len == REMOVED {
        return Ok(Some((key, None)));
    }
    let mut value = vec![0; len as usize];
    file.read_exact(&mut value)?;
    Ok(Some((key, Some(value))))
}

/// Fills the buffer; false if the file ends before.
fn read_full(file: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(into) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// Empties the file, durably: applied again after a later batch, it would undo that.
fn forget(dir: &Path) -> io::Result<()> {
    File::options().write(true).truncate(true).open(dir.join(FILE))?.sync_data()
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

    fn write_down(dir: &Path, rows: &[Planned]) {
        let mut redo = Redo::begin(dir).expect("begins");
        rows.iter().try_for_each(|row| redo.add(row)).expect("writes");
        redo.end(dir).expect("ends");
    }

    #[test]
    fn what_was_written_down_reads_back_and_a_cut_or_spoilt_file_is_nothing() {
        let home = tempfile::tempdir().expect("temporary directory");
        let rows = vec![
            (b"ra".to_vec(), Some(b"1".to_vec())),
            (b"rb".to_vec(), None),
            (b"rc".to_vec(), Some(Vec::new())),
        ];
        write_down(home.path(), &rows);
        let bytes = std::fs::read(home.path().join(FILE)).expect("reads");
        let found = |bytes: &[u8]| found(&mut &bytes[..]).expect("memory does not fail");
        assert_eq!(found(&bytes), Found::Whole);
        let mut rest = &bytes[HEAD_BYTES..];
        for row in rows {
            assert_eq!(read_row(&mut rest).expect("reads"), Some(row));
        }
        assert_eq!(read_row(&mut rest).expect("reads"), None);
        for len in 0..bytes.len() {
            let cut = if len < HEAD_BYTES { Found::Unfinished } else { Found::Spoilt };
            assert_eq!(found(&bytes[..len]), cut, "cut at {len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(found(&bad), Found::Spoilt, "bit {bit}");
        }
        forget(home.path()).expect("forgets");
        let left = std::fs::read(home.path().join(FILE)).expect("reads");
        assert_eq!(found(&left), Found::Unfinished);
        Redo::begin(home.path()).expect("begins").add(&(b"ra".to_vec(), None)).expect("writes");
        let left = std::fs::read(home.path().join(FILE)).expect("reads");
        assert_eq!(found(&left), Found::Unfinished, "it was not written to its end");
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
            let mut sums = views.landing.sums();
            let base = views.base.clone().expect("base");
            let mut planned = Vec::new();
            plan(&base, &batch(2, rows), &mut sums, |row| {
                planned.push(row);
                Ok(())
            })
            .expect("plan");
            write_down(home.path(), &planned);
            for piece in planned.chunks(PIECE_ROWS).take(applied) {
                base.engine.apply(batch_of(piece)).expect("apply");
            }
            base.engine.flush().expect("flush");
            drop((base, views));
            let views = opened(home.path());
            views.audit().expect("audit");
            let mut expected = batch(1, rows);
            expected.extend(batch(2, rows));
            for (key, value) in expected.rows() {
                let found = views.get(key).expect("get");
                assert_eq!(found.as_deref(), value, "{key:?} after {applied} pieces");
            }
            let left = std::fs::metadata(home.path().join(FILE)).expect("file").len();
            assert_eq!(left, 0, "applied again after a later batch, it would undo that");
        }
    }

    #[test]
    fn one_thread_lands_all_batches() {
        let (mut state, (say, said)) = (State::default(), channel());
        for _ in 0..2 {
            let say = say.clone();
            let work = Box::new(move || say.send(thread::current().id()).expect("is heard"));
            state.thread().expect("begins").send(work).expect("works");
        }
        drop(say);
        let ids: Vec<_> = said.iter().collect();
        assert!(matches!(ids[..], [first, second] if first == second), "{ids:?}");
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
