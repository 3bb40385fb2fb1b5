//! How a machine stands: what `status` shows.
//!
//! It refuses to show what no person can act upon.

use std::fmt::Write as _;

use super::render::listed;
use super::table::Table;
use super::{Lang, audits, erasures, members};
use crate::ask::Status;
use crate::limits::MEGABYTE;

/// What `status` shows, in lines of about `columns` columns.
pub(super) fn page(status: &Status, lang: Lang, columns: usize) -> String {
    let mut text = format!("{} · {} · {}\n", status.name, status.role, status.version);
    let mut line = |zh: &str, en: &str, value: &str| {
        let _ = writeln!(text, "{}{value}", lang.pick(zh, en));
    };
    if let Some(code) = &status.code {
        line("等待批准，核对码：", "Waits for approval, code: ", code);
        line(
            "在已批准的电脑上运行：",
            "On an approved machine run: ",
            &format!(
                "linli-node approve {} --code {code}",
                status.name.rsplit('/').next().unwrap_or_default()
            ),
        );
    }
    if let Some(code) = &status.ring_code {
        line("社区密钥码：", "Ring code: ", code);
    }
    for warning in status.list.iter().flat_map(|list| members::warnings(list, lang)) {
        line("电脑名单：", "Member list: ", &warning);
    }
    line("未送达：", "Unsent: ", &status.unsent.to_string());
    if status.refused > 0 {
        line("被拒收：", "Refused: ", &format!("{} (refusals)", status.refused));
    }
    for (zh, en, value) in [
        ("上次成功同步：", "Last success: ", &status.last_success),
        ("上次尝试：", "Last attempt: ", &status.last_attempt),
        ("上次失败原因：", "Last error: ", &status.last_error),
    ] {
        if let Some(value) = value {
            line(zh, en, value);
        }
    }
    for found in &status.found {
        let state = match (&found.peer, &found.last_error) {
            (Some(peer), _) => peer.rsplit('/').next().unwrap_or_default(),
            (None, Some(error)) => error,
            (None, None) => lang.pick("正在连接", "dialling"),
        };
        line("办公室里找到：", "Found in the office: ", &format!("{} · {state}", found.address));
    }
    if status.links.iter().any(|link| link.resting && !link.agreed) {
        line("限量：", "Limit: ", lang.pick(PUT_OFF.0, PUT_OFF.1));
    }
    if let Some(hub) = &status.second_life {
        line("同名：", "Same name: ", &second_life(&status.name, hub, lang));
    }
    for (name, at) in &status.doubled {
        line("同名：", "Same name: ", &doubled(name, at, lang));
    }
    if status.restored {
        line("恢复：", "Restored: ", lang.pick(RESTORED.0, RESTORED.1));
    }
    if status.unclean > 0 {
        line("销毁：", "Erasures: ", &erasures::unclean(status.unclean, lang));
    }
    if let Some(free) = status.free_bytes {
        let megabytes = format!("{} MB · ", free / MEGABYTE);
        line("磁盘：", "Disk: ", &(megabytes + audits::too_little_room(lang)));
    }
    audits::lines(&status.audit, lang, &mut line);
    if let Some(now) = &status.connections {
        let counts = match lang {
            Lang::Zh => format!(
                "{} / {}，未表明身份 {}，让位 {}",
                now.machines, now.machines_max, now.strangers, now.turned_away
            ),
            Lang::En => format!(
                "{} of {}, strangers {}, turned away {}",
                now.machines, now.machines_max, now.strangers, now.turned_away
            ),
        };
        line("连接：", "Connections: ", &counts);
    }
    for name in &status.slowed {
        let todo = lang.pick(
            "不断违反规则，已放慢。请联系该处查明；不再信任时运行 linli-hub revoke",
            "goes on breaking the rules and is slowed. Ask its office; run `linli-hub revoke` if it is not to be trusted",
        );
        line("放慢：", "Slowed: ", &format!("{name} {todo}"));
    }
    for note in &status.store {
        line("存储：", "Store: ", note);
    }
    let mut spaces = Table::new(lang.pick(["空间", ">变更"], ["Space", ">Changes"]));
    for space in &status.spaces {
        spaces.row([space.space.to_string(), space.changes.to_string()]);
    }
    if !spaces.is_empty() {
        let _ = write!(text, "\n{}", spaces.render(columns));
    }
    let mut links = Table::new(
        lang.pick(["对端", "空间", "状态", ">未送达"], ["Peer", "Space", "State", ">Unsent"]),
    );
    for link in &status.links {
        let state = match (link.agreed, link.resting) {
            (true, _) => lang.pick("一致", "agrees"),
            (false, true) => lang.pick("今日已到限量", "put off"),
            (false, false) => lang.pick("同步中", "catching up"),
        };
        links.row([
            link.peer.clone(),
            link.space.to_string(),
            state.into(),
            link.unsent.to_string(),
        ]);
    }
    let none = lang.pick("现在没有连接。", "No link stands now.");
    let _ = write!(text, "\n{}", listed(&links, columns, none));
    text
}

/// What a machine is told that goes on under the name of another.
fn second_life(name: &str, hub: &str, lang: Lang) -> String {
    let community = name.rsplit('/').nth(1).unwrap_or_default();
    lang.pick(
        format!(
            "另一台电脑也在用 {name} 这个名字（硬盘是复制的，或放回了旧的副本），{hub} 不再接收本机的内容。\
             本机的内容都在，没有丢失。请街道平台运行 linli-hub invite --community {community}，停止本机的服务，\
             再运行 linli-node enrol <邀请> --name <新名字> --anew；重新启动后，本机写下的都会送达。"
        ),
        format!(
            "another computer uses the name {name}, too (its disk was copied, or an old copy was put back), \
             and {hub} takes nothing of this one. All that was written here is kept. Have `linli-hub invite \
             --community {community}` run, stop the daemon here, and run `linli-node enrol TOKEN --name \
             NEW-NAME --anew`; once it is started again everything goes up."
        ),
    )
}

/// What a hub is told of a machine that is there twice.
fn doubled(name: &str, at: &str, lang: Lang) -> String {
    lang.pick(
        format!(
            "有两台电脑都叫 {name}（{at} 发现）：硬盘是复制的，或放回了旧的副本。平台继续接收原来的那台，不收另一台。\
             请运行 linli-hub invite 发一个邀请，让另一台以新名字重新登记（它的 status 写着怎么做）。\
             原来那台已经不在时，运行 linli-hub accept {name} 改为接收另一台。"
        ),
        format!(
            "two computers go on under the name {name} (seen {at}): a disk was copied, or an old copy was put \
             back. This hub goes on with the one it knew and takes nothing of the other. Give an invitation \
             (`linli-hub invite`) so that the other is enrolled anew, as its `status` says. If the first one \
             is gone, `linli-hub accept {name}` lets the other go on in its place."
        ),
    )
}

/// What a machine that was restored from a backup is told until it has met its peers.
const RESTORED: (&str, &str) = (
    "从备份恢复，正等待与对端核对；核对一致之前只能查看。",
    "From a backup; it waits to meet its peers, and is for reading only until it agrees with them.",
);

/// What a desk that is put off is told.
const PUT_OFF: (&str, &str) = (
    "街道平台今天不再接收本机的数据，数据都在本机，没有丢失，一天之内会自动继续。急需时请街道平台的管理员在 hub.toml 里调高 node_megabytes_per_day。",
    "The hub takes no more from this machine today. Nothing is lost; it goes on by itself within a \
     day. If it cannot wait, ask the hub's operator to raise node_megabytes_per_day in hub.toml.",
);
