//! The story the demo plays between two desks of one community: a day without a network.
//!
//! Both desks work apart: the same issue, the same duty turn, a leak that is found by search and
//! closed. Then they meet again. It changes no figure that a report states.

use anyhow::{Context as _, ensure};
use linli_runtime::ask::{Answer, Ask};
use serde_json::json;

use crate::communities::LEAK;
use crate::office::{Daemon, settle};

/// Where it happens.
pub const COMMUNITY: &str = LEAK.community;

/// A sentence in both languages.
#[derive(Debug, Clone)]
pub struct Sentence {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Plays the story; every sentence is said only after what it says was seen.
pub fn play(hub: &Daemon, first: &Daemon, second: &Daemon) -> anyhow::Result<Vec<Sentence>> {
    let mut told = Vec::new();
    let mut tell = |zh: String, en: String| told.push(Sentence { zh, en });

    let shared = first.add("issue", json!({"title": "楼道灯不亮", "category": "lighting"}))?;
    first.step(&shared, "report", "2026-04-15T08:40")?;
    settle(hub, COMMUNITY, &[first, second])?;
    first.set_online(false)?;
    second.set_online(false)?;
    tell("两台电脑都断网".into(), "Both desks are cut off from the network".into());

    first.edit(&shared, json!({"handler": "水电维修队"}))?;
    first.step(&shared, "accept", "2026-04-15T09:00")?;
    second.edit(&shared, json!({"result": "已换灯泡", "handler": "网格员"}))?;
    let turn = json!({"group": "37", "month": "2026-04", "turn": 4});
    let here = first.add("duty_turn", with(&turn, "tasks", json!(["卫生联洁"])))?;
    let there = second.add("duty_turn", with(&turn, "tasks", json!(["治安联防"])))?;
    ensure!(here == there, "two desks derive one id");
    tell(
        "两处改了同一件问题，又各自打开了第 37 组四月的同一条值班".into(),
        "Apart, both edit one issue and both open the April duty turn of group 37".into(),
    );

    let leak = leak(first)?;
    tell(
        format!("草西街漏水：断网中查到住户，当日办结（{leak}）"),
        format!(
            "A leak in 草西街: the household is found offline, and the case closed that day ({leak})"
        ),
    );
    let unsent = first.status()?.unsent;
    ensure!(unsent > 0, "what was written offline waits to be sent");

    first.set_online(true)?;
    second.set_online(true)?;
    settle(hub, COMMUNITY, &[first, second])?;
    tell(
        format!("重新联网：{unsent} 条变更送达，三处一致"),
        format!(
            "Back on the network: {unsent} changes are delivered, and all three replicas agree"
        ),
    );

    for desk in [first, second] {
        let Answer::Entry(entry) = desk.ask(&show(&here))? else {
            anyhow::bail!("the duty turn is there")
        };
        let tasks = entry.fields.get("tasks").and_then(|tasks| tasks.as_array());
        ensure!(tasks.is_some_and(|tasks| tasks.len() >= 2), "both desks' tasks are kept");
    }
    let Answer::Conflicts { conflicts, .. } = second.ask(&Ask::Conflicts { max: 50 })? else {
        anyhow::bail!("conflicts are listed")
    };
    let handler = conflicts
        .iter()
        .find(|conflict| conflict.entry == shared && conflict.field == "handler")
        .context("the field both wrote is listed with its sides")?;
    let other = handler.others.first().map(|(_, value)| value.clone()).unwrap_or_default();
    tell(
        format!("值班合为一条，两处的内容都在；“承办”两说并列待定：{} / {other}", handler.chosen),
        format!(
            "The duty turn is one entry with both contents; the handler both wrote is listed with its sides: {} / {other}",
            handler.chosen
        ),
    );
    Ok(told)
}

/// The leak: found by search, looked up with a reason, closed the same day.
fn leak(desk: &Daemon) -> anyhow::Result<String> {
    // As the neighbour says it on the phone. The street and the room alone name dozens.
    let text = format!("{} {}单元{}室", LEAK.above, LEAK.entrance, LEAK.room);
    let Answer::Entries { entries, .. } = desk.ask(&Ask::Find { text, after: None, max: 20 })?
    else {
        anyhow::bail!("a search gives entries")
    };
    let found: Vec<_> = entries.iter().filter(|found| found.entry.kind() == "household").collect();
    let [household] = found.as_slice() else {
        anyhow::bail!("{} dwellings are found by what the neighbour says, not one", found.len())
    };
    ensure!(household.fields.get("phone").is_some_and(|phone| phone == "•••"), "masked");
    let reason = Some("漏水，联系住户关阀".to_owned());
    let ask = Ask::Show { community: None, entry: household.entry.clone(), reason };
    let Answer::Entry(seen) = desk.ask(&ask)? else { anyhow::bail!("the household is shown") };
    ensure!(seen.fields.get("phone").is_some_and(|phone| phone != "•••"), "the phone is shown");
    let leak = desk.add(
        "issue",
        json!({
            "title": format!("{}漏水", LEAK.above), "category": "leak", "place": "草西街5号楼",
            "household": household.entry.to_string(), "group": LEAK.group,
        }),
    )?;
    desk.step(&leak, "report", "2026-04-15T09:10")?;
    desk.step(&leak, "accept", "2026-04-15T09:12")?;
    desk.step(&leak, "self_handle", "2026-04-15T10:05")?;
    Ok(leak.id().to_owned())
}

fn with(fields: &serde_json::Value, name: &str, value: serde_json::Value) -> serde_json::Value {
    let mut fields = fields.clone();
    fields[name] = value;
    fields
}

fn show(entry: &linli_domain::id::EntryId) -> Ask {
    Ask::Show { community: None, entry: entry.clone(), reason: None }
}
