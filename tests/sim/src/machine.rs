//! One machine of the world: a real site over a disk and views in memory, and what the office
//! around it keeps: its keys, its clock, its backups.
//!
//! It refuses to look into the site but through what a daemon or an audit may ask.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use linli_domain::id::{ChangeHash, CommunityId, EntryId, PeerName, Role, Space};
use linli_domain::pack::{PackHash, Registry};
use linli_domain::seal::{DeviceKey, KeyRing, MemberKeys, Members};
use linli_replica::frame::Frame;
use linli_runtime::ask::Ask;
use linli_runtime::half::Half;
use linli_runtime::site::{Entropy, OpenSiteError, Opening, Site, Standing};
use linli_store::journal::{JournalOptions, OpenError, ReadError};
use linli_store::store::{Store, StoreError, StoreOptions};
use linli_store::views::Begun;
use linli_store::{MemoryDisk, MemoryViews, ViewBatch};

use crate::chance::{Chance, Well};
use crate::medium::{SimDisk, SimViews};
use crate::plan::MachinePlan;
use crate::planted::Planted;
use crate::truth::MachineNo;
use crate::world::Open;

/// True time when every world begins: 2026-01-01.
const BEGINS_MS: i64 = 1_767_225_600_000;

/// The longest a turn waits for a healthy disk.
pub(crate) const DISK_MS: u64 = 4;

pub(crate) type SimSite = Site<SimDisk, SimViews>;

/// One machine.
pub(crate) struct Machine {
    pub(crate) name: PeerName,
    pub(crate) hostile: bool,
    /// The hub knows it.
    pub(crate) enrolled: bool,
    pub(crate) site: Option<SimSite>,
    pub(crate) disk: MemoryDisk,
    pub(crate) views: MemoryViews,
    pub(crate) ring: Option<KeyRing>,
    /// It begins its community's member list.
    pub(crate) founds: bool,
    /// The file of the member list it follows.
    pub(crate) list: Option<Vec<u8>>,
    device: Option<DeviceKey>,
    pub(crate) well: Well,
    /// The well as it was when this life began.
    well_at_start: Well,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock_off_ms: i64,
    /// The latest its wall clock has ever shown.
    pub(crate) wall_ms_max: u64,
    /// What a hub takes from one desk in a day; 0 for all.
    pub(crate) node_bytes_per_day: u64,
    pub(crate) inbox: VecDeque<Input>,
    /// A turn stands in the queue.
    pub(crate) turn_planned: bool,
    pub(crate) doom: Option<Doom>,
    /// The next sync of its journal is durable, and is said to have failed.
    pub(crate) unsure: Arc<AtomicBool>,
    /// What a person tries once more, not knowing whether it was saved.
    pub(crate) again: Option<Ask>,
    /// Steps that screens show in this turn, by entry.
    pub(crate) showing: Vec<Shown>,
    /// Steps that its people have seen.
    pub(crate) shown: BTreeMap<(CommunityId, EntryId), BTreeSet<String>>,
    /// What its person has open on the screen.
    pub(crate) open: Option<Open>,
    /// Something in its journal is not what was written.
    pub(crate) rotten: bool,
    /// Something of it was damaged, or set back, once.
    pub(crate) damaged: bool,
    /// The last start cut something off the journal's end.
    pub(crate) tail_cut: bool,
    /// Its views fail since they were last opened.
    pub(crate) views_broken: bool,
    /// The longest a turn waits for its disk.
    pub(crate) disk_ms: u64,
    pub(crate) backups: Vec<Backup>,
    /// Counted up at each start: what was on its way to an earlier life is lost.
    pub(crate) life: u64,
    /// How far its journal was read by the checkers.
    pub(crate) seen: BTreeMap<Space, u64>,
    /// Every change in its journal, as far as it was read.
    pub(crate) held: BTreeSet<ChangeHash>,
    /// Bytes of the changes in its journal, as far as it was read.
    pub(crate) live_bytes: u64,
    /// The most that it ever kept of changes it refused: what is given up stays in the journal.
    pub(crate) refused_bytes: u64,
    /// Entries in its journal, as far as it was read.
    pub(crate) entries: BTreeSet<(CommunityId, EntryId)>,
    /// The machine whose disk it began on.
    pub(crate) copy_of: Option<MachineNo>,
    /// Peers may know another journal under its name: it was set back, or its disk was copied.
    pub(crate) other_life: bool,
    /// A hub that was lost for good, and made anew.
    pub(crate) rebuilt: bool,
    /// The hash of the definitions published last, for a planted bug.
    pub(crate) published: Arc<Mutex<Option<PackHash>>>,
}

/// The steps of an entry as a screen shows them.
pub(crate) type Shown = ((CommunityId, EntryId), BTreeSet<String>);

/// Why a program does not start.
#[derive(Debug)]
pub(crate) enum NoStart {
    /// The disk failed, as it was planned to.
    Disk,
    /// The journal is not what was written.
    Damaged(String),
    /// It should have started.
    Broken(String),
}

/// One thing that waits for a machine's turn.
#[derive(Debug)]
pub(crate) enum Input {
    /// A link stands.
    Up { wire: u64, peer: PeerName },
    /// A frame came.
    Frame { wire: u64, frame: Frame },
    /// A link is gone.
    Down { wire: u64 },
    /// A person sits down at it.
    Person,
    /// A second has passed.
    Tick,
    /// The register of enrolled machines changed.
    Enrolled,
    /// Somebody wants a file, for one desk or for all.
    MakeStick { reader: Option<PeerName> },
    /// Somebody brings a file, of which so many batches can be read.
    TakeStick { stick: usize, cut: usize },
    /// Somebody takes a lost desk off the member list.
    Remove { name: PeerName },
    /// A person does something of the world's choice.
    Act { ask: Ask, counted: &'static str },
    /// A person tries once more what may have been saved.
    Again,
    /// The office publishes a version of a pack.
    Publish { version: u64 },
}

/// How the next turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doom {
    /// Power fails before the commit.
    BeforeCommit,
    /// Power fails after the commit, before anything leaves.
    AfterCommit,
    /// The commit is durable and said to have failed: nobody knows what became of it.
    Unsure,
}

/// A copy of a machine's store, as an office makes one on a stick.
pub(crate) struct Backup {
    pub(crate) disk: MemoryDisk,
    pub(crate) views: MemoryViews,
    pub(crate) well: Well,
}

impl Machine {
    pub(crate) fn new(
        plan: &MachinePlan,
        ring: Option<KeyRing>,
        mut chance: Chance,
        registry: Arc<Registry>,
    ) -> Self {
        let is_desk = plan.name.role() == Role::Node;
        let device = is_desk.then(|| DeviceKey::derive(&chance.bytes()));
        let well = Well::new(chance);
        Self {
            name: plan.name.clone(),
            hostile: plan.hostile,
            enrolled: !plan.late,
            site: None,
            disk: MemoryDisk::new(),
            views: MemoryViews::new(),
            ring,
            founds: plan.founds,
            list: None,
            device,
            well_at_start: well.copy(),
            well,
            registry,
            clock_off_ms: plan.clock_off_ms,
            wall_ms_max: 0,
            node_bytes_per_day: plan.node_bytes_per_day,
            inbox: VecDeque::new(),
            turn_planned: false,
            doom: None,
            unsure: Arc::default(),
            again: None,
            showing: Vec::new(),
            shown: BTreeMap::new(),
            open: None,
            rotten: false,
            damaged: false,
            tail_cut: false,
            views_broken: false,
            disk_ms: DISK_MS,
            backups: Vec::new(),
            life: 0,
            seen: BTreeMap::new(),
            held: BTreeSet::new(),
            live_bytes: 0,
            refused_bytes: 0,
            entries: BTreeSet::new(),
            copy_of: None,
            other_life: false,
            rebuilt: false,
            published: Arc::default(),
        }
    }

    /// Another machine with a copy of its disk and views, and a well of its own.
    pub(crate) fn copy(&self, well: Well) -> Self {
        let (disk, views) = (self.disk.copy(), self.views.copy());
        disk.heal();
        Self {
            name: self.name.clone(),
            site: None,
            disk,
            views,
            ring: self.ring.clone(),
            list: self.list.clone(),
            device: self.device.clone(),
            well_at_start: well.copy(),
            well,
            registry: self.registry.clone(),
            inbox: VecDeque::new(),
            turn_planned: false,
            doom: None,
            unsure: Arc::default(),
            again: None,
            showing: Vec::new(),
            shown: BTreeMap::new(),
            open: None,
            backups: Vec::new(),
            life: 0,
            seen: BTreeMap::new(),
            held: BTreeSet::new(),
            entries: BTreeSet::new(),
            published: self.published.clone(),
            ..*self
        }
    }

    /// Its wall clock at a moment of the world.
    pub(crate) fn wall_ms(&self, now_ms: u64) -> u64 {
        (BEGINS_MS + now_ms as i64 + self.clock_off_ms).max(0) as u64
    }

    /// Its public keys.
    pub(crate) fn device_keys(&self) -> Option<MemberKeys> {
        self.device.as_ref().map(DeviceKey::keys)
    }

    /// The member list that it keeps.
    pub(crate) fn members(&self) -> Option<Members> {
        let (community, bytes) = (self.name.community.as_ref()?, self.list.as_ref()?);
        Members::from_bytes(community, bytes).ok()
    }

    /// Whether it may read what is sealed: it is on the list, or has no list to be on.
    pub(crate) fn is_member(&self) -> bool {
        match (self.members(), self.device_keys()) {
            (Some(list), Some(keys)) => list.admission(&keys).is_some(),
            _ => true,
        }
    }

    /// Whether a link to it can stand.
    pub(crate) fn is_up(&self) -> bool {
        self.hostile || self.site.is_some()
    }

    /// Starts the program.
    pub(crate) fn start(&mut self, now_ms: u64, planted: Option<Planted>) -> Result<(), NoStart> {
        self.well_at_start = self.well.copy();
        let mut disk = SimDisk::new(self.disk.clone(), planted);
        disk.unsure = self.unsure.clone();
        let views = SimViews {
            views: self.views.clone(),
            planted,
            begun: Begun::Nothing,
            replaced: 0,
            before: BTreeMap::new(),
            reads: Cell::new(0),
            published: self.published.clone(),
        };
        let options = StoreOptions { journal: journal_options(), ..StoreOptions::default() };
        let (mut store, opened) =
            Store::open(disk, views, options).map_err(|error| match error {
                StoreError::Journal(OpenError::Io(_)) => NoStart::Disk,
                StoreError::Journal(OpenError::Damaged(damage)) => {
                    NoStart::Damaged(damage.to_string())
                }
                error => NoStart::Broken(error.to_string()),
            })?;
        self.views_broken = false;
        let journal = &opened.journal;
        let shortened = journal.cut.is_some() || journal.short.is_some();
        self.tail_cut = shortened || self.rotten && self.tail_cut;
        spoil(&mut store, planted);
        let opening = Opening {
            me: self.name.clone(),
            registry: self.registry.clone(),
            ring: self.ring.clone(),
            device: self.device.clone(),
            members: Standing { list: self.members(), founding: self.founds },
            entropy: match planted {
                Some(Planted::SystemRandomness) => stray_entropy(),
                _ => self.well.entropy(),
            },
            utc_offset_minutes: 480,
            node_bytes_per_day: self.node_bytes_per_day,
            authority: None,
        };
        let wall_ms = self.wall_ms(now_ms);
        let site = Site::open(opening, store, wall_ms).map_err(|error| match error {
            OpenSiteError::Replay(ReadError::Io(_)) => NoStart::Disk,
            OpenSiteError::Replay(error @ (ReadError::Damaged { .. } | ReadError::Stretch(_))) => {
                NoStart::Damaged(error.to_string())
            }
            error => NoStart::Broken(error.to_string()),
        })?;
        self.site = Some(site);
        self.life += 1;
        self.seen.clear();
        self.held.clear();
        self.live_bytes = 0;
        self.entries.clear();
        Ok(())
    }

    /// The program is gone, with all that waited for it.
    pub(crate) fn drop_site(&mut self) {
        self.site = None;
        self.inbox.clear();
        self.showing.clear();
        self.open = None;
        self.doom = None;
    }

    /// A copy of its store as it is now.
    pub(crate) fn back_up(&self) -> Backup {
        Backup { disk: self.disk.copy(), views: self.views.copy(), well: self.well_at_start.copy() }
    }
}

/// Small segments and little memory, so that a short run crosses many borders.
pub(crate) fn journal_options() -> JournalOptions {
    JournalOptions { segment_bytes: 24 * 1024, tail_bytes: 16 * 1024 }
}

/// What a careless start does to a store before the machine is opened on it.
fn spoil(store: &mut Store<SimDisk, SimViews>, planted: Option<Planted>) {
    match planted {
        Some(Planted::CountedAgain) if !store.replay_done() => {
            let mut uncounted = ViewBatch::new();
            for (key, row) in store.scan(b"h", None, usize::MAX).unwrap_or_default() {
                if let Ok(half) = Half::from_row(&row) {
                    uncounted.set(key, Some(Half { counted: Box::default(), ..half }.to_row()));
                }
            }
            store.write(uncounted);
        }
        Some(Planted::RefusalsForgotten) if store.replay_done() => {
            let keys: Vec<String> = store
                .journal()
                .notes_with_prefix("refused-here ")
                .map(|(key, _)| key.to_owned())
                .collect();
            for key in keys {
                // A note that cannot be removed stays.
                let _ = store.remove_note(&key);
            }
        }
        _ => {}
    }
}

/// Bytes that no seed decides.
fn stray_entropy() -> Entropy {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    Box::new(|into| {
        for part in into.chunks_mut(8) {
            let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            part.copy_from_slice(&drawn[8 - part.len()..]);
        }
    })
}
