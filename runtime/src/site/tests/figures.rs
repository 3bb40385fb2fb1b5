//! Figures of one desk: what an entry was counted for is taken out once, also after a restart; and the
//! entries behind a figure are found wherever they stand.

use linli_domain::id::EntryId;

use super::*;
use crate::ask::{EntryView, FigureQuery, PAGE_MAX};

fn of(metric: &str, by_category: bool) -> FigureQuery {
    FigureQuery {
        metric: Some(metric.to_owned()),
        community: Some(community()),
        by_category,
        ..FigureQuery::default()
    }
}

/// Categories and how many issues were collected of each.
fn issues_by_category(site: &mut TestSite) -> Vec<(String, i64)> {
    let Answer::Figures { figures } = site.ask(Ask::Figures(of("M01", true))) else {
        panic!("figures")
    };
    let told = figures.iter().map(|figure| {
        let category = figure["category"].as_str().expect("a category");
        (category.to_owned(), figure["numerator"].as_i64().expect("a number"))
    });
    told.collect()
}

fn edit(site: &mut TestSite, entry: &EntryId, fields: serde_json::Value) {
    written(super::edit(site, entry, fields));
    site.end_turn().expect("commits");
}

fn assert_recounted(site: &mut TestSite) {
    let answer = site.ask(Ask::Recount {});
    let Answer::Recount { differences, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(differences, Vec::<String>::new());
}

fn behind(site: &mut TestSite, metric: &str, max: usize) -> Vec<EntryView> {
    match site.ask(Ask::Behind { figure: of(metric, false), after: None, max }) {
        Answer::Entries { entries, .. } => entries,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_an_entry_was_counted_for_is_taken_out_once_after_a_restart() {
    let (disk, views) = (MemoryDisk::default(), MemoryViews::default());
    let start = |seed| open_on((disk.clone(), views.clone()), "d/s/c/a", Some(ring()), seed, 0);
    let mut site = start(1);
    let fields = json!({"title": "路灯不亮", "category": "lighting", "phone": "13900000000"});
    let issue = written(add(&mut site, "issue", fields));
    written(step(&mut site, &issue, "self_handle"));
    site.end_turn().expect("commits");
    // A page of the ledger has the row written before the entry is measured.
    let page = Ask::List {
        community: None,
        kind: "issue".to_owned(),
        state: None,
        after: None,
        max: 9,
        whole: false,
    };
    assert!(matches!(site.ask(page), Answer::Entries { .. }));
    assert_eq!(issues_by_category(&mut site), [("lighting".to_owned(), 1)]);
    site.close().expect("closes");

    let mut site = start(2);
    assert_eq!(issues_by_category(&mut site), [("lighting".to_owned(), 1)]);
    edit(&mut site, &issue, json!({"category": "power"}));
    assert_eq!(issues_by_category(&mut site), [("power".to_owned(), 1)]);
    assert_recounted(&mut site);
    site.close().expect("closes");

    // And an entry that counts for nothing any more leaves nothing behind.
    let mut site = start(3);
    written(step(&mut site, &issue, "void_entry"));
    site.end_turn().expect("commits");
    assert!(issues_by_category(&mut site).is_empty());
    site.close().expect("closes");
    let mut site = start(4);
    assert!(issues_by_category(&mut site).is_empty());
    assert_recounted(&mut site);
}

#[test]
fn the_entries_behind_a_figure_are_found_over_pages_and_kinds() {
    let mut site = open("d/s/c/a", Some(ring()), 1);
    let mut wanted = Vec::new();
    let total = PAGE_MAX * 2 + 20;
    for number in 0..total {
        // The ends of pages, and one in the midst of each.
        let counts = [0, 250, PAGE_MAX - 1, PAGE_MAX, 700, total - 1].contains(&number);
        let level = if counts { "building" } else { "entrance" };
        let code = format!("{number:04}");
        let fields = json!({"code": code, "tree": "grid", "level": level, "name": "楼"});
        let grid = written(add(&mut site, "grid", fields));
        if number % 300 == 0 {
            // Open and sealed halves of other ledgers, and of the figure's other kind.
            let fields = json!({"title": "井盖", "phone": "13900000000"});
            written(add(&mut site, "issue", fields));
            let household = json!({"building": "3", "entrance": "1", "room": code});
            written(add(&mut site, "household", household));
            let head =
                json!({"building": grid.as_str(), "appointed_on": "2026-01-05", "name": "金丝雀"});
            wanted.push((written(add(&mut site, "building_head", head)), "M23c: 1/0"));
        }
        if counts {
            wanted.push((grid, "M23c: 0/1"));
        }
        if number % 100 == 0 {
            site.end_turn().expect("commits");
        }
    }
    site.end_turn().expect("commits");
    wanted.sort_unstable();
    assert_eq!(wanted.len(), 10);
    let found = behind(&mut site, "M23c", PAGE_MAX);
    let shares: Vec<_> = found
        .iter()
        .map(|entry| (entry.entry.clone(), entry.oddities.last().expect("a share").as_str()))
        .collect();
    assert_eq!(shares, wanted);
    let names = found.iter().filter(|entry| entry.entry.kind() == "building_head");
    assert!(names.clone().all(|entry| entry.fields["name"] == "•••"), "{found:?}");
    let few = behind(&mut site, "M23c", 7);
    assert!(few.iter().map(|entry| &entry.entry).eq(wanted[..7].iter().map(|(id, _)| id)));
    let Answer::Figures { figures } = site.ask(Ask::Figures(of("M23c", false))) else {
        panic!("figures")
    };
    assert_eq!((&figures[0]["numerator"], &figures[0]["denominator"]), (&json!(4), &json!(6)));
    assert_recounted(&mut site);
}
