//! Inflating: the body of a batch with its coding and stated length.
//!
//! ```text
//! coding u8 | stated length u32 | body
//! ```
//!
//! It refuses to say what the body means; `frames` does.

use bytes::Bytes;
use linli_proto::v1;
use linli_replica::frame::Frame;
use linli_replica::limits::BATCH_ITEMS_MAX;
use linli_runtime::limits::BODY_BYTES_MAX;
use linli_runtime::wire;
use prost::Message as _;

use super::frames;
use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "inflate", run, mutate, seeds };

const HEAD_BYTES: usize = 5;
/// Bytes one block of a crafted zstd frame inflates to.
const BLOCK_BYTES: usize = 128 * 1024;
/// Blocks of the largest bomb: 12 KB that inflate to 512 MB.
const BLOCKS_MAX: usize = 4096;

fn run(input: &[u8]) -> Verdict {
    let Some((head, body)) = input.split_first_chunk::<HEAD_BYTES>() else {
        return Verdict::refused("short");
    };
    let [coding, len @ ..] = *head;
    let batch = v1::Batch {
        coding: i32::from(coding),
        plain_len: u32::from_le_bytes(len),
        body: Bytes::copy_from_slice(body),
        ..frames::batch(Vec::new())
    };
    let frame = Some(v1::envelope::Frame::Batch(batch));
    match wire::decode(v1::Envelope { version: wire::VERSION, frame }) {
        Ok(Frame::Batch(batch)) => {
            let bytes: usize = batch.items.iter().map(|item| item.bytes.len()).sum();
            assert!(bytes <= BODY_BYTES_MAX, "{bytes} bytes from one body");
            assert!(batch.items.len() <= BATCH_ITEMS_MAX, "{} items", batch.items.len());
            Verdict::Accepted
        }
        Ok(other) => panic!("a batch was read as {other:?}"),
        Err(error) => Verdict::refused(frames::kind(&error)),
    }
}

fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    let (coding, stated, body) = match input.split_first_chunk::<HEAD_BYTES>() {
        Some(([coding, len @ ..], body)) => (*coding, u32::from_le_bytes(*len), body.to_vec()),
        None => (1, 0, Vec::new()),
    };
    let plain = match coding {
        1 => zstd::bulk::decompress(&body, BODY_BYTES_MAX).unwrap_or_default(),
        _ => body.clone(),
    };
    *input = match chance.below(8) {
        0 => bomb(chance),
        1 => written(1, chance.number() as u32, &body),
        2 => {
            let mut body = body;
            crate::blind::mutate(&mut body, others, chance);
            written(coding, stated, &body)
        }
        3 => written(chance.bytes::<1>()[0], stated, &body),
        _ => {
            let mut plain = plain;
            crate::blind::mutate(&mut plain, others, chance);
            packed(&plain, chance.one_in(4))
        }
    };
}

fn written(coding: u8, len: u32, body: &[u8]) -> Vec<u8> {
    [&[coding][..], &len.to_le_bytes(), body].concat()
}

fn packed(plain: &[u8], is_plain: bool) -> Vec<u8> {
    let len = plain.len() as u32;
    if is_plain {
        return written(0, len, plain);
    }
    written(1, len, &zstd::bulk::compress(plain, 1).unwrap_or_default())
}

fn bomb(chance: &mut Chance) -> Vec<u8> {
    let blocks = 1 + chance.below(BLOCKS_MAX);
    let inflated = blocks * BLOCK_BYTES;
    let stated = match chance.below(4) {
        0 => BODY_BYTES_MAX,
        1 => chance.number() as usize,
        _ => inflated,
    };
    written(1, stated as u32, &bomb_of(blocks, chance.bytes::<1>()[0]))
}

/// A zstd frame of blocks that each say "this byte, 128 KiB times": four bytes a block. Source of
/// the layout: RFC 8878, sections 3.1.1 and 3.1.1.2.
fn bomb_of(blocks: usize, byte: u8) -> Vec<u8> {
    // No content size, no checksum, a window of 128 KiB.
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for block in 1..=blocks {
        let last = u32::from(block == blocks);
        let head = (BLOCK_BYTES as u32) << 3 | 1 << 1 | last;
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.push(byte);
    }
    out
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let plain = v1::BatchBody { items: frames::items(4) }.encode_to_vec();
    let crowd = v1::BatchBody { items: vec![v1::Item::default(); 600] }.encode_to_vec();
    let over = (BODY_BYTES_MAX + 1) as u32;
    let bomb = bomb_of(1000, 0);
    let named = |(name, input): (&str, Vec<u8>)| (name.to_owned(), input);
    [
        ("honest-packed", packed(&plain, false)),
        ("honest-plain", packed(&plain, true)),
        ("honest-nothing", packed(&[], true)),
        ("crafted-bomb-as-it-is", written(1, (1000 * BLOCK_BYTES) as u32, &bomb)),
        ("crafted-bomb-made-small", written(1, 1000, &bomb)),
        ("crafted-length-too-great", written(0, over, &plain)),
        ("crafted-length-too-small", written(0, 3, &plain)),
        ("crafted-crowd", packed(&crowd, false)),
        ("crafted-coding", written(9, plain.len() as u32, &plain)),
        ("crafted-no-frame", written(1, 10, b"not zstd")),
    ]
    .map(named)
    .into()
}
