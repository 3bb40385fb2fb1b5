//! Definitions that a hub gives out: in force on every machine of the street, checked before they
//! leave the hub and again where they arrive.

use linli_domain::id::{EntryId, StreetId};
use linli_domain::value::Value;

use super::*;
use crate::ask::{PackFile, PackView, Trouble};

/// A ledger of tools that neighbours lend, and one metric.
const TOOLS: &str = r#"pack = "tools"
version = 1
label = { zh = "借用", en = "Tools" }
source = "test"

[[kind]]
name = "tool"
ledger = "L90"
label = { zh = "工具", en = "Tool" }
id = { from = ["number"] }
fields = [
  { name = "number", type = "text", class = "C1", label = { zh = "编号", en = "Number" }, required = true },
  { name = "lender", type = "text", class = "C2", label = { zh = "出借人", en = "Lender" } },
  { name = "ladder", type = "bool", class = "C1", label = { zh = "梯子", en = "Ladder" } },
]

[[metric]]
id = "M90"
name = { zh = "工具数", en = "Tools" }
kinds = ["tool"]
unit = "件"
period = "none"
numerator = [ { where = "true" } ]
"#;

fn street() -> Vec<TestSite> {
    let mut hub = open("d/s/-/hub", None, 1);
    hub.enrolled(&[peer("d/s/c/a"), peer("d/s/c/b")]);
    vec![hub, open("d/s/c/a", Some(ring()), 2), open("d/s/c/b", Some(ring()), 3)]
}

fn settled(sites: &mut [TestSite]) {
    settle(sites, &[(0, 1), (0, 2)]);
    for site in sites {
        while site.idle() {}
    }
}

fn publish(site: &mut TestSite, text: &str) -> Result<Vec<PackView>, Trouble> {
    let file = PackFile { file: "tools.toml".to_owned(), text: text.to_owned() };
    match site.ask(Ask::Publish { files: vec![file] }) {
        Answer::Packs { packs } => Ok(packs),
        Answer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

fn code(outcome: Result<Vec<PackView>, Trouble>) -> String {
    outcome.expect_err("refused").code
}

fn figure(site: &mut TestSite, metric: &str) -> serde_json::Value {
    let asked = serde_json::from_value(json!({"metric": metric, "community": "c"})).expect("query");
    match site.ask(Ask::Figures(asked)) {
        Answer::Figures { figures } => figures[0]["numerator"].clone(),
        Answer::Trouble(trouble) => trouble.code.into(),
        other => panic!("{other:?}"),
    }
}

fn assert_recounted(site: &mut TestSite) {
    let Answer::Recount { differences, cells, .. } = site.ask(Ask::Recount {}) else {
        panic!("recount")
    };
    assert!(differences.is_empty() && cells > 0, "{differences:?}");
}

fn tool(site: &mut TestSite, number: &str, ladder: bool) -> Answer {
    add(site, "tool", json!({"number": number, "ladder": ladder, "lender": "金丝雀"}))
}

#[test]
fn a_published_ledger_is_kept_and_counted_on_every_machine() {
    let mut sites = street();
    assert!(matches!(tool(&mut sites[1], "1", true), Answer::Trouble(_)));
    let packs = publish(&mut sites[0], TOOLS).expect("published");
    assert_eq!(
        packs.iter().map(|pack| (pack.version, pack.published)).collect::<Vec<_>>(),
        [(1, true)]
    );
    settled(&mut sites);
    written(tool(&mut sites[1], "1", true));
    written(tool(&mut sites[2], "2", false));
    settled(&mut sites);
    for site in &mut sites {
        assert_eq!(figure(site, "M90"), 2, "at {}", site.me());
        assert_recounted(site);
    }
    let hub = sites[0].ask(Ask::Show {
        community: Some(community()),
        entry: EntryId::parse("tool/1").expect("id"),
        reason: None,
    });
    let Answer::Entry(seen) = hub else { panic!("{hub:?}") };
    assert!(!seen.fields.contains_key("lender"), "sealed from the hub: {seen:?}");
}

#[test]
fn a_new_version_counts_anew_and_a_withdrawn_pack_no_more() {
    let mut sites = street();
    publish(&mut sites[0], TOOLS).expect("published");
    settled(&mut sites);
    written(tool(&mut sites[1], "1", true));
    written(tool(&mut sites[1], "2", false));
    settled(&mut sites);
    assert_eq!(code(publish(&mut sites[0], &TOOLS.replace("借用", "工具房"))), "pack-version");
    let ladders =
        TOOLS.replace("version = 1", "version = 2").replace("\"true\"", "\"f.ladder == true\"");
    publish(&mut sites[0], &ladders).expect("published");
    settled(&mut sites);
    for site in &mut sites {
        assert_eq!(figure(site, "M90"), 1, "at {}", site.me());
        assert_recounted(site);
    }
    let again = publish(&mut sites[0], &ladders).expect("the same again");
    assert_eq!(again[0].version, 2);
    for counted in [2, 0] {
        let back = sites[0].ask(Ask::Withdraw { pack: "tools".to_owned() });
        assert!(matches!(back, Answer::Packs { .. }), "{back:?}");
        settled(&mut sites);
        if counted > 0 {
            for site in &mut sites {
                assert_eq!(figure(site, "M90"), counted, "version 1 again at {}", site.me());
            }
        }
    }
    for site in &mut sites {
        assert_eq!(figure(site, "M90"), "figure", "unknown at {}", site.me());
    }
    publish(&mut sites[0], TOOLS).expect("published again");
    settled(&mut sites);
    assert_eq!(figure(&mut sites[2], "M90"), 2, "its entries were kept");
    let unknown = sites[0].ask(Ask::Withdraw { pack: "nothing".to_owned() });
    assert!(matches!(&unknown, Answer::Trouble(why) if why.code == "no-such-pack"), "{unknown:?}");
}

#[test]
fn a_pack_with_faults_is_not_published() {
    let mut sites = street();
    let board = Space::Board(StreetId::parse("s").expect("slug"));
    let before = sites[0].held(&board);
    let faulty = publish(&mut sites[0], &TOOLS.replace("\"true\"", "\"f.lader == true\""));
    let trouble = faulty.expect_err("refused");
    assert!(trouble.code == "pack" && trouble.en.contains("tools.toml:23:"), "{trouble:?}");
    assert_eq!(code(publish(&mut sites[0], "version = 1")), "pack");
    let clash = TOOLS.replace("name = \"tool\"", "name = \"issue\"");
    assert_eq!(code(publish(&mut sites[0], &clash)), "pack");
    assert_eq!(code(publish(&mut sites[1], TOOLS)), "not-here");
    assert_eq!(sites[0].held(&board), before, "nothing was written");
}

/// A hub that would read what is sealed: its own program refuses, and so do the desks.
#[test]
fn a_pack_that_opens_what_is_sealed_is_in_force_nowhere() {
    let mut sites = street();
    publish(&mut sites[0], TOOLS).expect("published");
    settled(&mut sites);
    let opened = TOOLS.replace("version = 1", "version = 2").replace("C2", "C1");
    assert_eq!(code(publish(&mut sites[0], &opened)), "pack-opens");

    let board = Space::Board(StreetId::parse("s").expect("slug"));
    let id = EntryId::parse("pack/tools-2").expect("id");
    let puts = vec![
        ("name".to_owned(), Some(Value::from("tools"))),
        ("version".to_owned(), Some(Value::Int(2))),
        ("text".to_owned(), Some(Value::from(opened.as_str()))),
    ];
    sites[0].write_in(&board, &id, puts, false).expect("a forged entry");
    let (links, mut told) = ([(0, 1), (0, 2)], 0);
    for (at, (left, right)) in links.iter().enumerate() {
        let (hub, desk) = (sites[*left].me().clone(), sites[*right].me().clone());
        sites[*left].link_up(LinkId(at as u64), desk);
        sites[*right].link_up(LinkId(at as u64), hub);
    }
    for _ in 0..40 {
        for at in 0..sites.len() {
            for effect in sites[at].end_turn().expect("commits") {
                let Effect::Send { link, frame } = effect else { panic!("{effect:?}") };
                let other = if at == 0 { links[link.0 as usize].1 } else { 0 };
                sites[other].frame(link, frame);
            }
        }
    }
    for site in &mut sites[1..] {
        while site.idle() {}
        let troubles = site.take_troubles();
        told += troubles.iter().filter(|why| matches!(why, BooksTrouble::Pack(_))).count();
        written(tool(site, "7", true));
        site.end_turn().expect("commits");
        let open = site.books().half(&Space::Open(community()), &EntryId::parse("tool/7").unwrap());
        assert!(open.doc.get("number").is_some(), "the ledger is there");
        assert!(open.doc.get("lender").is_none(), "a name stays sealed");
    }
    assert_eq!(told, 2, "each desk says so once");
}

#[test]
fn many_entries_are_measured_again_in_slices() {
    let mut sites = street();
    let total = crate::limits::MEASURED_AT_ONCE_MAX + 600;
    publish(&mut sites[0], TOOLS).expect("published");
    settled(&mut sites);
    for number in 0..total {
        written(tool(&mut sites[1], &number.to_string(), number % 2 == 0));
        if number % 100 == 0 {
            sites[1].end_turn().expect("commits");
        }
    }
    settled(&mut sites);
    let ladders =
        TOOLS.replace("version = 1", "version = 2").replace("\"true\"", "\"f.ladder == true\"");
    publish(&mut sites[0], &ladders).expect("published");
    assert_eq!(figure(&mut sites[0], "M90"), "measuring", "no figure of two definitions");
    written(tool(&mut sites[1], "late", true));
    settled(&mut sites);
    for site in &mut sites {
        assert_eq!(figure(site, "M90"), total / 2 + 1, "at {}", site.me());
        assert_recounted(site);
    }
}
