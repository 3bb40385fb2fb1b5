//! The engine: one `match` over what can happen on a machine's links.
//!
//! Every effect of a turn is released by the machine only after what the turn staged is durable;
//! the engine itself never waits and never asks for time.

use std::collections::BTreeMap;

use linli_domain::hlc::Hlc;
use linli_domain::id::{PeerName, Space};

use crate::frame::{Frame, Hello, SpaceState};
use crate::holdings::Holdings;
use crate::limits::{HASHES_PER_FRAME_MAX, RANGES_PER_FRAME_MAX, SPACES_PER_LINK_MAX};
use crate::lives;
use crate::ranges;
use crate::session::Session;

/// An authenticated connection, numbered by the machine; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl LinkId {
    /// Batches are numbered behind this, so that an answer which was given on another link names
    /// none of this one's. A link ends after about an hour, long before its 2^32 numbers do.
    pub(crate) fn numbered_behind(self) -> u64 {
        self.0 << 32
    }
}

/// What happens to the engine.
#[derive(Debug, Clone)]
pub enum Event {
    /// A link to a peer stands; `spaces` are those both sides share.
    LinkUp {
        /// The link.
        link: LinkId,
        /// Who is at the other end, from its certificate.
        peer: PeerName,
        /// The spaces the two share.
        spaces: Vec<Space>,
        /// The peer's word on who may write is taken: it is this machine's hub.
        trusted: bool,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A peer said something.
    Frame {
        /// The link it came over.
        link: LinkId,
        /// What it said.
        frame: Frame,
    },
    /// The machines that may write have changed: tell every peer.
    Granted,
    /// All events of this turn are in: send what is new.
    TurnEnds,
    /// Some time has passed; about once a second.
    Tick,
}

/// What the engine wants done, once the turn is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Say something to a peer.
    Send {
        /// The link.
        link: LinkId,
        /// What to say.
        frame: Frame,
    },
    /// End a link whose peer breaks the rules.
    Close {
        /// The link.
        link: LinkId,
        /// Why, for the log.
        reason: &'static str,
    },
}

/// How a link stands in one space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The peer.
    pub peer: PeerName,
    /// The space.
    pub space: Space,
    /// Both hold the same, but for what was refused.
    pub agreed: bool,
    /// Changes of ours that the peer has not acknowledged yet.
    pub unsent: u64,
    /// The peer has asked for rest; what waits goes on by itself after it.
    pub resting: bool,
}

/// The engine of one machine.
#[derive(Debug, Default)]
pub struct Replica {
    links: BTreeMap<LinkId, Link>,
}

#[derive(Debug)]
struct Link {
    peer: PeerName,
    trusted: bool,
    greeted: bool,
    sessions: BTreeMap<Space, Session>,
}

impl Replica {
    /// An engine without links.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event and adds what follows from it to `effects`.
    pub fn step(
        &mut self,
        now: Hlc,
        event: Event,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        match event {
            Event::LinkUp { link, peer, spaces, trusted } => {
                self.greet(now, link, peer, spaces, trusted, holdings, effects);
            }
            Event::LinkDown { link } => {
                self.links.remove(&link);
            }
            Event::Frame { link, frame } => self.hear(link, frame, holdings, effects),
            Event::Granted => {
                for (link, state) in &self.links {
                    tell_authors(*link, state, holdings, effects);
                }
            }
            Event::TurnEnds => {
                for (link, state) in self.links.iter_mut().filter(|(_, state)| state.greeted) {
                    for session in state.sessions.values_mut() {
                        session.pump(*link, holdings, effects);
                    }
                }
            }
            Event::Tick => {
                for (link, state) in self.links.iter_mut().filter(|(_, state)| state.greeted) {
                    for session in state.sessions.values_mut() {
                        session.tick(*link, holdings, effects);
                    }
                }
            }
        }
    }

    /// How every link stands in every space, in link order.
    pub fn standings(&self, holdings: &dyn Holdings) -> Vec<Standing> {
        let mut standings = Vec::new();
        for state in self.links.values() {
            for session in state.sessions.values() {
                standings.push(Standing {
                    peer: state.peer.clone(),
                    space: session.space().clone(),
                    agreed: state.greeted && session.agrees(holdings),
                    unsent: session.unsent(holdings),
                    resting: session.is_resting(),
                });
            }
        }
        standings
    }

    /// Number of links.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event, taken apart once")]
    fn greet(
        &mut self,
        now: Hlc,
        link: LinkId,
        peer: PeerName,
        mut spaces: Vec<Space>,
        trusted: bool,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        spaces.truncate(SPACES_PER_LINK_MAX);
        let states = spaces
            .iter()
            .map(|space| {
                let held = holdings.held(space);
                SpaceState {
                    space: space.clone(),
                    held: held.digest,
                    head: held.head,
                    chain: held.chain,
                    cursor: holdings.cursor(&peer, space),
                    refused: holdings.refused_from(&peer, space),
                }
            })
            .collect();
        let hello = Hello { epoch: holdings.epoch(), now, spaces: states };
        effects.push(Effect::Send { link, frame: Frame::Hello(hello) });
        let sessions = spaces
            .into_iter()
            .map(|space| {
                let held = holdings.held(&space).digest;
                let refused = holdings.refused_by(&peer, &space);
                (space.clone(), Session::new(link, peer.clone(), space, held, refused))
            })
            .collect();
        let state = Link { peer, trusted, greeted: false, sessions };
        tell_authors(link, &state, holdings, effects);
        self.links.insert(link, state);
    }

    fn hear(
        &mut self,
        link: LinkId,
        frame: Frame,
        holdings: &mut dyn Holdings,
        effects: &mut Vec<Effect>,
    ) {
        // Frames of a link that was closed in this turn may still arrive: they say nothing to us.
        let Some(state) = self.links.get_mut(&link) else { return };
        let verdict = match frame {
            Frame::Hello(hello) => hear_hello(state, &hello, holdings),
            Frame::Authors(grants) => {
                if state.trusted {
                    holdings.grant(&grants);
                }
                Ok(())
            }
            Frame::Batch(batch) => state.session(&batch.space).map(|session| {
                session.take(link, batch, holdings, effects);
            }),
            Frame::Ack(ack) => {
                state.session(&ack.space).and_then(|session| session.acknowledged(ack, holdings))
            }
            Frame::Ranges(told) if told.children.len() > RANGES_PER_FRAME_MAX => Err(TOO_MUCH),
            Frame::Ranges(told) => state
                .session(&told.space)
                .and_then(|session| ranges::compare(link, session, &told, holdings, effects)),
            Frame::Hashes(told) if told.hashes.len() > HASHES_PER_FRAME_MAX => Err(TOO_MUCH),
            Frame::Hashes(told) => state
                .session(&told.space)
                .and_then(|session| ranges::list(link, session, &told, holdings, effects)),
            Frame::Unknown => Ok(()),
        };
        if let Err(reason) = verdict {
            self.links.remove(&link);
            effects.push(Effect::Close { link, reason });
        }
    }
}

/// Why a link ends to the later of two machines that go on with copies of one disk.
pub const OTHER_LIFE: &str = "two machines go on under one name";

const TOO_MUCH: &str = "a frame exceeds its bound";

impl Link {
    /// The session of a space, once the peer has said hello. A space that is not shared and one
    /// that does not exist get the same answer.
    fn session(&mut self, space: &Space) -> Result<&mut Session, &'static str> {
        if !self.greeted {
            return Err("a frame came before the hello");
        }
        self.sessions.get_mut(space).ok_or("the space is not shared on this link")
    }
}

fn hear_hello(
    state: &mut Link,
    hello: &Hello,
    holdings: &mut dyn Holdings,
) -> Result<(), &'static str> {
    if state.greeted {
        return Err("a second hello");
    }
    if hello.spaces.len() > SPACES_PER_LINK_MAX {
        return Err(TOO_MUCH);
    }
    state.greeted = true;
    // A space only one side names is no longer, or not yet, shared: it is left alone.
    let named = |space: &Space| hello.spaces.iter().any(|told| told.space == *space);
    state.sessions.retain(|space, _| named(space));
    // Before anything is noted of this journal, which may not be the one that was read.
    let mut ends = false;
    for told in &hello.spaces {
        if state.sessions.contains_key(&told.space) {
            ends |= lives::look(&state.peer, hello.epoch, told, holdings);
        }
    }
    if ends {
        return Err(OTHER_LIFE);
    }
    for told in &hello.spaces {
        if let Some(session) = state.sessions.get_mut(&told.space) {
            session.open(hello.epoch, told, holdings);
        }
    }
    Ok(())
}

fn tell_authors(link: LinkId, state: &Link, holdings: &dyn Holdings, effects: &mut Vec<Effect>) {
    let grants: Vec<_> = state.sessions.keys().flat_map(|space| holdings.authors(space)).collect();
    if !grants.is_empty() && !state.trusted {
        effects.push(Effect::Send { link, frame: Frame::Authors(grants) });
    }
}
