//! What must hold: each rule a function, each breach a sentence.
//!
//! The first half is asked at every step, the second (`settled`) once the world is at peace. They
//! refuse to trust anything a machine says of itself where the journal can be read.

mod erased;
mod kept;
mod members;
pub(crate) mod room;
pub(crate) mod rows;
pub(crate) mod settled;

use linli_domain::id::{PeerName, Role, Space, StreetId};
use linli_replica::engine::Effect;
use linli_replica::frame::Frame;
use linli_replica::limits::{
    BATCH_ITEMS_MAX, BATCHES_IN_FLIGHT_MAX, HASHES_PER_FRAME_MAX, RANGES_PER_FRAME_MAX,
};
use linli_runtime::limits::{HALVES_DIRTY_MAX, REFUSED_KEPT_MAX};

use crate::machine::SimSite;

/// What every personal field of the world begins with.
pub(crate) const CANARY: &str = "c4n4ry";

/// Effects of one turn: far above what some hundred changes can cause.
const EFFECTS_PER_TURN_MAX: usize = 4_000;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// After healing all hold the same, and read the same.
    Converged,
    /// What was called saved stays.
    Durable,
    /// Every change was made by a machine of the world.
    Invented,
    /// Figures equal a recount.
    Counted,
    /// Personal fields never leave their community unsealed.
    Sealed,
    /// Of what was erased nobody keeps a key or a text.
    Erased,
    /// Of what was written, what nobody replaced is there; who disagree are told.
    Kept,
    /// Who is on a list seals with one key and reads all; who was removed reads nothing later.
    Members,
    /// What was saved is not saved again.
    Once,
    /// Nothing of one community reaches another.
    Isolated,
    /// Queues, frames and lists stay below their bounds.
    Bounded,
    /// After healing, everything arrives in bounded time.
    Live,
    /// One author number, one change; two machines under one name are known.
    Unique,
    /// A step sorts behind every step its author had seen.
    Causal,
    /// Honest machines do not break the rules of a link, and none refuses an honest change.
    Orderly,
    /// A store that was not damaged opens, reads and passes its audit.
    Sound,
    /// Views that were thrown away come back the same.
    Rebuilt,
    /// One seed, one run.
    Repeatable,
}

impl Checker {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Durable => "durable",
            Self::Invented => "invented",
            Self::Counted => "counted",
            Self::Sealed => "sealed",
            Self::Erased => "erased",
            Self::Kept => "kept",
            Self::Members => "members",
            Self::Once => "once",
            Self::Isolated => "isolated",
            Self::Bounded => "bounded",
            Self::Live => "live",
            Self::Unique => "unique",
            Self::Causal => "causal",
            Self::Orderly => "orderly",
            Self::Sound => "sound",
            Self::Rebuilt => "rebuilt",
            Self::Repeatable => "repeatable",
        }
    }
}

/// A rule was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub checker: Checker,
    /// How.
    pub text: String,
}

impl Violation {
    pub(crate) fn new(checker: Checker, text: impl Into<String>) -> Self {
        Self { checker, text: text.into() }
    }
}

/// Isolated: a machine has nothing to do with this space.
pub(crate) fn isolated(machine: &PeerName, space: &Space) -> Result<(), Violation> {
    let may = match (machine.role(), space) {
        (Role::Node, Space::Open(community) | Space::Sealed(community)) => {
            machine.community.as_ref() == Some(community)
        }
        (Role::Node | Role::StreetHub, Space::Board(street))
        | (Role::StreetHub, Space::Figures(street)) => machine.street.as_ref() == Some(street),
        // The plan names communities after their street.
        (Role::StreetHub, Space::Open(community) | Space::Sealed(community)) => {
            let street = community.as_str().split('-').next();
            machine.street.as_ref().map(StreetId::as_str) == street
        }
        (Role::DistrictHub, Space::Figures(_)) => true,
        (Role::Node, Space::Figures(_)) | (Role::DistrictHub, _) => false,
    };
    if may {
        Ok(())
    } else {
        Err(Violation::new(Checker::Isolated, format!("{machine} has to do with {space}")))
    }
}

/// Isolated, for every space a frame names.
pub(crate) fn frame_isolated(ends: [&PeerName; 2], frame: &Frame) -> Result<(), Violation> {
    let spaces: Vec<&Space> = match frame {
        Frame::Hello(hello) => hello.spaces.iter().map(|state| &state.space).collect(),
        Frame::Batch(batch) => vec![&batch.space],
        Frame::Ack(ack) => vec![&ack.space],
        Frame::Ranges(ranges) => vec![&ranges.space],
        Frame::Hashes(hashes) => vec![&hashes.space],
        Frame::Authors(grants) => grants.iter().map(|grant| &grant.space).collect(),
        Frame::Unknown => Vec::new(),
    };
    for space in spaces {
        for end in ends {
            isolated(end, space)?;
        }
    }
    Ok(())
}

/// Sealed: bytes that leave a desk hold no personal field.
pub(crate) fn sealed(bytes: &[u8], place: &str) -> Result<(), Violation> {
    let needle = CANARY.as_bytes();
    let found = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == needle[0])
        .any(|(at, _)| bytes[at..].starts_with(needle));
    if found {
        return Err(Violation::new(Checker::Sealed, format!("a personal field is in {place}")));
    }
    Ok(())
}

/// Sealed, for the changes and words of a frame.
pub(crate) fn frame_sealed(frame: &Frame, place: &str) -> Result<(), Violation> {
    match frame {
        Frame::Batch(batch) => batch.items.iter().try_for_each(|item| sealed(&item.bytes, place)),
        Frame::Ack(ack) => ack.refused.iter().try_for_each(|r| sealed(r.reason.as_bytes(), place)),
        _ => Ok(()),
    }
}

/// Bounded: what one turn says.
pub(crate) fn turn_bounded(machine: &PeerName, effects: &[Effect]) -> Result<(), Violation> {
    if effects.len() > EFFECTS_PER_TURN_MAX {
        let text = format!("{machine} has {} effects in one turn", effects.len());
        return Err(Violation::new(Checker::Bounded, text));
    }
    for effect in effects {
        let Effect::Send { frame, .. } = effect else { continue };
        let (items, max) = match frame {
            Frame::Batch(batch) => (batch.items.len(), BATCH_ITEMS_MAX),
            Frame::Hashes(hashes) => (hashes.hashes.len(), HASHES_PER_FRAME_MAX),
            Frame::Ranges(ranges) => (ranges.children.len(), RANGES_PER_FRAME_MAX),
            _ => continue,
        };
        if items > max {
            let text = format!("{machine} puts {items} into a frame of at most {max}");
            return Err(Violation::new(Checker::Bounded, text));
        }
    }
    Ok(())
}

/// Bounded: batches under way on a link in one space.
pub(crate) fn flight_bounded(
    machine: &PeerName,
    space: &Space,
    under_way: u64,
) -> Result<(), Violation> {
    if under_way <= BATCHES_IN_FLIGHT_MAX as u64 {
        return Ok(());
    }
    let text = format!("{machine} has {under_way} batches of {space} under way on one link");
    Err(Violation::new(Checker::Bounded, text))
}

/// Bounded: what a machine keeps in memory.
pub(crate) fn memory_bounded(machine: &PeerName, site: &mut SimSite) -> Result<(), Violation> {
    let books = site.books();
    let lists = [
        ("halves not written", books.dirty(), HALVES_DIRTY_MAX + 1_000),
        ("refusals", books.refused_here().count(), REFUSED_KEPT_MAX),
        ("refusals of peers", books.refused_there().count(), REFUSED_KEPT_MAX),
    ];
    for (what, len, max) in lists {
        if len > max {
            let text = format!("{machine} keeps {len} {what}, more than {max}");
            return Err(Violation::new(Checker::Bounded, text));
        }
    }
    Ok(())
}
