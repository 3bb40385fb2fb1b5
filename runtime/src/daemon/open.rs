//! Opening a machine on its data folder: the store, then the site on it.
//!
//! What the store found is told to people, since a rebuilt view or a cut tail is worth knowing. It
//! refuses to open a damaged journal; repairing one is for a person to decide.

use std::path::Path;

use linli_store::disk::RealDisk;
use linli_store::journal::{OpenError, ReadError};
use linli_store::store::{RealStore, StoreError, StoreOptions};
use linli_store::views::SledViews;

use super::{look_for_room, now_millis, watch_files};
use crate::ask::Trouble;
use crate::backup::Layout;
use crate::site::{Entropy, OpenSiteError, Opening, Site};

/// A machine that is open, and what its store had to say.
#[derive(Debug)]
pub struct Opened {
    /// The machine.
    pub site: Site<RealDisk, SledViews>,
    /// One line each, for people.
    pub notes: Vec<String>,
}

impl Opened {
    /// Ends links to the later of two machines that go on with copies of one disk.
    pub fn end_second_lives(&mut self) {
        self.site.end_second_lives();
    }

    /// Takes nothing more while fewer bytes than `min_bytes` are free on the disk; 0 never looks.
    pub fn guard_room(&mut self, data: &Path, min_bytes: u64) {
        self.site.guard_room(look_for_room(data), min_bytes);
    }

    /// Has the small files of the data folder looked at, now and with every audit.
    pub fn watch(&mut self, data: &Path, layout: Layout, more: &[&'static str]) {
        let (wrong, watch) = watch_files(data, layout, more);
        for what in &wrong {
            tracing::error!(what, "put it back from a backup");
        }
        self.notes.extend(wrong);
        self.site.watch(watch);
    }
}

/// A machine that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenMachineError {
    /// Its store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be opened on its store.
    #[error(transparent)]
    Site(#[from] OpenSiteError),
}

impl OpenMachineError {
    /// The same in both languages, with what to do next; `program` is `linli-node` or
    /// `linli-hub`.
    pub fn trouble(&self, program: &str) -> Trouble {
        let (code, zh, en) = match self {
            Self::Store(StoreError::Journal(OpenError::InUse { path })) => {
                let path = path.display();
                (
                    "in-use",
                    format!("{path} 正由另一个程序使用，大概已经在运行。请直接使用，或先停止它。"),
                    format!(
                        "{path} is in use: the program runs already. Use that one, or stop it first."
                    ),
                )
            }
            Self::Store(StoreError::Journal(OpenError::Damaged(damage)))
            | Self::Site(OpenSiteError::Replay(
                ReadError::Damaged { damage, .. } | ReadError::Stretch(damage),
            )) => (
                "damaged",
                format!(
                    "日志有损坏（{damage}）。请先复制整个数据目录，再运行 {program} repair 救出完好的部分；缺的会从其他电脑补回。"
                ),
                format!(
                    "The journal is damaged ({damage}). Copy the data folder, then run `{program} repair`; other machines fill up what is lost."
                ),
            ),
            Self::Store(StoreError::Journal(OpenError::Newer { .. })) => (
                "newer",
                format!("数据由更新的版本写成，请使用新版的 {program}。"),
                format!("The data was written by a newer version; use that version of {program}."),
            ),
            other => (
                "open",
                format!("打不开数据目录：{other}。请检查权限和磁盘，再试一次。"),
                format!(
                    "The data cannot be opened: {other}. Check its rights and the disk, then try again."
                ),
            ),
        };
        Trouble { code: code.to_owned(), zh, en }
    }
}

/// Opens the machine whose store lies in `data`. Reads what the views lack, so it may take a while.
pub fn open(data: &Path, opening: Opening) -> Result<Opened, OpenMachineError> {
    let (store, found) = RealStore::open_real(data, StoreOptions::default())?;
    let mut notes = Vec::new();
    if let Some(cut) = &found.journal.cut {
        let kept = cut.kept_as.as_ref().map(|file| format!("; kept in {file}"));
        let kept = kept.unwrap_or_default();
        notes.push(format!("{} bytes of an unfinished commit were cut{kept}", cut.bytes));
    }
    for lost in &found.journal.lost {
        let (space, had, has) = (&lost.space, lost.had, lost.has);
        notes.push(format!("{space} ends at {has} and once ended at {had}; peers fill it up"));
    }
    if found.shelf.mended > 0 {
        let mended = found.shelf.mended;
        notes
            .push(format!("{mended} damaged keys of documents were mended from their second file"));
    }
    if !found.shelf.lost.is_empty() {
        let rows = &found.shelf.lost;
        notes.push(format!(
            "keys of documents are lost, rows {rows:?} of both files; restore a backup, or have other \
             machines hand them over again"
        ));
    }
    if let Some(short) = &found.journal.short {
        let (had, has) = (short.had, short.has);
        notes.push(format!(
            "the journal ends at commit {has} and once ended at {had}; peers fill it up"
        ));
    }
    if found.journal.reach_lost {
        notes.push("the note of how far the journal reaches was damaged; written anew".to_owned());
    }
    for note in &notes {
        tracing::warn!(note, "store");
    }
    // The store has said this one to the log itself.
    if let Some(rebuilt) = &found.rebuilt {
        notes.push(format!("views rebuilt: {rebuilt}"));
    }
    let site = Site::open(opening, store, now_millis())?;
    Ok(Opened { site, notes })
}

/// The system's randomness, for [`Opening::entropy`].
pub fn system_entropy() -> Entropy {
    Box::new(|bytes| getrandom::fill(bytes).expect("a system that runs gives random numbers"))
}
