//! Packs as files: what loads, and what is refused where.

use super::*;

/// A small mechanism with everything in it; the tests below break one line of it at a time.
pub(super) const GOOD: &str = r#"pack = "forum"
version = 1
label = { zh = "议事厅", en = "Forum" }
source = "S4"

[[kind]]
name = "issue"
ledger = "L06"
label = { zh = "问题", en = "Issue" }
id = { from = ["number"] }
workflow = "issue"
fields = [
  { name = "number", type = "text", class = "C1", label = { zh = "编号", en = "Number" } },
  { name = "grid", type = "entry", class = "C1", of = "issue", label = { zh = "网格", en = "Grid" } },
  { name = "category", type = "choice", class = "C1", label = { zh = "类别", en = "Category" }, choices = [ { value = "lighting", zh = "照明", en = "Lighting" } ] },
  { name = "tags", type = "set", class = "C1", label = { zh = "标签", en = "Tags" } },
  { name = "phone", type = "text", class = "C2", label = { zh = "电话", en = "Phone" } },
]

[[workflow]]
name = "issue"
label = { zh = "流转", en = "Issue" }
initial = "draft"
states = [
  { name = "draft", zh = "草稿", en = "Draft" },
  { name = "solved", zh = "已解决", en = "Solved", end = true },
]
steps = [
  { action = "solve", from = ["draft"], to = "solved", zh = "解决", en = "Solve", note_class = "C1" },
  { action = "remark", from = ["draft", "solved"], to = "=", zh = "备注", en = "Remark" },
]

[[metric]]
id = "M02"
name = { zh = "解决数", en = "Solved" }
kinds = ["issue"]
unit = "件"
period = "day"
category = "f.category"
numerator = [ { where = "state == 'solved' && f.category == 'lighting'", date = "at.solve" } ]

[[metric]]
id = "M02m"
name = { zh = "达标率", en = "Months" }
unit = "%"
percent = true
months_met = { metric = "M02", at_least = 1 }
"#;

/// The faults of [`GOOD`] with one text replaced, as printed.
fn faults(from: &str, to: &str) -> Vec<String> {
    assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must stand once");
    let text = GOOD.replace(from, to);
    let errors = Registry::load(&[("forum.toml", text.as_str())]).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_packs_of_this_build_load() {
    let files: Vec<(&str, &str)> = BUILTIN
        .files()
        .filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
        .collect();
    if let Err(errors) = Registry::load(&files) {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"));
    }
    assert!(Registry::builtin().kind("issue").is_some());
}

#[test]
fn a_good_pack_becomes_a_registry() {
    let registry = Registry::load(&[("forum.toml", GOOD)]).unwrap();
    let kind = registry.kind("issue").unwrap();
    assert_eq!(kind.grid, "grid");
    assert_eq!(kind.field("category").unwrap().choices[0].label.zh, "照明");
    assert_eq!(kind.step_note_class("solve"), Class::C1);
    assert_eq!(kind.step_note_class("remark"), Class::C2);
    assert_eq!(registry.class_of("issue", "tags:red"), Class::C1);
    assert_eq!(registry.class_of("unheard_of", "title"), Class::C2);
    assert_eq!(registry.ledger("L06").map(|kind| &*kind.name).collect::<Vec<_>>(), ["issue"]);
    let ids = |kind: &str| -> Vec<String> {
        registry.metrics_of(kind).map(|metric| metric.id.clone()).collect()
    };
    assert_eq!(ids("issue"), ["M02"]);
    assert_eq!(ids("unheard_of"), Vec::<String>::new());
    assert_eq!(registry.pack("forum").unwrap().version, 1);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    assert_eq!(
        faults("ledger = \"L06\"", "leger = \"L06\""),
        ["forum.toml:8:1: a kind has no key `leger`, did you mean `ledger`?"]
    );
}

#[test]
fn an_unknown_word_is_refused_with_the_nearest_one() {
    assert_eq!(
        faults("type = \"set\"", "type = \"sett\""),
        ["forum.toml:16:27: `sett` is not a field type, did you mean `set`?"]
    );
    assert_eq!(
        faults("workflow = \"issue\"", "workflow = \"isue\""),
        ["forum.toml:11:12: `isue` is not a workflow, did you mean `issue`?"]
    );
    assert_eq!(
        faults("period = \"day\"", "period = \"week\""),
        ["forum.toml:38:10: `week` is not a period"]
    );
}

#[test]
fn a_missing_key_and_a_wrong_type_are_refused() {
    assert_eq!(faults("unit = \"件\"\n", ""), ["forum.toml:33:1: a metric lacks the key `unit`"]);
    assert_eq!(
        faults("version = 1", "version = \"1\""),
        ["forum.toml:2:11: `version` should be a whole number, not string"]
    );
}

#[test]
fn a_file_that_is_no_toml_names_its_line() {
    let errors = faults("source = \"S4\"", "source = ");
    assert!(errors[0].starts_with("forum.toml:4:"), "{}", errors[0]);
}

#[test]
fn references_of_a_workflow_must_lead_to_its_states() {
    assert_eq!(
        faults("initial = \"draft\"", "initial = \"drafft\""),
        ["forum.toml:23:11: `drafft` is not a state, did you mean `draft`?"]
    );
    assert_eq!(
        faults("from = [\"draft\", \"solved\"]", "from = [\"draft\", \"zzz\"]"),
        ["forum.toml:30:41: `zzz` is not a state"]
    );
    assert_eq!(
        faults("action = \"remark\"", "action = \"solve\""),
        ["forum.toml:30:31: the step `solve` is already defined at this workflow, from `draft`"]
    );
}

#[test]
fn names_may_not_stand_twice_nor_be_reserved() {
    assert_eq!(
        faults("name = \"tags\"", "name = \"phone\""),
        ["forum.toml:17:12: the field `phone` is already defined at this kind"]
    );
    assert_eq!(
        faults("name = \"tags\"", "name = \"void\""),
        ["forum.toml:16:12: `void` is a reserved word of formulas and cannot be a name"]
    );
    assert_eq!(
        faults("name = \"tags\"", "name = \"Tags\""),
        ["forum.toml:16:12: `Tags` is not a name: a-z, then up to 31 of a-z, 0-9 and '_'"]
    );
}

#[test]
fn an_open_id_may_not_show_a_personal_field() {
    assert_eq!(
        faults("from = [\"number\"]", "from = [\"phone\"]"),
        ["forum.toml:10:16: `phone` is personal (C2 or C3): an id that reads it must be `keyed`"]
    );
    assert_eq!(
        faults("from = [\"number\"]", "from = [\"numbr\"]"),
        ["forum.toml:10:16: `numbr` is not a field of this kind, did you mean `number`?"]
    );
}

#[test]
fn the_grid_of_an_open_entry_may_not_be_personal() {
    assert_eq!(
        faults("workflow = \"issue\"", "workflow = \"issue\"\ngrid = \"phone\""),
        ["forum.toml:12:8: the grid field `phone` is personal (C2 or C3), so a hub could not \
             place the entry"]
    );
}

#[test]
fn a_formula_that_does_not_parse_is_placed_in_its_file() {
    let errors = faults("date = \"at.solve\"", "date = \"at.solve +\"");
    assert!(errors[0].starts_with("forum.toml:40:"), "{}", errors[0]);
    assert!(errors[0].contains("formula: "), "{}", errors[0]);
}

#[test]
fn every_name_in_a_formula_must_be_known() {
    let place = |text: &str| GOOD.lines().nth(39).unwrap().find(text).unwrap() + 1;
    assert_eq!(
        faults("category = \"f.category\"", "category = \"f.kategory\""),
        ["forum.toml:39:14: `kategory` is not a field of these kinds, did you mean `category`?"]
    );
    assert_eq!(
        faults("'solved'", "'sovled'"),
        [format!(
            "forum.toml:40:{}: `sovled` is not a state of these kinds, did you mean `solved`?",
            place("'solved'")
        )]
    );
    assert_eq!(
        faults("'lighting'", "'ligthing'"),
        [format!(
            "forum.toml:40:{}: `ligthing` is not a choice of this field, did you mean `lighting`?",
            place("'lighting'")
        )]
    );
    let errors = faults("date = \"at.solve\"", "date = \"monht(at.solv)\"");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("`monht` is not a function of formulas, did you mean `month`?"));
    assert!(errors[1].contains("`solv` is not a step of these kinds, did you mean `solve`?"));
    let errors = faults("date = \"at.solve\"", "date = \"sets.category + state2\"");
    assert!(errors[0].contains("`category` is not a set of these kinds"), "{errors:?}");
    assert!(errors[1].contains("`state2` is not a variable of formulas, did you mean `state`?"));
}

#[test]
fn a_metric_over_months_needs_one_with_days_or_months() {
    assert_eq!(
        faults("metric = \"M02\"", "metric = \"M022\""),
        ["forum.toml:47:25: `M022` is not a metric, did you mean `M02`?"]
    );
    assert_eq!(
        faults("period = \"day\"", "period = \"year\""),
        ["forum.toml:47:25: `metric` should be a metric that counts entries by day or month"]
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    assert_eq!(
        faults("unit = \"件\"", "unit = \"件\"\npercent = true"),
        ["forum.toml:38:11: `percent` has no meaning here: a plain sum has no denominator"]
    );
    let errors = faults("period = \"day\"", "period = \"none\"");
    assert!(errors[0].ends_with("`date` has no meaning here: the period is \"none\""));
    let errors = faults(", date = \"at.solve\"", "");
    assert_eq!(errors, ["forum.toml:40:15: a term with a period lacks the key `date`"]);
}

#[test]
fn the_faults_of_all_files_come_at_once() {
    let first = GOOD.replace("ledger", "leger").replace("'solved'", "'sovled'");
    let second = GOOD.replace("pack = \"forum\"", "pack = \"other\"");
    let errors =
        Registry::load(&[("a.toml", first.as_str()), ("b.toml", second.as_str())]).unwrap_err();
    let places: Vec<(&str, usize)> =
        errors.iter().map(|error| (error.file.as_str(), error.line)).collect();
    // In b: the kind, the workflow and both metrics stand in a already.
    let twice = [("b.toml", 7), ("b.toml", 21), ("b.toml", 34), ("b.toml", 43)];
    assert_eq!(places, [&[("a.toml", 8), ("a.toml", 40)][..], &twice].concat());
    assert!(errors[2].to_string().ends_with("the kind `issue` is already defined at a.toml:7"));
}

#[test]
fn switching_packs_off_takes_their_kinds_and_metrics_along() {
    let all = Registry::load(&[("forum.toml", GOOD)]).unwrap();
    let none = all.enabled(&["elsewhere"]);
    assert!(none.kind("issue").is_none() && none.metric("M02").is_none());
    assert!(none.metrics_of("issue").next().is_none());
    assert_ne!(all.hash(), none.hash());
    assert_eq!(all.enabled(&["forum", "elsewhere"]).hash(), all.hash());
}

#[test]
fn a_metric_that_reads_personal_fields_is_not_for_hubs() {
    let text = GOOD.replace("f.category == 'lighting'", "has(f.phone)");
    let registry = Registry::load(&[("forum.toml", text.as_str())]).unwrap();
    assert!(registry.metric("M02").unwrap().sealed);
    assert!(registry.metric("M02m").unwrap().sealed, "what stands on it is personal as well");
    let open = registry.open_metrics();
    assert!(open.metric("M02").is_none() && open.metric("M02m").is_none());
    assert!(open.kind("issue").is_some(), "the ledger itself stays");
    let good = Registry::load(&[("forum.toml", GOOD)]).unwrap();
    assert_eq!(good.open_metrics().hash(), good.hash());
}

#[test]
fn a_definition_hash_pins_formulas_and_workflow_and_nothing_else() {
    let hash = |from: &str, to: &str, id: &str| {
        let text = GOOD.replace(from, to);
        let registry = Registry::load(&[("forum.toml", text.as_str())]).unwrap();
        registry.metric(id).unwrap().definition
    };
    let before = hash("x", "x", "M02");
    assert_eq!(hash("version = 1", "version = 2", "M02"), before);
    assert_eq!(hash("type = \"set\"", "type = \"text\"", "M02"), before);
    assert_ne!(hash("state == 'solved' && ", "", "M02"), before);
    assert_ne!(hash("from = [\"draft\"]", "from = [\"draft\", \"solved\"]", "M02"), before);
    assert_ne!(
        hash("state == 'solved' && ", "", "M02m"),
        hash("x", "x", "M02m"),
        "a metric over another changes with it"
    );
}

#[test]
fn what_a_formula_reads_is_known() {
    let registry = Registry::load(&[("forum.toml", GOOD)]).unwrap();
    let reads = &registry.metric("M02").unwrap().entry_count().unwrap().reads;
    assert!(reads.touched_by("category") && reads.touched_by("#00-00"));
    assert!(!reads.touched_by("phone") && !reads.touched_by("tags:red"));
    let text = GOOD.replace("f.category == 'lighting'", "'red' in sets.tags && size(f) > 1");
    let registry = Registry::load(&[("forum.toml", text.as_str())]).unwrap();
    let reads = &registry.metric("M02").unwrap().entry_count().unwrap().reads;
    assert!(reads.touched_by("tags:red"));
    assert!(reads.touched_by("phone"), "f alone may be any field");
}

#[test]
fn a_registry_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Registry>();
}
