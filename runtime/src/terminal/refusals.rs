//! Refused changes at a command line: listed, exported into a file, judged again.
//!
//! It refuses to write over a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::render::listed;
use super::table::Table;
use super::{Lang, Terminal};
use crate::ask::{Answer, Ask, RefusedChange, RefusedView, Trouble};

/// Refusals shown at most.
const LISTED_MAX: usize = 200;
/// What the exported file says it is.
const FORMAT: &str = "linli-refusals-1";

/// What may be done about refused changes.
#[derive(Debug, Clone, Subcommand)]
pub enum RefusalsCommand {
    /// 列出被拒收的变更和原因 | Lists changes that were refused, and why
    List,
    /// 导出到文件，供查明原因；密封的部分不会打开 | Writes them to a file, to find out why; what is sealed stays so
    Export {
        /// 新文件 | The new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// 重新审核本机拒收的变更，通过的照常收下 | Judges what was refused here once more; what passes is taken
    Retry {
        /// 变更编号的开头；不写则全部 | How the change's number begins; all if not given
        #[arg(value_name = "CHANGE")]
        change: Option<String>,
    },
}

impl Terminal {
    /// Does what a command about refused changes says.
    pub fn refusals(&self, command: Option<RefusalsCommand>) -> Result<(), Trouble> {
        match command {
            None | Some(RefusalsCommand::List) => self.run(&Ask::Refused { max: LISTED_MAX }),
            Some(RefusalsCommand::Export { file }) => self.export_refused(&file),
            Some(RefusalsCommand::Retry { change }) => self.run(&Ask::JudgeAgain { change }),
        }
    }

    fn export_refused(&self, path: &Path) -> Result<(), Trouble> {
        let unwritable = |error: std::io::Error| Trouble {
            code: "file".into(),
            zh: format!("写不了 {}：{error}。请换一个还没有的文件名。", path.display()),
            en: format!(
                "Cannot write {}: {error}. Name a file that does not exist.",
                path.display()
            ),
        };
        let daemon = self.daemon()?;
        let mut refused: Vec<RefusedChange> = Vec::new();
        let mut after = Some(0);
        while let Some(at) = after {
            let Answer::RefusedBytes { refused: page, next } =
                self.ask(&daemon, &Ask::RefusedBytes { after: at })?
            else {
                break;
            };
            refused.extend(page);
            after = next;
        }
        let many = refused.len();
        let file = json!({ "format": FORMAT, "refused": refused });
        let mut sink = crate::authority::create_private(path).map_err(unwritable)?;
        let written = serde_json::to_writer_pretty(&mut sink, &file).map_err(std::io::Error::from);
        written
            .and_then(|()| sink.write_all(b"\n"))
            .and_then(|()| sink.sync_all())
            .map_err(unwritable)?;
        if self.json {
            let told = json!({ "refused": many, "file": path.display().to_string() });
            return self.print(&format!("{told}\n"));
        }
        let path = path.display();
        self.print(&self.lang.pick(
            format!("已导出 {many} 个变更到 {path}。公开部分可读，请妥善保管。\n"),
            format!(
                "Wrote {many} changes to {path}. What is open in them can be read; keep it safe.\n"
            ),
        ))
    }
}

/// What stands in the list, and what can be done about it.
pub(super) fn page(refused: &[RefusedView], lang: Lang, columns: usize) -> String {
    let none = lang.pick("没有被拒收的变更。", "No change was refused.");
    let table = listed(&table(refused, lang), columns, none);
    let mut text = table;
    if refused.iter().any(|one| one.by == "here") {
        text += lang.pick(
            "原因排除后，运行 refusals retry 重新审核；标“已弃”的内容不再保留，要由作者另立一条。\n",
            "Once the cause is mended, `refusals retry` judges them again. What is marked `gone` is not kept \
             any more: its author has to enter it anew.\n",
        );
    }
    if refused.iter().any(|one| one.by != "here") {
        text += lang.pick(
            "被对端拒收的修改仍在本机。请对端排除原因后运行 refusals retry；还不行，就用 show 查看这条记录，\
             用 add 另立一条重新登记：在原记录上继续改，会建立在被拒收的修改之上。\n",
            "What a peer refused is still here. Have the cause mended and `refusals retry` run there. If that \
             does not help, make the edit again in a new entry (`show`, then `add`): further edits of this one \
             build on what was refused.\n",
        );
    }
    text
}

/// What came of judging again.
pub(super) fn judged(
    (taken, known, without_bytes): (usize, usize, usize),
    still: &[RefusedView],
    lang: Lang,
    columns: usize,
) -> String {
    let mut text = lang.pick(
        format!("已收下 {taken} 个，先前已由别处送达 {known} 个，仍被拒收 {} 个，内容已弃 {without_bytes} 个。\n", still.len()),
        format!(
            "Taken: {taken}. Here by another way before: {known}. Refused still: {}. Gone: {without_bytes}.\n",
            still.len()
        ),
    );
    if !still.is_empty() {
        text += &table(still, lang).render(columns);
    }
    text
}

fn table(refused: &[RefusedView], lang: Lang) -> Table {
    let mut table = Table::new(lang.pick(
        ["记录", "由谁拒收", "来自", "原因", "变更", "内容"],
        ["Entry", "Refused by", "From", "Reason", "Change", "Bytes"],
    ));
    for one in refused {
        let entry = one.entry.as_ref().map_or_else(String::new, ToString::to_string);
        let by = if one.by == "here" { lang.pick("本机", "here") } else { &one.by };
        let hash = one.hash.get(..12).unwrap_or(&one.hash);
        let kept = if one.kept { lang.pick("保留", "kept") } else { lang.pick("已弃", "gone") };
        table.row([&entry, by, &one.from, lang.of(&one.words), hash, kept]);
    }
    table
}
