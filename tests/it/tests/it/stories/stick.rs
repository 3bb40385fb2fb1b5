//! A community without any network: no hub runs and no desk reaches another. Somebody carries a
//! stick.
//!
//! What was personal travels sealed twice and is read at the other end; what is repeated, stale or
//! damaged changes nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use linli_demo::office::{Daemon, approve, settle};
use serde_json::{Value as Json, json};

use super::{Town, assert_sound, entries, programs, show_because};

const YILI: &str = "yili";

/// Three desks of a community that know one another, and then no hub.
fn cut_off() -> (Town, [Daemon; 3]) {
    let mut town = Town::found("street");
    let first = town.desk(YILI, "desk-a");
    first.add("issue", issue("从前的", "13800000000")).unwrap();
    let rest = ["desk-b", "desk-c"].map(|name| town.desk(YILI, name));
    let [second, third] = rest;
    for desk in [&second, &third] {
        approve(&first, desk).unwrap();
    }
    settle(town.hub(), YILI, &[&first, &second, &third]).unwrap();
    town.street.hub.stop().unwrap();
    (town, [first, second, third])
}

#[test]
fn three_desks_without_a_network_hold_the_same_by_sticks_alone() {
    let (town, [first, second, mut third]) = cut_off();
    let stick = Stick { dir: town.dir().to_owned() };
    let by_first = first.add("issue", issue("一号登记", "13800000001")).unwrap();
    let by_second = second.add("issue", issue("二号登记", "13800000002")).unwrap();
    // The third desk is away, and writes nothing.
    third.stop().unwrap();

    let there = stick.export(&first, "one", Some("desk-b"));
    let told = stick.import(&second, "one");
    assert_eq!((&told["complete"], &told["agreed"]), (&json!(true), &json!(false)), "{told}");
    assert!(told["taken"].as_u64().unwrap() >= 2, "{told}: an open half and a sealed one");
    assert_eq!(told["refused"], json!(0));
    let seen = show_because(&second, YILI, &by_first, Some("核对"));
    assert_eq!(seen.fields["phone"], json!("13800000001"), "what is personal came, too");
    let digests = second.digests(YILI).unwrap();
    let again = stick.import(&second, "one");
    assert_eq!((&again["taken"], &again["complete"]), (&json!(0), &json!(true)), "{again}");

    stick.export(&second, "two", Some("desk-a"));
    let told = stick.import(&first, "two");
    assert_eq!(told["complete"], json!(true), "{told}");
    let seen = show_because(&first, YILI, &by_second, Some("核对"));
    assert_eq!(seen.fields["phone"], json!("13800000002"));
    // Looking at what is personal was put on record on both sides: one more round.
    stick.export(&first, "three", Some("desk-b"));
    stick.import(&second, "three");
    stick.export(&second, "four", Some("desk-a"));
    assert_eq!(stick.import(&first, "four")["agreed"], json!(true));
    let there_again = stick.export(&first, "five", Some("desk-b"));
    assert_eq!(there_again["changes"], json!(0), "the second is known to hold it all");
    assert!(there["changes"].as_u64() > Some(0));
    assert_eq!(first.digests(YILI).unwrap(), second.digests(YILI).unwrap());
    assert_ne!(first.digests(YILI).unwrap(), digests);

    // The third comes back, and takes one file for all and some stale ones, in no order.
    third.resume().unwrap();
    let by_third = third.add("issue", issue("三号登记", "13800000003")).unwrap();
    stick.export(&second, "for-all", None);
    stick.import(&third, "four");
    let told = stick.import(&third, "for-all");
    assert_eq!(told["complete"], json!(true), "{told}");
    stick.import(&third, "one");
    stick.export(&third, "back", None);
    for desk in [&first, &second] {
        assert_eq!(stick.import(desk, "back")["agreed"], json!(true));
        assert!(entries(desk, YILI, "issue").iter().any(|view| view.entry == by_third));
    }
    let all = [&first, &second, &third].map(|desk| desk.digests(YILI).unwrap());
    assert!(all[0] == all[1] && all[1] == all[2], "{all:?}");
    for desk in [&first, &second, &third] {
        assert_sound(desk);
    }
}

#[test]
fn a_damaged_cut_or_foreign_file_is_refused_whole_and_says_what_to_do() {
    let mut town = Town::found("street");
    let (first, other) = (town.desk(YILI, "desk-a"), town.desk("anning", "desk-a"));
    let second = town.desk(YILI, "desk-b");
    approve(&first, &second).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    town.street.hub.stop().unwrap();
    let stick = Stick { dir: town.dir().to_owned() };
    first.add("issue", issue("一号登记", "13800000001")).unwrap();
    other.add("issue", issue("别处的", "13800000009")).unwrap();
    stick.export(&first, "good", None);
    stick.export(&other, "foreign", None);
    let good = std::fs::read(stick.file("good")).unwrap();
    for canary in ["一号登记", "13800000001"] {
        let found = good.windows(canary.len()).any(|at| at == canary.as_bytes());
        assert!(!found, "{canary} can be read on the stick");
    }
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    std::fs::write(stick.file("flipped"), &flipped).unwrap();
    std::fs::write(stick.file("cut"), &good[..good.len() - 100]).unwrap();
    std::fs::write(stick.file("note"), "买菜").unwrap();

    let before = second.digests(YILI).unwrap();
    for (name, code) in [
        ("flipped", "damaged"),
        ("cut", "damaged"),
        ("note", "not-a-bundle"),
        ("foreign", "other-community"),
        ("nowhere", "file"),
    ] {
        let told = stick.refused(&second, name);
        assert_eq!(told["code"], json!(code), "{name}: {told}");
        let words = (told["zh"].as_str().unwrap(), told["en"].as_str().unwrap());
        assert!(words.0.contains('请') && !words.1.is_empty(), "{name}: {told}");
    }
    assert_eq!(stick.refused(&first, "good")["code"], json!("own-bundle"));
    assert_eq!(second.digests(YILI).unwrap(), before, "nothing was taken");
    let occupied = command(&first, &["bundle", "export", text(&stick.file("good"))]);
    assert_eq!(told_by(&occupied)["code"], json!("occupied"));
    assert_eq!(std::fs::read(stick.file("good")).unwrap(), good, "and the file is kept");
    assert_eq!(stick.import(&second, "good")["complete"], json!(true));

    // Everything was stored today, so a file since today is whole; one since a day to come is none.
    first.add("issue", issue("今天的", "13800000002")).unwrap();
    let today = stick.export_with(&first, "today", &["--since", &today()]);
    assert!(today["changes"].as_u64() > Some(2), "{today}");
    assert_eq!(stick.import(&second, "today")["complete"], json!(true));
    let file = stick.file("never");
    let never = command(&first, &["bundle", "export", text(&file), "--since", "2999-01-01"]);
    assert_eq!(told_by(&never)["code"], json!("bad-day"));
    assert!(!never.status.success() && !file.exists());
}

/// This day where the desks are.
fn today() -> String {
    let seconds = linli_runtime::daemon::now_millis() / 1_000;
    let local =
        linli_runtime::daemon::local_time(seconds, linli_runtime::daemon::CHINA_OFFSET_MINUTES);
    local[..10].to_owned()
}

/// A folder that is carried about.
pub(super) struct Stick {
    dir: PathBuf,
}

impl Stick {
    pub(super) fn below(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("交换-{name}"))
    }

    pub(super) fn export(&self, desk: &Daemon, name: &str, reader: Option<&str>) -> Json {
        let reader: Vec<&str> = reader.into_iter().flat_map(|name| ["--for", name]).collect();
        self.export_with(desk, name, &reader)
    }

    fn export_with(&self, desk: &Daemon, name: &str, flags: &[&str]) -> Json {
        let file = self.file(name);
        done(&command(desk, &[&["bundle", "export", text(&file)], flags].concat()))
    }

    pub(super) fn import(&self, desk: &Daemon, name: &str) -> Json {
        done(&command(desk, &["bundle", "import", text(&self.file(name))]))
    }

    pub(super) fn refused(&self, desk: &Daemon, name: &str) -> Json {
        let output = command(desk, &["bundle", "import", text(&self.file(name))]);
        assert!(!output.status.success(), "{name} was taken: {output:?}");
        told_by(&output)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn command(desk: &Daemon, arguments: &[&str]) -> Output {
    let mut command = Command::new(&programs().node);
    command.args(arguments).arg("--json").arg("--data").arg(desk.data());
    command.stdin(Stdio::null()).output().unwrap()
}

fn done(output: &Output) -> Json {
    assert!(output.status.success(), "{output:?}");
    told_by(output)
}

fn told_by(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn issue(title: &str, phone: &str) -> Json {
    json!({"title": title, "phone": phone})
}
