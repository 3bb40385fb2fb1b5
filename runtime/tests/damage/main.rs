//! Damage on disk: one bit, one page, the end or the whole of a file, in every file of a desk's and
//! of a hub's data folder. Each is found at the start or by an audit, or changes nothing that is
//! read; and what was acknowledged is back wherever a copy exists.
//!
//! `LINLI_DAMAGES` says how many, `LINLI_DAMAGE_SEED` which; both are printed, with a table of what
//! was found where and what brought it back.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on has failed

mod folder;
mod office;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use folder::{Damage, Folder};
use office::{Office, Side};

/// Damages in a test that nobody waits for.
const DAMAGES: u64 = 200;

/// How a damage came out, and what brought back what was lost.
type Outcome = &'static str;

#[test]
fn no_damage_is_silent_and_what_a_copy_exists_of_comes_back() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let damages = number("LINLI_DAMAGES").unwrap_or(DAMAGES);
    let seed = number("LINLI_DAMAGE_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    eprintln!("LINLI_DAMAGES={damages} LINLI_DAMAGE_SEED={seed}");
    let office = Office::at_work();
    let mut table: BTreeMap<(String, Damage), BTreeMap<Outcome, u64>> = BTreeMap::new();
    for nth in 0..damages {
        // Each has chances of its own, so that one alone can be tried again.
        let mut chance = ChaCha8Rng::seed_from_u64(seed.wrapping_add(nth));
        let side = if chance.random_bool(0.5) { Side::Desk } else { Side::Hub };
        let folder = Folder::copy_of(&office.data(side, chance.random_bool(0.5)));
        let (place, damage, what) = folder.spoil(&mut chance);
        let outcomes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            office.find_and_mend(side, &folder)
        }));
        let outcomes = outcomes.unwrap_or_else(|_| {
            panic!("LINLI_DAMAGES=1 LINLI_DAMAGE_SEED={}: {what}", seed.wrapping_add(nth))
        });
        for outcome in outcomes {
            *table.entry((place.clone(), damage)).or_default().entry(outcome).or_default() += 1;
        }
    }
    let mut found = BTreeMap::new();
    for ((place, damage), outcomes) in &table {
        eprintln!("{place:<22} {damage:<10} {outcomes:?}");
        for (outcome, times) in outcomes {
            *found.entry(*outcome).or_insert(0) += times;
        }
    }
    eprintln!("{found:?}");
    let said = ["at open", "by audit", "harmless"].map(|how| found.get(how).copied().unwrap_or(0));
    assert_eq!(said.iter().sum::<u64>(), damages, "each is one of these");
    assert!(damages < 20 || said[0] > 0 && found.contains_key("back from views or journal"));
}

#[test]
fn an_end_that_is_lost_at_a_commit_is_noticed_though_the_views_know_nothing_of_it() {
    let office = Office::at_work();
    for side in [Side::Desk, Side::Hub] {
        for zeros in [true, false] {
            let folder = Folder::copy_of(&office.data(side, true));
            folder.end_at(office.commit_end(side), zeros);
            let outcomes = office.find_and_mend(side, &folder);
            assert_eq!(outcomes, ["at open", "back from a peer"], "{side:?}, zeros: {zeros}");
        }
    }
}
