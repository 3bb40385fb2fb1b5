//! Rebuilt, byte for byte: the rows of a machine's views are those that its journal gives, the
//! store's own among them.
//!
//! It works on copies, so that the machine does not hear of it. It refuses to compare what no
//! journal holds: when a peer was heard, how far it has read, and what it has handed over today.

use std::collections::{BTreeMap, BTreeSet};

use linli_store::MemoryViews;

use super::{Checker, Violation};
use crate::machine::Machine;

/// What keys of rows begin with that are noted and not derived: cursors, how far they are proven,
/// acknowledgements, when peers were heard, and what desks handed over.
const NOTED: [[u8; 2]; 5] = [[1, b'k'], [1, b'p'], [1, b'a'], [1, b'l'], [1, b'q']];

/// Starts two copies of a machine, one with its views and one without, and compares the rows.
pub(crate) fn derived_again(machine: &Machine, now_ms: u64) -> Result<(), Violation> {
    if machine.hostile || machine.site.is_none() {
        return Ok(());
    }
    let kept = rows(machine.copy(machine.well.copy()), now_ms)?;
    let mut without = machine.copy(machine.well.copy());
    without.views = MemoryViews::new();
    let derived = rows(without, now_ms)?;
    let keys: BTreeSet<&Vec<u8>> = kept.keys().chain(derived.keys()).collect();
    let Some(key) = keys.into_iter().find(|key| kept.get(*key) != derived.get(*key)) else {
        return Ok(());
    };
    let len = |rows: &BTreeMap<Vec<u8>, Vec<u8>>| rows.get(key).map(Vec::len);
    let text = format!(
        "{} keeps {:?} bytes as row {}, its journal gives {:?} others",
        machine.name,
        len(&kept),
        key.escape_ascii(),
        len(&derived),
    );
    Err(Violation::new(Checker::Rebuilt, text))
}

/// The rows of a machine that was started, did all its work and was closed.
fn rows(mut machine: Machine, now_ms: u64) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Violation> {
    let name = machine.name.clone();
    let failed = |error: String| {
        Violation::new(Checker::Sound, format!("a copy of {name} cannot be read: {error}"))
    };
    machine.start(now_ms, None).map_err(|error| failed(format!("{error:?}")))?;
    if let Some(mut site) = machine.site.take() {
        while site.idle() {}
        site.close().map_err(|error| failed(error.to_string()))?;
    }
    let mut rows = machine.views.rows();
    rows.retain(|key, _| !NOTED.iter().any(|noted| key.starts_with(noted)));
    Ok(rows)
}
