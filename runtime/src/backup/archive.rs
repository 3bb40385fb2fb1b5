//! The inside of a backup: writing it, and reading it back with every file held against the
//! manifest and the journal walked commit by commit.
//!
//! There is one reader: what verifies a backup is what restores it. It refuses a file that is not
//! listed, one that is listed and missing, and any byte behind the last.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use linli_store::journal::{OpenError, Retrace};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::container::{self, Outer};
use super::manifest::{self, FORMAT, FileRow, JOURNAL, Manifest};
use super::sealing::{Lock, Passphrase};
use super::source::{Source, place};
use super::{BackupError, Progress, damaged, file_error};
use crate::authority::{create_private, sync_dir};
use crate::limits::{BACKUP_FILE_BYTES_MAX, BACKUP_MANIFEST_BYTES_MAX};

/// zstd's own default: a journal of small changes halves, and goes as fast as the disk.
const LEVEL: i32 = 3;

/// A backup that was written, read back and found right.
#[derive(Debug)]
pub struct Written {
    /// What is in it.
    pub manifest: Manifest,
    /// Its length.
    pub file_bytes: u64,
}

/// Writes a backup to a new file, reads it back whole, and only then gives it its name. With a
/// passphrase it is sealed and holds the machine's secrets.
pub fn write(
    source: &Source,
    file: &Path,
    passphrase: Option<&Passphrase>,
    made_at: u64,
    progress: Progress<'_>,
) -> Result<Written, BackupError> {
    let lock = passphrase.map(|passphrase| Ok((Lock::draw()?, passphrase)));
    write_locked(source, file, lock.transpose().map_err(BackupError::Random)?, made_at, progress)
}

pub(super) fn write_locked(
    source: &Source,
    file: &Path,
    lock: Option<(Lock, &Passphrase)>,
    made_at: u64,
    progress: Progress<'_>,
) -> Result<Written, BackupError> {
    if file.exists() {
        return Err(BackupError::Occupied { path: file.to_owned() });
    }
    let part = file.with_file_name(match file.file_name() {
        Some(name) => format!("{}.part", name.to_string_lossy()),
        None => return Err(BackupError::Occupied { path: file.to_owned() }),
    });
    let passphrase = lock.as_ref().map(|(_, passphrase)| *passphrase);
    let outcome = write_part(source, &part, lock, made_at, progress)
        .and_then(|manifest| prove(&part, passphrase, &manifest, progress).map(|()| manifest))
        .and_then(|manifest| {
            let file_bytes = fs::metadata(&part).map_err(file_error(&part))?.len();
            fs::rename(&part, file).map_err(file_error(file))?;
            sync_dir(file.parent().unwrap_or(Path::new("."))).map_err(file_error(file))?;
            Ok(Written { manifest, file_bytes })
        });
    if outcome.is_err() {
        // Nobody shall take it for a backup; the error above says more than this one would.
        let _ = fs::remove_file(&part);
    }
    outcome
}

/// Reads a fresh backup back: it must say what was meant to be in it.
fn prove(
    part: &Path,
    passphrase: Option<&Passphrase>,
    meant: &Manifest,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let found = read(part, passphrase, progress, &mut |_, _| Ok(()))?;
    if found == *meant { Ok(()) } else { Err(damaged("it reads back as something else")) }
}

fn write_part(
    source: &Source,
    part: &Path,
    lock: Option<(Lock, &Passphrase)>,
    made_at: u64,
    progress: Progress<'_>,
) -> Result<Manifest, BackupError> {
    let wrong = || file_error(part);
    // A leftover of an earlier attempt.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong()(error)),
        _ => {}
    }
    let small = source.small_files(lock.is_some())?;
    let mut files = Vec::new();
    for (name, bytes) in &source.extent.segments {
        let path = format!("{JOURNAL}{name}");
        let sha256 = sum_of(&place(&source.data, &path), *bytes, progress)?;
        files.push(FileRow { path, bytes: *bytes, sha256 });
    }
    for (path, bytes) in &small {
        let sha256 = HEXLOWER.encode(&Sha256::digest(bytes.as_slice()));
        files.push(FileRow { path: (*path).to_owned(), bytes: bytes.len() as u64, sha256 });
    }
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        name: source.name.clone(),
        epoch: source.epoch.clone(),
        made_at,
        secrets: lock.is_some(),
        commits: source.extent.commits,
        spaces: manifest::rows(&source.extent),
        files,
    };
    let out = BufWriter::new(create_private(part).map_err(wrong())?);
    let outer = Outer::new(out, lock).map_err(wrong())?;
    let packed = zstd::Encoder::new(outer, LEVEL).map_err(wrong())?;
    let mut archive = tar::Builder::new(packed);
    let text = serde_json::to_vec_pretty(&manifest).expect("names and numbers are JSON");
    add(&mut archive, manifest::NAME, text.len() as u64, made_at, text.as_slice())
        .map_err(wrong())?;
    for row in &manifest.files {
        if let Some((_, bytes)) = small.iter().find(|(path, _)| *path == row.path) {
            add(&mut archive, &row.path, row.bytes, made_at, bytes.as_slice()).map_err(wrong())?;
        } else {
            let path = place(&source.data, &row.path);
            let segment = File::open(&path).map_err(file_error(&path))?;
            add(&mut archive, &row.path, row.bytes, made_at, segment.take(row.bytes))
                .map_err(wrong())?;
        }
        progress(row.bytes);
    }
    let packed = archive.into_inner().map_err(wrong())?;
    let outer = packed.finish().map_err(wrong())?;
    let out = outer.finish().map_err(wrong())?;
    let out = out.into_inner().map_err(|error| wrong()(error.into_error()))?;
    out.sync_all().map_err(wrong())?;
    Ok(manifest)
}

fn add(
    archive: &mut tar::Builder<impl Write>,
    path: &str,
    bytes: u64,
    made_at: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(made_at);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, path, content)
}

/// SHA-256 of the first bytes of a file, which must have as many.
fn sum_of(path: &Path, bytes: u64, progress: Progress<'_>) -> Result<String, BackupError> {
    let mut from = File::open(path).map_err(file_error(path))?;
    from.seek(SeekFrom::Start(0)).map_err(file_error(path))?;
    let (mut sha, mut left) = (Sha256::new(), bytes);
    let mut window = vec![0; 1 << 20];
    while left > 0 {
        let most = left.min(window.len() as u64) as usize;
        match from.read(&mut window[..most]).map_err(file_error(path))? {
            0 => {
                return Err(BackupError::Journal(OpenError::Io(
                    io::ErrorKind::UnexpectedEof.into(),
                )));
            }
            read => {
                sha.update(&window[..read]);
                left -= read as u64;
                progress(read as u64);
            }
        }
    }
    Ok(HEXLOWER.encode(&sha.finalize()))
}

/// What is done with each file of a backup once it is known to be right.
pub(super) type Take<'a> = &'a mut dyn FnMut(&FileRow, &[u8]) -> Result<(), BackupError>;

/// Reads a whole backup. Each file is handed over verified; that no file was missing and that the
/// journal holds what the manifest says is known when this returns.
pub(super) fn read(
    path: &Path,
    passphrase: Option<&Passphrase>,
    progress: Progress<'_>,
    take: Take<'_>,
) -> Result<Manifest, BackupError> {
    let content = container::open(path, passphrase, progress)?;
    let unpacked = zstd::Decoder::new(content).map_err(|error| unreadable(&error))?;
    let mut archive = tar::Archive::new(unpacked);
    let mut entries = archive.entries().map_err(|error| unreadable(&error))?;
    let mut next = |wanted: &str, most: u64| -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let entry = entries.next().ok_or_else(|| damaged(format!("{wanted} is missing")))?;
        let entry = entry.map_err(|error| unreadable(&error))?;
        if *entry.path_bytes() != *wanted.as_bytes() {
            return Err(damaged(format!("another file stands where {wanted} should")));
        }
        if entry.size() > most {
            return Err(damaged(format!("{wanted} is too long")));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(entry.size() as usize));
        entry.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        Ok(bytes)
    };
    let text = next(manifest::NAME, BACKUP_MANIFEST_BYTES_MAX)?;
    let manifest = manifest_of(&text)?;
    let mut retrace = Retrace::default();
    for row in &manifest.files {
        let bytes = next(&row.path, row.bytes.min(BACKUP_FILE_BYTES_MAX))?;
        let sha256 = HEXLOWER.encode(&Sha256::digest(bytes.as_slice()));
        if bytes.len() as u64 != row.bytes || sha256 != row.sha256 {
            return Err(damaged(format!("{} is not what was written", row.path)));
        }
        if let Some(name) = row.segment() {
            retrace.segment(name, &bytes).map_err(|error| damaged(error.to_string()))?;
        }
        take(row, &bytes)?;
        progress(row.bytes);
    }
    if entries.next().is_some() {
        return Err(damaged("it holds more than its list says"));
    }
    // To the end: a sealed stream is whole only once its last chunk has opened.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| unreadable(&error))?;
    if manifest.is_of(&retrace.finish().extent) {
        Ok(manifest)
    } else {
        Err(damaged("its journal does not hold what its list says"))
    }
}

fn manifest_of(text: &[u8]) -> Result<Manifest, BackupError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let wrong = |_| damaged("its list cannot be read");
    let Format { format } = serde_json::from_slice(text).map_err(wrong)?;
    if format > FORMAT {
        return Err(BackupError::Newer { version: format });
    }
    let manifest: Manifest = serde_json::from_slice(text).map_err(wrong)?;
    if manifest.files.iter().all(FileRow::stays_inside) {
        Ok(manifest)
    } else {
        Err(damaged("a file in it belongs outside of a data folder"))
    }
}

fn unreadable(error: &io::Error) -> BackupError {
    damaged(format!("it cannot be unpacked ({error})"))
}
