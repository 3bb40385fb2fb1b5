//! Answers as people read them.
//!
//! Each answer has one form; nothing is left out that would change what the reader does next. It
//! refuses to print control characters that entries may contain.

use std::fmt::Write as _;

use super::table::Table;
use super::words::Words;
use super::{Lang, audits, closings, erasures, figures, kinds, members, refusals, standing};
use crate::ask::{Answer, EntryView, KindView, NodeView};
use crate::limits::MEGABYTE;

/// The answer in lines of about `columns` columns, ended by a line break where there is any text.
pub(super) fn answer(answer: &Answer, lang: Lang, columns: usize) -> String {
    let words = Words { lang };
    let text = match answer {
        Answer::Status(told) => standing::page(told, lang, columns),
        Answer::Written { entry, changes, state } => {
            let state = words.state(entry.kind(), state);
            let saved = match (changes, lang) {
                (0, Lang::Zh) => "内容未变，没有写入",
                (0, Lang::En) => "nothing differs, nothing written",
                (_, Lang::Zh) => "已保存",
                (_, Lang::En) => "saved",
            };
            let state = if state.is_empty() { String::new() } else { format!(" · {state}") };
            format!("{entry} · {saved}{state}\n")
        }
        Answer::Imported { added, changed, unchanged, .. } => match lang {
            Lang::Zh => format!("新增 {added} · 更新 {changed} · 未变 {unchanged}\n"),
            Lang::En => format!("added {added} · changed {changed} · unchanged {unchanged}\n"),
        },
        Answer::Entry(entry) => entry_page(entry, words),
        Answer::Entries { entries, next, more } => {
            let mut text = entries_table(entries, words, columns);
            if let Some(next) = next {
                let more = lang.pick("还有更多，加上", "there is more, add");
                let _ = writeln!(text, "… {more} --after {next}");
            } else if *more {
                text += lang.pick(
                    "… 没有列完。指定一本台账、一个社区（--community），就能接着列。\n",
                    "… there is more. Name one ledger and one community (--community) to go on.\n",
                );
            }
            text
        }
        Answer::Kinds { kinds } => kinds_table(kinds, lang, columns),
        Answer::Figures { figures: lines } => figures::table(lines, lang, columns),
        Answer::Conflicts { conflicts, more } => {
            let mut table = Table::new(lang.pick(
                ["记录", "字段", "现显示", "另一方", "写的是"],
                ["Entry", "Field", "Shown", "Other side", "Wrote"],
            ));
            for conflict in conflicts {
                let kind = conflict.entry.kind();
                let field = words.field(kind, &conflict.field);
                for (who, what) in &conflict.others {
                    let row = [
                        conflict.entry.to_string(),
                        field.clone(),
                        conflict.chosen.clone(),
                        who.clone(),
                        what.clone(),
                    ];
                    table.row(row);
                }
            }
            let none = lang.pick("没有冲突。", "There are no conflicts.");
            listed(&table, columns, none) + first_only(*more, lang)
        }
        Answer::Refused { refused, more } => {
            refusals::page(refused, lang, columns) + first_only(*more, lang)
        }
        // The command that asks for them writes them to a file.
        Answer::RefusedBytes { refused, .. } => format!("{}\n", refused.len()),
        Answer::JudgedAgain { taken, known, still, without_bytes } => {
            refusals::judged((*taken, *known, *without_bytes), still, lang, columns)
        }
        Answer::Devices { devices } => members::page(devices, lang, columns),
        Answer::Removed { machine, epoch, left } => members::removed(machine, *epoch, *left, lang),
        Answer::RecoveryPrinted { day } => format!("{day}\n"),
        Answer::Approved { ring_code } => match lang {
            Lang::Zh => format!("已批准。请核对：那台电脑的 status 应显示社区密钥码 {ring_code}\n"),
            Lang::En => format!(
                "Approved. Compare: `status` on that machine must show the ring code {ring_code}\n"
            ),
        },
        Answer::Erased { .. } => erasures::done(answer, lang),
        Answer::Erasures { erasures, more } => {
            erasures::table(erasures, lang, columns) + first_only(*more, lang)
        }
        Answer::Recount { entries, cells, differences } => {
            let head = match lang {
                Lang::Zh => format!("重算 {entries} 条记录、{cells} 个数"),
                Lang::En => format!("counted {entries} entries and {cells} cells again"),
            };
            verdict(&head, differences, lang.pick("全部一致", "all equal"))
        }
        Answer::Audit { records, rows, documents, damage } => {
            let head = audits::counts(*records, *rows, *documents, lang);
            let text = verdict(&head, damage, lang.pick("完好", "sound"));
            if damage.is_empty() { text } else { format!("{text}{}\n", audits::what_to_do(lang)) }
        }
        Answer::Digests { digests } => {
            let mut table = Table::new(lang.pick(["空间", "摘要"], ["Space", "Digest"]));
            for (space, digest) in digests {
                table.row([space.to_string(), digest.clone()]);
            }
            table.render(columns.max(200))
        }
        // A bundle is shown whole by the command that makes or takes it.
        Answer::BundleOpened(_)
        | Answer::BundlePage { .. }
        | Answer::BundleTaken(_)
        | Answer::BundleClosed { .. } => String::new(),
        Answer::Snapshot(told) => format!("{} · {}\n", told.name, told.commits),
        Answer::Closed { period, closings } => closings::page(period, closings, lang),
        Answer::Invitation { token, expires } => match lang {
            Lang::Zh => format!(
                "{token}\n\n只能用一次，{expires} 前有效。在新电脑上运行：\n  linli-node enrol <上面这一行> --name desk-a\n"
            ),
            Lang::En => format!(
                "{token}\n\nGood once, until {expires}. On the new machine run:\n  linli-node enrol <the line above> --name desk-a\n"
            ),
        },
        Answer::Packs { packs } => kinds::packs_table(packs, lang).render(columns),
        Answer::Nodes { nodes } => nodes_table(nodes, lang, columns),
        Answer::Done {} => format!("{}\n", lang.pick("完成。", "Done.")),
        Answer::Trouble(trouble) => format!("{}\n", lang.of(trouble)),
    };
    printable(&text)
}

/// A table, or a sentence that says there is nothing in it.
pub(super) fn listed(table: &Table, columns: usize, empty: &str) -> String {
    if table.is_empty() { format!("{empty}\n") } else { table.render(columns) }
}

fn verdict(head: &str, troubles: &[String], good: &str) -> String {
    let mut text = match troubles.len() {
        0 => format!("{head}：{good}。\n"),
        some => format!("{head}：{some} ✗\n"),
    };
    for trouble in troubles {
        let _ = writeln!(text, "  {trouble}");
    }
    text
}

fn entry_page(entry: &EntryView, words: Words) -> String {
    let kind = entry.entry.kind();
    let lang = words.lang;
    let mut text = entry.entry.to_string();
    if !entry.state.is_empty() {
        let _ = write!(text, " · {}", words.state(kind, &entry.state));
    }
    if let Some(community) = &entry.community {
        let _ = write!(text, " · {community}");
    }
    text.push('\n');
    if entry.erased {
        let _ = writeln!(text, "{}", erasures::mark(lang));
    }
    let mut fields = Table::new(lang.pick(["字段", "", "内容"], ["Field", "", "Value"]));
    for name in ordered(entry) {
        let value = words.value(kind, &name, &entry.fields[&name]);
        fields.row([words.field(kind, &name), name, value]);
    }
    text.push_str(&fields.render(usize::MAX));
    if !entry.steps.is_empty() {
        let mut steps = Table::new(
            lang.pick(["流转", "日期", "经办", "备注", ""], ["Step", "Date", "By", "Note", ""]),
        );
        for step in &entry.steps {
            let note = step.note.as_deref().unwrap_or_default();
            let mark = if step.conflict { lang.pick("冲突，待处理", "conflict") } else { "" };
            steps.row([&*words.action(kind, &step.action), &step.at, &step.by, note, mark]);
        }
        let _ = write!(text, "\n{}", steps.render(usize::MAX));
    }
    if !entry.next.is_empty() {
        let next: Vec<String> = entry.next.iter().map(|code| words.action(kind, code)).collect();
        let _ = writeln!(
            text,
            "\n{}{}",
            lang.pick("下一步：", "Next: "),
            next.join(lang.pick("、", ", "))
        );
    }
    for oddity in &entry.oddities {
        let _ = writeln!(text, "⚠ {oddity}");
    }
    text
}

/// Field names in the order of the pack, then what the pack does not know.
fn ordered(entry: &EntryView) -> Vec<String> {
    let known = Words::order(entry.entry.kind());
    let mut names: Vec<String> = known
        .iter()
        .filter(|name| entry.fields.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    names.extend(entry.fields.keys().filter(|name| !known.contains(&name.as_str())).cloned());
    names
}

/// Said under a list that has no pages and did not show all.
fn first_only(more: bool, lang: Lang) -> &'static str {
    if more {
        lang.pick("… 还有更多，这里只列出前面的。\n", "… there are more; these are the first.\n")
    } else {
        ""
    }
}

fn entries_table(entries: &[EntryView], words: Words, columns: usize) -> String {
    let lang = words.lang;
    let mut text = String::new();
    for run in entries.chunk_by(|left, right| left.entry.kind() == right.entry.kind()) {
        let kind = run[0].entry.kind();
        let mut names: Vec<String> = Vec::new();
        for name in run.iter().flat_map(ordered) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let order = Words::order(kind);
        names.sort_by_key(|name| order.iter().position(|known| known == name));
        let several = run.iter().any(|entry| entry.community != run[0].community);
        let mut headings = vec![lang.pick("记录", "Entry").to_owned()];
        headings.push(if several {
            lang.pick("社区", "Community").to_owned()
        } else {
            String::new()
        });
        headings.push(lang.pick("状态", "State").to_owned());
        headings.extend(names.iter().map(|name| words.field(kind, name)));
        let mut table = Table::new(headings);
        for entry in run {
            let community = entry.community.as_ref().filter(|_| several);
            let mut row = vec![
                entry.entry.to_string(),
                community.map_or_else(String::new, ToString::to_string),
                erasures::beside(&words.state(kind, &entry.state), entry.erased, lang),
            ];
            row.extend(names.iter().map(|name| {
                entry.fields.get(name).map_or_else(String::new, |it| words.value(kind, name, it))
            }));
            table.row(row);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table.render(columns));
    }
    if entries.is_empty() {
        text.push_str(lang.pick("没有记录。\n", "There are no entries.\n"));
    }
    text
}

fn kinds_table(kinds: &[KindView], lang: Lang, columns: usize) -> String {
    let mut table = Table::new(lang.pick(
        ["代号", "台账", "名称", "机制包", "字段"],
        ["Kind", "Ledger", "Name", "Pack", "Fields"],
    ));
    for kind in kinds {
        let fields: Vec<&str> = kind.fields.iter().map(|(name, _)| name.as_str()).collect();
        let name = lang.pick(&kind.zh, &kind.en);
        table.row([&*kind.kind, &kind.ledger, name, &kind.pack, &fields.join(" ")]);
    }
    listed(&table, columns, lang.pick("没有台账定义。", "There are no definitions."))
}

fn nodes_table(nodes: &[NodeView], lang: Lang, columns: usize) -> String {
    let mut table = Table::new(lang.pick(
        ["电脑", "连接", "上次联系", "一致", ">今日接收", "登记于"],
        ["Machine", "Link", "Last heard", "Agrees", ">Today", "Since"],
    ));
    for node in nodes {
        let link = match (node.revoked, node.connected) {
            (true, _) => lang.pick("已停用", "revoked"),
            (false, true) => lang.pick("在线", "up"),
            (false, false) => lang.pick("离线", "down"),
        };
        let agreed = match (node.connected, node.agreed, node.put_off) {
            _ if node.slowed => lang.pick("违规放慢", "slowed"),
            (_, false, true) => lang.pick("今日已到限量", "put off today"),
            (false, _, _) => "",
            (true, true, _) => lang.pick("是", "yes"),
            (true, false, false) => lang.pick("同步中", "catching up"),
        };
        let heard = node.last_heard.as_deref().unwrap_or("—");
        let today = megabytes(node.bytes_today);
        table.row([&*node.name, link, heard, agreed, &today, &node.since]);
    }
    let none = lang.pick(
        "还没有电脑登记。用 linli-hub invite --community 社区 生成邀请。",
        "No machine is enrolled yet. `linli-hub invite --community NAME` makes an invitation.",
    );
    listed(&table, columns, none)
}

/// Bytes as the limits in settings count them, to a tenth.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(MEGABYTE / 10);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// Without characters that would steer the terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use linli_domain::id::{EntryId, Space};
    use serde_json::json;

    use super::*;
    use crate::ask::{ConnectionsView, LinkView, Status, StepView};

    fn issue() -> EntryView {
        EntryView {
            entry: EntryId::parse("issue/01J8ZK").unwrap(),
            community: None,
            state: "accepted".into(),
            fields: [
                ("title", json!("路灯不亮")),
                ("category", json!("lighting")),
                ("odd", json!("\u{1b}[31mred")),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            steps: vec![StepView {
                id: "0".into(),
                action: "report".into(),
                at: "2026-03-06".into(),
                by: "desk-a".into(),
                note: None,
                conflict: false,
            }],
            next: vec!["dispatch".into()],
            oddities: Vec::new(),
            erased: false,
            digest: String::new(),
        }
    }

    #[test]
    fn an_entry_shows_names_people_know_and_codes_that_commands_take() {
        let text = answer(&Answer::Entry(Box::new(issue())), Lang::Zh, 80);
        for part in
            ["已受理", "事项", "title", "照明", "上报 (report)", "派遣 (dispatch)", "desk-a"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "an entry steers the terminal");
        let english = answer(&Answer::Entry(Box::new(issue())), Lang::En, 80);
        assert!(english.contains("Lighting") && english.contains("Accepted"), "{english}");
    }

    #[test]
    fn a_list_keeps_to_its_line_and_says_how_to_go_on() {
        let next = Some(EntryId::parse("issue/01J8ZK").unwrap());
        let entries = vec![issue(), issue()];
        let text = answer(&Answer::Entries { entries, next, more: true }, Lang::Zh, 60);
        assert!(text.lines().all(|line| super::super::table::width(line) <= 60), "{text}");
        assert!(text.contains("--after issue/01J8ZK"), "{text}");
        let entries = vec![issue()];
        let text = answer(&Answer::Entries { entries, next: None, more: true }, Lang::En, 60);
        assert!(text.contains("there is more") && text.contains("--community"), "{text}");
        let none = Answer::Entries { entries: Vec::new(), next: None, more: false };
        assert_eq!(answer(&none, Lang::En, 60), "There are no entries.\n");
        let conflicts = Answer::Conflicts { conflicts: Vec::new(), more: true };
        assert!(answer(&conflicts, Lang::En, 60).contains("there are more"));
    }

    #[test]
    fn a_machine_that_is_put_off_is_told_so_and_its_operator_too() {
        let link = |agreed, resting| LinkView {
            peer: "d/s/-/hub".into(),
            space: Space::parse("community/yili/open").unwrap(),
            agreed,
            unsent: 7,
            resting,
        };
        let told = |link| {
            let status = Status { links: vec![link], ..Status::default() };
            let answered = Answer::Status(Box::new(status));
            [Lang::Zh, Lang::En].map(|lang| answer(&answered, lang, 80))
        };
        for text in told(link(false, true)) {
            assert!(text.contains("node_megabytes_per_day"), "{text}");
        }
        for text in told(link(false, false)).into_iter().chain(told(link(true, true))) {
            assert!(!text.contains("node_megabytes_per_day"), "{text}");
        }
        let node = NodeView {
            name: "d/s/yili/desk-a".into(),
            since: "2026-03-06".into(),
            revoked: false,
            connected: true,
            last_heard: None,
            agreed: false,
            bytes_today: 49_999_001,
            put_off: true,
            refused: 0,
            breaches: 0,
            slowed: false,
        };
        let slowed = Answer::Nodes { nodes: vec![NodeView { slowed: true, ..node.clone() }] };
        assert!(answer(&slowed, Lang::En, 120).contains(" slowed "));
        assert!(answer(&slowed, Lang::Zh, 120).contains("违规放慢"));
        let nodes = Answer::Nodes { nodes: vec![node] };
        let text = answer(&nodes, Lang::En, 120);
        assert!(text.contains("50.0 MB") && text.contains("put off today"), "{text}");
        assert!(answer(&nodes, Lang::Zh, 120).contains("今日已到限量"));
    }

    #[test]
    fn a_hub_names_who_is_slowed_and_how_many_are_connected() {
        let now =
            ConnectionsView { machines: 12, machines_max: 2_000, strangers: 3, turned_away: 7 };
        let told = Status {
            connections: Some(now),
            slowed: vec!["d/s/yili/desk-a".into()],
            ..Status::default()
        };
        let told = Answer::Status(Box::new(told));
        for (lang, parts) in [
            (Lang::Zh, ["12 / 2000", "让位 7", "d/s/yili/desk-a 不断违反规则"]),
            (Lang::En, ["12 of 2000", "turned away 7", "d/s/yili/desk-a goes on breaking"]),
        ] {
            let text = answer(&told, lang, 80);
            for part in parts {
                assert!(text.contains(part), "{part} is not in {text}");
            }
        }
    }

    #[test]
    fn a_waiting_machine_is_told_what_to_run_elsewhere() {
        let told = Status {
            name: "d/s/yili/desk-b".into(),
            code: Some("abcde-fgh23".into()),
            ..Status::default()
        };
        let text = answer(&Answer::Status(Box::new(told)), Lang::En, 80);
        assert!(text.contains("linli-node approve desk-b --code abcde-fgh23"), "{text}");
    }
}
