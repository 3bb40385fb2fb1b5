//! Changes of a machine that the hub does not know any more are refused, kept, and taken at last.
//!
//! A hub is put back from a backup made before a second desk came; the first desk hands on what the
//! second wrote. Nothing of it is lost, and nothing is counted twice.

use std::collections::BTreeSet;

use linli_demo::office::{Daemon, approve, run, settle, until};
use linli_runtime::ask::{Answer, Ask, PAGE_MAX, RefusedView};
use serde_json::{Value as Json, json};

use super::{Town, assert_all_is_well, entries, programs, text};

const YILI: &str = "yili";
const PHONE: &str = "13912340077";
const NAMES: [&str; 2] = ["demo/demo/yili/desk-a", "demo/demo/yili/desk-b"];

#[test]
fn what_a_hub_refused_is_listed_exported_and_taken_once_its_author_is_known_again() {
    let mut town = Town::found("street");
    let first = town.desk(YILI, "desk-a");
    first.add("issue", json!({"title": "备份以前"})).unwrap();
    settle(town.hub(), YILI, &[&first]).unwrap();
    let place = |name: &str| town.dir().join(name).to_str().unwrap().to_owned();
    let (backup, words) = (place("hub.backup"), place("passphrase"));
    std::fs::write(&words, "correct horse battery staple\n").unwrap();
    let sealed = ["--passphrase-file", &words];
    run(&programs().hub, town.hub().data(), &["backup", &backup, sealed[0], sealed[1]]).unwrap();

    let mut second = town.desk(YILI, "desk-b");
    approve(&first, &second).unwrap();
    let issue = second.add("issue", json!({"title": "二号登记", "phone": PHONE})).unwrap();
    second.step(&issue, "report", "2026-03-06").unwrap();
    second.step(&issue, "accept", "2026-03-06").unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    second.stop().unwrap();
    first.edit(&issue, json!({"place": "一号补充"})).unwrap();
    first.set_online(false).unwrap();
    let data = town.hub().data().to_owned();
    town.street.hub.kill();
    std::fs::remove_dir_all(&data).unwrap();
    run(&programs().hub, &data, &["restore", &backup, sealed[0], sealed[1]]).unwrap();
    town.street.hub.resume().unwrap();

    first.set_online(true).unwrap();
    let listed = until("both ends list the same", || {
        let (here, there) = (refused(town.hub()), refused(&first));
        let told: BTreeSet<_> = here.iter().map(|one| &one.hash).collect();
        let heard: BTreeSet<_> = there.iter().map(|one| &one.hash).collect();
        let follows = here.iter().any(|one| one.reason == "depends-on-refused");
        let sealed = here.iter().any(|one| one.space.is_sealed());
        Ok((follows && sealed && told == heard && agreed(&first)).then_some(here))
    })
    .unwrap();
    assert!(listed.iter().all(|one| one.kept && one.at.is_some()), "{listed:?}");
    assert!(listed.iter().any(|one| one.reason == "unknown-author"), "{listed:?}");
    assert!(refused(&first).iter().all(|one| one.by == "demo/demo/-/hub" && one.kept));
    assert_eq!(entries(town.hub(), YILI, "issue").len(), 1);
    assert_eq!(text(town.hub(), YILI, "M01", "2026-03"), "0");
    assert_exports(&town, &first, listed.len());

    // Nothing has changed, so nothing passes; a restart forgets nothing.
    assert_eq!(retry(&town, &[])["taken"], json!(0));
    town.street.hub.kill();
    town.street.hub.resume().unwrap();
    let kept: Vec<_> = refused(town.hub()).into_iter().map(|one| (one.hash, one.kept)).collect();
    assert_eq!(kept, listed.iter().map(|one| (one.hash.clone(), true)).collect::<Vec<_>>());

    second.resume().unwrap();
    until("the hub knows the second desk again", || {
        Ok(machine_connected(town.hub(), NAMES[1]).then_some(()))
    })
    .unwrap();
    let missing = ["refusals", "retry", "0000000000000000", "--lang", "zh"];
    assert!(run(&programs().hub, town.hub().data(), &missing).is_err());
    assert_eq!(retry(&town, &[])["taken"], json!(listed.len()), "every one, and each once");
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    until("no list names what was taken", || {
        let lists = [town.hub(), &first, &second].map(refused);
        Ok(lists.iter().all(Vec::is_empty).then_some(()))
    })
    .unwrap();
    assert_eq!(retry(&town, &[])["taken"], json!(0));
    for machine in [town.hub(), &first, &second] {
        assert_eq!(text(machine, YILI, "M01", "2026-03"), "1");
        assert_eq!(entries(machine, YILI, "issue").len(), 2);
    }
    assert_all_is_well(town.hub(), YILI, &[&first, &second]);
}

fn refused(machine: &Daemon) -> Vec<RefusedView> {
    match machine.ask(&Ask::Refused { max: PAGE_MAX }).unwrap() {
        Answer::Refused { refused, .. } => refused,
        other => panic!("a list of refusals, not {other:?}"),
    }
}

/// Both ends of its links hold the same, but for what was refused.
fn agreed(desk: &Daemon) -> bool {
    let status = desk.status().unwrap();
    !status.links.is_empty() && status.links.iter().all(|link| link.agreed && link.unsent == 0)
}

fn machine_connected(hub: &Daemon, name: &str) -> bool {
    let Answer::Nodes { nodes } = hub.ask(&Ask::Nodes {}).unwrap() else { panic!("machines") };
    nodes.iter().any(|node| node.name == name && node.connected)
}

fn retry(town: &Town, more: &[&str]) -> Json {
    let arguments = [&["refusals", "retry", "--json"], more].concat();
    let told = run(&programs().hub, town.hub().data(), &arguments).unwrap();
    serde_json::from_str(&told).unwrap()
}

/// Each end writes a file with every change, whose author and bytes can be read, and no sealed text.
fn assert_exports(town: &Town, desk: &Daemon, many: usize) {
    for (program, at) in [(&programs().hub, town.hub()), (&programs().node, desk)] {
        let file = at.data().join("refused.json");
        let arguments = ["refusals", "export", file.to_str().unwrap(), "--lang", "zh"];
        assert!(run(program, at.data(), &arguments).unwrap().contains(&many.to_string()));
        assert!(run(program, at.data(), &arguments).is_err(), "nothing is written over");
        let told = std::fs::read_to_string(&file).unwrap();
        assert!(!told.contains(PHONE));
        let told: Json = serde_json::from_str(&told).unwrap();
        assert_eq!(told["format"], "linli-refusals-1");
        let refused = told["refused"].as_array().unwrap();
        assert_eq!(refused.len(), many);
        for one in refused {
            assert!(one["author"].is_string() && one["entry"].is_string(), "{one}");
            let bytes = data_encoding::BASE64.decode(one["change"].as_str().unwrap().as_bytes());
            assert!(bytes.unwrap().len() > 50, "{one}");
        }
        assert!(refused.iter().any(|one| one["author"] == NAMES[0]), "a follow-up of the first");
        let list = run(program, at.data(), &["refusals", "--lang", "en"]).unwrap();
        assert!(list.contains("refusals retry"), "{list}");
    }
}
