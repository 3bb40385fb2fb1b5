//! A few seeds in every test run, and proof that the checkers see what they are there for.

use super::*;

/// Seeds in a test run; `cargo sim --seeds N` runs more.
const SEEDS: u64 = 20;
/// Seeds in which a planted bug of a test has to show.
const PLANTED_SEEDS: u64 = 40;

#[test]
fn seeds_run_twice_without_a_violation() {
    let definitions = Definitions::default();
    let options = Options { steps: 120, ..Options::default() };
    let happened = run_all(&options, &definitions);
    for what in [
        "changes made",
        "crashes after a commit",
        "restores",
        "partitions",
        "frames lost",
        "desks put off",
        "journals salvaged",
        "views that break at work",
        "long absences",
        "disks copied",
        "hubs rebuilt",
        "packs published",
        "key shelves that rot",
    ] {
        assert!(happened.get(what).is_some_and(|many| *many > 0), "no {what}: {happened:?}");
    }
}

#[test]
fn seeds_in_which_somebody_carries_files_run_without_a_violation() {
    let options = Options { steps: 120, sticks: true, ..Options::default() };
    let happened = run_all(&options, &Definitions::default());
    for what in ["files made", "batches of files taken", "spaces read whole", "restores"] {
        assert!(happened.get(what).is_some_and(|many| *many > 0), "no {what}: {happened:?}");
    }
}

#[test]
fn a_cursor_that_is_moved_over_what_a_file_lacked_is_found() {
    assert_found(Planted::BundleCursorBelieved, Checker::Durable);
}

/// Runs the seeds, and counts what happened in all of them.
fn run_all(options: &Options, definitions: &Definitions) -> BTreeMap<&'static str, u64> {
    let mut happened: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let outcome = run_twice(seed, options, definitions);
        assert_eq!(outcome.violation, None, "seed {seed}:\n{}", outcome.tail.join("\n"));
        for (what, many) in outcome.happened {
            *happened.entry(what).or_default() += many;
        }
    }
    happened
}

#[test]
fn an_answer_before_the_commit_is_found() {
    assert_found(Planted::AckBeforeCommit, Checker::Durable);
}

#[test]
fn a_personal_field_in_the_open_half_is_found() {
    assert_found(Planted::OpenPersonal, Checker::Sealed);
}

#[test]
fn the_readme_names_every_planted_bug_and_the_seed_that_shows_it() {
    let readme = include_str!("../../README.md");
    for (_, name) in Planted::ALL {
        let rows: Vec<&str> =
            readme.lines().filter(|line| line.starts_with(&format!("| `{name}` |"))).collect();
        let [row] = rows[..] else { panic!("{name} has {} rows", rows.len()) };
        let seed = row.split('|').nth(3).map(str::trim).and_then(|seed| seed.parse::<u64>().ok());
        assert!(seed.is_some_and(|seed| seed < 1_000), "{row}");
    }
}

fn assert_found(planted: Planted, by: Checker) {
    let definitions = Definitions::default();
    let options = Options { steps: 250, planted: Some(planted), sticks: false };
    let found = (0..PLANTED_SEEDS).find_map(|seed| run(seed, &options, &definitions).violation);
    assert_eq!(found.map(|violation| violation.checker), Some(by), "{}", planted.name());
}
