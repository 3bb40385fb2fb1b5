//! The network: roads that exist, wires that stand on them, and frames on their way.
//!
//! A wire keeps order and loses nothing until it breaks; then everything on its way is lost, and
//! each end learns of it in its own time. It refuses to know what a frame means.

use std::collections::{BTreeMap, VecDeque};

use linli_domain::id::Space;
use linli_replica::frame::Frame;

use crate::truth::MachineNo;

/// Frames of earlier wires kept for replaying, per direction.
const PAST_KEPT: usize = 8;

/// Two machines that could reach each other.
#[derive(Debug)]
pub(crate) struct Road {
    /// Who dials, and who is dialled.
    pub(crate) ends: [MachineNo; 2],
    /// No wire can stand before this moment.
    pub(crate) blocked_until: u64,
    /// Milliseconds a frame takes, at least and at most.
    pub(crate) pace_ms: (u64, u64),
    /// Frames of earlier wires, towards each end.
    pub(crate) past: [VecDeque<Frame>; 2],
    /// Frames of a cut wire, towards each end, that a planted bug hands to the next one.
    pub(crate) late: [Vec<Frame>; 2],
}

/// A link, seen from above.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) road: usize,
    pub(crate) sides: [Side; 2],
    /// Nothing passes any more.
    pub(crate) cut: bool,
    /// Somebody played with it: breaches of its rules are nobody's fault.
    pub(crate) tampered: bool,
    /// Old frames that each end will be told after the hello.
    pub(crate) replays: [usize; 2],
}

/// One end of a wire.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) machine: MachineNo,
    /// The life of the machine that the wire belongs to.
    pub(crate) life: u64,
    /// The machine believes that it stands.
    pub(crate) knows: bool,
    /// Frames towards this end, the next first.
    pub(crate) coming: VecDeque<Frame>,
    /// When the last of them arrives.
    pub(crate) last_at: u64,
    /// Batches this end has sent and not seen acknowledged, per space.
    pub(crate) under_way: BTreeMap<Space, u64>,
}

impl Road {
    pub(crate) fn new(ends: (MachineNo, MachineNo)) -> Self {
        Self {
            ends: [ends.0, ends.1],
            blocked_until: 0,
            pace_ms: FAST,
            past: [VecDeque::new(), VecDeque::new()],
            late: [Vec::new(), Vec::new()],
        }
    }

    /// Keeps a frame that arrived, to be replayed one day.
    pub(crate) fn remember(&mut self, side: usize, frame: &Frame) {
        if matches!(frame, Frame::Hello(_) | Frame::Authors(_)) {
            return;
        }
        let past = &mut self.past[side];
        if past.len() == PAST_KEPT {
            past.pop_front();
        }
        past.push_back(frame.clone());
    }
}

/// A road through an office.
pub(crate) const FAST: (u64, u64) = (1, 30);
/// A road through a tired mobile network.
pub(crate) const SLOW: (u64, u64) = (300, 4_000);

impl Wire {
    pub(crate) fn new(road: usize, ends: [(MachineNo, u64); 2], now_ms: u64) -> Self {
        let side = |(machine, life)| Side {
            machine,
            life,
            knows: true,
            coming: VecDeque::new(),
            last_at: now_ms,
            under_way: BTreeMap::new(),
        };
        Self { road, sides: ends.map(side), cut: false, tampered: false, replays: [0; 2] }
    }

    /// The side of a machine in its present life.
    pub(crate) fn side_of(&self, machine: MachineNo, life: u64) -> Option<usize> {
        self.sides.iter().position(|side| side.machine == machine && side.life == life)
    }
}

/// About what a frame takes on the wire, in bytes.
pub(crate) fn frame_bytes(frame: &Frame) -> u64 {
    let content = match frame {
        Frame::Hello(hello) => hello.spaces.len() * 150,
        Frame::Batch(batch) => batch.items.iter().map(|item| item.bytes.len() + 80).sum(),
        Frame::Ack(ack) => ack.refused.len() * 60 + ack.again.len() * 32,
        Frame::Ranges(ranges) => ranges.children.len() * 41,
        Frame::Hashes(hashes) => hashes.hashes.len() * 32,
        Frame::Authors(grants) => grants.len() * 60,
        Frame::Unknown => 0,
    };
    content as u64 + 100
}
