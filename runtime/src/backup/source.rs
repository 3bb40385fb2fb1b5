//! What goes into a backup: the journal up to a commit, the settings, and the secrets where they
//! will be sealed.
//!
//! A running daemon says how far its journal reaches; the bytes are read from its folder beside it,
//! so that it is not held up and never sees the passphrase. Where none runs, the journal is locked
//! and read as it lies. It refuses to guess a machine's name.

use std::path::{Path, PathBuf};

use linli_domain::id::{EpochId, PeerName, Role};
use linli_store::disk::RealDisk;
use linli_store::journal::{Extent, Journal, OpenError};
use linli_store::keys::KeyShelf;
use zeroize::Zeroizing;

use super::manifest::SHELF;
use super::{BackupError, damaged, file_error};
use crate::authority::{Identity, read_if_present};
use crate::books::EPOCH_NOTE;

/// Which files of a data folder belong to a machine, besides its journal. Paths are relative, with
/// `/` between the parts.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// A hub's, not a node's.
    pub hub: bool,
    /// The settings.
    pub settings: &'static str,
    /// Certificate and key of the machine.
    pub identity: &'static str,
    /// Keys and lists that only go into a sealed backup; the identity is among them.
    pub secrets: &'static [&'static str],
}

impl Layout {
    /// Whether a machine of this name has this layout.
    pub(super) fn fits(&self, name: &PeerName) -> bool {
        self.hub == (name.role() != Role::Node)
    }

    /// Whether a backup may hold this file.
    pub(super) fn knows(&self, path: &str) -> bool {
        path == self.settings || self.secrets.contains(&path) || SHELF.contains(&path)
    }
}

/// What a backup is made from.
#[derive(Debug)]
pub struct Source {
    pub(super) data: PathBuf,
    pub(super) layout: Layout,
    pub(super) name: PeerName,
    pub(super) epoch: String,
    pub(super) extent: Extent,
    /// Keeps a daemon from starting meanwhile, where none runs.
    _lock: Option<RealDisk>,
}

impl Source {
    /// The machine of a running daemon, which told its name, its epoch and how far it reaches.
    pub fn running(
        data: &Path,
        layout: Layout,
        name: PeerName,
        epoch: String,
        extent: Extent,
    ) -> Self {
        Self { data: data.to_owned(), layout, name, epoch, extent, _lock: None }
    }

    /// The machine in a data folder over which no daemon runs. Changes nothing there.
    pub fn at_rest(data: &Path, layout: Layout) -> Result<Self, BackupError> {
        let no_machine = || BackupError::NoMachine { data: data.to_owned() };
        let journal = data.join("journal");
        if !journal.is_dir() {
            return Err(no_machine());
        }
        let name = name_in(data, layout)?.ok_or_else(no_machine)?;
        let disk = RealDisk::open(&journal)
            .map_err(|error| BackupError::Journal(OpenError::from(error)))?;
        let survey = Journal::survey(&disk).map_err(BackupError::Journal)?;
        let epoch = survey.notes.get(EPOCH_NOTE).and_then(|bytes| EpochId::from_slice(bytes));
        let epoch = epoch.unwrap_or_default().to_string();
        let (data, extent) = (data.to_owned(), survey.extent);
        Ok(Self { data, layout, name, epoch, extent, _lock: Some(disk) })
    }

    /// Settings, the key shelf and, if they may go in, secrets: those that are there, with their
    /// content. The keys on the shelf are wrapped under a key that is among the secrets.
    pub(super) fn small_files(&self, secrets: bool) -> Result<Vec<SmallFile>, BackupError> {
        let wanted = [self.layout.settings].into_iter();
        let wanted = wanted.chain(self.layout.secrets.iter().copied().filter(|_| secrets));
        let mut files = Vec::new();
        for path in wanted {
            let place = place(&self.data, path);
            if let Some(bytes) = read_if_present(&place).map_err(file_error(&place))? {
                files.push((path, Zeroizing::new(bytes)));
            } else if path == self.layout.identity {
                return Err(damaged("the machine's certificate is missing"));
            }
        }
        files.extend(self.shelf()?);
        Ok(files)
    }

    /// The key shelf, read beside a daemon that may be writing it: it holds at least what the
    /// journal's extent needs, and less only where that was erased.
    fn shelf(&self) -> Result<Vec<SmallFile>, BackupError> {
        let mut copies = [None, None];
        for (path, copy) in SHELF.iter().zip(&mut copies) {
            let place = place(&self.data, path);
            *copy = read_if_present(&place).map_err(file_error(&place))?;
        }
        let Some(whole) = KeyShelf::whole(copies).map_err(BackupError::Journal)? else {
            return Ok(Vec::new());
        };
        Ok(SHELF.map(|path| (path, Zeroizing::new(whole.clone()))).into())
    }
}

/// A path below the data folder, and what lies there.
pub(super) type SmallFile = (&'static str, Zeroizing<Vec<u8>>);

/// Where a path of a manifest lies below a folder.
pub(crate) fn place(data: &Path, path: &str) -> PathBuf {
    path.split('/').fold(data.to_owned(), |place, part| place.join(part))
}

/// The name in the machine's certificate.
fn name_in(data: &Path, layout: Layout) -> Result<Option<PeerName>, BackupError> {
    let path = place(data, layout.identity);
    let wrong =
        |error| BackupError::File { path: path.clone(), source: std::io::Error::other(error) };
    Ok(Identity::load(&path).map_err(wrong)?.map(|identity| identity.peer().clone()))
}
