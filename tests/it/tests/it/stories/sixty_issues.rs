//! Sixty issues collected and fifty-five resolved, and what merging duplicates makes of it (AC-05).
//!
//! Nobody edits a figure: desk and hub count what the entries say, before and after.

use linli_demo::office::{Daemon, settle};
use linli_domain::id::EntryId;
use linli_runtime::ask::{Answer, Ask, EntryView, FigureQuery};
use serde_json::{Value as Json, json};

use super::{Town, assert_all_is_well, entries, id, text};

const CATEGORIES: [&str; 4] = ["lighting", "sewer", "parking", "cleaning"];

#[test]
fn sixty_issues_and_a_merged_pair_count_alike_at_desk_and_hub() {
    let town = Town::found("street");
    let (yili, chunhui) = (town.desk("yili", "desk-a"), town.desk("chunhui", "desk-a"));
    for desk in [&yili, &chunhui] {
        assert_eq!(desk.import(&issues()).unwrap(), 60);
    }
    for (desk, community) in [(&yili, "yili"), (&chunhui, "chunhui")] {
        settle(town.hub(), community, &[desk]).unwrap();
        for machine in [desk, town.hub()] {
            assert_counts(machine, community, ["60", "55", "91.67%"]);
            assert_eq!(behind(machine, community, "M02").len(), 55);
            assert_eq!(behind(machine, community, "M01").len(), 60);
        }
    }

    // Both of the pair were solved: one fewer collected, one fewer solved.
    let (kept, double) = (nth(&yili, "yili", "resolved", 0), nth(&yili, "yili", "resolved", 1));
    merge(&yili, &double, &kept);
    settle(town.hub(), "yili", &[&yili]).unwrap();
    for machine in [&yili, town.hub()] {
        assert_counts(machine, "yili", ["59", "54", "91.53%"]);
        assert!(behind(machine, "yili", "M02").iter().all(|entry| entry.entry != double));
    }

    // Only one of the pair was solved, and it stays.
    let kept = nth(&chunhui, "chunhui", "resolved", 0);
    let double = nth(&chunhui, "chunhui", "accepted", 0);
    merge(&chunhui, &double, &kept);
    settle(town.hub(), "chunhui", &[&chunhui]).unwrap();
    for machine in [&chunhui, town.hub()] {
        assert_counts(machine, "chunhui", ["59", "55", "93.22%"]);
    }

    // The street's line over both communities adds them up.
    let asked = FigureQuery {
        metric: Some("M03a".to_owned()),
        period: Some("2026-03".to_owned()),
        total: true,
        ..FigureQuery::default()
    };
    let total = town.hub().figures(asked).unwrap().remove(0);
    assert_eq!((&total["numerator"], &total["denominator"]), (&json!(109), &json!(118)));
    assert_eq!(total["communities_included"], 2);

    assert_all_is_well(town.hub(), "yili", &[&yili]);
    assert_all_is_well(town.hub(), "chunhui", &[&chunhui]);
}

/// Sixty accepted in March, fifty-five of them resolved.
fn issues() -> Vec<Json> {
    let issue = |n: usize| {
        let day = |day: usize| format!("2026-03-{:02}", 1 + day % 31);
        let mut steps = vec![
            json!({"action": "report", "at": day(n / 4), "by": "李"}),
            json!({"action": "accept", "at": day(n / 4), "by": "李"}),
        ];
        if n < 55 {
            steps.push(json!({"action": "handle", "at": day(n / 4 + 1), "by": "王"}));
            steps.push(json!({"action": "resolve", "at": day(n / 4 + 2), "by": "李"}));
        }
        json!({
            "kind": "issue",
            "fields": {
                "title": format!("诉求 {n}"), "category": CATEGORIES[n % CATEGORIES.len()],
                "reporter": format!("居民 {n}"), "phone": format!("1380000{n:04}"),
            },
            "steps": steps,
        })
    };
    (0..60).map(issue).collect()
}

fn assert_counts(machine: &Daemon, community: &str, wanted: [&str; 3]) {
    for period in ["2026-03", "2026-Q1", "2026", "all"] {
        let found = ["M01", "M02", "M03a"].map(|metric| text(machine, community, metric, period));
        assert_eq!(found, wanted, "{community} in {period} at {}", machine.data().display());
    }
    let by_category = FigureQuery {
        metric: Some("M02".to_owned()),
        community: Some(id(community)),
        by_category: true,
        ..FigureQuery::default()
    };
    let lines = machine.figures(by_category).unwrap();
    let sum: i64 = lines.iter().map(|line| line["numerator"].as_i64().unwrap()).sum();
    assert_eq!((lines.len(), sum.to_string().as_str()), (CATEGORIES.len(), wanted[1]));
}

fn behind(machine: &Daemon, community: &str, metric: &str) -> Vec<EntryView> {
    let figure = FigureQuery {
        metric: Some(metric.to_owned()),
        community: Some(id(community)),
        period: Some("2026-03".to_owned()),
        ..FigureQuery::default()
    };
    match machine.ask(&Ask::Behind { figure, after: None, max: 500 }).unwrap() {
        Answer::Entries { entries, .. } => entries,
        other => panic!("the entries behind a figure, not {other:?}"),
    }
}

/// The nth issue of the ledger that is in a state.
fn nth(desk: &Daemon, community: &str, state: &str, nth: usize) -> EntryId {
    let all = entries(desk, community, "issue");
    all.into_iter().filter(|entry| entry.state == state).nth(nth).unwrap().entry
}

fn merge(desk: &Daemon, double: &EntryId, kept: &EntryId) {
    let fields = json!({"merged_into": kept.as_str()});
    desk.step_with(double, "merge", "2026-03-31", fields).unwrap();
}
