//! The envelope: one sealed change, as it lies in journals and crosses the hub.
//!
//! ```text
//! format u8 | algorithm u8 | key epoch u32 | sender 8 | commitment 32 | nonce 24 | body | tag 16
//! ```
//!
//! Integers are little-endian. The body is `true length u32`, the change, zeros up to a size
//! class. It refuses to be opened anywhere but in the space and entry it was sealed for: both
//! are in the key and in the associated data, with epoch, sender and format.
//!
//! Algorithm 2 seals under a key of the document's own, which its commitment names; algorithm 1,
//! of earlier releases, under one that follows from the community's. Both are opened.

use bytes::Bytes;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use hkdf::Hkdf;
use hmac::Hmac;
use hmac::digest::CtOutput;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::document::{DocumentKey, KeyName};
use super::framed;
use super::ring::KeyRing;
use crate::id::{AuthorId, ChangeHash, EntryId, Space};
use crate::limits::CHANGE_BYTES_MAX;

/// Largest envelope: the largest change with its head, length and tag. A change is at most a
/// size class itself, so padding adds nothing there.
pub const ENVELOPE_BYTES_MAX: usize = HEAD_BYTES + LENGTH_BYTES + CHANGE_BYTES_MAX + TAG_BYTES;

const FORMAT: u8 = 1;
/// XChaCha20-Poly1305, cipher key and commitment by HKDF-SHA256 of the community's key.
const SHARED: u8 = 1;
/// The same, by HKDF-SHA256 of a document key.
const OWN: u8 = 2;

const EPOCH_AT: usize = 2;
const SENDER_AT: usize = 6;
const COMMITMENT_AT: usize = 14;
const NONCE_AT: usize = 46;
const HEAD_BYTES: usize = 70;
const LENGTH_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
const CLASS_BYTES_MIN: usize = 256;

/// What can be read without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeHead {
    /// The epoch of the key that opens it.
    pub epoch: u32,
    /// The machine that sealed it, by its own word; proven by opening.
    pub sender: AuthorId,
    /// Bytes of the padded content: a size class, never the true length. For an algorithm
    /// unknown here, the bytes after the sender.
    pub len: usize,
}

/// The bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed envelope: wrong version, size or size class")]
pub struct Malformed;

/// Why an envelope stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not an envelope, or content that no honest member writes. Refuse it.
    #[error("not a sealed envelope: wrong version, size or padding")]
    Malformed,
    /// Sealed by a newer release. Keep it and update.
    #[error("sealed with an algorithm this release does not know; update this machine")]
    UnknownAlgorithm,
    /// Sealed in an epoch whose key has not arrived. Keep it and try again after admission.
    #[error("no key of epoch {epoch} on this machine; ask another desk to approve it")]
    NoKey {
        /// The epoch it was sealed in.
        epoch: u32,
    },
    /// The key of this document is not on this machine: it comes with the envelope once more, or
    /// was destroyed.
    #[error("the key of this document is not on this machine")]
    NoDocumentKey,
    /// Changed on the way, or sealed for another place or under another key. Refuse it.
    #[error("the envelope was altered, or belongs to another entry, space or key")]
    Forged,
}

/// Seals a change of an entry under a key of that document, drawn in key epoch `epoch`.
///
/// `nonce` must be random: two envelopes under one document key and one nonce tell a reader of
/// both how they differ.
///
/// # Panics
///
/// If `plain` is longer than [`CHANGE_BYTES_MAX`]: changes are bounded when they are made.
pub fn seal(
    key: &DocumentKey,
    epoch: u32,
    space: &Space,
    entry: &EntryId,
    sender: AuthorId,
    nonce: [u8; 24],
    plain: &[u8],
) -> Bytes {
    let keys = DocumentKeys::own(key, space, entry);
    seal_with(&keys, Head { algorithm: OWN, epoch, sender, nonce }, space, entry, plain)
}

/// Seals as releases before document keys did, under a key that follows from the community's:
/// what lies in journals since then, for tests. No program writes it any more, since such a
/// document cannot be erased.
///
/// # Panics
///
/// As [`seal`].
pub fn seal_shared(
    ring: &KeyRing,
    space: &Space,
    entry: &EntryId,
    sender: AuthorId,
    nonce: [u8; 24],
    plain: &[u8],
) -> Bytes {
    let community_key = ring.newest();
    let keys = DocumentKeys::shared(&community_key.secret, space, entry);
    let epoch = community_key.epoch;
    seal_with(&keys, Head { algorithm: SHARED, epoch, sender, nonce }, space, entry, plain)
}

/// What an envelope says before its content.
struct Head {
    algorithm: u8,
    epoch: u32,
    sender: AuthorId,
    nonce: [u8; 24],
}

fn seal_with(
    keys: &DocumentKeys,
    head: Head,
    space: &Space,
    entry: &EntryId,
    plain: &[u8],
) -> Bytes {
    assert!(plain.len() <= CHANGE_BYTES_MAX, "changes are bounded before they are sealed");
    let end = HEAD_BYTES + LENGTH_BYTES + size_class(plain.len());

    let mut out = Vec::with_capacity(end + TAG_BYTES);
    out.extend_from_slice(&[FORMAT, head.algorithm]);
    out.extend_from_slice(&head.epoch.to_le_bytes());
    out.extend_from_slice(&head.sender.0);
    out.extend_from_slice(&keys.commitment);
    out.extend_from_slice(&head.nonce);
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    out.extend_from_slice(plain);
    out.resize(end, 0);

    let associated = associated_data(&out[..COMMITMENT_AT], space, entry);
    let body = InOutBuf::from(&mut out[HEAD_BYTES..]);
    let tag = XChaCha20Poly1305::new(&(*keys.cipher).into())
        .encrypt_inout_detached(&head.nonce.into(), &associated, body)
        .expect("content and associated data are far below the cipher's limit of 256 GB");
    out.extend_from_slice(&tag);
    out.into()
}

/// Opens an envelope that was sealed for this space and entry; gives the change's bytes.
/// `wrapped` are the wrapped document keys held of the name that [`key_name`] gives; an envelope
/// of an earlier release needs none.
pub fn open<'a>(
    ring: &KeyRing,
    wrapped: impl IntoIterator<Item = &'a [u8]>,
    space: &Space,
    entry: &EntryId,
    envelope: &[u8],
) -> Result<Bytes, OpenError> {
    let head = inspect(envelope).map_err(|Malformed| OpenError::Malformed)?;
    let mut of_epoch = ring.keys_of(head.epoch).peekable();
    if ![SHARED, OWN].contains(&envelope[1]) {
        return Err(OpenError::UnknownAlgorithm);
    }
    if of_epoch.peek().is_none() {
        return Err(OpenError::NoKey { epoch: head.epoch });
    }
    let commitment = array(envelope, COMMITMENT_AT);
    let keys = if envelope[1] == SHARED {
        let mut keys = of_epoch.map(|key| DocumentKeys::shared(&key.secret, space, entry));
        keys.find(|keys| keys.is_committed_to(commitment)).ok_or(OpenError::Forged)?
    } else {
        let mut keys = wrapped
            .into_iter()
            .filter_map(|wrapped| DocumentKey::unwrap(ring, wrapped, space, entry))
            .map(|key| DocumentKeys::own(&key, space, entry));
        keys.find(|keys| keys.is_committed_to(commitment)).ok_or(OpenError::NoDocumentKey)?
    };

    let nonce: [u8; 24] = array(envelope, NONCE_AT);
    let (sealed, tag) = envelope.split_at(envelope.len() - TAG_BYTES);
    let tag: [u8; TAG_BYTES] = array(tag, 0);
    let mut body = sealed[HEAD_BYTES..].to_vec();
    let associated = associated_data(&envelope[..COMMITMENT_AT], space, entry);
    XChaCha20Poly1305::new(&(*keys.cipher).into())
        .decrypt_inout_detached(
            &nonce.into(),
            &associated,
            InOutBuf::from(body.as_mut_slice()),
            &tag.into(),
        )
        .map_err(|_| OpenError::Forged)?;
    unpad(body).ok_or(OpenError::Malformed)
}

/// The name of the document key that opens an envelope; `None` where it needs none, is malformed,
/// or was sealed by a later release.
pub fn key_name(envelope: &[u8]) -> Option<KeyName> {
    let own = envelope.get(1) == Some(&OWN) && inspect(envelope).is_ok();
    own.then(|| KeyName(array(envelope, COMMITMENT_AT)))
}

/// The name a document key has in the envelopes sealed under it.
pub fn name_of(key: &DocumentKey, space: &Space, entry: &EntryId) -> KeyName {
    KeyName(DocumentKeys::own(key, space, entry).commitment)
}

/// Whether an envelope was sealed by a release before document keys: whoever has the community's
/// key can open it, also after an erasure.
pub fn is_shared(envelope: &[u8]) -> bool {
    envelope.get(1) == Some(&SHARED)
}

/// Checks what can be checked without a key, in constant time and memory: format, and for a
/// known algorithm that the size is that of a size class. Unknown algorithms pass, within the
/// size cap, so that an old hub relays what newer desks write.
pub fn inspect(bytes: &[u8]) -> Result<EnvelopeHead, Malformed> {
    if bytes.len() < COMMITMENT_AT || bytes.len() > ENVELOPE_BYTES_MAX || bytes[0] != FORMAT {
        return Err(Malformed);
    }
    let mut len = bytes.len() - COMMITMENT_AT;
    if [SHARED, OWN].contains(&bytes[1]) {
        let around = HEAD_BYTES + LENGTH_BYTES + TAG_BYTES;
        len = bytes.len().checked_sub(around).ok_or(Malformed)?;
        if size_class(len) != len {
            return Err(Malformed);
        }
    }
    let epoch = u32::from_le_bytes(array(bytes, EPOCH_AT));
    Ok(EnvelopeHead { epoch, sender: AuthorId(array(bytes, SENDER_AT)), len })
}

/// What a sealed record is known by: SHA-256 over the envelope.
pub fn envelope_hash(envelope: &[u8]) -> ChangeHash {
    ChangeHash(Sha256::digest(envelope).into())
}

/// What one envelope is sealed with.
struct DocumentKeys {
    cipher: Zeroizing<[u8; 32]>,
    /// Public. The cipher's tag alone would let one envelope open under two keys to two texts;
    /// this binds it to the key it was sealed under.
    commitment: [u8; 32],
}

impl DocumentKeys {
    /// Of algorithm 2.
    fn own(key: &DocumentKey, space: &Space, entry: &EntryId) -> Self {
        Self::derive(b"linli document key", &key.0, space, entry)
    }

    /// Of algorithm 1.
    fn shared(secret: &[u8; 32], space: &Space, entry: &EntryId) -> Self {
        Self::derive(b"linli sealed document", secret, space, entry)
    }

    fn derive(salt: &[u8], secret: &[u8; 32], space: &Space, entry: &EntryId) -> Self {
        let derived = Hkdf::<Sha256>::new(Some(salt), secret);
        let expand = |purpose: &[u8], out: &mut [u8; 32]| {
            let place = framed(&[space.to_string().as_bytes(), entry.as_str().as_bytes(), purpose]);
            derived.expand(&place, out).expect("32 bytes are one block of SHA-256");
        };
        let mut keys = Self { cipher: Zeroizing::new([0; 32]), commitment: [0; 32] };
        expand(b"doc", &mut keys.cipher);
        expand(b"commit", &mut keys.commitment);
        keys
    }

    /// Compares in constant time.
    fn is_committed_to(&self, commitment: [u8; 32]) -> bool {
        let ours = CtOutput::<Hmac<Sha256>>::new(self.commitment.into());
        ours == CtOutput::new(commitment.into())
    }
}

/// `head`: format, algorithm, epoch and sender, as they stand in the envelope.
fn associated_data(head: &[u8], space: &Space, entry: &EntryId) -> Vec<u8> {
    framed(&[head, space.to_string().as_bytes(), entry.as_str().as_bytes()])
}

/// 256 bytes, or the next power of two: an observer learns the order of magnitude only.
fn size_class(len: usize) -> usize {
    len.next_power_of_two().max(CLASS_BYTES_MIN)
}

/// Cuts a body to its true length; `None` unless it is padded exactly as [`seal`] pads.
fn unpad(body: Vec<u8>) -> Option<Bytes> {
    let len = u32::from_le_bytes(array(&body, 0)) as usize;
    let padded = body.len() - LENGTH_BYTES;
    let zeros = body.get(LENGTH_BYTES.checked_add(len)?..)?;
    let honest = size_class(len) == padded && zeros.iter().all(|byte| *byte == 0);
    honest.then(|| Bytes::from(body).slice(LENGTH_BYTES..LENGTH_BYTES + len))
}

/// `N` bytes at an offset that the caller has checked.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::seal::CommunityKey;

    const SENDER: AuthorId = AuthorId(*b"desk-one");
    const NONCE: [u8; 24] = *b"a nonce of 24 bytes, yes";

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

    fn key() -> DocumentKey {
        DocumentKey::new([8; 32])
    }

    /// The key as a shelf holds it, behind one that does not fit.
    fn shelf() -> [Vec<u8>; 2] {
        [DocumentKey::new([9; 32]), key()]
            .map(|key| key.wrap(ring().newest(), &space(), &entry(), NONCE))
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        seal(&key(), 2, &space(), &entry(), SENDER, NONCE, plain).to_vec()
    }

    fn sealed_before(plain: &[u8]) -> Vec<u8> {
        seal_shared(&ring(), &space(), &entry(), SENDER, NONCE, plain).to_vec()
    }

    fn open_at(
        ring: &KeyRing,
        space: &Space,
        entry: &EntryId,
        envelope: &[u8],
    ) -> Result<Bytes, OpenError> {
        let shelf = shelf();
        open(ring, shelf.iter().map(Vec::as_slice), space, entry, envelope)
    }

    fn opened(envelope: &[u8]) -> Result<Bytes, OpenError> {
        open_at(&ring(), &space(), &entry(), envelope)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again_and_shows_only_its_size_class(
            plain in proptest::collection::vec(any::<u8>(), 0..5000),
            nonce: [u8; 24],
        ) {
            let envelope = seal(&key(), 2, &space(), &entry(), SENDER, nonce, &plain);
            let head = inspect(&envelope).unwrap();
            prop_assert_eq!((head.epoch, head.sender), (2, SENDER));
            prop_assert!(head.len.is_power_of_two() && head.len >= plain.len().max(256));
            prop_assert!(head.len == 256 || head.len < plain.len() * 2);
            let before = seal_shared(&ring(), &space(), &entry(), SENDER, nonce, &plain);
            prop_assert_eq!(before.len(), envelope.len());
            for envelope in [envelope, before] {
                let back = opened(&envelope).unwrap();
                prop_assert_eq!(back.as_ref(), plain.as_slice());
            }
        }

        #[test]
        fn noise_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = inspect(&bytes);
            prop_assert!(opened(&bytes).is_err());
            for algorithm in [SHARED, OWN] {
                let mut known = bytes.clone();
                known.splice(0..0, [FORMAT, algorithm, 2, 0, 0, 0]);
                let closed = opened(&known);
                prop_assert!(closed != Err(OpenError::UnknownAlgorithm) && closed.is_err());
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_keeps_it_closed() {
        for envelope in [sealed(b"phone 138"), sealed_before(b"phone 138")] {
            for bit in 0..envelope.len() * 8 {
                let mut bad = envelope.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(opened(&bad).is_err(), "bit {bit}");
            }
            for len in 0..envelope.len() {
                assert_eq!(opened(&envelope[..len]), Err(OpenError::Malformed), "cut at {len}");
            }
            assert!(opened(&envelope).is_ok());
        }
    }

    #[test]
    fn an_envelope_moved_to_another_place_stays_closed() {
        let other_entry = EntryId::parse("household/b3-2-502").unwrap();
        for envelope in [sealed(b"phone 138"), sealed_before(b"phone 138")] {
            assert!(open_at(&ring(), &space(), &other_entry, &envelope).is_err());
            for other in ["community/yili/open", "community/chunhui/sealed", "street/yili/board"] {
                let other = Space::parse(other).unwrap();
                assert!(open_at(&ring(), &other, &entry(), &envelope).is_err());
                // Also where the key was wrapped for that place once more.
                let moved = key().wrap(ring().newest(), &other, &entry(), NONCE);
                let moved = [moved.as_slice()];
                assert!(open(&ring(), moved, &other, &entry(), &envelope).is_err());
            }
            let mut other_epoch = envelope.clone();
            other_epoch[EPOCH_AT] = 1;
            assert_eq!(opened(&other_epoch), Err(OpenError::Forged));
            let mut other_sender = envelope.clone();
            other_sender[SENDER_AT..COMMITMENT_AT].copy_from_slice(b"desk-two");
            assert_eq!(opened(&other_sender), Err(OpenError::Forged));
        }
    }

    #[test]
    fn old_epochs_open_and_a_missing_or_wrong_key_does_not() {
        let first = KeyRing::new([7; 32], CommunityKey { epoch: 1, secret: [1; 32] });
        let old = seal_shared(&first, &space(), &entry(), SENDER, NONCE, b"old");
        assert_eq!(opened(&old).as_deref(), Ok(b"old".as_slice()));
        let closed = |ring: &KeyRing, envelope: &[u8]| open_at(ring, &space(), &entry(), envelope);
        for new in [sealed(b"new"), sealed_before(b"new")] {
            assert_eq!(
                closed(&first, &new),
                Err(OpenError::NoKey { epoch: 2 }),
                "a machine that was shut out opens nothing of the next epoch"
            );
        }
        let wrong = KeyRing::new([7; 32], CommunityKey { epoch: 2, secret: [3; 32] });
        assert_eq!(closed(&wrong, &sealed_before(b"new")), Err(OpenError::Forged));
        assert_eq!(closed(&wrong, &sealed(b"new")), Err(OpenError::NoDocumentKey));
    }

    #[test]
    fn without_its_own_key_a_document_stays_closed_to_the_whole_community() {
        let envelope = sealed(b"phone 138");
        let other = [shelf()[0].clone()];
        let closed = |rows: &[Vec<u8>]| {
            open(&ring(), rows.iter().map(Vec::as_slice), &space(), &entry(), &envelope)
        };
        assert_eq!(closed(&[]), Err(OpenError::NoDocumentKey));
        assert_eq!(closed(&other), Err(OpenError::NoDocumentKey));
        assert_eq!(key_name(&envelope), Some(name_of(&key(), &space(), &entry())));
        assert!(!is_shared(&envelope) && is_shared(&sealed_before(b"phone 138")));
        assert_eq!(key_name(&sealed_before(b"phone 138")), None);
    }

    #[test]
    fn each_key_of_an_epoch_opens_what_it_sealed() {
        let key = |secret| CommunityKey { epoch: 2, secret: [secret; 32] };
        let apart = [4, 5].map(|secret| KeyRing::new([7; 32], key(secret)));
        let mut both = apart[0].clone();
        assert!(both.add(key(5)));
        for ring in apart {
            let before = seal_shared(&ring, &space(), &entry(), SENDER, NONCE, b"apart");
            let opened = open_at(&both, &space(), &entry(), &before);
            assert_eq!(opened.as_deref(), Ok(&b"apart"[..]));
            let document = DocumentKey::new([6; 32]);
            let wrapped = document.wrap(ring.newest(), &space(), &entry(), NONCE);
            let own = seal(&document, 2, &space(), &entry(), SENDER, NONCE, b"apart");
            let opened = open(&both, [wrapped.as_slice()], &space(), &entry(), &own);
            assert_eq!(opened.as_deref(), Ok(&b"apart"[..]));
        }
    }

    #[test]
    fn the_commitment_alone_refuses_another_key() {
        let keys = |secret| DocumentKeys::own(&DocumentKey::new(secret), &space(), &entry());
        assert!(keys([2; 32]).is_committed_to(keys([2; 32]).commitment));
        assert!(!keys([2; 32]).is_committed_to(keys([3; 32]).commitment));
        assert_ne!(*keys([2; 32]).cipher, keys([2; 32]).commitment);
    }

    #[test]
    fn a_newer_algorithm_passes_the_hub_and_asks_for_an_update() {
        let mut envelope = sealed(b"x");
        envelope[1] = 9;
        envelope.push(0);
        let head = inspect(&envelope).unwrap();
        assert_eq!((head.epoch, head.sender, head.len), (2, SENDER, envelope.len() - 14));
        assert_eq!(opened(&envelope), Err(OpenError::UnknownAlgorithm));
        envelope.resize(ENVELOPE_BYTES_MAX + 1, 0);
        assert_eq!(inspect(&envelope), Err(Malformed));
    }

    #[test]
    fn the_largest_change_fits_exactly() {
        let plain = vec![5; CHANGE_BYTES_MAX];
        let envelope = sealed(&plain);
        assert_eq!(envelope.len(), ENVELOPE_BYTES_MAX);
        assert_eq!(opened(&envelope).map(|back| back.len()), Ok(CHANGE_BYTES_MAX));
    }

    #[test]
    fn padding_that_no_honest_member_writes_is_malformed() {
        let body = |len: u32, size: usize| {
            let mut body = len.to_le_bytes().to_vec();
            body.resize(LENGTH_BYTES + size, 0);
            body
        };
        assert_eq!(unpad(body(3, 256)).as_deref(), Some([0; 3].as_slice()));
        assert_eq!(unpad(body(3, 512)), None, "a class too large");
        assert_eq!(unpad(body(257, 256)), None, "longer than its class");
        assert_eq!(unpad(body(u32::MAX, 256)), None);
        let mut marked = body(3, 256);
        marked[200] = 1;
        assert_eq!(unpad(marked), None, "something hidden in the padding");
    }

    /// The vector was computed once and checked against a second implementation of HKDF,
    /// XChaCha20 and Poly1305. It never changes for format 1, algorithm 1.
    #[test]
    fn known_answer() {
        let envelope = sealed_before(b"linli");
        assert_eq!(
            HEXLOWER.encode(&envelope[..HEAD_BYTES]),
            "0101020000006465736b2d6f6e6515506c61978ab6f87c564b82cc976538e85c1cc45163993eb261e1e53139ce0361206e6f6e6365206f662032342062797465732c20796573"
        );
        assert_eq!(
            envelope_hash(&envelope).to_string(),
            "1b625208e36d25d1e1c6e6f8eb0a74e78f4b5d2f1cfed2183aa959acf2624e68"
        );
    }

    /// Checked as the one above. It never changes for format 1, algorithm 2.
    #[test]
    fn known_answer_of_a_document_key() {
        let envelope = sealed(b"linli");
        assert_eq!(
            HEXLOWER.encode(&envelope[..HEAD_BYTES]),
            "0102020000006465736b2d6f6e65fc28d96f21ac0248d7fc4f5fadef9724240e942809b3d5502fe48699aecf2dd061206e6f6e6365206f662032342062797465732c20796573"
        );
        assert_eq!(
            envelope_hash(&envelope).to_string(),
            "3cb1f32ce0350c7d1a9f810dda306fb6d8479fb9b36ca24e3dc05b7874c3ef8a"
        );
        assert_eq!(
            HEXLOWER.encode(&shelf()[1]),
            "010200000061206e6f6e6365206f662032342062797465732c20796573d6c5cf61f71fffe83be85d3c460c920c27c6605b2e136435f771d0cbc9f19f0056a3b1b263d195ea5093d09526e00655"
        );
    }
}
