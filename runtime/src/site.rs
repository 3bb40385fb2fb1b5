//! One machine as a whole, without threads: its books, its replica, its figures, and the people
//! who ask.
//!
//! Events come in, a turn ends with one commit, and only then do frames and answers leave. The
//! daemons drive it with real disks and sockets, the simulator with invented ones; it has no
//! clock and draws no chance of its own.

mod answers;
mod audit;
mod bundles;
mod closings;
mod devices;
mod entries;
mod erasures;
mod figures;
mod follow;
mod lives;
mod members;
mod packs;
mod refusals;
mod restored;
mod rings;
mod room;
mod shut_out;
mod walk;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use linli_domain::id::{ActorId, CommunityId, PeerName, Role, Space};
use linli_domain::pack::Registry;
use linli_domain::seal::{DeviceKey, KeyRing};
use linli_replica::engine::{Effect, Event, LinkId, Replica};
use linli_replica::frame::{AuthorGrant, Frame};
use linli_replica::holdings::Holdings as _;
use linli_store::disk::Disk;
use linli_store::journal::{AppendError, ReadError};
use linli_store::store::Store;
use linli_store::views::Views;

use crate::ahead::Ahead;
use crate::authority::Leaf;
use crate::books::{Books, BooksTrouble, TakenToday, TurnError};
use crate::limits::{CHECKPOINT_EVERY_MILLIS, HALVES_DIRTY_MAX, SLICE_ENTRIES};
use crate::policy;
use figures::Keeper;
pub use members::Standing;

pub use audit::{Audited, Watch};
pub use room::Look;

/// Gives random bytes; the system's in a daemon, a seed's in the simulator.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// What a machine is opened with.
pub struct Opening {
    /// Its name, from its certificate.
    pub me: PeerName,
    /// The program's own definitions; what the hub publishes comes on top.
    pub registry: Arc<Registry>,
    /// The community's keys, if this is a node that has them.
    pub ring: Option<KeyRing>,
    /// A node's own key, to which the ring is wrapped.
    pub device: Option<DeviceKey>,
    /// The member list it keeps, if this is a node.
    pub members: Standing,
    /// Random bytes.
    pub entropy: Entropy,
    /// Minutes to add to UTC for local dates: 480 in China.
    pub utc_offset_minutes: i32,
    /// Bytes a hub takes from one desk in a day, 0 for as many as come; a node takes no heed.
    pub node_bytes_per_day: u64,
    /// The authority whose revocations it goes by.
    pub authority: Option<Leaf>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("me", &self.me).finish_non_exhaustive()
    }
}

/// A machine that cannot be opened on its store.
#[derive(Debug, thiserror::Error)]
pub enum OpenSiteError {
    /// What the views lack cannot be read back from the journal. Salvage it.
    #[error(transparent)]
    Replay(#[from] ReadError),
    /// Its first notes cannot be written.
    #[error("the journal takes nothing: {0}")]
    Append(#[from] AppendError),
}

/// One machine.
pub struct Site<D: Disk, V: Views> {
    books: Books<D, V>,
    replica: Replica,
    keeper: Keeper,
    registry: Arc<Registry>,
    definitions: packs::Definitions,
    device: Option<DeviceKey>,
    new_ring: Option<KeyRing>,
    roll: members::Roll,
    shut_out: shut_out::ShutOut,
    actor: ActorId,
    entropy: Entropy,
    utc_offset_minutes: i32,
    /// The time in the last change made here, in milliseconds since 1970.
    wrote_at: u64,
    /// Communities of a street hub, or the one of a node.
    hosted: BTreeSet<CommunityId>,
    peers: BTreeMap<LinkId, PeerName>,
    /// When each peer was last heard, in milliseconds since 1970.
    heard: BTreeMap<PeerName, u64>,
    effects: Vec<Effect>,
    followers: follow::Followers,
    codes: devices::Codes,
    /// When the views last stood for the whole journal, in milliseconds since 1970.
    checkpointed_at: u64,
    /// When the views' files were last freed of what was erased, in milliseconds since 1970; with
    /// `u64::MAX` they could not be, and the next start tries again.
    scrubbed_at: u64,
    audits: audit::Audits,
    room: room::Room,
}

impl<D: Disk, V: Views> fmt::Debug for Site<D, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("me", self.books.me()).finish_non_exhaustive()
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Opens a machine on its store, and brings its views up to the journal.
    pub fn open(
        mut opening: Opening,
        store: Store<D, V>,
        now_millis: u64,
    ) -> Result<Self, OpenSiteError> {
        let me = opening.me;
        let ring = opening.ring.map(Arc::new);
        let (bytes, authority) = (opening.node_bytes_per_day, opening.authority);
        let mut books = Books::open(store, me.clone(), ring, bytes, authority, now_millis);
        // A new actor at each start: a restored or copied store never writes under an old one.
        let mut start = [0; 8];
        (opening.entropy)(&mut start);
        let actor = ActorId::new(me.author(), start);
        let keeper = Keeper::load(&mut books);
        let mut site = Self {
            books,
            replica: Replica::new(),
            keeper,
            definitions: packs::Definitions::new(opening.registry.clone()),
            registry: opening.registry,
            device: opening.device,
            new_ring: None,
            roll: opening.members.into(),
            shut_out: shut_out::ShutOut::default(),
            actor,
            entropy: opening.entropy,
            utc_offset_minutes: opening.utc_offset_minutes,
            wrote_at: 0,
            hosted: me.community.iter().cloned().collect(),
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            effects: Vec::new(),
            followers: follow::Followers::new(),
            codes: devices::Codes::default(),
            checkpointed_at: now_millis,
            scrubbed_at: 0,
            audits: audit::Audits::new(now_millis),
            room: room::Room::default(),
        };
        site.load_packs();
        while site.books.replay(SLICE_ENTRIES)? {
            site.write_through();
            if site.books.store.checkpoint_due() {
                site.checkpoint();
            }
        }
        let mut epoch = [0; 16];
        (site.entropy)(&mut epoch);
        site.books.begin(epoch)?;
        site.load_heard();
        site.grant_self();
        site.hosted_from_books();
        site.publish_device();
        site.begin_members();
        site.unlock();
        site.write_through();
        site.books.follow_all_erasures();
        site.books.follow_all_revocations();
        site.follow_shut_out();
        Ok(site)
    }

    /// This machine.
    pub fn me(&self) -> &PeerName {
        self.books.me()
    }

    /// The wall clock for this turn.
    pub fn set_now(&mut self, now_millis: u64) {
        self.books.set_now(now_millis);
    }

    /// Machines whose changes a hub accepts, from its register of enrolled machines.
    pub fn enrolled(&mut self, peers: &[PeerName]) {
        let mut news = false;
        for peer in peers {
            let Some(community) = &peer.community else { continue };
            self.hosted.insert(community.clone());
            for space in [Space::Open(community.clone()), Space::Sealed(community.clone())] {
                let grant = AuthorGrant { space, author: peer.author(), name: peer.to_string() };
                news |= self.books.grant_author(&grant);
            }
        }
        self.grant_self();
        if news {
            self.step(Event::Granted);
        }
    }

    /// Communities a street hub expects, with or without a machine so far.
    pub fn host(&mut self, communities: &[CommunityId]) {
        self.hosted.extend(communities.iter().cloned());
        self.grant_self();
    }

    /// When each peer was last heard, in milliseconds since 1970.
    pub fn heard(&self) -> &BTreeMap<PeerName, u64> {
        &self.heard
    }

    /// What a desk has handed to this hub today.
    pub fn taken_today(&self, peer: &PeerName) -> TakenToday {
        self.books.taken_today(peer)
    }

    /// A link to a peer stands.
    pub fn link_up(&mut self, link: LinkId, peer: PeerName) {
        if self.shut_out.contains(&peer) {
            // The shell is about to end it; until then nothing is said or heard.
            return;
        }
        let me = self.books.me();
        let spaces = policy::shared_spaces(me, &peer, &self.hosted);
        let trusted = policy::trusts(me, &peer);
        self.heard.insert(peer.clone(), self.books.now_millis());
        self.peers.insert(link, peer.clone());
        let says_nothing = peer.role() == Role::StreetHub && self.books.second_life().is_some();
        let said = self.effects.len();
        self.step(Event::LinkUp { link, peer, spaces, trusted });
        if says_nothing {
            // A second life claims no journal: so the hub sees that it is one, and reads none of it
            // under the other's name.
            for effect in &mut self.effects[said..] {
                if let Effect::Send { frame: Frame::Hello(hello), .. } = effect {
                    for state in &mut hello.spaces {
                        (state.held, state.head, state.chain) = Default::default();
                    }
                }
            }
        }
    }

    /// A peer said something.
    pub fn frame(&mut self, link: LinkId, frame: Frame) {
        if let Some(peer) = self.peers.get(&link) {
            self.heard.insert(peer.clone(), self.books.now_millis());
        }
        self.step(Event::Frame { link, frame });
    }

    /// As [`Self::frame`], with what the gate has said already of the changes by themselves.
    pub fn frame_ahead(&mut self, link: LinkId, frame: Frame, ahead: Ahead) {
        self.books.set_ahead(ahead);
        self.frame(link, frame);
        self.books.set_ahead(Ahead::default());
    }

    /// A link is gone.
    pub fn link_down(&mut self, link: LinkId) {
        self.peers.remove(&link);
        self.step(Event::LinkDown { link });
    }

    /// About a second has passed.
    pub fn tick(&mut self) {
        for peer in self.peers.values() {
            self.heard.insert(peer.clone(), self.books.now_millis());
        }
        self.books.second_passes();
        self.books.give_up_old();
        self.look_for_room();
        self.step(Event::Tick);
        self.meet_again();
        self.write_revocations();
        self.look_for_own_life();
    }

    /// Makes the turn durable, and gives what is to be sent. After an error nothing of the turn
    /// may leave, and the machine must be opened anew.
    pub fn end_turn(&mut self) -> Result<Vec<Effect>, TurnError> {
        self.follow_members();
        self.follow_shut_out();
        self.books.commit()?;
        self.step(Event::TurnEnds);
        // Notes about refusals may have been staged by what was sent; they ride with the next
        // commit, which comes before anything else is said.
        Ok(std::mem::take(&mut self.effects))
    }

    /// One slice of background work: figures, rows, a checkpoint, an audit. True if there is more.
    pub fn idle(&mut self) -> bool {
        self.land(false);
        let measured = self.measure_touched(SLICE_ENTRIES);
        let wrote = self.write_rows(SLICE_ENTRIES);
        if measured || wrote || self.measure_again(SLICE_ENTRIES) {
            return true;
        }
        let since = self.books.now_millis().abs_diff(self.checkpointed_at);
        if self.scrub_due() {
            self.scrub();
            return false;
        }
        if since >= CHECKPOINT_EVERY_MILLIS && self.books.store.checkpoint_useful() {
            self.checkpoint_behind();
        }
        // Rows on their way to the disk are looked at when they are there.
        !self.books.store.is_landing() && self.audit_on()
    }

    /// Background work that cannot wait for an idle moment, so that memory and the next start
    /// stay bounded. Call once a turn, after its end.
    pub fn keep_bounded(&mut self) {
        if self.books.dirty() > HALVES_DIRTY_MAX {
            self.measure_touched(SLICE_ENTRIES * 2);
            self.write_rows(SLICE_ENTRIES * 2);
        }
        if self.books.store.checkpoint_due() {
            // Memory holds one that is on its way and what came since, and no more.
            self.land(true);
            self.write_through();
            self.checkpoint_behind();
        }
    }

    /// A ring with keys that arrived or were made, once; it belongs in the key file.
    pub fn take_ring(&mut self) -> Option<KeyRing> {
        self.new_ring.take()
    }

    /// What went wrong since the last call, for the log.
    pub fn take_troubles(&mut self) -> Vec<BooksTrouble> {
        let troubles = self.books.take_troubles();
        if troubles.iter().any(|trouble| matches!(trouble, BooksTrouble::Read(_))) {
            self.audit_soon();
        }
        troubles
    }

    /// How each link stands.
    pub fn standings(&self) -> Vec<linli_replica::engine::Standing> {
        self.replica.standings(&self.books)
    }

    /// The definitions in force here.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Digest of a space, staged changes included.
    pub fn held(&self, space: &Space) -> linli_replica::holdings::Held {
        self.books.held(space)
    }

    /// The books, for checkers and audits.
    pub fn books(&mut self) -> &mut Books<D, V> {
        &mut self.books
    }

    /// Writes what is left and ends.
    pub fn close(mut self) -> Result<(), TurnError> {
        self.books.commit()?;
        self.write_through();
        self.checkpoint();
        Ok(())
    }

    fn step(&mut self, event: Event) {
        let now = self.books.last_clock();
        self.replica.step(now, event, &mut self.books, &mut self.effects);
    }

    /// A machine accepts its own changes back, and a hub writes in every space it has.
    fn grant_self(&mut self) {
        let me = self.books.me().clone();
        let mut spaces: Vec<Space> = Vec::new();
        match me.role() {
            Role::Node => {
                spaces.extend(self.hosted.iter().cloned().map(Space::Open));
                spaces.extend(self.hosted.iter().cloned().map(Space::Sealed));
            }
            Role::StreetHub => {
                spaces.extend(self.hosted.iter().cloned().map(Space::Open));
                spaces.extend(me.street.iter().cloned().map(Space::Board));
                spaces.extend(me.street.iter().cloned().map(Space::Figures));
            }
            Role::DistrictHub => {}
        }
        for space in spaces {
            let grant = AuthorGrant { space, author: me.author(), name: me.to_string() };
            self.books.grant_author(&grant);
        }
    }

    fn hosted_from_books(&mut self) {
        if self.books.me().role() == Role::StreetHub {
            let known: Vec<CommunityId> =
                self.books.heads().filter_map(|(space, _)| space.community().cloned()).collect();
            self.hosted.extend(known);
        }
    }

    /// Measures and writes everything that waits.
    fn write_through(&mut self) {
        while self.measure_touched(SLICE_ENTRIES) {}
        while self.write_rows(SLICE_ENTRIES) {}
        self.write_cells();
    }

    fn write_rows(&mut self, max: usize) -> bool {
        let rows = self.books.take_rows(max);
        let wrote = !rows.is_empty();
        self.books.write(rows);
        wrote
    }

    /// All rows must have been written: the views then stand for the whole journal.
    fn checkpoint(&mut self) {
        self.last_rows();
        if let Err(error) = self.books.store.checkpoint() {
            self.books.trouble(BooksTrouble::View(error.to_string()));
        }
    }

    /// As [`Self::checkpoint`], while the machine goes on.
    fn checkpoint_behind(&mut self) {
        self.last_rows();
        if let Err(error) = self.books.store.checkpoint_behind() {
            self.books.trouble(BooksTrouble::View(error.to_string()));
        }
    }

    fn last_rows(&mut self) {
        self.write_cells();
        self.checkpointed_at = self.books.now_millis();
        let mut rows = self.heard_rows();
        rows.extend(self.books.intake_rows());
        self.books.write(rows);
    }

    /// Hears what became of a checkpoint on its way; with `wait`, once it has ended.
    fn land(&mut self, wait: bool) {
        if let Err(error) = self.books.store.landed(wait) {
            self.books.trouble(BooksTrouble::View(error.to_string()));
        }
    }
}

#[cfg(test)]
mod tests;
