//! Sealing: what a community keeps from its hub.
//!
//! Personal fields leave a node only as envelopes under a key of their document, which is wrapped
//! under the community's key; that key reaches a further desk wrapped to that desk's own, after two
//! persons compared a short code. Where every wrapped key of a document is destroyed, nobody opens
//! it again. Nonces, keys and seeds are parameters: nothing here draws randomness. It refuses to hide what the record
//! around an envelope shows anyway: entry id, sender, size class and time of arrival.
//!
//! A member holds the key, so a member can name another member as the sender; the envelope
//! proves membership, and keeps relays from changing any part of it. A machine that is shut out
//! keeps what it could already open: a new epoch protects what is sealed afterwards.

mod device;
mod document;
mod envelope;
mod keyed_id;
mod members;
mod ring;

pub use device::{
    DeviceKey, DevicePublicKey, MemberKeys, UnwrapError, WRAPPED_BYTES_MAX, community_code,
    device_code, member_code, ring_code, unwrap, wrap,
};
pub use document::{
    DocumentKey, DocumentPlace, ERASURE_KIND, KeyName, WRAPPED_KEY_BYTES_MAX, erasure_id,
    wrapped_epoch,
};
pub use envelope::{
    ENVELOPE_BYTES_MAX, EnvelopeHead, Malformed, OpenError, envelope_hash, inspect, is_shared,
    key_name, name_of, open, seal, seal_shared,
};
pub use keyed_id::keyed_id;
pub use members::{
    Act, BadStatement, DamagedList, KeyMark, Lacks, Member, MemberRow, Members, NotSigned,
    Statement, Taken, founding_statement, mark, open_key, recovery_name, wrap_key,
};
pub use ring::{CommunityKey, DamagedRing, KEY_EPOCHS_MAX, KeyRing};

/// Joins parts so that no two lists of parts give the same bytes: each behind its length.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u32).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}
