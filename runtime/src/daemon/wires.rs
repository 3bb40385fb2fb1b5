//! The links that stand: who is at the other end, and what waits to leave.
//!
//! A frame that finds no room waits here in order; a link whose peer does not read is let go once
//! too much waits. It refuses to wait itself.

use std::collections::{BTreeMap, VecDeque};

use linli_domain::id::PeerName;
use linli_replica::LinkId;
use linli_replica::frame::Frame;

use crate::limits::{ITEM_OVERHEAD_BYTES_MAX, LINK_BACKLOG_BYTES_MAX};
use crate::link::{LinkSender, SendRefused};

/// All links of a daemon.
#[derive(Debug, Default)]
pub(super) struct Wires {
    wires: BTreeMap<LinkId, Wire>,
}

#[derive(Debug)]
struct Wire {
    peer: PeerName,
    sender: LinkSender,
    backlog: VecDeque<Frame>,
    backlog_bytes: usize,
}

/// The peer reads too slowly for what is to be said to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Wires {
    /// A link is there.
    pub(super) fn up(&mut self, link: LinkId, peer: PeerName, sender: LinkSender) {
        let wire = Wire { peer, sender, backlog: VecDeque::new(), backlog_bytes: 0 };
        self.wires.insert(link, wire);
    }

    /// Lets a link go; its peer, if it stood.
    pub(super) fn drop(&mut self, link: LinkId) -> Option<PeerName> {
        self.wires.remove(&link).map(|wire| wire.peer)
    }

    /// Every peer that a link stands to.
    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerName> {
        self.wires.values().map(|wire| &wire.peer)
    }

    /// Sends a frame, behind what waits already. A link that is gone swallows it.
    pub(super) fn send(&mut self, link: LinkId, frame: Frame) -> Result<(), Overflow> {
        let Some(wire) = self.wires.get_mut(&link) else { return Ok(()) };
        if wire.backlog.is_empty() {
            match wire.sender.try_send(frame) {
                Ok(()) | Err(SendRefused::Gone) => return Ok(()),
                Err(SendRefused::Full(frame)) => wire.wait(*frame),
            }
        } else {
            wire.wait(frame);
        }
        if wire.backlog_bytes > LINK_BACKLOG_BYTES_MAX { Err(Overflow) } else { Ok(()) }
    }

    /// There is room again: sends what waits.
    pub(super) fn flush(&mut self, link: LinkId) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        while let Some(frame) = wire.backlog.pop_front() {
            let bytes = frame_bytes(&frame);
            match wire.sender.try_send(frame) {
                Ok(()) => wire.backlog_bytes -= bytes,
                Err(SendRefused::Full(frame)) => {
                    wire.backlog.push_front(*frame);
                    return;
                }
                Err(SendRefused::Gone) => {
                    wire.backlog.clear();
                    wire.backlog_bytes = 0;
                }
            }
        }
    }
}

impl Wire {
    fn wait(&mut self, frame: Frame) {
        self.backlog_bytes += frame_bytes(&frame);
        self.backlog.push_back(frame);
    }
}

/// About what a frame takes in memory.
pub(super) fn frame_bytes(frame: &Frame) -> usize {
    let content = match frame {
        Frame::Hello(hello) => hello.spaces.len() * 200,
        Frame::Batch(batch) => {
            batch.items.iter().map(|item| item.bytes.len() + ITEM_OVERHEAD_BYTES_MAX).sum()
        }
        Frame::Ack(ack) => ack.refused.len() * 80 + ack.again.len() * 32,
        Frame::Ranges(ranges) => ranges.children.len() * 48,
        Frame::Hashes(hashes) => hashes.hashes.len() * 32,
        Frame::Authors(grants) => grants.len() * 200,
        Frame::Unknown => 0,
    };
    content + 160
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use linli_domain::id::{ChangeHash, CommunityId, Space};
    use linli_replica::frame::Hashes;
    use tokio_stream::StreamExt as _;

    use super::*;
    use crate::limits::LINK_FRAMES_MAX;
    use crate::link::{LinkEvent, Links};
    use crate::wire;

    fn hashes(many: usize, prefix: u8) -> Frame {
        Frame::Hashes(Hashes {
            space: Space::Open(CommunityId::parse("yili").unwrap()),
            prefix: vec![prefix],
            hashes: vec![ChangeHash::default(); many],
            answer: false,
        })
    }

    #[tokio::test]
    async fn what_finds_no_room_waits_in_order_until_too_much_waits() {
        let (links, mut events) = Links::new();
        let peer = PeerName::parse("d/s/yili/one").unwrap();
        let (session, mut outgoing) = links.open(peer.clone(), true);
        let running = tokio::spawn(session.run(pending(), pending(), || None));
        let Some(LinkEvent::Up { frames, .. }) = events.recv().await else { panic!("no link") };
        let mut wires = Wires::default();
        wires.up(LinkId(1), peer.clone(), frames);

        let total = LINK_FRAMES_MAX + 10;
        let sent: Vec<Frame> = (0..total).map(|nth| hashes(1, nth as u8)).collect();
        for frame in &sent {
            assert_eq!(wires.send(LinkId(1), frame.clone()), Ok(()));
        }
        let mut came = Vec::new();
        while came.len() < total {
            let envelope = outgoing.next().await.unwrap().unwrap();
            came.push(wire::decode(envelope).unwrap());
            if let Ok(LinkEvent::Room { .. }) = events.try_recv() {
                wires.flush(LinkId(1));
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(came, sent);

        let large = LINK_BACKLOG_BYTES_MAX / 32 / 8;
        let overflow =
            (0..LINK_FRAMES_MAX + 10).find_map(|_| wires.send(LinkId(1), hashes(large, 0)).err());
        assert_eq!(overflow, Some(Overflow));
        assert_eq!(wires.drop(LinkId(1)), Some(peer));
        assert_eq!(wires.send(LinkId(1), hashes(1, 0)), Ok(()), "a link that is gone swallows it");
        running.abort();
    }
}
