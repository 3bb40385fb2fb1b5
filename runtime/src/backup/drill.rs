//! The drill: a backup is restored into a folder that is removed again, opened as the machine would
//! open it, audited, recounted and compared with its manifest.
//!
//! Secrets are read and tried in memory; none is written to the folder. It refuses to link to
//! anybody.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use linli_domain::pack::Registry;
use linli_domain::seal::KeyRing;

use super::archive::read;
use super::manifest::Manifest;
use super::restore::unpack;
use super::{BackupError, Layout, Passphrase, Progress, damaged, file_error};
use crate::ask::{Answer, Ask};
use crate::authority::make_private_dir;
use crate::daemon::{self, CHINA_OFFSET_MINUTES};
use crate::site::{Opening, Standing};

/// The ring's place among a desk's secrets.
const RING: &str = "keys/ring";

/// What a drill has proven.
#[derive(Debug)]
pub struct DrillReport {
    /// What was in the backup.
    pub manifest: Manifest,
    /// Records of the journal that were read and checked.
    pub records: u64,
    /// Documents compared with what Automerge makes of the same changes.
    pub documents: u64,
    /// Entries counted again.
    pub entries: u64,
    /// Cells of figures compared.
    pub cells: u64,
    /// How long it took, from the file to the last comparison.
    pub took: Duration,
}

/// Proves that a machine can be restored from a backup, without touching any that runs. What
/// differs is [`BackupError::Disproved`].
pub fn drill(
    file: &Path,
    passphrase: Option<&Passphrase>,
    layout: Layout,
    progress: Progress<'_>,
) -> Result<DrillReport, BackupError> {
    let began = Instant::now();
    let mut ring = None;
    let manifest = read(file, passphrase, progress, &mut |row, bytes| {
        if row.path == RING {
            let read = KeyRing::from_bytes(bytes);
            ring = Some(read.map_err(|_| damaged("the community's key in it cannot be read"))?);
        }
        Ok(())
    })?;
    if !layout.fits(&manifest.name) {
        return Err(BackupError::OtherRole { name: manifest.name.to_string() });
    }
    let place = Scratch::new()?;
    unpack(file, passphrase, &place.0, progress, &|_| false)?;
    let opening = Opening {
        me: manifest.name.clone(),
        registry: Arc::new(Registry::builtin().open_metrics()),
        ring,
        members: Standing::default(),
        device: None,
        entropy: daemon::system_entropy(),
        utc_offset_minutes: CHINA_OFFSET_MINUTES,
        node_bytes_per_day: 0,
    };
    let mut opened = daemon::open(&place.0, opening)?;
    let mut wrong = std::mem::take(&mut opened.notes);
    // There are no views in a backup: that they are made is as it should be.
    wrong.retain(|note| !note.starts_with("views rebuilt"));
    let mut ask = |ask| opened.site.ask(ask);
    let meant = manifest.spaces.iter().map(|(space, row)| (space.clone(), row.digest.clone()));
    match ask(Ask::Digests {}) {
        Answer::Digests { digests } if digests == meant.collect() => {}
        _ => wrong.push("the spaces hold something else".to_owned()),
    }
    let (mut records, mut documents, mut entries, mut cells) = (0, 0, 0, 0);
    match ask(Ask::Audit {}) {
        Answer::Audit { records: read, documents: compared, damage } => {
            (records, documents) = (read, compared);
            wrong.extend(damage);
        }
        other => wrong.push(format!("an audit answered {other:?}")),
    }
    match ask(Ask::Recount {}) {
        Answer::Recount { entries: counted, cells: compared, differences } => {
            (entries, cells) = (counted, compared);
            wrong.extend(differences);
        }
        other => wrong.push(format!("a recount answered {other:?}")),
    }
    if records != manifest.changes() {
        wrong.push(format!("{records} records were read, {} were saved", manifest.changes()));
    }
    drop(opened);
    if wrong.is_empty() {
        Ok(DrillReport { manifest, records, documents, entries, cells, took: began.elapsed() })
    } else {
        Err(BackupError::Disproved(wrong))
    }
}

/// A folder of our own among the system's temporary ones, gone with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, BackupError> {
        let mut drawn = [0; 8];
        getrandom::fill(&mut drawn)?;
        let path = std::env::temp_dir().join(format!("linli-drill-{}", HEXLOWER.encode(&drawn)));
        make_private_dir(&path).map_err(file_error(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system empties the place in its own time where this fails.
        let _ = fs::remove_dir_all(&self.0);
    }
}
