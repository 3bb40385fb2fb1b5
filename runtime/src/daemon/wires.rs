//! The links that stand: who is at the other end, and what waits to leave.
//!
//! A frame that finds no room waits here in order; a link whose peer does not read is let go once
//! too much waits for it, or for all together. It refuses to wait itself.

use std::collections::{BTreeMap, VecDeque};

use linli_domain::id::PeerName;
use linli_replica::LinkId;
use linli_replica::frame::Frame;

use crate::limits::{LINK_BACKLOG_BYTES_MAX, LINKS_BACKLOG_BYTES_MAX};
use crate::link::{LinkSender, SendRefused};
use crate::wire;

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

/// The peer of this link reads too slowly for what is to be said to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow(pub(super) LinkId);

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
        if wire.backlog_bytes > LINK_BACKLOG_BYTES_MAX {
            return Err(Overflow(link));
        }
        if self.queued_bytes() > LINKS_BACKLOG_BYTES_MAX {
            let most = self.wires.iter().max_by_key(|(_, wire)| wire.backlog_bytes);
            return most.map_or(Ok(()), |(link, _)| Err(Overflow(*link)));
        }
        Ok(())
    }

    /// Bytes that wait to leave, over all links, about.
    pub(super) fn queued_bytes(&self) -> usize {
        self.wires.values().map(|wire| wire.backlog_bytes + wire.sender.queued_bytes()).sum()
    }

    /// Notes what a link's peer did: it broke a rule.
    pub(super) fn note_breach(&self, link: LinkId) {
        if let Some(wire) = self.wires.get(&link) {
            wire.sender.note_breach();
        }
    }

    /// Lets who dialled a link know why it is about to be closed.
    pub(super) fn part(&self, link: LinkId, why: &'static str) {
        if let Some(wire) = self.wires.get(&link) {
            wire.sender.part(why);
        }
    }

    /// Notes what a link's peer did: so many of its changes were refused.
    pub(super) fn note_refused(&self, link: LinkId, changes: usize) {
        if let Some(wire) = self.wires.get(&link) {
            wire.sender.note_refused(changes);
        }
    }

    /// There is room again: sends what waits.
    pub(super) fn flush(&mut self, link: LinkId) {
        let Some(wire) = self.wires.get_mut(&link) else { return };
        while let Some(frame) = wire.backlog.pop_front() {
            let bytes = wire::bytes_of(&frame);
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
        self.backlog_bytes += wire::bytes_of(&frame);
        self.backlog.push_back(frame);
    }
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
        assert_eq!(overflow, Some(Overflow(LinkId(1))));
        assert_eq!(wires.drop(LinkId(1)), Some(peer));
        assert_eq!(wires.send(LinkId(1), hashes(1, 0)), Ok(()), "a link that is gone swallows it");
        running.abort();
    }
}
