//! Sealed things: envelopes, wrapped document keys, wrapped rings and key rings.
//!
//! The first byte of an input says which. Whatever was changed must stay closed: the only thing
//! that opens is what an honest machine sealed, to what it sealed. It refuses to seal in anyone's
//! name.

use std::sync::OnceLock;

use linli_domain::id::{AuthorId, EntryId, PeerName, Space};
use linli_domain::seal::{
    CommunityKey, DeviceKey, DocumentKey, ENVELOPE_BYTES_MAX, KEY_EPOCHS_MAX, KeyRing, OpenError,
    UnwrapError, inspect, is_shared, key_name, open, seal, seal_shared, unwrap, wrap,
    wrapped_epoch,
};

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "envelope", run, mutate, seeds };

const KINDS: u8 = 4;
const PLAIN: &[u8] = "电话 138".as_bytes();

/// What honest machines hold and sealed.
struct Sealed {
    ring: KeyRing,
    device: DeviceKey,
    name: PeerName,
    space: Space,
    entry: EntryId,
    key: DocumentKey,
    wrapped: Vec<u8>,
    own: Vec<u8>,
    shared: Vec<u8>,
    admitted: Vec<u8>,
}

fn sealed() -> &'static Sealed {
    static SEALED: OnceLock<Sealed> = OnceLock::new();
    SEALED.get_or_init(|| {
        let mut ring = KeyRing::new([9; 32], CommunityKey { epoch: 1, secret: [1; 32] });
        ring.add(CommunityKey { epoch: 2, secret: [2; 32] });
        let device = DeviceKey::derive(&[4; 32]);
        let name = PeerName::parse("qu/jiedao/yili/desk-b").expect("a name");
        let space = Space::parse("community/yili/sealed").expect("a space");
        let entry = EntryId::parse("care/1").expect("an entry id");
        let key = DocumentKey::new([5; 32]);
        let author = AuthorId([7; 8]);
        Sealed {
            wrapped: key.wrap(ring.newest(), &space, &entry, [6; 24]),
            own: seal(&key, 2, &space, &entry, author, [8; 24], PLAIN).to_vec(),
            shared: seal_shared(&ring, &space, &entry, author, [3; 24], PLAIN).to_vec(),
            admitted: wrap(&ring, device.public(), &name, [2; 32]).expect("an honest key"),
            ring,
            device,
            name,
            space,
            entry,
            key,
        }
    })
}

fn run(input: &[u8]) -> Verdict {
    let Some((kind, bytes)) = input.split_first() else { return Verdict::refused("empty") };
    let ours = sealed();
    match kind % KINDS {
        0 => envelope(ours, bytes),
        1 => {
            let _ = wrapped_epoch(bytes);
            match DocumentKey::unwrap(&ours.ring, bytes, &ours.space, &ours.entry) {
                Some(key) => {
                    assert!(key == ours.key && *bytes == ours.wrapped[..], "a forged key opened");
                    Verdict::Accepted
                }
                None => Verdict::refused("wrapped key"),
            }
        }
        2 => match unwrap(&ours.device, bytes, &ours.name) {
            Ok(ring) => {
                assert!(ring == ours.ring && *bytes == ours.admitted[..], "a forged ring opened");
                Verdict::Accepted
            }
            Err(UnwrapError::Malformed) => Verdict::refused("ring malformed"),
            Err(UnwrapError::NotForUs) => Verdict::refused("ring not for us"),
        },
        _ => match KeyRing::from_bytes(bytes) {
            Ok(ring) => {
                let again = KeyRing::from_bytes(&ring.to_bytes());
                assert!(again.as_ref() == Ok(&ring), "it reads back as another ring");
                assert!(ring.epochs().count() <= KEY_EPOCHS_MAX);
                Verdict::Accepted
            }
            Err(_) => Verdict::refused("ring file"),
        },
    }
}

fn envelope(ours: &Sealed, bytes: &[u8]) -> Verdict {
    let head = inspect(bytes);
    if let Ok(head) = &head {
        assert!(bytes.len() <= ENVELOPE_BYTES_MAX && head.len <= bytes.len(), "{head:?}");
    }
    assert!(key_name(bytes).is_none() || !is_shared(bytes), "one envelope under two kinds of key");
    match open(&ours.ring, [&ours.wrapped[..]], &ours.space, &ours.entry, bytes) {
        Ok(plain) => {
            let ours = *bytes == ours.own[..] || *bytes == ours.shared[..];
            assert!(ours && plain == PLAIN, "a forged envelope opened");
            Verdict::Accepted
        }
        Err(OpenError::Malformed) => {
            assert!(head.is_err(), "a well-formed envelope of ours does not open");
            Verdict::refused("malformed")
        }
        Err(OpenError::UnknownAlgorithm) => Verdict::refused("algorithm"),
        Err(OpenError::NoKey { .. }) => Verdict::refused("no key"),
        Err(OpenError::NoDocumentKey) => Verdict::refused("no document key"),
        Err(OpenError::Forged) => Verdict::refused("forged"),
    }
}

/// A key ring has a sum of its own, which is made to fit; all else is authenticated.
fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    use sha2::{Digest as _, Sha256};
    if input.is_empty() {
        input.push(0);
    }
    let kind = if chance.one_in(20) { chance.bytes::<1>()[0] } else { input[0] };
    let mut bytes = input.split_off(1);
    if chance.one_in(12) {
        // Exact size classes, with anything in them.
        bytes.resize(90 + (256 << chance.below(4)), 7);
    } else {
        crate::blind::mutate(&mut bytes, others, chance);
    }
    if kind % KINDS == 3 && bytes.len() > 8 && !chance.one_in(4) {
        let at = bytes.len() - 8;
        let sum = Sha256::digest(&bytes[..at]);
        bytes[at..].copy_from_slice(&sum[..8]);
    }
    input[0] = kind;
    input.append(&mut bytes);
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let ours = sealed();
    let of = |kind: u8, bytes: &[u8]| [&[kind][..], bytes].concat();
    let mut unknown = ours.own.clone();
    unknown[1] = 9;
    let mut epoch = ours.own.clone();
    epoch[2] = 7;
    [
        ("honest-own", of(0, &ours.own)),
        ("honest-shared", of(0, &ours.shared)),
        ("honest-wrapped-key", of(1, &ours.wrapped)),
        ("honest-admission", of(2, &ours.admitted)),
        ("honest-ring", of(3, &ours.ring.to_bytes())),
        ("crafted-algorithm", of(0, &unknown)),
        ("crafted-epoch", of(0, &epoch)),
        ("crafted-cut", of(0, &ours.own[..100])),
        ("crafted-head-only", of(0, &ours.own[..14])),
        ("crafted-key-cut", of(1, &ours.wrapped[..40])),
        ("crafted-admission-cut", of(2, &ours.admitted[..34])),
        ("crafted-ring-of-none", of(3, &[1, 0, 0])),
    ]
    .map(|(name, input)| (name.to_owned(), input))
    .into()
}
