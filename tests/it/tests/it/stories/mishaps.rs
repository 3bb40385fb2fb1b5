//! What happens to office machines: views lost or damaged, a program started twice.
//!
//! The journal decides. What is derived from it comes back by itself, with one line in the log.

use std::path::{Path, PathBuf};
use std::process::Command;

use linli_demo::office::{Daemon, settle};
use serde_json::json;

use super::{Town, all_figures, assert_all_is_well, assert_sound, programs};

const YILI: &str = "yili";

#[test]
fn views_that_are_lost_are_derived_again_at_desk_and_hub() {
    let (mut town, mut desk) = a_street_at_work();
    for daemon in [&mut desk, &mut town.street.hub] {
        let before = (daemon.digests(YILI).unwrap(), all_figures(daemon, YILI));
        daemon.stop().unwrap();
        std::fs::remove_dir_all(daemon.data().join("views")).unwrap();
        let told = log(daemon).len();
        daemon.resume().unwrap();
        assert_eq!((daemon.digests(YILI).unwrap(), all_figures(daemon, YILI)), before);
        let told: Vec<String> = log(daemon).split_off(told);
        let lines: Vec<&String> = told.iter().filter(|line| line.contains("view")).collect();
        assert_eq!(lines.len(), 1, "one line about it: {told:?}");
        let status = daemon.status().unwrap();
        assert_eq!(status.store.len(), 1, "{:?}", status.store);
        assert_sound(daemon);
    }
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn views_with_a_flipped_byte_count_the_same_after_the_next_start() {
    let (mut town, mut desk) = a_street_at_work();
    for daemon in [&mut desk, &mut town.street.hub] {
        let before = (daemon.digests(YILI).unwrap(), all_figures(daemon, YILI));
        // Somewhere in the first, second and last third of what is there.
        for third in [2, 6, 10] {
            daemon.stop().unwrap();
            flip_a_byte(&daemon.data().join("views"), third);
            daemon.resume().unwrap();
            let after = (daemon.digests(YILI).unwrap(), all_figures(daemon, YILI));
            assert_eq!(after, before, "flipped at {third}/12");
            assert_sound(daemon);
        }
    }
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn a_second_program_over_the_same_data_ends_and_says_why() {
    let (town, desk) = a_street_at_work();
    for (program, daemon) in [(&programs().node, &desk), (&programs().hub, town.hub())] {
        for (lang, why) in [("en", "is in use"), ("zh", "正由另一个程序使用")] {
            let mut second = Command::new(program);
            second.args(["serve", "--lang", lang, "--data"]).arg(daemon.data());
            let output = second.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success(), "{said}");
            assert!(said.contains(why) && said.lines().count() == 1, "{said}");
        }
        assert!(daemon.status().is_ok(), "the first one goes on");
    }
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

/// A street with one desk and some months of work.
fn a_street_at_work() -> (Town, Daemon) {
    let town = Town::found("street");
    let desk = town.desk(YILI, "desk-a");
    let issue = |n: usize| {
        let day = format!("2026-0{}-{:02}", 1 + n % 4, 1 + n % 28);
        json!({
            "kind": "issue",
            "fields": {
                "title": format!("诉求 {n}"), "category": "lighting", "phone": format!("1380000{n:04}"),
            },
            "steps": [
                {"action": "report", "at": day, "by": "李"},
                {"action": "self_handle", "at": day, "by": "李"},
            ],
        })
    };
    let issues: Vec<_> = (0..300).map(issue).collect();
    desk.import(&issues).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    (town, desk)
}

fn log(daemon: &Daemon) -> Vec<String> {
    let text = std::fs::read_to_string(daemon.log_path()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Flips one bit of the largest file, so many twelfths into it up to its last byte that says
/// something.
fn flip_a_byte(views: &Path, twelfths: usize) {
    let files: Vec<PathBuf> =
        std::fs::read_dir(views).unwrap().map(|entry| entry.unwrap().path()).collect();
    let size = |path: &&PathBuf| path.metadata().unwrap().len();
    let path = files.iter().filter(|path| path.is_file()).max_by_key(size).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used * twelfths / 12] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}
