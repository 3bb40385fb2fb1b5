//! Values of rows, in files beside sled's own.
//!
//! A leaf of sled holds 16 rows and is written whole at each split and each tenth change, so a value
//! inside of it goes to disk about five times. Here it goes once: values are appended to files, and
//! sled holds their places. Rows of sled name the files too, and say where each ends; what lies
//! behind its end does not count. It refuses to know which values are in use.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{read_at, sync_directory, write_all_at};
use crate::journal::u32_at;
use crate::limits::{HEAP_BUFFER_BYTES, HEAP_FILE_BYTES, HEAP_GAP_BYTES, HEAP_WINDOW_BYTES};

const NAME: &str = "heap-";
/// Before a key and its value: their lengths, u32 little-endian each.
const HEAD_BYTES: usize = 8;

/// Where a record lies, and the CRC-32C of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub file: u32,
    pub at: u64,
    pub bytes: u32,
    pub sum: u32,
}

/// How much of a file counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Where its records end.
    pub end: u64,
    /// Bytes of those that a row names.
    pub live: u64,
}

/// The files of a heap by their numbers; the last one grows.
pub(super) type Uses = BTreeMap<u32, Use>;

/// The files of one directory.
#[derive(Debug)]
pub(super) struct Heap {
    dir: PathBuf,
    files: Mutex<BTreeMap<u32, Arc<File>>>,
}

impl Heap {
    /// Opens the files that count; removes others, and what lies behind their ends. `None` if one
    /// is missing or shorter than it was.
    pub(super) fn open(dir: &Path, uses: &Uses) -> io::Result<Option<Self>> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let number = number_of(&entry.file_name().to_string_lossy());
            if number.is_some_and(|number| !uses.contains_key(&number)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        let mut files = BTreeMap::new();
        for (number, used) in uses {
            let file = match File::options().read(true).write(true).open(path(dir, *number)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let len = file.metadata()?.len();
            if len < used.end {
                return Ok(None);
            }
            if len > used.end {
                file.set_len(used.end)?;
            }
            files.insert(*number, Arc::new(file));
        }
        Ok(Some(Self { dir: dir.to_owned(), files: Mutex::new(files) }))
    }

    /// The value of a record; `None` if it is not what was written there under this key.
    pub(super) fn value(
        &self,
        key: &[u8],
        place: Place,
        window: &mut Window,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(place.file) else { return Ok(None) };
        let Some(record) = window.record(&file, place)? else { return Ok(None) };
        if crc32c::crc32c(record) != place.sum || u32_at(record, 0) != Some(key.len() as u32) {
            return Ok(None);
        }
        Ok(record[HEAD_BYTES..].strip_prefix(key).map(<[u8]>::to_vec))
    }

    /// Shows the records of a file in order; false if they are not what was written.
    pub(super) fn each<E: From<io::Error>>(
        &self,
        number: u32,
        end: u64,
        mut show: impl FnMut(&[u8], &[u8], Place) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut file = BufReader::with_capacity(HEAP_WINDOW_BYTES, self.reader(number)?);
        let (mut at, mut record) = (0, Vec::new());
        while at < end {
            record.resize(HEAD_BYTES, 0);
            file.read_exact(&mut record).map_err(E::from)?;
            let lens = u32_at(&record, 0).zip(u32_at(&record, 4));
            let (key, value) = lens.map_or((0, 0), |(key, value)| (key as usize, value as usize));
            let bytes = HEAD_BYTES + key + value;
            if key == 0 || at + bytes as u64 > end {
                return Ok(false);
            }
            record.resize(bytes, 0);
            file.read_exact(&mut record[HEAD_BYTES..]).map_err(E::from)?;
            let sum = crc32c::crc32c(&record);
            let place = Place { file: number, at, bytes: bytes as u32, sum };
            let (key, value) = record[HEAD_BYTES..].split_at(key);
            show(key, value, place)?;
            at += bytes as u64;
        }
        Ok(true)
    }

    /// Removes files that no row names any more.
    pub(super) fn remove(&self, numbers: &[u32]) -> io::Result<()> {
        for number in numbers {
            self.files().remove(number);
            match std::fs::remove_file(path(&self.dir, *number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// To write behind the last file's end.
    pub(super) fn pen(&self) -> Pen<'_> {
        Pen { heap: self, open: None, written: Vec::new(), made: false }
    }

    /// A handle with a place of its own.
    fn reader(&self, number: u32) -> io::Result<File> {
        File::open(path(&self.dir, number))
    }

    fn make(&self, number: u32) -> io::Result<Arc<File>> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let file = Arc::new(options.open(path(&self.dir, number))?);
        self.files().insert(number, file.clone());
        Ok(file)
    }

    fn file(&self, number: u32) -> Option<Arc<File>> {
        self.files().get(&number).cloned()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<File>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends records; they count once a row names them.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    heap: &'a Heap,
    open: Option<Growing>,
    /// Files to sync.
    written: Vec<Arc<File>>,
    made: bool,
}

#[derive(Debug)]
struct Growing {
    file: Arc<File>,
    /// Where the buffer goes.
    at: u64,
    buffer: Vec<u8>,
}

impl Pen<'_> {
    /// Writes a record, and counts it as live.
    pub(super) fn append(
        &mut self,
        uses: &mut Uses,
        key: &[u8],
        value: &[u8],
    ) -> io::Result<Place> {
        let last = uses.last_key_value().map(|(number, used)| (*number, used.end));
        let (number, at) = match last {
            Some((number, end)) if end < HEAP_FILE_BYTES => (number, end),
            last => {
                self.close()?;
                let number = last.map_or(0, |(number, _)| number + 1);
                let file = self.heap.make(number)?;
                self.made = true;
                self.open = Some(Growing { file, at: 0, buffer: Vec::new() });
                (number, 0)
            }
        };
        let growing = match &mut self.open {
            Some(growing) => growing,
            none => {
                let file = self.heap.file(number).ok_or(io::ErrorKind::NotFound)?;
                none.insert(Growing { file, at, buffer: Vec::new() })
            }
        };
        let bytes = HEAD_BYTES + key.len() + value.len();
        let start = growing.buffer.len();
        growing.buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
        growing.buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
        growing.buffer.extend_from_slice(key);
        growing.buffer.extend_from_slice(value);
        let sum = crc32c::crc32c(&growing.buffer[start..]);
        if growing.buffer.len() >= HEAP_BUFFER_BYTES {
            growing.write()?;
        }
        let used = uses.entry(number).or_default();
        used.end += bytes as u64;
        used.live += bytes as u64;
        Ok(Place { file: number, at, bytes: bytes as u32, sum })
    }

    /// Makes all of it durable.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.close()?;
        for file in &self.written {
            file.sync_data()?;
        }
        if self.made { sync_directory(&self.heap.dir) } else { Ok(()) }
    }

    fn close(&mut self) -> io::Result<()> {
        if let Some(mut growing) = self.open.take() {
            growing.write()?;
            self.written.push(growing.file);
        }
        Ok(())
    }
}

impl Growing {
    fn write(&mut self) -> io::Result<()> {
        write_all_at(&self.file, &self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What was read last, so that records that follow each other are read together.
#[derive(Debug, Default)]
pub(super) struct Window {
    file: u32,
    from: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn record(&mut self, file: &File, place: Place) -> io::Result<Option<&[u8]>> {
        let len = place.bytes as usize;
        let end = self.from + self.bytes.len() as u64;
        let here = self.file == place.file && !self.bytes.is_empty();
        let within = here && place.at >= self.from && place.at + len as u64 <= end;
        if !within {
            let follows = here && place.at >= self.from && place.at <= end + HEAP_GAP_BYTES;
            let wanted = if follows { len.max(HEAP_WINDOW_BYTES) } else { len };
            self.bytes.resize(wanted, 0);
            let mut done = 0;
            while done < len {
                match read_at(file, &mut self.bytes[done..], place.at + done as u64)? {
                    0 => break,
                    read => done += read,
                }
            }
            self.bytes.truncate(done);
            (self.file, self.from) = (place.file, place.at);
        }
        let start = (place.at - self.from) as usize;
        Ok(self.bytes.get(start..start + len))
    }
}

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{NAME}{number:08}"))
}

fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix(NAME)?.parse().ok()
}
