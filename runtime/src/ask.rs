//! What a person's program may ask of a machine, and what it answers: one JSON object each way.
//!
//! The command lines speak it to their daemon over the local API, and the demo and the tests with
//! them. Every list is paged; nothing here grows with the ledger.

mod answer;
mod bundles;
mod packs;
mod seed;
mod views;

use std::collections::BTreeMap;

use linli_domain::id::{CommunityId, EntryId, MachineId, PeerName, Space};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use answer::{Answer, Trouble};
pub use bundles::{BundleOpened, BundleSaid, BundleSpace, BundleStretch, BundleTaken};
pub use packs::{PackFile, PackView};
pub use seed::Seed;
pub use views::{
    AuditView, ClosingOutcome, ClosingView, ConflictView, ConnectionsView, CorrectionView,
    DeviceView, EntryView, ErasureView, FoundView, KindView, LinkView, ListView, NodeView,
    RefusedChange, RefusedView, Snapshot, SpaceView, Status, StepView,
};

/// Most items in one page of an answer, and most records in one import request.
pub const PAGE_MAX: usize = 500;

/// A question or an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// How this machine stands.
    Status {},
    /// Adds an entry, or edits the one whose derived id the fields give.
    Add {
        /// The kind of its ledger.
        kind: String,
        /// Id within the kind; derived or drawn where absent.
        #[serde(default)]
        id: Option<String>,
        /// Field values; a list of texts for a set.
        fields: BTreeMap<String, Json>,
    },
    /// Changes fields of an entry; `null` removes a field.
    Edit {
        /// Whose entry; a node means its own.
        #[serde(default)]
        community: Option<CommunityId>,
        /// The entry.
        entry: EntryId,
        /// New values; a set is given whole.
        fields: BTreeMap<String, Json>,
    },
    /// Takes a workflow step on an entry.
    Step {
        /// Whose entry; a node means its own.
        #[serde(default)]
        community: Option<CommunityId>,
        /// The entry.
        entry: EntryId,
        /// The step.
        step: StepForm,
        /// Fields that change with it, such as `merged_into`.
        #[serde(default)]
        fields: BTreeMap<String, Json>,
    },
    /// Adds up to [`PAGE_MAX`] records; each is taken or refused by itself.
    Import {
        /// The records.
        records: Vec<RecordForm>,
        /// Check everything and write nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// One entry whole.
    Show {
        /// Whose entry; a node means its own.
        #[serde(default)]
        community: Option<CommunityId>,
        /// The entry.
        entry: EntryId,
        /// Why personal fields are to be shown; they are masked without.
        #[serde(default)]
        reason: Option<String>,
    },
    /// One entry as `Show` gives it without a reason, once it is not as it was seen; after half a
    /// minute as it is.
    Follow {
        /// Whose entry; a node means its own.
        #[serde(default)]
        community: Option<CommunityId>,
        /// The entry.
        entry: EntryId,
        /// The digest it was seen with; without one the answer comes at once.
        #[serde(default)]
        seen: Option<String>,
    },
    /// A page of a ledger, in id order.
    List {
        /// The kind.
        kind: String,
        /// Only entries in this state.
        #[serde(default)]
        state: Option<String>,
        /// Only entries of this community (a hub holds several).
        #[serde(default)]
        community: Option<CommunityId>,
        /// Continue after this entry.
        #[serde(default)]
        after: Option<EntryId>,
        /// Entries in the page, at most [`PAGE_MAX`].
        max: usize,
        /// Give whole records, as an export needs them, personal fields included.
        #[serde(default)]
        whole: bool,
    },
    /// The kinds this machine has definitions for.
    Kinds {},
    /// Entries whose searchable fields contain every word of the text, kind by kind, in id order.
    Find {
        /// The words.
        text: String,
        /// Continue after this entry.
        #[serde(default)]
        after: Option<EntryId>,
        /// Entries at most.
        max: usize,
    },
    /// Figures.
    Figures(FigureQuery),
    /// The entries behind a figure.
    Behind {
        /// The figure; `metric` is needed.
        figure: FigureQuery,
        /// Continue after this entry, in one community.
        #[serde(default)]
        after: Option<EntryId>,
        /// Entries at most.
        max: usize,
    },
    /// Fields and steps that were written apart and disagree.
    Conflicts {
        /// Entries at most.
        max: usize,
    },
    /// Changes that were refused, here or by a peer.
    Refused {
        /// Changes at most.
        max: usize,
    },
    /// A page of the refused changes with their bytes.
    RefusedBytes {
        /// Continue behind so many.
        after: usize,
    },
    /// Judges what was refused here once more.
    JudgeAgain {
        /// Only changes whose hash begins with this; all if not given.
        #[serde(default)]
        change: Option<String>,
    },
    /// Machines of the community and whether they can read sealed halves.
    Devices {},
    /// Gives a machine the community's key, after two persons compared its code.
    Approve {
        /// The machine's name, as `devices` lists it.
        machine: String,
        /// The code the new machine shows.
        code: String,
    },
    /// Destroys the keys of an entry's personal fields, on every machine of the community and at its
    /// hubs. Nobody can undo it.
    Erase {
        /// The entry, of this desk's community.
        entry: EntryId,
        /// Why; it stays, and the street can read it.
        reason: String,
        /// Say what it would mean, and destroy nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// What was erased.
    Erasures {
        /// Erasures at most.
        max: usize,
    },
    /// Takes a machine off the community's list; the others go on under a new key.
    RemoveDevice {
        /// The machine's name, as `devices` lists it.
        machine: String,
    },
    /// Recovery sheets are printed: the list and the ring are opened to them, those printed
    /// before are void.
    PrintRecovery {
        /// The public key the ring is wrapped to, base64.
        sealing: String,
        /// The public key signatures are checked with, base64.
        signing: String,
    },
    /// Lets this machine in by what two recovery sheets hold.
    Recover {
        /// The seed of the recovery key.
        seed: Seed,
    },
    /// Figures counted again from the journal's entries, compared with the kept ones.
    Recount {},
    /// Audits journal, views, halves and the small files beside them; a daemon answers once it is
    /// through, and works on meanwhile.
    Audit {},
    /// Digest of every space.
    Digests {},
    /// How far the journal reaches, for a backup of it.
    Snapshot {},
    /// Desk: what a bundle for `reader`, or for any desk of the community, has to say and to carry.
    BundleOpen {
        /// The desk it is for, by its machine name.
        #[serde(default)]
        reader: Option<MachineId>,
        /// Only what was stored here on this day, as `2026-05-01`, or later.
        #[serde(default)]
        since: Option<String>,
    },
    /// Desk: the next changes of a bundle.
    BundleRead {
        /// The desk it is for, as in `BundleOpen`.
        #[serde(default)]
        reader: Option<MachineId>,
        /// The space.
        space: Space,
        /// Continue behind this place of the journal.
        after: u64,
        /// The last place, from the answer to `BundleOpen`.
        until: u64,
    },
    /// Desk: takes a batch of a bundle, as if it had come over a link.
    BundleTake {
        /// Whose bundle it is, by its certificate.
        from: PeerName,
        /// The batch.
        frame: String,
    },
    /// Desk: a bundle was read to its end.
    BundleClose {
        /// Whose bundle it is, by its certificate.
        from: PeerName,
        /// Its hello.
        hello: String,
        /// The hello is to this desk, and not to any.
        to_me: bool,
        /// The batches that say where each space begins.
        begins: Vec<String>,
        /// Spaces of which every change was taken, known or refused for good.
        whole: Vec<Space>,
    },
    /// Asks the machine to end its links, for trying out work without a network (`false`), or to
    /// make them again (`true`).
    Online {
        /// Whether links may stand.
        online: bool,
    },
    /// Street hub: closes a period, or takes what came late into a closed one.
    Close {
        /// As in [`FigureQuery::period`]; it must have ended.
        period: String,
        /// Only this community; where absent all that have data.
        #[serde(default)]
        community: Option<CommunityId>,
        /// Why; everybody of the community and the street can read it.
        #[serde(default)]
        note: Option<String>,
    },
    /// Hub: makes an invitation.
    Invite {
        /// The community the new machine will belong to.
        community: CommunityId,
        /// Hours until it expires.
        hours: u32,
    },
    /// The packs in force, and published ones that are not.
    Packs {},
    /// Hub: checks packs and gives them to every machine of the street, all or none.
    Publish {
        /// The packs.
        files: Vec<PackFile>,
    },
    /// Hub: takes a published pack back.
    Withdraw {
        /// The pack's name.
        pack: String,
    },
    /// Hub: enrolled machines with link state.
    Nodes {},
    /// Hub: of two machines that go on under one name, the next one to call is the one to go on with.
    AcceptLife {
        /// Full name of the machine: `district/street/community/machine`.
        machine: String,
    },
    /// Hub: shuts a machine out.
    Revoke {
        /// Full name of the machine: `district/street/community/machine`.
        machine: String,
    },
}

/// A workflow step as a person gives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepForm {
    /// The action's code.
    pub action: String,
    /// Business date; the machine's local date where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Who; the machine's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An entry as it is imported and exported: one JSON object a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordForm {
    /// The kind.
    pub kind: String,
    /// Id within the kind; derived or drawn where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Field values; a list of texts for a set.
    #[serde(default)]
    pub fields: BTreeMap<String, Json>,
    /// Steps, oldest first.
    #[serde(default)]
    pub steps: Vec<StepForm>,
}

/// Which figures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FigureQuery {
    /// Only this metric.
    pub metric: Option<String>,
    /// One line for this community; where absent one line each.
    pub community: Option<CommunityId>,
    /// Only this grid and those below it.
    pub grid: Option<String>,
    /// `2026-03-06`, `2026-03`, `2026-Q1`, `2026`, `2026-01..2026-03` or `all`.
    pub period: Option<String>,
    /// Broken down by category.
    pub by_category: bool,
    /// Broken down by grid.
    pub by_grid: bool,
    /// One line over all communities.
    pub total: bool,
}
