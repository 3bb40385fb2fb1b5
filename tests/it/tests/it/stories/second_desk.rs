//! A second desk comes to a community, and is shut out again.
//!
//! Until two persons have compared its code it works with what is open and can neither read nor
//! write what is personal. Shut out, it keeps what it has and gets nothing more.

use linli_demo::office::{approve, settle, until};
use linli_runtime::ask::{Answer, Ask, DeviceView};
use serde_json::json;

use super::{Town, add, assert_all_is_well, assert_sound, entries, machine, show_because, trouble};

const YILI: &str = "yili";

#[test]
fn a_second_desk_reads_personal_fields_only_after_its_code_was_compared() {
    let town = Town::found("street");
    let first = town.desk(YILI, "desk-a");
    let form = json!({"title": "路灯", "phone": "13912345678"});
    let known = first.add("issue", form).unwrap();
    let second = town.desk(YILI, "desk-b");
    settle(town.hub(), YILI, &[&first, &second]).unwrap();

    let status = second.status().unwrap();
    assert!(!status.unlocked && status.ring_code.is_none());
    let code = status.code.unwrap();
    assert!(first.status().unwrap().code.is_none(), "the first desk waits for nobody");
    assert!(!show_because(&second, YILI, &known, None).fields.contains_key("phone"));
    let why = show_because_trouble(&second, &known);
    assert_eq!(why.code, "locked", "a look-up cannot be put on record yet");

    let open = second.add("issue", json!({"title": "井盖"})).unwrap();
    let before = second.digests(YILI).unwrap();
    for (kind, fields) in [
        ("issue", json!({"title": "漏水", "phone": "13800000000"})),
        ("household", json!({"building": "grid/b1", "entrance": "1", "room": "101"})),
        ("call_log", json!({"time": "2026-04-01T09:00", "matter": "停水"})),
    ] {
        assert_eq!(trouble(&second, &add(kind, fields)).code, "locked", "{kind}");
    }
    assert_eq!(second.digests(YILI).unwrap(), before, "nothing was written by halves");

    let devices =
        |approved: bool| vec![("desk-a".to_owned(), true), ("desk-b".to_owned(), approved)];
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    assert_eq!(listed(&first.ask(&Ask::Devices {}).unwrap()), devices(false));
    for wrong in [String::new(), "aaaa-bbbb".to_owned(), code.chars().rev().collect()] {
        let ask = Ask::Approve { machine: "desk-b".to_owned(), code: wrong };
        assert_eq!(trouble(&first, &ask).code, "wrong-code");
    }
    let itself = Ask::Approve { machine: "desk-b".to_owned(), code: code.clone() };
    assert_eq!(trouble(&second, &itself).code, "locked", "it cannot approve itself");
    let nobody = Ask::Approve { machine: "desk-c".to_owned(), code };
    assert_eq!(trouble(&first, &nobody).code, "no-such-device");
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    assert!(!second.status().unwrap().unlocked);
    assert_eq!(listed(&second.ask(&Ask::Devices {}).unwrap()), devices(false));

    approve(&first, &second).unwrap();
    let status = second.status().unwrap();
    assert!(status.unlocked && status.code.is_none());
    assert_eq!(status.ring_code, first.status().unwrap().ring_code);
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    assert_eq!(listed(&first.ask(&Ask::Devices {}).unwrap()), devices(true));
    assert_eq!(show_because(&second, YILI, &known, Some("核对")).fields["phone"], "13912345678");
    second.edit(&open, json!({"phone": "13600000000"})).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    assert_eq!(show_because(&first, YILI, &open, Some("核对")).fields["phone"], "13600000000");
    assert_all_is_well(town.hub(), YILI, &[&first, &second]);
}

#[test]
fn a_desk_that_was_shut_out_gets_and_gives_nothing_more_and_the_others_go_on() {
    let town = Town::found("street");
    let (stays, leaves) = (town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b"));
    approve(&stays, &leaves).unwrap();
    leaves.add("issue", json!({"title": "之前登记的"})).unwrap();
    settle(town.hub(), YILI, &[&stays, &leaves]).unwrap();

    let name = leaves.status().unwrap().name;
    let again = leaves.status().unwrap();
    assert!(again.last_error.is_none(), "{again:?}");
    town.hub().ask(&Ask::Revoke { machine: name.clone() }).unwrap();
    assert_eq!(trouble(town.hub(), &Ask::Revoke { machine: name.clone() }).code, "no-such-machine");
    until("its link is closed", || Ok(leaves.status()?.last_error)).unwrap();
    until(
        "the hub has no link to it",
        || Ok((!machine(town.hub(), &name).connected).then_some(())),
    )
    .unwrap();
    assert!(machine(town.hub(), &name).revoked);

    // It dials anew and is refused at once.
    leaves.set_online(false).unwrap();
    leaves.set_online(true).unwrap();
    let error = until("it is told no", || Ok(leaves.status()?.last_error)).unwrap();
    assert!(!machine(town.hub(), &name).connected, "{error}");

    let seen = leaves.digests(YILI).unwrap();
    stays.add("issue", json!({"title": "之后登记的", "phone": "13700000000"})).unwrap();
    settle(town.hub(), YILI, &[&stays]).unwrap();
    leaves.add("issue", json!({"title": "没有人收的"})).unwrap();
    assert!(leaves.status().unwrap().unsent > 0);
    assert_ne!(leaves.digests(YILI).unwrap(), seen, "it still keeps its own ledger");
    for machine in [&stays, town.hub()] {
        let titles: Vec<String> = entries(machine, YILI, "issue")
            .iter()
            .map(|entry| entry.fields["title"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(titles, ["之前登记的", "之后登记的"]);
    }
    assert_eq!(entries(&leaves, YILI, "issue").len(), 2);
    assert_all_is_well(town.hub(), YILI, &[&stays]);
    assert_sound(&leaves);
}

fn show_because_trouble(
    desk: &linli_demo::office::Daemon,
    entry: &linli_domain::id::EntryId,
) -> linli_runtime::ask::Trouble {
    let reason = Some("看一眼".to_owned());
    trouble(desk, &Ask::Show { community: None, entry: entry.clone(), reason })
}

/// Machines and whether they are approved.
fn listed(answer: &Answer) -> Vec<(String, bool)> {
    let Answer::Devices { devices } = answer else { panic!("a list of machines") };
    let row = |device: &DeviceView| (device.machine.clone(), device.approved);
    devices.iter().map(row).collect()
}
