//! The store's own rows in the views: manifest, heads, notes, index.
//!
//! A manifest says up to which commit the views stand. It counts and sums the heads and notes
//! beside it, so that one lost row is noticed. Own rows begin with byte 0, the owner's with byte 1.
//! It refuses a manifest of which any part does not fit.

use linli_domain::digest::Digest;
use linli_domain::id::Space;

use crate::journal::{
    Blocks, Checkpoint, Head, Link, Places, Position, Track, decode_block, encode_block, u32_at,
    u64_at,
};
use crate::limits::BLOCK_RECORDS;
use crate::views::{ViewBatch, Views, ViewsError};

const MANIFEST: &[u8] = b"\0m";
const HEAD: u8 = b'h';
const NOTE: u8 = b'n';
const BLOCK: u8 = b'i';
const FORMAT: u32 = 2;
const MANIFEST_BYTES: usize = 72;
const HEAD_BYTES: usize = 64;
const PAGE_ROWS: usize = 256;

/// Why there is no manifest to go by.
#[derive(Debug)]
pub(super) enum Unfit {
    /// There is none.
    Absent,
    /// Of another format, or the owner's rows have another version.
    OtherVersion,
    /// Rows are missing beside it.
    Incomplete,
    Views(ViewsError),
}

impl From<ViewsError> for Unfit {
    fn from(error: ViewsError) -> Self {
        Self::Views(error)
    }
}

/// Reads the checkpoint at which the views stand.
pub(super) fn load<V: Views>(views: &V, version: u32) -> Result<Checkpoint, Unfit> {
    let row = views.get(MANIFEST)?.ok_or(Unfit::Absent)?;
    if u32_at(&row, 0) != Some(FORMAT) || u32_at(&row, 4) != Some(version) {
        return Err(Unfit::OtherVersion);
    }
    let mut state = Checkpoint::default();
    let mut sum = 0_u64;
    each_row(views, HEAD, |key, value| {
        sum = sum.wrapping_add(weight(key, value));
        let space = std::str::from_utf8(&key[2..]).ok().and_then(|text| Space::parse(text).ok());
        let (space, track) = space.zip(decode_head(value)).ok_or(Unfit::Incomplete)?;
        state.spaces.insert(space, track);
        Ok(())
    })?;
    each_row(views, NOTE, |key, value| {
        sum = sum.wrapping_add(weight(key, value));
        let key = std::str::from_utf8(&key[2..]).map_err(|_| Unfit::Incomplete)?;
        state.set_note(key, Some(value));
        Ok(())
    })?;
    state.notes_changed.clear();
    let mut expected = Vec::new();
    let link = manifest_link(&row).ok_or(Unfit::Incomplete)?;
    state.at = Position::from_word(u64_at(&row, 8).ok_or(Unfit::Incomplete)?);
    state.link = link;
    encode_manifest(&state, version, sum, &mut expected);
    if expected == row { Ok(state) } else { Err(Unfit::Incomplete) }
}

/// Adds what changed since the last manifest, and the manifest.
pub(super) fn add_rows(state: &Checkpoint, version: u32, batch: &mut ViewBatch) {
    let mut sum = 0_u64;
    for (space, track) in &state.spaces {
        let name = space.to_string();
        let key = own_key(HEAD, name.as_bytes());
        let (blocks, rest) = track.places.blocks();
        if track.changed {
            for (number, bytes) in blocks {
                batch.put(block_key(&name, number), bytes);
            }
        }
        let value = encode_head(track, rest);
        sum = sum.wrapping_add(weight(&key, &value));
        if track.changed {
            batch.put(key, value);
        }
    }
    for (key, value) in &state.notes {
        sum = sum.wrapping_add(weight(&own_key(NOTE, key.as_bytes()), value));
    }
    for key in &state.notes_changed {
        batch.set(own_key(NOTE, key.as_bytes()), state.notes.get(key).cloned());
    }
    let mut row = Vec::with_capacity(MANIFEST_BYTES);
    encode_manifest(state, version, sum, &mut row);
    batch.put(MANIFEST, row);
}

/// The stored key of an owner's row.
pub(super) fn owner_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 1);
    stored.push(1);
    stored.extend_from_slice(key);
    stored
}

/// The blocks of the index as rows of the views.
pub(super) struct RowBlocks<'a, V>(pub &'a V);

impl<V: Views> Blocks for RowBlocks<'_, V> {
    fn block(&self, space: &str, number: u64) -> Result<Option<Vec<u8>>, ViewsError> {
        self.0.get(&block_key(space, number))
    }
}

impl Checkpoint {
    /// Notes that a manifest of this state is durable.
    pub(super) fn written(&mut self) {
        self.notes_changed.clear();
        for track in self.spaces.values_mut().filter(|track| track.changed) {
            track.changed = false;
            track.places.forget_whole();
        }
    }

    /// Drops the places that a manifest of an earlier state has moved to the views.
    pub(super) fn forget_places_of(&mut self, earlier: &Self) {
        for (space, track) in &earlier.spaces {
            if let Some(own) = self.spaces.get_mut(space) {
                own.places.forget_before(track.places.first_block());
            }
        }
    }
}

fn encode_manifest(state: &Checkpoint, version: u32, sum: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&state.at.to_word().to_le_bytes());
    out.extend_from_slice(&state.link.commits.to_le_bytes());
    out.extend_from_slice(&state.link.chain);
    out.extend_from_slice(&(state.spaces.len() as u32).to_le_bytes());
    out.extend_from_slice(&(state.notes.len() as u32).to_le_bytes());
    out.extend_from_slice(&sum.to_le_bytes());
}

fn manifest_link(row: &[u8]) -> Option<Link> {
    Some(Link { commits: u64_at(row, 16)?, chain: row.get(24..56)?.try_into().ok()? })
}

fn encode_head(track: &Track, rest: &[Position]) -> Vec<u8> {
    let head = track.durable;
    let unfinished = encode_block(rest);
    let mut out = Vec::with_capacity(HEAD_BYTES + unfinished.len());
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.chain.to_le_bytes());
    out.extend_from_slice(&head.digest.to_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&unfinished);
    out
}

fn decode_head(row: &[u8]) -> Option<Track> {
    let digest = Digest::from_bytes(row.get(16..56)?)?;
    let head = Head { seq: u64_at(row, 0)?, chain: u64_at(row, 8)?, digest };
    let unfinished = decode_block(row.get(HEAD_BYTES..)?)?;
    let blocks = head.seq / BLOCK_RECORDS as u64;
    let fits =
        head.seq % BLOCK_RECORDS as u64 == unfinished.len() as u64 && head.digest.count == head.seq;
    let places = Places::new(blocks, unfinished);
    fits.then_some(Track { head, durable: head, places, changed: false })
}

fn each_row<V: Views>(
    views: &V,
    kind: u8,
    mut show: impl FnMut(&[u8], &[u8]) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    let prefix = own_key(kind, b"");
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = views.scan(&prefix, after.as_deref(), PAGE_ROWS)?;
        for (key, value) in &rows {
            show(key, value)?;
        }
        match rows.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}

fn own_key(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 2);
    key.extend_from_slice(&[0, kind]);
    key.extend_from_slice(rest);
    key
}

fn block_key(space: &str, number: u64) -> Vec<u8> {
    let mut key = own_key(BLOCK, space.as_bytes());
    key.push(0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn weight(key: &[u8], value: &[u8]) -> u64 {
    let crc = u64::from(crc32c::crc32c_append(crc32c::crc32c(key), value));
    (crc << 32 | value.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
