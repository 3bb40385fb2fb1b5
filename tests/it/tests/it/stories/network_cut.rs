//! An office without a network for ten days (AC-17).
//!
//! Everything works meanwhile, here and elsewhere; afterwards nothing is lost and nothing doubled.

use std::collections::BTreeSet;

use linli_demo::office::{Daemon, approve, settle, until};
use linli_domain::id::EntryId;
use serde_json::json;

use super::{Town, assert_all_is_well, entries, find, show, show_because, text};

const YILI: &str = "yili";
const DAYS: u64 = 10;

#[test]
fn ten_days_without_a_network_lose_and_double_nothing() {
    let town = Town::found("street");
    let (cut, other) = (town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b"));
    approve(&cut, &other).unwrap();
    let shared = cut.add("issue", json!({"title": "两处都办的事", "place": "北门"})).unwrap();
    cut.step(&shared, "report", "2026-03-31").unwrap();
    settle(town.hub(), YILI, &[&cut, &other]).unwrap();

    cut.set_online(false).unwrap();
    let mut unsent = cut.status().unwrap().unsent;
    assert_eq!(unsent, 0);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for day in 1..=DAYS {
        let date = format!("2026-04-{day:02}");
        here.push(work_a_day(&cut, &date, day, "这边"));
        there.push(work_a_day(&other, &date, day, "那边"));
        let now = cut.status().unwrap().unsent;
        // An entry in two halves, an edit of both, two steps.
        assert!(now >= unsent + 6, "day {day}: {unsent} changes, then {now}");
        unsent = now;
        assert_eq!(text(&cut, YILI, "M01", "2026-04"), day.to_string());
        assert_eq!(find(&cut, &format!("这边第{day}日")).len(), 1);
    }
    cut.edit(&shared, json!({"place": "北门内", "detail": "钥匙在这边"})).unwrap();
    other.edit(&shared, json!({"handler": "物业", "reporter": "那边的人"})).unwrap();
    other.step(&shared, "accept", "2026-04-05").unwrap();
    settle(town.hub(), YILI, &[&other]).unwrap();
    assert_eq!(text(town.hub(), YILI, "M01", "2026-04"), (DAYS + 1).to_string());
    assert_eq!(cut.status().unwrap().unsent, unsent + 2);
    assert!(show(&cut, YILI, &shared).steps.len() == 1, "no word of the others came through");

    cut.set_online(true).unwrap();
    until("the hub has all of it", || Ok((cut.status()?.unsent == 0).then_some(()))).unwrap();
    settle(town.hub(), YILI, &[&cut, &other]).unwrap();

    let wanted: BTreeSet<&EntryId> = here.iter().chain(&there).chain([&shared]).collect();
    for machine in [&cut, &other, town.hub()] {
        let held = entries(machine, YILI, "issue");
        assert_eq!(held.iter().map(|entry| &entry.entry).collect::<BTreeSet<_>>(), wanted);
        assert_eq!(held.len(), wanted.len(), "nothing twice");
        for entry in &held {
            let (state, steps) =
                if entry.entry == shared { ("accepted", 2) } else { ("resolved", 3) };
            assert_eq!((entry.state.as_str(), entry.steps.len()), (state, steps), "{entry:?}");
        }
        assert_eq!(text(machine, YILI, "M01", "2026-04"), (2 * DAYS + 1).to_string());
        assert_eq!(text(machine, YILI, "M02", "2026-04-01..2026-04-05"), "10");
        assert_eq!(text(machine, YILI, "M03a", "2026-04"), "95.24%");
    }
    for desk in [&cut, &other] {
        let entry = show_because(desk, YILI, &shared, Some("核对"));
        let fields = ["place", "detail", "handler", "reporter"].map(|field| &entry.fields[field]);
        assert_eq!(fields, ["北门内", "钥匙在这边", "物业", "那边的人"]);
        for (entry, whose) in
            here.iter().map(|e| (e, "这边")).chain(there.iter().map(|e| (e, "那边")))
        {
            let entry = show_because(desk, YILI, entry, Some("核对"));
            assert_eq!(entry.fields["detail"], format!("{whose}办妥"));
        }
    }
    assert_all_is_well(town.hub(), YILI, &[&cut, &other]);
}

/// One issue of a day: taken down, mended, accepted, and handled on the spot.
fn work_a_day(desk: &Daemon, date: &str, day: u64, whose: &str) -> EntryId {
    let form = json!({
        "title": format!("{whose}第{day}日"), "category": "repair", "reporter": "居民",
        "phone": format!("1390000{day:04}"),
    });
    let issue = desk.add("issue", form).unwrap();
    desk.edit(&issue, json!({"place": "3号楼", "detail": format!("{whose}办妥")})).unwrap();
    desk.step(&issue, "report", date).unwrap();
    desk.step(&issue, "accept", date).unwrap();
    desk.step(&issue, "self_handle", date).unwrap();
    issue
}
