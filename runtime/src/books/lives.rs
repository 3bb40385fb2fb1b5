//! Machines that go on under one name with copies of one disk, as far as this one knows.
//!
//! A street hub goes on with the one whose journal it has read, and ends each link to the other; that
//! one notes that it is a second life, and waits to be enrolled anew. Both notes are durable, and so
//! is how far the hub had read, without which a restart could take the copy for the original. It
//! refuses to end a link between two desks: what is written on either is good.

use std::collections::BTreeMap;

use linli_domain::id::{PeerName, Role, Space};
use linli_replica::frame::Cursor;
use linli_replica::holdings::{Holdings as _, Whose};
use linli_store::disk::Disk;
use linli_store::views::Views;
use serde::{Deserialize, Serialize};

use super::Books;
use super::rows::{cursor_row, read_cursor};

const SECOND: &str = "second-life";
const DOUBLED: &str = "doubled ";
/// Between two times that the note about a machine is written anew while it goes on calling.
const NOTE_EVERY_MILLIS: u64 = 3_600 * 1_000;

/// What is known of machines that are there twice.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// Links to second lives end; the simulator goes on with them.
    ends_links: bool,
    /// This machine is one.
    second: Option<Second>,
    /// Machines of which a second life has called, with the time it last did, in milliseconds since
    /// 1970.
    doubled: BTreeMap<PeerName, u64>,
}

/// A machine that goes on under the name of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Second {
    /// The name. Under another one the machine has a life of its own.
    name: PeerName,
    /// The hub that has read the other one.
    by: PeerName,
}

/// What a hub keeps of a machine that is there twice.
#[derive(Debug, Serialize, Deserialize)]
struct Doubled {
    at: u64,
    /// How far the one it goes on with was read, each as its row.
    read: Vec<(Space, Vec<u8>)>,
}

impl<D: Disk, V: Views> Books<D, V> {
    /// From now on links to second lives end.
    pub(crate) fn end_second_lives(&mut self) {
        self.lives.ends_links = true;
    }

    /// Call behind the cursors' own rows, which may be older.
    pub(super) fn load_lives(&mut self) {
        let second = self.store.journal().note(SECOND).map(<[u8]>::to_vec);
        let second = second.and_then(|value| serde_json::from_slice::<Second>(&value).ok());
        self.lives.second = second.filter(|second| second.name == self.me);
        // A journal that lost its end may lack what was read.
        let whole = !self.store.was_set_back();
        for (name, value) in self.notes(DOUBLED) {
            let doubled = serde_json::from_slice::<Doubled>(&value).ok();
            let (Ok(peer), Some(doubled)) = (PeerName::parse(&name), doubled) else { continue };
            for (space, row) in doubled.read {
                let Some(read) = read_cursor(&row).filter(|_| whole) else { continue };
                let known = self.cursors.get(&(peer.clone(), space.clone()));
                if known.is_none_or(|known| known.epoch == read.epoch && known.seq < read.seq) {
                    self.cursors.insert((peer.clone(), space), read);
                }
            }
            self.lives.doubled.insert(peer, doubled.at);
        }
    }

    /// The hub that knows another machine under this one's name.
    pub fn second_life(&self) -> Option<&PeerName> {
        self.lives.second.as_ref().map(|second| &second.by)
    }

    /// Machines of which a second life has called, with the last time, in milliseconds since 1970.
    pub fn doubled(&self) -> impl Iterator<Item = (&PeerName, u64)> {
        self.lives.doubled.iter().map(|(peer, at)| (peer, *at))
    }

    /// The hub knows this machine's journal as its own again.
    pub(crate) fn end_second_life(&mut self) {
        if self.lives.second.take().is_some() {
            self.drop_note(SECOND);
        }
    }

    /// Forgets how far a machine was read, and that there were two: the next to call under the name
    /// is the one to go on with. False if there were not.
    pub(crate) fn accept_life(&mut self, peer: &PeerName) -> bool {
        if self.lives.doubled.remove(peer).is_none() {
            return false;
        }
        self.drop_note(&format!("{DOUBLED}{peer}"));
        let of_it: Vec<_> =
            self.cursors.keys().filter(|(known, _)| known == peer).cloned().collect();
        for place in of_it {
            self.set_cursor(&place.0, &place.1, Cursor::default());
            self.set_proven(&place.0, &place.1, Cursor::default());
        }
        true
    }

    /// Takes note of a second life; true where the link to it must end.
    pub(super) fn note_life(&mut self, peer: &PeerName, whose: Whose) -> bool {
        let (me, them) = (self.me.role(), peer.role());
        match whose {
            Whose::Ours if me == Role::Node && them == Role::StreetHub && self.lives.ends_links => {
                if self.lives.second.is_none() {
                    let second = Second { name: self.me.clone(), by: peer.clone() };
                    let value = serde_json::to_vec(&second).expect("names serialise");
                    self.keep_note(SECOND, &value);
                    self.lives.second = Some(second);
                }
                true
            }
            Whose::Theirs if me != Role::Node && them == Role::Node && self.lives.ends_links => {
                self.note_doubled(peer);
                true
            }
            Whose::Ours | Whose::Theirs => false,
        }
    }

    fn note_doubled(&mut self, peer: &PeerName) {
        let at = self.now_millis;
        let noted = self.lives.doubled.get(peer);
        if noted.is_some_and(|noted| at.abs_diff(*noted) < NOTE_EVERY_MILLIS) {
            return;
        }
        self.lives.doubled.insert(peer.clone(), at);
        let of_it = self.cursors.iter().filter(|((known, _), _)| known == peer);
        let read = of_it.map(|((_, space), cursor)| (space.clone(), cursor_row(cursor)));
        let doubled = Doubled { at, read: read.collect() };
        let value = serde_json::to_vec(&doubled).expect("names and numbers serialise");
        self.keep_note(&format!("{DOUBLED}{peer}"), &value);
    }
}
