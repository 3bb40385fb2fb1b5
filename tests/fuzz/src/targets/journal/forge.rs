//! Strokes that spoil a journal, from a turned bit to a record written anew under its right
//! checksum and chain. Source of the layout: `store/src/journal/record.rs`, `segment.rs`, `walk.rs`.
//!
//! It refuses to remember what it spoilt, but for what can no longer be noticed by anybody.

use std::ops::Range;

use linli_store::{Disk as _, MemoryDisk};
use sha2::{Digest as _, Sha256};

use super::written::names;

pub(super) const HEADER_BYTES: usize = 64;
const FRAME_BYTES: usize = 8;
const SEAL: u8 = 4;
const REACH: &str = "reach";

/// Kinds of strokes.
pub(super) const KINDS: u8 = 12;

/// What was done that a journal need not notice.
#[derive(Debug, Default)]
pub(super) struct Spoilt {
    /// Bytes were written under their right checksum: what they say is believed.
    pub(super) forged: bool,
    /// Files or stretches are gone or in another place.
    pub(super) moved: bool,
    /// The reach is not what it was, so a lost end may go unnoticed.
    pub(super) reach: bool,
}

/// One act.
pub(super) struct Stroke {
    kind: u8,
    segment: u8,
    at: u8,
    with: u8,
}

impl Stroke {
    pub(super) fn read([kind, segment, at, with]: [u8; 4]) -> Self {
        Self { kind: kind % KINDS, segment, at, with }
    }

    pub(super) fn play(&self, disk: &MemoryDisk, spoilt: &mut Spoilt) {
        let all = segments(disk);
        let Some(name) = all.get(usize::from(self.segment) % all.len().max(1)) else { return };
        let mut bytes = disk.bytes(name).unwrap_or_default();
        let at = bytes.len() * usize::from(self.at) / 256;
        let with = usize::from(self.with);
        match self.kind {
            0 => drop(disk.flip_bit(name, (at * 8 + with % 8) as u64)),
            1 => {
                let end = (at + with).min(bytes.len());
                bytes[at..end].fill(self.at);
                put(disk, name, &bytes);
            }
            2 => {
                let end = (at + with).min(bytes.len());
                bytes[at..end].fill(0);
                put(disk, name, &bytes);
            }
            3 => {
                disk.cut(name, at);
                spoilt.moved = true;
            }
            4 => {
                disk.lose(name);
                spoilt.moved = true;
            }
            5 => {
                bytes.extend(vec![if with < 128 { 0 } else { self.at }; with]);
                put(disk, name, &bytes);
            }
            6 | 7 => spoilt.forged |= forge(disk, name, self),
            8 => {
                let frames = frames(&bytes);
                let Some(frame) = frames.get(usize::from(self.at) % frames.len().max(1)) else {
                    return;
                };
                let copy = bytes[frame.clone()].to_vec();
                let to = frames[with % frames.len()].start;
                bytes.splice(to..to, copy);
                put(disk, name, &bytes);
                spoilt.moved = true;
            }
            9 => {
                let end = (at + with).min(bytes.len());
                bytes.drain(at..end);
                put(disk, name, &bytes);
                spoilt.moved = true;
            }
            10 => {
                spoilt.reach = true;
                if self.with.is_multiple_of(2) {
                    disk.lose(REACH);
                } else {
                    disk.flip_bit(REACH, u64::from(self.at) * 2);
                }
            }
            _ => {
                let other = disk.bytes(&all[with % all.len()]).unwrap_or_default();
                put(disk, name, &other);
                spoilt.moved = true;
            }
        }
    }
}

/// Segment files, ascending.
pub(super) fn segments(disk: &MemoryDisk) -> Vec<String> {
    names(disk).into_iter().filter(|name| name.strip_suffix(".seg").is_some()).collect()
}

/// Where the frames of a segment lie, as far as their lengths lead.
pub(super) fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut at = HEADER_BYTES;
    while let Some(len) = bytes.get(at..at + 4).and_then(|len| len.try_into().ok()) {
        let len = u32::from_le_bytes(len) as usize;
        let end = at.saturating_add(FRAME_BYTES).saturating_add(len);
        if len == 0 || end > bytes.len() {
            break;
        }
        out.push(at..end);
        at = end;
    }
    out
}

fn put(disk: &MemoryDisk, name: &str, bytes: &[u8]) {
    let mut disk = disk.clone();
    disk.cut(name, 0);
    disk.append(name, bytes).expect("a disk in memory");
    disk.sync(name).expect("a disk in memory");
}

/// Changes one byte of a record under its right checksum; with `7` the chain of its commit and of
/// all behind it in the segment is made to fit as well. Returns whether anything was changed.
fn forge(disk: &MemoryDisk, name: &str, stroke: &Stroke) -> bool {
    let mut bytes = disk.bytes(name).unwrap_or_default();
    let frames = frames(&bytes);
    let Some(header) = bytes.get(..HEADER_BYTES).map(<[u8]>::to_vec) else { return false };
    let Some(frame) = frames.get(usize::from(stroke.at) % frames.len().max(1)) else {
        return false;
    };
    let body = frame.start + FRAME_BYTES..frame.end;
    bytes[body.start + usize::from(stroke.with) % body.len()] ^= 1 << (stroke.at % 8);
    let seed = crc32c::crc32c(&header[8..]);
    let mut commits = word(&header[16..24]);
    let mut chain: [u8; 32] = header[24..56].try_into().expect("32 bytes");
    let mut sha = begin(&chain, commits);
    let mut records: u32 = 0;
    for frame in &frames {
        let body = frame.start + FRAME_BYTES..frame.end;
        let is_seal = bytes[body.start] == SEAL && body.len() == 48;
        if is_seal {
            chain = sha.clone().finalize().into();
            commits += 1;
            if stroke.kind == 7 {
                bytes[body.start + 4..body.start + 8].copy_from_slice(&records.to_le_bytes());
                bytes[body.start + 8..body.start + 16].copy_from_slice(&commits.to_le_bytes());
                bytes[body.start + 16..body.end].copy_from_slice(&chain);
            }
        }
        let place =
            [(frame.start as u32).to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &place), &bytes[body]);
        bytes[frame.start + 4..frame.start + 8].copy_from_slice(&crc.to_le_bytes());
        if is_seal {
            sha = begin(&chain, commits);
            records = 0;
        } else {
            sha.update(crc.to_le_bytes());
            records += 1;
        }
    }
    put(disk, name, &bytes);
    true
}

fn begin(chain: &[u8; 32], commits: u64) -> Sha256 {
    Sha256::new().chain_update(chain).chain_update((commits + 1).to_le_bytes())
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}
