//! Sled and the heap beside it, as one.
//!
//! It refuses to write.

use std::path::Path;

use super::engine::Engine;
use super::heap::{Heap, Uses, Window};
use super::landing;
use super::row::{self, Kind, Sums, Tally};
use crate::views::{Doubt, ViewsError};

#[derive(Debug)]
pub(super) struct Base {
    pub engine: Engine,
    pub heap: Heap,
}

impl Base {
    /// Opens both, ends what was begun, and gives the sums of all rows.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<(Self, Sums), ViewsError> {
        let engine = Engine::open(dir, cache_bytes)?;
        landing::finish(&engine, dir)?;
        let sums = Sums { tally: read_tally(&engine)?, uses: read_uses(&engine)? };
        match Heap::open(dir, &sums.uses)? {
            Some(heap) => Ok((Self { engine, heap }, sums)),
            None => Err(engine.broken(Doubt::Row)),
        }
    }

    /// The stored form of a row and its content; `None` if there is no such row.
    pub(super) fn checked(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Kind)>, ViewsError> {
        let Some(stored) = self.engine.get(key)? else { return Ok(None) };
        match row::decode(key, &stored) {
            Some(kind) => Ok(Some((stored, kind))),
            None => Err(self.engine.broken(Doubt::Row)),
        }
    }

    /// The value of a row; `None` if the heap does not hold it, or not any more.
    pub(super) fn value(
        &self,
        key: &[u8],
        kind: Kind,
        window: &mut Window,
    ) -> Result<Option<Vec<u8>>, ViewsError> {
        match kind {
            Kind::Whole(value) => Ok(Some(value)),
            Kind::Placed(place) => Ok(self.heap.value(key, place, window)?),
        }
    }
}

fn read_tally(engine: &Engine) -> Result<Tally, ViewsError> {
    match engine.get(row::TALLY_KEY)? {
        Some(bytes) => Tally::decode(&bytes).ok_or_else(|| engine.broken(Doubt::Tally)),
        None if engine.is_empty()? => Ok(Tally::default()),
        None => Err(engine.broken(Doubt::Tally)),
    }
}

fn read_uses(engine: &Engine) -> Result<Uses, ViewsError> {
    let rows = engine.scan(&[row::FILE], None, usize::MAX)?;
    let read = |(key, stored): &(Vec<u8>, Vec<u8>)| row::decode_use(key, stored);
    let uses = rows.iter().map(read).collect::<Option<Uses>>();
    uses.ok_or_else(|| engine.broken(Doubt::Row))
}
