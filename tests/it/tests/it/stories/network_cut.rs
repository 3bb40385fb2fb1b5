//! An office without a network for ten days (AC-17).
//!
//! Everything works meanwhile, here and elsewhere; afterwards nothing is lost and nothing doubled,
//! and what the street had reported meanwhile is marked where it is another number now.

use std::collections::BTreeSet;

use linli_demo::office::{Daemon, approve, run, settle, until};
use linli_domain::id::EntryId;
use linli_runtime::ask::{Answer, Ask, ClosingOutcome, FigureQuery};
use serde_json::{Value as Json, json};

use super::{
    Town, assert_all_is_well, entries, figure, find, programs, show, show_because, text, trouble,
};

const YILI: &str = "yili";
const DAYS: u64 = 10;
const MARCH: &str = "2026-03";
const APRIL: &str = "2026-04";

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
    report_to_the_street(&town);
    settle(town.hub(), YILI, &[&other]).unwrap();
    assert_closed(&other, "M01", &[DAYS + 1]);

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
    let machines = [town.hub(), &cut, &other];
    for machine in machines {
        assert_late(machine);
    }
    accept_corrections(&town);
    settle(town.hub(), YILI, &[&cut, &other]).unwrap();
    for machine in machines {
        assert_closed(machine, "M01", &[2 * DAYS + 1]);
        assert_closed(machine, "M03a", &[2 * DAYS, 2 * DAYS + 1]);
        assert_history(machine);
    }
    assert_all_is_well(town.hub(), YILI, &[&cut, &other]);
}

/// The hub closes March and April while one desk is cut off.
fn report_to_the_street(town: &Town) {
    for period in [MARCH, APRIL] {
        let ask = Ask::Close { period: period.to_owned(), community: None, note: None };
        let Answer::Closed { closings, .. } = town.hub().ask(&ask).unwrap() else {
            panic!("a close is answered with closings")
        };
        let [closing] = closings.as_slice() else { panic!("{closings:?}") };
        assert_eq!(closing.outcome, ClosingOutcome::Closed);
        assert!(closing.metrics > 0 && !closing.behind, "{closing:?}");
    }
    assert_closed(town.hub(), "M01", &[DAYS + 1]);
    assert_closed(town.hub(), "M03a", &[DAYS, DAYS + 1]);
    let ask = Ask::Close { period: "9998".to_owned(), community: None, note: None };
    assert_eq!(trouble(town.hub(), &ask).code, "not-ended");
}

/// April is closed with these parts, and they are what is counted.
fn assert_closed(machine: &Daemon, metric: &str, parts: &[u64]) {
    let line = figure(machine, YILI, metric, APRIL);
    assert_eq!(numbers(&line), numbers(&line["closed"]), "{line}");
    assert_eq!(numbers(&line), (parts[0].into(), parts.get(1).copied().into()), "{line}");
    assert_eq!(line["late"], Json::Null, "{line}");
}

/// April shows the old number beside the new one; March, to which nothing came, is as it was.
fn assert_late(machine: &Daemon) {
    let total = FigureQuery {
        metric: Some("M01".to_owned()),
        period: Some(APRIL.to_owned()),
        total: true,
        ..FigureQuery::default()
    };
    let total = machine.figures(total).unwrap().remove(0);
    for line in [figure(machine, YILI, "M01", APRIL), total] {
        assert_eq!(numbers(&line["closed"]), ((DAYS + 1).into(), Json::Null), "{line}");
        let counted = entries(machine, YILI, "issue").len();
        assert_eq!(numbers(&line), (counted.into(), Json::Null), "{line}");
        assert_eq!(line["late"], true, "{line}");
    }
    let line = figure(machine, YILI, "M03a", APRIL);
    assert_eq!(numbers(&line["closed"]), (DAYS.into(), (DAYS + 1).into()), "{line}");
    assert_eq!(numbers(&line), ((2 * DAYS).into(), (2 * DAYS + 1).into()), "{line}");
    assert_eq!(line["late"], true, "{line}");
    for metric in ["M01", "M03a"] {
        let line = figure(machine, YILI, metric, MARCH);
        assert_eq!(numbers(&line), numbers(&line["closed"]), "{line}");
        assert_eq!((&line["numerator"], &line["late"]), (&json!(0), &Json::Null), "{line}");
    }
}

/// The street accepts what came late, at its command line.
fn accept_corrections(town: &Town) {
    let (program, data) = (&programs().hub, town.hub().data());
    let board = run(program, data, &["figures", "--period", APRIL, "--lang", "zh"]).unwrap();
    assert!(board.contains("← 11 迟到更正（"), "{board}");
    assert!(board.contains("← 10/11 迟到更正（"), "{board}");
    let close = ["close", APRIL, "--note", "断网补传", "--lang", "en"];
    let told = run(program, data, &close).unwrap();
    for part in ["M01", "11 → 21 件", "10/11 → 20/21"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let told = run(program, data, &close).unwrap();
    assert!(told.contains("nothing differs"), "{told}");
    let board = run(program, data, &["figures", "--period", APRIL, "--lang", "zh"]).unwrap();
    assert!(board.contains("已关账") && !board.contains("迟到"), "{board}");
}

/// The closing tells what was reported first, what then, and why.
fn assert_history(machine: &Daemon) {
    let closing = show(machine, YILI, &EntryId::parse("closing/2026-04").unwrap());
    let steps: Vec<&str> = closing.steps.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(steps, ["close", "correct"]);
    let note = closing.steps[1].note.as_deref().unwrap();
    for part in ["断网补传", "M01 11→21件", "M03a 10/11→20/21"] {
        assert!(note.contains(part), "{part} is not in {note}");
    }
}

fn numbers(of: &Json) -> (Json, Json) {
    (of["numerator"].clone(), of["denominator"].clone())
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
