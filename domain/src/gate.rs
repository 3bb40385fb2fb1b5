//! The gate, first half: whether bytes from a peer are one honest change of a flat document.
//!
//! Cheap checks first, then our own reader of what our machines write. All else goes to Automerge's
//! parser, behind a panic fence: it panics on crafted input and holds a thread for as long as the
//! sender likes on 113 bytes of run lengths. The
//! second half, whether the change fits the document it names, is `Doc::check`. It refuses to
//! take compressed chunks, whole documents and bundles from anyone.

mod fence;
mod flat;
mod scan;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::change::{Action, Change, Op, OpId, from_scalar};
use crate::id::{ActorId, ChangeHash};
use crate::limits::{
    CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, CHANGE_MILLIS_MAX, CHANGE_OPS_MAX,
    KEY_BYTES_MAX, OP_COUNTER_MAX, TEXT_BYTES_MAX,
};
use crate::value::Value;

/// Why a change is refused for good. Its author sees the reason; it blocks nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Larger than a change may be.
    #[error("the change is larger than {CHANGE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not one plain change chunk.
    #[error("the bytes are not one plain change chunk")]
    NotAChange,
    /// Checksum or hash do not match the bytes.
    #[error("checksum or hash do not match the bytes")]
    WrongHash,
    /// More operations, keys, texts, dependencies or actors than a change may have.
    #[error("the change has more operations, or longer keys or texts, than allowed")]
    TooMuch,
    /// Automerge cannot parse it, or panics on it.
    #[error("the change cannot be parsed")]
    Malformed,
    /// Not a scalar put or delete on a root key.
    #[error("only scalar puts and deletes on root keys are allowed")]
    NotFlat,
    /// Carries a message or extra bytes, which our changes never do.
    #[error("the change carries a message or extra bytes")]
    ExtraContent,
    /// Encoding it again gives other bytes.
    #[error("the change is not in canonical form")]
    NotCanonical,
    /// The actor is not sixteen bytes, or belongs to no enrolled machine of this space.
    #[error("the author is not enrolled for this space")]
    UnknownAuthor,
    /// The same actor has another change with this number: two machines share one identity.
    #[error("the author already has another change with this number")]
    Fork,
    /// The change's number is not one more than its actor's last.
    #[error("the change's number does not follow its author's last")]
    WrongSeq,
    /// The first op's counter is not one more than the greatest it depends on.
    #[error("the change's first operation number is wrong")]
    WrongStartOp,
    /// It names a predecessor that is not an earlier put on the same key.
    #[error("an operation replaces something that is not an earlier value of its field")]
    WrongPredecessor,
    /// It rewrites or removes a workflow step, or writes one in another's name.
    #[error("workflow steps cannot be rewritten")]
    StepRewritten,
    /// The document would hold more changes or bytes than allowed.
    #[error("the entry would grow beyond its bounds")]
    DocumentFull,
    /// A sealed envelope that breaks its format.
    #[error("the sealed envelope is malformed")]
    BadEnvelope,
    /// It depends on a refused change.
    #[error("it depends on a refused change")]
    DependsOnRefused,
    /// The entry id's kind may not be written in this space.
    #[error("this kind of entry does not belong in this space")]
    WrongPlace,
}

impl Refusal {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 18] = [
        Self::TooLarge,
        Self::NotAChange,
        Self::WrongHash,
        Self::TooMuch,
        Self::Malformed,
        Self::NotFlat,
        Self::ExtraContent,
        Self::NotCanonical,
        Self::UnknownAuthor,
        Self::Fork,
        Self::WrongSeq,
        Self::WrongStartOp,
        Self::WrongPredecessor,
        Self::StepRewritten,
        Self::DocumentFull,
        Self::BadEnvelope,
        Self::DependsOnRefused,
        Self::WrongPlace,
    ];

    /// A stable code for the wire, the store and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotAChange => "not-a-change",
            Self::WrongHash => "wrong-hash",
            Self::TooMuch => "too-much",
            Self::Malformed => "malformed",
            Self::NotFlat => "not-flat",
            Self::ExtraContent => "extra-content",
            Self::NotCanonical => "not-canonical",
            Self::UnknownAuthor => "unknown-author",
            Self::Fork => "fork",
            Self::WrongSeq => "wrong-seq",
            Self::WrongStartOp => "wrong-start-op",
            Self::WrongPredecessor => "wrong-predecessor",
            Self::StepRewritten => "step-rewritten",
            Self::DocumentFull => "document-full",
            Self::BadEnvelope => "bad-envelope",
            Self::DependsOnRefused => "depends-on-refused",
            Self::WrongPlace => "wrong-place",
        }
    }

    /// Reads a code; `None` for one that a later version may have added.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }
}

/// A change's hash covers its type, length and data: everything behind magic and checksum.
const HASHED_FROM: usize = 8;

/// The hash of a change chunk's bytes, whatever they are; `None` for bytes too short to have one.
pub fn hash_of(bytes: &[u8]) -> Option<ChangeHash> {
    bytes.get(HASHED_FROM..).map(|body| ChangeHash(Sha256::digest(body).into()))
}

/// Takes bytes from a peer apart, or says why not. `claimed` is the hash the sender named.
///
/// Never panics, and costs time in proportion to `bytes`, which is capped.
pub fn parse(bytes: &Bytes, claimed: &ChangeHash) -> Result<Change, Refusal> {
    let data = bounded(bytes, claimed)?;
    match flat::read(bytes, data, *claimed) {
        Some(change) => Ok(change),
        None => by_automerge(bytes, *claimed),
    }
}

/// As [`parse`], but read by Automerge alone: the judge of our own reader, for tests.
///
/// # Errors
/// As [`parse`].
pub fn judge(bytes: &Bytes, claimed: &ChangeHash) -> Result<Change, Refusal> {
    bounded(bytes, claimed)?;
    by_automerge(bytes, *claimed)
}

/// The body of a chunk whose hash, counts and run lengths are as they may be.
fn bounded<'a>(bytes: &'a Bytes, claimed: &ChangeHash) -> Result<&'a [u8], Refusal> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let data = scan::chunk_data(bytes)?;
    let hash: [u8; 32] = Sha256::digest(&bytes[HASHED_FROM..]).into();
    if hash != claimed.0 || bytes[4..8] != hash[..4] {
        return Err(Refusal::WrongHash);
    }
    scan::bounded_runs(data)?;
    Ok(data)
}

fn by_automerge(bytes: &Bytes, hash: ChangeHash) -> Result<Change, Refusal> {
    fence::run(|| parse_fenced(bytes, hash)).unwrap_or(Err(Refusal::Malformed))
}

/// Runs `work` behind the panic fence; `None` if it panicked.
pub(crate) fn fenced<T>(work: impl FnOnce() -> T) -> Option<T> {
    fence::run(work)
}

fn parse_fenced(bytes: &Bytes, hash: ChangeHash) -> Result<Change, Refusal> {
    let change = automerge::Change::try_from(&bytes[..]).map_err(|_| Refusal::Malformed)?;
    if change.message().is_some() || !change.extra_bytes().is_empty() {
        return Err(Refusal::ExtraContent);
    }
    if change.is_empty() {
        return Err(Refusal::Malformed);
    }
    if change.len() > CHANGE_OPS_MAX
        || change.deps().len() > CHANGE_DEPS_MAX
        || change.other_actor_ids().len() > CHANGE_ACTORS_MAX
        || change.max_op() > OP_COUNTER_MAX
        || change.seq() > OP_COUNTER_MAX
        || change.timestamp().unsigned_abs() > CHANGE_MILLIS_MAX
    {
        return Err(Refusal::TooMuch);
    }
    let actor = ActorId::from_slice(change.actor_id().to_bytes()).ok_or(Refusal::UnknownAuthor)?;
    let expanded = change.decode();
    let ops = expanded.operations.iter().map(flat_op).collect::<Result<Vec<Op>, Refusal>>()?;
    let parsed = Change {
        hash,
        actor,
        seq: change.seq() as u32,
        start_op: change.start_op().get() as u32,
        time_millis: change.timestamp(),
        deps: change.deps().iter().map(|dep| ChangeHash(dep.0)).collect(),
        ops,
        bytes: bytes.clone(),
    };
    if automerge::Change::from(expanded).raw_bytes() != &bytes[..] {
        return Err(Refusal::NotCanonical);
    }
    Ok(parsed)
}

fn flat_op(op: &automerge::legacy::Op) -> Result<Op, Refusal> {
    use automerge::legacy::{Key, ObjectId, OpType};
    let (ObjectId::Root, Key::Map(key), false) = (&op.obj, &op.key, op.insert) else {
        return Err(Refusal::NotFlat);
    };
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Refusal::TooMuch);
    }
    let action = match &op.action {
        OpType::Put(scalar) => Action::Put(from_scalar(scalar).ok_or(Refusal::NotFlat)?),
        OpType::Delete => Action::Delete,
        OpType::Make(_) | OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => {
            return Err(Refusal::NotFlat);
        }
    };
    match &action {
        Action::Put(Value::Text(text)) if text.len() > TEXT_BYTES_MAX => {
            return Err(Refusal::TooMuch);
        }
        Action::Put(Value::Bytes(bytes)) if bytes.len() > TEXT_BYTES_MAX => {
            return Err(Refusal::TooMuch);
        }
        Action::Put(_) | Action::Delete => {}
    }
    let preds = op
        .pred
        .iter()
        .map(|id| {
            let actor = ActorId::from_slice(id.actor().to_bytes());
            let counter = u32::try_from(id.counter()).ok();
            match (counter, actor) {
                (Some(counter), Some(actor)) => Ok(OpId { counter, actor }),
                _ => Err(Refusal::WrongPredecessor),
            }
        })
        .collect::<Result<Vec<OpId>, Refusal>>()?;
    Ok(Op { key: key.as_str().into(), action, preds })
}

#[cfg(test)]
mod tests;
