//! Machines that are lost and put back: a desk, a hub, and backups that are no good.
//!
//! What was written after a backup is not in it; it comes back from those who hold it, and until
//! then nobody writes on what is old.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use linli_demo::office::{Daemon, run, settle, until};
use linli_runtime::ask::{Answer, Ask, StepForm};
use serde_json::{Value as Json, json};

use super::{
    Town, add, all_figures, assert_all_is_well, entries, machine, programs, show_because, text,
    trouble,
};

const YILI: &str = "yili";

#[test]
fn a_restored_desk_only_reads_until_its_hub_has_given_back_what_came_after() {
    let town = Town::found("street");
    let mut desk = town.desk(YILI, "desk-a");
    let early = desk.add("issue", issue("备份以前", "13800000001")).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let (file, words) = (town.dir().join("desk.backup"), passphrase(&town));
    let told = back_up(&programs().node, desk.data(), &file, Some(&words));
    assert_eq!(told["secrets"], json!(true));
    let late = desk.add("issue", issue("备份以后", "13800000002")).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let life = desk.status().unwrap().epoch;
    desk.kill();
    std::fs::remove_dir_all(desk.data()).unwrap();

    assert!(drill(&programs().node, &file, &words)["envelopes"].as_u64().unwrap() > 0);
    let data = town.dir().join("新电脑");
    restore(&programs().node, &data, &file, &words);
    let desk = Daemon::start(&programs().node, &data, &["--offline"]).unwrap();
    assert_ne!(desk.status().unwrap().epoch, life, "a life of its own");
    assert!(desk.status().unwrap().restored);
    let seen = show_because(&desk, YILI, &early, Some("核对"));
    assert_eq!(seen.fields["phone"], json!("13800000001"), "its keys are back");
    assert!(entries(&desk, YILI, "issue").iter().all(|view| view.entry != late));
    let refused = trouble(&desk, &add("issue", issue("太早", "13800000003")));
    assert_eq!(refused.code, "restored");
    assert!(refused.en.contains("--hub-is-lost") && refused.zh.contains("--hub-is-lost"));

    desk.set_online(true).unwrap();
    let new = until_open(&desk, &add("issue", issue("恢复以后", "13800000004")));
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let seen = show_because(&desk, YILI, &late, Some("核对"));
    assert_eq!(seen.fields["phone"], json!("13800000002"), "what came after the backup is back");
    assert!(entries(town.hub(), YILI, "issue").iter().any(|view| view.entry == new));
    assert!(!desk.status().unwrap().restored);
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn a_restored_hub_is_given_back_by_its_desks_what_it_lost() {
    let mut town = Town::found("street");
    let desk = town.desk(YILI, "desk-a");
    let early = desk.add("issue", issue("备份以前", "13800000001")).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let (file, words) = (town.dir().join("hub.backup"), passphrase(&town));
    back_up(&programs().hub, town.hub().data(), &file, Some(&words));
    let late = (0..40).map(|n| {
        let step = |action: &str| json!({"action": action, "at": "2026-03-06", "by": "李"});
        let fields = issue(&format!("备份以后 {n}"), "13800000002");
        json!({"kind": "issue", "fields": fields, "steps": [step("report"), step("self_handle")]})
    });
    desk.import(&late.collect::<Vec<_>>()).unwrap();
    town.hub().ask(&note(&early, "街道已知悉")).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let figures = all_figures(town.hub(), YILI);
    assert_eq!(text(town.hub(), YILI, "M01", "2026-03"), "40");
    desk.set_online(false).unwrap();
    town.street.hub.kill();
    let data = town.hub().data().to_owned();
    std::fs::remove_dir_all(&data).unwrap();

    drill(&programs().hub, &file, &words);
    let said = restore(&programs().hub, &data, &file, &words);
    assert!(said.contains("revoke again"), "{said}");
    town.street.hub.resume().unwrap();
    assert!(machine(town.hub(), "demo/demo/yili/desk-a").name.ends_with("desk-a"));
    assert_eq!(entries(town.hub(), YILI, "issue").len(), 1, "as old as its backup");
    assert_eq!(trouble(town.hub(), &note(&early, "太早")).code, "restored");

    desk.set_online(true).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    assert_eq!(entries(town.hub(), YILI, "issue").len(), 41);
    assert_eq!(all_figures(town.hub(), YILI), figures, "counted from the same changes");
    until_open(town.hub(), &note(&early, "恢复以后"));
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let steps = show_because(&desk, YILI, &early, None).steps;
    assert_eq!(steps.len(), 2, "what the hub itself wrote is back too: {steps:?}");
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn a_backup_without_a_passphrase_holds_no_key_and_a_damaged_one_is_refused_in_words() {
    let town = Town::found("street");
    let mut desk = town.desk(YILI, "desk-a");
    desk.add("issue", issue("路灯不亮", "13800000001")).unwrap();
    desk.stop().unwrap();
    let file = town.dir().join("plain.backup");
    let told = back_up(&programs().node, desk.data(), &file, None);
    assert_eq!(told["secrets"], json!(false), "also where no daemon runs");
    let drilled = command(&programs().node, &["drill", "--json"], &file, None);
    assert!(drilled.status.success(), "{drilled:?}");
    let data = town.dir().join("restored");
    restore(&programs().node, &data, &file, &passphrase(&town));
    assert!(data.join("journal").exists() && data.join("node.toml").exists());
    assert!(!data.join("keys").exists() && !data.join("identity").exists());

    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    for (lang, word) in [("en", "is damaged"), ("zh", "已损坏")] {
        let refused = command(&programs().node, &["drill", "--lang", lang], &file, None);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(word), "{said}");
    }
    let other = town.dir().join("never");
    let refused = command(&programs().node, &["restore", "--data"], &other, Some(&file));
    assert!(!refused.status.success() && !other.exists(), "{refused:?}");
    desk.resume().unwrap();
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn a_damaged_journal_is_repaired_and_filled_up_by_the_hub() {
    let town = Town::found("street");
    let mut desk = town.desk(YILI, "desk-a");
    for n in 0..60 {
        desk.add("issue", issue(&format!("事项 {n}"), "13800000001")).unwrap();
    }
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let life = desk.status().unwrap().epoch;
    desk.stop().unwrap();
    let sound = run(&programs().node, desk.data(), &["repair", "--lang", "en"]).unwrap();
    assert!(sound.contains("nothing is to be done"), "{sound}");
    let segment = desk.data().join("journal").join("00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&segment, bytes).unwrap();
    std::fs::remove_dir_all(desk.data().join("views")).unwrap();
    let file = town.dir().join("damaged.backup");
    let refused =
        command(&programs().node, &["backup", "--lang", "en", "--data"], desk.data(), Some(&file));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("repair") && !file.exists(), "no backup of a damaged journal: {said}");
    let mended = run(&programs().node, desk.data(), &["salvage", "--lang", "en"]).unwrap();
    assert!(mended.contains("lost: segment 1"), "{mended}");
    desk.resume().unwrap();
    assert_ne!(desk.status().unwrap().epoch, life, "a life of its own");
    assert_all_is_well(town.hub(), YILI, &[&desk]);
    assert_eq!(entries(&desk, YILI, "issue").len(), 60);
}

fn issue(title: &str, phone: &str) -> Json {
    json!({"title": title, "phone": phone})
}

fn note(entry: &linli_domain::id::EntryId, words: &str) -> Ask {
    let step = StepForm {
        action: "dispatch_note".into(),
        at: Some("2026-03-06".into()),
        by: Some(words.to_owned()),
        note: Some(words.to_owned()),
    };
    let (community, entry) = (Some(super::id(YILI)), entry.clone());
    Ask::Step { community, entry, step, fields: Default::default() }
}

/// Asks until a restored machine takes edits again.
fn until_open(daemon: &Daemon, edit: &Ask) -> linli_domain::id::EntryId {
    until("edits are open again", || match daemon.try_ask(edit)? {
        Answer::Written { entry, .. } => Ok(Some(entry)),
        Answer::Trouble(trouble) if trouble.code == "restored" => Ok(None),
        other => panic!("an edit was answered {other:?}"),
    })
    .unwrap()
}

fn passphrase(town: &Town) -> PathBuf {
    let path = town.dir().join("口令");
    std::fs::write(&path, "correct horse battery staple\n").unwrap();
    path
}

fn back_up(program: &Path, data: &Path, file: &Path, words: Option<&Path>) -> Json {
    let mut arguments = vec!["backup", "--json", file.to_str().unwrap()];
    if let Some(words) = words {
        arguments.extend(["--passphrase-file", words.to_str().unwrap()]);
    }
    let told: Json = serde_json::from_str(&run(program, data, &arguments).unwrap()).unwrap();
    assert!(told["changes"].as_u64().unwrap() > 0, "{told}");
    told
}

fn drill(program: &Path, file: &Path, words: &Path) -> Json {
    let (file, words) = (file.to_str().unwrap(), words.to_str().unwrap());
    let arguments = ["drill", "--json", file, "--passphrase-file", words];
    let nowhere = Path::new("nowhere");
    let told: Json = serde_json::from_str(&run(program, nowhere, &arguments).unwrap()).unwrap();
    assert_eq!(told["records"], told["changes"], "{told}");
    assert!(told["entries"].as_u64().unwrap() > 0, "{told}");
    told
}

fn restore(program: &Path, data: &Path, file: &Path, words: &Path) -> String {
    let (file, words) = (file.to_str().unwrap(), words.to_str().unwrap());
    run(program, data, &["restore", "--lang", "en", file, "--passphrase-file", words]).unwrap()
}

/// Runs a command that may fail; the places come last.
fn command(program: &Path, words: &[&str], place: &Path, file: Option<&Path>) -> Output {
    let mut command = Command::new(program);
    command.args(words).arg(place).args(file).stdin(Stdio::null());
    command.output().unwrap()
}
