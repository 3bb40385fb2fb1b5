//! `linli-node enrol`: joins a community, and leaves a data folder that `serve` can run on.

use std::path::{Path, PathBuf};

use linli_domain::id::MachineId;
use linli_runtime::ask::{Ask, Trouble};
use linli_runtime::daemon::Keys;
use linli_runtime::enrol::{EnrolError, Token, enrol};
use linli_runtime::local_api::AskClient;
use linli_runtime::terminal::{Terminal, waiting};
use linli_runtime::tls::{Clock, ConnectError};

use crate::{config, serve};

/// Uses an invitation, makes the keys and writes the first settings.
pub(crate) fn run(
    terminal: &Terminal,
    token: &str,
    name: &MachineId,
    anew: bool,
) -> Result<(), Trouble> {
    let data = &terminal.data;
    let token = Token::parse(token).map_err(|error| Trouble {
        code: "bad-token".into(),
        zh: "这不是完整的邀请。请从 linli1- 起整行复制，再试一次。".into(),
        en: format!("{error}."),
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| plain("runtime", &error))?;
    let place = serve::identity_dir(data);
    let dir = if anew { fresh_place(terminal, &place)? } else { place.clone() };
    let enrolled = waiting(terminal.lang.pick("正在加入", "joining"), || {
        runtime.block_on(enrol(&token, name, &dir, &Clock::system()))
    })
    .map_err(|error| trouble(&error))?;

    if anew {
        // The old identity and machine key stay beside the new ones: they are another machine's.
        put_aside(&place).map_err(|error| plain("file", &error))?;
        put_aside(&data.join("keys").join("device")).map_err(|error| plain("file", &error))?;
        std::fs::rename(&dir, &place).map_err(|error| plain("file", &error))?;
    }
    let keys = Keys::below(data);
    keys.device().map_err(|error| plain("keys", &error))?;
    // A ledger that was restored without its keys must get them back, not a second ring.
    let founding = enrolled.founding && !data.join("journal").exists();
    if founding {
        keys.found().map_err(|error| plain("keys", &error))?;
    }
    let path = config::path(data);
    if !path.exists() {
        std::fs::write(&path, config::first_text(&enrolled.hub))
            .map_err(|error| plain("file", &error))?;
    }
    let peer = enrolled.identity.peer();
    if terminal.json {
        let told = serde_json::json!({
            "name": peer.to_string(), "hub": enrolled.hub, "founding": founding,
        });
        return terminal.print(&format!("{told}\n"));
    }
    terminal.print(&farewell(terminal, &peer.to_string(), founding, data))
}

/// Where the new identity of a machine that has one is made, before it takes the old one's place. A
/// daemon that runs would go on under the old name.
fn fresh_place(terminal: &Terminal, place: &Path) -> Result<PathBuf, Trouble> {
    if !place.exists() {
        return Err(Trouble {
            code: "not-enrolled".into(),
            zh: "本机还没有加入过社区，请去掉 --anew。".into(),
            en: "This machine was never enrolled; leave out --anew.".into(),
        });
    }
    let runs = AskClient::find(&terminal.data).is_ok_and(|it| it.ask(&Ask::Status {}).is_ok());
    if runs {
        return Err(Trouble {
            code: "running".into(),
            zh: "本机的服务正在运行。请先停止它，再重新登记。".into(),
            en: "The daemon of this machine runs. Stop it first, then enrol anew.".into(),
        });
    }
    Ok(place.with_extension("new"))
}

/// Gives a file or folder a name that says that it is of before.
fn put_aside(path: &Path) -> std::io::Result<()> {
    let aside = (1..).map(|nth| path.with_extension(format!("before-{nth}")));
    let free = aside.into_iter().find(|aside| !aside.exists()).expect("numbers do not end");
    std::fs::rename(path, free)
}

fn farewell(terminal: &Terminal, name: &str, founding: bool, data: &Path) -> String {
    let data = data.display();
    let (zh, en) = if founding {
        (
            format!(
                "本机是本社区的第一台电脑，已生成社区密钥。请把 {data}/keys 复制到安全的地方。"
            ),
            format!(
                "This is the community's first machine; it made the community's key. Keep a copy of \
                 {data}/keys in a safe place."
            ),
        )
    } else {
        (
            "启动后请在已批准的电脑上运行 approve，核对本机 status 显示的代码。".to_owned(),
            "Once it runs, approve it on an approved desk: compare the code that `status` shows here."
                .to_owned(),
        )
    };
    terminal.lang.pick(
        format!("已加入：{name}\n{zh}\n下一步：linli-node serve --data {data}\n"),
        format!("Joined as {name}\n{en}\nNext: linli-node serve --data {data}\n"),
    )
}

fn plain(code: &str, error: &dyn std::error::Error) -> Trouble {
    Trouble {
        code: code.into(),
        zh: format!("没有完成：{error}。请检查数据目录的权限和磁盘空间，再试一次。"),
        en: format!(
            "Not done: {error}. Check the data folder's rights and the disk, then try again."
        ),
    }
}

fn trouble(error: &EnrolError) -> Trouble {
    let (code, zh) = match error {
        EnrolError::Already { dir } => (
            "already",
            format!("本机已经加入过（{}）。要以另一个名字重新登记，请加 --anew。", dir.display()),
        ),
        EnrolError::Connect(ConnectError::Unreachable { address, source }) => {
            ("unreachable", format!("连不上 {address}（{source}）。请检查网络，或向街道核对地址。"))
        }
        EnrolError::Connect(ConnectError::Silent { address }) => {
            ("silent", format!("{address} 没有回答。请检查网络，稍后再试。"))
        }
        EnrolError::Connect(error) => {
            ("connect", format!("与街道平台的安全连接没有建立：{error}。请核对本机日期和邀请。"))
        }
        EnrolError::NotAccepted => {
            ("not-accepted", "邀请无效：可能已用过或已过期。请向街道要一个新的。".to_owned())
        }
        EnrolError::NameTaken => {
            ("name-taken", "社区里已有（或曾有）同名的电脑，请换一个名字。".to_owned())
        }
        EnrolError::Busy => ("busy", "街道平台正忙，请过一分钟再试。".to_owned()),
        EnrolError::Hub { why } => ("hub", format!("街道平台没有办成：{why}。请联系街道。")),
        EnrolError::Lost { why } => {
            ("lost", format!("连接中断（{why}）。请再试一次，邀请仍然有效。"))
        }
        EnrolError::WrongAnswer => {
            ("wrong-answer", "平台给的证书不是发给本机的，没有采用。请联系街道。".to_owned())
        }
        other => return plain("enrol", other),
    };
    let mut en = error.to_string();
    en.push('.');
    Trouble { code: code.into(), zh, en }
}
