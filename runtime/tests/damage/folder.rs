//! A copy of a data folder, and ways to spoil a file in it.
//!
//! Damage leaves a file's time as it was, as rot does. It refuses damage that changes no byte.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const SEGMENT: &str = "journal/segment";

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    Bit,
    Page,
    Cut,
    Gone,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bit => "bit",
            Self::Page => "zero page",
            Self::Cut => "cut",
            Self::Gone => "gone",
        })
    }
}

/// A copy that ends with its owner.
pub(crate) struct Folder {
    home: TempDir,
}

impl Folder {
    pub(crate) fn copy_of(data: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        copy(data, &home.path().join("data"));
        Self { home }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Damages one file; which one, as a sort of place, how, and in words.
    pub(crate) fn spoil(&self, chance: &mut ChaCha8Rng) -> (String, Damage, String) {
        let mut files = Vec::new();
        list(&self.data(), &mut files);
        files.sort();
        // As often in the journal, in the views, and in the small files.
        let sort = chance.random_range(0..3);
        let of = |path: &PathBuf| match self.place(path) {
            place if place.starts_with("journal") => 0,
            place if place.starts_with("views") => 1,
            _ => 2,
        };
        files.retain(|path| of(path) == sort);
        loop {
            let path = &files[chance.random_range(0..files.len())];
            let bytes = fs::read(path).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if used == 0 {
                continue;
            }
            let mut spoilt = bytes.clone();
            let (damage, at) = match chance.random_range(0..8) {
                0..=3 => {
                    // One in four anywhere, also where nothing was written.
                    let end = if chance.random_bool(0.25) { bytes.len() } else { used };
                    let at = chance.random_range(0..end);
                    spoilt[at] ^= 1 << chance.random_range(0..8);
                    (Damage::Bit, at)
                }
                4 | 5 => {
                    // One in two at the very end of what was written.
                    let pages = used.div_ceil(4096);
                    let last = chance.random_bool(0.5);
                    let page = if last { pages - 1 } else { chance.random_range(0..pages) };
                    let end = bytes.len().min(page * 4096 + 4096);
                    spoilt[page * 4096..end].fill(0);
                    (Damage::Page, page * 4096)
                }
                6 => {
                    spoilt.truncate(chance.random_range(0..used));
                    (Damage::Cut, spoilt.len())
                }
                _ => (Damage::Gone, 0),
            };
            let place = self.place(path);
            let what = format!("{} {damage} at {at} of {}", path.display(), bytes.len());
            if damage == Damage::Gone {
                fs::remove_file(path).unwrap();
            } else if spoilt == bytes {
                continue;
            } else {
                let time = fs::metadata(path).unwrap().modified().unwrap();
                fs::write(path, spoilt).unwrap();
                File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
            }
            return (place, damage, what);
        }
    }

    /// Ends the segment at the end of an early commit, where it looks as if nothing had ever
    /// followed: with zeros, as a file system may leave them, or as a shorter file.
    pub(crate) fn end_at(&self, commit_end: usize, zeros: bool) {
        let path = self.data().join("journal").join("00000001.seg");
        let mut bytes = fs::read(&path).unwrap();
        assert!(bytes[commit_end..].iter().any(|byte| *byte != 0));
        bytes[commit_end..].fill(0);
        if !zeros {
            bytes.truncate(commit_end);
        }
        fs::write(&path, bytes).unwrap();
    }

    /// A path below the folder, numbers left out.
    fn place(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.data()).unwrap().to_string_lossy().replace('\\', "/");
        below.split(|digit: char| digit.is_ascii_digit()).next().map_or_else(String::new, |start| {
            if start.ends_with("journal/") { SEGMENT.to_owned() } else { start.to_owned() }
        })
    }
}

/// Every file below a folder that is not a lock.
fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else if path.file_name().is_some_and(|name| name != "LOCK") {
            files.push(path);
        }
    }
}

/// Copies a folder with the times of its files.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            File::options().write(true).open(&target).unwrap().set_modified(time).unwrap();
        }
    }
}
