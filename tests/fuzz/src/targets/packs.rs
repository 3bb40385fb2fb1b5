//! Packs: the text of a definition, as a hub publishes it, and what is counted with it.
//!
//! A text that loads is put beside itself, compared for what it would open, and measures a few
//! entries. It refuses to judge whether a definition makes sense.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use linli_domain::entry::{Entry, Step, StepId};
use linli_domain::figure::{self, Contributions};
use linli_domain::id::{CommunityId, EntryId};
use linli_domain::limits::TEXT_BYTES_MAX;
use linli_domain::pack::{Registry, pack_name};
use linli_domain::value::Value;

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "packs", run, mutate, seeds };

fn run(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(&input[..input.len().min(TEXT_BYTES_MAX)]);
    let _ = pack_name(&text);
    let files = [("fuzz.toml", &*text)];
    let registry = match Registry::load(&files) {
        Ok(registry) => registry,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a fault");
            let longest = errors.iter().map(|error| error.to_string().len()).max();
            assert!(longest < Some(64 * 1024), "a fault of {longest:?} bytes");
            return Verdict::refused("faults");
        }
    };
    assert!(good().loosened_by(&registry).len() < 100_000);
    let _ = good().retyped_by(&registry);
    let again = registry.with_packs(&files).expect("what loaded loads in its own place");
    assert_eq!(again.hash(), registry.hash(), "the same packs and another hash");
    let community = CommunityId::parse("yili").expect("an id");
    for entry in entries(&registry) {
        let progress = registry.progress(&entry);
        let cells = figure::contributions(&registry, &community, &entry, &progress);
        let back = Contributions::from_bytes(&cells.to_bytes());
        assert_eq!(back.as_ref(), Ok(&cells), "contributions that no row keeps");
        let fresh = figure::refresh(&registry, &community, &entry, &progress, &cells, ["title"]);
        assert_eq!(fresh, cells, "nothing was changed, and it counts otherwise");
    }
    Verdict::Accepted
}

fn good() -> &'static Registry {
    static GOOD: OnceLock<Registry> = OnceLock::new();
    GOOD.get_or_init(|| Registry::load(&[("forum.toml", FORUM)]).expect("a good pack"))
}

/// An empty entry and two full ones of each kind.
fn entries(registry: &Registry) -> Vec<Entry> {
    let mut out = Vec::new();
    for kind in registry.kinds().take(4) {
        let Ok(id) = EntryId::new(&kind.name, "1") else { continue };
        let empty = Entry { id: Some(id), ..Entry::default() };
        for value in [Value::from("lighting"), Value::Int(i64::MIN)] {
            let fields: BTreeMap<String, Value> =
                kind.fields.iter().map(|field| (field.name.clone(), value.clone())).collect();
            let items: BTreeSet<String> = ["red".to_owned()].into();
            let sets = kind.fields.iter().map(|field| (field.name.clone(), items.clone()));
            let actions = kind.workflow.iter().flat_map(|flow| &flow.actions);
            let step = |(nth, action): (usize, &str)| Step {
                id: StepId(format!("{nth:016x}-01010101")),
                action: action.to_owned(),
                at: "2026-03-01".to_owned(),
                by: "desk".to_owned(),
                note: None,
            };
            let steps = actions.map(|action| action.name.as_str()).enumerate().map(step);
            out.push(Entry {
                fields,
                sets: sets.collect(),
                steps: steps.take(8).collect(),
                ..empty.clone()
            });
        }
        out.push(empty);
    }
    out
}

/// Lines and words exchanged, numbers at edges, brackets in piles, and blind bytes.
fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    const WORDS: [&str; 24] = [
        "state",
        "f.category",
        "at.solve",
        "size(f.tags)",
        "&&",
        "||",
        "!",
        "==",
        "<",
        "+",
        "%",
        "days_between(at.solve, at.solve)",
        "month(at.solve)",
        "'lighting'",
        "f.number * 2",
        "-1",
        "9223372036854775807",
        "true",
        "\"C2\"",
        "\"day\"",
        "[",
        "(",
        "{ value = \"a\" }",
        "''",
    ];
    let text = String::from_utf8_lossy(input).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = chance.below(lines.len());
    match chance.below(9) {
        _ if lines.is_empty() => crate::blind::mutate(input, others, chance),
        0 => drop(lines.remove(at)),
        1 => lines.insert(chance.below(lines.len()), lines[at].clone()),
        2 => {
            let other = chance.below(lines.len());
            lines.swap(at, other);
        }
        3..=5 => {
            // One word of a line, or of what stands in quotes.
            let word = chance.one_of(&WORDS);
            let places: Vec<usize> =
                lines[at].match_indices([' ', '\'', '"', '.']).map(|(at, _)| at).collect();
            let from = chance.pick(&places).copied().unwrap_or(0);
            let rest = lines[at][from..].chars().skip(1).position(|c| " '\".".contains(c));
            let len = rest.map_or(0, |chars| {
                lines[at][from..].chars().take(chars + 1).map(char::len_utf8).sum()
            });
            let keep = lines[at][from..].chars().next().map_or(String::new(), |c| c.to_string());
            lines[at].replace_range(from..from + len, &format!("{keep}{word}"));
        }
        6 => {
            let pile = chance.one_of(&["(", "[", "!", "-", "f.a.", "{a=", "1 + ", "[[", "[0]"]);
            let places: Vec<usize> = lines[at].char_indices().map(|(at, _)| at).collect();
            let from = chance.pick(&places).copied().unwrap_or(0);
            let high = 1 << (1 + chance.below(14));
            lines[at].insert_str(from, &pile.repeat(chance.below(high)));
        }
        7 => {
            let other =
                chance.pick(others).map_or(text.clone().into(), |o| String::from_utf8_lossy(o));
            let theirs: Vec<&str> = other.lines().collect();
            let from = chance.below(theirs.len());
            let some = theirs.iter().skip(from).take(1 + chance.below(6));
            lines.splice(at..at, some.map(|line| (*line).to_owned()));
        }
        _ => return crate::blind::mutate(input, others, chance),
    }
    if !lines.is_empty() {
        *input = lines.join("\n").into_bytes();
    }
    input.truncate(TEXT_BYTES_MAX);
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let asked =
        |formula: String| FORUM.replace("state == 'solved' && f.category == 'lighting'", &formula);
    let piled = |pile: &str, count: usize| asked(format!("{}1", pile.repeat(count)));
    [
        ("honest-forum", FORUM.to_owned()),
        ("honest-second", FORUM.replace("f.category == 'lighting'", "size(sets.tags) > 1")),
        ("crafted-brackets", piled("(", 1_500)),
        ("crafted-minus", piled("-", 1_500)),
        ("crafted-not", piled("!", 1_500)),
        ("crafted-sums", piled("1 + ", 600)),
        ("crafted-places", asked(format!("f{} == ''", "[0]".repeat(800)))),
        ("crafted-lists", format!("pack = {}", "[".repeat(3_000))),
        ("crafted-tables", format!("a = {}", "{a=".repeat(1_000))),
        ("crafted-dots", format!("{}a = 1", "a.".repeat(1_500))),
        ("crafted-nothing", String::new()),
    ]
    .map(|(name, text)| (name.to_owned(), text.into_bytes()))
    .into()
}

/// A small mechanism with everything in it.
const FORUM: &str = r#"pack = "forum"
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
