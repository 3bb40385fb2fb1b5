//! A flat leaks and its owner is away (AC-01, in short).
//!
//! The desk finds the household without a network, the look-up goes on record, the case closes the
//! same day, and the hub sees one resolved emergency without knowing whose.

use linli_demo::office::settle;
use linli_runtime::ask::FigureQuery;
use serde_json::json;

use super::traces::traces;
use super::{Town, assert_all_is_well, entries, figure, find, id, show, show_because, text};

const YILI: &str = "yili";
const OWNER: &str = "上官流水";
const PHONE: &str = "13804507766";
const REASON: &str = "草西街楼上漏水要联系住户";

#[test]
fn a_leak_is_closed_the_same_day_and_the_hub_sees_one_emergency() {
    let town = Town::found("street");
    let desk = town.desk(YILI, "desk-a");
    for n in 1..=8 {
        let building = json!({
            "code": format!("b{n}"), "tree": "building", "level": "building",
            "name": format!("草西街{n}号楼"),
        });
        desk.add("grid", building).unwrap();
    }
    desk.add("mutual_group", json!({"number": 12, "formed_on": "2025-03-01"})).unwrap();
    let records: Vec<_> = (0..240).map(household).collect();
    assert_eq!(desk.import(&records).unwrap(), 240);
    let turn = json!({"group": "mutual_group/12", "month": "2026-04", "turn": 4});
    let turn = desk.add("duty_turn", turn).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();

    desk.set_online(false).unwrap();
    let found = find(&desk, "b5 2单元502");
    assert_eq!(found.len(), 1, "{found:?}");
    let household = found[0].entry.clone();
    assert_eq!(
        (&found[0].fields["name"], &found[0].fields["phone"]),
        (&json!("•••"), &json!("•••"))
    );
    assert_eq!(show(&desk, YILI, &household).fields["phone"], "•••");
    assert!(entries(&desk, YILI, "lookup").is_empty(), "what is masked is no look-up");

    let whole = show_because(&desk, YILI, &household, Some(REASON));
    assert_eq!((&whole.fields["name"], &whole.fields["phone"]), (&json!(OWNER), &json!(PHONE)));
    let log = entries(&desk, YILI, "lookup");
    assert_eq!(log.len(), 1);
    assert_eq!(
        (&log[0].fields["entry"], &log[0].fields["reason"]),
        (&json!(household.as_str()), &json!(REASON))
    );

    let issue = json!({
        "title": "楼上漏水", "source": "phone", "category": "emergency", "place": "草西街5号楼",
        "group": "mutual_group/12", "duty_turn": turn.as_str(), "household": household.as_str(),
        "reporter": "超市", "address": "2单元502",
    });
    let issue = desk.add("issue", issue).unwrap();
    for action in ["report", "accept", "contact", "handle", "resolve"] {
        desk.step(&issue, action, "2026-04-15").unwrap();
    }
    let closed = show_because(&desk, YILI, &issue, Some("归档"));
    assert_eq!(
        (closed.state.as_str(), &closed.fields["household"]),
        ("resolved", &json!(household.as_str()))
    );
    assert_eq!(text(&desk, YILI, "M11b", "2026-04-15"), "100.00%");

    desk.set_online(true).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let emergencies = FigureQuery {
        metric: Some("M02".to_owned()),
        community: Some(id(YILI)),
        by_category: true,
        ..FigureQuery::default()
    };
    let lines = town.hub().figures(emergencies).unwrap();
    let lines: Vec<_> = lines.iter().map(|line| (&line["category"], &line["numerator"])).collect();
    assert_eq!(lines, [(&json!("emergency"), &json!(1))]);
    assert_eq!(figure(town.hub(), YILI, "M11b", "2026-04-15")["numerator"], 1);
    let seen = show(town.hub(), YILI, &issue);
    assert_eq!(seen.fields["duty_turn"], turn.as_str(), "who was on duty is open by number");
    for hidden in ["household", "reporter", "address"] {
        assert!(!seen.fields.contains_key(hidden), "{hidden}");
    }
    assert_eq!(entries(town.hub(), YILI, "lookup").len(), 2, "the log is known to the hub");
    let personal = [OWNER, PHONE, REASON, "2单元502"];
    assert_eq!(traces(town.hub().data(), &personal), Vec::<String>::new());
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

/// Eight buildings of two entrances, five floors and three flats.
fn household(n: usize) -> serde_json::Value {
    let (building, entrance, floor, flat) = (n / 30 + 1, n / 15 % 2 + 1, n / 3 % 5 + 1, n % 3 + 1);
    let it = (building, entrance, floor, flat) == (5, 2, 5, 2);
    json!({
        "kind": "household",
        "fields": {
            "building": format!("grid/b{building}"), "entrance": entrance.to_string(),
            "room": format!("{entrance}单元{floor}0{flat}"), "group": "mutual_group/12",
            "name": if it { OWNER.to_owned() } else { format!("住户{n}") },
            "phone": if it { PHONE.to_owned() } else { format!("1390000{n:04}") },
        },
        "steps": [{"action": "collect", "at": "2026-03-02", "by": "李"}],
    })
}
