//! A household declines to give its data, and consents later (AC-02).
//!
//! The refusal is a legal state of the one entry, counts in the base at desk and hub alike, and
//! nothing personal of any household comes to lie at the hub.

use linli_demo::office::settle;
use linli_runtime::ask::{Ask, FigureQuery};
use serde_json::json;

use super::traces::{traces, traces_in};
use super::{Town, assert_all_is_well, entries, figure, id, show, show_because, text};

const YILI: &str = "yili";
/// Personal texts: a name, a telephone, a room, and remarks.
const PERSONAL: [&str; 6] = [
    "段干星野",
    "13912340077",
    "九零二室之三",
    "家住对门已外出",
    "110101199003077758",
    "电话中说愿意登记",
];
/// An open text, to show that the search through the hub's disk would find one.
const OPEN: &str = "三号楼东侧公示栏";

#[test]
fn a_refusal_is_counted_and_a_later_consent_continues_the_same_entry() {
    let town = Town::found("邻里 办公室 壹");
    let desk = town.desk(YILI, "desk-a");
    let building = json!({"code": "b3", "tree": "building", "level": "building", "name": "3号楼"});
    desk.add("grid", building).unwrap();
    let group = json!({"number": 37, "formed_on": "2025-03-01", "board_place": OPEN});
    let group = desk.add("mutual_group", group).unwrap();
    for slot in 1..=9 {
        let household = desk.add("household", dwelling(&slot.to_string(), slot)).unwrap();
        desk.step(&household, "collect", "2026-03-20").unwrap();
    }

    let [name, phone, room, remark, id_number, note] = PERSONAL;
    let mut form = dwelling(room, 10);
    form["remark"] = remark.into();
    let household = desk.add("household", form).unwrap();
    desk.step(&household, "decline", "2026-04-02").unwrap();

    settle(town.hub(), YILI, &[&desk]).unwrap();
    for machine in [&desk, town.hub()] {
        let entry = show(machine, YILI, &household);
        assert_eq!(entry.state, "declined");
        let step = entry.steps.last().unwrap();
        assert_eq!((step.action.as_str(), step.at.as_str()), ("decline", "2026-04-02"));
        let coverage = figure(machine, YILI, "M21", "all");
        assert_eq!((&coverage["numerator"], &coverage["denominator"]), (&json!(9), &json!(10)));
        assert_eq!(coverage["text"], "90.00%");
        // Ten of twelve slots are held and one of them declined: the group is what it was.
        assert_eq!(show(machine, YILI, &group).state, "active");
        assert_eq!(text(machine, YILI, "M20", "2026-04"), "1");
    }

    let mut consent = dwelling(room, 10);
    consent["name"] = name.into();
    consent["phone"] = phone.into();
    consent["id_number"] = id_number.into();
    consent["consent_on"] = "2026-04-20".into();
    assert_eq!(desk.add("household", consent).unwrap(), household, "the same dwelling");
    let step = serde_json::from_value(json!({
        "action": "collect", "at": "2026-04-20", "note": note,
    }));
    let (entry, step) = (household.clone(), step.unwrap());
    desk.ask(&Ask::Step { community: None, entry, step, fields: [].into() }).unwrap();

    settle(town.hub(), YILI, &[&desk]).unwrap();
    for machine in [&desk, town.hub()] {
        assert_eq!(entries(machine, YILI, "household").len(), 10);
        let entry = show(machine, YILI, &household);
        assert_eq!(entry.state, "collected");
        let actions: Vec<&str> = entry.steps.iter().map(|step| step.action.as_str()).collect();
        assert_eq!(actions, ["decline", "collect"]);
        assert_eq!(text(machine, YILI, "M21", "all"), "100.00%");
    }
    let whole = show_because(&desk, YILI, &household, Some("核对登记"));
    assert_eq!((&whole.fields["name"], &whole.fields["phone"]), (&json!(name), &json!(phone)));
    assert_eq!(whole.fields["remark"], remark, "what was known before is still there");

    assert_all_is_well(town.hub(), YILI, &[&desk]);
    assert_hub_knows_nobody(&town, &household);
}

fn dwelling(room: &str, slot: u32) -> serde_json::Value {
    json!({
        "building": "grid/b3", "entrance": "2", "room": room, "group": "mutual_group/37",
        "slot": slot, "tenure": "owned",
    })
}

/// Neither the hub's answers nor its files and logs hold a personal text, while it runs and after.
fn assert_hub_knows_nobody(town: &Town, household: &linli_domain::id::EntryId) {
    let hub = town.hub();
    let list = |kind: &str| Ask::List {
        kind: kind.to_owned(),
        state: None,
        community: Some(id(YILI)),
        after: None,
        max: 500,
        whole: true,
    };
    let figures = FigureQuery { metric: Some("M21".to_owned()), ..FigureQuery::default() };
    let entry = household.clone();
    let asks = [
        list("household"),
        list("mutual_group"),
        list("lookup"),
        list("device"),
        Ask::Show { community: Some(id(YILI)), entry, reason: Some("看一眼".to_owned()) },
        Ask::Figures(FigureQuery::default()),
        Ask::Behind { figure: figures, after: None, max: 500 },
        Ask::Conflicts { max: 500 },
        Ask::Refused { max: 500 },
        Ask::Nodes {},
        Ask::Status {},
    ];
    let mut answers = String::new();
    for ask in asks {
        answers += &serde_json::to_string(&hub.try_ask(&ask).unwrap()).unwrap();
    }
    assert_eq!(traces_in(&answers, &PERSONAL), Vec::<String>::new());
    assert!(answers.contains(OPEN), "the answers show what is open");

    assert_eq!(traces(hub.data(), &PERSONAL), Vec::<String>::new());
    let open = traces(hub.data(), &[OPEN]);
    assert!(open.iter().any(|trace| trace.contains("journal")), "{open:?}");
}
