//! What answers are made of: entries, kinds, machines and closings as they are shown.

use std::collections::BTreeMap;

use linli_domain::id::{CommunityId, EntryId, PeerName, Space};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Trouble;

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
    /// The member list, on a node.
    #[serde(default)]
    pub list: Option<ListView>,
    /// The last time a link was up, local time.
    pub last_success: Option<String>,
    /// The last attempt to make one.
    pub last_attempt: Option<String>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Desks found in the office's network and not configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<FoundView>,
    /// What the store said when it was opened.
    pub store: Vec<String>,
    /// It was restored from a backup and has not met all it shares with since.
    #[serde(default)]
    pub restored: bool,
    /// Erased entries whose text may still lie in this machine's files; it frees them by itself.
    #[serde(default)]
    pub unclean: u64,
    /// Another machine goes on under this one's name: the hub that said so. It takes nothing of this
    /// machine until it is enrolled anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_life: Option<String>,
    /// Hub: machines of which a second one has called under the same name, with the local time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubled: Vec<(String, String)>,
    /// Bytes left on the disk, while they are too few to take anything.
    #[serde(default)]
    pub free_bytes: Option<u64>,
    /// The last whole audit.
    #[serde(default)]
    pub audit: AuditView,
    /// Hub: who is connected to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionsView>,
    /// Hub: machines that go on breaking the rules and are slowed, by full name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slowed: Vec<String>,
}

/// A desk found in the office's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundView {
    /// Its `host:port`.
    pub address: String,
    /// Its full name, while a link that this machine dialled stands.
    pub peer: Option<String>,
    /// Why there is no such link, if one was tried.
    pub last_error: Option<String>,
}

/// How the last whole audit ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AuditView {
    /// One is under way.
    pub running: bool,
    /// When it ended, local time; absent before the first.
    pub ended: Option<String>,
    /// Records of the journal read.
    pub records: u64,
    /// Rows of the views read.
    pub rows: u64,
    /// Halves compared with their changes.
    pub documents: u64,
    /// What is wrong, each with its place.
    pub damage: Vec<String>,
}

/// The connections of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionsView {
    /// Of enrolled machines.
    pub machines: usize,
    /// The most there may be of these.
    pub machines_max: usize,
    /// Of those who have not shown a certificate.
    pub strangers: usize,
    /// Connections that had to give way or were not let in since the start.
    pub turned_away: u64,
}

/// How far a machine's journal reaches, durably: what a backup has to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The machine's full name.
    pub name: PeerName,
    /// Life of the store, in hex.
    pub epoch: String,
    /// Commits.
    pub commits: u64,
    /// Each space: number of its last record, its chain value, its digest in hex.
    pub spaces: BTreeMap<Space, (u64, u64, String)>,
    /// Segment files with the bytes that count.
    pub segments: Vec<(String, u64)>,
}

/// How the community's member list stands on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    /// There is one here.
    pub begun: bool,
    /// This machine is on it.
    pub listed: bool,
    /// This machine was on it and is no more.
    pub removed: bool,
    /// Entries that claim to belong to it and are not believed: forged, altered, or by a machine
    /// that was removed.
    pub doubted: u64,
    /// Statements that follow one which has not come: somebody holds it back, or it is on its way.
    pub waiting: u64,
    /// A ring was put here that fits neither this machine nor the list.
    pub ring_refused: bool,
    /// Keys of the community that this machine was not given yet.
    pub lacking: u64,
    /// Keys begun by a machine that is gone, which this one was not given.
    #[serde(default)]
    pub withheld: u64,
    /// The day the recovery sheets in force were printed, local.
    pub recovery_printed: Option<String>,
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
    /// Its personal fields were destroyed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub erased: bool,
    /// The digest of its changes, where one entry was asked for: equal means nothing has changed.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub digest: String,
}

/// An entry whose personal fields were destroyed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErasureView {
    /// The entry.
    pub entry: EntryId,
    /// Whose it was.
    pub community: CommunityId,
    /// When, local time.
    pub at: String,
    /// The desk that erased it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// No file of this machine holds its text or a key of it.
    pub clean: bool,
    /// The day until which backups made before may be kept; they hold it still.
    pub backups_until: String,
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
    /// When it was refused here, in milliseconds since 1970, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Its bytes are at hand: it can be judged again here, or exported.
    #[serde(default)]
    pub kept: bool,
}

/// A refused change with its bytes, as it is exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedChange {
    /// What is known of it.
    #[serde(flatten)]
    pub refused: RefusedView,
    /// The machine that made it, by its enrolled name, or by its id in hex where it has none here.
    pub author: Option<String>,
    /// The change, or the envelope of a sealed one, in base64; nothing where it is not kept.
    pub change: Option<String>,
}

/// A machine of the community.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its machine name.
    pub machine: String,
    /// It is on the community's list; where there is none yet, it has the community's key.
    pub approved: bool,
    /// The code to compare.
    pub code: String,
    /// The day it was let in, local, by the clock of who did.
    #[serde(default)]
    pub since: Option<String>,
    /// The machine that let it in, or `recovery-sheets`.
    #[serde(default)]
    pub by: Option<String>,
    /// The day it was removed, local.
    #[serde(default)]
    pub removed: Option<String>,
    /// The machine that removed it.
    #[serde(default)]
    pub removed_by: Option<String>,
    /// The list has this name with other keys.
    #[serde(default)]
    pub differs: bool,
    /// The street office has revoked its certificate.
    #[serde(default)]
    pub revoked: bool,
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
    /// Changes of its that were refused since this hub started.
    #[serde(default)]
    pub refused: u64,
    /// Links that ended because it broke the rules since then.
    #[serde(default)]
    pub breaches: u64,
    /// It goes on breaking the rules, and is slowed.
    #[serde(default)]
    pub slowed: bool,
}

/// What became of a period of one community.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClosingView {
    /// The community.
    pub community: CommunityId,
    /// The entry that keeps what was reported.
    pub entry: EntryId,
    /// What was done.
    pub outcome: ClosingOutcome,
    /// Metrics in it.
    pub metrics: usize,
    /// How far the community had been heard.
    pub as_of: String,
    /// It was last heard before the period had ended: what it wrote since will be marked.
    pub behind: bool,
    /// What differs from what was reported before.
    pub corrections: Vec<CorrectionView>,
}

/// What a closing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosingOutcome {
    /// The period is closed now.
    Closed,
    /// It was closed, and is now reported with its late entries.
    Corrected,
    /// It was closed, and nothing differs.
    Unchanged,
}

/// A figure that is reported anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CorrectionView {
    /// The metric's id.
    pub metric: String,
    /// Its name in 中文.
    pub zh: String,
    /// Its name in English.
    pub en: String,
    /// What is counted; empty for a ratio.
    pub unit: String,
    /// What was reported, as `11` or `10/11`; empty for a metric that was not.
    pub old: String,
    /// What is reported now.
    pub new: String,
}
