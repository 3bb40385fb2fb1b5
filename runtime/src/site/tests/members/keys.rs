//! Who has which key of the community once desks were let in and removed apart from each other: who
//! stays has every key, however late, and nobody who is gone has the one that seals.

use super::*;

#[test]
fn two_removals_side_by_side_end_in_a_key_that_neither_target_has() {
    let mut sites = community_of(&["b", "c", "d"]);
    for (at, target) in [(1, "c"), (2, "d")] {
        assert!(matches!(remove(&mut sites[at], target), Answer::Removed { epoch: 2, .. }));
    }
    let apart = [household(&mut sites[1], "101"), household(&mut sites[2], "102")];
    meet(&mut sites);
    let after = household(&mut sites[2], "103");
    meet(&mut sites);
    for at in [1, 2] {
        assert!(apart.iter().chain([&after]).all(|entry| reads(&mut sites[at], entry)));
    }
    assert!([3, 4].iter().all(|at| !reads(&mut sites[*at], &after)));
    for at in [1, 2] {
        let ring = sites[at].books().ring().expect("a ring");
        assert_eq!(ring.newest().epoch, 3, "both keys of epoch 2 are known to somebody gone");
    }
}

#[test]
fn a_desk_let_in_beside_a_removal_is_handed_the_key() {
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", None, 9));
    meet(&mut sites);
    let code = status(&mut sites[4]).code.expect("a code");
    let let_in = sites[2].ask(Ask::Approve { machine: "d".to_owned(), code });
    assert!(matches!(let_in, Answer::Approved { .. }), "{let_in:?}");
    assert!(matches!(remove(&mut sites[1], "c"), Answer::Removed { .. }));
    let after = household(&mut sites[1], "101");
    meet(&mut sites);
    assert!(reads(&mut sites[4], &after) && !reads(&mut sites[3], &after));
}

#[test]
fn a_desk_that_two_let_in_apart_has_the_keys_of_both() {
    // Which of two rings stands first, and which of two admissions, follows from names and hashes.
    for key in 9..13 {
        for (by, gone) in [(1, "b"), (1, "c"), (2, "a"), (2, "c")] {
            let mut sites = community_of(&["b", "c"]);
            sites.push(open("d/s/c/d", None, key));
            meet(&mut sites);
            // One begins an epoch, of which the other knows nothing where it lets the desk in too.
            assert!(matches!(remove(&mut sites[by], gone), Answer::Removed { .. }));
            let code = status(&mut sites[4]).code.expect("a code");
            for at in [1, 2] {
                let ask = Ask::Approve { machine: "d".to_owned(), code: code.clone() };
                assert!(matches!(sites[at].ask(ask), Answer::Approved { .. }));
            }
            let apart = [household(&mut sites[1], "101"), household(&mut sites[2], "102")];
            meet(&mut sites);
            let list = list(&mut sites[4]);
            assert!(list.listed && list.lacking == 0 && !list.ring_refused, "{key}: {list:?}");
            assert!(apart.iter().all(|entry| reads(&mut sites[4], entry)), "{key}");
        }
    }
}

#[test]
fn a_key_that_only_removed_desks_have_is_handed_to_who_stays() {
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", None, 9));
    meet(&mut sites);
    approve(&mut sites, 4);
    settle(&mut sites, &[(HUB, 1), (HUB, 4)]);
    assert!(list(&mut sites[4]).listed);
    // b begins an epoch with a key for a and itself, and is removed with a by d, which was let in
    // apart from that.
    assert!(matches!(remove(&mut sites[2], "c"), Answer::Removed { .. }));
    let apart = household(&mut sites[2], "101");
    for name in ["a", "b"] {
        assert!(matches!(remove(&mut sites[4], name), Answer::Removed { .. }));
    }
    meet(&mut sites);
    assert!([1, 2, 3].iter().all(|at| list(&mut sites[*at]).removed));
    let view = list(&mut sites[4]);
    assert!(view.listed && view.lacking == 0, "{view:?}");
    let after = household(&mut sites[4], "102");
    meet(&mut sites);
    assert!(reads(&mut sites[4], &apart) && reads(&mut sites[4], &after));
    assert!([1, 2, 3].iter().all(|at| !reads(&mut sites[*at], &after)));
}

#[test]
fn a_desk_that_has_an_old_ring_when_it_is_let_in_is_handed_the_keys_since() {
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", Some(ring()), 9));
    for target in ["b", "c"] {
        assert!(matches!(remove(&mut sites[1], target), Answer::Removed { .. }));
    }
    let meanwhile = household(&mut sites[1], "101");
    meet(&mut sites);
    assert!((2..5).all(|at| !reads(&mut sites[at], &meanwhile)));
    // c was removed by mistake; d has the ring from before there was a list.
    for at in [3, 4] {
        approve(&mut sites, at);
        meet(&mut sites);
        assert!(reads(&mut sites[at], &meanwhile), "at {}", sites[at].me());
        assert!(list(&mut sites[at]).listed && list(&mut sites[at]).lacking == 0);
    }
    assert!(!reads(&mut sites[2], &meanwhile), "b stays outside");
    let after = household(&mut sites[4], "102");
    meet(&mut sites);
    assert!([1, 3].iter().all(|at| reads(&mut sites[*at], &after)));
    assert!(!reads(&mut sites[2], &after));
}

/// A key that a stolen machine began and gave to one desk only, which then is away.
#[test]
fn a_key_that_a_removed_desk_withholds_holds_up_no_approval_and_comes_later() {
    const AWAY: &[(usize, usize)] = &[(HUB, 3), (HUB, 4)];
    let mut sites = community_of(&["b", "c"]);
    sites.push(open("d/s/c/d", None, 9));
    // b hears nothing of d, and puts c out: its new key goes to a alone.
    settle(&mut sites, &[(HUB, 1), (HUB, 4)]);
    approve(&mut sites, 4);
    settle(&mut sites, &[(HUB, 1), (HUB, 4)]);
    let known = sites[2].statement_entries();
    assert!(matches!(remove(&mut sites[2], "c"), Answer::Removed { .. }));
    // The statement gets out, and nothing else of b: our program would hand d the key.
    let mut stated = sites[2].statement_entries();
    stated.retain(|entry| !known.contains(entry));
    let [stated] = &stated[..] else { panic!("{stated:?}") };
    let space = Space::Open(community());
    let text = sites[2].books().half(&space, stated).doc.get("statement").cloned();
    let puts = vec![("statement".to_owned(), Some(text.expect("what b states")))];
    sites[HUB].write_in(&space, stated, puts, false).expect("written");
    settle(&mut sites, AWAY);
    let view = list(&mut sites[4]);
    assert_eq!((view.lacking, view.withheld), (1, 0), "b may hand it over yet");
    let refused = Ask::Approve {
        machine: "c".to_owned(),
        code: status(&mut sites[3]).code.expect("c waits to be let in again"),
    };
    assert_eq!(code_of(&sites[4].ask(refused)), "keys-missing");

    assert!(matches!(remove(&mut sites[4], "b"), Answer::Removed { .. }));
    settle(&mut sites, AWAY);
    approve_by(&mut sites, 4, 3);
    settle(&mut sites, AWAY);
    for at in [3, 4] {
        let view = list(&mut sites[at]);
        assert!(view.listed, "{view:?}");
        assert_eq!((view.lacking, view.withheld), (0, 1));
    }
    // a comes back, which has the key, and writes with d's.
    settle(&mut sites, &[(HUB, 1), (HUB, 3), (HUB, 4)]);
    let later = household(&mut sites[1], "102");
    settle(&mut sites, &[(HUB, 1), (HUB, 3), (HUB, 4)]);
    for at in [1, 3, 4] {
        let view = list(&mut sites[at]);
        assert_eq!((view.listed, view.lacking, view.withheld), (true, 0, 0));
        assert!(reads(&mut sites[at], &later));
    }
}
