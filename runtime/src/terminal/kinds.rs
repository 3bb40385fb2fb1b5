//! The page of one kind: its fields with what they take, and its steps.
//!
//! It is read from the definitions inside the program, so it needs no daemon.

use std::fmt::Write as _;

use linli_domain::pack::{Field, FieldType, Kind};

use super::Lang;
use super::table::Table;
use super::words::registry;
use crate::ask::{PackView, Trouble};
use crate::edit::EditError;

/// The page, or one line of JSON.
pub(super) fn page(name: &str, lang: Lang, json: bool, columns: usize) -> Result<String, Trouble> {
    let kind =
        registry().kind(name).ok_or_else(|| EditError::unknown_kind(registry(), name).trouble())?;
    if json {
        let told = serde_json::json!({
            "kind": kind.name, "ledger": kind.ledger, "zh": kind.label.zh, "en": kind.label.en,
            "pack": kind.pack, "sealed": kind.sealed, "fields": kind.fields,
            "workflow": kind.workflow.as_deref(),
        });
        return Ok(format!("{told}\n"));
    }
    let ledger = kind.ledger.as_deref().unwrap_or("—");
    let label = lang.pick(&kind.label.zh, &kind.label.en);
    let mut text = format!("{} · {label} · {ledger} · {}\n\n", kind.name, kind.pack);
    text.push_str(&fields(kind, lang).render(columns));
    for field in kind.fields.iter().filter(|field| !field.choices.is_empty()) {
        let choices: Vec<String> = field
            .choices
            .iter()
            .map(|choice| {
                format!("{}={}", choice.value, lang.pick(&choice.label.zh, &choice.label.en))
            })
            .collect();
        let _ = write!(text, "\n{}: {}", field.name, choices.join("  "));
    }
    if kind.fields.iter().any(|field| !field.choices.is_empty()) {
        text.push('\n');
    }
    if let Some(workflow) = &kind.workflow {
        let state = |code: &str| {
            let known =
                workflow.state(code).map(|state| lang.pick(&state.label.zh, &state.label.en));
            known.map_or_else(|| code.to_owned(), Clone::clone)
        };
        let mut steps =
            Table::new(lang.pick(["动作", "名称", "到", "从"], ["Action", "Name", "To", "From"]));
        for action in &workflow.actions {
            let from: Vec<String> = action.from.iter().map(|from| state(from)).collect();
            let to = action.to.as_deref().map_or_else(|| "=".to_owned(), state);
            let label = lang.pick(&action.label.zh, &action.label.en);
            steps.row([&action.name, label, &to, &from.join(lang.pick("、", ", "))]);
        }
        let _ = write!(text, "\n{}", steps.render(columns));
    }
    Ok(text)
}

fn fields(kind: &Kind, lang: Lang) -> Table {
    let mut table = Table::new(lang.pick(
        ["字段", "名称", "填写", "必填", "级别"],
        ["Field", "Name", "Takes", "Required", "Class"],
    ));
    for field in &kind.fields {
        table.row([
            field.name.clone(),
            lang.pick(&field.label.zh, &field.label.en).clone(),
            takes(field, lang),
            if field.required { lang.pick("是", "yes").to_owned() } else { String::new() },
            format!("{:?}", kind.class_of(&field.name)),
        ]);
    }
    table
}

/// The packs in force, and why a published one is not.
pub(super) fn packs_table(packs: &[PackView], lang: Lang) -> Table {
    let mut table = Table::new(lang.pick(
        ["机制包", "名称", "版本", "来源", "说明"],
        ["Pack", "Name", "Version", "From", "Remark"],
    ));
    for pack in packs {
        let from = if pack.published {
            lang.pick("平台发布", "hub")
        } else {
            lang.pick("自带", "program")
        };
        let remark = pack.trouble.as_ref().map_or("", |trouble| lang.of(trouble));
        let name = lang.pick(&pack.zh, &pack.en);
        table.row([&*pack.pack, name, &pack.version.to_string(), from, remark]);
    }
    table
}

fn takes(field: &Field, lang: Lang) -> String {
    let what = match field.field_type {
        FieldType::Text => lang.pick("文字", "text"),
        FieldType::Int => lang.pick("整数", "whole number"),
        FieldType::Money => lang.pick("金额（分）", "amount in 分"),
        FieldType::Date => lang.pick("日期", "date"),
        FieldType::Datetime => lang.pick("日期时间", "date and time"),
        FieldType::Bool => lang.pick("是/否", "yes/no"),
        FieldType::Choice => lang.pick("选一项", "one choice"),
        FieldType::Entry => lang.pick("记录编号", "entry id"),
        FieldType::Set => lang.pick("多项，逗号分开", "items, commas between"),
    };
    match &field.of {
        Some(kind) => format!("{what} {kind}/…"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_fields_choices_and_steps_and_an_unknown_kind_its_nearest() {
        let text = page("issue", Lang::Zh, false, 200).unwrap();
        for part in ["title", "事项", "lighting=照明", "accept", "受理", "已上报"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let trouble = page("isue", Lang::En, false, 80).unwrap_err();
        assert!(trouble.en.contains("issue"), "{}", trouble.en);
    }
}
