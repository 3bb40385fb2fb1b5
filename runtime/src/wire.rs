//! Frames to protobuf and back.
//!
//! Whatever comes from a peer is bounded and parsed here, once. A frame or space that this version
//! does not know is not an error; one that breaks a bound or a form is. It refuses to judge what a
//! frame says.

mod body;

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::hlc::Hlc;
use linli_domain::id::{AuthorId, ChangeHash, EpochId, Space};
use linli_proto::v1::{self, envelope};
use linli_replica::frame::{
    Ack, AuthorGrant, Batch, Cursor, Frame, Hashes, Hello, Ranges, Refused, SpaceState,
};
use linli_replica::limits::{
    BATCH_ITEMS_MAX, HASHES_PER_FRAME_MAX, RANGES_PER_FRAME_MAX, REFUSALS_PER_ACK_MAX,
    REST_SECONDS_MAX, SPACES_PER_LINK_MAX,
};

use crate::limits::{GRANTS_PER_FRAME_MAX, ITEM_OVERHEAD_BYTES_MAX, REASON_BYTES_MAX};

/// The version of the frames this program speaks.
pub const VERSION: u32 = 1;

/// A frame that breaks a bound or a form. The link that brought it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A message is larger, or has more parts, than any of ours.
    #[error("a message is too large or has too many parts")]
    Message,
    /// A list is too long.
    #[error("a frame holds {count} {what}, at most {max} are allowed")]
    TooMany {
        /// What the list holds.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A body is too large.
    #[error("the body of a batch takes {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its stated length.
        len: usize,
        /// Its greatest length.
        max: usize,
    },
    /// A part has not the form it must have.
    #[error("the {what} of a frame is malformed")]
    Malformed {
        /// The part.
        what: &'static str,
    },
}

/// The message that carries a frame.
pub fn encode(frame: Frame) -> v1::Envelope {
    let frame = match frame {
        Frame::Hello(hello) => Some(envelope::Frame::Hello(encode_hello(hello))),
        Frame::Batch(batch) => Some(envelope::Frame::Batch(encode_batch(batch))),
        Frame::Ack(ack) => Some(envelope::Frame::Ack(encode_ack(ack))),
        Frame::Ranges(ranges) => Some(envelope::Frame::Ranges(encode_ranges(ranges))),
        Frame::Hashes(hashes) => Some(envelope::Frame::Hashes(v1::Hashes {
            space: hashes.space.to_string(),
            prefix: hashes.prefix.into(),
            hashes: pack_hashes(&hashes.hashes),
            answer: hashes.answer,
        })),
        Frame::Authors(grants) => Some(envelope::Frame::Authors(v1::Authors {
            grants: grants.into_iter().map(encode_grant).collect(),
        })),
        Frame::Unknown => None,
    };
    v1::Envelope { version: VERSION, frame }
}

/// The frame a message carries; [`Frame::Unknown`] if it is of a kind, or about a space, that
/// this version does not know.
pub fn decode(envelope: v1::Envelope) -> Result<Frame, WireError> {
    let frame = match envelope.frame {
        None => None,
        Some(envelope::Frame::Hello(hello)) => Some(Frame::Hello(decode_hello(hello)?)),
        Some(envelope::Frame::Batch(batch)) => decode_batch(batch)?.map(Frame::Batch),
        Some(envelope::Frame::Ack(ack)) => decode_ack(ack)?.map(Frame::Ack),
        Some(envelope::Frame::Ranges(ranges)) => decode_ranges(ranges)?.map(Frame::Ranges),
        Some(envelope::Frame::Hashes(hashes)) => decode_hashes(hashes)?.map(Frame::Hashes),
        Some(envelope::Frame::Authors(authors)) => Some(Frame::Authors(decode_grants(authors)?)),
    };
    Ok(frame.unwrap_or(Frame::Unknown))
}

fn encode_hello(hello: Hello) -> v1::Hello {
    v1::Hello {
        epoch: copy(&hello.epoch.0),
        now: hello.now.0,
        spaces: hello
            .spaces
            .into_iter()
            .map(|state| v1::SpaceState {
                space: state.space.to_string(),
                held: copy(&state.held.to_bytes()),
                head: state.head,
                chain: state.chain,
                cursor: state.cursor.map(encode_cursor),
                refused: encode_refused_digest(&state.refused),
            })
            .collect(),
    }
}

fn decode_hello(hello: v1::Hello) -> Result<Hello, WireError> {
    bound("spaces", hello.spaces.len(), SPACES_PER_LINK_MAX)?;
    let mut spaces = Vec::with_capacity(hello.spaces.len());
    for state in hello.spaces {
        let Some(space) = known_space(&state.space) else { continue };
        spaces.push(SpaceState {
            space,
            held: digest(&state.held)?,
            head: state.head,
            chain: state.chain,
            cursor: state.cursor.map(decode_cursor).transpose()?,
            refused: decode_refused_digest(&state.refused)?,
        });
    }
    Ok(Hello { epoch: epoch(&hello.epoch)?, now: Hlc(hello.now), spaces })
}

fn encode_batch(batch: Batch) -> v1::Batch {
    let body = body::pack(batch.items);
    v1::Batch {
        space: batch.space.to_string(),
        to: batch.to.map(encode_cursor),
        number: batch.number,
        last: batch.last,
        held: copy(&batch.held.to_bytes()),
        coding: body.coding.into(),
        plain_len: body.plain_len,
        body: body.bytes,
    }
}

fn decode_batch(batch: v1::Batch) -> Result<Option<Batch>, WireError> {
    let coding = batch.coding();
    if i32::from(coding) != batch.coding {
        return Err(WireError::Malformed { what: "coding" });
    }
    let Some(space) = known_space(&batch.space) else { return Ok(None) };
    let body = body::Body { coding, plain_len: batch.plain_len, bytes: batch.body };
    Ok(Some(Batch {
        space,
        to: batch.to.map(decode_cursor).transpose()?,
        number: batch.number,
        items: body::unpack(body)?,
        last: batch.last,
        held: digest(&batch.held)?,
    }))
}

fn encode_ack(ack: Ack) -> v1::Ack {
    v1::Ack {
        space: ack.space.to_string(),
        number: ack.number,
        held: copy(&ack.held.to_bytes()),
        refused: ack
            .refused
            .into_iter()
            .map(|refused| v1::Refused { hash: copy(&refused.hash.0), reason: refused.reason })
            .collect(),
        again: pack_hashes(&ack.again),
        rest_seconds: ack.rest_seconds,
    }
}

fn decode_ack(ack: v1::Ack) -> Result<Option<Ack>, WireError> {
    bound("refusals", ack.refused.len(), REFUSALS_PER_ACK_MAX)?;
    let Some(space) = known_space(&ack.space) else { return Ok(None) };
    let refused = ack
        .refused
        .into_iter()
        .map(|refused| {
            bound("bytes of reason", refused.reason.len(), REASON_BYTES_MAX)?;
            Ok(Refused { hash: hash(&refused.hash)?, reason: refused.reason })
        })
        .collect::<Result<_, WireError>>()?;
    Ok(Some(Ack {
        space,
        number: ack.number,
        held: digest(&ack.held)?,
        refused,
        again: unpack_hashes(&ack.again, BATCH_ITEMS_MAX)?,
        // A rest that is too long is none the less meant.
        rest_seconds: ack.rest_seconds.min(REST_SECONDS_MAX),
    }))
}

fn encode_ranges(ranges: Ranges) -> v1::Ranges {
    v1::Ranges {
        space: ranges.space.to_string(),
        prefix: ranges.prefix.into(),
        children: ranges
            .children
            .into_iter()
            .map(|(byte, digest)| v1::Child { byte: byte.into(), digest: copy(&digest.to_bytes()) })
            .collect(),
    }
}

fn decode_ranges(ranges: v1::Ranges) -> Result<Option<Ranges>, WireError> {
    bound("ranges", ranges.children.len(), RANGES_PER_FRAME_MAX)?;
    let Some(space) = known_space(&ranges.space) else { return Ok(None) };
    let children = ranges
        .children
        .into_iter()
        .map(|child| {
            let byte = u8::try_from(child.byte)
                .map_err(|_| WireError::Malformed { what: "byte of a range" })?;
            Ok((byte, digest(&child.digest)?))
        })
        .collect::<Result<_, WireError>>()?;
    Ok(Some(Ranges { space, prefix: prefix(&ranges.prefix)?, children }))
}

fn decode_hashes(hashes: v1::Hashes) -> Result<Option<Hashes>, WireError> {
    let Some(space) = known_space(&hashes.space) else { return Ok(None) };
    Ok(Some(Hashes {
        space,
        prefix: prefix(&hashes.prefix)?,
        hashes: unpack_hashes(&hashes.hashes, HASHES_PER_FRAME_MAX)?,
        answer: hashes.answer,
    }))
}

fn encode_grant(grant: AuthorGrant) -> v1::AuthorGrant {
    v1::AuthorGrant {
        space: grant.space.to_string(),
        author: copy(&grant.author.0),
        name: grant.name,
    }
}

fn decode_grants(authors: v1::Authors) -> Result<Vec<AuthorGrant>, WireError> {
    bound("author grants", authors.grants.len(), GRANTS_PER_FRAME_MAX)?;
    let mut grants = Vec::with_capacity(authors.grants.len());
    for grant in authors.grants {
        let Some(space) = known_space(&grant.space) else { continue };
        let author =
            AuthorId::from_slice(&grant.author).ok_or(WireError::Malformed { what: "author" })?;
        bound("bytes of name", grant.name.len(), 160)?;
        grants.push(AuthorGrant { space, author, name: grant.name });
    }
    Ok(grants)
}

fn encode_cursor(cursor: Cursor) -> v1::Cursor {
    v1::Cursor { epoch: copy(&cursor.epoch.0), seq: cursor.seq, chain: cursor.chain }
}

fn decode_cursor(cursor: v1::Cursor) -> Result<Cursor, WireError> {
    Ok(Cursor { epoch: epoch(&cursor.epoch)?, seq: cursor.seq, chain: cursor.chain })
}

/// Nothing refused, which is the rule, takes no bytes.
fn encode_refused_digest(refused: &Digest) -> Bytes {
    if *refused == Digest::default() { Bytes::new() } else { copy(&refused.to_bytes()) }
}

fn decode_refused_digest(bytes: &[u8]) -> Result<Digest, WireError> {
    if bytes.is_empty() { Ok(Digest::default()) } else { digest(bytes) }
}

/// A space of a kind that this version does not know is left to those that do.
fn known_space(text: &str) -> Option<Space> {
    Space::parse(text).ok()
}

fn epoch(bytes: &[u8]) -> Result<EpochId, WireError> {
    EpochId::from_slice(bytes).ok_or(WireError::Malformed { what: "epoch" })
}

fn digest(bytes: &[u8]) -> Result<Digest, WireError> {
    Digest::from_bytes(bytes).ok_or(WireError::Malformed { what: "digest" })
}

fn hash(bytes: &[u8]) -> Result<ChangeHash, WireError> {
    ChangeHash::from_slice(bytes).ok_or(WireError::Malformed { what: "hash" })
}

fn prefix(bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    bound("bytes of prefix", bytes.len(), 32)?;
    Ok(bytes.to_vec())
}

fn pack_hashes(hashes: &[ChangeHash]) -> Bytes {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn unpack_hashes(bytes: &[u8], max: usize) -> Result<Vec<ChangeHash>, WireError> {
    bound("hashes", bytes.len().div_ceil(32), max)?;
    bytes.chunks(32).map(hash).collect()
}

fn bound(what: &'static str, count: usize, max: usize) -> Result<(), WireError> {
    if count > max { Err(WireError::TooMany { what, count, max }) } else { Ok(()) }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// About what a frame takes in memory.
pub(crate) fn bytes_of(frame: &Frame) -> usize {
    let content = match frame {
        Frame::Hello(hello) => hello.spaces.len() * 200,
        Frame::Batch(batch) => {
            batch.items.iter().map(|item| item.bytes.len() + ITEM_OVERHEAD_BYTES_MAX).sum()
        }
        Frame::Ack(ack) => ack.refused.len() * 80 + ack.again.len() * 32,
        Frame::Ranges(ranges) => ranges.children.len() * 48,
        Frame::Hashes(hashes) => hashes.hashes.len() * 32,
        Frame::Authors(grants) => grants.len() * 200,
        Frame::Unknown => 0,
    };
    content + 160
}

#[cfg(test)]
mod tests;
