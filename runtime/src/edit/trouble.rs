//! Why an edit is not made, in sentences that say what to do next.

use linli_domain::pack::{FieldType, Kind, Label, Registry};
use linli_domain::workflow::Workflow;

use crate::ask::Trouble;

/// Why an edit is not made. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// No pack defines this kind.
    UnknownKind {
        /// The kind as given.
        kind: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// The kind has no such field.
    UnknownField {
        /// The field as given.
        field: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// The value is not of the field's type.
    WrongType {
        /// The field.
        field: String,
        /// What it holds.
        wanted: FieldType,
    },
    /// Not one of the field's choices.
    UnknownChoice {
        /// The field. What was given is not repeated: it may be personal.
        field: String,
        /// What it may be.
        choices: Vec<String>,
    },
    /// A required field is empty.
    Missing {
        /// The field.
        field: String,
        /// Its label.
        label: Label,
    },
    /// The id breaks the rules of ids, or cannot be derived from the fields given.
    BadId {
        /// The id, or the kind where it cannot be derived.
        id: String,
    },
    /// There is no such entry.
    NoSuchEntry {
        /// The entry.
        entry: String,
    },
    /// The kind has no workflow.
    NoWorkflow {
        /// The action as given.
        action: String,
    },
    /// The step is not possible in the entry's state.
    IllegalStep {
        /// The action as given.
        action: String,
        /// The state it met.
        state: String,
        /// What is possible there.
        allowed: Vec<String>,
    },
    /// A date that is none. What was given is not repeated.
    BadDate,
    /// This machine cannot read or write sealed halves.
    Locked,
    /// The community is not named, not known here, or not this machine's.
    WrongCommunity,
    /// The entry has grown to its bound, or the text is too long.
    TooLarge,
    /// Only closing a period writes these entries.
    ByClosingOnly,
    /// Only erasing writes these entries.
    ByErasingOnly,
    /// Its personal fields were destroyed, and none is written into it again.
    Erased,
}

impl EditError {
    /// An unknown kind, with the nearest known one.
    pub fn unknown_kind(registry: &Registry, kind: &str) -> Self {
        let nearest = nearest(kind, registry.kinds().map(|kind| kind.name.as_str()));
        Self::UnknownKind { kind: kind.to_owned(), nearest }
    }

    /// An unknown field, with the nearest known one.
    pub fn unknown_field(kind: &Kind, field: &str) -> Self {
        let nearest = nearest(field, kind.fields.iter().map(|field| field.name.as_str()));
        Self::UnknownField { field: field.to_owned(), nearest }
    }

    /// A step that is not possible, with those that are.
    pub fn illegal_step(workflow: &Workflow, state: &str, action: &str) -> Self {
        let allowed =
            workflow.allowed(state).into_iter().map(|action| action.name.clone()).collect();
        Self::IllegalStep { action: action.to_owned(), state: state.to_owned(), allowed }
    }

    /// The answer a person gets.
    pub fn trouble(&self) -> Trouble {
        let (code, zh, en) = self.words();
        Trouble { code: code.to_owned(), zh, en }
    }

    fn words(&self) -> (&'static str, String, String) {
        match self {
            Self::UnknownKind { kind, nearest } => (
                "unknown-kind",
                format!("没有名为“{kind}”的台账{}。用 kinds 查看全部台账。", guess_zh(nearest.as_ref())),
                format!(
                    "There is no ledger kind `{kind}`{}. `kinds` lists them all.",
                    guess_en(nearest.as_ref())
                ),
            ),
            Self::UnknownField { field, nearest } => (
                "unknown-field",
                format!("没有名为“{field}”的字段{}。", guess_zh(nearest.as_ref())),
                format!("There is no field `{field}`{}.", guess_en(nearest.as_ref())),
            ),
            Self::WrongType { field, wanted } => (
                "wrong-type",
                format!("字段“{field}”应填{}。", type_zh(*wanted)),
                format!("The field `{field}` takes {}.", type_en(*wanted)),
            ),
            Self::UnknownChoice { field, choices } => {
                let choices = choices.join(", ");
                (
                    "unknown-choice",
                    format!("字段“{field}”只能填：{choices}。"),
                    format!("`{field}` can only be one of: {choices}."),
                )
            }
            Self::Missing { field, label } => (
                "missing",
                format!("请填写“{}”（{field}）。", label.zh),
                format!("Please give `{field}` ({}).", label.en),
            ),
            Self::BadId { id } => (
                "bad-id",
                format!("“{id}”不能作编号：请补全组成编号的字段，或只用字母、数字、. _ -（63 位以内）。"),
                format!(
                    "`{id}` cannot be an id: give the fields it is made from, or use letters, digits and . _ - only, at most 63."
                ),
            ),
            Self::NoSuchEntry { entry } => (
                "no-such-entry",
                format!("没有记录“{entry}”。用 list 或 find 查找编号。"),
                format!("There is no entry `{entry}`. `list` and `find` give ids."),
            ),
            Self::NoWorkflow { action } => (
                "no-workflow",
                format!("这类台账没有流转，不能“{action}”。"),
                format!("This ledger has no workflow, so there is no step `{action}`."),
            ),
            Self::IllegalStep { action, state, allowed } => {
                let allowed = allowed.join(", ");
                (
                    "illegal-step",
                    format!("记录现为“{state}”，不能“{action}”；可以：{allowed}。"),
                    format!("The entry is `{state}`, where `{action}` is not possible. Possible: {allowed}."),
                )
            }
            Self::BadDate => (
                "bad-date",
                "这一步的日期不是日期，请写成 2026-03-06 或 2026-03-06T09:30。".to_owned(),
                "The date of the step is none; write 2026-03-06 or 2026-03-06T09:30.".to_owned(),
            ),
            Self::Locked => (
                "locked",
                "本机还没有本社区的密钥，不能读写个人信息。请在已批准的办公电脑上运行 approve，核对本机 status 显示的代码。".to_owned(),
                "This machine does not have the community's key yet, so personal fields cannot be read or written. Run `approve` on an approved desk and compare the code that `status` shows here.".to_owned(),
            ),
            Self::WrongCommunity => (
                "wrong-community",
                "请指明本机管理的社区。".to_owned(),
                "Name a community that this machine holds.".to_owned(),
            ),
            Self::TooLarge => (
                "too-large",
                "内容太长，或这条记录已到上限。请缩短内容，或另立一条。".to_owned(),
                "The text is too long or the entry is full. Shorten it, or begin a new entry.".to_owned(),
            ),
            Self::ByClosingOnly => (
                "by-closing-only",
                "关账记录由街道平台关账时写入，不能手工添加或修改。请在街道平台上运行 linli-hub close。".to_owned(),
                "A closing is written when the street's hub closes a period, and not by hand. Run `linli-hub close` at the street office.".to_owned(),
            ),
            Self::ByErasingOnly => (
                "by-erasing-only",
                "销毁记录只由 erase 命令写入，不能手工添加或修改。".to_owned(),
                "An erasure is written by the command `erase`, and not by hand.".to_owned(),
            ),
            Self::Erased => (
                "erased",
                "这条记录的个人信息已销毁，不能再写入个人信息。要登记新的情况，请另立一条（add 加 --id 自定编号）。".to_owned(),
                "The personal fields of this entry were destroyed, and none can be written into it again. Begin a new entry for what is new (`add` with an id of your own, `--id`).".to_owned(),
            ),
        }
    }
}

fn guess_zh(nearest: Option<&String>) -> String {
    nearest.map(|name| format!("，是否指“{name}”")).unwrap_or_default()
}

fn guess_en(nearest: Option<&String>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`")).unwrap_or_default()
}

fn type_zh(wanted: FieldType) -> &'static str {
    match wanted {
        FieldType::Text => "文字",
        FieldType::Int => "整数",
        FieldType::Money => "金额（单位：分，整数）",
        FieldType::Date => "日期，如 2026-03-06",
        FieldType::Datetime => "时间，如 2026-03-06T09:30",
        FieldType::Bool => "是或否",
        FieldType::Choice => "所列选项之一",
        FieldType::Entry => "另一条记录的编号",
        FieldType::Set => "若干项，用逗号分开",
    }
}

fn type_en(wanted: FieldType) -> &'static str {
    match wanted {
        FieldType::Text => "text",
        FieldType::Int => "a whole number",
        FieldType::Money => "an amount in 分 (1/100 yuan), a whole number",
        FieldType::Date => "a date such as 2026-03-06",
        FieldType::Datetime => "a time such as 2026-03-06T09:30",
        FieldType::Bool => "yes or no",
        FieldType::Choice => "one of its choices",
        FieldType::Entry => "the id of another entry",
        FieldType::Set => "items, separated by commas",
    }
}

/// The known name that is most like the given one, if any is like it at all.
fn nearest<'n>(given: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name.to_owned())
}
