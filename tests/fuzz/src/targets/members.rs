//! Statements of a member list, as entries bring them: in any order, cut, altered, by a thief.
//!
//! An input is a row of statements, each behind its length. What is believed must be what some
//! machine signed, whatever else lies beside it, must come to the same in another order and out of
//! a file, and must let nobody in by a thief's hand. It refuses to sign what an input says.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use linli_domain::id::{CommunityId, MachineId, PeerName, StatementHash};
use linli_domain::limits::STATEMENTS_WAITING_MAX;
use linli_domain::seal::{
    CommunityKey, DeviceKey, KeyRing, Member, Members, Statement, Taken, founding_statement,
};

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "members", run, mutate, seeds };

/// The thief's friend.
const STRANGER: u8 = 9;
/// Statements of an input.
const STATEMENTS_MAX: usize = 40;

/// A list and what was signed beside it.
struct World {
    root: Statement,
    /// All that was ever signed, in an order that can be taken.
    signed: Vec<Statement>,
    /// The removal of the thief.
    shut_out: StatementHash,
}

fn community() -> CommunityId {
    CommunityId::parse("yili").expect("a name")
}

fn key(no: u8) -> DeviceKey {
    DeviceKey::derive(&[no; 32])
}

fn member(no: u8) -> Member {
    let name = MachineId::parse(&format!("desk-{no}")).expect("a name");
    Member { name, keys: key(no).keys() }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let none = BTreeSet::new;
        let ring = KeyRing::new([9; 32], CommunityKey { epoch: 1, secret: [1; 32] });
        let name = PeerName::parse("qu/jiedao/yili/desk-1").expect("a name");
        let root = founding_statement(&community(), &member(1).name, &key(1), &ring, 1_000);
        let root = root.expect("a ring of one key fits");
        let mut list = Members::new(&community(), root.clone()).expect("it founds");
        for no in 2..=4 {
            list.admit(&key(1), member(no), none(), 2_000).expect("a member signs");
        }
        let of = |list: &Members, no: u8| {
            BTreeSet::from([list.admission(&member(no).keys).expect("is in")])
        };
        let mut signed: Vec<Statement> = list.statements().cloned().collect();
        // Desk 4 is stolen, and goes on as if it had not heard.
        let mut thief = list.clone();
        let targets = of(&list, 4);
        let (out, _) = list.remove(&key(1), targets, [2; 32], &[3; 32], 3_000).expect("fits");
        thief.admit(&key(4), member(STRANGER), none(), 3_100).expect("as it believes");
        let sheets = key(30).keys();
        thief.print_recovery(&key(4), sheets, (&ring, &name), [4; 32], 3_200).expect("fits");
        let targets = of(&thief, 3);
        thief.remove(&key(4), targets, [5; 32], &[6; 32], 3_300).expect("fits");
        signed.push(out.clone());
        let known: BTreeSet<StatementHash> = signed.iter().map(|one| one.hash).collect();
        signed.extend(thief.statements().filter(|one| !known.contains(&one.hash)).cloned());
        // The others hear of it, print sheets of their own, and let desk 3 in again.
        for one in &signed {
            list.take(one.clone());
        }
        let without = list.lacks(&ring).all();
        let sheets = key(31).keys();
        let printed = list.print_recovery(&key(2), sheets, (&ring, &name), [7; 32], 4_000);
        signed.push(printed.expect("fits"));
        let again = list.admit(&key(2), member(3), without, 4_100);
        signed.push(again.expect("a member signs"));
        let by_sheets = list.admit_by_sheets(&key(31), member(5), none(), 4_200);
        signed.push(by_sheets.expect("the sheets are in force"));
        World { root, signed, shut_out: out.hash }
    })
}

fn run(input: &[u8]) -> Verdict {
    let world = world();
    let parsed: Vec<Statement> =
        split(input).filter_map(|one| Statement::parse(one).ok()).collect();
    for one in &parsed {
        let again = Statement::parse(one.bytes());
        assert!(again.as_ref() == Ok(one), "a statement reads back as another");
    }
    let (list, taken) = believe(parsed.iter());
    for believed in list.statements() {
        let signed = world.signed.iter().any(|one| one.bytes() == believed.bytes());
        assert!(signed, "a statement is believed that nobody signed: {believed:?}");
    }
    if list.holds(&world.shut_out) {
        let stranger = list.admission(&member(STRANGER).keys);
        assert!(stranger.is_none(), "a thief let somebody in");
    }
    // Nothing waits on anything that was thrown away for room.
    if parsed.len() < STATEMENTS_WAITING_MAX {
        let (other, _) = believe(parsed.iter().rev());
        let read = |list: &Members| (list.heads(), list.rows(), list.recovery_printed());
        assert_eq!(read(&list), read(&other), "another order, another list");
        let mut needs = [list.in_need(), other.in_need()];
        for needs in &mut needs {
            needs.sort_unstable();
        }
        assert_eq!(needs[0], needs[1], "another order, other needs");
    }
    let file = Members::from_bytes(&community(), &list.to_bytes()).expect("what was just written");
    assert_eq!((file.heads(), file.rows()), (list.heads(), list.rows()), "the file says else");
    if taken > 0 { Verdict::Accepted } else { Verdict::refused("nothing believed") }
}

/// The list that these come to, and how many were taken at once.
fn believe<'a>(statements: impl Iterator<Item = &'a Statement>) -> (Members, usize) {
    let root = world().root.clone();
    let mut list = Members::new(&community(), root).expect("it founds");
    let taken = statements.filter(|one| list.take((*one).clone()) == Taken::New).count();
    (list, taken)
}

fn split(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk()?;
        let (one, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        rest = after;
        Some(one)
    })
    .take(STATEMENTS_MAX)
}

fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u16).to_le_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

/// Leaves out, doubles, moves or alters a statement, or puts in one that somebody signed.
fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    let mut parts: Vec<Vec<u8>> = split(input).map(<[u8]>::to_vec).collect();
    for _ in 0..=chance.below(3) {
        let at = chance.below(parts.len().max(1));
        match chance.below(5) {
            0 if !parts.is_empty() => drop(parts.remove(at)),
            1 if !parts.is_empty() => {
                let moved = parts.remove(at);
                parts.insert(chance.below(parts.len() + 1), moved);
            }
            2 if !parts.is_empty() => crate::blind::mutate(&mut parts[at], others, chance),
            _ => {
                let signed = chance.pick(&world().signed).expect("some were signed");
                parts.insert(chance.below(parts.len() + 1), signed.bytes().to_vec());
            }
        }
    }
    parts.retain(|part| u16::try_from(part.len()).is_ok());
    parts.truncate(STATEMENTS_MAX);
    *input = join(parts.iter().map(Vec::as_slice));
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let world = world();
    let bytes = |one: &'static Statement| one.bytes();
    let (first, last) = (&world.signed[1], &world.signed[world.signed.len() - 1]);
    let mut altered = first.bytes().to_vec();
    altered[60] ^= 1;
    [
        ("honest-all", join(world.signed.iter().map(bytes))),
        ("honest-last-first", join(world.signed.iter().rev().map(bytes))),
        ("honest-without-the-removal", {
            let others = world.signed.iter().filter(|one| one.hash != world.shut_out);
            join(others.map(bytes))
        }),
        ("crafted-altered", join([&altered[..]])),
        ("crafted-cut", join([&first.bytes()[..100]])),
        ("crafted-nothing-before", join([last.bytes()])),
    ]
    .map(|(name, input)| (name.to_owned(), input))
    .into()
}
