//! An office copies a disk, and two machines go on under one name (F6).
//!
//! The hub goes on with the one it knew. The other says so, keeps what is written on it, and hands it
//! over once it is enrolled anew under a name of its own.

use std::path::Path;

use linli_demo::office::{Daemon, approve, run, settle, until};
use linli_runtime::ask::{Answer, Ask};
use serde_json::{Value as Json, json};

use super::{Town, assert_all_is_well, entries, id, programs, show_because, text, trouble};

const YILI: &str = "yili";
const NAME: &str = "demo/demo/yili/desk-a";

#[test]
fn the_later_of_two_copies_is_told_and_all_its_work_arrives_under_a_new_name() {
    let mut town = Town::found("street");
    let mut first = town.desk(YILI, "desk-a");
    first.add("issue", issue("复制以前", "13800000001")).unwrap();
    settle(town.hub(), YILI, &[&first]).unwrap();
    first.stop().unwrap();
    let copy = town.dir().join("copy");
    copy_folder(first.data(), &copy);
    first.resume().unwrap();
    let mut second = Daemon::start(&programs().node, &copy, &["--offline"]).unwrap();

    // Both go on; the copy has written more than the hub has read of the other.
    for n in 0..5 {
        let work = second.add("issue", issue(&format!("副本登记 {n}"), "13800000002")).unwrap();
        second.step(&work, "report", "2026-03-06").unwrap();
        second.step(&work, "self_handle", "2026-03-06").unwrap();
    }
    first.add("issue", issue("原机登记", "13800000003")).unwrap();
    settle(town.hub(), YILI, &[&first]).unwrap();
    second.set_online(true).unwrap();
    assert_told(&town, &first, &second);

    // A restart of either end forgets nothing, and the first one goes on.
    town.street.hub.kill();
    town.street.hub.resume().unwrap();
    second.kill();
    second.resume().unwrap();
    assert_eq!(second.status().unwrap().second_life.as_deref(), Some("demo/demo/-/hub"));
    first.add("issue", issue("原机又登记", "13800000004")).unwrap();
    settle(town.hub(), YILI, &[&first]).unwrap();
    second.add("issue", issue("副本又登记", "13800000005")).unwrap();
    second.set_online(true).unwrap();
    until("the copy is told once more", || {
        let status = second.status()?;
        Ok((status.last_error.is_some() && status.links.is_empty()).then_some(()))
    })
    .unwrap();
    assert_told(&town, &first, &second);

    enrol_anew(&town, &mut second);
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    let status = second.status().unwrap();
    assert_eq!((status.name.as_str(), status.second_life), ("demo/demo/yili/desk-c", None));
    for machine in [town.hub(), &first, &second] {
        assert_eq!(entries(machine, YILI, "issue").len(), 9);
        assert_eq!(text(machine, YILI, "M02", "2026-03"), "5");
    }
    for view in entries(&first, YILI, "issue") {
        let shown = show_because(&first, YILI, &view.entry, Some("核对"));
        assert!(shown.fields["phone"].as_str().unwrap().starts_with("1380000000"), "{shown:?}");
    }
    approve(&first, &second).unwrap();
    let late = second.add("issue", issue("登记以后", "13800000006")).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    assert_eq!(show_because(&first, YILI, &late, Some("核对")).fields["phone"], "13800000006");
    assert_all_is_well(town.hub(), YILI, &[&first, &second]);
}

#[test]
fn an_operator_may_go_on_with_the_copy_instead() {
    let town = Town::found("street");
    let mut first = town.desk(YILI, "desk-a");
    first.add("issue", issue("复制以前", "13800000001")).unwrap();
    settle(town.hub(), YILI, &[&first]).unwrap();
    first.stop().unwrap();
    let copy = town.dir().join("copy");
    copy_folder(first.data(), &copy);
    first.resume().unwrap();
    first.add("issue", issue("原机登记", "13800000002")).unwrap();
    settle(town.hub(), YILI, &[&first]).unwrap();
    first.kill();
    let second = Daemon::start(&programs().node, &copy, &[]).unwrap();
    until("the copy is told", || Ok(second.status()?.second_life)).unwrap();
    until("the hub knows", || Ok((!doubled(town.hub()).is_empty()).then_some(()))).unwrap();
    let unknown = Ask::AcceptLife { machine: "demo/demo/yili/desk-z".to_owned() };
    assert_eq!(trouble(town.hub(), &unknown).code, "not-doubled");

    run(&programs().hub, town.hub().data(), &["accept", NAME]).unwrap();
    second.set_online(false).unwrap();
    second.set_online(true).unwrap();
    second.add("issue", issue("副本登记", "13800000003")).unwrap();
    settle(town.hub(), YILI, &[&second]).unwrap();
    until("the copy is the machine of its name", || {
        Ok(second.status()?.second_life.is_none().then_some(()))
    })
    .unwrap();
    assert_eq!(entries(&second, YILI, "issue").len(), 3, "what the first one wrote came back");
    assert!(doubled(town.hub()).is_empty());
    assert_all_is_well(town.hub(), YILI, &[&second]);
}

/// Both ends say in both languages what is the matter and what to do, and nothing of the copy has
/// come.
fn assert_told(town: &Town, first: &Daemon, second: &Daemon) {
    let hub = until("the copy is told", || Ok(second.status()?.second_life)).unwrap();
    assert_eq!(hub, "demo/demo/-/hub");
    until("the hub knows", || Ok((doubled(town.hub()) == [NAME]).then_some(()))).unwrap();
    for (lang, todo) in [("zh", "--anew"), ("en", "--anew")] {
        let told = run(&programs().node, second.data(), &["status", "--lang", lang]).unwrap();
        assert!(
            told.contains(todo) && told.contains("linli-hub invite --community yili"),
            "{told}"
        );
        let told = run(&programs().hub, town.hub().data(), &["status", "--lang", lang]).unwrap();
        assert!(told.contains(NAME) && told.contains("linli-hub accept"), "{told}");
    }
    assert!(first.status().unwrap().second_life.is_none());
    let titles: Vec<Json> = entries(town.hub(), YILI, "issue")
        .into_iter()
        .map(|mut view| view.fields.remove("title").unwrap())
        .collect();
    assert!(titles.iter().all(|title| !title.as_str().unwrap().starts_with("副本")), "{titles:?}");
    assert!(entries(second, YILI, "issue").len() > 5, "it works on by itself");
}

fn doubled(hub: &Daemon) -> Vec<String> {
    hub.status().unwrap().doubled.into_iter().map(|(name, _)| name).collect()
}

/// As its status says: an invitation, the daemon stopped, a new name.
fn enrol_anew(town: &Town, desk: &mut Daemon) {
    let Answer::Invitation { token, .. } =
        town.hub().ask(&Ask::Invite { community: id(YILI), hours: 1 }).unwrap()
    else {
        panic!("the hub gives an invitation")
    };
    let anew = ["enrol", &token, "--name", "desk-c", "--anew"];
    assert!(run(&programs().node, desk.data(), &anew).is_err(), "not while it runs");
    desk.stop().unwrap();
    let plain = run(&programs().node, desk.data(), &anew[..4]).unwrap_err().to_string();
    assert!(plain.contains("--anew"), "{plain}");
    run(&programs().node, desk.data(), &anew).unwrap();
    *desk = Daemon::start(&programs().node, desk.data(), &[]).unwrap();
}

fn issue(title: &str, phone: &str) -> Json {
    json!({"title": title, "phone": phone})
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
