//! One signed statement of a member list: its bytes, its signature and its hash.
//!
//! ```text
//! version u8 | algorithm u8 | act u8 | time u64 | signer's admission 32
//! parents u8, each 32 | what the act says | signature 64
//! ```
//!
//! What keys an admission went without stands at its end, and only if there are any.
//!
//! Integers are little-endian. It refuses bytes that the same content would not be written as,
//! and to say whether a statement counts: that depends on what came before it.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::id::{Commitment, CommunityId, MachineId, StatementHash};
use crate::limits::{STATEMENT_BYTES_MAX, STATEMENT_PARENTS_MAX, STATEMENT_WRAPS_MAX};
use crate::seal::device::{open_with, seal_to};
use crate::seal::ring::{CommunityKey, KEY_EPOCHS_MAX, KeyRing};
use crate::seal::{DeviceKey, DevicePublicKey, MemberKeys, framed};

const VERSION: u8 = 1;
/// Ed25519; its name stands in what is signed as well.
const ED25519: u8 = 1;
const CONTEXT: &[u8] = b"linli member statement, ed25519";
const SIGNATURE_BYTES: usize = 64;
const PROOF_BYTES: usize = 32;
const FOUND: u8 = 1;
const ADMIT: u8 = 2;
const REMOVE: u8 = 3;
const RECOVERY: u8 = 4;

/// A signed statement.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is known by.
    pub hash: StatementHash,
    /// The admission its signer acts under; zeros in the first statement.
    pub by: StatementHash,
    /// The heads its signer knew, ascending.
    pub parents: Vec<StatementHash>,
    /// When, in milliseconds since 1970, by the signer's clock: a claim, never used for order.
    pub at_millis: u64,
    /// What it states.
    pub act: Act,
    bytes: Vec<u8>,
}

/// What a statement states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A community's list begins.
    Found {
        /// The desk that begins it, and signs.
        member: Member,
        /// The keys in use at that time.
        marks: Vec<KeyMark>,
        /// Made with the id secret: only a desk with the ring can begin a list that another desk
        /// with the ring follows.
        proof: [u8; PROOF_BYTES],
    },
    /// A desk comes in.
    Admit {
        /// The desk.
        member: Member,
        /// Keys named before that its signer had not and so did not hand over, ascending.
        without: Vec<KeyMark>,
    },
    /// Machines are shut out and a key epoch begins; without targets only the epoch begins.
    Remove {
        /// Their admissions, ascending.
        targets: Vec<StatementHash>,
        /// The new key.
        mark: KeyMark,
        /// The new key wrapped to each who stays, by admission, ascending.
        wraps: Vec<(StatementHash, Vec<u8>)>,
    },
    /// Recovery sheets were printed; those printed before sign no more.
    Recovery {
        /// The public keys of what the sheets hold.
        keys: MemberKeys,
        /// The ring, wrapped to it.
        ring: Vec<u8>,
        /// Keys named before that the ring has not, ascending.
        without: Vec<KeyMark>,
    },
}

/// A desk as the list names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its name within the community.
    pub name: MachineId,
    /// Its public keys.
    pub keys: MemberKeys,
}

/// A key, without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyMark {
    /// Its epoch.
    pub epoch: u32,
    /// The hash that only this key has.
    pub commitment: Commitment,
}

/// The bytes are not a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStatement {
    /// Of no form that a desk writes. Nothing is believed of it.
    #[error("not a statement of a member list")]
    Malformed,
    /// Signed with an algorithm or of an act unknown here. Update.
    #[error("a statement of a newer release; update this machine")]
    Unknown,
    /// It does not fit a text value. Shut out machines that are gone first.
    #[error("the statement is too large")]
    TooLarge,
}

impl Statement {
    /// Signs an act under an admission.
    pub(super) fn sign(
        community: &CommunityId,
        key: &DeviceKey,
        by: StatementHash,
        parents: Vec<StatementHash>,
        at_millis: u64,
        act: Act,
    ) -> Result<Self, BadStatement> {
        let without = match &act {
            Act::Admit { without, .. } | Act::Recovery { without, .. } => without.len(),
            Act::Found { .. } | Act::Remove { .. } => 0,
        };
        let mut bytes = body(by, &parents, at_millis, &act);
        let signature = key.signing().sign(&signed_text(community, &bytes));
        bytes.extend_from_slice(&signature.to_bytes());
        if bytes.len() > STATEMENT_BYTES_MAX
            || parents.len() > STATEMENT_PARENTS_MAX
            || without > KEY_EPOCHS_MAX
        {
            return Err(BadStatement::TooLarge);
        }
        Ok(Self { hash: hash(&bytes), by, parents, at_millis, act, bytes })
    }

    /// Reads a statement. Its signature is not checked yet: only a list knows the signer's key.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadStatement> {
        if bytes.len() > STATEMENT_BYTES_MAX || bytes.len() < SIGNATURE_BYTES {
            return Err(BadStatement::Malformed);
        }
        let (text, _) = bytes.split_at(bytes.len() - SIGNATURE_BYTES);
        let read = Reader(text).statement()?;
        let (by, parents, at_millis, act) = read;
        // One content has one form, so that it has one hash.
        if body(by, &parents, at_millis, &act) != text {
            return Err(BadStatement::Malformed);
        }
        Ok(Self { hash: hash(bytes), by, parents, at_millis, act, bytes: bytes.to_vec() })
    }

    /// The bytes it travels in.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is signed with this key for this community.
    pub(super) fn is_signed_by(&self, community: &CommunityId, key: &DevicePublicKey) -> bool {
        let (text, signature) = self.bytes.split_at(self.bytes.len() - SIGNATURE_BYTES);
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        VerifyingKey::from_bytes(&key.0)
            .is_ok_and(|key| key.verify_strict(&signed_text(community, text), &signature).is_ok())
    }

    /// The keys that an admission lets sign.
    pub(super) fn admitted(&self) -> Option<&MemberKeys> {
        match &self.act {
            Act::Found { member, .. } | Act::Admit { member, .. } => Some(&member.keys),
            Act::Recovery { keys, .. } => Some(keys),
            Act::Remove { .. } => None,
        }
    }

    /// The member that it makes.
    pub(super) fn member(&self) -> Option<&Member> {
        match &self.act {
            Act::Found { member, .. } | Act::Admit { member, .. } => Some(member),
            Act::Recovery { .. } | Act::Remove { .. } => None,
        }
    }

    /// Whether the first statement of a list was made by a holder of this ring.
    pub(super) fn is_proven_by(&self, community: &CommunityId, ring: &KeyRing) -> bool {
        let Act::Found { proof, .. } = &self.act else { return false };
        let unproven = &self.bytes[..self.bytes.len() - SIGNATURE_BYTES - PROOF_BYTES];
        prover(community, ring, unproven).verify_slice(proof).is_ok()
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// The first statement of a community's list, by the desk that founds it. Its hash is the root.
pub fn founding_statement(
    community: &CommunityId,
    name: &MachineId,
    key: &DeviceKey,
    ring: &KeyRing,
    at_millis: u64,
) -> Result<Statement, BadStatement> {
    let member = Member { name: name.clone(), keys: key.keys() };
    let mut marks: Vec<KeyMark> = ring.keys().map(|key| mark(community, key)).collect();
    marks.sort_unstable();
    let mut act = Act::Found { member, marks, proof: [0; PROOF_BYTES] };
    let none = StatementHash::default();
    let text = body(none, &[], at_millis, &act);
    let tag = prover(community, ring, &text[..text.len() - PROOF_BYTES]).finalize().into_bytes();
    if let Act::Found { proof, .. } = &mut act {
        *proof = tag.into();
    }
    Statement::sign(community, key, none, Vec::new(), at_millis, act)
}

/// A key as statements name it.
pub fn mark(community: &CommunityId, key: &CommunityKey) -> KeyMark {
    let (name, epoch) = (community.as_str().as_bytes(), key.epoch.to_le_bytes());
    let hash = Sha256::digest(framed(&[b"linli key commitment", name, &epoch, &key.secret]));
    KeyMark { epoch: key.epoch, commitment: Commitment(hash.into()) }
}

/// Wraps one key to who was admitted by `to`. `seed` is 32 random bytes; each recipient gets a
/// seed of its own from them. Fails only for keys that no honest machine has.
pub fn wrap_key(
    community: &CommunityId,
    key: &CommunityKey,
    to: StatementHash,
    keys: &MemberKeys,
    seed: &[u8; 32],
) -> Option<Vec<u8>> {
    let mut plain = zeroize::Zeroizing::new([0; 36]);
    plain[..4].copy_from_slice(&key.epoch.to_le_bytes());
    plain[4..].copy_from_slice(&key.secret);
    let seed = Sha256::digest(framed(&[b"linli key seed", seed, &to.0, &key.epoch.to_le_bytes()]));
    seal_to(plain.as_slice(), keys.sealing, &key_info(community, to), seed.into()).ok()
}

/// Opens a key that was wrapped to our admission, if it is the marked one.
pub fn open_key(
    community: &CommunityId,
    wrapped: &[u8],
    to: StatementHash,
    own: &DeviceKey,
    marked: KeyMark,
) -> Option<CommunityKey> {
    let plain = open_with(own, wrapped, &key_info(community, to)).ok()?;
    let (epoch, secret) = plain.split_first_chunk()?;
    let secret: &[u8; 32] = secret.try_into().ok()?;
    let key = CommunityKey { epoch: u32::from_le_bytes(*epoch), secret: *secret };
    (mark(community, &key) == marked).then_some(key)
}

fn key_info(community: &CommunityId, to: StatementHash) -> Vec<u8> {
    framed(&[b"linli member key", community.as_str().as_bytes(), &to.0])
}

fn prover(community: &CommunityId, ring: &KeyRing, text: &[u8]) -> Hmac<Sha256> {
    let mut key = zeroize::Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(b"linli founding proof"), ring.id_secret())
        .expand(community.as_str().as_bytes(), key.as_mut_slice())
        .expect("32 bytes are one block of SHA-256");
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
    mac.update(text);
    mac
}

fn hash(bytes: &[u8]) -> StatementHash {
    StatementHash(Sha256::digest(bytes).into())
}

fn signed_text(community: &CommunityId, body: &[u8]) -> Vec<u8> {
    framed(&[CONTEXT, community.as_str().as_bytes(), body])
}

fn body(by: StatementHash, parents: &[StatementHash], at_millis: u64, act: &Act) -> Vec<u8> {
    let kind = match act {
        Act::Found { .. } => FOUND,
        Act::Admit { .. } => ADMIT,
        Act::Remove { .. } => REMOVE,
        Act::Recovery { .. } => RECOVERY,
    };
    let mut out = vec![VERSION, ED25519, kind];
    out.extend_from_slice(&at_millis.to_le_bytes());
    out.extend_from_slice(&by.0);
    out.push(parents.len() as u8);
    put_hashes(&mut out, parents);
    match act {
        Act::Found { member, marks, proof } => {
            put_member(&mut out, member);
            put_marks(&mut out, marks);
            out.extend_from_slice(proof);
        }
        Act::Admit { member, without } => {
            put_member(&mut out, member);
            put_without(&mut out, without);
        }
        Act::Remove { targets, mark, wraps } => {
            out.extend_from_slice(&(targets.len() as u16).to_le_bytes());
            put_hashes(&mut out, targets);
            put_mark(&mut out, mark);
            out.extend_from_slice(&(wraps.len() as u16).to_le_bytes());
            for (to, wrapped) in wraps {
                out.extend_from_slice(&to.0);
                put_long(&mut out, wrapped);
            }
        }
        Act::Recovery { keys, ring, without } => {
            put_keys(&mut out, keys);
            put_long(&mut out, ring);
            put_without(&mut out, without);
        }
    }
    out
}

fn put_hashes(out: &mut Vec<u8>, hashes: &[StatementHash]) {
    for hash in hashes {
        out.extend_from_slice(&hash.0);
    }
}

fn put_member(out: &mut Vec<u8>, member: &Member) {
    out.push(member.name.as_str().len() as u8);
    out.extend_from_slice(member.name.as_str().as_bytes());
    put_keys(out, &member.keys);
}

fn put_keys(out: &mut Vec<u8>, keys: &MemberKeys) {
    out.extend_from_slice(&keys.sealing.0);
    out.extend_from_slice(&keys.signing.0);
}

fn put_marks(out: &mut Vec<u8>, marks: &[KeyMark]) {
    out.extend_from_slice(&(marks.len() as u16).to_le_bytes());
    for mark in marks {
        put_mark(out, mark);
    }
}

/// Nothing where nothing is lacking, which is nearly always.
fn put_without(out: &mut Vec<u8>, without: &[KeyMark]) {
    if !without.is_empty() {
        put_marks(out, without);
    }
}

fn put_mark(out: &mut Vec<u8>, mark: &KeyMark) {
    out.extend_from_slice(&mark.epoch.to_le_bytes());
    out.extend_from_slice(&mark.commitment.0);
}

fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The signer's admission, the parents, the time and the act.
type Content = (StatementHash, Vec<StatementHash>, u64, Act);

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn statement(mut self) -> Result<Content, BadStatement> {
        let [version, algorithm, kind] = self.array()?;
        if version != VERSION || algorithm != ED25519 || !(FOUND..=RECOVERY).contains(&kind) {
            return Err(BadStatement::Unknown);
        }
        let at_millis = u64::from_le_bytes(self.array()?);
        let by = StatementHash(self.array()?);
        let [count] = self.array()?;
        let parents = self.hashes(usize::from(count), STATEMENT_PARENTS_MAX)?;
        let act = match kind {
            FOUND => {
                let member = self.member()?;
                Act::Found { member, marks: self.marks()?, proof: self.array()? }
            }
            ADMIT => Act::Admit { member: self.member()?, without: self.without()? },
            REMOVE => {
                let count = self.count(STATEMENT_WRAPS_MAX)?;
                let targets = self.hashes(count, STATEMENT_WRAPS_MAX)?;
                let mark = self.mark()?;
                let count = self.count(STATEMENT_WRAPS_MAX)?;
                let mut wraps = Vec::new();
                for _ in 0..count {
                    wraps.push((StatementHash(self.array()?), self.long()?.to_vec()));
                }
                ascending(&wraps.iter().map(|(to, _)| *to).collect::<Vec<_>>())?;
                Act::Remove { targets, mark, wraps }
            }
            _ => {
                let (keys, ring) = (self.keys()?, self.long()?.to_vec());
                Act::Recovery { keys, ring, without: self.without()? }
            }
        };
        if self.0.is_empty() { Ok((by, parents, at_millis, act)) } else { malformed() }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], BadStatement> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(BadStatement::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadStatement> {
        self.take(N)?.try_into().map_err(|_| BadStatement::Malformed)
    }

    fn count(&mut self, max: usize) -> Result<usize, BadStatement> {
        let count = usize::from(u16::from_le_bytes(self.array()?));
        if count <= max { Ok(count) } else { malformed() }
    }

    fn long(&mut self) -> Result<&'a [u8], BadStatement> {
        let len = self.count(STATEMENT_BYTES_MAX)?;
        self.take(len)
    }

    fn hashes(&mut self, count: usize, max: usize) -> Result<Vec<StatementHash>, BadStatement> {
        if count > max {
            return malformed();
        }
        let hashes = (0..count).map(|_| self.array().map(StatementHash));
        let hashes: Vec<StatementHash> = hashes.collect::<Result<_, _>>()?;
        ascending(&hashes)?;
        Ok(hashes)
    }

    fn member(&mut self) -> Result<Member, BadStatement> {
        let [len] = self.array()?;
        let name = std::str::from_utf8(self.take(usize::from(len))?).ok();
        let name = name.and_then(|name| MachineId::parse(name).ok());
        Ok(Member { name: name.ok_or(BadStatement::Malformed)?, keys: self.keys()? })
    }

    fn keys(&mut self) -> Result<MemberKeys, BadStatement> {
        let (sealing, signing) = (self.array()?, self.array()?);
        Ok(MemberKeys { sealing: DevicePublicKey(sealing), signing: DevicePublicKey(signing) })
    }

    fn marks(&mut self) -> Result<Vec<KeyMark>, BadStatement> {
        let count = self.count(KEY_EPOCHS_MAX)?;
        let marks = (0..count).map(|_| self.mark()).collect::<Result<Vec<_>, _>>()?;
        ascending(&marks)?;
        Ok(marks)
    }

    fn without(&mut self) -> Result<Vec<KeyMark>, BadStatement> {
        if self.0.is_empty() { Ok(Vec::new()) } else { self.marks() }
    }

    fn mark(&mut self) -> Result<KeyMark, BadStatement> {
        let epoch = u32::from_le_bytes(self.array()?);
        Ok(KeyMark { epoch, commitment: Commitment(self.array()?) })
    }
}

fn malformed<T>() -> Result<T, BadStatement> {
    Err(BadStatement::Malformed)
}

fn ascending<T: Ord>(items: &[T]) -> Result<(), BadStatement> {
    if items.windows(2).all(|pair| pair[0] < pair[1]) { Ok(()) } else { malformed() }
}
