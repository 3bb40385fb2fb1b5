//! The body of a batch: its items in one compressed piece.
//!
//! It refuses to inflate more than it was told it may, and to allocate for items it has not
//! counted.

use std::cell::RefCell;

use bytes::Bytes;
use linli_domain::gate;
use linli_domain::id::{ChangeHash, EntryId};
use linli_domain::seal::WRAPPED_KEY_BYTES_MAX;
use linli_proto::codec::check_parts;
use linli_proto::v1;
use linli_replica::frame::Item;
use linli_replica::limits::{BATCH_ITEMS_MAX, KEYS_PER_ITEM_MAX};
use prost::Message as _;
use zstd::bulk::{Compressor, Decompressor};

use super::{WireError, bound};
use crate::limits::{BODY_BYTES_MAX, BODY_PLAIN_BYTES_MAX};

/// Links live side by side with a network that is slower than any level; the first costs least.
const ZSTD_LEVEL: i32 = 1;

/// Fields an item may have before a body counts as crafted: three times those it has.
const FIELDS_PER_ITEM_MAX: usize = 15;

/// A body as it travels.
pub(super) struct Body {
    pub(super) coding: v1::Coding,
    pub(super) plain_len: u32,
    pub(super) bytes: Bytes,
}

pub(super) fn pack(items: Vec<Item>) -> Body {
    let items = items
        .into_iter()
        .map(|item| {
            let follows = gate::hash_of(&item.bytes) == Some(item.hash);
            let hash = if follows { Bytes::new() } else { Bytes::copy_from_slice(&item.hash.0) };
            v1::Item {
                entry: item.entry.as_str().to_owned(),
                hash,
                change: item.bytes,
                keys: item.keys,
            }
        })
        .collect();
    let plain = v1::BatchBody { items }.encode_to_vec();
    let plain_len = plain.len() as u32;
    if plain.len() >= BODY_PLAIN_BYTES_MAX
        && let Some(bytes) = deflate(&plain)
        && bytes.len() < plain.len()
    {
        return Body { coding: v1::Coding::Zstd, plain_len, bytes: bytes.into() };
    }
    Body { coding: v1::Coding::Plain, plain_len, bytes: plain.into() }
}

pub(super) fn unpack(body: Body) -> Result<Vec<Item>, WireError> {
    let len = body.plain_len as usize;
    if len > BODY_BYTES_MAX {
        return Err(WireError::TooLarge { len, max: BODY_BYTES_MAX });
    }
    let plain = match body.coding {
        v1::Coding::Plain => Some(body.bytes),
        v1::Coding::Zstd => inflate(&body.bytes, len).map(Bytes::from),
    };
    let plain =
        plain.filter(|plain| plain.len() == len).ok_or(WireError::Malformed { what: "body" })?;
    let too_many = |count| WireError::TooMany { what: "items", count, max: BATCH_ITEMS_MAX };
    let parts_max = BATCH_ITEMS_MAX * (1 + FIELDS_PER_ITEM_MAX);
    check_parts(&plain, parts_max).map_err(|_| too_many(parts_max))?;
    let items =
        v1::BatchBody::decode(plain).map_err(|_| WireError::Malformed { what: "body" })?.items;
    if items.len() > BATCH_ITEMS_MAX {
        return Err(too_many(items.len()));
    }
    items.into_iter().map(unpack_item).collect()
}

fn unpack_item(item: v1::Item) -> Result<Item, WireError> {
    let hash = if item.hash.is_empty() {
        gate::hash_of(&item.change)
    } else {
        ChangeHash::from_slice(&item.hash)
    };
    bound("keys of an item", item.keys.len(), KEYS_PER_ITEM_MAX)?;
    for key in &item.keys {
        bound("bytes of a key", key.len(), WRAPPED_KEY_BYTES_MAX)?;
    }
    Ok(Item {
        entry: EntryId::parse(&item.entry)
            .map_err(|_| WireError::Malformed { what: "entry id" })?,
        hash: hash.ok_or(WireError::Malformed { what: "hash" })?,
        bytes: item.change,
        keys: item.keys,
    })
}

thread_local! {
    // One coder a thread instead of one a link: its tables take some hundred kilobytes.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn deflate(plain: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(ZSTD_LEVEL).ok();
        }
        slot.as_mut()?.compress(plain).ok()
    })
}

fn inflate(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Decompressor::new().ok();
        }
        slot.as_mut()?.decompress(packed, len).ok()
    })
}
