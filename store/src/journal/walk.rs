//! Walking a segment commit by commit.
//!
//! Every byte passed is verified: checksums, shapes, the order of commits and the chain. A walk
//! stops at the first flaw and says where and what; it refuses to judge whether that is a torn
//! tail or damage.

use sha2::{Digest as _, Sha256};

use super::record::{self, Body, FRAME_BYTES, Seal};
use super::segment::{self, HEADER_BYTES, Header};
use super::{Damage, Flaw};
use crate::disk::{Disk, read_full};
use crate::limits::WINDOW_BYTES;

/// How far a walk has come in the journal's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub commits: u64,
    pub chain: [u8; 32],
}

/// The start of the next commit's chain value: SHA-256 over the value before, the commit's ordinal
/// (u64), and then the checksum (u32) of each of its records.
pub(crate) fn begin_chain(before: Link) -> Sha256 {
    let mut sha = Sha256::new();
    sha.update(before.chain);
    sha.update((before.commits + 1).to_le_bytes());
    sha
}

/// One sealed commit.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    /// Its records and its seal.
    pub bytes: &'a [u8],
    /// Offset of its first byte in the segment.
    pub start: u32,
    /// The chain after it.
    pub link: Link,
}

impl<'a> Commit<'a> {
    /// The records with their offsets, the seal left out.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, Option<Body<'a>>)> + use<'a> {
        let (bytes, start) = (self.bytes, self.start);
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = &bytes[at..];
            let frame = rest.get(..record::frame_bytes(rest)?)?;
            let offset = start + at as u32;
            at += frame.len();
            (at < bytes.len()).then(|| (offset, record::decode(frame)))
        })
    }

    /// Offset of the byte after the seal.
    pub(crate) fn end(&self) -> u32 {
        self.start + self.bytes.len() as u32
    }
}

/// Why a walk stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    Io(std::io::Error),
    Flaw(Damage),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// A walk over one segment.
#[derive(Debug)]
pub(crate) struct Walk<'d, D: Disk + ?Sized> {
    disk: &'d D,
    number: u32,
    name: String,
    seed: u32,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Offset of the next commit.
    pub offset: u64,
    pub link: Link,
}

impl<'d, D: Disk + ?Sized> Walk<'d, D> {
    /// Starts at `offset`, which must be the start of a commit; `link` is the chain there.
    pub(crate) fn new(
        disk: &'d D,
        header: &Header,
        offset: u64,
        link: Link,
    ) -> std::io::Result<Self> {
        let name = segment::name(header.number);
        let len = disk.len(&name)?;
        Ok(Self {
            disk,
            number: header.number,
            name,
            seed: header.seed(),
            len,
            window: Vec::new(),
            window_at: offset,
            offset,
            link,
        })
    }

    /// Starts at the first commit of a segment.
    pub(crate) fn from_start(disk: &'d D, header: &Header) -> std::io::Result<Self> {
        let link = Link { commits: header.commits, chain: header.chain };
        Self::new(disk, header, HEADER_BYTES as u64, link)
    }

    /// The next commit; `None` at the end of the file.
    pub(crate) fn next_commit(&mut self) -> Result<Option<Commit<'_>>, Stop> {
        if self.offset >= self.len {
            return Ok(None);
        }
        let mut at = self.offset;
        let mut records = 0;
        let mut sha = begin_chain(self.link);
        let seal = loop {
            let (frame_bytes, crc, seal) = self.check_frame(at)?;
            at += frame_bytes;
            match seal {
                Some(seal) => break seal,
                None => sha.update(crc.to_le_bytes()),
            }
            records += 1;
        };
        let chain: [u8; 32] = sha.finalize().into();
        let ordinal = self.link.commits + 1;
        if seal != (Seal { records, ordinal, chain }) {
            return Err(self.flaw(at - record::SEAL_BYTES as u64, Flaw::Chain));
        }
        let start = self.offset;
        self.offset = at;
        self.link = Link { commits: ordinal, chain };
        let from = (start - self.window_at) as usize;
        let to = (at - self.window_at) as usize;
        Ok(Some(Commit { bytes: &self.window[from..to], start: start as u32, link: self.link }))
    }

    /// Verifies the frame at `at`; returns its length, its checksum, and the seal if it is one.
    fn check_frame(&mut self, at: u64) -> Result<(u64, u32, Option<Seal>), Stop> {
        if !self.hold(at + FRAME_BYTES as u64)? {
            return Err(self.flaw(at, Flaw::CutShort));
        }
        let from = (at - self.window_at) as usize;
        let Some(frame_bytes) = record::frame_bytes(&self.window[from..]) else {
            return Err(self.flaw(at, Flaw::Length));
        };
        if !self.hold(at + frame_bytes as u64)? {
            return Err(self.flaw(at, Flaw::CutShort));
        }
        let from = (at - self.window_at) as usize;
        let frame = &self.window[from..from + frame_bytes];
        let Some(crc) = record::verified(frame, self.seed, at as u32) else {
            return Err(self.flaw(at, Flaw::Checksum));
        };
        match record::decode(frame) {
            None => Err(self.flaw(at, Flaw::Shape)),
            Some(Body::Seal(seal)) => Ok((frame_bytes as u64, crc, Some(seal))),
            Some(Body::Change(_) | Body::Note { .. } | Body::NoteGone { .. }) => {
                Ok((frame_bytes as u64, crc, None))
            }
        }
    }

    /// Makes the window reach from the current commit to `until`; false if the file ends before.
    fn hold(&mut self, until: u64) -> std::io::Result<bool> {
        if until > self.len {
            return Ok(false);
        }
        let have = self.window_at + self.window.len() as u64;
        if until <= have {
            return Ok(true);
        }
        let passed = ((self.offset - self.window_at) as usize).min(self.window.len());
        self.window.drain(..passed);
        self.window_at += passed as u64;
        let more = (until - have).max(WINDOW_BYTES).min(self.len - have) as usize;
        let held = self.window.len();
        self.window.resize(held + more, 0);
        let read = read_full(self.disk, &self.name, have, &mut self.window[held..])?;
        self.window.truncate(held + read);
        Ok(until <= self.window_at + self.window.len() as u64)
    }

    fn flaw(&self, offset: u64, flaw: Flaw) -> Stop {
        Stop::Flaw(Damage { segment: self.number, offset, flaw })
    }
}
