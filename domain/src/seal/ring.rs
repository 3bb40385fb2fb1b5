//! The keys of a community: the secrets of its epochs, and the secret behind its keyed ids.
//!
//! A ring is what a desk holds on its disk and what admission hands to the next desk. Two desks
//! that shut machines out apart from each other begin one epoch with two keys, and a ring keeps
//! both. It refuses to show a secret in any `Debug` text, and to be read back from bytes with a
//! single bit wrong.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// Most keys in a ring. One machine lost a week for twenty years needs no more.
pub const KEY_EPOCHS_MAX: usize = 1024;

/// `version u8`, `count u16`, then the id secret.
const HEAD_BYTES: usize = 1 + 2 + 32;
/// `epoch u32`, then the secret.
const KEY_BYTES: usize = 4 + 32;
/// The first bytes of SHA-256 over everything before.
const CHECK_BYTES: usize = 8;
/// One key in each epoch.
const VERSION: u8 = 1;
/// The same layout, with an epoch that has several keys; written only then, so that an older
/// release reads every other ring.
const VERSION_SEVERAL: u8 = 2;

/// Where a key stands in a ring: by epoch, then by the SHA-256 of its secret, which is the same
/// order on every desk.
type Place = (u32, [u8; 32]);

/// The keys of one community, at least one: sealing uses the newest, opening any.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing {
    keys: BTreeMap<Place, CommunityKey>,
    id_secret: [u8; 32],
}

/// The bytes are not a key ring, or not all of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key file is damaged or of an unknown version; restore it from a copy or be admitted again"
)]
pub struct DamagedRing;

impl KeyRing {
    /// A ring with its first key. The id secret is drawn once for the life of the community.
    pub fn new(id_secret: [u8; 32], first: CommunityKey) -> Self {
        Self { keys: BTreeMap::from([(first.place(), first)]), id_secret }
    }

    /// Adds a key. Returns whether it was taken: not if it is held already or the ring is full.
    pub fn add(&mut self, key: CommunityKey) -> bool {
        let place = key.place();
        let room = self.keys.len() < KEY_EPOCHS_MAX && !self.keys.contains_key(&place);
        if room {
            self.keys.insert(place, key);
        }
        room
    }

    /// The key that seals: the first of the newest epoch, the same on every desk with this ring.
    pub fn newest(&self) -> &CommunityKey {
        let last =
            self.keys.keys().next_back().expect("a ring is made with one key and loses none");
        self.key(last.0).expect("the epoch was just read")
    }

    /// The first key of an epoch.
    pub fn key(&self, epoch: u32) -> Option<&CommunityKey> {
        self.keys_of(epoch).next()
    }

    /// The keys of an epoch, to try each on what was sealed in it.
    pub fn keys_of(&self, epoch: u32) -> impl Iterator<Item = &CommunityKey> {
        self.keys.range((epoch, [0; 32])..=(epoch, [255; 32])).map(|(_, key)| key)
    }

    /// Every key, oldest epoch first.
    pub fn keys(&self) -> impl Iterator<Item = &CommunityKey> {
        self.keys.values()
    }

    /// The epochs held, oldest first; one with several keys comes as often.
    pub fn epochs(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.keys().map(|(epoch, _)| *epoch)
    }

    /// The secret behind [`keyed_id`](super::keyed_id); the same in every epoch.
    pub fn id_secret(&self) -> &[u8; 32] {
        &self.id_secret
    }

    /// The ring as a key file holds it, integers little-endian. Secret: for a file that only its
    /// owner can read, or for [`wrap`](super::wrap).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let len = HEAD_BYTES + self.keys.len() * KEY_BYTES + CHECK_BYTES;
        // Reserved in full at once: a buffer that grows leaves copies of secrets behind.
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        let several = self.epochs().zip(self.epochs().skip(1)).any(|(one, next)| one == next);
        out.push(if several { VERSION_SEVERAL } else { VERSION });
        out.extend_from_slice(&(self.keys.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.id_secret);
        for key in self.keys.values() {
            out.extend_from_slice(&key.epoch.to_le_bytes());
            out.extend_from_slice(&key.secret);
        }
        let check = check(&out);
        out.extend_from_slice(&check);
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedRing> {
        let at = bytes.len().checked_sub(CHECK_BYTES).ok_or(DamagedRing)?;
        let (body, sum) = bytes.split_at(at);
        let known = |version: u8| [VERSION, VERSION_SEVERAL].contains(&version);
        if body.len() < HEAD_BYTES || !known(body[0]) || sum != check(body) {
            return Err(DamagedRing);
        }
        let count = usize::from(u16::from_le_bytes([body[1], body[2]]));
        let (head, rest) = body.split_at(HEAD_BYTES);
        if !(1..=KEY_EPOCHS_MAX).contains(&count) || rest.len() != count * KEY_BYTES {
            return Err(DamagedRing);
        }
        let keys: BTreeMap<Place, CommunityKey> = rest
            .chunks_exact(KEY_BYTES)
            .map(CommunityKey::read)
            .map(|key| (key.place(), key))
            .collect();
        if keys.len() != count {
            return Err(DamagedRing);
        }
        let mut id_secret = [0; 32];
        id_secret.copy_from_slice(&head[3..]);
        Ok(Self { keys, id_secret })
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let full = Sha256::digest(body);
    let mut out = [0; CHECK_BYTES];
    out.copy_from_slice(&full[..CHECK_BYTES]);
    out
}

impl Drop for KeyRing {
    fn drop(&mut self) {
        self.id_secret.zeroize();
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("epochs", &self.epochs().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The secret of one key epoch. A new epoch begins when a machine is shut out.
#[derive(Clone, PartialEq, Eq)]
pub struct CommunityKey {
    /// Which epoch, counted up from 1.
    pub epoch: u32,
    /// 32 bytes drawn by the desk that began the epoch.
    pub secret: [u8; 32],
}

impl CommunityKey {
    fn place(&self) -> Place {
        (self.epoch, Sha256::digest(self.secret).into())
    }

    /// Reads exactly `KEY_BYTES`.
    fn read(bytes: &[u8]) -> Self {
        let mut epoch = [0; 4];
        let mut secret = [0; 32];
        epoch.copy_from_slice(&bytes[..4]);
        secret.copy_from_slice(&bytes[4..]);
        Self { epoch: u32::from_le_bytes(epoch), secret }
    }
}

impl Drop for CommunityKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for CommunityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommunityKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        let mut ring = KeyRing::new([9; 32], CommunityKey { epoch: 1, secret: [171; 32] });
        assert!(ring.add(CommunityKey { epoch: 3, secret: [205; 32] }));
        ring
    }

    #[test]
    fn the_newest_epoch_seals_with_the_same_key_whatever_came_first() {
        let mut ring = ring();
        assert_eq!(ring.newest().epoch, 3);
        assert!(!ring.add(CommunityKey { epoch: 3, secret: [205; 32] }), "it is held already");
        assert!(ring.add(CommunityKey { epoch: 2, secret: [0; 32] }));
        assert_eq!(ring.newest().epoch, 3);
        assert_eq!(ring.epochs().collect::<Vec<_>>(), [1, 2, 3]);

        let key = |secret| CommunityKey { epoch: 4, secret: [secret; 32] };
        let with = |secrets: [u8; 3]| {
            let mut ring = ring.clone();
            assert!(secrets.iter().all(|secret| ring.add(key(*secret))));
            ring
        };
        let (one, other) = (with([1, 2, 3]), with([3, 2, 1]));
        assert_eq!(one, other);
        assert_eq!(one.newest(), other.newest());
        assert_eq!(one.key(4), Some(one.newest()));
        assert_eq!(one.keys_of(4).count(), 3, "each of them opens");
        assert_eq!(KeyRing::from_bytes(&one.to_bytes()), Ok(one));
    }

    #[test]
    fn a_ring_of_the_first_release_is_read_and_written_as_it_was() {
        let golden = concat!(
            "010200090909090909090909090909090909090909090909090909090909090909090901",
            "000000abababababababababababababababababababababababababababababababab03",
            "000000cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc8",
            "e24119cdab4db1",
        );
        let golden = data_encoding::HEXLOWER.decode(golden.as_bytes()).unwrap();
        assert_eq!(KeyRing::from_bytes(&golden), Ok(ring()));
        assert_eq!(ring().to_bytes().as_slice(), golden);
    }

    #[test]
    fn bytes_round_trip_and_every_flipped_bit_and_cut_is_noticed() {
        let bytes = ring().to_bytes();
        assert_eq!(KeyRing::from_bytes(&bytes), Ok(ring()));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(KeyRing::from_bytes(&bad), Err(DamagedRing), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(KeyRing::from_bytes(&bytes[..len]), Err(DamagedRing), "cut at {len}");
        }
    }

    #[test]
    fn debug_text_shows_epochs_and_no_secret() {
        let text = format!("{:?} {:?}", ring(), ring().newest());
        assert!(text.contains("[1, 3]") && text.contains("epoch: 3"), "{text}");
        for secret in ["171", "205", "[9", "ab", "cd"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
