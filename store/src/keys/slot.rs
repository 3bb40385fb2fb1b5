//! A row of a shelf's file, byte by byte.

use linli_domain::seal::{DocumentPlace, KeyName, WRAPPED_KEY_BYTES_MAX};

use super::KeyRow;
use crate::limits::KEY_ROW_BYTES;

/// One row.
pub(super) type Slot = [u8; KEY_ROW_BYTES];

const MAGIC: &[u8; 8] = b"linlikey";
const VERSION: u32 = 1;
const KEY: u8 = 1;
/// A document that was erased here, whose text may still lie in the files of the views.
const ERASED: u8 = 2;
/// One whose text is gone from there, too.
const CLEAN: u8 = 3;

const PLACE_AT: usize = 2;
const NAME_AT: usize = 34;
const WRAPPED_AT: usize = 66;
const SUM_AT: usize = KEY_ROW_BYTES - 4;
const _: () = assert!(WRAPPED_AT + WRAPPED_KEY_BYTES_MAX <= SUM_AT);

/// What a sound row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// The first row of a file.
    Header,
    /// A header that a newer program wrote.
    Newer(u32),
    /// A key of the document.
    Key(DocumentPlace),
    /// The document was erased; with whether the views' files are free of it.
    Erased(DocumentPlace, bool),
    /// Nothing that this program knows.
    Other,
}

/// What a row says; `None` if it is damaged or was never finished.
pub(super) fn says(slot: &Slot) -> Option<Says> {
    if !is_sound(slot) {
        return None;
    }
    if slot.starts_with(MAGIC) {
        let version = u32::from_le_bytes(array(slot, MAGIC.len()));
        return Some(if version > VERSION { Says::Newer(version) } else { Says::Header });
    }
    let place = DocumentPlace(array(slot, PLACE_AT));
    Some(match slot[0] {
        KEY => Says::Key(place),
        ERASED | CLEAN => Says::Erased(place, slot[0] == CLEAN),
        _ => Says::Other,
    })
}

/// The key in the row of a key.
pub(super) fn key_row(slot: &Slot) -> KeyRow {
    let len = usize::from(slot[1]).min(WRAPPED_KEY_BYTES_MAX);
    let wrapped = slot[WRAPPED_AT..WRAPPED_AT + len].into();
    KeyRow { name: KeyName(array(slot, NAME_AT)), wrapped }
}

/// The first row of a file.
pub(super) fn header() -> Slot {
    let mut slot = [0; KEY_ROW_BYTES];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..12].copy_from_slice(&VERSION.to_le_bytes());
    summed(slot)
}

/// The row of a key of at most [`WRAPPED_KEY_BYTES_MAX`].
pub(super) fn key(place: &DocumentPlace, name: &KeyName, wrapped: &[u8]) -> Slot {
    let mut slot = [0; KEY_ROW_BYTES];
    slot[0] = KEY;
    slot[1] = wrapped.len() as u8;
    slot[PLACE_AT..NAME_AT].copy_from_slice(&place.0);
    slot[NAME_AT..WRAPPED_AT].copy_from_slice(&name.0);
    slot[WRAPPED_AT..WRAPPED_AT + wrapped.len()].copy_from_slice(wrapped);
    summed(slot)
}

/// The row of an erased document.
pub(super) fn erased(place: &DocumentPlace, clean: bool) -> Slot {
    let mut slot = [0; KEY_ROW_BYTES];
    slot[0] = if clean { CLEAN } else { ERASED };
    slot[PLACE_AT..NAME_AT].copy_from_slice(&place.0);
    summed(slot)
}

fn summed(mut slot: Slot) -> Slot {
    let sum = crc32c::crc32c(&slot[..SUM_AT]);
    slot[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    slot
}

fn is_sound(slot: &Slot) -> bool {
    // Zeros have a sum that is not zero.
    crc32c::crc32c(&slot[..SUM_AT]).to_le_bytes() == slot[SUM_AT..]
}

/// `N` bytes of a row.
fn array<const N: usize>(slot: &Slot, at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&slot[at..at + N]);
    out
}
