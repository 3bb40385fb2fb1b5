//! Closing periods: what is closed, who may, and what is marked afterwards.

use linli_domain::id::EntryId;
use linli_domain::value::Value;
use serde_json::Value as Json;

use super::*;
use crate::ask::{ClosingOutcome, ClosingView, EntryView, RecordForm};

const JANUARY: &str = "2026-01";
/// 2026-02-01T00:00 where the machines stand.
const FEBRUARY_MILLIS: u64 = 1_769_875_200_000;

fn close(site: &mut TestSite, period: &str, note: Option<&str>) -> Answer {
    let note = note.map(str::to_owned);
    site.ask(Ask::Close { period: period.to_owned(), community: None, note })
}

fn closed(site: &mut TestSite, period: &str, note: Option<&str>) -> Vec<ClosingView> {
    let answer = close(site, period, note);
    let Answer::Closed { closings, .. } = answer else { panic!("{answer:?}") };
    closings
}

fn refused(answer: &Answer) -> &str {
    let Answer::Trouble(trouble) = answer else { panic!("{answer:?}") };
    assert!(!trouble.zh.is_empty() && !trouble.en.is_empty());
    &trouble.code
}

/// The one line of M01 that a query gives.
fn collected(site: &mut TestSite, query: Json) -> Json {
    let mut query = query;
    query["metric"] = "M01".into();
    let query = serde_json::from_value(query).expect("a query");
    let Answer::Figures { mut figures } = site.ask(Ask::Figures(query)) else { panic!("figures") };
    assert_eq!(figures.len(), 1, "{figures:?}");
    figures.remove(0)
}

fn january(site: &mut TestSite) -> Json {
    collected(site, json!({"community": "c", "period": JANUARY}))
}

/// An issue that was accepted on a day.
fn accepted(site: &mut TestSite, title: &str, day: &str) {
    let issue = written(add(site, "issue", json!({"title": title, "category": "other"})));
    for action in ["report", "accept"] {
        let (action, at) = (action.to_owned(), Some(day.to_owned()));
        let step = StepForm { action, at, by: None, note: None };
        let fields = [].into();
        written(site.ask(Ask::Step { community: None, entry: issue.clone(), step, fields }));
    }
}

fn entry(site: &mut TestSite, community: &str) -> EntryView {
    let community = CommunityId::parse(community).ok();
    let entry = EntryId::new("closing", JANUARY).expect("an id");
    let answer = site.ask(Ask::Show { community, entry, reason: None });
    let Answer::Entry(view) = answer else { panic!("{answer:?}") };
    *view
}

/// A hub and two desks of one community, with one issue in January that all know.
fn street() -> Vec<TestSite> {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)];
    accepted(&mut sites[1], "路灯不亮", "2026-01-10");
    settle(&mut sites, &[(0, 1), (0, 2)]);
    sites
}

#[test]
fn what_comes_late_is_marked_until_it_is_accepted() {
    let mut sites = street();
    let told = closed(&mut sites[0], JANUARY, Some("一月上报"));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].outcome, told[0].behind), (ClosingOutcome::Closed, false));
    assert!(told[0].metrics > 20, "{told:?}");
    accepted(&mut sites[2], "断网时记下的", "2026-01-20");
    accepted(&mut sites[2], "二月的", "2026-02-01");
    settle(&mut sites, &[(0, 1)]);
    for site in &mut sites[..2] {
        let line = january(site);
        assert_eq!((&line["numerator"], &line["closed"]["numerator"]), (&json!(1), &json!(1)));
        assert_eq!(line["closed"]["day"], "2026-02-02");
        assert_eq!(line["late"], Json::Null, "nothing late came to {}", site.me());
    }
    settle(&mut sites, &[(0, 1), (0, 2)]);
    for site in &mut sites {
        let line = january(site);
        assert_eq!((&line["numerator"], &line["late"]), (&json!(2), &json!(true)), "{}", site.me());
        assert_eq!(
            (&line["closed"]["numerator"], &line["closed"]["text"]),
            (&json!(1), &json!("1"))
        );
        let total = collected(site, json!({"total": true, "period": JANUARY}));
        assert_eq!((&total["closed"]["numerator"], &total["late"]), (&json!(1), &json!(true)));
        for other in [
            json!({"community": "c", "period": JANUARY, "by_category": true}),
            json!({"community": "c", "period": JANUARY, "grid": "g"}),
            json!({"community": "c", "period": "2026-01-01..2026-01-30"}),
            json!({"community": "c", "period": "2026"}),
            json!({"community": "c"}),
        ] {
            let line = collected(site, other.clone());
            assert_eq!(line["closed"], Json::Null, "{other} is no closed period");
        }
    }

    let told = closed(&mut sites[0], JANUARY, Some("断网补传"));
    assert_eq!(told[0].outcome, ClosingOutcome::Corrected);
    let issues = told[0].corrections.iter().find(|one| one.metric == "M01").expect("M01 differs");
    assert_eq!((&*issues.old, &*issues.new, &*issues.unit), ("1", "2", "件"));
    let solved = told[0].corrections.iter().find(|one| one.metric == "M03a").expect("M03a differs");
    assert_eq!((&*solved.old, &*solved.new), ("0/1", "0/2"));
    settle(&mut sites, &[(0, 1), (0, 2)]);
    for site in &mut sites {
        let line = january(site);
        assert_eq!((&line["closed"]["numerator"], &line["late"]), (&json!(2), &Json::Null));
        let view = entry(site, "c");
        let steps: Vec<&str> = view.steps.iter().map(|step| step.action.as_str()).collect();
        assert_eq!((steps, &*view.state), (vec!["close", "correct"], "corrected"));
        assert_eq!(view.steps[0].note.as_deref(), Some("一月上报"));
        let note = view.steps[1].note.as_deref().expect("a reason");
        assert!(note.starts_with("断网补传; ") && note.contains("M01 1→2件"), "{note}");
    }
}

#[test]
fn closing_again_writes_nothing_unless_something_differs() {
    let mut sites = street();
    closed(&mut sites[0], JANUARY, None);
    let space = Space::Open(community());
    let held = sites[0].held(&space).digest;
    for _ in 0..2 {
        let told = closed(&mut sites[0], JANUARY, Some("再关一次"));
        assert_eq!(told[0].outcome, ClosingOutcome::Unchanged);
        assert!(told[0].corrections.is_empty());
    }
    assert_eq!(sites[0].held(&space).digest, held, "nothing was written");
    // Three corrections within one second are three steps.
    for nth in 1..=3 {
        accepted(&mut sites[1], &format!("第{nth}件"), "2026-01-12");
        settle(&mut sites, &[(0, 1), (0, 2)]);
        let told = closed(&mut sites[0], JANUARY, None);
        assert_eq!(told[0].outcome, ClosingOutcome::Corrected);
    }
    assert_eq!(entry(&mut sites[0], "c").steps.len(), 4);
    assert_eq!(january(&mut sites[0])["late"], Json::Null);
}

#[test]
fn only_a_period_that_has_ended_where_the_hub_stands_is_closed() {
    let mut sites = street();
    for (period, code) in [
        ("2026-02", "not-ended"),
        ("2026-02-02", "not-ended"),
        ("2026", "not-ended"),
        ("all", "not-ended"),
        ("2026-13", "figure"),
    ] {
        assert_eq!(refused(&close(&mut sites[0], period, None)), code, "{period}");
    }
    sites[0].set_now(FEBRUARY_MILLIS - 1_000);
    assert_eq!(refused(&close(&mut sites[0], JANUARY, None)), "not-ended");
    settle(&mut sites, &[(0, 1), (0, 2)]);
    sites[0].set_now(FEBRUARY_MILLIS);
    let told = closed(&mut sites[0], JANUARY, None);
    assert_eq!(told[0].as_of, "2026-01-31T23:59");
    assert!(told[0].behind, "the last evening may still bring something");
    let elsewhere = CommunityId::parse("elsewhere").ok();
    let ask = Ask::Close { period: JANUARY.to_owned(), community: elsewhere, note: None };
    assert_eq!(refused(&sites[0].ask(ask)), "wrong-community");
    assert_eq!(refused(&close(&mut sites[1], JANUARY, None)), "not-here");
    let long = "长".repeat(2_000);
    assert_eq!(refused(&close(&mut sites[0], JANUARY, Some(&long))), "too-large");
}

#[test]
fn a_total_is_closed_when_every_community_with_data_is() {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/e/a")]);
    hub.host(&[CommunityId::parse("empty").expect("slug")]);
    let mut sites = vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/e/a", Some(ring()), 3)];
    accepted(&mut sites[1], "路灯不亮", "2026-01-10");
    accepted(&mut sites[2], "井盖松动", "2026-01-11");
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let one = Ask::Close { period: JANUARY.to_owned(), community: Some(community()), note: None };
    assert!(matches!(sites[0].ask(one), Answer::Closed { closings, .. } if closings.len() == 1));
    let total = json!({"total": true, "period": JANUARY});
    assert_eq!(collected(&mut sites[0], total.clone())["closed"], Json::Null);
    let outcomes: Vec<ClosingOutcome> =
        closed(&mut sites[0], JANUARY, None).iter().map(|told| told.outcome).collect();
    assert_eq!(outcomes, [ClosingOutcome::Unchanged, ClosingOutcome::Closed], "none for `empty`");
    let line = collected(&mut sites[0], total);
    assert_eq!((&line["closed"]["numerator"], &line["late"]), (&json!(2), &Json::Null));
}

#[test]
fn a_desk_neither_writes_a_closing_nor_is_believed() {
    let mut sites = street();
    let fields = json!({"period": JANUARY, "day": "2026-02-01", "figures": "M01 9 - ="});
    let code = "by-closing-only";
    assert_eq!(refused(&add(&mut sites[1], "closing", fields)), code);
    closed(&mut sites[0], JANUARY, None);
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let id = entry(&mut sites[1], "c").entry;
    assert_eq!(refused(&step(&mut sites[1], &id, "correct")), code);
    let ask = Ask::Edit {
        community: None,
        entry: id.clone(),
        fields: [("day".to_owned(), Json::Null)].into(),
    };
    assert_eq!(refused(&sites[1].ask(ask)), code);

    // An export goes back in where it came from.
    let view = entry(&mut sites[1], "c");
    let form = |step: &crate::ask::StepView| StepForm {
        action: step.action.clone(),
        at: Some(step.at.clone()),
        by: Some(step.by.clone()),
        note: step.note.clone(),
    };
    let record = RecordForm {
        kind: "closing".to_owned(),
        id: Some(id.id().to_owned()),
        fields: view.fields.clone(),
        steps: view.steps.iter().map(form).collect(),
    };
    let told = sites[1].ask(Ask::Import { records: vec![record], dry_run: false });
    assert!(matches!(told, Answer::Imported { unchanged: 1, .. }), "{told:?}");

    // A desk whose program was tampered with.
    let puts = vec![("figures".to_owned(), Some(Value::from("M01 9 - =\n")))];
    let changes = sites[1].write_in(&Space::Open(community()), &id, puts, false).expect("written");
    assert_eq!(changes, 1);
    settle(&mut sites, &[(0, 1), (0, 2)]);
    for site in &mut sites {
        assert_eq!(january(site)["closed"], Json::Null, "{}", site.me());
    }
    assert_eq!(closed(&mut sites[0], JANUARY, None)[0].outcome, ClosingOutcome::Closed);
    assert_eq!(january(&mut sites[0])["closed"]["numerator"], 1);
}

#[test]
fn lines_that_cannot_be_read_close_nothing_and_hold_nothing_up() {
    let mut sites = street();
    closed(&mut sites[0], JANUARY, None);
    let id = entry(&mut sites[0], "c").entry;
    let space = Space::Open(community());
    for (text, wanted) in [("M01 1 -\n\nM02", Json::Null), ("junk\nM01 7 - =", json!(7))] {
        let puts = vec![("figures".to_owned(), Some(Value::from(text)))];
        sites[0].write_in(&space, &id, puts, false).expect("written");
        let line = january(&mut sites[0]);
        assert_eq!((&line["numerator"], &line["closed"]["numerator"]), (&json!(1), &wanted));
    }
}
