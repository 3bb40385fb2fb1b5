//! What a backup says about itself: the first file in it.
//!
//! Whoever reads a backup holds every other file against it. It refuses paths that lead out of a
//! data folder.

use std::collections::BTreeMap;

use linli_domain::digest::Digest;
use linli_domain::id::{PeerName, Space};
use linli_store::journal::Extent;
use serde::{Deserialize, Serialize};

/// Version of the files inside; a reader refuses a greater one. Since 2 the key shelf is among them.
pub(super) const FORMAT: u32 = 2;
/// Its name in the archive.
pub(super) const NAME: &str = "manifest.json";
/// Folder of the journal's segments.
pub(super) const JOURNAL: &str = "journal/";
/// The key shelf, beside the segments: both its files, as a machine expects them.
pub(super) const SHELF: [&str; 2] = ["journal/documents-1.keys", "journal/documents-2.keys"];

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the files inside.
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// Full name of the machine.
    pub name: PeerName,
    /// Life of its store, in hex; a restored machine begins another.
    pub epoch: String,
    /// When it was made, in seconds since 1970.
    pub made_at: u64,
    /// Keys and certificates are in it.
    pub secrets: bool,
    /// Commits of the journal.
    pub commits: u64,
    /// Every space that holds something.
    pub spaces: BTreeMap<Space, SpaceRow>,
    /// Every other file, in the order in which they follow.
    pub files: Vec<FileRow>,
}

/// A space in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceRow {
    /// Changes it holds.
    pub changes: u64,
    /// The digest as text.
    pub digest: String,
}

/// A file in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// Where it belongs below the data folder, with `/` between the parts.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

impl Manifest {
    /// Changes in all spaces.
    pub fn changes(&self) -> u64 {
        self.spaces.values().map(|space| space.changes).sum()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether a journal that reaches so far is the one meant.
    pub(super) fn is_of(&self, extent: &Extent) -> bool {
        self.commits == extent.commits && self.spaces == rows(extent)
    }
}

impl FileRow {
    /// Plain names below the data folder, no step upward, nothing absolute.
    pub(super) fn stays_inside(&self) -> bool {
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        self.path != NAME && self.path.split('/').all(plain)
    }

    /// Whether it is a file of the key shelf.
    pub(super) fn is_shelf(&self) -> bool {
        SHELF.contains(&self.path.as_str())
    }

    /// The name of the segment, if it is one.
    pub(super) fn segment(&self) -> Option<&str> {
        self.path.strip_prefix(JOURNAL).filter(|_| !self.is_shelf())
    }
}

/// The spaces of a journal as a manifest lists them.
pub(super) fn rows(extent: &Extent) -> BTreeMap<Space, SpaceRow> {
    let row = |digest: &Digest| SpaceRow { changes: digest.count, digest: digest.to_string() };
    extent.spaces.iter().map(|(space, head)| (space.clone(), row(&head.digest))).collect()
}
