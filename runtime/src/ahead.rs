//! Changes parsed by a link's own task, while the machine's thread is at other work.
//!
//! Parsing is most of what the gate costs, and it needs nothing of the machine: the bytes and the
//! hash they are sent under say all. Whether the change fits its document, and whether its author
//! may write, is asked where it always was. It refuses to hold more than one frame's items.

use std::collections::HashMap;

use bytes::Bytes;
use linli_domain::change::Change;
use linli_domain::gate::{self, Refusal};
use linli_domain::id::ChangeHash;
use linli_replica::frame::{Frame, Item};

/// Changes parsed between two looks at other tasks: a millisecond at most, as they come.
const PARSED_AT_ONCE: usize = 32;

/// What the gate's first half said of a frame's open changes.
#[derive(Debug, Default)]
pub struct Ahead(HashMap<ChangeHash, (Bytes, Result<Change, Refusal>)>);

impl Ahead {
    /// Parses what a frame brings; other tasks have their turn in between.
    pub(crate) async fn of(frame: &Frame) -> Self {
        let Frame::Batch(batch) = frame else { return Self::default() };
        if batch.space.is_sealed() {
            return Self::default();
        }
        let mut parsed = HashMap::with_capacity(batch.items.len());
        for items in batch.items.chunks(PARSED_AT_ONCE) {
            for item in items {
                let said = gate::parse(&item.bytes, &item.hash);
                parsed.insert(item.hash, (item.bytes.clone(), said));
            }
            if batch.items.len() > PARSED_AT_ONCE {
                tokio::task::yield_now().await;
            }
        }
        Self(parsed)
    }

    /// What was said of exactly these bytes under this hash, once.
    pub(crate) fn take(&mut self, item: &Item) -> Option<Result<Change, Refusal>> {
        let (bytes, _) = self.0.get(&item.hash)?;
        let same = bytes.as_ptr() == item.bytes.as_ptr() && bytes.len() == item.bytes.len();
        if same { self.0.remove(&item.hash).map(|(_, said)| said) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use linli_domain::change::{Action, Op};
    use linli_domain::digest::Digest;
    use linli_domain::id::{ActorId, CommunityId, EntryId, Space};
    use linli_domain::value::Value;
    use linli_replica::frame::Batch;

    use super::*;

    fn item(seq: u32) -> Item {
        let op = Op { key: "title".into(), action: Action::Put(Value::from("灯")), preds: vec![] };
        let actor = ActorId([7; 16]);
        let change = Change::encode(actor, seq, 1, 0, Vec::new(), vec![op]);
        let entry = EntryId::parse("issue/1").unwrap();
        Item { entry, hash: change.hash, bytes: change.bytes, keys: Vec::new() }
    }

    fn batch(items: Vec<Item>) -> Frame {
        let space = Space::Open(CommunityId::parse("yili").unwrap());
        let held = Digest::default();
        Frame::Batch(Batch { space, to: None, number: 1, items, last: true, held })
    }

    #[tokio::test]
    async fn only_the_very_bytes_are_answered_for_and_only_once() {
        let (one, mut junk) = (item(1), item(2));
        junk.bytes = Bytes::from_static(b"junk");
        let mut ahead = Ahead::of(&batch(vec![one.clone(), junk.clone()])).await;
        let copied = Item { bytes: Bytes::copy_from_slice(&one.bytes), ..one.clone() };
        assert!(ahead.take(&copied).is_none(), "bytes that came another way");
        assert_eq!(ahead.take(&one), Some(gate::parse(&one.bytes, &one.hash)));
        assert!(ahead.take(&one).is_none());
        assert!(matches!(ahead.take(&junk), Some(Err(_))));
    }

    #[tokio::test]
    async fn many_are_parsed_and_what_cannot_be_read_is_left_alone() {
        let items: Vec<Item> = (1..=100).map(item).collect();
        let mut ahead = Ahead::of(&batch(items.clone())).await;
        assert!(items.iter().all(|item| matches!(ahead.take(item), Some(Ok(_)))));
        let Frame::Batch(mut sealed) = batch(items) else { unreachable!() };
        sealed.space = Space::Sealed(CommunityId::parse("yili").unwrap());
        assert!(Ahead::of(&Frame::Batch(sealed)).await.0.is_empty());
    }
}
