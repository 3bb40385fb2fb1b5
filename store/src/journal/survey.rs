//! Reading a journal without changing it: how far it reaches, and whether a copy of it is sound.
//!
//! An [`Extent`] is what a copy has to hold: segments only grow, so their first bytes may be copied
//! while the journal is written on. It refuses to cut, to salvage and to guess.

use std::collections::BTreeMap;
use std::io;

use linli_domain::id::Space;

use super::checkpoint::Checkpoint;
use super::open::{read_headers, seals_behind, stopped};
use super::reach::Reach;
use super::scan::{self, End, Passed};
use super::segment::{self, HEADER_BYTES, Header, HeaderFlaw, Position};
use super::walk::{Link, Stop};
use super::{Damage, Flaw, Head, Journal, OpenError, salvage};
use crate::disk::Disk;

/// How far a journal reaches: up to one of its commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// Commits up to there.
    pub commits: u64,
    /// Spaces with their heads, in order.
    pub spaces: Vec<(Space, Head)>,
    /// Segment files in order, with the bytes of each that belong to it.
    pub segments: Vec<(String, u64)>,
}

/// What a journal that nobody has open holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// How far it reaches.
    pub extent: Extent,
    /// Its notes.
    pub notes: BTreeMap<String, Vec<u8>>,
}

impl<D: Disk> Journal<D> {
    /// How far this journal reaches, durably. What waits for a commit is not in it.
    pub fn extent(&self) -> io::Result<Extent> {
        extent_of(&self.disk, &self.state)
    }

    /// Reads a whole journal and changes nothing. A torn tail that a crash left is passed over, as
    /// opening would cut it; a commit that is whole and flawed is damage here.
    pub fn survey(disk: &D) -> Result<Survey, OpenError> {
        if salvage::is_pending(disk)? {
            return Err(OpenError::Unfinished);
        }
        let segments = segment::count(disk)?;
        let headers = read_headers(disk, segments)?;
        let mut state = Checkpoint::default();
        let end =
            scan::scan(disk, &headers, &mut state, &mut Passed::default()).map_err(stopped)?;
        let headless = headers.len() < segments as usize;
        match end {
            End::Flawed(damage) if headless => return Err(OpenError::Damaged(damage)),
            End::Flawed(damage) => {
                let header = headers.last().expect("a flaw lies in a segment");
                let begun = state.at.segment == header.number;
                let from = if begun { u64::from(state.at.offset) } else { HEADER_BYTES as u64 };
                // A record with the right checksum was written as it is: no crash makes it wrong.
                let written_so = matches!(damage.flaw, Flaw::Order | Flaw::Shape);
                if written_so || !seals_behind(disk, header, from)?.is_empty() {
                    return Err(OpenError::Damaged(damage));
                }
            }
            End::Clean if headless => {
                let Link { commits, chain } = state.link;
                let header = Header { number: segments, commits, chain };
                if !seals_behind(disk, &header, HEADER_BYTES as u64)?.is_empty() {
                    let damage = Damage { segment: segments, offset: 0, flaw: Flaw::Header };
                    return Err(OpenError::Damaged(damage));
                }
            }
            End::Clean => {}
        }
        if Reach::read(disk)?.commits() > state.link.commits {
            let Position { segment, offset } = state.at;
            let damage = Damage { segment, offset: u64::from(offset), flaw: Flaw::CutShort };
            return Err(OpenError::Damaged(damage));
        }
        let extent = extent_of(disk, &state)?;
        Ok(Survey { extent, notes: state.notes })
    }
}

fn extent_of<D: Disk>(disk: &D, state: &Checkpoint) -> io::Result<Extent> {
    let last = state.at.segment;
    let segments = (1..=last).map(|number| {
        let name = segment::name(number);
        // An earlier segment ends where its file does: it was closed before the next was begun.
        let bytes = if number == last { u64::from(state.at.offset) } else { disk.len(&name)? };
        Ok((name, bytes))
    });
    let segments = segments.collect::<io::Result<_>>()?;
    let held = state.spaces.iter().filter(|(_, track)| track.durable.seq > 0);
    let spaces = held.map(|(space, track)| (space.clone(), track.durable)).collect();
    Ok(Extent { commits: state.commits(), spaces, segments })
}

/// Verifies a copy of a journal as it is read, a segment at a time: every checksum, the chain, the
/// order of records.
#[derive(Debug, Default)]
pub struct Retrace {
    state: Checkpoint,
    segments: Vec<(String, u64)>,
}

impl Retrace {
    /// Takes the next segment, whole. It must be of this name and end with a commit.
    pub fn segment(&mut self, name: &str, bytes: &[u8]) -> Result<(), OpenError> {
        let number = self.segments.len() as u32 + 1;
        let damaged = |offset, flaw| {
            Err(OpenError::Damaged(Damage { segment: number, offset: offset as u64, flaw }))
        };
        if name != segment::name(number) {
            return damaged(0, Flaw::Missing);
        }
        let header = match Header::decode(bytes.get(..HEADER_BYTES).unwrap_or_default(), number) {
            Ok(header) => header,
            Err(HeaderFlaw::NotAHeader) => return damaged(0, Flaw::Header),
            Err(HeaderFlaw::Newer(version)) => return Err(OpenError::Newer { version }),
        };
        let copy = Copied { name, bytes };
        let mut walk = scan::start(&copy, &header, &self.state).map_err(stopped)?;
        match scan::scan_segment(&mut walk, &header, &mut self.state, &mut Passed::default()) {
            Ok(()) => {}
            // A segment that was full may end in zeros.
            Err(Stop::Flaw(_)) if bytes[walk.offset as usize..].iter().all(|byte| *byte == 0) => {}
            Err(stop) => return Err(stopped(stop)),
        }
        self.segments.push((name.to_owned(), bytes.len() as u64));
        Ok(())
    }

    /// What was read: how far the copy reaches, and its notes.
    pub fn finish(self) -> Survey {
        let Self { state, segments } = self;
        let held = state.spaces.iter().filter(|(_, track)| track.durable.seq > 0);
        let spaces = held.map(|(space, track)| (space.clone(), track.durable)).collect();
        let extent = Extent { commits: state.commits(), spaces, segments };
        Survey { extent, notes: state.notes }
    }
}

/// One file in memory that can only be read.
#[derive(Debug)]
struct Copied<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Disk for Copied<'_> {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(vec![self.name.to_owned()])
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        if name == self.name {
            Ok(self.bytes.len() as u64)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let len = self.len(name)?;
        let rest = &self.bytes[offset.min(len) as usize..];
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn append(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&mut self, _: &str, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn put(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&mut self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&mut self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}
