//! Keys of sealed documents: drawn where somebody seals first, taken with the envelopes they open,
//! and destroyed with an erasure.
//!
//! An erasure is an entry of the open space whose id follows from its target's. It is believed when
//! a desk of the community wrote it, and undone by nobody: a mark on the key shelf outlives the
//! entry's later edits, and the entry renews a mark that was lost. A hub keeps and passes on keys
//! that it cannot open.

use std::io;

use bytes::Bytes;
use linli_domain::id::{AuthorId, EntryId, Space};
use linli_domain::seal::{
    self, DocumentKey, DocumentPlace, ERASURE_KIND, OpenError, erasure_id, wrapped_epoch,
};
use linli_domain::value::Value;
use linli_replica::frame::Item;
use linli_replica::limits::KEYS_PER_ITEM_MAX;
use linli_store::disk::Disk;
use linli_store::keys::KeyRow;
use linli_store::views::Views;

use super::Books;
use super::trouble::BooksTrouble;
use crate::ask::PAGE_MAX;

/// The field of an erasure that names the erased entry.
pub(crate) const TARGET: &str = "target";

impl<D: Disk, V: Views> Books<D, V> {
    /// The key to seal with in a document, with its key epoch: one that was drawn in the newest
    /// epoch, by whomever, or a new one. `None` without the ring, or once the document was erased.
    pub(crate) fn sealing_key(
        &mut self,
        space: &Space,
        entry: &EntryId,
        draw: &mut dyn FnMut(&mut [u8]),
    ) -> Option<(DocumentKey, u32)> {
        let ring = self.ring.clone()?;
        let place = DocumentPlace::of(space, entry);
        let newest = ring.newest();
        if self.store.shelf().is_erased(&place) {
            return None;
        }
        let held = self
            .document_keys(&place)
            .iter()
            .filter(|row| wrapped_epoch(&row.wrapped) == Some(newest.epoch))
            .filter_map(|row| DocumentKey::unwrap(&ring, &row.wrapped, space, entry))
            .min_by_key(|key| seal::name_of(key, space, entry));
        if let Some(key) = held {
            return Some((key, newest.epoch));
        }
        let (mut secret, mut nonce) = ([0; 32], [0; 24]);
        draw(&mut secret);
        draw(&mut nonce);
        let key = DocumentKey::new(secret);
        let wrapped = key.wrap(newest, space, entry, nonce);
        self.store.put_key(place, seal::name_of(&key, space, entry), &wrapped);
        Some((key, newest.epoch))
    }

    /// The content of an envelope, with the keys held here.
    pub fn opened(
        &mut self,
        space: &Space,
        entry: &EntryId,
        envelope: &[u8],
    ) -> Result<Bytes, OpenError> {
        let Some(ring) = self.ring.clone() else {
            let head = seal::inspect(envelope).map_err(|_| OpenError::Malformed)?;
            return Err(OpenError::NoKey { epoch: head.epoch });
        };
        let place = DocumentPlace::of(space, entry);
        if self.store.shelf().is_erased(&place) {
            return Err(OpenError::NoDocumentKey);
        }
        let name = seal::key_name(envelope);
        let keys = if name.is_some() { self.document_keys(&place) } else { Vec::new() };
        let named = keys.iter().filter(|key| Some(key.name) == name).map(|key| &*key.wrapped);
        seal::open(&ring, named, space, entry, envelope)
    }

    /// The wrapped keys of a document; of those that cannot be read it is told.
    fn document_keys(&mut self, place: &DocumentPlace) -> Vec<KeyRow> {
        self.store.keys(place).unwrap_or_else(|error| {
            self.troubles.push(BooksTrouble::Read(format!("the key shelf: {error}")));
            Vec::new()
        })
    }

    /// The wrapped keys that travel with an envelope. It must not travel without them because they
    /// could not be read just now.
    pub(super) fn keys_beside(
        &mut self,
        space: &Space,
        entry: &EntryId,
        bytes: &[u8],
    ) -> io::Result<Vec<Bytes>> {
        let Some(name) = seal::key_name(bytes).filter(|_| space.is_sealed()) else {
            return Ok(Vec::new());
        };
        let keys = self.store.keys(&DocumentPlace::of(space, entry))?.into_iter();
        let named = keys.filter(|key| key.name == name).take(KEYS_PER_ITEM_MAX);
        Ok(named.map(|key| Bytes::from(key.wrapped)).collect())
    }

    /// Takes the keys that came with an envelope; true if any is new. Who has the ring takes none
    /// that does not open it.
    pub(super) fn take_keys(&mut self, space: &Space, item: &Item) -> bool {
        let Some(name) = seal::key_name(&item.bytes).filter(|_| space.is_sealed()) else {
            return false;
        };
        let place = DocumentPlace::of(space, &item.entry);
        let mut taken = false;
        for wrapped in item.keys.iter().take(KEYS_PER_ITEM_MAX) {
            let fits = self.ring.as_ref().is_none_or(|ring| {
                DocumentKey::unwrap(ring, wrapped, space, &item.entry)
                    .is_none_or(|key| seal::name_of(&key, space, &item.entry) == name)
            });
            taken |= fits && self.store.put_key(place, name, wrapped);
        }
        taken
    }

    /// Whether the sealed half of an entry was erased.
    pub fn is_erased(&self, space: &Space, entry: &EntryId) -> bool {
        space.is_sealed() && self.store.shelf().is_erased(&DocumentPlace::of(space, entry))
    }

    /// Whether it was, and no file of this machine holds its text.
    pub fn is_clean(&self, space: &Space, entry: &EntryId) -> bool {
        self.store.shelf().is_clean(&DocumentPlace::of(space, entry))
    }

    /// Erased documents whose text may still lie in the files of the views.
    pub fn unclean(&self) -> usize {
        self.store.shelf().unclean()
    }

    /// Wrapped keys held of a document: none once it was erased.
    pub fn keys_held(&mut self, space: &Space, entry: &EntryId) -> usize {
        self.document_keys(&DocumentPlace::of(space, entry)).len()
    }

    /// Destroys what an erasure names, if it is one that counts.
    pub(super) fn follow_erasure(&mut self, space: &Space, entry: &EntryId) {
        let Space::Open(community) = space else { return };
        if entry.kind() != ERASURE_KIND {
            return;
        }
        let sealed = Space::Sealed(community.clone());
        let target = |value: &Value| {
            let target = EntryId::parse(value.as_text()?).ok()?;
            (erasure_id(&target) == *entry).then_some(target)
        };
        let doc = &self.half(space, entry).doc;
        let named = doc.sides(TARGET).into_iter().find_map(|(_, value)| target(value));
        let keys = doc.values().map(|(key, _)| key);
        let authors: Vec<AuthorId> =
            keys.flat_map(|key| doc.sides(key)).map(|(op, _)| op.actor.author()).collect();
        // Only desks write in the sealed space. One is enough: a hub that has written the same before
        // must not keep a desk's word from counting.
        if let Some(target) = named
            && authors.into_iter().any(|author| self.may_write(&sealed, author))
        {
            self.erase(&sealed, &target);
        }
    }

    /// Follows every erasure in the journal: a crash, or a shelf from a backup, may have brought
    /// keys back. Rows must have been written first.
    pub(crate) fn follow_all_erasures(&mut self) {
        let spaces: Vec<Space> = self.spaces.keys().cloned().collect();
        for space in spaces.into_iter().filter(|space| matches!(space, Space::Open(_))) {
            let mut after = None;
            loop {
                let page = self.entry_ids(&space, ERASURE_KIND, after.as_ref(), PAGE_MAX);
                let page = page.unwrap_or_else(|error| {
                    self.view_failed(error.to_string());
                    Vec::new()
                });
                for entry in &page {
                    self.follow_erasure(&space, entry);
                }
                if page.len() < PAGE_MAX {
                    break;
                }
                after = page.last().cloned();
            }
        }
    }

    /// Takes away the keys and what was opened with them. The envelopes stay, and with them digests
    /// and places.
    fn erase(&mut self, space: &Space, entry: &EntryId) {
        let place = DocumentPlace::of(space, entry);
        self.store.shelf_mut().erase(place);
        self.stir(space, entry);
        let half = self.half_mut(space, entry);
        if half.is_forgotten() {
            return;
        }
        half.forget();
        // It was erased before, and is here again: the views are older than the shelf.
        self.store.shelf_mut().stain(&place);
        if let Some(book) = self.spaces.get_mut(space) {
            book.shelf.mark(entry);
        }
    }
}
