//! The rings that other desks hand to this one, in its own `device` entry.
//!
//! It refuses a ring that no list which lets this machine in was begun with, and every key that
//! the list does not name.

use data_encoding::BASE64;
use linli_domain::id::{PeerName, Space};
use linli_domain::seal::{DeviceKey, KeyRing, Member, MemberRow, Members, mark, unwrap, wrap};
use linli_domain::value::Value;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use super::devices::{WRAPPED_KEY, device_entry};

impl<D: Disk, V: Views> Site<D, V> {
    /// Takes the ring from our own `device` entry, if another desk has put it there and a list
    /// that lets this machine in was begun with it and names its keys. Where nobody speaks of a
    /// list the ring alone is taken, as before there were lists.
    pub(super) fn accept_ring(&mut self) {
        if let Some(held) = self.books.ring() {
            self.fill_ring(&held);
            return;
        }
        let Some(device) = self.device.clone() else { return };
        let handed = self.handed_rings(&device);
        if handed.is_empty() {
            return;
        }
        let opened: Vec<KeyRing> = handed.into_iter().flatten().collect();
        if !self.list_is_spoken_of() {
            self.roll.ring_refused = opened.is_empty();
            if let Some(ring) = opened.into_iter().next() {
                self.take_over(ring);
            }
            return;
        }
        let pinned = self.roll.list.clone();
        let lists = pinned.map_or_else(|| self.lists(), |list| vec![list]);
        let lets_in = opened.into_iter().find_map(|ring| {
            let fits =
                |list: &&Members| list.fits(&ring) && list.admission(&device.keys()).is_some();
            lists.iter().find(fits).cloned().map(|list| (ring, list))
        });
        self.roll.ring_refused = lets_in.is_none();
        if let Some((ring, list)) = lets_in {
            self.pin(list);
            self.take_over(ring.clone());
            // Another desk may have handed over keys that the first one lacked.
            self.fill_ring(&ring);
        }
    }

    /// Takes the later keys of a ring that was handed to a machine which has one already: it was
    /// removed and let in again, or comes from before there were lists. Its admission says that
    /// it was handed every key before it, so nobody wraps these for it once more. Only keys that
    /// the list names are taken.
    fn fill_ring(&mut self, held: &KeyRing) {
        let (Some(device), Some(community)) =
            (self.device.clone(), self.books.me().community.clone())
        else {
            return;
        };
        let list = self.roll.list.as_ref();
        let list = list.filter(|list| list.admission(&device.keys()).is_some());
        let lacking = list.map(|list| list.lacks(held).all()).unwrap_or_default();
        if lacking.is_empty() {
            return;
        }
        let handed = self.handed_rings(&device);
        let keys = handed.iter().flatten().flat_map(KeyRing::keys);
        let keys = keys.filter(|key| lacking.contains(&mark(&community, key)));
        self.take_keys(keys.cloned().collect());
    }

    /// Hands the ring once more to desks that this machine let in and whose entry holds none. A
    /// store that was put back from a backup has forgotten it; the list is kept apart, and has not.
    pub(super) fn hand_rings_again(&mut self) {
        let (Some(ring), Some(space)) = (self.books.ring(), self.open_space()) else { return };
        let (Some(device), Some(list)) = (self.device.clone(), &self.roll.list) else { return };
        if list.admission(&device.keys()).is_none() {
            return;
        }
        let (me, rows) = (self.books.me().clone(), list.rows());
        let by_this = |row: &MemberRow| {
            row.removed.is_none()
                && row.by.as_ref() == Some(&me.machine)
                && row.member.keys != device.keys()
        };
        for Member { name, keys } in rows.into_iter().filter(by_this).map(|row| row.member) {
            let name = PeerName { machine: name, ..me.clone() };
            let Some(entry) = device_entry(&name) else { continue };
            if self.books.half(&space, &entry).doc.get(WRAPPED_KEY).is_some() {
                continue;
            }
            let seed = self.draw();
            if let Ok(wrapped) = wrap(&ring, keys.sealing, &name, seed) {
                let text = Value::from(BASE64.encode(&wrapped));
                // It fits, as when the desk was approved.
                let _written = self.write_in(
                    &space,
                    &entry,
                    vec![(WRAPPED_KEY.to_owned(), Some(text))],
                    false,
                );
            }
        }
    }

    /// The rings in our own `device` entry; an error for one that our key does not open. Desks that
    /// approve this machine apart from each other hand it one each, which stand side by side, and
    /// any may hold a key that the others lack.
    fn handed_rings(&mut self, device: &DeviceKey) -> Vec<Result<KeyRing, ()>> {
        let me = self.books.me().clone();
        let (Some(space), Some(entry)) = (self.open_space(), device_entry(&me)) else {
            return Vec::new();
        };
        let half = self.books.half(&space, &entry);
        let sides = half.doc.sides(WRAPPED_KEY);
        let rings = sides.into_iter().rev().filter_map(|(_, side)| side.as_text()).map(|text| {
            let bytes = BASE64.decode(text.as_bytes()).map_err(drop)?;
            unwrap(device, &bytes, &me).map_err(drop)
        });
        rings.collect()
    }

    /// Opens every envelope that waited for the ring.
    pub(super) fn unlock(&mut self) {
        if self.books.ring().is_some()
            && let Some(community) = self.books.me().community.clone()
        {
            self.books.read_all_sealed(&Space::Sealed(community));
        }
    }
}
