//! The directory of the views and those beside it: broken ones kept aside, new ones being made.
//!
//! It refuses to open a database.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::sync_directory;
use crate::limits::BROKEN_KEPT_MAX;

const MARK: &str = "doubtful";
const BROKEN: &str = ".broken-";

/// Makes the directory fit to open: half-made neighbours go, and the empty files that a power cut
/// leaves of sled's snapshots, which would stop it.
pub(super) fn tidy(dir: &Path) -> io::Result<()> {
    remove(&fresh_dir(dir))?;
    remove(&old_dir(dir))?;
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Notes that the directory is not to be trusted, also by a later process. Failing to is ignored:
/// this process already refuses it.
pub(super) fn mark(dir: &Path) {
    let _ = File::create(dir.join(MARK)).and_then(|file| file.sync_all());
}

pub(super) fn is_marked(dir: &Path) -> bool {
    dir.join(MARK).exists()
}

/// Bytes of all files in the directory.
pub(super) fn size(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    files.map(|file| file.len()).sum()
}

/// Renames the directory to `.broken-<n>` and removes the oldest such directories.
pub(super) fn move_aside(dir: &Path) -> io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let mut kept = broken_beside(dir)?;
    let next = kept.last().map_or(1, |last| last + 1);
    fs::rename(dir, with_ending(dir, &format!("{BROKEN}{next}")))?;
    kept.push(next);
    while kept.len() > BROKEN_KEPT_MAX {
        remove(&with_ending(dir, &format!("{BROKEN}{}", kept.remove(0))))?;
    }
    Ok(())
}

/// Puts the new directory in the place of the old. Stopped halfway, the views are absent, and are
/// derived again.
pub(super) fn swap_in(dir: &Path, fresh: &Path) -> io::Result<()> {
    let old = old_dir(dir);
    fs::rename(dir, &old)?;
    fs::rename(fresh, dir)?;
    remove(&old)
}

/// Where new views are made before they take their place.
pub(super) fn fresh_dir(dir: &Path) -> PathBuf {
    with_ending(dir, ".fresh")
}

fn old_dir(dir: &Path) -> PathBuf {
    with_ending(dir, ".old")
}

/// Removes the directories kept aside after damage, and makes all that was removed beside the views
/// durable.
pub(super) fn forget_broken(dir: &Path) -> io::Result<()> {
    for number in broken_beside(dir)? {
        remove(&with_ending(dir, &format!("{BROKEN}{number}")))?;
    }
    dir.parent().map_or(Ok(()), sync_directory)
}

/// Removes a directory if it is there.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn broken_beside(dir: &Path) -> io::Result<Vec<u64>> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(Vec::new());
    };
    let start = format!("{}{BROKEN}", name.to_string_lossy());
    let mut numbers = Vec::new();
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        numbers.extend(name.strip_prefix(&start).and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn with_ending(dir: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = dir.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
