//! Refused changes: what is kept of them stays bounded, and an honest sender's outlast a flood.

use bytes::Bytes;
use linli_domain::gate;
use linli_domain::id::{ChangeHash, EntryId, PeerName, Space};
use linli_replica::frame::Item;
use linli_replica::holdings::{Admission, Holdings as _};

use super::{NOW_MS, TestSite, open, peer};
use crate::limits::{REFUSED_BYTES_DAYS, REFUSED_BYTES_MAX, REFUSED_KEPT_MAX};

/// Refused bytes under their right name.
fn refused(hub: &mut TestSite, from: &PeerName, nth: u32) -> ChangeHash {
    let bytes = Bytes::from(nth.to_le_bytes().repeat(3_000));
    let hash = gate::hash_of(&bytes).expect("long enough");
    let entry = EntryId::new("issue", &format!("j{nth}")).expect("a letter and digits");
    let item = Item { entry, hash, bytes, keys: vec![Bytes::from_static(&[7; 80])] };
    let space = Space::Open(from.community.clone().expect("a desk"));
    let verdict = hub.books.admit(&space, from, &item);
    assert!(matches!(verdict, Admission::Refused(_)), "{verdict:?}");
    if nth.is_multiple_of(500) {
        hub.end_turn().expect("commits");
    }
    hash
}

#[test]
fn ten_thousand_refused_changes_stay_within_their_bounds_and_crowd_out_no_other_sender() {
    let mut hub = open("demo/demo/-/hub", None, 3);
    let (honest, evil) = (peer("demo/demo/yili/desk-a"), peer("demo/demo/evil/desk-a"));
    let first = refused(&mut hub, &honest, 0);
    hub.set_now(NOW_MS + 1);
    let flood: Vec<_> = (1..=10_000).map(|nth| refused(&mut hub, &evil, nth)).collect();
    assert_eq!(hub.books.refused_here().count(), REFUSED_KEPT_MAX);
    let bytes = hub.books.refused_bytes();
    assert!(bytes <= REFUSED_BYTES_MAX && bytes > REFUSED_BYTES_MAX / 2, "{bytes}");
    let (kept, keys) = hub.books.refused_change(&first).expect("the honest one's is kept");
    assert_eq!((kept.len(), &keys[0][..]), (12_000, &[7; 80][..]));
    let listed = &flood[..REFUSED_KEPT_MAX - 1];
    let gone = listed.iter().filter(|hash| !hub.books.keeps_refused(hash)).count();
    assert!(gone > 0 && gone < listed.len(), "the oldest of the flood gave way: {gone}");
    assert!(!hub.books.keeps_refused(&flood[9_999]), "what is not listed is not kept");

    let again = hub.books.judge_again(|_| true);
    assert_eq!((again.taken, again.known, again.without_bytes), (0, 0, gone));
    assert_eq!(again.still, REFUSED_KEPT_MAX - gone);
    assert_eq!(hub.books.refused_here().count(), REFUSED_KEPT_MAX);

    hub.set_now(NOW_MS + (REFUSED_BYTES_DAYS + 1) * 24 * 3_600 * 1_000);
    hub.tick();
    hub.end_turn().expect("commits");
    assert_eq!(hub.books.refused_bytes(), 0, "after three months nothing is kept");
    assert_eq!(hub.books.refused_here().count(), REFUSED_KEPT_MAX, "but that it was refused");
}
