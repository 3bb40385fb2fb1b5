//! The hostile desk: enrolled, behind a real certificate, and following no rule.
//!
//! It sends crafted changes and frames out of order, and answers what it likes. It refuses only
//! what no gate can tell from honest work: to write well-formed changes in another desk's name.

mod craft;

use std::collections::BTreeSet;

use linli_domain::digest::Digest;
use linli_domain::id::{AuthorId, ChangeHash, CommunityId, EntryId, EpochId, PeerName, Space};
use linli_replica::frame::{
    Ack, AuthorGrant, Batch, Cursor, Frame, Hashes, Hello, Item, Ranges, Refused, SpaceState,
};
use linli_replica::holdings::Holdings as _;

use crate::chance::Chance;
use crate::machine::SimSite;
use crate::truth::{MachineNo, Made, Truth};
use craft::Craft;

/// The hostile desk, if this world has one.
pub(crate) struct Mallory {
    no: Option<MachineNo>,
    chance: Chance,
    batches: u64,
    /// A stranger it has named as an author.
    stranger: Option<AuthorId>,
}

/// Something it says.
pub(crate) struct Prank {
    pub(crate) what: &'static str,
    pub(crate) frame: Frame,
    /// Changes that nobody may accept.
    pub(crate) crafted: Vec<ChangeHash>,
    /// Changes that are honest for once.
    pub(crate) made: Vec<(ChangeHash, Made)>,
}

impl Mallory {
    pub(crate) fn new(no: Option<MachineNo>, chance: Chance) -> Self {
        Self { no, chance, batches: 0, stranger: None }
    }

    pub(crate) fn no(&self) -> Option<MachineNo> {
        self.no
    }

    /// What it says first: that it has nothing, or wild claims.
    pub(crate) fn hello(&mut self, me: &PeerName) -> Frame {
        let mut states = Vec::new();
        for space in spaces_of(me) {
            let mut state = SpaceState {
                space,
                held: Digest::default(),
                head: 0,
                chain: 0,
                cursor: None,
                refused: Digest::default(),
            };
            if self.chance.one_in(3) {
                state.held = Digest { count: self.chance.between(0, 9), sum: [1, 2, 3, 4] };
                state.head = self.chance.between(0, 100);
                state.chain = self.chance.between(0, u64::MAX);
                let seq = self.chance.between(0, 50);
                state.cursor =
                    Some(Cursor { epoch: EpochId(self.chance.bytes()), seq, chain: state.chain });
            }
            states.push(state);
        }
        let now = linli_domain::hlc::Hlc(self.chance.between(0, u64::MAX));
        Frame::Hello(Hello { epoch: EpochId(self.chance.bytes()), now, spaces: states })
    }

    /// What it answers, if anything.
    pub(crate) fn hear(&mut self, frame: &Frame) -> Option<Frame> {
        let Frame::Batch(batch) = frame else { return None };
        if self.chance.one_in(6) {
            return None;
        }
        let mut ack = Ack {
            space: batch.space.clone(),
            number: batch.number,
            held: batch.held,
            refused: Vec::new(),
            again: Vec::new(),
            rest_seconds: 0,
        };
        if self.chance.one_in(5) {
            let refuse = |item: &Item| Refused { hash: item.hash, reason: "because".to_owned() };
            ack.refused = batch.items.iter().map(refuse).collect();
        }
        if self.chance.one_in(5) {
            ack.again = batch.items.iter().map(|item| item.hash).collect();
        }
        Some(Frame::Ack(ack))
    }

    /// One thing it should not say, to a machine that has these entries.
    pub(crate) fn prank(
        &mut self,
        me: &PeerName,
        victim: &mut SimSite,
        entries: &BTreeSet<(CommunityId, EntryId)>,
        truth: &Truth,
    ) -> Option<Prank> {
        if self.chance.one_in(8) {
            return Some(self.breach(me));
        }
        if self.chance.one_in(12) {
            return Some(self.grant(me));
        }
        let community = me.community.clone()?;
        let own: Vec<&EntryId> =
            entries.iter().filter(|(id, _)| *id == community).map(|(_, entry)| entry).collect();
        let entry = (*self.chance.pick(&own)?).clone();
        let sealed = self.chance.one_in(4);
        let space = if sealed { Space::Sealed(community) } else { Space::Open(community) };
        let books = victim.books();
        let held = books.held(&space).digest;
        let chance = &mut self.chance;
        let stranger = self.stranger;
        let mut craft = Craft { chance, me, space: &space, entry: &entry, books, truth, stranger };
        let (what, items, honest) = if sealed { craft.envelope() } else { craft.change() }?;
        let (crafted, made) = if honest {
            // Whose it is, the world knows.
            let made = |item: &Item| {
                (item.hash, Made { by: 0, space: space.clone(), entry: item.entry.clone() })
            };
            (Vec::new(), items.iter().map(made).collect())
        } else {
            (items.iter().map(|item| item.hash).collect(), Vec::new())
        };
        // A stolen name stays the honest change's.
        let crafted = if what == "a stolen name" { Vec::new() } else { crafted };
        self.batches += 1;
        let to = self.chance.one_in(2).then(|| Cursor {
            epoch: EpochId(self.chance.bytes()),
            seq: self.chance.between(0, 1_000),
            chain: self.chance.between(0, u64::MAX),
        });
        let last = self.chance.one_in(2);
        let number = self.batches;
        let frame = Frame::Batch(Batch { space, to, number, items, last, held });
        Some(Prank { what, frame, crafted, made })
    }

    /// Names a stranger as an author, as only a hub may.
    fn grant(&mut self, me: &PeerName) -> Prank {
        let author = AuthorId(self.chance.bytes());
        self.stranger = Some(author);
        let grant = |space| AuthorGrant { space, author, name: "nobody".to_owned() };
        let frame = Frame::Authors(spaces_of(me).into_iter().map(grant).collect());
        Prank { what: "a grant of its own", frame, crafted: Vec::new(), made: Vec::new() }
    }

    /// A frame that breaks the rules of a link.
    fn breach(&mut self, me: &PeerName) -> Prank {
        let own = spaces_of(me).swap_remove(0);
        let foreign = Space::Open(
            CommunityId::parse(self.chance.one_of(&["s1-c1", "s2-c2", "nowhere"])).expect("slugs"),
        );
        let (what, frame) = match self.chance.between(0, 5) {
            0 => ("a second hello", self.hello(me)),
            1 => {
                let ack = Ack {
                    space: own,
                    number: 77,
                    held: Digest::default(),
                    refused: Vec::new(),
                    again: Vec::new(),
                    rest_seconds: 0,
                };
                ("an acknowledgement of nothing", Frame::Ack(ack))
            }
            2 => {
                let child = |byte: u16| (byte as u8, Digest::default());
                let children = (0..300).map(child).collect();
                (
                    "too many ranges",
                    Frame::Ranges(Ranges { space: own, prefix: Vec::new(), children }),
                )
            }
            3 => {
                let hashes = vec![ChangeHash([9; 32]), ChangeHash([1; 32])];
                let frame = Hashes { space: own, prefix: vec![9; 40], hashes, answer: true };
                ("hashes without order", Frame::Hashes(frame))
            }
            4 => {
                let batch = Batch {
                    space: foreign,
                    to: None,
                    number: 1,
                    items: Vec::new(),
                    last: true,
                    held: Digest::default(),
                };
                ("a batch of a foreign space", Frame::Batch(batch))
            }
            _ => ("an unknown frame", Frame::Unknown),
        };
        Prank { what, frame, crafted: Vec::new(), made: Vec::new() }
    }
}

fn spaces_of(me: &PeerName) -> Vec<Space> {
    let open = me.community.iter().cloned().map(Space::Open);
    let sealed = me.community.iter().cloned().map(Space::Sealed);
    let board = me.street.iter().cloned().map(Space::Board);
    open.chain(sealed).chain(board).collect()
}
