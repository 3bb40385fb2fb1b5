//! Frames: the bytes of one message, as a link hands them on.
//!
//! What is taken must stay below its bounds and read the same once it was written and read again.
//! It refuses to hand a frame to an engine; the simulator does that.

use bytes::Bytes;
use linli_domain::digest::Digest;
use linli_domain::gate;
use linli_domain::id::ChangeHash;
use linli_proto::codec::{PARTS_MAX, check_parts};
use linli_proto::v1;
use linli_proto::v1::envelope::Frame as Wire;
use linli_replica::frame::Frame;
use linli_replica::limits::{
    BATCH_ITEMS_MAX, HASHES_PER_FRAME_MAX, KEYS_PER_ITEM_MAX, RANGES_PER_FRAME_MAX,
    REFUSALS_PER_ACK_MAX, SPACES_PER_LINK_MAX,
};
use linli_runtime::limits::{BODY_BYTES_MAX, GRANTS_PER_FRAME_MAX, MESSAGE_BYTES_MAX};
use linli_runtime::wire::{self, WireError};
use prost::Message as _;

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "frames", run, mutate, seeds };

const OPEN: &str = "community/yili/open";
const SEALED: &str = "community/yili/sealed";

fn run(input: &[u8]) -> Verdict {
    if input.len() > MESSAGE_BYTES_MAX {
        return Verdict::refused("message");
    }
    if check_parts(input, PARTS_MAX).is_err() {
        return Verdict::refused("parts");
    }
    let Ok(envelope) = v1::Envelope::decode(input) else { return Verdict::refused("protobuf") };
    match wire::decode(envelope) {
        Ok(frame) => {
            bounded(&frame);
            let again = wire::encode(frame.clone()).encode_to_vec();
            let again = v1::Envelope::decode(&again[..]).expect("our own message");
            assert_eq!(wire::decode(again), Ok(frame), "it reads as another frame");
            Verdict::Accepted
        }
        Err(error) => Verdict::refused(kind(&error)),
    }
}

fn bounded(frame: &Frame) {
    let (count, max) = match frame {
        Frame::Hello(hello) => (hello.spaces.len(), SPACES_PER_LINK_MAX),
        Frame::Batch(batch) => {
            let bytes: usize = batch.items.iter().map(|item| item.bytes.len()).sum();
            assert!(bytes <= BODY_BYTES_MAX, "{bytes} bytes in one batch");
            let keys = batch.items.iter().map(|item| item.keys.len()).max().unwrap_or(0);
            assert!(keys <= KEYS_PER_ITEM_MAX, "{keys} keys beside one change");
            (batch.items.len(), BATCH_ITEMS_MAX)
        }
        Frame::Ack(ack) => (ack.refused.len().max(ack.again.len()), REFUSALS_PER_ACK_MAX),
        Frame::Ranges(ranges) => (ranges.children.len(), RANGES_PER_FRAME_MAX),
        Frame::Hashes(hashes) => (hashes.hashes.len(), HASHES_PER_FRAME_MAX),
        Frame::Authors(grants) => (grants.len(), GRANTS_PER_FRAME_MAX),
        Frame::Unknown => (0, 0),
    };
    assert!(count <= max, "{count} parts where {max} are allowed");
}

/// A refusal without its numbers.
pub(super) fn kind(error: &WireError) -> String {
    match error {
        WireError::Message => "message".to_owned(),
        WireError::TooMany { what, .. } => format!("too many {what}"),
        WireError::TooLarge { .. } => "too large".to_owned(),
        WireError::Malformed { what } => format!("malformed {what}"),
    }
}

fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    let envelope = v1::Envelope::decode(&input[..]).ok();
    let Some(mut envelope) = envelope.filter(|_| !chance.one_in(4)) else {
        return crate::blind::mutate(input, others, chance);
    };
    if let Some(frame) = &mut envelope.frame {
        reshape(frame, chance);
    }
    *input = envelope.encode_to_vec();
}

fn reshape(frame: &mut Wire, chance: &mut Chance) {
    match frame {
        Wire::Hello(hello) => {
            list(&mut hello.spaces, chance);
            if let Some(state) = hello.spaces.first_mut() {
                text(&mut state.space, chance);
                bytes(&mut state.held, chance);
                bytes(&mut state.refused, chance);
                state.head = chance.number();
            }
            bytes(&mut hello.epoch, chance);
        }
        Wire::Batch(batch) => reshape_batch(batch, chance),
        Wire::Ack(ack) => {
            list(&mut ack.refused, chance);
            if let Some(refused) = ack.refused.first_mut() {
                bytes(&mut refused.hash, chance);
                text(&mut refused.reason, chance);
            }
            bytes(&mut ack.again, chance);
            ack.rest_seconds = chance.number() as u32;
        }
        Wire::Ranges(ranges) => {
            list(&mut ranges.children, chance);
            if let Some(child) = ranges.children.first_mut() {
                child.byte = chance.number() as u32;
                bytes(&mut child.digest, chance);
            }
            bytes(&mut ranges.prefix, chance);
        }
        Wire::Hashes(hashes) => {
            bytes(&mut hashes.prefix, chance);
            bytes(&mut hashes.hashes, chance);
            text(&mut hashes.space, chance);
        }
        Wire::Authors(authors) => {
            list(&mut authors.grants, chance);
            if let Some(grant) = authors.grants.first_mut() {
                text(&mut grant.space, chance);
                bytes(&mut grant.author, chance);
                text(&mut grant.name, chance);
            }
        }
    }
}

/// Changes the items of a batch and packs them again under their right length.
fn reshape_batch(batch: &mut v1::Batch, chance: &mut Chance) {
    let plain = match batch.coding() {
        v1::Coding::Plain => batch.body.to_vec(),
        v1::Coding::Zstd => zstd::bulk::decompress(&batch.body, BODY_BYTES_MAX).unwrap_or_default(),
    };
    let Ok(mut body) = v1::BatchBody::decode(&plain[..]) else { return };
    list(&mut body.items, chance);
    if let Some(item) = body.items.first_mut() {
        text(&mut item.entry, chance);
        bytes(&mut item.hash, chance);
        bytes(&mut item.change, chance);
        list(&mut item.keys, chance);
    }
    let plain = body.encode_to_vec();
    batch.plain_len = plain.len() as u32;
    batch.coding = i32::from(chance.one_in(2));
    batch.body = match batch.coding {
        1 => zstd::bulk::compress(&plain, 1).unwrap_or_default().into(),
        _ => plain.into(),
    };
    bytes(&mut batch.held, chance);
    text(&mut batch.space, chance);
    if let Some(to) = &mut batch.to {
        bytes(&mut to.epoch, chance);
    }
}

fn list<T: Clone>(list: &mut Vec<T>, chance: &mut Chance) {
    if list.is_empty() || !chance.one_in(3) {
        return;
    }
    let one = list[chance.below(list.len())].clone();
    match chance.below(3) {
        0 => drop(list.remove(chance.below(list.len()))),
        1 => list.push(one),
        _ => list.resize(chance.below(700), one),
    }
}

fn bytes(field: &mut Bytes, chance: &mut Chance) {
    if chance.one_in(8) {
        let mut other = field.to_vec();
        crate::blind::mutate(&mut other, &[], chance);
        *field = other.into();
    }
}

fn text(field: &mut String, chance: &mut Chance) {
    const TEXTS: [&str; 8] =
        ["", OPEN, SEALED, "street/he-ping/board", "community//open", "issue/1", "-", "无/线"];
    match chance.below(24) {
        0 => chance.one_of(&TEXTS).clone_into(field),
        1 => *field = field.repeat(chance.below(5)),
        2 => drop(field.pop()),
        _ => {}
    }
}

/// A batch of these items, plain.
pub(super) fn batch(items: Vec<v1::Item>) -> v1::Batch {
    let body = v1::BatchBody { items }.encode_to_vec();
    v1::Batch {
        space: OPEN.to_owned(),
        to: Some(v1::Cursor { epoch: Bytes::from_static(&[4; 16]), seq: 7, chain: 9 }),
        number: 1,
        last: true,
        coding: 0,
        plain_len: body.len() as u32,
        body: body.into(),
        held: digest(),
    }
}

/// Items as an honest desk sends them.
pub(super) fn items(count: u8) -> Vec<v1::Item> {
    let item = |nth: u8| {
        let change = Bytes::from(vec![nth; 60]);
        let hash = gate::hash_of(&change).expect("long enough");
        let hash =
            if nth.is_multiple_of(2) { Bytes::new() } else { Bytes::copy_from_slice(&hash.0) };
        let keys = vec![Bytes::from_static(&[1; 77]); usize::from(nth % 3)];
        v1::Item { entry: format!("issue/{nth}"), hash, change, keys }
    };
    (0..count).map(item).collect()
}

fn digest() -> Bytes {
    let held: Digest = [ChangeHash([1; 32]), ChangeHash([2; 32])].into_iter().collect();
    Bytes::copy_from_slice(&held.to_bytes())
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let hash = || Bytes::from_static(&[3; 32]);
    let hashes = |count: usize| Bytes::from(vec![3; 32 * count]);
    let state = |space: &str| v1::SpaceState {
        space: space.to_owned(),
        held: digest(),
        head: 2,
        chain: 5,
        cursor: batch(Vec::new()).to,
        refused: Bytes::new(),
    };
    let epoch = || Bytes::from_static(&[4; 16]);
    let hello = |spaces| v1::Hello { epoch: epoch(), now: 1 << 40, spaces };
    let grant = v1::AuthorGrant {
        space: OPEN.to_owned(),
        author: Bytes::from_static(&[1; 8]),
        name: "qu/jiedao/yili/desk".to_owned(),
    };
    let refused = v1::Refused { hash: hash(), reason: "fork".to_owned() };
    let ack = v1::Ack {
        space: OPEN.to_owned(),
        number: 1,
        held: digest(),
        refused: vec![refused; 2],
        again: hashes(2),
        rest_seconds: 0,
    };
    let child = v1::Child { byte: 7, digest: digest() };
    let ranges = v1::Ranges { space: OPEN.to_owned(), prefix: hash(), children: vec![child; 2] };
    let listed = |count| v1::Hashes {
        space: SEALED.to_owned(),
        prefix: Bytes::from_static(&[3]),
        hashes: hashes(count),
        answer: true,
    };
    let crowd = vec![state("street/he-ping/figures"); 40];
    let mut long = batch(items(2));
    long.plain_len = u32::MAX;
    let mut keys = items(3);
    keys[1].keys = vec![Bytes::from_static(&[1; 77]); 3];
    let frames = [
        ("honest-hello", Wire::Hello(hello(vec![state(OPEN), state(SEALED)]))),
        ("honest-hello-crowd", Wire::Hello(hello(crowd))),
        ("honest-batch", Wire::Batch(batch(items(5)))),
        ("honest-ack", Wire::Ack(ack)),
        ("honest-ranges", Wire::Ranges(ranges)),
        ("honest-hashes", Wire::Hashes(listed(20))),
        ("honest-authors", Wire::Authors(v1::Authors { grants: vec![grant; 3] })),
        ("crafted-batch-length", Wire::Batch(long)),
        ("crafted-batch-keys", Wire::Batch(batch(keys))),
        ("crafted-hello-epoch", Wire::Hello(v1::Hello { epoch: hash(), ..hello(Vec::new()) })),
    ];
    let write = |(name, frame): (&str, Wire)| {
        let envelope = v1::Envelope { version: wire::VERSION, frame: Some(frame) };
        (name.to_owned(), envelope.encode_to_vec())
    };
    let mut out: Vec<(String, Vec<u8>)> = frames.map(write).into();
    let empty = vec![v1::SpaceState::default(); 9_000];
    let parts = v1::Envelope { version: 1, frame: Some(Wire::Hello(hello(empty))) };
    // Its first 4 KB, cut in a list of empty parts.
    out.push(("crafted-cut".to_owned(), parts.encode_to_vec()[..1_999].to_vec()));
    out.push(("honest-unknown".to_owned(), vec![8, 1]));
    out
}
