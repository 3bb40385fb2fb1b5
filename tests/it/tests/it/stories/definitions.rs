//! A hub gives a new ledger and its metric to the desks of its street, and takes it back.
//!
//! The file is written as an office would write one; the commands are those an operator types.

use linli_demo::office::{run, settle, until};
use linli_runtime::ask::{Answer, Ask, PackView};
use serde_json::json;

use super::{Town, add, assert_all_is_well, programs, show, show_because, text, trouble};

const YILI: &str = "yili";
const PACK: &str = r#"pack = "tool-shed"
version = 1
label = { zh = "工具房", en = "Tool shed" }
source = "street"

[[kind]]
name = "tool"
ledger = "L90"
label = { zh = "公用工具", en = "Shared tool" }
id = { from = ["number"] }
fields = [
  { name = "number", type = "text", class = "C1", label = { zh = "编号", en = "Number" }, required = true },
  { name = "name", type = "text", class = "C1", label = { zh = "名称", en = "Name" }, search = true },
  { name = "lender", type = "text", class = "C2", label = { zh = "出借人", en = "Lender" } },
]

[[metric]]
id = "M90"
name = { zh = "公用工具数", en = "Shared tools" }
kinds = ["tool"]
unit = "件"
period = "none"
numerator = [ { where = "true" } ]
"#;

#[test]
fn a_ledger_that_no_program_knew_is_kept_counted_and_taken_back() {
    let town = Town::found("street");
    let mut desk = town.desk(YILI, "desk-a");
    let hub = |words: &[&str]| run(&programs().hub, town.hub().data(), words);
    let file = town.dir().join("工具房.toml");
    let path = file.to_str().unwrap();

    std::fs::write(&file, PACK.replace("\"true\"", "\"f.nummer == ''\"")).unwrap();
    let refused = hub(&["publish", path, "--lang", "zh"]).unwrap_err().to_string();
    assert!(refused.contains("工具房.toml:23:") && refused.contains("number"), "{refused}");
    let unknown = trouble(&desk, &add("tool", json!({"number": "1"})));
    assert_eq!(unknown.code, "unknown-kind");

    std::fs::write(&file, PACK).unwrap();
    let told = hub(&["publish", path, "--lang", "zh"]).unwrap();
    assert!(told.contains("tool-shed") && told.contains("平台发布"), "{told}");
    until("the desk has the pack", || Ok(published(&packs(&desk.ask(&Ask::Packs {})?)))).unwrap();
    let fields = json!({"number": "1", "name": "人字梯", "lender": "金丝雀"});
    let tool = desk.add("tool", fields).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    for machine in [&desk, town.hub()] {
        assert_eq!(text(machine, YILI, "M90", "all"), "1");
    }
    assert!(!show(town.hub(), YILI, &tool).fields.contains_key("lender"), "sealed from the hub");
    assert_eq!(show_because(&desk, YILI, &tool, Some("归还")).fields["lender"], "金丝雀");
    let page = run(&programs().node, desk.data(), &["show", &tool.to_string(), "--lang", "zh"]);
    assert!(page.unwrap().contains("名称"), "fields go by the names of the pack");

    // It is still there after a start without a network.
    desk.stop().unwrap();
    desk.resume().unwrap();
    assert!(published(&packs(&desk.ask(&Ask::Packs {}).unwrap())).is_some());
    assert_eq!(text(&desk, YILI, "M90", "all"), "1");

    let told = hub(&["withdraw", "tool-shed", "--lang", "en"]).unwrap();
    assert!(!told.contains("tool-shed"), "{told}");
    let gone = || Ok(published(&packs(&desk.ask(&Ask::Packs {})?)).is_none().then_some(()));
    until("the desk has let it go", gone).unwrap();
    assert_eq!(trouble(&desk, &add("tool", json!({"number": "2"}))).code, "unknown-kind");
    assert_eq!(show_because(&desk, YILI, &tool, Some("归还")).fields["lender"], "金丝雀");
    hub(&["publish", path]).unwrap();
    until("the desk has it again", || Ok(published(&packs(&desk.ask(&Ask::Packs {})?)))).unwrap();
    assert_eq!(text(town.hub(), YILI, "M90", "all"), "1");
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

fn packs(answer: &Answer) -> Vec<PackView> {
    match answer {
        Answer::Packs { packs } => packs.clone(),
        other => panic!("a list of packs, and not {other:?}"),
    }
}

fn published(packs: &[PackView]) -> Option<()> {
    packs.iter().any(|pack| pack.pack == "tool-shed" && pack.published).then_some(())
}
