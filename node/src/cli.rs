//! The commands of `linli-node`. Help is written `中文 | English`; one of them is shown.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use linli_domain::id::{EntryId, MachineId};
use linli_runtime::terminal::{BackupFlags, Common, FigureFlags, RefusalsCommand, at_most_a_page};

/// 邻里：社区办公电脑上的台账 | Linli: the ledgers on a community's office machine
#[derive(Debug, Parser)]
#[command(name = "linli-node", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// 凭街道给的邀请加入社区 | Joins a community with an invitation of the street office
    Enrol {
        /// 邀请，以 linli1- 开头 | The invitation; it begins with linli1-
        #[arg(value_name = "TOKEN")]
        token: String,
        /// 本机在社区里的名字，如 desk-a | This machine's name within the community, such as desk-a
        #[arg(long, value_name = "NAME", value_parser = MachineId::parse)]
        name: MachineId,
        /// 本机已加入过：换一个名字重新登记，台账都保留 | Enrols this machine anew under another name; its ledgers stay
        #[arg(long)]
        anew: bool,
    },
    /// 运行本机的服务，直到 Ctrl-C | Runs this machine's daemon until Ctrl-C
    Serve {
        /// 先不联网，等 online 命令 | Begin without links, until the `online` command
        #[arg(long)]
        offline: bool,
    },
    /// 新增一条记录；由字段组成编号的，已有则更新 | Adds an entry, or edits the one its fields name
    Add {
        /// 台账代号，见 kinds | The kind of ledger; see kinds
        #[arg(value_name = "KIND")]
        kind: String,
        /// 字段=值；多项用逗号分开 | field=value; items of a set separated by commas
        #[arg(value_name = "FIELD=VALUE")]
        fields: Vec<String>,
        /// 自定编号 | An id of your own
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// 修改字段；“字段=”清空 | Changes fields; `field=` empties one
    Edit {
        /// 记录，如 issue/01J… | The entry, such as issue/01J…
        #[arg(value_name = "KIND/ID", value_parser = EntryId::parse)]
        entry: EntryId,
        /// 字段=值 | field=value
        #[arg(value_name = "FIELD=VALUE", required = true)]
        fields: Vec<String>,
    },
    /// 办理一步流转 | Takes a step of the workflow
    Step(StepFlags),
    /// 列出一本台账 | Lists a ledger
    List {
        /// 台账代号 | The kind of ledger
        #[arg(value_name = "KIND")]
        kind: String,
        /// 只列这个状态 | Only entries in this state
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// 最多列出多少条 | Entries at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_most_a_page)]
        max: usize,
        /// 从这条之后接着列 | Continue after this entry
        #[arg(long, value_name = "KIND/ID", value_parser = EntryId::parse)]
        after: Option<EntryId>,
    },
    /// 显示一条记录 | Shows an entry
    Show {
        /// 记录 | The entry
        #[arg(value_name = "KIND/ID", value_parser = EntryId::parse)]
        entry: EntryId,
        /// 查看个人信息的理由，会记入查阅记录 | Why personal fields are needed; it is put on record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// 有变化就再显示一次，不显示个人信息，按 Ctrl-C 结束 | Again whenever it changes, without personal fields; Ctrl-C ends it
        #[arg(long, conflicts_with = "reason")]
        follow: bool,
    },
    /// 查找：房号、姓名、电话尾号、事项 | Finds by room, name, phone, matter
    Find {
        /// 要找的词 | The words
        #[arg(value_name = "WORDS", required = true)]
        words: Vec<String>,
        /// 最多列出多少条 | Entries at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_most_a_page)]
        max: usize,
        /// 从这条之后接着列 | Continue after this entry
        #[arg(long, value_name = "KIND/ID", value_parser = EntryId::parse)]
        after: Option<EntryId>,
    },
    /// 各项数，附分子、分母、覆盖与截至时间 | Figures with numerator, denominator, coverage and as-of
    Figures(FigureFlags),
    /// 两处同时改过、内容不一致的地方 | What was written apart and disagrees
    Conflicts,
    /// 被拒收的变更：列出、导出、重新审核 | Changes that were refused: listed, exported, judged again
    #[command(visible_alias = "refused")]
    Refusals {
        #[command(subcommand)]
        command: Option<RefusalsCommand>,
    },
    /// 本机状况：连接、未送达、核对码 | How this machine stands: links, unsent changes, code
    Status,
    /// 本社区的电脑 | Machines of this community
    Devices {
        #[command(subcommand)]
        command: Option<DevicesCommand>,
    },
    /// 恢复单：全部电脑遗失时读回个人信息 | Recovery sheets, for when all machines are lost
    Recovery {
        #[command(subcommand)]
        command: RecoveryCommand,
    },
    /// 销毁一条记录的个人信息，各处同时生效，无法恢复 | Destroys an entry's personal fields everywhere, for good
    Erase {
        /// 记录 | The entry
        #[arg(value_name = "KIND/ID", value_parser = EntryId::parse)]
        entry: EntryId,
        /// 理由，会留下且街道可见，不要写个人信息 | Why; it stays and the street reads it: nothing personal
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// 不再询问 | Do not ask again
        #[arg(long)]
        yes: bool,
    },
    /// 销毁过的记录，本机是否已清除 | What was erased, and whether this machine is clean
    Erasures,
    /// 批准一台新电脑读取个人信息 | Lets a new machine read personal fields
    Approve {
        /// 电脑名，见 devices | The machine; see devices
        #[arg(value_name = "MACHINE")]
        machine: String,
        /// 那台电脑 status 显示的核对码，须当面或电话核对 | The code its `status` shows; compare by voice
        #[arg(long, value_name = "CODE")]
        code: String,
    },
    /// 从记录重算全部数，与现有的比对 | Counts every figure again and compares
    Recount,
    /// 检查整个日志 | Reads and checks the whole journal
    Audit,
    /// 各空间的摘要，两台一致即内容相同 | Digest of every space; equal means same contents
    Digests,
    /// 恢复联网 | Makes links again
    Online,
    /// 断开联网，本机照常使用 | Ends links; this machine works on
    Offline,
    /// 导入：每行一条 JSON，有错则一条也不写 | Imports JSON lines; writes nothing if any is wrong
    ImportJson {
        /// 文件，或 - 表示标准输入 | The file, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// 只检查，不写入 | Check only
        #[arg(long)]
        dry_run: bool,
    },
    /// 导出：每行一条 JSON，含个人信息，可再导入 | Exports JSON lines, personal fields included
    ExportJson {
        /// 台账代号；不写则全部 | Kinds; all if none is named
        #[arg(value_name = "KIND")]
        kinds: Vec<String>,
        /// 写入文件 | Write to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// 全部台账，或一本台账的字段与流转 | All kinds of ledgers, or the fields and steps of one
    Kinds {
        /// 台账代号 | The kind of ledger
        #[arg(value_name = "KIND")]
        kind: Option<String>,
    },
    /// 在用的机制包（台账、流转与指标的定义） | The packs in force: ledgers, workflows, metrics
    Packs,
    /// 备份到一个文件并读回核对；有口令才含密钥 | Backs up to one file and verifies it; keys only with a passphrase
    Backup(BackupFlags),
    /// 从备份恢复到一个空的数据目录（--data） | Restores a backup into an empty data folder (--data)
    Restore {
        #[command(flatten)]
        backup: BackupFlags,
        /// 街道平台已不复存在：不等核对，立即可以修改 | The hub is gone for good: take edits at once
        #[arg(long)]
        hub_is_lost: bool,
    },
    /// 没有网络时，用 U 盘在本社区电脑之间交换 | Carries changes between desks of a community on a stick, without a network
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// 演练：恢复到临时目录，检查、重算、比对 | Proves a backup: restores it aside, audits, recounts, compares
    Drill(BackupFlags),
    /// 停机检查数据，损坏的救出完好部分 | Checks the data at rest and mends what is damaged
    #[command(alias = "salvage")]
    Repair,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// 移除遗失的电脑，其余的换用新密钥 | Removes a lost machine; the others take a new key
    Remove {
        /// 电脑名，见 devices | The machine; see devices
        #[arg(value_name = "MACHINE")]
        machine: String,
        /// 不再询问 | Do not ask again
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecoveryCommand {
    /// 打印三张恢复单，旧的作废 | Writes three sheets to print; earlier ones are void
    Print {
        /// 写入这个文件夹，最好在 U 盘上 | Write into this folder, best on a stick
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// 在新电脑上使用两张恢复单 | Uses two sheets on a new machine
    Use {
        /// 两张恢复单的文本；不写则从键盘输入 | Two sheets as text files; typed in if not given
        #[arg(value_name = "FILE", num_args = 2)]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// 导出交换文件：已加密、签名，拿到别的电脑上导入 | Writes a sealed and signed file for other desks to import
    Export {
        /// 新文件 | The new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// 只给这台电脑：它已有的不再带 | Only for this desk: what it is known to have is left out
        #[arg(long = "for", value_name = "DESK", value_parser = MachineId::parse)]
        reader: Option<MachineId>,
        /// 只带这一天起存入本机的，如 2026-05-01 | Only what was stored here since that day
        #[arg(long, value_name = "DATE")]
        since: Option<String>,
    },
    /// 导入别的电脑导出的交换文件；可以重复导入 | Takes a file of another desk; doing it twice changes nothing
    Import {
        /// 文件 | The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StepFlags {
    /// 记录 | The entry
    #[arg(value_name = "KIND/ID", value_parser = EntryId::parse)]
    pub(crate) entry: EntryId,
    /// 流转动作，如 accept | The action, such as accept
    #[arg(value_name = "ACTION")]
    pub(crate) action: String,
    /// 一并修改的字段=值 | field=value that changes with it
    #[arg(value_name = "FIELD=VALUE")]
    pub(crate) fields: Vec<String>,
    /// 业务日期，默认今天 | Business date; today if not given
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// 经办，默认本机名 | Who; this machine's name if not given
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
    /// 备注 | A remark
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_step_takes_its_fields_behind_the_action() {
        let line = "linli-node step issue/01J merge merged_into=issue/01K --at 2026-03-06 --by 李";
        let Ok(Command::Step(step)) = parse(line) else { panic!("a step") };
        assert_eq!((step.entry.kind(), step.action.as_str()), ("issue", "merge"));
        assert_eq!(step.fields, ["merged_into=issue/01K"]);
        assert_eq!(step.at.as_deref(), Some("2026-03-06"));
    }

    #[test]
    fn names_are_parsed_at_the_wall() {
        for wrong in [
            "linli-node enrol linli1-x --name Desk_A",
            "linli-node show issue",
            "linli-node edit issue/01J",
            "linli-node list issue --max 0",
            "linli-node list issue --max 501",
            "linli-node find",
            "linli-node erase household/x",
            "linli-node erase household --reason moved",
            "linli-node bundle export x --for Desk_B",
            "linli-node bundle import",
            "linli-node nothing",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(parse("linli-node salvage"), Ok(Command::Repair)), "its old name");
        assert!(parse("linli-node backup x --passphrase words").is_err(), "others could read it");
        assert!(matches!(
            parse("linli-node bundle export x --for desk-b"),
            Ok(Command::Bundle(BundleCommand::Export { reader: Some(_), since: None, .. }))
        ));
        assert!(matches!(
            parse("linli-node bundle export x --since 2026-05-01"),
            Ok(Command::Bundle(BundleCommand::Export { reader: None, since: Some(_), .. }))
        ));
        assert!(matches!(parse("linli-node import-json -"), Ok(Command::ImportJson { .. })));
        assert!(
            matches!(parse("linli-node export-json issue grid --out x"), Ok(Command::ExportJson { kinds, .. }) if kinds.len() == 2)
        );
    }
}
