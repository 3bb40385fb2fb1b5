//! The envelope: one sealed change, as it lies in journals and crosses the hub.
//!
//! ```text
//! format u8 | algorithm u8 | key epoch u32 | sender 8 | commitment 32 | nonce 24 | body | tag 16
//! ```
//!
//! Integers are little-endian. The body is `true length u32`, the change, zeros up to a size
//! class. It refuses to be opened anywhere but in the space and entry it was sealed for: both
//! are in the key and in the associated data, with epoch, sender and format.

use bytes::Bytes;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use hkdf::Hkdf;
use hmac::Hmac;
use hmac::digest::CtOutput;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::framed;
use super::ring::{CommunityKey, KeyRing};
use crate::id::{AuthorId, ChangeHash, EntryId, Space};
use crate::limits::CHANGE_BYTES_MAX;

/// Largest envelope: the largest change with its head, length and tag. A change is at most a
/// size class itself, so padding adds nothing there.
pub const ENVELOPE_BYTES_MAX: usize = HEAD_BYTES + LENGTH_BYTES + CHANGE_BYTES_MAX + TAG_BYTES;

const FORMAT: u8 = 1;
/// XChaCha20-Poly1305, document key and commitment by HKDF-SHA256.
const XCHACHA20_POLY1305: u8 = 1;

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
    /// Changed on the way, or sealed for another place or under another key. Refuse it.
    #[error("the envelope was altered, or belongs to another entry, space or key")]
    Forged,
}

/// Seals a change of an entry under the newest key of the ring.
///
/// `nonce` must be random: two envelopes of one entry and epoch under one nonce tell a reader of
/// both how they differ.
///
/// # Panics
///
/// If `plain` is longer than [`CHANGE_BYTES_MAX`]: changes are bounded when they are made.
pub fn seal(
    ring: &KeyRing,
    space: &Space,
    entry: &EntryId,
    sender: AuthorId,
    nonce: [u8; 24],
    plain: &[u8],
) -> Bytes {
    assert!(plain.len() <= CHANGE_BYTES_MAX, "changes are bounded before they are sealed");
    let community_key = ring.newest();
    let keys = DocumentKeys::derive(community_key, space, entry);
    let end = HEAD_BYTES + LENGTH_BYTES + size_class(plain.len());

    let mut out = Vec::with_capacity(end + TAG_BYTES);
    out.extend_from_slice(&[FORMAT, XCHACHA20_POLY1305]);
    out.extend_from_slice(&community_key.epoch.to_le_bytes());
    out.extend_from_slice(&sender.0);
    out.extend_from_slice(&keys.commitment);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    out.extend_from_slice(plain);
    out.resize(end, 0);

    let associated = associated_data(&out[..COMMITMENT_AT], space, entry);
    let body = InOutBuf::from(&mut out[HEAD_BYTES..]);
    let tag = XChaCha20Poly1305::new(&(*keys.cipher).into())
        .encrypt_inout_detached(&nonce.into(), &associated, body)
        .expect("content and associated data are far below the cipher's limit of 256 GB");
    out.extend_from_slice(&tag);
    out.into()
}

/// Opens an envelope that was sealed for this space and entry; gives the change's bytes.
pub fn open(
    ring: &KeyRing,
    space: &Space,
    entry: &EntryId,
    envelope: &[u8],
) -> Result<Bytes, OpenError> {
    let head = inspect(envelope).map_err(|Malformed| OpenError::Malformed)?;
    if envelope[1] != XCHACHA20_POLY1305 {
        return Err(OpenError::UnknownAlgorithm);
    }
    ring.key(head.epoch).ok_or(OpenError::NoKey { epoch: head.epoch })?;
    let keys = ring
        .keys_of(head.epoch)
        .map(|key| DocumentKeys::derive(key, space, entry))
        .find(|keys| keys.is_committed_to(array(envelope, COMMITMENT_AT)))
        .ok_or(OpenError::Forged)?;

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

/// Checks what can be checked without a key, in constant time and memory: format, and for a
/// known algorithm that the size is that of a size class. Unknown algorithms pass, within the
/// size cap, so that an old hub relays what newer desks write.
pub fn inspect(bytes: &[u8]) -> Result<EnvelopeHead, Malformed> {
    if bytes.len() < COMMITMENT_AT || bytes.len() > ENVELOPE_BYTES_MAX || bytes[0] != FORMAT {
        return Err(Malformed);
    }
    let mut len = bytes.len() - COMMITMENT_AT;
    if bytes[1] == XCHACHA20_POLY1305 {
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

/// The keys of one entry in one epoch.
struct DocumentKeys {
    cipher: Zeroizing<[u8; 32]>,
    /// Public. The cipher's tag alone would let one envelope open under two keys to two texts;
    /// this binds it to the community key it was sealed under.
    commitment: [u8; 32],
}

impl DocumentKeys {
    fn derive(key: &CommunityKey, space: &Space, entry: &EntryId) -> Self {
        let derived = Hkdf::<Sha256>::new(Some(b"linli sealed document"), &key.secret);
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

    fn sealed(plain: &[u8]) -> Vec<u8> {
        seal(&ring(), &space(), &entry(), SENDER, NONCE, plain).to_vec()
    }

    fn opened(envelope: &[u8]) -> Result<Bytes, OpenError> {
        open(&ring(), &space(), &entry(), envelope)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again_and_shows_only_its_size_class(
            plain in proptest::collection::vec(any::<u8>(), 0..5000),
            nonce: [u8; 24],
        ) {
            let envelope = seal(&ring(), &space(), &entry(), SENDER, nonce, &plain);
            let head = inspect(&envelope).unwrap();
            prop_assert_eq!((head.epoch, head.sender), (2, SENDER));
            prop_assert!(head.len.is_power_of_two() && head.len >= plain.len().max(256));
            prop_assert!(head.len == 256 || head.len < plain.len() * 2);
            let back = open(&ring(), &space(), &entry(), &envelope).unwrap();
            prop_assert_eq!(back.as_ref(), plain.as_slice());
        }

        #[test]
        fn noise_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = inspect(&bytes);
            prop_assert!(opened(&bytes).is_err());
            let mut known = bytes;
            known.splice(0..0, [FORMAT, XCHACHA20_POLY1305, 2, 0, 0, 0]);
            prop_assert!(matches!(opened(&known), Err(OpenError::Malformed | OpenError::Forged)));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_keeps_it_closed() {
        let envelope = sealed(b"phone 138");
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

    #[test]
    fn an_envelope_moved_to_another_place_stays_closed() {
        let envelope = sealed(b"phone 138");
        let other_entry = EntryId::parse("household/b3-2-502").unwrap();
        assert_eq!(open(&ring(), &space(), &other_entry, &envelope), Err(OpenError::Forged));
        for other in ["community/yili/open", "community/chunhui/sealed", "street/yili/board"] {
            let other = Space::parse(other).unwrap();
            assert_eq!(open(&ring(), &other, &entry(), &envelope), Err(OpenError::Forged));
        }
        let mut other_epoch = envelope.clone();
        other_epoch[EPOCH_AT] = 1;
        assert_eq!(opened(&other_epoch), Err(OpenError::Forged));
        let mut other_sender = envelope.clone();
        other_sender[SENDER_AT..COMMITMENT_AT].copy_from_slice(b"desk-two");
        assert_eq!(opened(&other_sender), Err(OpenError::Forged));
    }

    #[test]
    fn old_epochs_open_and_a_missing_or_wrong_key_does_not() {
        let first = KeyRing::new([7; 32], CommunityKey { epoch: 1, secret: [1; 32] });
        let old = seal(&first, &space(), &entry(), SENDER, NONCE, b"old");
        assert_eq!(opened(&old).as_deref(), Ok(b"old".as_slice()));
        let new = sealed(b"new");
        assert_eq!(
            open(&first, &space(), &entry(), &new),
            Err(OpenError::NoKey { epoch: 2 }),
            "a machine that was shut out opens nothing of the next epoch"
        );
        let wrong = KeyRing::new([7; 32], CommunityKey { epoch: 2, secret: [3; 32] });
        assert_eq!(open(&wrong, &space(), &entry(), &new), Err(OpenError::Forged));
    }

    #[test]
    fn each_key_of_an_epoch_opens_what_it_sealed() {
        let key = |secret| CommunityKey { epoch: 2, secret: [secret; 32] };
        let apart = [4, 5].map(|secret| KeyRing::new([7; 32], key(secret)));
        let mut both = apart[0].clone();
        assert!(both.add(key(5)));
        for ring in apart {
            let envelope = seal(&ring, &space(), &entry(), SENDER, NONCE, b"apart");
            assert_eq!(open(&both, &space(), &entry(), &envelope).as_deref(), Ok(&b"apart"[..]));
        }
    }

    #[test]
    fn the_commitment_alone_refuses_another_key() {
        let keys =
            |secret| DocumentKeys::derive(&CommunityKey { epoch: 2, secret }, &space(), &entry());
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
        let envelope = sealed(b"linli");
        assert_eq!(
            HEXLOWER.encode(&envelope[..HEAD_BYTES]),
            "0101020000006465736b2d6f6e6515506c61978ab6f87c564b82cc976538e85c1cc45163993eb261e1e53139ce0361206e6f6e6365206f662032342062797465732c20796573"
        );
        assert_eq!(
            envelope_hash(&envelope).to_string(),
            "1b625208e36d25d1e1c6e6f8eb0a74e78f4b5d2f1cfed2183aa959acf2624e68"
        );
    }
}
