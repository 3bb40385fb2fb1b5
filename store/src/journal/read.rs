//! Reading records by their number, from memory or from the segments.
//!
//! Every record read is verified: checksum, space, number. It refuses to return a record that is
//! not exactly the one asked for, and records that are not durable.

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use linli_domain::id::{ChangeHash, Space};

use super::checkpoint::Checkpoint;
use super::index::{self, Blocks};
use super::record::{self, Body, Change, FRAME_BYTES, Record, SpaceName};
use super::segment::{self, Position};
use super::walk::Stop;
use super::{Damage, Flaw, Journal, Track, scan, walk};
use crate::disk::{Disk, read_full};
use crate::limits::{BLOCK_RECORDS, RUN_BYTES, RUN_GAP_BYTES};
use crate::views::ViewsError;

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The record is not what was written. Salvage the journal and fetch the record from a peer.
    #[error("record {seq} of {space} is damaged: {damage}")]
    Damaged {
        /// Its space.
        space: Space,
        /// Its number.
        seq: u64,
        /// Where and what.
        damage: Damage,
    },
    /// A stretch of the journal is not what was written. Salvage it.
    #[error("the journal is damaged: {0}")]
    Stretch(Damage),
    /// The views no longer say where the record stands. Walk the journal again.
    #[error("the index of {space} has no block {block}")]
    IndexLost {
        /// The space.
        space: Space,
        /// Number of the block.
        block: u64,
    },
    /// The views failed. Rebuild them.
    #[error("the index cannot be read")]
    Views(#[from] ViewsError),
    /// The disk failed. Try again.
    #[error("the journal's disk failed while reading")]
    Io(#[from] io::Error),
}

/// A record as a visitor sees it.
pub(crate) struct Seen<'a> {
    pub change: Change<'a>,
    /// The buffer in which the change lies.
    pub buffer: &'a Bytes,
    /// Length of its frame.
    pub frame_bytes: usize,
}

impl<D: Disk> Journal<D> {
    /// Records of a space after `after_seq`, in order: at most `max_records`, and as many as have
    /// `max_bytes` on disk together, but at least one if there is one.
    pub fn read(
        &self,
        space: &Space,
        after_seq: u64,
        max_records: usize,
        max_bytes: usize,
        blocks: &dyn Blocks,
    ) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        let last = after_seq.saturating_add(max_records as u64);
        self.visit(space, after_seq, last, max_bytes as u64, blocks, |seen| {
            bytes += seen.frame_bytes;
            if bytes > max_bytes && !records.is_empty() {
                return Ok(ControlFlow::Break(()));
            }
            let record = record::owned(space.clone(), &seen.change, seen.buffer);
            records.push(record.ok_or(Flaw::Shape)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(records)
    }

    /// One record; `None` if the space has no durable record of that number.
    pub fn read_one(
        &self,
        space: &Space,
        seq: u64,
        blocks: &dyn Blocks,
    ) -> Result<Option<Record>, ReadError> {
        match seq.checked_sub(1) {
            Some(before) => Ok(self.read(space, before, 1, 0, blocks)?.pop()),
            None => Ok(None),
        }
    }

    /// Value of the space's chain after record `seq`: 0 for 0, `None` if there is no such record.
    pub fn chain_at(
        &self,
        space: &Space,
        seq: u64,
        blocks: &dyn Blocks,
    ) -> Result<Option<u64>, ReadError> {
        let head = self.head(space);
        if seq == 0 || seq == head.seq {
            return Ok(Some(if seq == 0 { 0 } else { head.chain }));
        }
        Ok(self.read_one(space, seq, blocks)?.map(|record| record.chain))
    }

    /// The hashes of all changes of a space with their numbers, in order. Reads every record of the
    /// space; 40 bytes of memory each.
    pub fn hashes(
        &self,
        space: &Space,
        blocks: &dyn Blocks,
    ) -> Result<Vec<(ChangeHash, u64)>, ReadError> {
        let mut hashes = Vec::with_capacity(self.head(space).seq as usize);
        self.visit(space, 0, u64::MAX, u64::MAX, blocks, |seen| {
            hashes.push((seen.change.hash, seen.change.seq));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(hashes)
    }

    /// Moves `state` forward over whole commits and returns their records: stops at the end of the
    /// commit that reaches `max_records`, or after commit number `until`.
    pub(crate) fn advance(
        &self,
        state: &mut Checkpoint,
        max_records: usize,
        until: u64,
    ) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        let first = state.at.segment.max(1) as usize;
        for header in self.headers.get(first - 1..).unwrap_or_default() {
            let mut walk = scan::start(&self.disk, header, state)?;
            loop {
                if state.link.commits >= until || records.len() >= max_records {
                    return Ok(records);
                }
                let at = walk.offset;
                let commit = match walk.next_commit() {
                    Ok(Some(commit)) => commit,
                    Ok(None) => break,
                    Err(stop) => {
                        self.only_room(stop, header.number, at)?;
                        break;
                    }
                };
                scan::take(state, header.number, &commit)?;
                let buffer = Bytes::copy_from_slice(commit.bytes);
                let copied = walk::Commit { bytes: &buffer, ..commit };
                for (_, body) in copied.records() {
                    if let Some(Body::Change(change)) = body
                        && let Ok(space) = Space::parse(change.space)
                    {
                        records.extend(record::owned(space, &change, &buffer));
                    }
                }
            }
        }
        Ok(records)
    }

    /// Whether a walk that stopped at `offset` of a segment only met room there that was never given
    /// back, as an open takes it to be: another segment follows. Otherwise the flaw it stopped at.
    pub(super) fn only_room(&self, stop: Stop, segment: u32, offset: u64) -> Result<(), Stop> {
        let closed = segment < self.segments();
        let flawed = matches!(stop, Stop::Flaw(_));
        if closed && flawed && scan::only_zeros(&self.disk, segment, offset)? {
            Ok(())
        } else {
            Err(stop)
        }
    }

    /// Shows the durable records `after` + 1 to `last` to a visitor, in order. `budget` is a hint
    /// how many bytes the visitor will want.
    fn visit(
        &self,
        space: &Space,
        after: u64,
        last: u64,
        budget: u64,
        blocks: &dyn Blocks,
        mut visitor: impl FnMut(&Seen<'_>) -> Result<ControlFlow<()>, Flaw>,
    ) -> Result<(), ReadError> {
        let Some(track) = self.state.spaces.get(space) else { return Ok(()) };
        let name = SpaceName::of(space);
        let run_bytes = budget.clamp(1, RUN_BYTES) as u32;
        let last = last.min(track.durable.seq);
        let mut seq = after.saturating_add(1);
        while seq <= last {
            let places = self.places(space, &name, track, seq, last, blocks)?;
            let mut rest = places.as_slice();
            while let Some(first) = rest.first() {
                let run = match self.tail.find(*first) {
                    Some((commit, at)) => {
                        Run { buffer: commit.slice(at..), start: *first, records: 1 }
                    }
                    None => self.fetch(rest, run_bytes)?,
                };
                let (now, later) = rest.split_at(run.records);
                for place in now {
                    let shown = self.frame_in(&run, *place)?.and_then(|(buffer, frame_bytes)| {
                        let frame = buffer.get(..frame_bytes).ok_or(Flaw::CutShort)?;
                        let Some(Body::Change(change)) = record::decode(frame) else {
                            return Err(Flaw::Shape);
                        };
                        if change.space != name.as_str() || change.seq != seq {
                            return Err(Flaw::Order);
                        }
                        visitor(&Seen { change, buffer: &buffer, frame_bytes })
                    });
                    match shown {
                        Ok(ControlFlow::Continue(())) => seq += 1,
                        Ok(ControlFlow::Break(())) => return Ok(()),
                        Err(flaw) => return Err(damaged(space, seq, *place, flaw)),
                    }
                }
                rest = later;
            }
        }
        Ok(())
    }

    /// Places of the records from `seq` on: up to `last`, or to the end of a block.
    fn places(
        &self,
        space: &Space,
        name: &SpaceName,
        track: &Track,
        seq: u64,
        last: u64,
        blocks: &dyn Blocks,
    ) -> Result<Vec<Position>, ReadError> {
        let (block, at) = index::block_of(seq);
        let end = last.min((block + 1) * BLOCK_RECORDS as u64);
        let wanted = (end - seq + 1) as usize;
        let lost = || ReadError::IndexLost { space: space.clone(), block };
        if block >= track.places.first_block() {
            let places = (seq..=end).map(|seq| track.places.get(seq));
            return places.collect::<Option<_>>().ok_or_else(lost);
        }
        let bytes = blocks.block(name.as_str(), block)?.ok_or_else(lost)?;
        let places = index::decode_block(&bytes).ok_or_else(lost)?;
        let places = places.get(at..at + wanted).ok_or_else(lost)?;
        let exist = places.iter().all(|place| {
            place.segment > 0 && place.segment <= self.segments() && place < &self.state.at
        });
        if exist { Ok(places.to_vec()) } else { Err(lost()) }
    }

    /// Reads from the disk as many of these places as lie close together.
    fn fetch(&self, places: &[Position], run_bytes: u32) -> Result<Run, ReadError> {
        let first = places[0];
        let mut last = first;
        let mut records = 1;
        for place in &places[1..] {
            let near = place.segment == first.segment
                && place.offset - last.offset <= RUN_GAP_BYTES as u32
                && place.offset - first.offset < run_bytes
                && self.tail.find(*place).is_none();
            if !near {
                break;
            }
            last = *place;
            records += 1;
        }
        // The length of the last record is not known yet; most are shorter than this.
        const USUAL_RECORD_BYTES: usize = 1024;
        let wanted = (last.offset - first.offset) as usize + USUAL_RECORD_BYTES;
        let buffer = self.bytes_at(first, wanted)?;
        Ok(Run { buffer, start: first, records })
    }

    fn bytes_at(&self, place: Position, wanted: usize) -> Result<Bytes, ReadError> {
        let mut buffer = vec![0; wanted];
        let name = segment::name(place.segment);
        let read = read_full(&self.disk, &name, u64::from(place.offset), &mut buffer)?;
        buffer.truncate(read);
        Ok(Bytes::from(buffer))
    }

    /// The bytes that begin with the frame at `place`, verified, and the frame's length.
    fn frame_in(
        &self,
        run: &Run,
        place: Position,
    ) -> Result<Result<(Bytes, usize), Flaw>, ReadError> {
        let skipped = (place.offset - run.start.offset) as usize;
        let mut buffer = run.buffer.slice(skipped.min(run.buffer.len())..);
        if buffer.len() < FRAME_BYTES {
            buffer = self.bytes_at(place, FRAME_BYTES)?;
        }
        if buffer.len() < FRAME_BYTES {
            return Ok(Err(Flaw::CutShort));
        }
        let Some(frame_bytes) = record::frame_bytes(&buffer) else { return Ok(Err(Flaw::Length)) };
        if buffer.len() < frame_bytes {
            buffer = self.bytes_at(place, frame_bytes)?;
        }
        let Some(frame) = buffer.get(..frame_bytes) else { return Ok(Err(Flaw::CutShort)) };
        let seed = self.header(place.segment).seed();
        match record::verified(frame, seed, place.offset) {
            Some(_) => Ok(Ok((buffer, frame_bytes))),
            None => Ok(Err(Flaw::Checksum)),
        }
    }
}

/// Bytes that hold one or more of the wanted records.
struct Run {
    buffer: Bytes,
    /// Where the first byte stands.
    start: Position,
    /// How many of the wanted records begin in the buffer.
    records: usize,
}

impl From<Stop> for ReadError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Io(error) => Self::Io(error),
            Stop::Flaw(damage) => Self::Stretch(damage),
        }
    }
}

fn damaged(space: &Space, seq: u64, place: Position, flaw: Flaw) -> ReadError {
    let damage = Damage { segment: place.segment, offset: u64::from(place.offset), flaw };
    ReadError::Damaged { space: space.clone(), seq, damage }
}
