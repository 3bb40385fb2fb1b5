//! Backups: one file that holds what a machine needs to be put back, and is believed only after it
//! was read back.
//!
//! A backup is a tar inside zstd, between a head that says its version and a tail with the SHA-256
//! of all before it; with a passphrase the inside is sealed as a whole, and only then do secrets go
//! in. It refuses to write over a file, to leave a file that was not verified, and to copy a
//! journal in which anything is wrong.

mod archive;
mod container;
mod drill;
mod manifest;
mod repair;
mod restore;
pub(crate) mod sealing;
mod source;
mod trouble;

use std::io;
use std::path::PathBuf;

use linli_store::journal::OpenError;

pub use archive::{Written, write};
pub use container::is_sealed;
pub use drill::{DrillReport, drill};
pub use manifest::{FileRow, Manifest, SpaceRow};
pub use repair::{RepairError, Repaired, repair};
pub use restore::{Restored, restore};
pub use sealing::Passphrase;
pub(crate) use source::place;
pub use source::{Layout, Source};

use crate::daemon::OpenMachineError;

/// Told of bytes done, for a sign of life.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Why a backup was not made, read or put back, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder cannot be read or written.
    #[error("cannot read or write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing that could be backed up.
    #[error("{data} holds no machine")]
    NoMachine {
        /// The data folder.
        data: PathBuf,
    },
    /// The machine's own journal is not sound.
    #[error("the journal cannot be copied: {0}")]
    Journal(#[source] OpenError),
    /// The file to be written, or the folder to be filled, is there already.
    #[error("{path} is there already")]
    Occupied {
        /// The file or folder.
        path: PathBuf,
    },
    /// Not a backup.
    #[error("this is not a backup")]
    Foreign,
    /// Written by a newer program.
    #[error("the backup has format {version}")]
    Newer {
        /// Of the backup.
        version: u32,
    },
    /// The bytes are not those that were written, or some are missing.
    #[error("the backup is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// It is sealed, and no passphrase was given.
    #[error("the backup is sealed with a passphrase")]
    Sealed,
    /// The passphrase does not open it.
    #[error("the passphrase does not open this backup")]
    WrongPassphrase,
    /// It is of the other sort of machine.
    #[error("the backup is of {name}")]
    OtherRole {
        /// The machine in it.
        name: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// A machine restored from it cannot be opened.
    #[error("what was restored cannot be opened: {0}")]
    Opened(#[from] OpenMachineError),
    /// A machine restored from it does not hold what the backup states.
    #[error("what was restored is not what was backed up: {}", .0.join("; "))]
    Disproved(Vec<String>),
}

fn file_error(path: &std::path::Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

fn damaged(what: impl Into<String>) -> BackupError {
    BackupError::Damaged { what: what.into() }
}

#[cfg(test)]
mod tests;
