//! The key of a sealed document: drawn at random, so that it can be destroyed.
//!
//! A document key lies and travels *wrapped* under the key of its community:
//!
//! ```text
//! format u8 | key epoch u32 | nonce 24 | sealed key 32 | tag 16
//! ```
//!
//! Whoever relays a wrapped key cannot open it; whoever holds the community's key and has lost the
//! wrapped one cannot open the document any more. That is how a person is deleted from journals
//! that only grow. It refuses to be unwrapped for another entry, space or epoch.

use std::fmt;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use data_encoding::BASE32_NOPAD;
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::framed;
use super::ring::{CommunityKey, KeyRing};
use crate::id::{EntryId, Space};

/// Largest wrapped key that is kept and passed on, in bytes: one of ours takes 77, and a later
/// format has some room.
pub const WRAPPED_KEY_BYTES_MAX: usize = 80;

const FORMAT: u8 = 1;
const EPOCH_AT: usize = 1;
const NONCE_AT: usize = 5;
const SEALED_AT: usize = 29;
const TAG_AT: usize = 61;
const WRAPPED_BYTES: usize = 77;

/// The kind of the entries that say that a document was erased.
pub const ERASURE_KIND: &str = "erasure";

/// The secret one sealed document, or one desk's part of it, is sealed under.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentKey(pub(super) [u8; 32]);

/// What a document key is known by: the commitment in the envelopes sealed under it. Public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(pub [u8; 32]);

/// A sealed document's place, a space and an entry, as 32 bytes: SHA-256 over both. Public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentPlace(pub [u8; 32]);

impl DocumentPlace {
    /// The place of an entry's document in a space.
    pub fn of(space: &Space, entry: &EntryId) -> Self {
        let place = framed(&[
            b"linli document place",
            space.to_string().as_bytes(),
            entry.as_str().as_bytes(),
        ]);
        Self(Sha256::digest(place).into())
    }
}

impl DocumentKey {
    /// A key of 32 random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// Wraps the key for its place under a key of the community. `nonce` must be random.
    pub fn wrap(
        &self,
        community_key: &CommunityKey,
        space: &Space,
        entry: &EntryId,
        nonce: [u8; 24],
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(WRAPPED_BYTES);
        out.push(FORMAT);
        out.extend_from_slice(&community_key.epoch.to_le_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&self.0);
        let associated = associated_data(&out[..NONCE_AT], space, entry);
        let body = InOutBuf::from(&mut out[SEALED_AT..]);
        let tag = XChaCha20Poly1305::new(&(*wrapping_key(community_key)).into())
            .encrypt_inout_detached(&nonce.into(), &associated, body)
            .expect("a key is far below the cipher's limit of 256 GB");
        out.extend_from_slice(&tag);
        out
    }

    /// Unwraps a key for its place; `None` if it was wrapped for another one or altered, if this
    /// ring lacks the community's key of its epoch, or if a later release wrapped it.
    pub fn unwrap(ring: &KeyRing, wrapped: &[u8], space: &Space, entry: &EntryId) -> Option<Self> {
        let epoch = wrapped_epoch(wrapped)?;
        ring.keys_of(epoch).find_map(|key| Self::unwrap_with(key, wrapped, space, entry))
    }

    fn unwrap_with(
        community_key: &CommunityKey,
        wrapped: &[u8],
        space: &Space,
        entry: &EntryId,
    ) -> Option<Self> {
        let nonce: [u8; 24] = wrapped.get(NONCE_AT..SEALED_AT)?.try_into().ok()?;
        let tag: [u8; 16] = wrapped.get(TAG_AT..)?.try_into().ok()?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(wrapped.get(SEALED_AT..TAG_AT)?);
        let associated = associated_data(&wrapped[..NONCE_AT], space, entry);
        XChaCha20Poly1305::new(&(*wrapping_key(community_key)).into())
            .decrypt_inout_detached(
                &nonce.into(),
                &associated,
                InOutBuf::from(secret.as_mut_slice()),
                &tag.into(),
            )
            .ok()?;
        Some(Self(*secret))
    }
}

/// The key epoch of a wrapped key; `None` if it is not one of a format known here.
pub fn wrapped_epoch(wrapped: &[u8]) -> Option<u32> {
    if wrapped.len() != WRAPPED_BYTES || wrapped[0] != FORMAT {
        return None;
    }
    let epoch = wrapped[EPOCH_AT..NONCE_AT].try_into().ok()?;
    Some(u32::from_le_bytes(epoch))
}

/// The entry that says that `target` was erased: its id follows from the target's, so that two
/// desks that erase apart write one entry.
pub fn erasure_id(target: &EntryId) -> EntryId {
    let named = framed(&[b"linli erasure", target.as_str().as_bytes()]);
    let mut id = BASE32_NOPAD.encode(&Sha256::digest(named));
    id.truncate(26);
    id.make_ascii_lowercase();
    EntryId::new(ERASURE_KIND, &id).expect("26 of a-z and 2-7 are an id")
}

/// The key that wraps document keys, apart from those that sealed documents before there were any.
fn wrapping_key(key: &CommunityKey) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(b"linli wrapped document key"), &key.secret)
        .expand(&[], out.as_mut_slice())
        .expect("32 bytes are one block of SHA-256");
    out
}

/// `head`: format and epoch, as they stand in the wrapped key.
fn associated_data(head: &[u8], space: &Space, entry: &EntryId) -> Vec<u8> {
    framed(&[head, space.to_string().as_bytes(), entry.as_str().as_bytes()])
}

impl Drop for DocumentKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        let mut ring = KeyRing::new([7; 32], CommunityKey { epoch: 1, secret: [1; 32] });
        ring.add(CommunityKey { epoch: 2, secret: [2; 32] });
        ring
    }

    fn space() -> Space {
        Space::parse("community/yili/sealed").unwrap()
    }

    fn entry() -> EntryId {
        EntryId::parse("household/b3-2-501").unwrap()
    }

    fn wrapped() -> Vec<u8> {
        DocumentKey::new([171; 32]).wrap(ring().newest(), &space(), &entry(), [3; 24])
    }

    fn unwrapped(wrapped: &[u8]) -> Option<DocumentKey> {
        DocumentKey::unwrap(&ring(), wrapped, &space(), &entry())
    }

    #[test]
    fn a_wrapped_key_comes_back_whole_or_not_at_all() {
        let wrapped = wrapped();
        assert_eq!(wrapped.len(), WRAPPED_BYTES);
        assert_eq!(wrapped_epoch(&wrapped), Some(2));
        assert_eq!(unwrapped(&wrapped), Some(DocumentKey::new([171; 32])));
        for bit in 0..wrapped.len() * 8 {
            let mut bad = wrapped.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unwrapped(&bad), None, "bit {bit}");
        }
        for len in 0..wrapped.len() {
            assert_eq!(unwrapped(&wrapped[..len]), None, "cut at {len}");
        }
        let shut_out = KeyRing::new([7; 32], CommunityKey { epoch: 1, secret: [1; 32] });
        assert_eq!(DocumentKey::unwrap(&shut_out, &wrapped, &space(), &entry()), None);
    }

    #[test]
    fn a_wrapped_key_fits_one_place_only() {
        let wrapped = wrapped();
        let other = EntryId::parse("household/b3-2-502").unwrap();
        assert_eq!(DocumentKey::unwrap(&ring(), &wrapped, &space(), &other), None);
        let elsewhere = Space::parse("community/chunhui/sealed").unwrap();
        assert_eq!(DocumentKey::unwrap(&ring(), &wrapped, &elsewhere, &entry()), None);
        let place = DocumentPlace::of(&space(), &entry());
        assert_ne!(place, DocumentPlace::of(&space(), &other));
        assert_ne!(place, DocumentPlace::of(&elsewhere, &entry()));
    }

    #[test]
    fn an_erasure_follows_from_its_target_for_ever() {
        assert_eq!(erasure_id(&entry()).as_str(), "erasure/4o5esapduybdnm7sglxj3xzxaj");
        assert_ne!(erasure_id(&entry()), erasure_id(&EntryId::parse("issue/b3-2-501").unwrap()));
    }

    #[test]
    fn debug_text_shows_no_secret() {
        let text = format!("{:?}", DocumentKey::new([171; 32]));
        assert!(!text.contains("171") && !text.contains("ab"), "{text}");
    }
}
