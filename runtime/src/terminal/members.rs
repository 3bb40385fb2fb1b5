//! The community's machines as people read them: the list, a removal, and what is odd.

use std::fmt::Write as _;

use super::Lang;
use super::table::Table;
use crate::ask::{DeviceView, ListView};

/// Machines on the list and those that wait.
pub(super) fn page(devices: &[DeviceView], lang: Lang, columns: usize) -> String {
    if devices.is_empty() {
        return format!("{}\n", lang.pick("还没有电脑。", "There are no machines yet."));
    }
    let heads = lang.pick(
        ["电脑", "状态", "起", "批准者", "核对码"],
        ["Machine", "State", "Since", "Let in by", "Code"],
    );
    let mut table = Table::new(heads);
    for device in devices {
        let state = match (&device.removed, device.approved, device.differs) {
            (Some(day), ..) => {
                let by = device.removed_by.as_deref().unwrap_or_default();
                match lang {
                    Lang::Zh => format!("{day} 被移除（{by}）"),
                    Lang::En => format!("removed {day} by {by}"),
                }
            }
            (None, true, _) => lang.pick("已批准", "approved").to_owned(),
            (None, false, true) => {
                lang.pick("密钥与名单不符", "keys differ from the list").to_owned()
            }
            (None, false, false) => lang.pick("等待批准", "waits for approval").to_owned(),
        };
        let revoked = lang.pick("，证书已停用", ", certificate revoked");
        let state = if device.revoked { state + revoked } else { state };
        let (since, by) = (device.since.as_deref(), device.by.as_deref());
        let (since, by) = (since.unwrap_or_default(), by.unwrap_or_default());
        table.row([device.machine.as_str(), &state, since, by, &device.code]);
    }
    let mut text = table.render(columns);
    let _ = writeln!(
        text,
        "{}",
        lang.pick(
            "电脑遗失、报废或被街道平台停用后，请运行 devices remove <电脑>，换用新的密钥。",
            "When a machine is lost, scrapped or shut out by the street office, run `devices remove \
             MACHINE`: the others go on under a new key.",
        )
    );
    text
}

/// What a removal did, and what it cannot do.
pub(super) fn removed(machine: &str, epoch: u32, left: u64, lang: Lang) -> String {
    match lang {
        Lang::Zh => format!(
            "已移除 {machine}，开始第 {epoch} 期密钥，名单上还有 {left} 台电脑，它们下次同步后换用新密钥。\n\
             此后封存的内容它打不开；它原来已有的内容仍在那台电脑上，无法收回。\n\
             请街道平台同时停用它的证书。\n"
        ),
        Lang::En => format!(
            "{machine} is removed and key epoch {epoch} begins; the {left} machines left on the list \
             take it at their next sync.\nIt opens nothing sealed from then on. What it already held \
             stays with it and cannot be called back.\nHave the street office revoke its certificate \
             too.\n"
        ),
    }
}

/// What a person should know about the list, one sentence each.
pub(super) fn warnings(list: &ListView, lang: Lang) -> Vec<String> {
    let mut said: Vec<&str> = Vec::new();
    let mut say = |holds: bool, zh, en| {
        if holds {
            said.push(lang.pick(zh, en));
        }
    };
    say(
        list.removed,
        "本机已被移除，今后封存的内容在本机打不开。如有误，请在另一台电脑上重新批准本机。",
        "This machine was removed and opens nothing sealed since. If that is wrong, approve it again on another machine.",
    );
    say(
        list.begun && !list.listed && !list.removed,
        "本机还不在名单上。请在名单上的电脑批准本机，核对上面的代码。",
        "This machine is not on it yet. Approve it on one that is, with the code above.",
    );
    say(
        list.doubted > 0,
        "收到不可信的声明（伪造、被改动，或出自已移除的电脑），已不予理会。请告诉街道平台，并查看 devices。",
        "Statements came that are not believed: forged, altered, or by a removed machine. They have no effect. Tell the street office, and look at `devices`.",
    );
    say(
        list.waiting > 0,
        "有声明缺少前一条，可能还在路上，也可能被扣留。过一天仍如此，请与其他电脑直接同步。",
        "A statement came without one before it: on its way, or held back. If it stays so for a day, sync with another machine directly.",
    );
    say(
        list.ring_refused,
        "收到的密钥与本机或名单不符，没有采用。请重新批准本机，并核对代码。",
        "A key was put here that fits neither this machine nor the list; it is not used. Approve this machine again and compare the code.",
    );
    say(
        list.lacking > 0,
        "还缺一把社区密钥，与其他电脑同步后会自动补上。",
        "A key of the community is missing; it comes with the next sync with another machine.",
    );
    say(
        list.withheld > 0,
        "有一把密钥由已移除的电脑启用，没有交给本机；用它封存的内容在本机读不出，其他工作照常。若有别的电脑持有，同步后会自动补上。",
        "A machine that was removed began a key and did not give it to this one: what was sealed with it cannot be read here, all else goes on. If another machine has it, it comes with the next sync.",
    );
    say(
        list.listed && list.recovery_printed.is_none(),
        "还没有打印恢复单。全部电脑遗失时只有它能读回个人信息，请运行 recovery print。",
        "No recovery sheets are printed. If all machines are lost, only they bring personal fields back: run `recovery print`.",
    );
    said.into_iter().map(str::to_owned).collect()
}
