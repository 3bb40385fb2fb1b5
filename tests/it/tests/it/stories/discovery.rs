//! Desks of an office find one another without anybody typing addresses, and without a hub.
//!
//! They hear of each other by multicast on the loopback interface, together with desks of another
//! community and one that is not to be found.

use std::path::Path;

use linli_demo::office::{Daemon, approve, settle, until};
use serde_json::json;

use super::{Town, assert_sound, entries};

const YILI: &str = "yili";
const ANNING: &str = "anning";
/// UDP port 5353, as the kernel writes it.
const MDNS: &str = "14E9";

#[test]
fn desks_of_an_office_find_one_another_and_nobody_else_and_hold_the_same() {
    let mut town = Town::found("street");
    let mut yili = ["desk-a", "desk-b", "desk-c"].map(|name| town.desk(YILI, name));
    let mut anning = ["desk-a", "desk-b"].map(|name| town.desk(ANNING, name));
    for desk in &yili[1..] {
        approve(&yili[0], desk).unwrap();
    }
    approve(&anning[0], &anning[1]).unwrap();
    settle(town.hub(), YILI, &yili.each_ref()).unwrap();
    settle(town.hub(), ANNING, &anning.each_ref()).unwrap();
    town.street.hub.stop().unwrap();

    let [first, second, hidden] = &mut yili;
    for desk in [&mut *first, &mut *second].into_iter().chain(&mut anning) {
        listen(desk, true);
    }
    listen(hidden, false);
    // Each pair ends with one link, whoever dialled it.
    let pairs = [(&*first, &*second), (&anning[0], &anning[1])];
    for (left, right) in pairs {
        until("they have found each other", || {
            let found = [left, right].map(|desk| desk.status().unwrap().found.len());
            Ok((found == [1, 1] && !peers(left).is_empty()).then_some(()))
        })
        .unwrap();
        let dialled = [left, right].map(|desk| desk.status().unwrap().found.remove(0));
        assert!(dialled.iter().any(|found| found.peer.is_some()), "{dialled:?}");
    }
    first.add("issue", json!({"title": "一号登记", "phone": "13800000001"})).unwrap();
    second.add("issue", json!({"title": "二号登记", "phone": "13800000002"})).unwrap();
    until("both hold the same", || {
        let same = first.digests(YILI)? == second.digests(YILI)?;
        Ok((same && entries(first, YILI, "issue").len() == 2).then_some(()))
    })
    .unwrap();
    assert_eq!(peers(first), ["demo/demo/yili/desk-b"]);
    assert_eq!(peers(second), ["demo/demo/yili/desk-a"]);
    for desk in [&*first, &*second].into_iter().chain(&anning) {
        let links = desk.status().unwrap().links.len();
        assert_eq!(links, 3, "a row for each space of one link, whoever dialled it");
    }
    assert_eq!([peers(&anning[0]).len(), peers(&anning[1]).len()], [1, 1]);
    for desk in [&*first, &*second].into_iter().chain(&anning) {
        assert!(sockets_of_mdns(desk) > 0, "a desk that looks has a socket");
        assert_eq!(desk.status().unwrap().found.len(), 1, "nobody of elsewhere, and not who hides");
    }
    assert_eq!(sockets_of_mdns(hidden), 0, "a desk that does not look has none");
    assert!(hidden.status().unwrap().found.is_empty() && peers(hidden).is_empty());

    // Who goes is let go of, and found again under another name and port.
    second.stop().unwrap();
    until("it is forgotten or not linked", || Ok(peers(first).is_empty().then_some(()))).unwrap();
    second.resume().unwrap();
    let late = second.add("issue", json!({"title": "又来了"})).unwrap();
    until("it comes over the office", || {
        Ok(entries(first, YILI, "issue").iter().any(|one| one.entry == late).then_some(()))
    })
    .unwrap();
    // Cut off by a person, a desk neither speaks nor listens.
    second.set_online(false).unwrap();
    assert!(second.status().unwrap().found.is_empty());
    until("its socket is closed", || Ok((sockets_of_mdns(second) == 0).then_some(()))).unwrap();
    for desk in [&*first, &*second] {
        assert_sound(desk);
    }
}

/// Has a desk answer on loopback and look for others or not, and starts it again.
fn listen(desk: &mut Daemon, discover: bool) {
    desk.stop().unwrap();
    let path = desk.data().join("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = format!("{text}listen = \"127.0.0.1:0\"\ndiscover = {discover}\n");
    std::fs::write(&path, text).unwrap();
    desk.resume().unwrap();
}

/// Who a desk has links to.
fn peers(desk: &Daemon) -> Vec<String> {
    let mut peers: Vec<String> =
        desk.status().unwrap().links.into_iter().map(|link| link.peer).collect();
    peers.dedup();
    peers
}

/// UDP sockets on the port of multicast DNS that the process holds.
fn sockets_of_mdns(desk: &Daemon) -> usize {
    let process = Path::new("/proc").join(desk.pid().unwrap().to_string());
    let open: Vec<String> = std::fs::read_dir(process.join("fd"))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
            Some(link)
        })
        .collect();
    assert!(!open.is_empty(), "a daemon has sockets");
    let tables = ["net/udp", "net/udp6"].map(|table| std::fs::read_to_string(process.join(table)));
    let rows: Vec<String> =
        tables.iter().flatten().flat_map(|table| table.lines()).map(str::to_owned).collect();
    let ours = rows.iter().filter(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let port = columns.get(1).is_some_and(|local| local.ends_with(&format!(":{MDNS}")));
        port && columns.get(9).is_some_and(|inode| open.iter().any(|one| one == inode))
    });
    ours.count()
}
