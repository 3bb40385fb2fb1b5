//! What a member list believes: the same in any order, and nothing by the hand of who may not.

use proptest::prelude::*;

use super::*;
use crate::id::PeerName;
use crate::seal::{CommunityKey, DeviceKey, unwrap};

fn community() -> CommunityId {
    CommunityId::parse("yili").unwrap()
}

fn key(no: u8) -> DeviceKey {
    DeviceKey::derive(&[no; 32])
}

fn member(no: u8) -> Member {
    Member { name: MachineId::parse(&format!("desk-{no}")).unwrap(), keys: key(no).keys() }
}

fn ring() -> KeyRing {
    KeyRing::new([9; 32], CommunityKey { epoch: 1, secret: [1; 32] })
}

/// No key is lacking.
fn none() -> BTreeSet<KeyMark> {
    BTreeSet::new()
}

/// A list founded by desk 1.
fn founded() -> Members {
    let name = member(1).name;
    let root = founding_statement(&community(), &name, &key(1), &ring(), 1_000).unwrap();
    Members::new(&community(), root).unwrap()
}

/// A list of desks 1 to `count`, all let in by the first.
fn of(count: u8) -> Members {
    let mut list = founded();
    for no in 2..=count {
        list.admit(&key(1), member(no), none(), 2_000).unwrap();
    }
    list
}

fn admission(list: &Members, no: u8) -> StatementHash {
    list.admission(&member(no).keys).unwrap()
}

fn remove(list: &mut Members, by: u8, target: u8, secret: u8) -> (Statement, CommunityKey) {
    let targets = BTreeSet::from([admission(list, target)]);
    list.remove(&key(by), targets, [secret; 32], &[secret; 32], 3_000).unwrap()
}

/// Who is in force.
fn names(list: &Members) -> Vec<String> {
    let rows = list.rows().into_iter().filter(|row| list.admission(&row.member.keys).is_some());
    let mut names: Vec<String> = rows.map(|row| row.member.name.to_string()).collect();
    names.dedup();
    names
}

/// Everything a desk reads from a list.
fn read(list: &Members) -> impl PartialEq + std::fmt::Debug {
    let mut needs = list.in_need();
    needs.sort_unstable();
    let mut marks: Vec<_> = list.marks().map(|(_, mark)| mark).collect();
    marks.sort_unstable();
    let rotate: Vec<bool> = (1..9)
        .map(|secret| KeyRing::new([9; 32], CommunityKey { epoch: 2, secret: [secret; 32] }))
        .map(|ring| list.must_rotate(&ring))
        .collect();
    (list.heads(), list.rows(), needs, marks, list.recovery_printed(), rotate)
}

/// All that `from` believes, taken by `into`.
fn hear(into: &mut Members, from: &Members) {
    for statement in from.statements() {
        into.take(statement.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Desks that write apart and meet now and then, and one list that hears all of it shuffled.
    #[test]
    fn every_order_comes_to_the_same(
        acts in proptest::collection::vec((0..5_usize, 0..5_usize, 0..8_u8), 1..24),
        shuffle in Just(()).prop_perturb(|(), rng| rng),
    ) {
        let mut desks: Vec<Members> = (0..5).map(|_| of(5)).collect();
        for (nth, (who, whom, what)) in acts.iter().enumerate() {
            let (by, at) = (key(*who as u8 + 1), 4_000 + nth as u64);
            let (target, secret) = (member(*whom as u8 + 1), [nth as u8 % 8 + 1; 32]);
            let other = desks[*whom].clone();
            let list = &mut desks[*who];
            match what {
                0..=2 => hear(list, &other),
                // An act of a desk that knows it was removed is not made.
                3 => drop(list.admit(&by, target, none(), at)),
                4 | 5 => {
                    let targets = list.admission(&target.keys).into_iter().collect();
                    drop(list.remove(&by, targets, secret, &secret, at));
                }
                6 => {
                    let name = PeerName::parse("d/s/yili/desk-1").unwrap();
                    let sheets = key(40 + *whom as u8).keys();
                    drop(list.print_recovery(&by, sheets, (&ring(), &name), secret, at));
                }
                _ => drop(list.admit_by_sheets(&key(40 + *whom as u8), member(7), none(), at)),
            }
        }
        let mut all = of(5);
        for desk in &desks {
            hear(&mut all, desk);
        }
        let mut statements: Vec<Statement> = all.statements().cloned().collect();
        let mut rng = shuffle;
        let root = statements.remove(0);
        for at in (1..statements.len()).rev() {
            statements.swap(at, rng.random_range(0..=at));
        }
        let mut other = Members::new(&community(), root).unwrap();
        for statement in statements {
            prop_assert!(matches!(other.take(statement), Taken::New | Taken::Waits | Taken::Known));
        }
        prop_assert_eq!(read(&other), read(&all));
        prop_assert_eq!(other.waiting(), 0);
        let kept = Members::from_bytes(&community(), &all.to_bytes()).unwrap();
        prop_assert_eq!(read(&kept), read(&all));
    }
}

#[test]
fn nothing_is_believed_of_strangers_or_with_a_bit_turned() {
    let list = of(2);
    let stranger = key(9);
    let act = Act::Admit { without: Vec::new(), member: member(9) };
    for by in [admission(&list, 1), admission(&list, 2), StatementHash([7; 32])] {
        let forged =
            Statement::sign(&community(), &stranger, by, list.heads(), 1, act.clone()).unwrap();
        assert_eq!(list.clone().take(forged), Taken::Refused);
    }
    // The hub founds a list of its own, and a second beginning inside of ours.
    let other = founding_statement(&community(), &member(9).name, &stranger, &ring(), 1).unwrap();
    assert_eq!(list.clone().take(other), Taken::Refused);
    // A member of another community with the same keys.
    let elsewhere = CommunityId::parse("chunhui").unwrap();
    let by = admission(&list, 1);
    let moved = Statement::sign(&elsewhere, &key(1), by, list.heads(), 1, act).unwrap();
    assert_eq!(list.clone().take(moved), Taken::Refused);

    let honest = list.clone().admit(&key(2), member(3), none(), 5).unwrap();
    assert_eq!(list.clone().take(honest.clone()), Taken::New);
    for bit in 0..honest.bytes().len() * 8 {
        let mut bad = honest.bytes().to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(bad) = Statement::parse(&bad) {
            let mut list = list.clone();
            assert!(matches!(list.take(bad), Taken::Refused | Taken::Waits), "bit {bit}");
            assert_eq!(names(&list), ["desk-1", "desk-2"]);
        }
    }
    for len in 0..honest.bytes().len() {
        assert!(Statement::parse(&honest.bytes()[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn a_ring_that_does_not_fit_the_list_is_seen() {
    let list = founded();
    assert!(list.fits(&ring()));
    let made_up = KeyRing::new([8; 32], CommunityKey { epoch: 1, secret: [1; 32] });
    assert!(!list.fits(&made_up), "another id secret");
    let mut more = ring();
    assert!(more.add(CommunityKey { epoch: 2, secret: [5; 32] }));
    assert!(!list.fits(&more), "a key that no member named");
    let hub = KeyRing::new([3; 32], CommunityKey { epoch: 1, secret: [1; 32] });
    let copied = founding_statement(&community(), &member(9).name, &key(9), &hub, 1).unwrap();
    assert!(!Members::new(&community(), copied).unwrap().fits(&ring()), "a beginning without ring");
}

#[test]
fn what_is_held_back_shows_when_a_later_statement_comes() {
    let (mut ahead, mut behind) = (of(3), of(3));
    remove(&mut ahead, 1, 3, 5);
    let later = ahead.admit(&key(1), member(4), none(), 5).unwrap();
    assert_eq!(behind.take(later), Taken::Waits);
    assert_eq!(behind.waiting(), 1);
    assert_eq!(names(&behind), ["desk-1", "desk-2", "desk-3"], "it is not believed before");
    hear(&mut behind, &ahead);
    assert_eq!((names(&behind), behind.waiting()), (names(&ahead), 0));

    // What a desk kept stays, whatever a hub shows it afterwards.
    let kept = Members::from_bytes(&community(), &ahead.to_bytes()).unwrap();
    assert_eq!(names(&kept), ["desk-1", "desk-2", "desk-4"]);
    let bytes = ahead.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Members::from_bytes(&community(), &bad), Err(DamagedList), "bit {bit}");
    }
}

#[test]
fn a_removed_desk_states_nothing_after_or_beside_its_removal() {
    let mut list = of(3);
    let thief = list.clone();
    let before = list.admit(&key(3), member(4), none(), 2_500).unwrap();
    let (removal, new) = remove(&mut list, 1, 3, 5);
    assert_eq!(list.admit(&key(3), member(5), none(), 4_000), Err(NotSigned::NotMember));

    // It signs on top of its removal, by hand.
    let by = thief.admission(&member(3).keys).unwrap();
    let act = Act::Admit { without: Vec::new(), member: member(5) };
    let after = Statement::sign(&community(), &key(3), by, list.heads(), 9, act).unwrap();
    assert_eq!(list.take(after), Taken::Refused);

    // It acts as if it had not heard: lets a friend in, who lets in another and prints sheets.
    let mut beside = thief;
    beside.admit(&key(3), member(6), none(), 9).unwrap();
    beside.admit(&key(6), member(7), none(), 9).unwrap();
    hear(&mut list, &beside);
    assert_eq!(names(&list), ["desk-1", "desk-2", "desk-4"]);
    assert!(list.holds(&before.hash), "what it did before its removal stands");

    // And nobody but who stays can open the new key.
    let Act::Remove { wraps, mark: marked, .. } = &removal.act else { panic!("a removal") };
    assert_eq!(wraps.len(), 3);
    for (to, wrapped) in wraps {
        let opens = |no| open_key(&community(), wrapped, *to, &key(no), *marked).is_some();
        assert_eq!((1..=7).filter(|no| opens(*no)).count(), 1);
        assert!(!opens(3), "the removed desk opens none");
    }
    let mut held = ring();
    assert!(list.must_rotate(&held), "it has the first key");
    assert!(held.add(new) && !list.must_rotate(&held));
}

#[test]
fn removals_side_by_side_both_count_and_call_for_one_more_key() {
    let (mut one, mut other) = (of(4), of(4));
    let (_, first) = remove(&mut one, 1, 3, 5);
    let (_, second) = remove(&mut other, 2, 4, 6);
    assert_eq!((first.epoch, second.epoch), (2, 2));
    hear(&mut one, &other);
    hear(&mut other, &one);
    assert_eq!(read(&one), read(&other));
    assert_eq!(names(&one), ["desk-1", "desk-2"]);
    let mut held = ring();
    assert!(held.add(first) && held.add(second));
    assert!(one.fits(&held) && one.must_rotate(&held), "each key was given to one removed desk");
    let (_, third) = one.remove(&key(2), BTreeSet::new(), [7; 32], &[7; 32], 9).unwrap();
    assert!(third.epoch == 3 && held.add(third) && !one.must_rotate(&held));
}

#[test]
fn two_who_remove_each_other_are_both_out_and_a_later_admission_brings_one_back() {
    let (mut one, mut other) = (of(3), of(3));
    let thief = one.clone();
    remove(&mut one, 1, 2, 5);
    remove(&mut other, 2, 1, 6);
    hear(&mut one, &other);
    assert_eq!(names(&one), ["desk-3"]);
    one.admit(&key(3), member(1), none(), 7).unwrap();
    // The other removes it once more, as if it had heard nothing.
    let mut again = thief;
    remove(&mut again, 2, 1, 7);
    hear(&mut one, &again);
    assert_eq!(names(&one), ["desk-1", "desk-3"]);
}

#[test]
fn a_removal_ends_every_admission_of_a_machine_that_does_not_follow_it() {
    // Two desks let desk 3 in, apart from each other, and one of them removes it.
    let (mut one, mut other) = (of(2), of(2));
    one.admit(&key(1), member(3), none(), 2_100).unwrap();
    other.admit(&key(2), member(3), none(), 2_200).unwrap();
    other.admit(&key(3), member(5), none(), 2_300).unwrap();
    remove(&mut one, 1, 3, 5);
    let (mut first, mut last) = (one.clone(), other.clone());
    hear(&mut first, &other);
    hear(&mut last, &one);
    assert_eq!(read(&first), read(&last));
    assert_eq!(names(&first), ["desk-1", "desk-2"]);
    assert!(first.admissions_of(&member(3).keys).is_empty());
    assert!(first.rows().iter().filter(|row| row.member == member(3)).all(|r| r.removed.is_some()));
    assert_eq!(first.admit(&key(3), member(6), none(), 4_000), Err(NotSigned::NotMember));
    // Nor is it heard under the admission that the removal did not name.
    let by = other.admission(&member(3).keys).unwrap();
    let act = Act::Admit { without: Vec::new(), member: member(6) };
    let forged = Statement::sign(&community(), &key(3), by, first.heads(), 9, act).unwrap();
    assert_eq!(first.take(forged), Taken::Refused);

    first.admit(&key(2), member(3), none(), 5_000).unwrap();
    assert_eq!(names(&first), ["desk-1", "desk-2", "desk-3"], "it was let in knowingly");
}

#[test]
fn who_is_let_in_again_knowingly_is_not_put_out_by_a_thief_that_hears_nothing() {
    let mut list = of(4);
    let mut thief = list.clone();
    remove(&mut thief, 3, 1, 5);
    remove(&mut list, 2, 3, 6);
    hear(&mut list, &thief);
    assert_eq!(names(&list), ["desk-2", "desk-4"]);
    let back = list.admit(&key(4), member(1), none(), 5_000).unwrap();

    // The thief, and a friend that it lets in, remove what they know of the machine.
    let mut friend = of(4);
    friend.admit(&key(3), member(6), none(), 5_100).unwrap();
    remove(&mut friend, 6, 1, 7);
    remove(&mut friend, 6, 2, 8);
    hear(&mut list, &friend);
    assert_eq!(names(&list), ["desk-1", "desk-4"], "who was not let in again is out");
    assert_eq!(list.admission(&member(1).keys), Some(back.hash));

    // Having heard everything, the friend is nobody: the thief was out before it let it in.
    let by = friend.admission(&member(6).keys).unwrap();
    let (epoch, commitment) = (5, crate::id::Commitment([7; 32]));
    let mark = KeyMark { epoch, commitment };
    for targets in [vec![back.hash], Vec::new()] {
        let act = Act::Remove { targets, mark, wraps: Vec::new() };
        let late = Statement::sign(&community(), &key(6), by, list.heads(), 9, act).unwrap();
        assert_eq!(list.take(late), Taken::Refused);
    }
    // A member that does not know the thief is out puts the machine out: it may be stolen by now.
    let mut apart = of(4);
    remove(&mut apart, 4, 1, 9);
    hear(&mut list, &apart);
    assert_eq!(names(&list), ["desk-4"]);
    list.admit(&key(4), member(1), none(), 6_000).unwrap();
    assert_eq!(names(&list), ["desk-1", "desk-4"]);
}

#[test]
fn a_desk_let_in_beside_a_removal_needs_the_key_and_can_be_given_it() {
    let (mut one, mut other) = (of(3), of(3));
    let (_, new) = remove(&mut one, 1, 3, 5);
    let entered = other.admit(&key(2), member(4), none(), 4_000).unwrap();
    hear(&mut one, &other);
    let needs = one.in_need();
    let marked = mark(&community(), &new);
    assert_eq!(needs, [(entered.hash, member(4).keys, marked)]);
    let wrapped = wrap_key(&community(), &new, entered.hash, &member(4).keys, &[3; 32]).unwrap();
    let opened = open_key(&community(), &wrapped, entered.hash, &key(4), marked);
    assert_eq!(opened, Some(new));
    let wrong = KeyMark { epoch: 2, commitment: crate::id::Commitment([0; 32]) };
    assert_eq!(open_key(&community(), &wrapped, entered.hash, &key(4), wrong), None);
}

#[test]
fn sheets_let_a_desk_in_until_newer_ones_are_printed() {
    let name = PeerName::parse("d/s/yili/desk-1").unwrap();
    let mut list = of(2);
    let (old, new) = (key(50), key(51));
    list.print_recovery(&key(1), old.keys(), (&ring(), &name), [1; 32], 10).unwrap();
    let printed = list.clone();
    let (_, wrapped) = list.recovery(&old.keys()).unwrap();
    assert_eq!(unwrap(&old, wrapped, &recovery_name(&name)), Ok(ring()));
    assert_eq!(list.admit_by_sheets(&new, member(5), none(), 11), Err(NotSigned::NotMember));
    list.admit_by_sheets(&old, member(5), none(), 11).unwrap();
    assert_eq!(names(&list), ["desk-1", "desk-2", "desk-5"]);
    // A sheet lets in and nothing else.
    let (by, _) = list.recovery(&old.keys()).unwrap();
    let act = Act::Recovery { keys: new.keys(), ring: Vec::new(), without: Vec::new() };
    let forged = Statement::sign(&community(), &old, by, list.heads(), 12, act).unwrap();
    assert_eq!(list.take(forged), Taken::Refused);

    list.print_recovery(&key(5), new.keys(), (&ring(), &name), [2; 32], 13).unwrap();
    assert_eq!(list.admit_by_sheets(&old, member(6), none(), 14), Err(NotSigned::NotMember));
    assert!(list.must_rotate(&ring()), "the old sheets open the first key");
    let mut late = printed;
    late.admit_by_sheets(&old, member(6), none(), 14).unwrap();
    hear(&mut list, &late);
    assert_eq!(names(&list), ["desk-1", "desk-2", "desk-5"], "nor beside the newer ones");

    // Whoever is shut out, the sheets stay, and bring a desk in.
    for no in [2, 5, 1] {
        remove(&mut list, 1, no, no + 20);
    }
    assert!(names(&list).is_empty());
    list.admit_by_sheets(&new, member(8), none(), 20).unwrap();
    assert_eq!(names(&list), ["desk-8"]);
}

/// A stolen machine that begins epochs as if it had heard nothing, with keys it gives to nobody or
/// to one desk, holds up no admission; whoever has such a key hands it to who came in without.
#[test]
fn keys_that_a_thief_withholds_hold_up_nobody() {
    for given in [false, true] {
        let mut list = of(4);
        let mut theft = list.clone();
        let (_, second) = remove(&mut list, 1, 4, 2);
        let targets = BTreeSet::from([admission(&theft, 3)]);
        let (stolen, withheld) = theft.remove(&key(4), targets, [5; 32], &[5; 32], 3_000).unwrap();
        let mut act = stolen.act.clone();
        if let Act::Remove { wraps, .. } = &mut act {
            wraps.retain(|(to, _)| given && *to == admission(&list, 2));
        }
        let (by, parents) = (stolen.by, stolen.parents.clone());
        let stolen = Statement::sign(&community(), &key(4), by, parents, 3_000, act).unwrap();
        assert_eq!(list.take(stolen), Taken::New);
        assert_eq!(names(&list), ["desk-1", "desk-2"]);
        let mut own = ring();
        assert!(own.add(second.clone()));
        let (awaited, marked) = (mark(&community(), &second), mark(&community(), &withheld));
        assert_eq!(list.lacks(&ring()).awaited, BTreeSet::from([awaited]));
        let lacks = list.lacks(&own);
        assert_eq!((lacks.awaited, &lacks.withheld), (none(), &BTreeSet::from([marked])));

        let entered = list.admit(&key(1), member(6), lacks.withheld, 4_000).unwrap();
        assert_eq!(Statement::parse(entered.bytes()).as_ref(), Ok(&entered));
        let needs = list.in_need();
        assert!(needs.contains(&(entered.hash, member(6).keys, marked)), "{needs:?}");
        let two = admission(&list, 2);
        assert_eq!(needs.iter().any(|(to, ..)| *to == two), !given, "{needs:?}");
        assert!(needs.iter().all(|(.., mark)| *mark == marked), "{needs:?}");
        // What nobody named cannot be gone without.
        let strange = BTreeSet::from([KeyMark { epoch: 9, ..marked }]);
        assert_eq!(list.admit(&key(1), member(7), strange, 5_000), Err(NotSigned::Full));
    }
}
