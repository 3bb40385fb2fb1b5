//! What a person's program may ask of a machine, and what it answers: one JSON object each way.
//!
//! The command lines speak it to their daemon over the local API, and the demo and the tests with
//! them. Every list is paged; nothing here grows with the ledger.

use std::collections::BTreeMap;

use linli_domain::id::{CommunityId, EntryId, Space};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

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
    /// Machines of the community and whether they can read sealed halves.
    Devices {},
    /// Gives a machine the community's key, after two persons compared its code.
    Approve {
        /// The machine's name, as `devices` lists it.
        machine: String,
        /// The code the new machine shows.
        code: String,
    },
    /// Figures counted again from the journal's entries, compared with the kept ones.
    Recount {},
    /// Runs the store's audit over the whole journal.
    Audit {},
    /// Digest of every space.
    Digests {},
    /// Asks the machine to end its links, for trying out work without a network (`false`), or to
    /// make them again (`true`).
    Online {
        /// Whether links may stand.
        online: bool,
    },
    /// Hub: makes an invitation.
    Invite {
        /// The community the new machine will belong to.
        community: CommunityId,
        /// Hours until it expires.
        hours: u32,
    },
    /// Hub: enrolled machines with link state.
    Nodes {},
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
    /// To `Show`.
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
    /// qualifier, as_of, communities_included and communities_expected.
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
    /// To `Devices`.
    Devices {
        /// This community's machines.
        devices: Vec<DeviceView>,
    },
    /// To `Approve`: compare this with what the approved machine shows.
    Approved {
        /// The code of the ring handed over.
        ring_code: String,
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
        /// Documents compared with Automerge.
        documents: u64,
        /// What is wrong.
        damage: Vec<String>,
    },
    /// To `Digests`.
    Digests {
        /// Every space that holds something, with its digest as text.
        digests: BTreeMap<Space, String>,
    },
    /// To `Invite`.
    Invitation {
        /// What the new machine's office types.
        token: String,
        /// Until when, local time.
        expires: String,
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

/// How a machine stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Its full name.
    pub name: String,
    /// `node`, `street-hub` or `district-hub`.
    pub role: String,
    /// The program's version.
    pub version: String,
    /// Life of the store, in hex.
    pub epoch: String,
    /// Each space: changes, digest.
    pub spaces: Vec<SpaceView>,
    /// Each link and space.
    pub links: Vec<LinkView>,
    /// Changes no peer has acknowledged.
    pub unsent: u64,
    /// Open conflicts are listed by `conflicts`; refused changes by `refused`.
    pub refused: u64,
    /// This machine can read sealed halves.
    pub unlocked: bool,
    /// Code to compare when this machine waits to be approved.
    pub code: Option<String>,
    /// Code of the community's ring, to compare after an approval.
    pub ring_code: Option<String>,
    /// The last time a link was up, local time.
    pub last_success: Option<String>,
    /// The last attempt to make one.
    pub last_attempt: Option<String>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What the store said when it was opened.
    pub store: Vec<String>,
}

/// A space in a status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpaceView {
    /// The space.
    pub space: Space,
    /// Changes held.
    pub changes: u64,
    /// The digest as text.
    pub digest: String,
}

/// A link in a status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkView {
    /// The peer's full name.
    pub peer: String,
    /// The space.
    pub space: Space,
    /// Both hold the same.
    pub agreed: bool,
    /// Changes the peer has not acknowledged.
    pub unsent: u64,
    /// The peer takes no more from this machine for now; it goes on by itself.
    #[serde(default)]
    pub resting: bool,
}

/// An entry as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryView {
    /// The entry.
    pub entry: EntryId,
    /// Whose it is.
    pub community: Option<CommunityId>,
    /// Its state; empty for kinds without workflow.
    pub state: String,
    /// Fields and sets; personal ones masked as `•••` unless a reason was given.
    pub fields: BTreeMap<String, Json>,
    /// Steps in order.
    pub steps: Vec<StepView>,
    /// Steps that may come next.
    pub next: Vec<String>,
    /// What could not be read.
    pub oddities: Vec<String>,
}

/// A step as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepView {
    /// Its id.
    pub id: String,
    /// The action's code.
    pub action: String,
    /// Business date.
    pub at: String,
    /// Who.
    pub by: String,
    /// The remark, where this machine can read it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// It was not legal where it landed and waits to be settled.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub conflict: bool,
}

/// A kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KindView {
    /// Its name.
    pub kind: String,
    /// Its ledger's code, such as `L06`.
    pub ledger: String,
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
    /// The pack it comes from.
    pub pack: String,
    /// Field names with their classes.
    pub fields: Vec<(String, String)>,
    /// Actions of its workflow.
    pub actions: Vec<String>,
}

/// A conflict.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConflictView {
    /// The entry.
    pub entry: EntryId,
    /// The field, or `#<step id>`.
    pub field: String,
    /// What the entry shows.
    pub chosen: String,
    /// The other sides: who wrote it, and what.
    pub others: Vec<(String, String)>,
}

/// A refused change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedView {
    /// Space of the change.
    pub space: Space,
    /// Its entry, where known.
    pub entry: Option<EntryId>,
    /// Its hash, in hex.
    pub hash: String,
    /// `here` for a peer's change refused here, else the name of the peer that refused ours.
    pub by: String,
    /// Whose change it is, where known.
    pub from: String,
    /// Reason code.
    pub reason: String,
    /// The reason in words.
    pub words: Trouble,
}

/// A machine of the community.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its machine name.
    pub machine: String,
    /// It has the community's key.
    pub approved: bool,
    /// The code to compare.
    pub code: String,
}

/// An enrolled machine, as the hub knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeView {
    /// Its full name.
    pub name: String,
    /// When it was enrolled, local time.
    pub since: String,
    /// It is shut out.
    pub revoked: bool,
    /// It has a link now.
    pub connected: bool,
    /// When it was last heard, local time.
    pub last_heard: Option<String>,
    /// It holds what the hub holds.
    pub agreed: bool,
    /// Bytes of changes it has handed over today.
    #[serde(default)]
    pub bytes_today: u64,
    /// It reached its daily limit: the rest waits until tomorrow.
    #[serde(default)]
    pub put_off: bool,
}
