//! What a person's program may ask of a machine, and what it answers: one JSON object each way.
//!
//! The command lines speak it to their daemon over the local API, and the demo and the tests with
//! them. Every list is paged; nothing here grows with the ledger.

mod bundles;
mod packs;
mod seed;
mod views;

use std::collections::BTreeMap;

use linli_domain::id::{CommunityId, EntryId, MachineId, PeerName, Space};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

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
    /// Entries whose searchable fields contain every word of the text.
    Find {
        /// The words.
        text: String,
        /// Entries at most.
        max: usize,
    },
    /// Figures.
    Figures(FigureQuery),
    /// The entries behind a figure.
    Behind {
        /// The figure; `metric` is needed.
        figure: FigureQuery,
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
    },
    /// To `Refused`.
    Refused {
        /// Newest last.
        refused: Vec<RefusedView>,
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
