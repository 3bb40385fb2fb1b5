//! Admission: how a further desk gets the community's keys without its hub reading them.
//!
//! The new desk shows the code of its key, a person compares it with what an admitted desk shows
//! for the same request, and that desk wraps the ring to the new desk's key. It refuses to take
//! the hub's word for anything: a key put in by the hub has another code, a wrapped ring opens
//! only under the name it was wrapped for, and a ring made up by the hub has another ring code.

use std::convert::Infallible;
use std::fmt;

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::framed;
use super::ring::{KEY_EPOCHS_MAX, KeyRing};
use crate::id::{CommunityId, PeerName};

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Largest wrapped ring: version and suite, the encapsulated key, 36 bytes for each epoch and
/// 43 around them, the tag.
pub const WRAPPED_BYTES_MAX: usize = HEAD_BYTES + 36 * KEY_EPOCHS_MAX + 43 + 16;

const VERSION: u8 = 1;
/// HPKE base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
const SUITE: u8 = 1;
const HEAD_BYTES: usize = 2 + 32;
/// Rounds of the code's hash. Fifty bits can be searched; each guess at a key with the code of
/// another costs 2^16 hashes, which makes the search one of 66 bits, and a code a few
/// milliseconds of work.
const CODE_ROUNDS: u32 = 1 << 16;

/// The key of a desk, or of a recovery sheet: what keys are wrapped to, and what statements of
/// the member list are signed with. The signing key follows from the other one.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceKey(PrivateKey);

/// What a desk shows the world of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevicePublicKey(pub [u8; 32]);

/// Both public keys of a desk or a recovery sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKeys {
    /// What keys are wrapped to.
    pub sealing: DevicePublicKey,
    /// What its signatures are checked with.
    pub signing: DevicePublicKey,
}

/// Why a wrapped ring stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Not a wrapped ring of a version known here. Update, or be admitted again.
    #[error("not a wrapped key ring that this release can read")]
    Malformed,
    /// Wrapped to another key or name, or changed on the way. Be admitted again.
    #[error("the key ring was wrapped for another machine or altered; ask to be admitted again")]
    NotForUs,
}

impl DeviceKey {
    /// Makes a key pair from 32 random bytes.
    pub fn derive(seed: &[u8; 32]) -> Self {
        Self(X25519HkdfSha256::derive_keypair(seed).0)
    }

    /// Reads what [`Self::to_bytes`] gave. Any 32 bytes are a key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(PrivateKey::from_bytes(bytes).expect("any 32 bytes are an X25519 secret"))
    }

    /// The secret, for a file that only its owner can read.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0; 32]);
        self.0.write_exact(out.as_mut_slice());
        out
    }

    /// The public half.
    pub fn public(&self) -> DevicePublicKey {
        DevicePublicKey(X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into())
    }

    /// Both public keys.
    pub fn keys(&self) -> MemberKeys {
        let signing = DevicePublicKey(self.signing().verifying_key().to_bytes());
        MemberKeys { sealing: self.public(), signing }
    }

    /// The Ed25519 key: HKDF-SHA256 over the secret, under a label of its own.
    pub(super) fn signing(&self) -> SigningKey {
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(b"linli signing key"), self.to_bytes().as_slice())
            .expand(b"ed25519", seed.as_mut_slice())
            .expect("32 bytes are one block of SHA-256");
        SigningKey::from_bytes(&seed)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The code two persons compare before a desk is admitted: `abcde-fgh23`, 50 bits over the key
/// and the name it asks under. Takes some milliseconds.
pub fn device_code(public: DevicePublicKey, name: &PeerName) -> String {
    code(&framed(&[b"linli device code", name.to_string().as_bytes(), &public.0]))
}

/// As [`device_code`], over both keys: what is compared before a desk goes into the member list.
pub fn member_code(keys: &MemberKeys, name: &PeerName) -> String {
    let name = name.to_string();
    code(&framed(&[b"linli member code", name.as_bytes(), &keys.sealing.0, &keys.signing.0]))
}

/// The code of a community with a member list, the same on each of its desks: over the list's
/// first statement and the id secret. Whoever puts up another list, or hands out another ring,
/// cannot show it.
pub fn community_code(ring: &KeyRing, community: &CommunityId, root: &[u8; 32]) -> String {
    let hashed = Sha256::digest(ring.id_secret());
    code(&framed(&[b"linli community code", community.as_str().as_bytes(), &hashed, root]))
}

/// The code of a ring, which an admitted desk and a newly admitted one show alike: a hub that
/// wraps a ring of its own making cannot show it. Takes some milliseconds.
pub fn ring_code(ring: &KeyRing, community: &CommunityId) -> String {
    // Hashed first, so that the only buffer with secrets in it is one that is wiped.
    let hashed = Sha256::digest(ring.to_bytes().as_slice());
    code(&framed(&[b"linli ring code", community.as_str().as_bytes(), &hashed]))
}

fn code(named: &[u8]) -> String {
    let mut hash = Sha256::digest(named);
    for _ in 1..CODE_ROUNDS {
        hash = Sha256::digest(hash);
    }
    let text = BASE32_NOPAD.encode(&hash).to_ascii_lowercase();
    format!("{}-{}", &text[..5], &text[5..10])
}

/// Wraps a ring to the key of the machine `name`: `version | suite | encapsulated key | sealed`.
/// `seed` is 32 random bytes, never used before.
///
/// Fails only for a public key that no honest machine makes (a point of low order).
pub fn wrap(
    ring: &KeyRing,
    public: DevicePublicKey,
    name: &PeerName,
    seed: [u8; 32],
) -> Result<Vec<u8>, UnwrapError> {
    seal_to(&ring.to_bytes(), public, &info(name), seed)
}

/// Wraps a secret to a public key: `version | suite | encapsulated key | sealed`.
pub(super) fn seal_to(
    secret: &[u8],
    public: DevicePublicKey,
    info: &[u8],
    seed: [u8; 32],
) -> Result<Vec<u8>, UnwrapError> {
    let public = PublicKey::from_bytes(&public.0).expect("any 32 bytes are an X25519 point");
    let (encapped, sealed) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            info,
            secret,
            &[VERSION, SUITE],
            &mut Seeded::new(seed),
        )
        .map_err(|_| UnwrapError::NotForUs)?;
    let mut out = vec![VERSION, SUITE];
    out.extend_from_slice(&encapped.to_bytes());
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// Opens a ring that was wrapped to this key under this name.
pub fn unwrap(key: &DeviceKey, wrapped: &[u8], name: &PeerName) -> Result<KeyRing, UnwrapError> {
    let ring = open_with(key, wrapped, &info(name))?;
    KeyRing::from_bytes(&ring).map_err(|_| UnwrapError::Malformed)
}

/// Opens what [`seal_to`] wrapped to this key.
pub(super) fn open_with(
    key: &DeviceKey,
    wrapped: &[u8],
    info: &[u8],
) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    if wrapped.len() < HEAD_BYTES || wrapped.len() > WRAPPED_BYTES_MAX {
        return Err(UnwrapError::Malformed);
    }
    let (head, sealed) = wrapped.split_at(HEAD_BYTES);
    if head[..2] != [VERSION, SUITE] {
        return Err(UnwrapError::Malformed);
    }
    let encapped = EncappedKey::from_bytes(&head[2..]).map_err(|_| UnwrapError::Malformed)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key.0,
        &encapped,
        info,
        sealed,
        &[VERSION, SUITE],
    )
    .map(Zeroizing::new)
    .map_err(|_| UnwrapError::NotForUs)
}

/// Binds a wrapped ring to the community and the machine; the name holds both.
fn info(name: &PeerName) -> Vec<u8> {
    framed(&[b"linli admission", name.to_string().as_bytes()])
}

/// The random source HPKE asks for, drawn from a seed that came in as a parameter.
struct Seeded {
    stream: Hkdf<Sha256>,
    drawn: u64,
}

impl Seeded {
    fn new(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { stream: Hkdf::new(Some(b"linli admission seed"), seed.as_slice()), drawn: 0 }
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for block in out.chunks_mut(32) {
            self.drawn += 1;
            self.stream.expand(&self.drawn.to_le_bytes(), block).expect("at most one block");
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::CommunityKey;

    fn ring() -> KeyRing {
        KeyRing::new([9; 32], CommunityKey { epoch: 1, secret: [171; 32] })
    }

    fn name(text: &str) -> PeerName {
        PeerName::parse(text).unwrap()
    }

    fn desk() -> PeerName {
        name("qu/jiedao/yili/desk-b")
    }

    #[test]
    fn a_wrapped_ring_opens_on_its_machine_under_its_name_only() {
        let key = DeviceKey::derive(&[4; 32]);
        let wrapped = wrap(&ring(), key.public(), &desk(), [5; 32]).unwrap();
        assert_eq!(unwrap(&key, &wrapped, &desk()), Ok(ring()));
        for other in ["qu/jiedao/yili/desk-c", "qu/jiedao/chunhui/desk-b"] {
            assert_eq!(unwrap(&key, &wrapped, &name(other)), Err(UnwrapError::NotForUs));
        }
        let stranger = DeviceKey::derive(&[6; 32]);
        assert_eq!(unwrap(&stranger, &wrapped, &desk()), Err(UnwrapError::NotForUs));
        for bit in 0..wrapped.len() * 8 {
            let mut bad = wrapped.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap(&key, &bad, &desk()).is_err(), "bit {bit}");
        }
        for len in 0..wrapped.len() {
            assert!(unwrap(&key, &wrapped[..len], &desk()).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn wrapping_is_fixed_by_its_seed_and_differs_with_it() {
        let public = DeviceKey::derive(&[4; 32]).public();
        let wrapped = |seed| wrap(&ring(), public, &desk(), [seed; 32]).unwrap();
        assert_eq!(wrapped(5), wrapped(5));
        assert_ne!(wrapped(5), wrapped(6));
    }

    #[test]
    fn the_largest_ring_fits() {
        let mut ring = ring();
        for epoch in 2..=KEY_EPOCHS_MAX as u32 {
            assert!(ring.add(CommunityKey { epoch, secret: [1; 32] }));
        }
        assert!(!ring.add(CommunityKey { epoch: 0, secret: [1; 32] }));
        let key = DeviceKey::derive(&[4; 32]);
        let wrapped = wrap(&ring, key.public(), &desk(), [5; 32]).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_BYTES_MAX);
        assert_eq!(unwrap(&key, &wrapped, &desk()), Ok(ring));
    }

    #[test]
    fn a_public_key_of_low_order_gets_nothing() {
        assert!(wrap(&ring(), DevicePublicKey([0; 32]), &desk(), [5; 32]).is_err());
    }

    #[test]
    fn codes_are_two_groups_of_five_and_follow_key_name_and_ring() {
        let public = DeviceKey::derive(&[4; 32]).public();
        let code = device_code(public, &desk());
        assert_eq!(code, "p6u4g-h464t", "an older desk shows the same code");
        assert_ne!(code, device_code(DeviceKey::derive(&[5; 32]).public(), &desk()));
        assert_ne!(code, device_code(public, &name("qu/jiedao/yili/desk-c")));
        let community = CommunityId::parse("yili").unwrap();
        let own = KeyRing::new([9; 32], CommunityKey { epoch: 1, secret: [172; 32] });
        assert_ne!(ring_code(&ring(), &community), ring_code(&own, &community));
    }

    #[test]
    fn a_key_survives_its_file_and_debug_text_shows_the_public_half_only() {
        let key = DeviceKey::derive(&[4; 32]);
        assert_eq!(DeviceKey::from_bytes(&key.to_bytes()), key);
        let text = format!("{key:?}");
        let hex = data_encoding::HEXLOWER.encode(key.to_bytes().as_slice());
        assert!(
            text.contains(&format!("{:?}", key.public())) && !text.contains(&hex[..8]),
            "{text}"
        );
    }
}
