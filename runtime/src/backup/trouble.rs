//! What goes wrong with backups and repairs, in sentences that say what to do next.

use linli_store::journal::OpenError;
use linli_store::store::SalvageRealError;

use super::{BackupError, RepairError};
use crate::ask::Trouble;

impl BackupError {
    /// The same in both languages; `program` is `linli-node` or `linli-hub`.
    pub fn trouble(&self, program: &str) -> Trouble {
        let (code, zh, en) = match self {
            Self::File { path, source } => {
                let path = path.display();
                (
                    "file",
                    format!("{path} 读写不了：{source}。请检查路径、权限和磁盘空间，再试一次。"),
                    format!(
                        "{path} cannot be read or written: {source}. Check path, rights and disk space, then try again."
                    ),
                )
            }
            Self::NoMachine { data } => {
                let data = data.display();
                (
                    "no-machine",
                    format!("{data} 里没有可备份的数据。请用 --data 指明数据目录。"),
                    format!("{data} holds nothing to back up. Name the data folder with --data."),
                )
            }
            Self::Journal(OpenError::InUse { .. }) => (
                "in-use",
                "程序在运行，却没有回答。稍候再试；仍不行就先停止它，再做备份。".to_owned(),
                "The program runs but does not answer. Try again in a moment, or stop it first."
                    .to_owned(),
            ),
            Self::Journal(error) => (
                "journal",
                format!("日志不完好，没有做备份：{error}。请先停止程序，运行 {program} repair，再备份。"),
                format!(
                    "The journal is not sound, so there is no backup: {error}. Stop the program, run `{program} repair`, then back up."
                ),
            ),
            Self::Occupied { path } => {
                let path = path.display();
                (
                    "occupied",
                    format!("{path} 已经有内容，保留不动。请换一个新的名字。"),
                    format!("{path} holds something already, which is kept. Give another name."),
                )
            }
            Self::Foreign => (
                "not-a-backup",
                "这不是邻里的备份文件，或文件开头已损坏。请核对文件名，或换一份备份。".to_owned(),
                "This is not a backup of ours, or its beginning is damaged. Check the name, or use another backup."
                    .to_owned(),
            ),
            Self::Newer { version } => (
                "newer",
                format!("备份由更新的版本写成（格式 {version}）。请使用新版的 {program}。"),
                format!("The backup has format {version}, newer than this program's. Use a newer {program}."),
            ),
            Self::Damaged { what } => (
                "damaged",
                format!("备份已损坏，不能使用（{what}）。请换一份备份；如是复制来的，请重新复制。"),
                format!(
                    "The backup is damaged and cannot be used ({what}). Use another one; if it was copied, copy it again."
                ),
            ),
            Self::Sealed => (
                "sealed",
                "备份有口令保护。请用 --passphrase-file 给出口令文件，或在终端里运行后输入。".to_owned(),
                "The backup is sealed. Give its passphrase with --passphrase-file, or run this on a terminal and type it."
                    .to_owned(),
            ),
            Self::WrongPassphrase => (
                "passphrase",
                "口令不对，打不开备份。请核对口令后再试。".to_owned(),
                "The passphrase does not open this backup. Check it and try again.".to_owned(),
            ),
            Self::OtherRole { name } => {
                let other = if program == "linli-hub" { "linli-node" } else { "linli-hub" };
                (
                    "other-role",
                    format!("这是 {name} 的备份，请改用 {other}。"),
                    format!("This is a backup of {name}; use {other}."),
                )
            }
            Self::Disproved(wrong) => (
                "drill",
                format!("演练没有通过，这份备份不可靠：{}。请另做一份备份并再次演练。", wrong.join("；")),
                format!(
                    "The drill failed, do not rely on this backup: {}. Make another one and drill it.",
                    wrong.join("; ")
                ),
            ),
            Self::Opened(error) => return error.trouble(program),
            Self::Random(error) => (
                "random",
                format!("系统没有给出随机数：{error}。请重新启动电脑再试。"),
                format!("The system gives no random numbers: {error}. Restart the machine and try again."),
            ),
        };
        Trouble { code: code.into(), zh, en }
    }
}

impl RepairError {
    /// The same in both languages; `program` is `linli-node` or `linli-hub`.
    pub fn trouble(&self, program: &str) -> Trouble {
        let (code, zh, en) = match self {
            Self::Nothing => (
                "no-machine",
                "这里没有数据，无从修复。请用 --data 指明数据目录。".to_owned(),
                "There is no data here to repair. Name the data folder with --data.".to_owned(),
            ),
            Self::Journal(OpenError::InUse { path })
            | Self::Salvage(SalvageRealError::Open(OpenError::InUse { path })) => {
                let path = path.display();
                (
                    "in-use",
                    format!("{path} 正由运行中的程序使用。请先停止它，再运行 {program} repair。"),
                    format!(
                        "{path} is in use. Stop the program first, then run `{program} repair`."
                    ),
                )
            }
            Self::Journal(OpenError::Newer { .. }) => (
                "newer",
                format!("数据由更新的版本写成，请使用新版的 {program}。"),
                format!("The data was written by a newer version; use that version of {program}."),
            ),
            other => (
                "repair",
                format!(
                    "没有修好：{other}。请检查磁盘，复制整个数据目录，再试一次；仍不行就从备份恢复。"
                ),
                format!(
                    "Not repaired: {other}. Check the disk, copy the data folder, and try again; else restore a backup."
                ),
            ),
        };
        Trouble { code: code.into(), zh, en }
    }
}
