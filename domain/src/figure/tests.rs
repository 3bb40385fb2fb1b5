//! Figures from the built-in packs, and the invariant that the cells equal a recount.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::entry::{Step, StepId};
use crate::grid::Trees;
use crate::hlc::Hlc;
use crate::id::EntryId;
use crate::value::Value;

fn packs() -> &'static Registry {
    static PACKS: OnceLock<Registry> = OnceLock::new();
    PACKS.get_or_init(Registry::builtin)
}

fn community(name: &str) -> CommunityId {
    CommunityId::parse(name).unwrap()
}

fn entry(id: &str, fields: &[(&str, Value)]) -> Entry {
    Entry {
        id: Some(EntryId::parse(id).unwrap()),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Entry::default()
    }
}

/// Appends a step; returns the document key it would have.
fn act(entry: &mut Entry, action: &str, at: &str) -> String {
    let id = StepId::new(Hlc::at_millis(1_000 + entry.steps.len() as u64), [0, 0, 0, 7]);
    let key = format!("#{}", id.0);
    entry.steps.push(Step {
        id,
        action: action.to_owned(),
        at: at.to_owned(),
        by: "desk-1".to_owned(),
        note: None,
    });
    key
}

fn count(entry: &Entry) -> Contributions {
    contributions(packs(), &community("jinshan"), entry, &packs().progress(entry))
}

fn recount<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Tally {
    let mut tally = Tally::default();
    for entry in entries {
        tally.replace(&Contributions::default(), &count(entry));
    }
    tally
}

fn ask(period: &str) -> Query {
    let coverage = Coverage {
        communities_included: 1,
        communities_expected: 1,
        as_of: "2026-11-22T10:00".to_owned(),
        digests: BTreeMap::new(),
    };
    Query::new(Period::parse(period).unwrap(), coverage)
}

/// The one figure of a metric, as text.
fn text_of(tally: &Tally, metric: &str, period: &str) -> String {
    let figures = measure(packs(), tally, &ask(period).metric(metric)).unwrap();
    let [figure] = figures.as_slice() else { panic!("{} figures", figures.len()) };
    figure.text()
}

/// An accepted issue, solved or not.
fn issue(number: usize, solved: bool) -> Entry {
    let mut entry = entry(&format!("issue/i{number:02}"), &[("category", "lighting".into())]);
    act(&mut entry, "report", "2026-03-01");
    act(&mut entry, "accept", "2026-03-02T09:30");
    if solved {
        act(&mut entry, "handle", "2026-03-05");
        act(&mut entry, "resolve", "2026-03-06");
    }
    entry
}

/// Sixty accepted issues, fifty-five of them solved.
fn sixty() -> Vec<Entry> {
    (0..60).map(|number| issue(number, number < 55)).collect()
}

fn merge(entries: &mut [Entry], duplicate: usize, into: usize) {
    let into = entries[into].id.clone().unwrap().to_string();
    entries[duplicate].fields.insert("merged_into".to_owned(), into.into());
    act(&mut entries[duplicate], "merge", "2026-03-20");
}

#[test]
fn sixty_collected_and_fifty_five_solved_are_91_67_percent() {
    let tally = recount(&sixty());
    assert_eq!(text_of(&tally, "M01", "2026-03"), "60");
    assert_eq!(text_of(&tally, "M02", "2026-Q1"), "55");
    assert_eq!(text_of(&tally, "M03a", "2026"), "91.67%");
    assert_eq!(text_of(&tally, "M01", "2026-04"), "0");
}

#[test]
fn merging_two_solved_issues_leaves_59_and_54() {
    let mut entries = sixty();
    merge(&mut entries, 0, 1);
    let tally = recount(&entries);
    assert_eq!(text_of(&tally, "M01", "all"), "59");
    assert_eq!(text_of(&tally, "M02", "all"), "54");
}

#[test]
fn merging_an_unsolved_issue_into_a_solved_one_leaves_59_and_55() {
    let mut entries = sixty();
    merge(&mut entries, 59, 1);
    let tally = recount(&entries);
    assert_eq!(text_of(&tally, "M01", "all"), "59");
    assert_eq!(text_of(&tally, "M02", "all"), "55");
}

#[test]
fn a_void_issue_counts_nowhere_and_a_reopened_one_is_not_solved() {
    let mut entries = sixty();
    act(&mut entries[0], "void_entry", "2026-03-21");
    let tally = recount(&entries);
    assert_eq!(text_of(&tally, "M01", "all"), "59");
    assert_eq!(text_of(&tally, "M02", "all"), "54");
    act(&mut entries[1], "reopen", "2026-03-22");
    let tally = recount(&entries);
    assert_eq!(text_of(&tally, "M01", "all"), "59");
    assert_eq!(text_of(&tally, "M02", "all"), "53");
}

#[test]
fn a_draft_counts_nowhere() {
    assert_eq!(count(&entry("issue/i1", &[])), Contributions::default());
}

#[test]
fn a_ratio_over_nothing_is_a_dash() {
    assert_eq!(text_of(&Tally::default(), "M03a", "2026-03"), "—");
}

#[test]
fn a_stock_sums_all_before_the_end_of_the_period() {
    let mut entries = vec![issue(0, true), issue(1, false), issue(2, true)];
    let tally = recount(&entries);
    assert_eq!(text_of(&tally, "M09", "2026-03-04"), "3");
    assert_eq!(text_of(&tally, "M09", "2026-03-06"), "1");
    assert_eq!(text_of(&tally, "M09", "2027"), "1", "carried over into later years");
    assert_eq!(text_of(&tally, "M09", "2026-02"), "0");
    act(&mut entries[0], "reopen", "2026-03-10");
    assert_eq!(text_of(&recount(&entries), "M09", "2026"), "2");
}

#[test]
fn a_stock_broken_down_by_month_shows_the_level_at_each_end() {
    let mut second = entry("mutual_group/g2", &[("formed_on", "2026-02-10".into())]);
    let first = entry("mutual_group/g1", &[("formed_on", "2025-12-01".into())]);
    for step in packs().kind("mutual_group").unwrap().workflow.as_ref().unwrap().allowed("active") {
        if step.to.as_deref() == Some("dissolved") {
            act(&mut second, &step.name, "2026-05-03");
        }
    }
    let tally = recount([&first, &second]);
    let mut query = ask("2026-02..2026-06").metric("M20");
    query.by = Some(By::Period(Unit::Month));
    let levels: Vec<(String, i64)> = measure(packs(), &tally, &query)
        .unwrap()
        .into_iter()
        .map(|figure| (figure.period, figure.numerator))
        .collect();
    let expected = [("2026-02", 2), ("2026-03", 2), ("2026-04", 2), ("2026-05", 1), ("2026-06", 1)];
    assert_eq!(levels, expected.map(|(month, level)| (month.to_owned(), level)));
}

#[test]
fn months_met_counts_the_months_that_have_begun() {
    let held = |id: &str, at: &str| {
        let mut entry = entry(&format!("assembly/{id}"), &[]);
        for action in ["set_topic", "notify", "hold"] {
            act(&mut entry, action, at);
        }
        entry
    };
    let entries = [held("a", "2026-09-06"), held("b", "2026-09-20"), held("c", "2026-11-06")];
    let tally = recount(&entries);
    assert_eq!(text_of(&tally, "M40", "2026"), "3");
    let query = ask("2026-Q4").metric("M40b");
    let figures = measure(packs(), &tally, &query).unwrap();
    assert_eq!((figures[0].numerator, figures[0].denominator), (1, Some(2)), "December is to come");
    assert_eq!(figures[0].percent.as_deref(), Some("50.00%"));
    let all = measure(packs(), &tally, &ask("all").metric("M40b")).unwrap();
    assert_eq!((all[0].numerator, all[0].denominator), (2, Some(3)), "September to November");
}

#[test]
fn an_estimate_keeps_its_sign() {
    let mut fact = entry(
        "profile/households",
        &[("item", "households".into()), ("amount", Value::Int(520)), ("qualifier", ">=".into())],
    );
    let tally = recount([&fact]);
    assert_eq!(text_of(&tally, "M70", "2026"), "≥520", "a fact without date holds in any period");
    fact.fields.remove("qualifier");
    assert_eq!(text_of(&recount([&fact]), "M70", "2026"), "520");
}

#[test]
fn a_grid_sums_everything_below_it() {
    let node = |id: &str, parent: &str| {
        entry(&format!("grid/{id}"), &[("tree", "grid".into()), ("parent", parent.into())])
    };
    let trees = Trees::from_entries(&[
        node("patch1", ""),
        node("b1", "grid/patch1"),
        node("e11", "b1"),
        node("patch2", ""),
    ]);
    let mut entries = vec![issue(0, true), issue(1, true), issue(2, true), issue(3, true)];
    for (entry, grid) in entries.iter_mut().zip(["grid/e11", "b1", "patch2", ""]) {
        entry.fields.insert("grid".to_owned(), grid.into());
    }
    let tally = recount(&entries);
    let within = |grid: &str| {
        let mut query = ask("all").metric("M02").community(community("jinshan"));
        query.grid = Some(trees.patch(grid));
        measure(packs(), &tally, &query).unwrap()[0].numerator
    };
    assert_eq!(within("patch1"), 2);
    assert_eq!(within("grid/e11"), 1);
    assert_eq!(within("patch2"), 1);
    let mut query = ask("all").metric("M02");
    query.grid = Some(trees.patch("patch1"));
    assert_eq!(measure(packs(), &tally, &query), Err(QueryError::GridWithoutCommunity));
}

#[test]
fn figures_are_broken_down_by_category_community_and_month() {
    let mut leak = issue(1, true);
    leak.fields.insert("category".to_owned(), "leak".into());
    let mut tally = recount([&issue(0, true), &leak]);
    let other = contributions(packs(), &community("yili"), &leak, &packs().progress(&leak));
    tally.replace(&Contributions::default(), &other);
    let by = |by: By| -> Vec<(String, String, String, i64)> {
        let mut query = ask("2026").metric("M02");
        query.by = Some(by);
        measure(packs(), &tally, &query)
            .unwrap()
            .into_iter()
            .map(|figure| (figure.community, figure.period, figure.category, figure.numerator))
            .collect()
    };
    let row = |a: &str, b: &str, c: &str, n| (a.to_owned(), b.to_owned(), c.to_owned(), n);
    assert_eq!(
        by(By::Category),
        [row("all", "2026", "leak", 2), row("all", "2026", "lighting", 1)]
    );
    assert_eq!(by(By::Community), [row("jinshan", "2026", "", 2), row("yili", "2026", "", 1)]);
    assert_eq!(by(By::Period(Unit::Quarter)), [row("all", "2026-Q1", "", 3)]);
    let one = ask("2026").metric("M02").community(community("yili"));
    assert_eq!(measure(packs(), &tally, &one).unwrap()[0].numerator, 1);
}

#[test]
fn a_figure_leads_back_to_its_entries() {
    let entries = sixty();
    let behind = |query: &Query, metric: &str| {
        entries
            .iter()
            .filter(|entry| share(packs(), query, metric, &count(entry)).is_some())
            .count()
    };
    assert_eq!(behind(&ask("2026-03"), "M02"), 55);
    assert_eq!(behind(&ask("2026-03"), "M03a"), 60, "the base stands behind a ratio as well");
    assert_eq!(behind(&ask("2026-03-02"), "M01"), 60);
    assert_eq!(behind(&ask("2026-04"), "M01"), 0);
    assert_eq!(behind(&ask("2026-04"), "M09"), 60, "a stock reaches back");
    let amount = share(packs(), &ask("2026"), "M03a", &count(&entries[59])).unwrap();
    assert_eq!((amount.num, amount.den), (0, 1));
}

#[test]
fn a_query_that_cannot_be_answered_says_why() {
    let tally = Tally::default();
    let wrong = |metric: &str, period: &str| {
        measure(packs(), &tally, &ask(period).metric(metric)).unwrap_err().to_string()
    };
    let mut daily = ask("2026-03").metric("M40");
    daily.by = Some(By::Period(Unit::Day));
    assert!(matches!(measure(packs(), &tally, &daily), Err(QueryError::TooFine { .. })));
    assert!(wrong("M0l", "2026").starts_with("no metric `M0l` among the packs in force"));
    assert_eq!(
        wrong("M40", "2026-03-06"),
        "`M40` is kept by month: ask for whole ones, not 2026-03-06"
    );
    let all = measure(packs(), &tally, &ask("2026-03-06")).unwrap();
    assert!(all.iter().any(|figure| figure.metric == "M01"));
    assert!(!all.iter().any(|figure| figure.metric == "M40"), "others answer all the same");
}

#[test]
fn a_figure_as_json_carries_its_proof() {
    let mut query = ask("2026-03").metric("M03a");
    query.coverage.digests.insert("community/jinshan/open".to_owned(), "7:00ff".to_owned());
    let figure = measure(packs(), &recount(&sixty()), &query).unwrap().remove(0);
    let json = serde_json::to_value(&figure).unwrap();
    let expected = serde_json::json!({
        "metric": "M03a", "community": "all", "grid": "", "period": "2026-03", "category": "",
        "numerator": 55, "denominator": 60, "unit": "%", "qualifier": "", "percent": "91.67%",
        "name": { "zh": "解决率（按受理批次）", "en": "Resolution rate of the accepted cohort" },
        "base": { "zh": "本期受理的问题", "en": "issues accepted in the period" },
        "definition": packs().metric("M03a").unwrap().definition.to_string(),
        "communities_included": 1, "communities_expected": 1,
        "as_of": "2026-11-22T10:00", "digests": { "community/jinshan/open": "7:00ff" },
    });
    assert_eq!(json, expected);
}

#[test]
fn a_change_of_one_entry_names_the_cells_that_changed() {
    let mut tally = recount(&sixty());
    let before = sixty().remove(0);
    let mut after = before.clone();
    act(&mut after, "reopen", "2026-03-22");
    let (old, new) = (count(&before), count(&after));
    let changes = tally.replace(&old, &new);
    let now = |metric: &str| -> Vec<Option<i64>> {
        let of = changes.iter().filter(|change| change.key.metric == metric);
        of.map(|change| change.now.map(|amount| amount.num)).collect()
    };
    assert_eq!(now("M02"), [Some(54)]);
    assert_eq!(now("M01"), [], "still collected");
    let emptied = tally.clone();
    let mut rows = Tally::default();
    for (key, amount) in emptied.cells() {
        let key = CellKey::from_bytes(&key.to_bytes()).unwrap();
        rows.set(&key, Amount::from_bytes(&amount.to_bytes()).unwrap());
    }
    assert_eq!(rows, emptied, "rows hold everything");
}

#[test]
fn an_absurd_number_contributes_nothing() {
    let mut fact =
        entry("profile/x", &[("item", "households".into()), ("amount", Value::Int(i64::MAX))]);
    assert_eq!(count(&fact), Contributions::default());
    fact.fields.insert("amount".to_owned(), Value::Int(7));
    assert_eq!(count(&fact).cells().len(), 1);
    fact.fields.insert("amount".to_owned(), Value::Text("viele".to_owned()));
    assert_eq!(count(&fact), Contributions::default(), "a text where a number should stand");
}

/// One random act on one of a handful of issues.
#[derive(Debug, Clone)]
enum Edit {
    Act(usize, usize, u8),
    Set(usize, &'static str, String),
    Clear(usize, &'static str),
    Merge(usize, usize),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let field = prop_oneof![
        Just("category"),
        Just("grid"),
        Just("due"),
        Just("satisfaction"),
        Just("qualifier"),
        Just("phone"),
    ];
    let value = prop_oneof![
        Just("lighting"),
        Just("g1"),
        Just("grid/g1"),
        Just("2026-03-04"),
        Just("2026-02-31"),
        Just("satisfied"),
        Just(">="),
        Just(""),
    ];
    prop_oneof![
        6 => (0_usize..5, any::<usize>(), 1_u8..31).prop_map(|(at, pick, day)| Edit::Act(at, pick, day)),
        3 => (0_usize..5, field.clone(), value)
            .prop_map(|(at, field, value)| Edit::Set(at, field, value.to_owned())),
        1 => (0_usize..5, field).prop_map(|(at, field)| Edit::Clear(at, field)),
        1 => (0_usize..5, 0_usize..5).prop_map(|(at, into)| Edit::Merge(at, into)),
    ]
}

/// Makes the edit; returns which entry changed and the document keys it touched.
fn make(entries: &mut [Entry], edit: &Edit) -> (usize, Vec<String>) {
    match edit {
        Edit::Act(at, pick, day) => {
            let flow = packs().kind("issue").unwrap().workflow.clone().unwrap();
            let state = packs().progress(&entries[*at]).state;
            // Mostly what the state allows, at times what it does not.
            let allowed = flow.allowed(&state);
            let action = match allowed.get(pick % (allowed.len() + 1)) {
                Some(action) => action.name.clone(),
                None => flow.actions[pick % flow.actions.len()].name.clone(),
            };
            (*at, vec![act(&mut entries[*at], &action, &format!("2026-03-{day:02}"))])
        }
        Edit::Set(at, field, value) => {
            entries[*at].fields.insert((*field).to_owned(), value.clone().into());
            (*at, vec![(*field).to_owned()])
        }
        Edit::Clear(at, field) => {
            entries[*at].fields.remove(*field);
            (*at, vec![(*field).to_owned()])
        }
        Edit::Merge(at, into) => {
            let before = entries[*at].steps.len();
            merge(entries, *at, *into);
            let key = format!("#{}", entries[*at].steps[before].id.0);
            (*at, vec!["merged_into".to_owned(), key])
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cells_equal_a_recount_bit_for_bit(edits in proptest::collection::vec(any_edit(), 1..60)) {
        let mut entries: Vec<Entry> =
            (0..5).map(|number| entry(&format!("issue/i{number}"), &[])).collect();
        let mut kept: Vec<Contributions> = entries.iter().map(count).collect();
        let mut tally = recount(&entries);
        for edit in &edits {
            let (at, keys) = make(&mut entries, edit);
            let progress = packs().progress(&entries[at]);
            let home = community("jinshan");
            let keys = keys.iter().map(String::as_str);
            let new = refresh(packs(), &home, &entries[at], &progress, &kept[at], keys);
            prop_assert_eq!(&new, &count(&entries[at]), "refresh skipped a metric that changed");
            let bytes = new.to_bytes();
            prop_assert_eq!(Contributions::from_bytes(&bytes), Ok(new.clone()));
            tally.replace(&kept[at], &new);
            kept[at] = new;
        }
        prop_assert_eq!(&tally, &recount(entries.iter().rev()));
        prop_assert!(tally.cells().all(|(_, amount)| !amount.is_zero()));
        for old in &kept {
            tally.replace(old, &Contributions::default());
        }
        prop_assert!(tally.is_empty(), "taking everything out leaves nothing");
    }
}

/// A value of a field as forms, imports and careless programs write it.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::from("grid/g1")),
        Just(Value::from("2026-03-04")),
        Just(Value::from("lighting")),
        Just(Value::from(">=")),
        Just(Value::from("")),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-9_i64..9).prop_map(Value::Int),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_part_that_is_counted_counts_as_much_as_the_whole(
        kind in any::<proptest::sample::Index>(),
        fields in proptest::collection::vec(
            (any::<proptest::sample::Index>(), any_value(), proptest::bool::weighted(0.1)), 0..12,
        ),
        acts in proptest::collection::vec((any::<proptest::sample::Index>(), 1_u8..31), 0..6),
    ) {
        let kinds: Vec<_> = packs().kinds().collect();
        let kind = kinds[kind.index(kinds.len())];
        let id = EntryId::new(&kind.name, "x1").unwrap();
        let mut puts = BTreeMap::new();
        for (field, value, item) in fields {
            let mut names: Vec<&str> = kind.fields.iter().map(|field| field.name.as_str()).collect();
            names.extend(["qualifier", "nobody_knows"]);
            let name = names[field.index(names.len())];
            let key = if item { format!("{name}:{name}") } else { name.to_owned() };
            let value = if item { Value::Bool(true) } else { value };
            puts.insert(key, Some(value));
        }
        if let Some(flow) = &kind.workflow {
            let mut scratch = entry("issue/x1", &[]);
            for (action, day) in acts {
                let action = &flow.actions[action.index(flow.actions.len())].name;
                let key = act(&mut scratch, action, &format!("2026-03-{day:02}"));
                let step = scratch.steps.last().unwrap();
                puts.insert(key, Some(crate::doc::step_value(step, true)));
            }
        }
        let mut doc = Doc::new();
        if let Some(change) = doc.edit(crate::id::ActorId([7; 16]), 0, puts.into_iter().collect()) {
            doc.apply(&change);
        }
        let count = |entry: &Entry| {
            contributions(packs(), &community("jinshan"), entry, &packs().progress(entry))
        };
        let whole = crate::doc::entry_of(&id, Some(&doc), None);
        let part = counted_part(packs(), &id, &doc);
        prop_assert!(part.fields.len() <= whole.fields.len());
        prop_assert_eq!(count(&part), count(&whole));
    }
}
