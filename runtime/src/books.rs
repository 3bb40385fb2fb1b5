//! The books of one machine: its journal and everything read from it, behind the gate.
//!
//! A change from a peer is judged here before it is staged; what is staged becomes durable with
//! the turn's commit and only then is spoken of. It refuses to know about links: the replica asks
//! it through [`Holdings`].

mod admit;
mod followed;
mod holdings;
mod keys;
mod lives;
mod marks;
mod news;
mod notes;
mod quota;
mod refused;
mod revoked;
mod rows;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use linli_domain::change::Change;
use linli_domain::hlc::{Clock, Hlc};
use linli_domain::id::{
    AuthorId, ChangeHash, CommunityId, EntryId, EpochId, PeerName, Role, Space,
};
use linli_domain::seal::KeyRing;
use linli_replica::frame::Cursor;
use linli_replica::holdings::Holdings;
use linli_store::disk::Disk;
use linli_store::journal::{AppendError, CommitError, Head, ReadError, Record};
use linli_store::store::Store;
use linli_store::views::Views;
use smol_str::SmolStr;

pub(crate) use keys::TARGET as ERASURE_TARGET;
pub(crate) use notes::{EPOCH as EPOCH_NOTE, RESTORED as RESTORED_NOTE};
pub use notes::{RefusedHere, RefusedThere};
pub use quota::TakenToday;
pub use refused::JudgedAgain;
pub use rows::Row;
pub use trouble::BooksTrouble;

use crate::ahead::Ahead;
use crate::authority::Leaf;
use crate::half::Half;
use crate::limits::{CLOCK_DRIFT_MILLIS_MAX, UNSENT_COUNTED_MAX};
use crate::shelf::Shelf;

/// The books of one machine.
#[derive(Debug)]
pub struct Books<D: Disk, V: Views> {
    pub(crate) store: Store<D, V>,
    me: PeerName,
    epoch: EpochId,
    ring: Option<Arc<KeyRing>>,
    clock: Clock,
    now_millis: u64,
    spaces: BTreeMap<Space, SpaceBook>,
    authors: BTreeMap<Space, BTreeMap<AuthorId, String>>,
    cursors: BTreeMap<(PeerName, Space), Cursor>,
    cursors_dirty: BTreeSet<(PeerName, Space)>,
    /// Cursors that a file has set since the start, and no link after it.
    carried: BTreeSet<(PeerName, Space)>,
    /// How far in each peer's journal everything is known to be here.
    proven: BTreeMap<(PeerName, Space), Cursor>,
    proven_dirty: BTreeSet<(PeerName, Space)>,
    /// How far each peer holds our journal.
    acked: BTreeMap<(PeerName, Space), u64>,
    acked_dirty: BTreeSet<(PeerName, Space)>,
    /// Peers' changes refused here, and ours refused by peers.
    refusals: notes::Refusals,
    /// Machines that are there twice.
    lives: lives::Lives,
    /// What desks have handed over today.
    quotas: quota::Quotas,
    /// Spaces of a restored store in which no peer was met yet.
    unmet: BTreeSet<Space>,
    /// Entries whose figures are to be measured again, with the document keys that changed.
    touched: IndexMap<(Space, EntryId), BTreeSet<SmolStr>>,
    /// A view was asked and gave nothing that can be relied on: what was staged since may rest on
    /// an entry that was taken for empty.
    views_failed: bool,
    /// Entries with envelopes of this turn that could not be opened yet.
    unread: BTreeSet<(Space, EntryId)>,
    /// Entries about machines and their keys that changed; of a node only.
    member_news: BTreeSet<EntryId>,
    /// Entries that somebody follows.
    followed: followed::Followed,
    /// When records were stored, about; of a desk only.
    marks: marks::Marks,
    /// Machines whose certificate was revoked.
    revoked: revoked::Revoked,
    /// What went wrong and cannot be answered to anyone; said once by the shell.
    troubles: Vec<BooksTrouble>,
    /// What the gate has said of changes that are being taken.
    ahead: Ahead,
    /// The disk has no room for anything from a peer.
    full: bool,
}

/// A space as these books hold it.
#[derive(Debug, Default)]
struct SpaceBook {
    /// Staged changes included.
    head: Head,
    shelf: Shelf,
    /// Rows of it may lie in the views. Until the first is written, an entry that is not on the shelf
    /// is new: the views are not asked for each of a whole community's entries.
    has_rows: bool,
}

/// Why a turn did not become durable. Nothing of it may leave.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The journal failed. The next start keeps all that was acknowledged.
    #[error("the journal could not be written; nothing more is accepted until a restart")]
    Commit(#[from] CommitError),
    /// A view failed. The next start derives the views again.
    #[error("a view could not be read; nothing more is accepted until a restart")]
    Views,
}

impl<D: Disk, V: Views> Books<D, V> {
    /// Takes over an opened store. [`Self::replay`] until it gives false comes next, then
    /// [`Self::begin`]. A desk may hand a hub `node_bytes_per_day`; 0 is as many as it has.
    /// Revocations are taken that `authority` has signed.
    pub fn open(
        store: Store<D, V>,
        me: PeerName,
        ring: Option<Arc<KeyRing>>,
        node_bytes_per_day: u64,
        authority: Option<Leaf>,
        now_millis: u64,
    ) -> Self {
        let mut books = Self {
            store,
            me,
            epoch: EpochId::default(),
            ring,
            clock: Clock::default(),
            now_millis,
            spaces: BTreeMap::new(),
            authors: BTreeMap::new(),
            cursors: BTreeMap::new(),
            cursors_dirty: BTreeSet::new(),
            carried: BTreeSet::new(),
            proven: BTreeMap::new(),
            proven_dirty: BTreeSet::new(),
            acked: BTreeMap::new(),
            acked_dirty: BTreeSet::new(),
            refusals: notes::Refusals::default(),
            lives: lives::Lives::default(),
            quotas: quota::Quotas::new(node_bytes_per_day),
            unmet: BTreeSet::new(),
            touched: IndexMap::new(),
            views_failed: false,
            unread: BTreeSet::new(),
            member_news: BTreeSet::new(),
            followed: followed::Followed::default(),
            marks: marks::Marks::default(),
            revoked: revoked::Revoked::by(authority),
            troubles: Vec::new(),
            ahead: Ahead::default(),
            full: false,
        };
        books.load_notes();
        books.load_marks();
        books.load_revoked();
        let heads: Vec<(Space, Head)> =
            books.store.journal().spaces().map(|(space, head)| (space.clone(), head)).collect();
        for (space, head) in heads {
            let book = SpaceBook { head, has_rows: true, ..SpaceBook::default() };
            books.spaces.insert(space, book);
        }
        books.load_cursors();
        books.load_lives();
        books.load_intakes();
        books
    }

    /// Ends the opening. `fresh_epoch` is used if the store has none yet, or if its journal was found
    /// set back: what peers know of its numbers is about the life before.
    pub fn begin(&mut self, fresh_epoch: [u8; 16]) -> Result<(), AppendError> {
        if self.epoch == EpochId::default() || self.store.was_set_back() {
            self.epoch = EpochId(fresh_epoch);
            self.store.append_note(notes::EPOCH, &fresh_epoch)?;
        }
        Ok(())
    }

    /// Applies up to `max` records that the views lack; false once there are none left.
    pub fn replay(&mut self, max: usize) -> Result<bool, ReadError> {
        let records = self.store.replay_next(max)?;
        for record in &records {
            self.replay_one(record);
        }
        Ok(!records.is_empty())
    }

    /// This machine.
    pub fn me(&self) -> &PeerName {
        &self.me
    }

    /// The community's key ring, once this machine has it.
    pub fn ring(&self) -> Option<Arc<KeyRing>> {
        self.ring.clone()
    }

    /// Takes the ring that an approved desk handed over.
    pub fn set_ring(&mut self, ring: Arc<KeyRing>) {
        self.ring = Some(ring);
    }

    /// What the gate has said of the changes that come next.
    pub(crate) fn set_ahead(&mut self, ahead: Ahead) {
        self.ahead = ahead;
    }

    /// Whether what peers send is put off, for want of room on the disk.
    pub(crate) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// The wall clock for this turn.
    pub fn set_now(&mut self, now_millis: u64) {
        self.now_millis = now_millis;
    }

    /// The wall clock of this turn, in milliseconds since 1970.
    pub fn now_millis(&self) -> u64 {
        self.now_millis
    }

    /// The next point of the hybrid logical clock.
    pub fn tick_clock(&mut self) -> Hlc {
        self.clock.tick(self.now_millis)
    }

    /// The last point of the hybrid logical clock.
    pub fn last_clock(&self) -> Hlc {
        self.clock.last()
    }

    /// Makes everything staged durable. After an error the machine must be opened anew.
    pub fn commit(&mut self) -> Result<(), TurnError> {
        if self.views_failed {
            // Empty, they are derived again whatever was wrong; if they cannot be emptied, the next
            // start finds them broken.
            let _cleared = self.store.rebuild_views();
            return Err(TurnError::Views);
        }
        self.keep_revoked();
        self.store.commit()?;
        self.followed.wrote = false;
        self.read_again();
        Ok(())
    }

    /// The half of an entry in a space, read from its row if it is not at hand.
    pub fn half(&mut self, space: &Space, entry: &EntryId) -> &Half {
        self.half_mut(space, entry)
    }

    /// Both halves of an entry, open and sealed.
    pub fn halves(&mut self, community: &CommunityId, entry: &EntryId) -> (&Half, &Half) {
        let (open, sealed) = (Space::Open(community.clone()), Space::Sealed(community.clone()));
        self.half_mut(&open, entry);
        self.half_mut(&sealed, entry);
        let on_shelf = |space: &Space| {
            let half = self.spaces.get(space).and_then(|book| book.shelf.peek(entry));
            half.expect("put on the shelf above")
        };
        (on_shelf(&open), on_shelf(&sealed))
    }

    /// Spaces with anything in them, and their heads, staged changes included.
    pub fn heads(&self) -> impl Iterator<Item = (&Space, Head)> {
        self.spaces.iter().map(|(space, book)| (space, book.head))
    }

    /// Stages a change made on this machine. It must fit its document.
    pub fn stage_own(
        &mut self,
        space: &Space,
        entry: &EntryId,
        change: &Change,
    ) -> Result<(), AppendError> {
        self.stage(space, entry, 0, change.hash, change.bytes.clone())?;
        self.apply(space, entry, change);
        Ok(())
    }

    /// Stages a sealed change made on this machine, with the envelope it travels in.
    pub fn stage_own_sealed(
        &mut self,
        space: &Space,
        entry: &EntryId,
        change: &Change,
        envelope: Bytes,
    ) -> Result<(), AppendError> {
        let hash = linli_domain::seal::envelope_hash(&envelope);
        self.stage(space, entry, 0, hash, envelope)?;
        self.half_mut(space, entry).seals.push(hash);
        self.apply(space, entry, change);
        Ok(())
    }

    /// Changes made here that no hub is known to hold (of a hub: no desk), counted up to a bound.
    pub fn unsent(&mut self) -> u64 {
        let hub_has = |books: &Self, space: &Space| {
            let on_a_hub = books.me.role() != Role::Node;
            let hubs = books
                .acked
                .iter()
                .filter(|((peer, at), _)| (on_a_hub || peer.role() != Role::Node) && at == space);
            hubs.map(|(_, seq)| *seq).max().unwrap_or(0)
        };
        let spaces: Vec<Space> = self.spaces.keys().cloned().collect();
        let mut unsent = 0;
        for space in spaces {
            let after = hub_has(self, &space);
            let records = self.read(&space, after, UNSENT_COUNTED_MAX, usize::MAX);
            unsent += records.iter().filter(|placed| placed.origin == 0).count() as u64;
        }
        unsent
    }

    /// Notes that something went wrong.
    pub fn trouble(&mut self, trouble: BooksTrouble) {
        self.troubles.push(trouble);
    }

    /// What went wrong since the last call.
    pub fn take_troubles(&mut self) -> Vec<BooksTrouble> {
        std::mem::take(&mut self.troubles)
    }

    fn half_mut(&mut self, space: &Space, entry: &EntryId) -> &mut Half {
        let book = self.spaces.get(space);
        let half = if book.is_some_and(|book| book.shelf.peek(entry).is_some()) {
            None
        } else if book.is_some_and(|book| book.has_rows) {
            Some(self.load_half(space, entry))
        } else {
            Some(Half::default())
        };
        if !self.spaces.contains_key(space) {
            self.spaces.insert(space.clone(), SpaceBook::default());
        }
        let book = self.spaces.get_mut(space).expect("inserted above");
        match half {
            Some(half) => book.shelf.put(entry.clone(), half),
            None => book.shelf.get(entry).expect("peeked above"),
        }
    }

    fn stage(
        &mut self,
        space: &Space,
        entry: &EntryId,
        origin: u64,
        hash: ChangeHash,
        bytes: Bytes,
    ) -> Result<u64, AppendError> {
        self.mark_time();
        let seq = self.store.append(space, origin, entry, &hash, &bytes)?;
        if !self.spaces.contains_key(space) {
            self.spaces.insert(space.clone(), SpaceBook::default());
        }
        let book = self.spaces.get_mut(space).expect("inserted above");
        book.head = book.head.after(&hash);
        book.shelf.mark(entry);
        self.followed.wrote |= origin == 0;
        self.stir(space, entry);
        Ok(seq)
    }

    /// Applies a change that fits to its document, and notes what it touched.
    fn apply(&mut self, space: &Space, entry: &EntryId, change: &Change) {
        self.half_mut(space, entry).doc.apply(change);
        for op in &change.ops {
            let step = op.key.strip_prefix(linli_domain::doc::STEP_PREFIX);
            let hlc = step.and_then(|id| linli_domain::entry::StepId(id.to_owned()).hlc());
            if let Some(hlc) = hlc {
                self.clock.see(hlc, self.now_millis, CLOCK_DRIFT_MILLIS_MAX);
            }
        }
        if let Some(book) = self.spaces.get_mut(space) {
            book.shelf.mark(entry);
        }
        self.stir(space, entry);
        self.note_member_news(space, entry);
        let keys = change.ops.iter().map(|op| op.key.clone());
        self.touched.entry((space.clone(), entry.clone())).or_default().extend(keys);
        self.follow_erasure(space, entry);
        self.follow_revocation(space, entry);
    }

    /// A record of the journal; one that cannot be read is noted as trouble.
    fn record(&mut self, space: &Space, seq: u64) -> Option<Record> {
        match self.store.read_one(space, seq) {
            Ok(record) => record,
            Err(error) => {
                self.troubles.push(BooksTrouble::Read(format!("{space} {seq}: {error}")));
                None
            }
        }
    }
}
