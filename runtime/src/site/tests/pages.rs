//! Pages of a ledger and of a search: read to their end they hold everything once, and each says
//! whether more follows.

use linli_domain::id::EntryId;

use super::*;
use crate::ask::FigureQuery;

/// Reads pages until none follows; gives the ids, and how many each page held.
fn walk(desk: &mut TestSite, ask: impl Fn(Option<EntryId>) -> Ask) -> (Vec<EntryId>, Vec<usize>) {
    let (mut ids, mut pages, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let Answer::Entries { entries, next, .. } = desk.ask(ask(after)) else { panic!("a page") };
        pages.push(entries.len());
        ids.extend(entries.into_iter().map(|entry| entry.entry));
        assert!(pages.len() < 20, "the pages come to an end");
        match next {
            Some(next) => after = Some(next),
            None => return (ids, pages),
        }
    }
}

#[test]
fn a_search_is_read_page_by_page_through_all_kinds() {
    let mut desk = open("d/s/c/a", Some(ring()), 1);
    let mut wanted = Vec::new();
    for n in 0..3 {
        wanted.push(written(add(&mut desk, "issue", json!({"title": format!("三单元漏水{n}")}))));
        written(add(&mut desk, "issue", json!({"title": format!("三单元停电{n}")})));
        let household =
            json!({"building": "b1", "entrance": "3", "room": n.to_string(), "address": "漏水"});
        wanted.push(written(add(&mut desk, "household", household)));
    }
    wanted.sort_unstable();
    for (max, pages) in [(1, vec![1; 6]), (2, vec![2, 2, 2]), (4, vec![4, 2]), (9, vec![6])] {
        let find = |after| Ask::Find { text: "漏水".to_owned(), after, max };
        let (mut ids, held) = walk(&mut desk, find);
        ids.sort_unstable();
        assert_eq!((ids, held), (wanted.clone(), pages), "{max} a page");
    }
    let after = Some(EntryId::parse("nothing/1").unwrap());
    let answer = desk.ask(Ask::Find { text: "漏水".to_owned(), after, max: 9 });
    assert!(matches!(&answer, Answer::Trouble(t) if t.code == "unknown-kind"), "{answer:?}");
}

#[test]
fn a_full_page_says_that_more_follows_only_where_it_does() {
    let mut desk = open("d/s/c/a", Some(ring()), 1);
    for n in 0..4 {
        let issue = written(add(&mut desk, "issue", json!({"title": format!("漏水{n}")})));
        if n % 2 == 0 {
            written(step(&mut desk, &issue, "report"));
        }
    }
    let list = |state: Option<&str>, max| {
        let state = state.map(str::to_owned);
        move |after| Ask::List {
            kind: "issue".to_owned(),
            state: state.clone(),
            community: None,
            after,
            max,
            whole: false,
        }
    };
    assert_eq!(walk(&mut desk, list(None, 4)).1, [4]);
    assert_eq!(walk(&mut desk, list(None, 3)).1, [3, 1]);
    let state = {
        let Answer::Entries { entries, .. } = desk.ask(list(None, 9)(None)) else { panic!() };
        let mut states: Vec<String> = entries.into_iter().map(|entry| entry.state).collect();
        states.sort_unstable();
        states.dedup();
        assert_eq!(states.len(), 2, "{states:?}");
        states.remove(0)
    };
    assert_eq!(walk(&mut desk, list(Some(&state), 2)).1, [2]);
    assert_eq!(walk(&mut desk, list(Some(&state), 1)).1, [1, 1]);
}

#[test]
fn what_is_behind_a_figure_is_read_page_by_page() {
    let mut desk = open("d/s/c/a", Some(ring()), 1);
    let mut wanted = Vec::new();
    for n in 0..5 {
        let issue = written(add(&mut desk, "issue", json!({"title": format!("漏水{n}")})));
        written(step(&mut desk, &issue, "self_handle"));
        wanted.push(issue);
    }
    desk.end_turn().expect("commits");
    wanted.sort_unstable();
    let figure = FigureQuery { metric: Some("M01".to_owned()), ..FigureQuery::default() };
    for (max, pages) in [(2, vec![2, 2, 1]), (5, vec![5])] {
        let behind = |after| Ask::Behind { figure: figure.clone(), after, max };
        assert_eq!(walk(&mut desk, behind), (wanted.clone(), pages));
    }
}

#[test]
fn a_hub_says_when_a_list_over_all_communities_was_cut() {
    let names = ["d/s/-/hub", "d/s/c/a", "d/s/e/a"];
    let rings = [None, Some(ring()), Some(ring())];
    let mut sites: Vec<TestSite> = names
        .into_iter()
        .zip(rings)
        .zip(1..)
        .map(|((name, ring), n)| open(name, ring, n))
        .collect();
    sites[0].enrolled(&[peer("d/s/c/a"), peer("d/s/e/a")]);
    for desk in &mut sites[1..] {
        for title in ["井盖松动", "路灯不亮"] {
            written(add(desk, "issue", json!({ "title": title })));
        }
    }
    settle(&mut sites, &[(0, 1), (0, 2)]);
    let mut hub = sites.swap_remove(0);
    let mut list = |community: Option<&str>, max| {
        let community = community.map(|name| CommunityId::parse(name).unwrap());
        let (kind, state, after) = ("issue".to_owned(), None, None);
        let answer = hub.ask(Ask::List { kind, state, community, after, max, whole: false });
        let Answer::Entries { entries, next, more } = answer else { panic!("{answer:?}") };
        (entries.len(), next.is_some(), more)
    };
    assert_eq!(list(None, 4), (4, false, false));
    assert_eq!(list(None, 3), (3, false, true), "cut within the second");
    assert_eq!(list(None, 2), (2, false, true), "cut between the two");
    assert_eq!(list(Some("c"), 1), (1, true, true), "and one can be gone on with");
}

#[test]
fn lists_without_pages_say_when_they_were_cut() {
    let mut sites = vec![
        open("d/s/-/hub", None, 1),
        open("d/s/c/a", Some(ring()), 2),
        open("d/s/c/b", Some(ring()), 3),
    ];
    sites[0].enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    let links = [(0, 1), (0, 2)];
    settle(&mut sites, &links);
    let issue = written(add(&mut sites[1], "issue", json!({"title": "灯", "handler": "甲"})));
    settle(&mut sites, &links);
    for (at, name) in [(1, "乙"), (2, "丙")] {
        written(edit(&mut sites[at], &issue, json!({"handler": name, "title": name})));
    }
    settle(&mut sites, &links);
    let mut conflicts = |max| match sites[1].ask(Ask::Conflicts { max }) {
        Answer::Conflicts { conflicts, more } => (conflicts.len(), more),
        other => panic!("{other:?}"),
    };
    assert_eq!(conflicts(1), (1, true));
    assert_eq!(conflicts(2), (2, false));
}
