//! The outside of a backup file: a head that names its version, and a tail that proves every byte
//! before it.
//!
//! ```text
//! head: 184D2A50 | length u32 | "linlibak" | version u32 | sealed u8 | lock 43, if sealed
//! inside: zstd, or the sealed stream of it
//! tail: 184D2A5F | 32 u32 | SHA-256 of all before the tail
//! ```
//!
//! Integers are little-endian. Head and tail are what zstd calls skippable frames: a backup that is
//! not sealed is read by `zstd` and `tar` as it is. The tail finds damage before anybody is asked
//! for a passphrase; that nobody altered a sealed one on purpose is for the sealing to prove.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Take, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::sealing::{LOCK_BYTES, Lock, Opening, Passphrase, Sealing};
use super::{BackupError, Progress, damaged, file_error};

/// Version of the outside; a reader refuses a greater one.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"linlibak";
const HEAD_FRAME: u32 = 0x184D_2A50;
const TAIL_FRAME: u32 = 0x184D_2A5F;
const HEAD_BYTES: usize = 8 + 8 + 4 + 1;
const TAIL_BYTES: u64 = 8 + 32;

/// Writes a backup file from head to tail.
pub(super) struct Outer<W: Write> {
    inside: Inside<W>,
}

enum Inside<W: Write> {
    Plain(Summed<W>),
    Sealed(Box<Sealing<Summed<W>>>),
}

/// Sums what goes through.
struct Summed<W> {
    out: W,
    sha: Sha256,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Outer<W> {
    /// Writes the head. A lock comes with the passphrase it is for.
    pub(super) fn new(out: W, lock: Option<(Lock, &Passphrase)>) -> io::Result<Self> {
        let head = head_of(lock.as_ref().map(|(lock, _)| lock));
        let mut summed = Summed { out, sha: Sha256::new() };
        summed.write_all(&head)?;
        let inside = match lock {
            None => Inside::Plain(summed),
            Some((lock, passphrase)) => {
                let key = lock.key(passphrase).ok_or(io::ErrorKind::OutOfMemory)?;
                Inside::Sealed(Box::new(Sealing::new(summed, key, lock.nonce, head)))
            }
        };
        Ok(Self { inside })
    }

    /// Writes the tail.
    pub(super) fn finish(self) -> io::Result<W> {
        let Summed { mut out, sha } = match self.inside {
            Inside::Plain(summed) => summed,
            Inside::Sealed(sealing) => sealing.finish()?,
        };
        out.write_all(&tail_of(&sha.finalize().into()))?;
        Ok(out)
    }
}

impl<W: Write> Write for Outer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.inside {
            Inside::Plain(summed) => summed.write(bytes),
            Inside::Sealed(sealing) => sealing.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.inside {
            Inside::Plain(summed) => summed.flush(),
            Inside::Sealed(sealing) => sealing.flush(),
        }
    }
}

/// The inside of a backup file that was found whole.
pub(super) type Content = Box<dyn Read>;

/// Whether a file says that it is sealed, as far as its head goes.
pub fn is_sealed(path: &Path) -> Result<bool, BackupError> {
    let mut file = File::open(path).map_err(file_error(path))?;
    Ok(read_head(&mut file, path)?.1.is_some())
}

/// Verifies a file from head to tail, then opens its inside.
pub(super) fn open(
    path: &Path,
    passphrase: Option<&Passphrase>,
    progress: Progress<'_>,
) -> Result<Content, BackupError> {
    let wrong = || file_error(path);
    let mut file = File::open(path).map_err(wrong())?;
    let (head, lock) = read_head(&mut file, path)?;
    let len = file.metadata().map_err(wrong())?.len();
    let Some(body) = len.checked_sub(head.len() as u64 + TAIL_BYTES) else {
        return Err(damaged("the file ends too early"));
    };
    file.seek(SeekFrom::Start(0)).map_err(wrong())?;
    let sha = sum(&mut (&mut file).take(len - TAIL_BYTES), progress).map_err(wrong())?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).map_err(wrong())?;
    if tail != tail_of(&sha) {
        return Err(damaged("bytes are missing or are not those that were written"));
    }
    file.seek(SeekFrom::Start(head.len() as u64)).map_err(wrong())?;
    let inside: Take<BufReader<File>> = BufReader::new(file).take(body);
    let Some(lock) = lock else { return Ok(Box::new(inside)) };
    let key = lock.key(passphrase.ok_or(BackupError::Sealed)?);
    let key = key.ok_or_else(|| damaged("its head asks for more memory than it may"))?;
    match Opening::new(inside, key, lock.nonce, head) {
        Ok(opening) => Ok(Box::new(opening)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(BackupError::WrongPassphrase)
        }
        Err(error) => Err(file_error(path)(error)),
    }
}

fn sum(from: &mut impl Read, progress: Progress<'_>) -> io::Result<[u8; 32]> {
    let mut sha = Sha256::new();
    let mut window = vec![0; 1 << 20];
    loop {
        match from.read(&mut window)? {
            0 => return Ok(sha.finalize().into()),
            read => {
                sha.update(&window[..read]);
                progress(read as u64);
            }
        }
    }
}

fn head_of(lock: Option<&Lock>) -> Vec<u8> {
    let lock_bytes = lock.map(Lock::encode).unwrap_or_default();
    let len = HEAD_BYTES - 8 + lock_bytes.len();
    let mut head = Vec::with_capacity(8 + len);
    head.extend_from_slice(&HEAD_FRAME.to_le_bytes());
    head.extend_from_slice(&(len as u32).to_le_bytes());
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.push(u8::from(lock.is_some()));
    head.extend_from_slice(&lock_bytes);
    head
}

fn tail_of(sha: &[u8; 32]) -> Vec<u8> {
    [&TAIL_FRAME.to_le_bytes()[..], &32_u32.to_le_bytes(), sha].concat()
}

/// The head's bytes, and the lock if the inside is sealed.
fn read_head(file: &mut File, path: &Path) -> Result<(Vec<u8>, Option<Lock>), BackupError> {
    let mut head = Vec::new();
    let most = (HEAD_BYTES + LOCK_BYTES) as u64;
    file.take(most).read_to_end(&mut head).map_err(file_error(path))?;
    if head.get(..4) != Some(&HEAD_FRAME.to_le_bytes()) || head.get(8..16) != Some(MAGIC) {
        return Err(BackupError::Foreign);
    }
    let version = head.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    match version {
        Some(VERSION) => {}
        Some(version) if version > VERSION => return Err(BackupError::Newer { version }),
        _ => return Err(damaged("its head is not one")),
    }
    let lock = match head.get(20) {
        Some(0) => None,
        Some(1) => Lock::decode(&head[HEAD_BYTES..]),
        _ => return Err(damaged("its head is not one")),
    };
    head.truncate(HEAD_BYTES + if lock.is_some() { LOCK_BYTES } else { 0 });
    // What is stated twice must agree: this also finds a lock that was cut off.
    if head != head_of(lock.as_ref()) {
        return Err(damaged("its head is not one"));
    }
    Ok((head, lock))
}
