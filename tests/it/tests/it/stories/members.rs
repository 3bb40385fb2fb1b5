//! A community's machines are lost: one, which is removed and opens nothing more, and all of them,
//! after which two sheets of paper bring everything back.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linli_demo::office::{Daemon, approve, run, settle, until};
use linli_domain::id::EntryId;
use linli_runtime::ask::{Answer, Ask, ListView};
use serde_json::json;

use super::{Town, assert_all_is_well, programs, show_because, trouble};

const YILI: &str = "yili";

#[test]
fn a_removed_desk_opens_nothing_more_and_one_that_was_away_catches_up() {
    let town = Town::found("street");
    let first = town.desk(YILI, "desk-a");
    let (away, lost) = (town.desk(YILI, "desk-b"), town.desk(YILI, "desk-c"));
    approve(&first, &away).unwrap();
    approve(&first, &lost).unwrap();
    let before = first.add("issue", json!({"title": "路灯", "phone": "13911110000"})).unwrap();
    settle(town.hub(), YILI, &[&first, &away, &lost]).unwrap();
    assert_eq!(phone(&lost, &before).as_deref(), Some("13911110000"));

    away.set_online(false).unwrap();
    let refused = confirm(&first, &["devices", "remove", "desk-c"], "desk-b\n");
    assert!(refused.is_err(), "another name was typed");
    let told = confirm(&first, &["devices", "remove", "desk-c"], "desk-c\n").unwrap();
    assert!(told.contains("epoch 2") && told.contains("desk-c"), "{told}");
    let after = first.add("issue", json!({"title": "井盖", "phone": "13922220000"})).unwrap();
    let apart = away.add("issue", json!({"title": "漏水", "phone": "13933330000"})).unwrap();
    away.set_online(true).unwrap();
    // Every envelope reaches the removed desk: its certificate still holds.
    settle(town.hub(), YILI, &[&first, &away, &lost]).unwrap();
    for (entry, number) in [(&before, "1111"), (&after, "2222"), (&apart, "3333")] {
        for desk in [&first, &away] {
            assert!(phone(desk, entry).is_some_and(|phone| phone.contains(number)), "{entry}");
        }
    }
    assert_eq!(phone(&lost, &after), None);
    let later = away.add("issue", json!({"title": "噪声", "phone": "13944440000"})).unwrap();
    settle(town.hub(), YILI, &[&first, &away, &lost]).unwrap();
    assert_eq!(phone(&first, &later).as_deref(), Some("13944440000"));
    assert_eq!(phone(&lost, &later), None, "also what the other desk sealed");
    assert!(list(&lost).removed && list(&away).listed);

    let name = lost.status().unwrap().name;
    town.hub().ask(&Ask::Revoke { machine: name }).unwrap();
    drop(lost);
    // A start reads ring and list from their files again.
    let mut away = away;
    away.stop().unwrap();
    away.resume().unwrap();
    assert_eq!(phone(&away, &after).as_deref(), Some("13922220000"));
    assert_all_is_well(town.hub(), YILI, &[&first, &away]);
}

#[test]
fn with_every_desk_lost_two_sheets_bring_all_personal_fields_back() {
    let town = Town::found("street");
    let desks = [town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b")];
    approve(&desks[0], &desks[1]).unwrap();
    let early = desks[0].add("issue", json!({"title": "路灯", "phone": "13911110000"})).unwrap();
    let pages = print(&desks[0], &town.dir().join("yili"));
    confirm(&desks[0], &["devices", "remove", "desk-b", "--yes"], "").unwrap();
    let late = desks[0].add("issue", json!({"title": "井盖", "phone": "13922220000"})).unwrap();
    settle(town.hub(), YILI, &[&desks[0]]).unwrap();
    let ring_code = desks[0].status().unwrap().ring_code;
    let other = town.desk("chunhui", "desk-a");
    let foreign = print(&other, &town.dir().join("chunhui"));
    drop(desks);

    let new = town.desk(YILI, "desk-new");
    settle(town.hub(), YILI, &[&new]).unwrap();
    assert_eq!(phone(&new, &early), None);
    let typed = |one: &str, two: &str| confirm(&new, &["recovery", "use"], &format!("{one}{two}"));
    let [one, two, three] = [&pages[0], &pages[1], &pages[2]];
    let slip = |sheet: &str| {
        let mut lines: Vec<String> = sheet.lines().map(str::to_owned).collect();
        let other = if lines[2].starts_with('7') { "8" } else { "7" };
        lines[2].replace_range(0..1, other);
        lines.join("\n") + "\n"
    };
    for (one, two, words) in [
        (one.clone(), slip(two), "line 3"),
        (one.clone(), one.clone(), "one sheet twice"),
        (one.clone(), foreign[1].clone(), "not of one set"),
        (one.clone(), String::new(), "Type both sheets"),
        (foreign[0].clone(), foreign[2].clone(), "which community"),
    ] {
        let error = typed(&one, &two).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!new.status().unwrap().unlocked, "{words}");
    }
    let told = typed(three, one).unwrap();
    assert!(told.contains(ring_code.as_deref().unwrap()), "{told}");
    assert_eq!(phone(&new, &early).as_deref(), Some("13911110000"));
    assert_eq!(phone(&new, &late).as_deref(), Some("13922220000"), "of the later epoch too");
    assert!(list(&new).listed);
    confirm(&new, &["devices", "remove", "desk-a", "--yes"], "").unwrap();
    let last = new.add("issue", json!({"title": "漏水", "phone": "13933330000"})).unwrap();
    assert_eq!(phone(&new, &last).as_deref(), Some("13933330000"));
    assert_all_is_well(town.hub(), YILI, &[&new]);
}

#[test]
fn what_a_hub_forges_is_taken_by_no_desk_and_told() {
    let town = Town::found("street");
    let desks = [town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b")];
    approve(&desks[0], &desks[1]).unwrap();
    settle(town.hub(), YILI, &[&desks[0], &desks[1]]).unwrap();
    let ring_code = desks[0].status().unwrap().ring_code;
    let rows = super::entries(&desks[0], YILI, "member");
    assert_eq!(rows.len(), 2, "a beginning and an admission");
    let copied = rows[0].fields["statement"].clone();
    let forged = json!({"statement": copied});
    edit_at_hub(&town, &rows[1].entry, forged);
    let device: EntryId = "device/desk-b".to_owned().try_into().unwrap();
    let key = "A".repeat(43) + "=";
    edit_at_hub(&town, &device, json!({"public_key": key.clone(), "signing_key": key}));
    for desk in &desks {
        until("the forged statement is noticed", || Ok((list(desk).doubted == 1).then_some(())))
            .unwrap();
        assert!(list(desk).listed);
        assert_eq!(desk.status().unwrap().ring_code, ring_code);
    }
    settle(town.hub(), YILI, &[&desks[0], &desks[1]]).unwrap();
    let Answer::Devices { devices } = desks[0].ask(&Ask::Devices {}).unwrap() else {
        panic!("a list of machines")
    };
    assert!(devices.iter().any(|device| device.machine == "desk-b" && device.approved));
    let ghost = devices.iter().find(|device| device.differs).unwrap();
    let ask = Ask::Approve { machine: "desk-b".to_owned(), code: ghost.code.clone() };
    assert_eq!(trouble(&desks[0], &ask).code, "name-taken", "not even with its own code");
}

/// The phone of an entry, where a desk can read it.
fn phone(desk: &Daemon, entry: &EntryId) -> Option<String> {
    let locked = !desk.status().unwrap().unlocked;
    let reason = (!locked).then_some("核对");
    let fields = show_because(desk, YILI, entry, reason).fields;
    fields.get("phone").and_then(|phone| phone.as_str()).map(str::to_owned)
}

fn list(desk: &Daemon) -> ListView {
    desk.status().unwrap().list.unwrap()
}

fn edit_at_hub(town: &Town, entry: &EntryId, fields: serde_json::Value) {
    let (entry, fields) = (entry.clone(), serde_json::from_value(fields).unwrap());
    let community = Some(super::id(YILI));
    town.hub().ask(&Ask::Edit { community, entry, fields }).unwrap();
}

/// Prints recovery sheets, and reads the lines off the pages as a person would.
fn print(desk: &Daemon, out: &Path) -> Vec<String> {
    std::fs::create_dir(out).unwrap();
    let folder = out.display().to_string();
    run(&programs().node, desk.data(), &["recovery", "print", "--out", &folder]).unwrap();
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(out).unwrap().map(|file| file.unwrap().path()).collect();
    pages.sort();
    assert_eq!(pages.len(), 3);
    let read = |page: PathBuf| {
        let text = std::fs::read_to_string(page).unwrap();
        let lines = text.split("<td class=\"line\">").skip(1);
        let lines: Vec<&str> = lines.map(|rest| rest.split('<').next().unwrap()).collect();
        assert_eq!(lines.len(), 5);
        lines.join("\n") + "\n"
    };
    pages.into_iter().map(read).collect()
}

/// Runs a command of a desk with something typed in; what it prints, or what it complains of.
fn confirm(desk: &Daemon, arguments: &[&str], typed: &str) -> Result<String, String> {
    let mut child = Command::new(&programs().node)
        .args(["--lang", "en"])
        .args(arguments)
        .arg("--data")
        .arg(desk.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have seen enough before the last line.
    let _closed = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
