//! A desk is revoked while some of its neighbours cannot reach the hub, which is gone soon after.
//!
//! The word goes from desk to desk. The revoked one loses its link, is refused when it dials, and its
//! stick is refused; what it wrote before stays and goes on to the others.

use std::net::TcpListener;

use linli_demo::office::{Daemon, approve, settle, until};
use linli_runtime::ask::{Answer, Ask};
use serde_json::json;

use super::stick::Stick;
use super::{Town, assert_sound, entries};

const YILI: &str = "yili";
/// Nobody answers there.
const NOWHERE: &str = "127.0.0.1:9";

#[test]
fn a_revocation_goes_from_desk_to_desk_without_the_hub_and_shuts_links_dials_and_sticks() {
    let mut town = Town::found("street");
    let [mut first, mut second, mut lost] =
        ["desk-a", "desk-b", "desk-c"].map(|name| town.desk(YILI, name));
    for desk in [&second, &lost] {
        approve(&first, desk).unwrap();
    }
    settle(town.hub(), YILI, &[&first, &second, &lost]).unwrap();
    let name = lost.status().unwrap().name;
    // The second and the third have no hub from here on, and one another.
    let port = free_address();
    set_links(&mut second, NOWHERE, Some(&port), None);
    set_links(&mut lost, NOWHERE, None, Some(&port));
    until("they are linked", || Ok(linked(&lost, "desk-b").then_some(()))).unwrap();
    lost.add("issue", json!({"title": "停用之前的"})).unwrap();
    until("it came over the office", || {
        Ok((entries(&second, YILI, "issue").len() == 1).then_some(()))
    })
    .unwrap();

    town.hub().ask(&Ask::Revoke { machine: name.clone() }).unwrap();
    until("the first hears of it", || Ok(revoked(&first, "desk-c").then_some(()))).unwrap();
    town.street.hub.stop().unwrap();
    assert!(!revoked(&second, "desk-c") && linked(&lost, "desk-b"));

    set_links(&mut first, NOWHERE, None, Some(&port));
    until("the second hears of it", || Ok(revoked(&second, "desk-c").then_some(()))).unwrap();
    until("its link is closed", || Ok((!linked(&second, "desk-c")).then_some(()))).unwrap();
    until("its dial is refused", || {
        let log = std::fs::read_to_string(lost.log_path())?;
        Ok(log.contains("the other side refuses this machine").then_some(()))
    })
    .unwrap();
    lost.add("issue", json!({"title": "停用之后的"})).unwrap();
    let stick = Stick::below(town.dir());
    stick.export(&lost, "lost", None);
    for desk in [&first, &second] {
        let before = desk.digests(YILI).unwrap();
        let told = stick.refused(desk, "lost");
        assert_eq!(told["code"], json!("shut-out"), "{told}");
        assert_eq!(desk.digests(YILI).unwrap(), before, "nothing was taken");
    }
    // What it wrote before went on, and a start forgets nothing.
    first.stop().unwrap();
    first.resume().unwrap();
    until("both hold the same", || {
        Ok((first.digests(YILI)? == second.digests(YILI)?).then_some(()))
    })
    .unwrap();
    for desk in [&first, &second] {
        let titles: Vec<_> =
            entries(desk, YILI, "issue").iter().map(|one| one.fields["title"].clone()).collect();
        assert_eq!(titles, [json!("停用之前的")]);
        assert!(revoked(desk, "desk-c") && !linked(desk, "desk-c"));
        assert_sound(desk);
    }
}

#[test]
fn a_desk_that_members_removed_is_refused_by_its_neighbours_until_it_is_approved_again() {
    let mut town = Town::found("street");
    let [mut first, mut removed] = ["desk-a", "desk-b"].map(|name| town.desk(YILI, name));
    approve(&first, &removed).unwrap();
    settle(town.hub(), YILI, &[&first, &removed]).unwrap();
    let port = free_address();
    set_links(&mut first, NOWHERE, Some(&port), None);
    set_links(&mut removed, NOWHERE, None, Some(&port));
    town.street.hub.stop().unwrap();
    until("they are linked", || Ok(linked(&first, "desk-b").then_some(()))).unwrap();
    first.ask(&Ask::RemoveDevice { machine: "desk-b".to_owned() }).unwrap();
    until("its link is closed", || Ok((!linked(&first, "desk-b")).then_some(()))).unwrap();
    until("its dial is refused", || {
        let log = std::fs::read_to_string(removed.log_path())?;
        Ok(log.contains("the other side refuses this machine").then_some(()))
    })
    .unwrap();
    let stick = Stick::below(town.dir());
    stick.export(&removed, "removed", None);
    let told = stick.refused(&first, "removed");
    assert_eq!(told["code"], json!("shut-out"), "{told}");
    assert!(told["en"].as_str().unwrap().contains("approve"), "{told}");

    let Answer::Devices { devices } = first.ask(&Ask::Devices {}).unwrap() else {
        panic!("a list")
    };
    let code = devices.into_iter().find(|device| device.machine == "desk-b").unwrap().code;
    let again = first.ask(&Ask::Approve { machine: "desk-b".to_owned(), code }).unwrap();
    assert!(matches!(again, Answer::Approved { .. }), "{again:?}");
    stick.import(&first, "removed");
    // It would wait longer from try to try.
    removed.set_online(false).unwrap();
    removed.set_online(true).unwrap();
    until("they are linked again", || Ok(linked(&first, "desk-b").then_some(()))).unwrap();
}

/// An address that was free a moment ago.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Gives a desk other links, and starts it again.
fn set_links(desk: &mut Daemon, hub: &str, listen: Option<&str>, neighbour: Option<&str>) {
    desk.stop().unwrap();
    let path = desk.data().join("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut text: String = text
        .lines()
        .map(|line| {
            if line.starts_with("hub = ") {
                format!("hub = \"{hub}\"\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    text.push_str("discover = false\n");
    text.extend(listen.map(|listen| format!("listen = \"{listen}\"\n")));
    text.extend(neighbour.map(|at| format!("neighbours = [\"{at}\"]\n")));
    std::fs::write(&path, text).unwrap();
    desk.resume().unwrap();
}

/// Whether a desk has a link to that machine now.
fn linked(desk: &Daemon, machine: &str) -> bool {
    let status = desk.status().unwrap();
    status.links.iter().any(|link| link.peer.ends_with(&format!("/{machine}")))
}

/// Whether a desk knows that a machine was revoked.
fn revoked(desk: &Daemon, machine: &str) -> bool {
    let Answer::Devices { devices } = desk.ask(&Ask::Devices {}).unwrap() else { panic!("a list") };
    devices.iter().any(|device| device.machine == machine && device.revoked)
}
