//! Frames survive the wire; what breaks a bound or a form does not pass.

use linli_domain::gate;
use linli_domain::id::{CommunityId, EntryId, StreetId};
use linli_domain::seal::WRAPPED_KEY_BYTES_MAX;
use linli_replica::frame::Item;
use linli_replica::limits::KEYS_PER_ITEM_MAX;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::limits::{BODY_BYTES_MAX, MESSAGE_BYTES_MAX};

fn space() -> impl Strategy<Value = Space> {
    ("[a-z0-9][a-z0-9-]{0,31}", 0..4).prop_map(|(id, kind)| match kind {
        0 => Space::Open(CommunityId::parse(&id).unwrap()),
        1 => Space::Sealed(CommunityId::parse(&id).unwrap()),
        2 => Space::Board(StreetId::parse(&id).unwrap()),
        _ => Space::Figures(StreetId::parse(&id).unwrap()),
    })
}

fn any_digest() -> impl Strategy<Value = Digest> {
    prop_oneof![
        Just(Digest::default()),
        (any::<u64>(), any::<[u64; 4]>()).prop_map(|(count, sum)| Digest { count, sum }),
    ]
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(|(epoch, seq, chain)| Cursor {
        epoch: EpochId(epoch),
        seq,
        chain,
    })
}

fn any_hash() -> impl Strategy<Value = ChangeHash> {
    any::<[u8; 32]>().prop_map(ChangeHash)
}

fn item() -> impl Strategy<Value = Item> {
    let parts = ("[a-z0-9_]{1,32}/[A-Za-z0-9._-]{1,63}", any_hash(), vec(any::<u8>(), 0..600));
    let keys = vec(vec(any::<u8>(), 0..=WRAPPED_KEY_BYTES_MAX), 0..=KEYS_PER_ITEM_MAX);
    (parts, any::<bool>(), keys).prop_map(|((entry, hash, bytes), honest, keys)| Item {
        entry: EntryId::parse(&entry).unwrap(),
        // One that follows from the bytes is not sent.
        hash: gate::hash_of(&bytes).filter(|_| honest).unwrap_or(hash),
        bytes: bytes.into(),
        keys: keys.into_iter().map(Bytes::from).collect(),
    })
}

fn space_state() -> impl Strategy<Value = SpaceState> {
    (space(), any_digest(), any::<u64>(), any::<u64>(), option::of(cursor()), any_digest())
        .prop_map(|(space, held, head, chain, cursor, refused)| SpaceState {
            space,
            held,
            head,
            chain,
            cursor,
            refused,
        })
}

fn frame() -> impl Strategy<Value = Frame> {
    let hello = (any::<[u8; 16]>(), any::<u64>(), vec(space_state(), 0..6)).prop_map(
        |(epoch, now, spaces)| Frame::Hello(Hello { epoch: EpochId(epoch), now: Hlc(now), spaces }),
    );
    let batch = (
        space(),
        option::of(cursor()),
        any::<u64>(),
        vec(item(), 0..20),
        any::<bool>(),
        any_digest(),
    )
        .prop_map(|(space, to, number, items, last, held)| {
            Frame::Batch(Batch { space, to, number, items, last, held })
        });
    let refused = (any_hash(), "[a-z-]{0,64}").prop_map(|(hash, reason)| Refused { hash, reason });
    let ack = (
        space(),
        any::<u64>(),
        any_digest(),
        vec(refused, 0..5),
        vec(any_hash(), 0..5),
        0..=REST_SECONDS_MAX,
    )
        .prop_map(|(space, number, held, refused, again, rest_seconds)| {
            Frame::Ack(Ack { space, number, held, refused, again, rest_seconds })
        });
    let ranges = (space(), vec(any::<u8>(), 0..=32), vec((any::<u8>(), any_digest()), 0..256))
        .prop_map(|(space, prefix, children)| Frame::Ranges(Ranges { space, prefix, children }));
    let hashes = (space(), vec(any::<u8>(), 0..=32), vec(any_hash(), 0..50), any::<bool>())
        .prop_map(|(space, prefix, hashes, answer)| {
            Frame::Hashes(Hashes { space, prefix, hashes, answer })
        });
    let grant = (space(), any::<[u8; 8]>(), "[a-z/-]{0,99}")
        .prop_map(|(space, author, name)| AuthorGrant { space, author: AuthorId(author), name });
    let authors = vec(grant, 0..9).prop_map(Frame::Authors);
    prop_oneof![hello, batch, ack, ranges, hashes, authors, Just(Frame::Unknown)]
}

/// Over the wire and back, as bytes.
fn carried(frame: Frame) -> Result<Frame, WireError> {
    let bytes = encode(frame).encode_to_vec();
    decode(v1::Envelope::decode(bytes.as_slice()).unwrap())
}

proptest! {
    #[test]
    fn every_frame_survives_the_wire(frame in frame()) {
        prop_assert_eq!(carried(frame.clone()), Ok(frame));
    }

    #[test]
    fn no_bytes_bring_the_decoder_down(frame in frame(), flips in vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut bytes = encode(frame).encode_to_vec();
        for (at, byte) in flips {
            let len = bytes.len();
            bytes[at % len] ^= byte;
        }
        if let Ok(envelope) = v1::Envelope::decode(bytes.as_slice()) {
            // Refused or read, but never a panic, and never more than one batch.
            if let Ok(Frame::Batch(batch)) = decode(envelope) {
                prop_assert!(batch.items.len() <= BATCH_ITEMS_MAX);
            }
        }
    }
}

fn community() -> Space {
    Space::Open(CommunityId::parse("anping").unwrap())
}

fn batch_of(items: usize, change: &[u8]) -> Batch {
    let change = Bytes::copy_from_slice(change);
    let items = (0..items)
        .map(|at| Item {
            entry: EntryId::new("issue", &format!("i{at}")).unwrap(),
            hash: ChangeHash([at as u8; 32]),
            bytes: change.clone(),
            keys: Vec::new(),
        })
        .collect();
    Batch { space: community(), to: None, number: 1, items, last: false, held: Digest::default() }
}

fn sent_batch(batch: Batch) -> v1::Batch {
    match encode(Frame::Batch(batch)).frame {
        Some(envelope::Frame::Batch(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

fn received(batch: v1::Batch) -> Result<Frame, WireError> {
    decode(v1::Envelope { version: 1, frame: Some(envelope::Frame::Batch(batch)) })
}

#[test]
fn a_small_body_is_plain_and_a_large_one_is_not() {
    let small = sent_batch(batch_of(1, b"one change"));
    assert_eq!(small.coding(), v1::Coding::Plain);
    let large = sent_batch(batch_of(100, &[7; 300]));
    assert_eq!(large.coding(), v1::Coding::Zstd);
    assert!(large.body.len() * 5 < large.plain_len as usize);
}

#[test]
fn the_largest_batch_fits_a_message() {
    let mut noise = 1_u64;
    let change: Vec<u8> = (0..1_500)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 33) as u8
        })
        .collect();
    let frame = Frame::Batch(batch_of(BATCH_ITEMS_MAX, &change));
    assert!(encode(frame.clone()).encoded_len() < MESSAGE_BYTES_MAX);
    assert_eq!(carried(frame.clone()), Ok(frame));
}

#[test]
fn an_item_too_many_is_refused() {
    let batch = sent_batch(batch_of(BATCH_ITEMS_MAX + 1, b"x"));
    let error =
        WireError::TooMany { what: "items", count: BATCH_ITEMS_MAX + 1, max: BATCH_ITEMS_MAX };
    assert_eq!(received(batch), Err(error));
}

#[test]
fn a_body_of_empty_items_is_refused_before_it_is_read() {
    let plain = [0x0a, 0].repeat(BODY_BYTES_MAX / 2);
    let batch = v1::Batch {
        space: community().to_string(),
        coding: v1::Coding::Zstd.into(),
        plain_len: plain.len() as u32,
        body: zstd::bulk::compress(&plain, 1).unwrap().into(),
        ..Default::default()
    };
    assert!(matches!(received(batch), Err(WireError::TooMany { what: "items", .. })));
}

#[test]
fn a_body_that_inflates_beyond_its_word_or_the_bound_is_refused() {
    let honest = sent_batch(batch_of(100, &[7; 300]));
    for plain_len in [0, 1, honest.plain_len - 1, honest.plain_len + 1] {
        let liar = v1::Batch { plain_len, ..honest.clone() };
        assert_eq!(received(liar), Err(WireError::Malformed { what: "body" }));
    }
    let len = BODY_BYTES_MAX + 1;
    let bomb = v1::Batch {
        plain_len: len as u32,
        body: zstd::bulk::compress(&vec![0; len], 1).unwrap().into(),
        ..honest
    };
    assert_eq!(received(bomb), Err(WireError::TooLarge { len, max: BODY_BYTES_MAX }));
}

#[test]
fn what_a_later_version_says_is_skipped() {
    // A frame kind with tag 99.
    let mut bytes = vec![0x08, 9];
    prost::encoding::encode_key(99, prost::encoding::WireType::LengthDelimited, &mut bytes);
    bytes.extend([3, 1, 2, 3]);
    assert_eq!(decode(v1::Envelope::decode(bytes.as_slice()).unwrap()), Ok(Frame::Unknown));

    let mut batch = sent_batch(batch_of(1, b"x"));
    batch.space = "planet/earth/weather".to_owned();
    assert_eq!(received(batch), Ok(Frame::Unknown));

    let state = v1::SpaceState { space: "planet/earth/weather".to_owned(), ..Default::default() };
    let hello = v1::Hello { epoch: vec![0; 16].into(), spaces: vec![state], now: 0 };
    let envelope = v1::Envelope { version: 9, frame: Some(envelope::Frame::Hello(hello)) };
    let expected = Hello { epoch: EpochId::default(), now: Hlc(0), spaces: vec![] };
    assert_eq!(decode(envelope), Ok(Frame::Hello(expected)));
}

#[test]
fn a_rest_is_never_longer_than_the_bound() {
    let ack = |rest_seconds| Ack {
        space: community(),
        number: 1,
        held: Digest::default(),
        refused: Vec::new(),
        again: Vec::new(),
        rest_seconds,
    };
    assert_eq!(carried(Frame::Ack(ack(u32::MAX))), Ok(Frame::Ack(ack(REST_SECONDS_MAX))));
    let silent = v1::Ack {
        space: community().to_string(),
        held: Digest::default().to_bytes().to_vec().into(),
        number: 1,
        ..v1::Ack::default()
    };
    let envelope = v1::Envelope { version: 1, frame: Some(envelope::Frame::Ack(silent)) };
    assert_eq!(decode(envelope), Ok(Frame::Ack(ack(0))), "who knows no rest asks for none");
}

#[test]
fn an_unknown_coding_is_refused() {
    let batch = v1::Batch { coding: 7, ..sent_batch(batch_of(1, b"x")) };
    assert_eq!(received(batch), Err(WireError::Malformed { what: "coding" }));
}

#[test]
fn an_idle_hello_with_four_spaces_is_small() {
    let state = SpaceState {
        space: community(),
        held: Digest { count: 10_000, sum: [u64::MAX; 4] },
        head: 10_000,
        chain: u64::MAX,
        cursor: Some(Cursor { epoch: EpochId([9; 16]), seq: 10_000, chain: u64::MAX }),
        refused: Digest::default(),
    };
    let hello = Hello { epoch: EpochId([1; 16]), now: Hlc(u64::MAX), spaces: vec![state; 4] };
    assert!(encode(Frame::Hello(hello)).encoded_len() < 600);
}
