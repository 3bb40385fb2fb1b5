//! What goes wrong with bundles, in sentences that say what to do next.

use super::BundleError;
use crate::ask::Trouble;

impl BundleError {
    /// The same in both languages.
    pub fn trouble(&self) -> Trouble {
        let (code, zh, en) = match self {
            Self::File { path, source } => {
                let path = path.display();
                (
                    "file",
                    format!("{path} 读写不了：{source}。请检查 U 盘和路径，再试一次。"),
                    format!("{path} cannot be read or written: {source}. Check the stick and the path, then try again."),
                )
            }
            Self::Occupied { path } => {
                let path = path.display();
                (
                    "occupied",
                    format!("{path} 已经有内容，保留不动。请换一个新的名字。"),
                    format!("{path} holds something already, which is kept. Give another name."),
                )
            }
            Self::NotOne => (
                "not-a-bundle",
                "这不是邻里的交换文件，或文件开头已损坏。请核对文件名，或重新导出。".to_owned(),
                "This is not a bundle of ours, or its beginning is damaged. Check the name, or export anew."
                    .to_owned(),
            ),
            Self::Newer => (
                "newer",
                "文件由更新的版本写成，没有收。请先更新本机的程序。".to_owned(),
                "A newer version wrote this bundle, and nothing of it was taken. Update this desk first."
                    .to_owned(),
            ),
            Self::OtherCommunity { maker } => (
                "other-community",
                format!("这是别的社区的交换文件（{maker}），没有收。请换成本社区电脑导出的文件。"),
                format!("This bundle is of another community ({maker}), and nothing of it was taken. Use one that a desk of this community exported."),
            ),
            Self::Own => (
                "own-bundle",
                "这份文件就是本机导出的，不用收。请拿到另一台电脑上导入。".to_owned(),
                "This desk made the bundle itself, so there is nothing to take. Import it on another desk."
                    .to_owned(),
            ),
            Self::Stranger { why } => (
                "stranger",
                format!("文件的证书不可信，没有收（{why}）。请问清文件来自哪台电脑，并在那里重新导出。"),
                format!("The bundle's certificate is not to be trusted, and nothing of it was taken ({why}). Find out which desk made it, and export it there anew."),
            ),
            Self::Damaged { what } => (
                "damaged",
                format!("文件已损坏或被改动，没有收（{what}）。请重新复制；仍不行就重新导出。"),
                format!("The bundle is damaged or was altered, and nothing of it was taken ({what}). Copy it again, or export it anew."),
            ),
            Self::Locked { epoch } => (
                "locked",
                format!("本机没有打开这份文件的社区密钥（第 {epoch} 期）。请先在已批准的电脑上批准本机。"),
                format!("This desk lacks the community's key (epoch {epoch}) that opens the bundle. Have it approved first."),
            ),
            Self::Random(_) => (
                "random",
                "系统不给随机数，没有导出。请重启电脑再试。".to_owned(),
                "The system gives no random numbers, so nothing was exported. Restart the machine and try again."
                    .to_owned(),
            ),
        };
        Trouble { code: code.into(), zh, en }
    }
}
