//! The reach: a small file beside the segments that says how far the journal had come.
//!
//! Segments alone cannot tell an end that was lost from one that was never written: zeros behind
//! the last commit look like room made ahead. The reach is written in place after a commit became
//! durable, and is never synced itself: it costs no second flush, may lag behind after a power cut,
//! and is never ahead of what was durable. So it proves that something is missing, and refuses to
//! prove that nothing is.
//!
//! ```text
//! "linlihed" | version u32 | segment u32 | offset u32 | commits u64 | chain 32 | crc32c u32
//! ```

use std::io;

use super::record::{u32_at, u64_at};
use super::segment::Position;
use super::walk::Link;
use super::{Checkpoint, Damage, Flaw};
use crate::disk::{Disk, read_full};

/// Its file.
pub(super) const NAME: &str = "reach";
const MAGIC: &[u8; 8] = b"linlihed";
const VERSION: u32 = 1;
const BYTES: usize = 64;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// There is none: a new journal, or one of an earlier version.
    Absent,
    /// It is not what was written, or of a newer version; the next commit writes it anew.
    Unreadable,
    /// The journal had come so far, durably.
    At(Position, Link),
}

impl Reach {
    /// Reads the file.
    pub(super) fn read<D: Disk + ?Sized>(disk: &D) -> io::Result<Self> {
        Self::read_from(disk, NAME)
    }

    /// Reads the file under another name.
    pub(super) fn read_from<D: Disk + ?Sized>(disk: &D, name: &str) -> io::Result<Self> {
        let mut bytes = [0; BYTES];
        match read_full(disk, name, 0, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Absent),
            Err(error) => Err(error),
            Ok(read) => Ok(decode(&bytes[..read]).unwrap_or(Self::Unreadable)),
        }
    }

    /// Writes down how far a journal has come. One that cannot be written stays behind, which is
    /// allowed.
    pub(super) fn write<D: Disk + ?Sized>(disk: &mut D, state: &Checkpoint) {
        if let Err(error) = disk.put(NAME, &encode(state.at, state.link)) {
            tracing::debug!(%error, "how far the journal reaches could not be noted");
        }
    }

    /// Commits that were durable once.
    pub(super) fn commits(&self) -> u64 {
        match self {
            Self::At(_, link) => link.commits,
            Self::Absent | Self::Unreadable => 0,
        }
    }

    /// Where it says that the journal ended, as a checkpoint without content.
    pub(super) fn end(&self) -> Option<Checkpoint> {
        match self {
            Self::At(at, link) => {
                Some(Checkpoint { at: *at, link: *link, ..Checkpoint::default() })
            }
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// What is wrong where a journal that stands at `state` has this reach.
    pub(super) fn flaw(&self, state: &Checkpoint) -> Option<Damage> {
        let (segment, offset) = (state.at.segment, u64::from(state.at.offset));
        let ahead = self.commits() > state.link.commits;
        (ahead || *self == Self::Unreadable).then_some(Damage {
            segment,
            offset,
            flaw: Flaw::Reach,
        })
    }
}

fn encode(at: Position, link: Link) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&at.segment.to_le_bytes());
    out[16..20].copy_from_slice(&at.offset.to_le_bytes());
    out[20..28].copy_from_slice(&link.commits.to_le_bytes());
    out[28..60].copy_from_slice(&link.chain);
    let crc = crc32c::crc32c(&out[..60]);
    out[60..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Reach> {
    let whole = bytes.len() == BYTES
        && bytes.starts_with(MAGIC)
        && u32_at(bytes, 60)? == crc32c::crc32c(&bytes[..60])
        && u32_at(bytes, 8)? == VERSION;
    if !whole {
        return None;
    }
    let at = Position { segment: u32_at(bytes, 12)?, offset: u32_at(bytes, 16)? };
    let chain = bytes.get(28..60)?.try_into().ok()?;
    Some(Reach::At(at, Link { commits: u64_at(bytes, 20)?, chain }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_no_spoilt_bit_is_believed() {
        let (at, link) =
            (Position { segment: 3, offset: 700 }, Link { commits: 9, chain: [7; 32] });
        let bytes = encode(at, link);
        assert_eq!(decode(&bytes), Some(Reach::At(at, link)));
        for bit in 0..BYTES * 8 {
            let mut spoilt = bytes;
            spoilt[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&spoilt), None, "bit {bit}");
        }
        assert_eq!(decode(&bytes[..BYTES - 1]), None);
    }
}
