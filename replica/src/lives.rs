//! Two lives under one epoch: a journal that goes otherwise than it was read, because its disk was
//! copied, or an old copy put back unnoticed.
//!
//! It refuses to go by a file that somebody carried past a link: a hello that waited since before
//! the file was made tells of an earlier place, and neither its clock nor the news that the link
//! stands, which waited as well, says so.

use linli_domain::id::{EpochId, PeerName};

use crate::frame::SpaceState;
use crate::holdings::{Holdings, Whose};

/// Notes whether one of the two was read further, or otherwise, than its journal goes; true where
/// the link must end for it. An epoch is drawn anew where a journal was found set back, so it
/// cannot have been.
///
/// A cursor that a file has set is held against a place at its own height alone. A life that lies
/// below it is found at its own end, which is told the cursor, and here once a link has set it.
pub(crate) fn look(
    peer: &PeerName,
    peer_epoch: EpochId,
    told: &SpaceState,
    holdings: &mut dyn Holdings,
) -> bool {
    let space = &told.space;
    let mut ends = false;
    if let Some(cursor) = told.cursor.filter(|cursor| cursor.epoch == holdings.epoch())
        && cursor.seq > 0
        && holdings.chain_at(space, cursor.seq) != Some(cursor.chain)
    {
        ends |= holdings.note_other_life(peer, Whose::Ours);
    }
    let read = holdings.cursor(peer, space);
    if let Some(cursor) = read.filter(|cursor| cursor.epoch == peer_epoch) {
        let shorter = told.head < cursor.seq && !holdings.is_carried(peer, space);
        let other_end = told.head == cursor.seq && told.chain != cursor.chain;
        if shorter || other_end {
            ends |= holdings.note_other_life(peer, Whose::Theirs);
        }
    }
    ends
}
