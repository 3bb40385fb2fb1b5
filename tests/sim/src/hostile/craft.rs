//! Crafted changes and envelopes: each kind of input that was seen to crash, hang or poison a
//! document, made from what the victim holds.

use bytes::Bytes;
use linli_domain::change::{Action, Change, Op, OpId};
use linli_domain::gate;
use linli_domain::id::{ActorId, AuthorId, ChangeHash, EntryId, PeerName, Space};
use linli_domain::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX, KEY_BYTES_MAX, TEXT_BYTES_MAX};
use linli_domain::seal::{DocumentKey, envelope_hash, seal};
use linli_domain::value::Value;
use linli_replica::frame::Item;
use linli_replica::holdings::Holdings as _;
use linli_runtime::books::Books;
use sha2::{Digest as _, Sha256};

use crate::chance::Chance;
use crate::medium::{SimDisk, SimViews};
use crate::truth::Truth;

/// Where a change chunk's hashed part begins.
const HASHED_FROM: usize = 8;

/// What a crafted input is made from.
pub(super) struct Craft<'a> {
    pub(super) chance: &'a mut Chance,
    pub(super) me: &'a PeerName,
    pub(super) space: &'a Space,
    pub(super) entry: &'a EntryId,
    pub(super) books: &'a mut Books<SimDisk, SimViews>,
    pub(super) truth: &'a Truth,
    /// A stranger who was named as an author by somebody who may not.
    pub(super) stranger: Option<AuthorId>,
}

/// What it is, the items, and whether they are honest.
type Crafted = (&'static str, Vec<Item>, bool);

impl Craft<'_> {
    /// A change for an open space.
    pub(super) fn change(&mut self) -> Option<Crafted> {
        let me = self.actor(self.me.author());
        let kind = self.chance.between(0, 18);
        let (what, bytes) = match kind {
            0 => ("a run-length bomb", self.bomb()),
            1 => ("a chunk of another kind", self.other_chunk(me)?),
            2 => ("two chunks", self.two_chunks(me)?),
            3 => ("a change too large", Bytes::from(vec![7; CHANGE_BYTES_MAX + 1])),
            4 => ("junk", Bytes::from(self.chance.bytes::<200>().to_vec())),
            5 => return self.wrong_checksum(me),
            6 | 7 => return self.stolen_name(),
            8 => {
                let nobody = AuthorId(self.chance.bytes());
                let author = self.stranger.unwrap_or(nobody);
                let stranger = self.actor(author);
                ("an unknown author", self.edit(stranger)?.bytes)
            }
            9 => ("a number used twice", self.fork()?),
            10 => ("a number too far", self.shifted(me, 5, 0)?),
            11 => ("a first operation too far", self.shifted(me, 1, 9)?),
            12 => ("a predecessor that never was", self.wrong_predecessor(me)?),
            13 => ("a step rewritten", self.rewritten_step(me)?),
            14 => ("a key too long", self.put(me, "k".repeat(KEY_BYTES_MAX + 1), "v".into())?),
            15 => ("a text too long", self.put(me, "k".into(), "t".repeat(TEXT_BYTES_MAX + 1))?),
            16 => ("too many operations", self.wide(me)?),
            17 => return self.orphan(me),
            _ => return self.mutant_or_honest(me),
        };
        let hash = hash_of(&bytes);
        Some((what, vec![Item { entry: self.entry.clone(), hash, bytes, keys: Vec::new() }], false))
    }

    /// An envelope for a sealed space.
    pub(super) fn envelope(&mut self) -> Option<Crafted> {
        let key = DocumentKey::new(self.chance.bytes());
        let author = self.me.author();
        let mut sealed = |author| {
            let nonce = self.chance.bytes();
            seal(&key, 1, self.space, self.entry, author, nonce, b"nothing").to_vec()
        };
        let (what, bytes) = match self.books.now_millis() % 4 {
            0 => ("an envelope of a stranger", sealed(AuthorId([5; 8]))),
            1 => ("half an envelope", sealed(author).split_off(40)),
            2 => ("junk for an envelope", vec![1; 70]),
            _ => {
                let bytes = Bytes::from(sealed(author));
                let mut hash = envelope_hash(&bytes);
                hash.0[3] ^= 1;
                let item = Item {
                    entry: self.entry.clone(),
                    hash,
                    bytes,
                    keys: vec![Bytes::from_static(&[1; 77])],
                };
                return Some(("an envelope under a wrong hash", vec![item], false));
            }
        };
        let bytes = Bytes::from(bytes);
        let hash = envelope_hash(&bytes);
        Some((
            what,
            vec![Item {
                entry: self.entry.clone(),
                hash,
                bytes,
                keys: vec![Bytes::from_static(&[1; 77])],
            }],
            false,
        ))
    }

    fn actor(&mut self, author: AuthorId) -> ActorId {
        ActorId::new(author, self.chance.bytes())
    }

    /// An honest edit of the entry as the victim holds it.
    fn edit(&mut self, actor: ActorId) -> Option<Change> {
        let text = format!("mallory {}", self.chance.between(0, u64::MAX));
        let puts = vec![("handler".to_owned(), Some(Value::from(text)))];
        self.books.half(self.space, self.entry).doc.edit(actor, 1_700_000_000_000, puts)
    }

    fn put(&mut self, actor: ActorId, key: String, text: String) -> Option<Bytes> {
        let puts = vec![(key, Some(Value::Text(text)))];
        self.books.half(self.space, self.entry).doc.edit(actor, 0, puts).map(|change| change.bytes)
    }

    fn wide(&mut self, actor: ActorId) -> Option<Bytes> {
        let puts = (0..=CHANGE_OPS_MAX).map(|at| (format!("k{at}"), Some(Value::Null))).collect();
        self.books.half(self.space, self.entry).doc.edit(actor, 0, puts).map(|change| change.bytes)
    }

    /// One column that claims 134 million operations in six bytes.
    fn bomb(&mut self) -> Bytes {
        let mut data = vec![0, 16];
        data.extend_from_slice(&self.chance.bytes::<16>());
        data.extend_from_slice(&[1, 1, 0, 0, 0]);
        data.extend_from_slice(&[1, 0x42, 6, 0x80, 0x80, 0x80, 0xc0, 0x00, 1]);
        chunk(1, &data)
    }

    fn other_chunk(&mut self, actor: ActorId) -> Option<Bytes> {
        let kind = self.chance.one_of(&[0_u8, 2, 3, 4, 255]);
        let honest = self.edit(actor)?.bytes;
        Some(chunk(kind, &honest[10..]))
    }

    fn two_chunks(&mut self, actor: ActorId) -> Option<Bytes> {
        let honest = self.edit(actor)?.bytes;
        Some(Bytes::from([&honest[..], &honest[..]].concat()))
    }

    fn wrong_checksum(&mut self, actor: ActorId) -> Option<Crafted> {
        let change = self.edit(actor)?;
        let mut bytes = change.bytes.to_vec();
        bytes[5] ^= 1;
        let item = Item {
            entry: self.entry.clone(),
            hash: change.hash,
            bytes: bytes.into(),
            keys: Vec::new(),
        };
        Some(("a wrong checksum", vec![item], false))
    }

    /// Junk under the hash of an honest change that the victim does not have yet.
    fn stolen_name(&mut self) -> Option<Crafted> {
        let known: Vec<ChangeHash> =
            self.books.hashes(self.space).into_iter().map(|(hash, _)| hash).collect();
        let lacking: Vec<ChangeHash> = self
            .truth
            .kept(self.space)
            .into_iter()
            .filter(|hash| known.binary_search(hash).is_err())
            .collect();
        let hash = *self.chance.pick(&lacking)?;
        let entry = self.truth.made(&hash)?.entry.clone();
        let bytes = Bytes::from_static(b"not what the name says, and long enough");
        Some(("a stolen name", vec![Item { entry, hash, bytes, keys: Vec::new() }], false))
    }

    /// Another change under the number of one that is there.
    fn fork(&mut self) -> Option<Bytes> {
        let honest = self.held()?;
        let ops = vec![Op {
            key: "handler".into(),
            action: Action::Put(Value::from("forked")),
            preds: Vec::new(),
        }];
        let Change { actor, seq, start_op, time_millis, deps, .. } = honest;
        Some(Change::encode(actor, seq, start_op, time_millis + 1, deps, ops).bytes)
    }

    fn shifted(&mut self, actor: ActorId, seq: u32, further: u32) -> Option<Bytes> {
        let honest = self.edit(actor)?;
        let Change { start_op, time_millis, deps, ops, .. } = honest;
        Some(Change::encode(actor, seq, start_op + further, time_millis, deps, ops).bytes)
    }

    fn wrong_predecessor(&mut self, actor: ActorId) -> Option<Bytes> {
        let honest = self.edit(actor)?;
        let Change { seq, start_op, time_millis, deps, mut ops, .. } = honest;
        for op in &mut ops {
            op.preds = vec![OpId { counter: 1, actor: ActorId([8; 16]) }];
        }
        Some(Change::encode(actor, seq, start_op, time_millis, deps, ops).bytes)
    }

    /// A step of somebody else, replaced; where there is none, one in another's name.
    fn rewritten_step(&mut self, actor: ActorId) -> Option<Bytes> {
        let doc = &self.books.half(self.space, self.entry).doc;
        let there = doc.values().map(|(key, _)| key).find(|key| key.starts_with('#'));
        let key = there.unwrap_or("#0190000000000000-00000000").to_owned();
        let step = r#"{"a":"void_entry","t":"2026-01-01","b":"nobody"}"#;
        self.put(actor, key, step.to_owned())
    }

    /// A change that depends on one nobody has.
    fn orphan(&mut self, actor: ActorId) -> Option<Crafted> {
        let honest = self.edit(actor)?;
        let Change { start_op, time_millis, mut deps, ops, .. } = honest;
        deps.push(ChangeHash(self.chance.bytes()));
        let change = Change::encode(actor, 1, start_op, time_millis, deps, ops);
        let item = Item {
            entry: self.entry.clone(),
            hash: change.hash,
            bytes: change.bytes,
            keys: Vec::new(),
        };
        Some(("an orphan", vec![item], false))
    }

    /// Flipped bytes behind the author of a change that is there, or for once an honest change.
    fn mutant_or_honest(&mut self, me: ActorId) -> Option<Crafted> {
        if self.chance.one_in(3) {
            let change = self.edit(me)?;
            let item = Item {
                entry: self.entry.clone(),
                hash: change.hash,
                bytes: change.bytes,
                keys: Vec::new(),
            };
            return Some(("an honest change", vec![item], true));
        }
        let honest = self.held()?;
        let mut bytes = honest.bytes.to_vec();
        let actor_at = bytes.windows(16).position(|part| part == honest.actor.0)?;
        let from = actor_at + 16;
        for _ in 0..self.chance.between(1, 4) {
            let at = self.chance.between(from as u64, bytes.len() as u64 - 1) as usize;
            bytes[at] = self.chance.bytes::<1>()[0];
        }
        let bytes = resealed(bytes);
        let hash = hash_of(&bytes);
        let same = hash == honest.hash;
        (!same).then(|| {
            (
                "a mutant",
                vec![Item { entry: self.entry.clone(), hash, bytes, keys: Vec::new() }],
                false,
            )
        })
    }

    /// A change of the entry that the victim holds.
    fn held(&mut self) -> Option<Change> {
        let hashes: Vec<ChangeHash> =
            self.books.half(self.space, self.entry).doc.hashes().collect();
        let hash = *self.chance.pick(&hashes)?;
        let all = self.books.hashes(self.space);
        let at = all.binary_search_by(|(known, _)| known.cmp(&hash)).ok()?;
        let placed = self.books.read_one(self.space, all[at].1)?;
        gate::parse(&placed.item.bytes, &hash).ok()
    }
}

fn chunk(kind: u8, data: &[u8]) -> Bytes {
    let mut out = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, kind];
    let mut len = data.len();
    while len >= 0x80 {
        out.push((len as u8 & 0x7f) | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(data);
    resealed(out)
}

/// With checksum and hash repaired, as an attacker would.
fn resealed(mut chunk: Vec<u8>) -> Bytes {
    let hash = Sha256::digest(&chunk[HASHED_FROM..]);
    chunk[4..8].copy_from_slice(&hash[..4]);
    Bytes::from(chunk)
}

fn hash_of(bytes: &Bytes) -> ChangeHash {
    let hashed = bytes.get(HASHED_FROM..).unwrap_or_default();
    ChangeHash(Sha256::digest(hashed).into())
}
