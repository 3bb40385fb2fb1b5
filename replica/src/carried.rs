//! What a file carries from one machine to another where no network does.
//!
//! A file is one side's half of a link, said all at once: how its maker stands in each space, then
//! its journal from where the reader is known to have read. The reader feeds every change through
//! the same admission as one from a link. Nobody answers; what the reader holds afterwards is told
//! by its own next file. So a file may come twice, late or never, and it refuses to move a cursor
//! over anything that the reader has not seen with its own eyes, or to go by one that a link moved
//! over what it asked for again.

use bytes::Bytes;
use linli_domain::gate::Refusal;
use linli_domain::hlc::Hlc;
use linli_domain::id::{EpochId, PeerName, Space};

use crate::frame::{Batch, Cursor, Hello, Item, SpaceState};
use crate::holdings::{Admission, Held, Holdings};
use crate::limits::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX, SPACES_PER_LINK_MAX};
use crate::session::origin_of;

/// Where a file begins in one space, and where it ends: changes made meanwhile are for the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The space.
    pub space: Space,
    /// The first change is behind this place of the maker's journal.
    pub from: Cursor,
    /// The last place.
    pub until: u64,
}

/// What became of the changes of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// New here.
    pub taken: usize,
    /// Here already.
    pub known: usize,
    /// Their cause or their author is not known here yet; nothing of them was kept.
    pub missing: usize,
    /// Put off for want of room; nothing of them was kept.
    pub later: usize,
    /// Named by the file as this machine's own, and no longer here.
    pub lost: usize,
    /// Refused for good.
    pub refused: Vec<(Item, Refusal)>,
}

impl Outcome {
    /// Every change of the batch is here, or was refused for good.
    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.later == 0 && self.lost == 0
    }
}

/// How this machine stands in `spaces`, as it tells `reader`, or whoever reads where none is named.
pub fn hello(spaces: &[Space], reader: Option<&PeerName>, holdings: &dyn Holdings) -> Hello {
    let state = |space: &Space| {
        let Held { digest, head, chain } = holdings.held(space);
        SpaceState {
            space: space.clone(),
            held: digest,
            head,
            chain,
            cursor: reader.and_then(|reader| holdings.proven(reader, space)),
            refused: reader.map(|peer| holdings.refused_from(peer, space)).unwrap_or_default(),
        }
    };
    let spaces = spaces.iter().take(SPACES_PER_LINK_MAX).map(state).collect();
    Hello { epoch: holdings.epoch(), now: Hlc::default(), spaces }
}

/// What a file for `reader` has to carry of a space: all behind `after`, where nobody is named. A file
/// that begins later than its reader has read moves no cursor of it.
pub fn stretch(
    space: &Space,
    reader: Option<&PeerName>,
    after: u64,
    holdings: &mut dyn Holdings,
) -> Stretch {
    let until = holdings.held(space).head;
    let known = reader.map_or(0, |reader| holdings.acked(reader, space));
    let known = known.max(after).min(until);
    let epoch = holdings.epoch();
    // A place that cannot be read any more is none to begin at.
    let from = match holdings.chain_at(space, known) {
        Some(chain) => Cursor { epoch, seq: known, chain },
        None => Cursor { epoch, seq: 0, chain: 0 },
    };
    Stretch { space: space.clone(), from, until }
}

/// The next changes of a stretch behind `after`, and the place of the last of them; `None` at its
/// end. What the reader itself has given is only named: its bytes are left out.
pub fn read(
    stretch: &Stretch,
    after: u64,
    reader: Option<&PeerName>,
    holdings: &mut dyn Holdings,
) -> Option<(Batch, u64)> {
    let Stretch { space, until, .. } = stretch;
    let mut slice = holdings.read(space, after, BATCH_ITEMS_MAX, BATCH_BYTES_MAX);
    slice.retain(|placed| placed.seq <= *until);
    let end = slice.last()?.seq;
    let own = reader.map(origin_of);
    let items = slice.into_iter().map(|placed| {
        if Some(placed.origin) == own {
            Item { bytes: Bytes::new(), keys: Vec::new(), ..placed.item }
        } else {
            placed.item
        }
    });
    let chain = holdings.chain_at(space, end).unwrap_or(0);
    let batch = Batch {
        space: space.clone(),
        to: Some(Cursor { epoch: holdings.epoch(), seq: end, chain }),
        number: 0,
        items: items.collect(),
        last: end == *until,
        held: holdings.held(space).digest,
    };
    Some((batch, end))
}

/// Takes a batch of a file that `from` has made.
pub fn take(from: &PeerName, batch: &Batch, holdings: &mut dyn Holdings) -> Outcome {
    let mut outcome = Outcome::default();
    for item in &batch.items {
        match holdings.admit(&batch.space, from, item) {
            Admission::Taken => outcome.taken += 1,
            Admission::Known => outcome.known += 1,
            Admission::Missing => outcome.missing += 1,
            Admission::Later(_) => outcome.later += 1,
            // No bytes, so nothing was judged: it is not here.
            Admission::Refused(_) if item.bytes.is_empty() => outcome.lost += 1,
            Admission::Refused(reason) => outcome.refused.push((item.clone(), reason)),
        }
    }
    outcome
}

/// How a space stands once a file was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Both hold the same, but for what either refused.
    Agreed,
    /// All of the file's maker is here, and more.
    Ahead,
    /// The maker holds changes that neither the file nor this machine has.
    Behind,
}

/// Draws the conclusions of a file, once what it carried is staged: how far this machine has read
/// `from`, and how far it is read there.
///
/// `told` is what the maker says to this machine, or to anybody if `to_me` is false; `whole` says
/// that every change of the stretch from `begins` on was taken, known or refused for good. A cursor
/// moves only forward, and only where the digests agree, or where the stretch joins what was read
/// before and no digest contradicts.
pub fn conclude(
    from: &PeerName,
    epoch: EpochId,
    told: &SpaceState,
    to_me: bool,
    begins: &Cursor,
    whole: bool,
    holdings: &mut dyn Holdings,
) -> Stands {
    let space = &told.space;
    let ours = holdings.held(space);
    let refused_here = holdings.refused_from(from, space);
    let agreed = ours.digest.minus(&told.refused) == told.held.minus(&refused_here);
    if to_me {
        hear_place(from, told, holdings);
    }
    let known = holdings.proven(from, space).filter(|cursor| cursor.epoch == epoch);
    let joins = begins.epoch == epoch
        && (begins.seq == 0
            || known.is_some_and(|known| {
                known.seq > begins.seq || (known.seq == begins.seq && known.chain == begins.chain)
            }));
    let theirs = told.held.count.saturating_sub(refused_here.count);
    let stands = match (agreed, joins && whole && ours.digest.count >= theirs) {
        (true, _) => Stands::Agreed,
        (false, true) => Stands::Ahead,
        (false, false) => return Stands::Behind,
    };
    let behind = |known: Option<Cursor>| {
        known.is_none_or(|known| known.epoch != epoch || known.seq < told.head)
    };
    let cursor = Cursor { epoch, seq: told.head, chain: told.chain };
    if behind(known) {
        holdings.set_proven(from, space, cursor);
    }
    if behind(holdings.cursor(from, space)) {
        holdings.set_cursor_carried(from, space, cursor);
    }
    if stands == Stands::Agreed {
        holdings.set_acked(from, space, ours.head);
    }
    stands
}

/// The maker's place in this machine's journal. One of another life counts for nothing: what was
/// believed of it is forgotten, and the next file begins at the beginning.
fn hear_place(from: &PeerName, told: &SpaceState, holdings: &mut dyn Holdings) {
    let place = told.cursor.filter(|cursor| {
        cursor.epoch == holdings.epoch()
            && holdings.chain_at(&told.space, cursor.seq) == Some(cursor.chain)
    });
    holdings.set_acked(from, &told.space, place.map_or(0, |cursor| cursor.seq));
}
