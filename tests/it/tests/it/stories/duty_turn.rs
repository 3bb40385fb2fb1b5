//! Two desks open the same duty turn on the same day without a network (AC-03).
//!
//! It is one entry afterwards, with what both wrote, and a swap of turns shows in it.

use linli_demo::office::{Daemon, approve, settle};
use linli_domain::id::EntryId;
use linli_runtime::ask::{Answer, Ask, EntryView};
use serde_json::json;

use super::{Town, assert_all_is_well, entries, figure, show, show_because, text};

const YILI: &str = "yili";

#[test]
fn a_duty_turn_opened_at_two_desks_is_one_entry() {
    let town = Town::found("street");
    let (first, second) = (town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b"));
    approve(&first, &second).unwrap();
    first.add("mutual_group", json!({"number": 37, "formed_on": "2025-03-01"})).unwrap();
    let households: Vec<EntryId> = (1..=12).map(|slot| household(&first, slot)).collect();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();

    first.set_online(false).unwrap();
    second.set_online(false).unwrap();
    let opened = json!({
        "group": "mutual_group/37", "month": "2026-04", "turn": 4, "tasks": ["治安联防", "卫生联洁"],
        "handover_note": "钥匙在门卫",
    });
    let turn = first.add("duty_turn", opened).unwrap();
    let opened = json!({
        "group": "mutual_group/37", "month": "2026-04", "tasks": ["应急联动"],
        "household": households[3].as_str(), "household_name": "第4户",
    });
    assert_eq!(second.add("duty_turn", opened).unwrap(), turn, "the same turn");
    first.step(&turn, "begin", "2026-04-01").unwrap();
    first.set_online(true).unwrap();
    second.set_online(true).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();

    for machine in [&first, &second, town.hub()] {
        assert_eq!(entries(machine, YILI, "duty_turn").len(), 1);
        let entry = show(machine, YILI, &turn);
        assert_eq!((entry.state.as_str(), &entry.fields["turn"]), ("on_duty", &json!(4)));
        assert_eq!(entry.fields["tasks"], json!(["卫生联洁", "应急联动", "治安联防"]));
        assert!(conflicts(machine).is_empty(), "they wrote different fields");
    }
    for desk in [&first, &second] {
        let entry = show_because(desk, YILI, &turn, Some("排班"));
        assert_eq!(entry.fields["handover_note"], "钥匙在门卫");
        assert_eq!(entry.fields["household_name"], "第4户");
        assert_eq!(household_of_turn(desk, &entry), households[3], "the turn's number says who");
    }

    // The fourth cannot and the ninth stands in.
    let swap = json!({"substitute": "第9户", "household": households[8].as_str()});
    second.step_with(&turn, "swap", "2026-04-03", swap).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    first.step(&turn, "hand_over", "2026-04-30").unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    for machine in [&first, &second, town.hub()] {
        let entry = show(machine, YILI, &turn);
        let steps: Vec<(&str, &str)> =
            entry.steps.iter().map(|step| (step.action.as_str(), step.at.as_str())).collect();
        let wanted = [("begin", "2026-04-01"), ("swap", "2026-04-03"), ("hand_over", "2026-04-30")];
        assert_eq!(steps, wanted);
        assert_eq!(text(machine, YILI, "M22", "2026-04"), "100.00%");
        assert_eq!(figure(machine, YILI, "M22", "2026-04")["denominator"], 1);
    }
    for desk in [&first, &second] {
        let entry = show_because(desk, YILI, &turn, Some("核对换班"));
        assert_eq!(entry.fields["substitute"], "第9户");
        assert_eq!(entry.fields["household"], households[8].as_str());
        assert_eq!(entry.fields["turn"], 4, "the turn keeps its number");
    }
    assert_all_is_well(town.hub(), YILI, &[&first, &second]);
}

#[test]
fn what_two_desks_say_differently_is_kept_and_listed_until_it_is_settled() {
    let town = Town::found("street");
    let (first, second) = (town.desk(YILI, "desk-a"), town.desk(YILI, "desk-b"));
    approve(&first, &second).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    let mut turn = None;
    for (desk, number) in [(&first, 4), (&second, 5)] {
        desk.set_online(false).unwrap();
        let opened = json!({"group": "mutual_group/38", "month": "2026-04", "turn": number});
        let entry = desk.add("duty_turn", opened).unwrap();
        desk.step(&entry, "begin", "2026-04-01").unwrap();
        assert_eq!(turn.get_or_insert(entry.clone()), &entry);
    }
    let turn = turn.unwrap();
    first.set_online(true).unwrap();
    second.set_online(true).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();

    let listed = conflicts(&first);
    assert_eq!(listed, conflicts(&second));
    assert_eq!(listed, conflicts(town.hub()));
    assert_eq!(listed.len(), 2, "the number and one of two beginnings: {listed:?}");
    let (_, chosen, others) = listed.iter().find(|(field, ..)| field == "turn").unwrap();
    let mut numbers = [chosen.as_str(), others[0].1.as_str()];
    numbers.sort_unstable();
    assert_eq!(numbers, ["4", "5"]);
    assert_eq!(show(&first, YILI, &turn).state, "on_duty");
    assert_eq!(show(&first, YILI, &turn).steps.len(), 2, "both beginnings are kept");

    second.edit(&turn, json!({"turn": 4})).unwrap();
    settle(town.hub(), YILI, &[&first, &second]).unwrap();
    for machine in [&first, &second, town.hub()] {
        assert_eq!(show(machine, YILI, &turn).fields["turn"], 4);
        assert!(conflicts(machine).iter().all(|(field, ..)| field != "turn"));
    }
    assert_all_is_well(town.hub(), YILI, &[&first, &second]);
}

fn household(desk: &Daemon, slot: u32) -> EntryId {
    let form = json!({
        "building": "grid/b3", "entrance": "1", "room": format!("{slot}01"),
        "group": "mutual_group/37", "slot": slot, "name": format!("第{slot}户"),
    });
    desk.add("household", form).unwrap()
}

/// Who holds the slot that the turn's number names.
fn household_of_turn(desk: &Daemon, turn: &EntryView) -> EntryId {
    let holds = |entry: &EntryView| {
        entry.fields["group"] == turn.fields["group"] && entry.fields["slot"] == turn.fields["turn"]
    };
    let holding: Vec<EntryView> =
        entries(desk, YILI, "household").into_iter().filter(holds).collect();
    assert_eq!(holding.len(), 1, "one household in each slot");
    assert_eq!(turn.fields["household"], holding[0].entry.as_str());
    holding[0].entry.clone()
}

/// Field, chosen side, and the other sides with who wrote them.
type Disagreement = (String, String, Vec<(String, String)>);

fn conflicts(machine: &Daemon) -> Vec<Disagreement> {
    match machine.ask(&Ask::Conflicts { max: 20 }).unwrap() {
        Answer::Conflicts { conflicts, .. } => {
            conflicts.into_iter().map(|one| (one.field, one.chosen, one.others)).collect()
        }
        other => panic!("a list of conflicts, not {other:?}"),
    }
}
