//! Putting a machine back into an empty folder.
//!
//! The whole backup is verified before the first byte is written, and the folder gets its name only
//! when all of it is there. The store loses its epoch, so that the next start begins another life of
//! it and no peer takes old numbers for new ones; and it is marked as restored, so that nobody
//! writes on it before it has met those who know what came after the backup. It refuses a folder
//! that holds anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use linli_domain::id::{PeerName, Role, Space};
use linli_store::disk::{Disk as _, RealDisk};
use linli_store::journal::{Journal, JournalOptions, OpenError};

use super::archive::read;
use super::manifest::Manifest;
use super::source::{Layout, place};
use super::{BackupError, Passphrase, Progress, damaged, file_error};
use crate::authority::{make_private_dir, sync_dir, write_private};
use crate::books::{EPOCH_NOTE, RESTORED_NOTE};
use crate::policy;

/// A machine that was put back.
#[derive(Debug)]
pub struct Restored {
    /// What was in the backup.
    pub manifest: Manifest,
    /// It waits for its peers before it takes edits.
    pub waits: bool,
}

/// Restores a backup into `data`, which must be absent or empty. With `alone` the machine takes
/// edits at once: those who could know more are gone.
pub fn restore(
    file: &Path,
    passphrase: Option<&Passphrase>,
    data: &Path,
    layout: Layout,
    alone: bool,
    progress: Progress<'_>,
) -> Result<Restored, BackupError> {
    if fs::read_dir(data).is_ok_and(|mut held| held.next().is_some()) || data.is_file() {
        return Err(BackupError::Occupied { path: data.to_owned() });
    }
    let manifest = read(file, passphrase, progress, &mut |_, _| Ok(()))?;
    if !layout.fits(&manifest.name) {
        return Err(BackupError::OtherRole { name: manifest.name.to_string() });
    }
    if let Some(row) =
        manifest.files.iter().find(|row| row.segment().is_none() && !layout.knows(&row.path))
    {
        return Err(damaged(format!("{} is no file of this machine", row.path)));
    }
    let part = part_of(data)?;
    remove_if_there(&part)?;
    let outcome = unpack(file, passphrase, &part, progress, &|_| true)
        .and_then(|()| begin_anew(&part, &manifest, alone))
        .and_then(|()| put_in_place(&part, data));
    if outcome.is_err() {
        // The error above says more than this one would.
        let _ = fs::remove_dir_all(&part);
    }
    outcome.map(|()| Restored { waits: !alone && !marks(&manifest).is_empty(), manifest })
}

/// Writes the files of a backup that are wanted below a new folder.
pub(super) fn unpack(
    file: &Path,
    passphrase: Option<&Passphrase>,
    dir: &Path,
    progress: Progress<'_>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<(), BackupError> {
    make_private_dir(&dir.join("journal")).map_err(file_error(dir))?;
    let written = read(file, passphrase, progress, &mut |row, bytes| {
        let path = place(dir, &row.path);
        if row.segment().is_some() || row.is_shelf() || wanted(&row.path) {
            write_private(&path, bytes).map_err(file_error(&path))?;
        }
        Ok(())
    });
    written.map(|_| ())
}

/// Takes the epoch away and marks what has to be met again; durable when this returns.
fn begin_anew(dir: &Path, manifest: &Manifest, alone: bool) -> Result<(), BackupError> {
    let marks = if alone { Vec::new() } else { marks(manifest) };
    forget_epoch(&dir.join("journal"), &marks).map_err(BackupError::Journal)
}

/// Takes the epoch out of a journal, so that the next start draws another, and sets these marks.
pub(super) fn forget_epoch(journal: &Path, marks: &[Space]) -> Result<(), OpenError> {
    let disk = RealDisk::open(journal)?;
    if disk.list()?.is_empty() && marks.is_empty() {
        return Ok(());
    }
    let (mut journal, _) = Journal::open(disk, JournalOptions::default())?;
    let full = |error| OpenError::Io(io::Error::other(error));
    journal.remove_note(EPOCH_NOTE).map_err(full)?;
    for space in marks {
        journal.append_note(&format!("{RESTORED_NOTE}{space}"), b"").map_err(full)?;
    }
    journal.commit().map_err(|error| OpenError::Io(io::Error::other(error)))
}

/// The spaces in which a restored machine has to meet somebody again: all it shares with others.
fn marks(manifest: &Manifest) -> Vec<Space> {
    let PeerName { street, .. } = &manifest.name;
    match manifest.name.role() {
        Role::Node => policy::community_spaces(&manifest.name),
        Role::StreetHub => {
            let communities = manifest.spaces.keys().filter(|space| space.community().is_some());
            communities.cloned().chain(street.iter().cloned().map(Space::Board)).collect()
        }
        Role::DistrictHub => Vec::new(),
    }
}

/// Beside the folder, so that one rename puts all of it in place.
fn part_of(data: &Path) -> Result<PathBuf, BackupError> {
    let name = data.file_name().ok_or_else(|| BackupError::Occupied { path: data.to_owned() })?;
    let part = data.with_file_name(format!("{}.restoring", name.to_string_lossy()));
    if let Some(above) = data.parent() {
        fs::create_dir_all(above).map_err(file_error(above))?;
    }
    Ok(part)
}

fn put_in_place(part: &Path, data: &Path) -> Result<(), BackupError> {
    match fs::remove_dir(data) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file_error(data)(error));
        }
        _ => {}
    }
    sync_dir(part).map_err(file_error(part))?;
    fs::rename(part, data).map_err(file_error(data))?;
    sync_dir(data.parent().unwrap_or(Path::new("."))).map_err(file_error(data))
}

fn remove_if_there(dir: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(dir)(error)),
        _ => Ok(()),
    }
}
