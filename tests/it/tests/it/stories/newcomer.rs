//! Somebody new at the command lines: help, guesses at what was meant, files in and out.
//!
//! It runs the programs as a person would and reads what they say.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use linli_demo::office::{Daemon, settle};
use serde_json::{Value as Json, json};

use super::{Town, all_figures, assert_all_is_well, entries, programs, show_because};

#[test]
fn help_is_in_the_language_of_the_reader() {
    for program in [&programs().node, &programs().hub] {
        let said = |lang: &str| say(program, &["--help", "--lang", lang], "");
        let (zh, en) = (said("zh"), said("en"));
        assert!(zh.status.success() && en.status.success());
        let (zh, en) = (out(&zh), out(&en));
        for command in ["serve", "figures", "status", "refused"] {
            assert!(zh.contains(command) && en.contains(command), "{command}");
        }
        assert!(zh.contains("用法") && zh.contains("运行") && !zh.contains(" | "), "{zh}");
        assert!(en.contains("Usage") && en.contains("Runs") && !en.contains('用'), "{en}");
        let output = say(program, &["serv", "--lang", "en"], "");
        assert!(!output.status.success() && err(&output).contains("'serve'"), "{}", err(&output));
    }
}

#[test]
fn commands_without_a_daemon_or_an_enrolment_say_what_to_do_first() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let node = &programs().node;
    let output = say(node, &["list", "issue", "--lang", "en", "--data", at], "");
    assert!(
        !output.status.success() && err(&output).contains("linli-node serve"),
        "{}",
        err(&output)
    );
    let output = say(node, &["serve", "--lang", "en", "--data", at], "");
    assert!(
        !output.status.success() && err(&output).contains("linli-node enrol"),
        "{}",
        err(&output)
    );
    let output = say(&programs().hub, &["serve", "--lang", "en", "--data", at], "");
    assert!(
        !output.status.success() && err(&output).contains("linli-hub init"),
        "{}",
        err(&output)
    );
    let output = say(node, &["enrol", "linli1-abc", "--name", "desk-a", "--data", at], "");
    assert!(!output.status.success() && err(&output).contains("linli1-"), "{}", err(&output));
}

#[test]
fn a_setting_that_does_not_exist_is_refused_with_the_nearest_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    for (program, file, wrong, meant) in [
        (&programs().node, "node.toml", "langauge = \"zh\"\n", "language"),
        (&programs().node, "node.toml", "[lan]\nneighbors = []\n", "neighbours"),
        (&programs().hub, "hub.toml", "\nlisten = \"127.0.0.1:0\"\nlistn = 1\n", "listen"),
    ] {
        std::fs::write(dir.path().join(file), wrong).unwrap();
        for lang in ["zh", "en"] {
            let output = say(program, &["serve", "--lang", lang, "--data", at], "");
            let said = err(&output);
            assert!(!output.status.success(), "{said}");
            assert!(said.contains(file) && said.contains(&format!("`{meant}`")), "{said}");
        }
    }
}

#[test]
fn what_was_mistyped_is_answered_with_what_was_meant_and_nothing_is_written() {
    let town = Town::found("street");
    let desk = town.desk("yili", "desk-a");
    let at = desk.data().to_str().unwrap();
    let node = |words: &[&str]| {
        say(&programs().node, &[words, &["--lang", "en", "--data", at]].concat(), "")
    };
    let before = desk.digests("yili").unwrap();
    for (words, meant) in [
        (&["add", "issue", "titel=灯"][..], "`title`"),
        (&["add", "isue", "title=灯"], "`issue`"),
        (&["add", "issue", "title=灯", "category=lightning"], "lighting"),
        (&["add", "issue", "place=北门"], "`title`"),
        (&["add", "issue", "title=灯", "due=2026-02-30"], "`due`"),
        (&["edit", "issue/none", "title=灯"], "`find`"),
    ] {
        let output = node(words);
        assert!(!output.status.success(), "{words:?}");
        assert!(err(&output).contains(meant), "{words:?}: {}", err(&output));
    }
    assert_eq!(desk.digests("yili").unwrap(), before);

    let added = node(&["add", "issue", "title=灯不亮", "--json"]);
    let added: Json = serde_json::from_str(&out(&added)).unwrap();
    let entry = added["entry"].as_str().unwrap();
    let output = node(&["step", entry, "resolve"]);
    assert!(err(&output).contains("report"), "what is possible instead: {}", err(&output));
    assert!(node(&["step", entry, "report", "--at", "2026-04-01"]).status.success());
    let listed = out(&node(&["list", "issue"]));
    assert!(listed.contains("灯不亮") && listed.contains(entry), "{listed}");
    assert_all_is_well(town.hub(), "yili", &[&desk]);
}

#[test]
fn a_file_with_one_bad_line_changes_nothing_and_the_line_is_named() {
    let town = Town::found("街道 一");
    let desk = town.desk("yili", "desk-a");
    let at = desk.data().to_str().unwrap();
    let file = town.dir().join("登记 表.jsonl");
    let before = desk.digests("yili").unwrap();
    let good =
        |n: usize| json!({"kind": "issue", "fields": {"title": format!("诉求 {n}")}}).to_string();
    for (bad, why) in [
        (r#"{"kind": "issue", "fields": {"titel": "x"}}"#, "title"),
        (
            r#"{"kind": "issue", "fields": {"title": "x"}, "steps": [{"action": "resolve"}]}"#,
            "resolve",
        ),
        (r#"{"kind": "issue", "fields": {"title": "x"}"#, "record"),
    ] {
        let lines: Vec<String> =
            (1..=700).map(|n| if n == 603 { bad.to_owned() } else { good(n) }).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let words = ["import-json", file.to_str().unwrap(), "--lang", "en", "--data", at];
        let output = say(&programs().node, &words, "");
        let said = err(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("line 603") && said.contains(why), "{said}");
        assert!(!said.contains("line 602") && said.contains("nothing was written"), "{said}");
        assert_eq!(desk.digests("yili").unwrap(), before);
    }
    assert!(entries(&desk, "yili", "issue").is_empty());
}

#[test]
fn an_export_read_into_another_community_gives_equal_figures() {
    let town = Town::found("street");
    let (from, into) = (town.desk("yili", "desk-a"), town.desk("chunhui", "desk-a"));
    from.add("grid", json!({"code": "b3", "tree": "building", "level": "building"})).unwrap();
    from.import(&ledgers()).unwrap();
    let device = |machine: &Daemon, community| {
        let devices = entries(machine, community, "device");
        devices.into_iter().map(|device| device.fields).collect::<Vec<_>>()
    };
    let own = device(&into, "chunhui");

    let at = from.data().to_str().unwrap();
    let exported = say(&programs().node, &["export-json", "--data", at], "");
    assert!(exported.status.success(), "{}", err(&exported));
    let exported = out(&exported);
    for line in exported.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        assert!(
            record["kind"].is_string() && record["id"].is_string() && record["fields"].is_object()
        );
    }
    let at = into.data().to_str().unwrap();
    let words = ["import-json", "-", "--lang", "en", "--data", at];
    let imported = say(&programs().node, &words, &exported);
    assert!(imported.status.success(), "{}", err(&imported));

    settle(town.hub(), "yili", &[&from]).unwrap();
    settle(town.hub(), "chunhui", &[&into]).unwrap();
    let figures = |community, desk| {
        let mut lines = all_figures(desk, community);
        for line in &mut lines {
            for key in ["community", "digests"] {
                line.as_object_mut().unwrap().remove(key).unwrap();
            }
        }
        lines
    };
    let wanted = figures("yili", &from);
    assert!(wanted.iter().any(|line| line["metric"] == "M03a" && line["numerator"] == 30));
    assert_eq!(figures("chunhui", &into), wanted);
    assert_eq!(figures("chunhui", town.hub()), wanted);
    let household = entries(&from, "yili", "household").remove(0);
    let copied = show_because(&into, "chunhui", &household.entry, Some("核对导入"));
    assert_eq!(copied.fields["phone"], household.fields["phone"], "personal fields came along");
    assert_eq!(device(&into, "chunhui"), own, "a machine keeps its own key");

    // A second time, nothing is new.
    let before = into.digests("chunhui").unwrap();
    assert!(say(&programs().node, &words, &exported).status.success());
    assert_eq!(into.digests("chunhui").unwrap(), before);
    assert_all_is_well(town.hub(), "yili", &[&from]);
    assert_all_is_well(town.hub(), "chunhui", &[&into]);
}

#[test]
fn figures_in_json_carry_their_proof() {
    let town = Town::found("street");
    let desk = town.desk("yili", "desk-a");
    desk.import(&ledgers()).unwrap();
    settle(town.hub(), "yili", &[&desk]).unwrap();
    for (program, daemon) in [(&programs().node, &desk), (&programs().hub, town.hub())] {
        let at = daemon.data().to_str().unwrap();
        let words = ["figures", "--metric", "M03a", "--period", "2026-03", "--json", "--data", at];
        let lines: Vec<Json> = serde_json::from_str(&out(&say(program, &words, ""))).unwrap();
        let line = &lines[0];
        let wanted = json!({
            "community": "yili", "metric": "M03a", "period": "2026-03", "numerator": 30,
            "denominator": 40, "unit": "%", "qualifier": "", "percent": "75.00%", "text": "75.00%",
            "communities_included": 1, "communities_expected": 1,
        });
        for (key, value) in wanted.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key} at {}", program.display());
        }
        assert!(line["as_of"].as_str().unwrap().starts_with("20"), "{line}");
        let digest = line["digests"].as_object().unwrap().values().next().unwrap();
        assert!(daemon.digests("yili").unwrap().values().any(|held| held == digest), "{line}");
        for key in ["name", "base", "definition"] {
            assert!(!line[key].is_null(), "{key}");
        }
    }
    assert_all_is_well(town.hub(), "yili", &[&desk]);
}

/// Forty issues of March, thirty of them resolved, and twenty households.
fn ledgers() -> Vec<Json> {
    let issue = |n: usize| {
        let mut steps = vec![
            json!({"action": "report", "at": "2026-03-02", "by": "李"}),
            json!({"action": "accept", "at": "2026-03-03", "by": "李", "note": format!("批注 {n}")}),
        ];
        if n < 30 {
            steps.push(json!({"action": "handle", "at": "2026-03-05", "by": "王"}));
            steps.push(json!({"action": "resolve", "at": "2026-03-06", "by": "李"}));
        }
        let fields =
            json!({"title": format!("诉求 {n}"), "category": "sewer", "due": "2026-03-09"});
        json!({"kind": "issue", "fields": fields, "steps": steps})
    };
    let household = |n: usize| {
        let fields = json!({
            "building": "grid/b3", "entrance": "1", "room": format!("{n}"),
            "phone": format!("1360000{n:04}"),
        });
        let steps = json!([{"action": "collect", "at": "2026-03-02", "by": "李"}]);
        json!({"kind": "household", "fields": fields, "steps": steps})
    };
    (0..40).map(issue).chain((0..20).map(household)).collect()
}

/// Runs a program with words and what is typed, to its end.
fn say(program: &Path, words: &[&str], typed: &str) -> Output {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let typed = typed.to_owned();
    // Beside the reading, so that neither waits for the other; who reads nothing may close it.
    let typing = std::thread::spawn(move || stdin.write_all(typed.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _closed = typing.join().unwrap();
    output
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
