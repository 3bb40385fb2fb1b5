//! The commands of `linli-hub`. Help is written `中文 | English`; one of them is shown.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use linli_domain::id::{CommunityId, DistrictId, EntryId, MachineId, PeerName, StreetId};
use linli_runtime::terminal::{BackupFlags, Common, FigureFlags, RefusalsCommand, at_most_a_page};

/// 邻里：街道平台 | Linli: the hub of a street office
#[derive(Debug, Parser)]
#[command(name = "linli-hub", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// 建立街道平台：证书、密钥与设置 | Founds the hub of a street: authority, keys, settings
    Init(InitFlags),
    /// 运行平台，直到 Ctrl-C | Runs the hub until Ctrl-C
    Serve,
    /// 给社区的一台新电脑发邀请 | Makes an invitation for a new machine of a community
    Invite {
        /// 社区 | The community
        #[arg(long, value_name = "COMMUNITY", value_parser = CommunityId::parse)]
        community: CommunityId,
        /// 多少小时内有效 | Hours until it expires
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// 已登记的电脑与连接 | Enrolled machines and their links
    Nodes,
    /// 各项数，附分子、分母、覆盖与截至时间 | Figures with numerator, denominator, coverage and as-of
    Figures(FigureFlags),
    /// 社区台账里公开的部分 | What is open of the communities' ledgers
    Entries {
        /// 台账代号；不写则全部 | The kind of ledger; all if not given
        #[arg(value_name = "KIND")]
        kind: Option<String>,
        /// 只看这个社区 | Only this community
        #[arg(long, value_name = "COMMUNITY", value_parser = CommunityId::parse)]
        community: Option<CommunityId>,
        /// 只列这个状态 | Only entries in this state
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// 每本最多列出多少条 | Entries of each ledger at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_most_a_page)]
        max: usize,
        /// 从这条之后接着列（须给出社区） | Continue after this entry (needs a community)
        #[arg(long, value_name = "KIND/ID", value_parser = EntryId::parse, requires = "community")]
        after: Option<EntryId>,
    },
    /// 显示一条记录公开的部分 | Shows what is open of an entry
    Show {
        /// 社区 | The community
        #[arg(value_name = "COMMUNITY", value_parser = CommunityId::parse)]
        community: CommunityId,
        /// 记录 | The entry
        #[arg(value_name = "KIND/ID", value_parser = EntryId::parse)]
        entry: EntryId,
        /// 有变化就再显示一次，按 Ctrl-C 结束 | Again whenever it changes; Ctrl-C ends it
        #[arg(long)]
        follow: bool,
    },
    /// 向社区的记录派件或批注 | Writes a step or a note into a community's entry
    Dispatch(DispatchFlags),
    /// 关账：记下已上报的数；再运行一次即采纳迟到更正 | Closes a period as reported; once more, it accepts what came late
    Close {
        /// 已经结束的期间：2026-03-06、2026-03、2026-Q1、2026 或 2026-01..2026-03 | A period that has ended: 2026-03-06, 2026-03, 2026-Q1, 2026 or 2026-01..2026-03
        #[arg(value_name = "PERIOD")]
        period: String,
        /// 只关这个社区；不写则各社区都关 | Only this community; every one if not given
        #[arg(long, value_name = "COMMUNITY", value_parser = CommunityId::parse)]
        community: Option<CommunityId>,
        /// 说明或更正原因，社区也看得到，请勿写个人信息 | A remark or the reason; the community reads it too, write nothing personal
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// 两台电脑同名时，改为接收另一台 | Of two machines under one name, goes on with the other
    Accept {
        /// 全名：区/街道/社区/电脑，见 status | Full name: district/street/community/machine; see status
        #[arg(value_name = "NAME", value_parser = PeerName::parse)]
        machine: PeerName,
    },
    /// 停用一台电脑 | Shuts a machine out
    Revoke {
        /// 全名：区/街道/社区/电脑，见 nodes | Full name: district/street/community/machine; see nodes
        #[arg(value_name = "NAME", value_parser = PeerName::parse)]
        machine: PeerName,
    },
    /// 平台状况 | How the hub stands
    Status,
    /// 被拒收的变更：列出、导出、重新审核 | Changes that were refused: listed, exported, judged again
    #[command(visible_alias = "refused")]
    Refusals {
        #[command(subcommand)]
        command: Option<RefusalsCommand>,
    },
    /// 全部台账，或一本台账的字段与流转 | All kinds of ledgers, or the fields and steps of one
    Kinds {
        /// 台账代号 | The kind of ledger
        #[arg(value_name = "KIND")]
        kind: Option<String>,
    },
    /// 在用的机制包（台账、流转与指标的定义） | The packs in force: ledgers, workflows, metrics
    Packs,
    /// 检查机制包文件并发给本街道所有电脑 | Checks pack files and gives them to every machine of the street
    Publish {
        /// 机制包文件 | Pack files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// 收回发布过的机制包，恢复程序自带的定义 | Takes a published pack back; the program's own is in force again
    Withdraw {
        /// 包名，见 packs | Its name; see packs
        #[arg(value_name = "PACK")]
        pack: String,
    },
    /// 各社区销毁过的记录，平台是否已清除 | What communities have erased, and whether this hub is clean
    Erasures,
    /// 从记录重算全部数，与现有的比对 | Counts every figure again and compares
    Recount,
    /// 检查整个日志 | Reads and checks the whole journal
    Audit,
    /// 各空间的摘要，两台一致即内容相同 | Digest of every space; equal means same contents
    Digests,
    /// 备份到一个文件并读回核对；有口令才含密钥 | Backs up to one file and verifies it; keys only with a passphrase
    Backup(BackupFlags),
    /// 从备份恢复到一个空的数据目录（--data） | Restores a backup into an empty data folder (--data)
    Restore {
        #[command(flatten)]
        backup: BackupFlags,
        /// 社区的电脑都已不复存在：不等核对，立即可以写入 | All desks are gone for good: write at once
        #[arg(long)]
        desks_are_lost: bool,
    },
    /// 演练：恢复到临时目录，检查、重算、比对 | Proves a backup: restores it aside, audits, recounts, compares
    Drill(BackupFlags),
    /// 停机检查数据，损坏的救出完好部分 | Checks the data at rest and mends what is damaged
    #[command(alias = "salvage")]
    Repair,
}

#[derive(Debug, Args)]
pub(crate) struct InitFlags {
    /// 区县，小写字母、数字和 - | The district: a-z, 0-9 and -
    #[arg(long, value_name = "DISTRICT", value_parser = DistrictId::parse)]
    pub(crate) district: DistrictId,
    /// 街道，小写字母、数字和 - | The street: a-z, 0-9 and -
    #[arg(long, value_name = "STREET", value_parser = StreetId::parse)]
    pub(crate) street: StreetId,
    /// 平台自己的名字 | The hub's own name
    #[arg(long, value_name = "NAME", default_value = "hub", value_parser = MachineId::parse)]
    pub(crate) name: MachineId,
    /// 在哪里等社区的电脑连接 | Where machines are answered
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7443")]
    pub(crate) listen: SocketAddr,
    /// 社区的电脑用来找到平台的主机名或地址，可给多个，第一个写进邀请 | Host names or addresses of the hub; the first goes into invitations
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DispatchFlags {
    /// 社区 | The community
    #[arg(value_name = "COMMUNITY", value_parser = CommunityId::parse)]
    pub(crate) community: CommunityId,
    /// 记录 | The entry
    #[arg(value_name = "KIND/ID", value_parser = EntryId::parse)]
    pub(crate) entry: EntryId,
    /// 流转动作，如 dispatch、street_reply | The action, such as dispatch or street_reply
    #[arg(long, value_name = "ACTION", required_unless_present = "note")]
    pub(crate) step: Option<String>,
    /// 批注；与 --step 同用时为该步的备注，请勿写个人信息 | A note, or the remark of --step; write nothing personal
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// 业务日期，默认今天 | Business date; today if not given
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// 经办，默认平台名 | Who; the hub's name if not given
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
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
    fn an_init_has_sensible_defaults() {
        let line = "linli-hub init --district jiangbei --street hongqi";
        let Ok(Command::Init(init)) = parse(line) else { panic!("an init") };
        assert_eq!((init.name.as_str(), init.listen.port(), init.host.len()), ("hub", 7443, 0));
    }

    #[test]
    fn a_dispatch_has_a_step_or_a_note() {
        let line = "linli-hub dispatch yili issue/01J";
        assert!(parse(line).is_err());
        assert!(parse(&format!("{line} --note 请尽快")).is_ok());
        assert!(parse(&format!("{line} --step dispatch --note 请尽快 --at 2026-03-06")).is_ok());
    }

    #[test]
    fn a_closing_names_its_period() {
        assert!(parse("linli-hub close").is_err());
        let line = "linli-hub close 2026-Q1 --community yili --note 补录";
        let Ok(Command::Close { period, community, note }) = parse(line) else { panic!("a close") };
        assert_eq!((&*period, note.as_deref()), ("2026-Q1", Some("补录")));
        assert_eq!(community.unwrap().as_str(), "yili");
    }

    #[test]
    fn names_are_parsed_at_the_wall() {
        for wrong in [
            "linli-hub init --district JB --street hongqi",
            "linli-hub invite --community 怡丽",
            "linli-hub invite --community yili --hours 0",
            "linli-hub revoke yili/desk-a",
            "linli-hub entries issue --after issue/01J",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
