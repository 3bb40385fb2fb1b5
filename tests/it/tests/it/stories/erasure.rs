//! A person is deleted: at two desks, one of them away, and at the hub; from files, views and
//! screens, and again on a desk that was put back from an old backup.

use std::path::Path;

use linli_demo::office::{Daemon, approve, run, settle, until};
use linli_domain::id::{EntryId, Space};
use linli_domain::seal::DocumentPlace;
use linli_runtime::ask::{Answer, Ask};
use serde_json::json;

use super::traces::traces;
use super::{Town, assert_all_is_well, entries, find, id, programs, show, show_because, trouble};

const YILI: &str = "yili";
/// Whom it is about, a word that stays at another entry, and what an open field says.
const GONE: [&str; 3] = ["段干星野", "13912345678", "13600009999"];
const STAYS: &str = "13700001111";
const OPEN: &str = "轮椅坡道待修";

#[test]
fn an_erased_person_is_gone_from_every_machine_also_from_one_that_was_away() {
    let town = Town::found("street");
    let (first, mut second) = (town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b"));
    approve(&first, &second).unwrap();
    let form = json!({"title": OPEN, "reporter": GONE[0], "phone": GONE[1]});
    let erased = first.add("issue", form).unwrap();
    let stays = first.add("issue", json!({"title": "井盖", "phone": STAYS})).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    let everywhere = [&first, &second, town.hub()].map(|machine| machine.data().to_owned());
    for data in &everywhere {
        assert_eq!(key_rows(data, &erased), [1, 1], "{}", data.display());
        assert!(!traces(data, &[OPEN]).is_empty(), "an open text is found in this way");
    }
    // Rows of views lie in files once a daemon has ended.
    second.stop().unwrap();
    assert!(!traces(second.data(), &GONE[..1]).is_empty(), "a desk's views hold what it reads");
    second.resume().unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    let backup = town.dir().join("before.backup");
    let words = town.dir().join("words");
    std::fs::write(&words, "correct horse battery staple\n").unwrap();
    let sealed = ["--passphrase-file", words.to_str().unwrap()];
    run(
        &programs().node,
        second.data(),
        &["backup", backup.to_str().unwrap(), sealed[0], sealed[1]],
    )
    .unwrap();

    second.set_online(false).unwrap();
    second.edit(&erased, json!({"phone": GONE[2]})).unwrap();
    let refused = trouble(town.hub(), &erase(&erased));
    assert_eq!(refused.code, "not-here", "a hub erases nothing");
    let said = run(
        &programs().node,
        first.data(),
        &["erase", erased.as_str(), "--reason", "moved away", "--yes", "--lang", "en"],
    );
    assert!(said.unwrap().contains("personal fields destroyed"));
    settle(town.hub(), YILI, &[&first]).unwrap();
    assert_eq!(show_because(&second, YILI, &erased, Some("核对")).fields["phone"], GONE[2]);
    second.set_online(true).unwrap();
    assert_gone(&town, [&first, &second, town.hub()], &erased, &stays);

    // What the office put away before still has it, until it meets the others.
    let before = second.data().to_owned();
    second.kill();
    std::fs::remove_dir_all(&before).unwrap();
    let data = town.dir().join("again");
    run(&programs().node, &data, &["restore", backup.to_str().unwrap(), sealed[0], sealed[1]])
        .unwrap();
    let second = Daemon::start(&programs().node, &data, &["--offline"]).unwrap();
    assert_eq!(key_rows(&data, &erased), [1, 1]);
    assert_eq!(show_because(&second, YILI, &erased, Some("核对")).fields["phone"], GONE[1]);
    second.set_online(true).unwrap();
    assert_gone(&town, [&first, &second, town.hub()], &erased, &stays);
}

/// Everybody holds the same, says that it is clean, and has no key and no text in any file; what was
/// not erased is read as before.
fn assert_gone(town: &Town, machines: [&Daemon; 3], erased: &EntryId, stays: &EntryId) {
    let desks = &machines[..2];
    settle(town.hub(), YILI, desks).unwrap();
    for machine in machines {
        until("it says that it is clean", || {
            let Answer::Erasures { erasures, .. } = machine.ask(&Ask::Erasures { max: 9 })? else {
                panic!("a list of erasures")
            };
            let clean = erasures.iter().any(|one| one.entry == *erased && one.clean);
            Ok((clean && machine.status()?.unclean == 0).then_some(()))
        })
        .unwrap();
    }
    for desk in desks {
        let seen = show_because(desk, YILI, erased, Some("核对"));
        assert!(seen.erased && seen.fields["title"] == OPEN, "{seen:?}");
        assert!(!seen.fields.contains_key("phone") && !seen.fields.contains_key("reporter"));
        assert_eq!(show_because(desk, YILI, stays, Some("核对")).fields["phone"], STAYS);
        for word in GONE {
            assert!(find(desk, word).is_empty());
        }
    }
    assert!(show(town.hub(), YILI, erased).erased);
    assert_eq!(entries(town.hub(), YILI, "issue").len(), 2);
    assert_all_is_well(town.hub(), YILI, desks);
    for machine in machines {
        let data = machine.data();
        assert_eq!(traces(data, &GONE), Vec::<String>::new());
        assert_eq!(key_rows(data, erased), [0, 0], "{}", data.display());
        assert_eq!(key_rows(data, stays), [1, 1], "{}", data.display());
    }
}

fn erase(entry: &EntryId) -> Ask {
    Ask::Erase { entry: entry.clone(), reason: "moved away".to_owned(), dry_run: false }
}

/// Rows with a key of an entry in each of a machine's two files, read as raw bytes: 160 to a row,
/// which begins with 1 and names its document in the third byte and those behind.
fn key_rows(data: &Path, entry: &EntryId) -> [usize; 2] {
    let place = DocumentPlace::of(&Space::Sealed(id(YILI)), entry);
    [1, 2].map(|copy| {
        let file = data.join("journal").join(format!("documents-{copy}.keys"));
        let bytes = std::fs::read(file).unwrap();
        let is_key = |row: &&[u8]| row[0] == 1 && row[2..34] == place.0;
        bytes.chunks_exact(160).filter(is_key).count()
    })
}
