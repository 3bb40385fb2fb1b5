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
use linli_domain::id::Space;
use linli_domain::pack::Registry;
use linli_domain::seal::{KeyRing, OpenError};
use linli_replica::frame::Item;
use linli_replica::holdings::Holdings as _;
use linli_replica::limits::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::archive::read;
use super::manifest::Manifest;
use super::restore::unpack;
use super::{BackupError, Layout, Passphrase, Progress, damaged, file_error};
use crate::ask::{Answer, Ask};
use crate::authority::make_private_dir;
use crate::books::Books;
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
    /// Envelopes that the key ring in it opens: all, where there is a ring.
    pub envelopes: u64,
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
        authority: None,
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
        Answer::Audit { records: read, documents: compared, damage, .. } => {
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
    let (mut opens, mut shut) = (0, 0);
    if opened.site.books().ring().is_some() {
        (opens, shut) = try_ring(opened.site.books());
    }
    if shut > 0 {
        wrong
            .push(format!("the key ring in it does not open {shut} of {} envelopes", opens + shut));
    }
    if records != manifest.changes() {
        wrong.push(format!("{records} records were read, {} were saved", manifest.changes()));
    }
    drop(opened);
    if wrong.is_empty() {
        let took = began.elapsed();
        Ok(DrillReport { manifest, records, documents, entries, cells, envelopes: opens, took })
    } else {
        Err(BackupError::Disproved(wrong))
    }
}

/// Tries the keys in it on every envelope: how many they open, and how many they do not. Those that
/// were erased, and those of an algorithm that this program does not know, are left out.
fn try_ring<D: Disk, V: Views>(books: &mut Books<D, V>) -> (u64, u64) {
    let (mut opens, mut shut) = (0, 0);
    let heads = books.heads().map(|(space, _)| space.clone());
    let sealed: Vec<Space> = heads.filter(Space::is_sealed).collect();
    for space in sealed {
        let mut seq = 0;
        loop {
            let slice = books.read(&space, seq, BATCH_ITEMS_MAX, BATCH_BYTES_MAX);
            let Some(last) = slice.last() else { break };
            seq = last.seq;
            for Item { entry, bytes, .. } in slice.into_iter().map(|placed| placed.item) {
                match books.opened(&space, &entry, &bytes) {
                    Ok(_) => opens += 1,
                    Err(OpenError::UnknownAlgorithm) => {}
                    Err(OpenError::NoDocumentKey) if books.is_erased(&space, &entry) => {}
                    Err(_) => shut += 1,
                }
            }
        }
    }
    (opens, shut)
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
