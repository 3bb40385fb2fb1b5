//! The bytes of one record, written and read.
//!
//! A record is a frame: length (u32), checksum (u32), then its body; all numbers little-endian.
//! The checksum covers place, length and body and starts from the segment's own value, so that a
//! record copied or moved elsewhere does not pass. A commit is a row of records closed by a seal.
//! This file refuses to know where records are kept.

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::id::{ChangeHash, EntryId, Space};
use sha2::{Digest as _, Sha256};

use crate::limits::RECORD_BYTES_MAX;

/// One change (or sealed envelope) in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The space it belongs to.
    pub space: Space,
    /// Its number in the space: 1, 2, 3, without a gap.
    pub seq: u64,
    /// Short id of the link or peer it came from; 0 if it was made here.
    pub origin: u64,
    /// Value of the space's chain up to and with this record.
    pub chain: u64,
    /// The entry it changes.
    pub entry: EntryId,
    /// What the change is known by.
    pub hash: ChangeHash,
    /// The change or envelope. May be a slice of a larger buffer of at most 256 KiB, or of the
    /// commit it came with.
    pub bytes: Bytes,
}

/// How far a space has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Number of the last record; 0 if there is none.
    pub seq: u64,
    /// Value of the chain after the last record; 0 if there is none.
    pub chain: u64,
    /// Count and sum of all change hashes.
    pub digest: Digest,
}

impl Head {
    /// The head after one more change.
    #[must_use]
    pub fn after(&self, hash: &ChangeHash) -> Self {
        let mut digest = self.digest;
        digest.add(hash);
        Self { seq: self.seq + 1, chain: link(self.chain, hash), digest }
    }
}

/// The next value of a space's chain: the first eight bytes, little-endian, of SHA-256 over the
/// value before (eight bytes, little-endian) and the change hash. Begins at 0.
pub fn link(before: u64, hash: &ChangeHash) -> u64 {
    let mut sha = Sha256::new();
    sha.update(before.to_le_bytes());
    sha.update(hash.0);
    let full: [u8; 32] = sha.finalize().into();
    word(&full)
}

/// Bytes before the body: length and checksum.
pub(crate) const FRAME_BYTES: usize = 8;
const CHANGE: u8 = 1;
const NOTE: u8 = 2;
const NOTE_GONE: u8 = 3;
const SEAL: u8 = 4;
const CHANGE_HEAD_BYTES: usize = 60;
const NOTE_HEAD_BYTES: usize = 4;
const SEAL_BODY_BYTES: usize = 48;
/// Length of a whole seal on disk.
pub(crate) const SEAL_BYTES: usize = FRAME_BYTES + SEAL_BODY_BYTES;

/// What a record says, borrowed from the bytes of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Change(Change<'a>),
    Note { key: &'a str, value: &'a [u8] },
    NoteGone { key: &'a str },
    Seal(Seal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub space: &'a str,
    pub seq: u64,
    pub origin: u64,
    pub chain: u64,
    pub entry: &'a str,
    pub hash: ChangeHash,
    pub bytes: &'a [u8],
}

/// The end of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Records of the commit, the seal not counted.
    pub records: u32,
    /// Which commit of the journal this is: 1, 2, 3, without a gap.
    pub ordinal: u64,
    /// Value of the journal's chain after this commit.
    pub chain: [u8; 32],
}

/// Writes a record at the end of `out`; `offset` is where in its segment it will stand. Returns its
/// checksum.
pub(crate) fn encode(out: &mut Vec<u8>, seed: u32, offset: u32, body: &Body<'_>) -> u32 {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    match body {
        Body::Change(change) => {
            let sizes = [CHANGE, change.space.len() as u8, change.entry.len() as u8, 0];
            out.extend_from_slice(&sizes);
            out.extend_from_slice(&change.seq.to_le_bytes());
            out.extend_from_slice(&change.origin.to_le_bytes());
            out.extend_from_slice(&change.chain.to_le_bytes());
            out.extend_from_slice(&change.hash.0);
            out.extend_from_slice(change.space.as_bytes());
            out.extend_from_slice(change.entry.as_bytes());
            out.extend_from_slice(change.bytes);
        }
        Body::Note { key, value } => {
            let [low, high] = (key.len() as u16).to_le_bytes();
            out.extend_from_slice(&[NOTE, 0, low, high]);
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(value);
        }
        Body::NoteGone { key } => {
            let [low, high] = (key.len() as u16).to_le_bytes();
            out.extend_from_slice(&[NOTE_GONE, 0, low, high]);
            out.extend_from_slice(key.as_bytes());
        }
        Body::Seal(seal) => {
            out.extend_from_slice(&[SEAL, 0, 0, 0]);
            out.extend_from_slice(&seal.records.to_le_bytes());
            out.extend_from_slice(&seal.ordinal.to_le_bytes());
            out.extend_from_slice(&seal.chain);
        }
    }
    let body = &out[start + FRAME_BYTES..];
    let len = body.len() as u32;
    let crc = checksum(seed, offset, body);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Length of the whole frame that begins with these bytes; `None` if no record is that long.
pub(crate) fn frame_bytes(start: &[u8]) -> Option<usize> {
    let len = u32_at(start, 0)? as usize;
    let frame = len.checked_add(FRAME_BYTES)?;
    (len >= NOTE_HEAD_BYTES && frame <= RECORD_BYTES_MAX).then_some(frame)
}

/// The checksum written in a frame, if it is the right one.
pub(crate) fn verified(frame: &[u8], seed: u32, offset: u32) -> Option<u32> {
    let stated = u32_at(frame, 4)?;
    let body = frame.get(FRAME_BYTES..)?;
    (checksum(seed, offset, body) == stated).then_some(stated)
}

/// Reads a whole frame whose checksum was verified; `None` if its shape is not ours.
pub(crate) fn decode(frame: &[u8]) -> Option<Body<'_>> {
    let body = frame.get(FRAME_BYTES..)?;
    let text = |from: usize, len: usize| {
        body.get(from..from + len).and_then(|bytes| std::str::from_utf8(bytes).ok())
    };
    match *body.first()? {
        CHANGE => {
            let space_bytes = usize::from(*body.get(1)?);
            let entry_bytes = usize::from(*body.get(2)?);
            let entry_at = CHANGE_HEAD_BYTES + space_bytes;
            Some(Body::Change(Change {
                space: text(CHANGE_HEAD_BYTES, space_bytes)?,
                seq: u64_at(body, 4)?,
                origin: u64_at(body, 12)?,
                chain: u64_at(body, 20)?,
                entry: text(entry_at, entry_bytes)?,
                hash: ChangeHash::from_slice(body.get(28..CHANGE_HEAD_BYTES)?)?,
                bytes: body.get(entry_at + entry_bytes..)?,
            }))
        }
        kind @ (NOTE | NOTE_GONE) => {
            let key_bytes = usize::from(u16::from_le_bytes([*body.get(2)?, *body.get(3)?]));
            let key = text(NOTE_HEAD_BYTES, key_bytes)?;
            let value = body.get(NOTE_HEAD_BYTES + key_bytes..)?;
            match kind {
                NOTE => Some(Body::Note { key, value }),
                _ => value.is_empty().then_some(Body::NoteGone { key }),
            }
        }
        SEAL if body.len() == SEAL_BODY_BYTES => Some(Body::Seal(Seal {
            records: u32_at(body, 4)?,
            ordinal: u64_at(body, 8)?,
            chain: body.get(16..)?.try_into().ok()?,
        })),
        _ => None,
    }
}

/// Whether these bytes look like the start of a seal: cheap, for searching.
pub(crate) fn may_be_seal(start: &[u8]) -> bool {
    u32_at(start, 0) == Some(SEAL_BODY_BYTES as u32) && start.get(FRAME_BYTES) == Some(&SEAL)
}

/// The record of a change of this space, its bytes a slice of `buffer`, in which `change` was
/// decoded.
pub(crate) fn owned(space: Space, change: &Change<'_>, buffer: &Bytes) -> Option<Record> {
    Some(Record {
        space,
        seq: change.seq,
        origin: change.origin,
        chain: change.chain,
        entry: EntryId::parse(change.entry).ok()?,
        hash: change.hash,
        bytes: buffer.slice_ref(change.bytes),
    })
}

/// The written form of a space, made without the heap.
pub(crate) struct SpaceName {
    bytes: [u8; 64],
    len: usize,
}

impl SpaceName {
    pub(crate) fn of(space: &Space) -> Self {
        let (before, id, after) = match space {
            Space::Open(id) => ("community/", id.as_str(), "/open"),
            Space::Sealed(id) => ("community/", id.as_str(), "/sealed"),
            Space::Board(id) => ("street/", id.as_str(), "/board"),
            Space::Figures(id) => ("street/", id.as_str(), "/figures"),
        };
        let mut name = Self { bytes: [0; 64], len: 0 };
        for part in [before, id, after] {
            let end = name.len + part.len();
            name.bytes[name.len..end].copy_from_slice(part.as_bytes());
            name.len = end;
        }
        name
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("made of whole strings")
    }
}

fn checksum(seed: u32, offset: u32, body: &[u8]) -> u32 {
    let mut place = [0; 8];
    place[..4].copy_from_slice(&offset.to_le_bytes());
    place[4..].copy_from_slice(&(body.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &place), body)
}

fn word(bytes: &[u8; 32]) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(eight)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: &Body<'_>, seed: u32, offset: u32) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, seed, offset, body);
        out
    }

    proptest! {
        #[test]
        fn a_change_reads_back_and_passes_at_its_own_place_only(
            seq in any::<u64>(), origin in any::<u64>(), chain in any::<u64>(),
            hash in any::<[u8; 32]>(), bytes in proptest::collection::vec(any::<u8>(), 0..400),
            seed in any::<u32>(), offset in any::<u32>(), bit in any::<proptest::sample::Index>(),
        ) {
            let hash = ChangeHash(hash);
            let space = "community/cui-zhu/open";
            let change =
                Change { space, seq, origin, chain, entry: "issue/01", hash, bytes: &bytes };
            let mut frame = frame(&Body::Change(change), seed, offset);
            prop_assert_eq!(frame_bytes(&frame), Some(frame.len()));
            prop_assert!(verified(&frame, seed, offset).is_some());
            prop_assert!(verified(&frame, seed, offset.wrapping_add(1)).is_none());
            prop_assert!(verified(&frame, seed.wrapping_add(1), offset).is_none());
            prop_assert_eq!(decode(&frame), Some(Body::Change(change)));
            let bit = bit.index((frame.len() - 4) * 8) + 32;
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verified(&frame, seed, offset).is_none());
        }

        #[test]
        fn notes_and_seals_read_back(
            key in "[a-z/]{0,40}", value in proptest::collection::vec(any::<u8>(), 0..80),
            records in any::<u32>(), ordinal in any::<u64>(), chain in any::<[u8; 32]>(),
        ) {
            for body in [
                Body::Note { key: &key, value: &value },
                Body::NoteGone { key: &key },
                Body::Seal(Seal { records, ordinal, chain }),
            ] {
                let frame = frame(&body, 7, 64);
                prop_assert_eq!(decode(&frame), Some(body));
                prop_assert_eq!(may_be_seal(&frame), matches!(body, Body::Seal(_)));
            }
        }

        #[test]
        fn any_bytes_decode_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 0_u8..6,
        ) {
            let mut frame = vec![0; FRAME_BYTES];
            frame.push(kind);
            frame.extend_from_slice(&bytes);
            let _ = decode(&frame);
            let _ = frame_bytes(&bytes);
            let _ = may_be_seal(&bytes);
        }
    }
}
