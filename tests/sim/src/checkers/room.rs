//! Bounded on disk: what a machine's store takes, against what it holds.
//!
//! Names and bytes are counted on the disk itself. It refuses to count what the views take: they
//! are rows of the engine, which has bounds of its own.

use linli_store::disk::Disk as _;

use super::{Checker, Violation};
use crate::machine::{Machine, journal_options};

/// Beside a change's bytes, its record has a frame, names, hashes and a share of the seal, and its
/// keys lie twice on the shelf.
pub(crate) const RECORD_BYTES: u64 = 600;
/// Notes, the reach, the shelf's first rows, and one commit that was cut and kept aside.
const BYTES_BESIDE: u64 = 256 * 1024;
/// Files beside the segments: the reach, the shelf and what replaces it, tails kept aside.
const FILES_BESIDE: u64 = 16;

/// Not more than twice what is held and what was kept of refused changes, and a constant; not more
/// files than segments that are full, and a constant.
pub(crate) fn disk_bounded(at: &Machine) -> Result<(), Violation> {
    let files = at.disk.list().unwrap_or_default();
    let bytes: u64 = files.iter().map(|name| at.disk.len(name).unwrap_or(0)).sum();
    let bytes_max = 2 * (at.live_bytes + at.refused_bytes) + BYTES_BESIDE;
    let files_max = bytes / journal_options().segment_bytes + FILES_BESIDE;
    if bytes > bytes_max || files.len() as u64 > files_max {
        let text = format!(
            "{} has {} files with {bytes} bytes, of at most {files_max} and {bytes_max}",
            at.name,
            files.len(),
        );
        return Err(Violation::new(Checker::Bounded, text));
    }
    Ok(())
}
