//! What a machine answers.
//!
//! It refuses to name what it was asked: each answer says by itself what it is.

use std::collections::BTreeMap;

use linli_domain::id::{EntryId, Space};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    BundleOpened, BundleSpace, BundleTaken, ClosingView, ConflictView, DeviceView, EntryView,
    ErasureView, KindView, NodeView, PackView, RefusedChange, RefusedView, Snapshot, Status,
};

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To `Status`.
    Status(Box<Status>),
    /// An edit is durable here.
    Written {
        /// The entry.
        entry: EntryId,
        /// Changes written: none where nothing differed.
        changes: usize,
        /// The entry's state after it.
        state: String,
    },
    /// To `Import`.
    Imported {
        /// Entries that are new.
        added: usize,
        /// Entries that were there and changed.
        changed: usize,
        /// Entries that were there and say the same.
        unchanged: usize,
        /// Records refused, by their place in the request, with the reason.
        refused: Vec<(usize, Trouble)>,
    },
    /// To `Show` and `Follow`.
    Entry(Box<EntryView>),
    /// To `List` and `Find`.
    Entries {
        /// The page.
        entries: Vec<EntryView>,
        /// Give this as `after` for the next page.
        next: Option<EntryId>,
        /// There is more than this. Without `next` it takes a question about one community.
        #[serde(default)]
        more: bool,
    },
    /// To `Kinds`.
    Kinds {
        /// Every kind.
        kinds: Vec<KindView>,
    },
    /// To `Figures`: each has at least community, metric, period, numerator, denominator, unit,
    /// qualifier, as_of, communities_included and communities_expected. Of a closed period it has
    /// `closed` too, with day, as_of, numerator, denominator, qualifier and text as reported, and
    /// `late` where the number is another by now.
    Figures {
        /// The lines.
        figures: Vec<Json>,
    },
    /// To `Conflicts`.
    Conflicts {
        /// One for each field or step in conflict.
        conflicts: Vec<ConflictView>,
        /// There are more than these.
        #[serde(default)]
        more: bool,
    },
    /// To `Refused`.
    Refused {
        /// Those refused here first; each part by its hash.
        refused: Vec<RefusedView>,
        /// There are more than these.
        #[serde(default)]
        more: bool,
    },
    /// To `RefusedBytes`.
    RefusedBytes {
        /// The page.
        refused: Vec<RefusedChange>,
        /// Give this as `after` for the next one.
        next: Option<usize>,
    },
    /// To `JudgeAgain`: what was taken is durable.
    JudgedAgain {
        /// Changes taken.
        taken: usize,
        /// Changes that had come by another way since.
        known: usize,
        /// Those that are refused still, with the reason that stands now.
        still: Vec<RefusedView>,
        /// Changes whose bytes are not kept any more.
        without_bytes: usize,
    },
    /// To `Devices`.
    Devices {
        /// This community's machines.
        devices: Vec<DeviceView>,
    },
    /// To `RemoveDevice`.
    Removed {
        /// The machine.
        machine: String,
        /// The key epoch that began.
        epoch: u32,
        /// Machines still on the list.
        left: u64,
    },
    /// To `PrintRecovery`.
    RecoveryPrinted {
        /// The day, local.
        day: String,
    },
    /// To `Approve`: compare this with what the approved machine shows. To `Recover`: the code
    /// that every machine of the community showed.
    Approved {
        /// The code of the ring handed over.
        ring_code: String,
    },
    /// To `Erase`.
    Erased {
        /// The entry.
        entry: EntryId,
        /// Sealed changes that nobody can open any more.
        envelopes: usize,
        /// Those of them that were sealed by a release before each document had its own key: with a
        /// copy of the journal and the community's key they can be opened still.
        shared: usize,
        /// Entries with personal fields of their own that name it or are named by it.
        linked: Vec<EntryId>,
        /// It was erased before.
        already: bool,
        /// Nothing was destroyed yet.
        dry_run: bool,
    },
    /// To `Erasures`.
    Erasures {
        /// Those that this machine has heard of.
        erasures: Vec<ErasureView>,
        /// There are more than these.
        #[serde(default)]
        more: bool,
    },
    /// To `Recount`.
    Recount {
        /// Entries counted.
        entries: u64,
        /// Cells compared.
        cells: u64,
        /// Cells that differ; none unless something is broken.
        differences: Vec<String>,
    },
    /// To `Audit`.
    Audit {
        /// Records read.
        records: u64,
        /// Rows of the views read.
        #[serde(default)]
        rows: u64,
        /// Halves compared with their changes.
        documents: u64,
        /// What is wrong.
        damage: Vec<String>,
    },
    /// To `Digests`.
    Digests {
        /// Every space that holds something, with its digest as text.
        digests: BTreeMap<Space, String>,
    },
    /// To `Snapshot`.
    Snapshot(Box<Snapshot>),
    /// To `BundleOpen`.
    BundleOpened(BundleOpened),
    /// To `BundleRead`.
    BundlePage {
        /// A batch; nothing at the end.
        frame: Option<String>,
        /// Give this as `after` for the next one.
        after: u64,
        /// Changes in it.
        changes: usize,
    },
    /// To `BundleTake`: what was taken is durable.
    BundleTaken(BundleTaken),
    /// To `BundleClose`.
    BundleClosed {
        /// How each space stands.
        spaces: Vec<BundleSpace>,
    },
    /// To `Close`.
    Closed {
        /// The period as written.
        period: String,
        /// One for each community that has data.
        closings: Vec<ClosingView>,
    },
    /// To `Invite`.
    Invitation {
        /// What the new machine's office types.
        token: String,
        /// Until when, local time.
        expires: String,
    },
    /// To `Packs`, `Publish` and `Withdraw`.
    Packs {
        /// The packs.
        packs: Vec<PackView>,
    },
    /// To `Nodes`.
    Nodes {
        /// Every enrolled machine.
        nodes: Vec<NodeView>,
    },
    /// Done.
    Done {},
    /// Not done.
    Trouble(Trouble),
}

/// Why something was not done, and what to do next; both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// A stable code.
    pub code: String,
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}
