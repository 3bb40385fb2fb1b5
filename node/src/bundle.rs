//! `linli-node bundle`: changes carried between desks of a community on a stick.
//!
//! The daemon reads and takes the changes, page by page, so that people's work goes on; the file,
//! its sealing and its signature are dealt with here, with the identity and the keys of the data
//! folder. It refuses a file whole before the first change of it is taken.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use linli_domain::id::{MachineId, Space};
use linli_domain::seal::KeyRing;
use linli_replica::frame::Frame;
use linli_runtime::ask::{
    Answer, Ask, BundleOpened, BundleSpace, BundleStretch, RefusedView, Trouble,
};
use linli_runtime::authority::Identity;
use linli_runtime::bundle::{self, Bundle, BundleError, Desk, Writer};
use linli_runtime::daemon::{CHINA_OFFSET_MINUTES, Keys, local_time, now_millis};
use linli_runtime::enrol;
use linli_runtime::local_api::AskClient;
use linli_runtime::terminal::{Lang, Progress, Terminal};

use crate::cli::BundleCommand;
use crate::serve;

/// Refused changes that are listed; `refused` lists them all.
const LISTED_MAX: usize = 20;

/// Does what the command says.
pub(crate) fn run(terminal: &Terminal, command: BundleCommand) -> Result<(), Trouble> {
    let daemon = terminal.daemon()?;
    let (identity, ring) = secrets(&terminal.data)?;
    let desk = Desk { identity: &identity, ring: &ring, now: now_millis() / 1_000 };
    match command {
        BundleCommand::Export { file, reader, since } => {
            export(terminal, &daemon, desk, &file, reader.as_ref(), since)
        }
        BundleCommand::Import { file } => import(terminal, &daemon, desk, &file),
    }
}

/// This desk's identity and its community's keys.
fn secrets(data: &Path) -> Result<(Identity, KeyRing), Trouble> {
    let unreadable = |error: &dyn std::fmt::Display| Trouble {
        code: "keys".into(),
        zh: format!("本机的证书或密钥读不出来：{error}。请从备份恢复，或重新加入。"),
        en: format!(
            "This desk's certificate or keys cannot be read: {error}. Restore a backup, or enrol anew."
        ),
    };
    let enrolled = enrol::load(&serve::identity_dir(data)).map_err(|error| unreadable(&error))?;
    let enrolled = enrolled.ok_or_else(serve::not_enrolled)?;
    let ring = Keys::below(data).ring().map_err(|error| unreadable(&error))?;
    let ring = ring.ok_or_else(|| Trouble {
        code: "locked".into(),
        zh: "本机还没有社区密钥，不能导出或导入。请先在已批准的电脑上批准本机。".into(),
        en: "This desk has not the community's key yet, and can neither export nor import. Have it approved first."
            .into(),
    })?;
    Ok((enrolled.identity, ring))
}

fn export(
    terminal: &Terminal,
    daemon: &AskClient,
    desk: Desk<'_>,
    file: &Path,
    reader: Option<&MachineId>,
    since: Option<String>,
) -> Result<(), Trouble> {
    let ask = Ask::BundleOpen { reader: reader.cloned(), since: since.clone() };
    let answer = terminal.ask(daemon, &ask)?;
    let Answer::BundleOpened(opened) = answer else { return Err(something_else()) };
    let BundleOpened { said, stretches } = opened;
    let there = stretches.iter().map(|stretch| stretch.until - stretch.after).sum();
    let mut bar = Progress::new(terminal.lang.pick("正在导出", "exporting"), there);
    let mut writer = Writer::create(file, desk, reader).map_err(trouble)?;
    for said in &said {
        writer.put(said.to.as_ref(), &said.frame).map_err(trouble)?;
    }
    let mut changes = 0;
    for stretch in stretches {
        changes += write_stretch(daemon, &mut writer, stretch, reader, &mut bar)?;
    }
    let bytes = writer.finish(&mut |_| ()).map_err(trouble)?;
    drop(bar);
    let name = file.display();
    if terminal.json {
        let told =
            serde_json::json!({"file": name.to_string(), "changes": changes, "bytes": bytes});
        return terminal.print(&format!("{told}\n"));
    }
    let kb = bytes.div_ceil(1_000);
    if let Some(day) = &since {
        terminal.print(&terminal.lang.pick(
            format!("只含 {day} 起存入本机的内容；更早的内容对方如果没有，请不加 --since 再导出一份。\n"),
            format!("Holds only what was stored here since {day}; a desk that lacks older things needs a file without --since.\n"),
        ))?;
    }
    terminal.print(&terminal.lang.pick(
        format!("已导出到 {name}：变更 {changes} 条，约 {kb} KB，已读回核对。文件已加密，只有本社区的电脑能打开。\n下一步：在另一台电脑上运行 linli-node bundle import 文件；再从那里导出一份带回来。\n"),
        format!("Exported to {name}: {changes} changes, about {kb} KB, read back and verified. It is sealed; only desks of this community can open it.\nNext: run `linli-node bundle import FILE` on the other desk, and bring back an export from there.\n"),
    ))
}

/// Writes the changes of one space; how many there were.
fn write_stretch(
    daemon: &AskClient,
    writer: &mut Writer<'_>,
    stretch: BundleStretch,
    reader: Option<&MachineId>,
    bar: &mut Progress,
) -> Result<usize, Trouble> {
    let BundleStretch { space, mut after, until, begins } = stretch;
    writer.put(None, &begins).map_err(trouble)?;
    let mut all = 0;
    while after < until {
        let (reader, space) = (reader.cloned(), space.clone());
        let asked = daemon.ask(&Ask::BundleRead { reader, space, after, until });
        match asked.map_err(|error| error.trouble("linli-node"))? {
            Answer::BundlePage { frame: Some(frame), after: next, changes } => {
                writer.put(None, &frame).map_err(trouble)?;
                (after, all) = (next, all + changes);
                bar.add(changes);
            }
            // A place that cannot be read: the file must not pretend to be whole.
            Answer::BundlePage { .. } => return Err(unread()),
            Answer::Trouble(trouble) => return Err(trouble),
            _ => return Err(something_else()),
        }
    }
    Ok(all)
}

/// What a bundle brought.
#[derive(Debug, Default)]
struct Brought {
    taken: usize,
    known: usize,
    missing: usize,
    later: usize,
    lost: usize,
    refused: Vec<RefusedView>,
    refused_all: usize,
    /// The place each space was read up to, and whether everything on the way was settled.
    spaces: BTreeMap<Space, (u64, bool)>,
    /// The batches that say where a space begins.
    begins: Vec<String>,
    /// The hello that is to this desk, or to anybody: its frame, and its words.
    hello: Option<(String, Vec<(Space, u64)>)>,
    to_me: bool,
}

fn import(
    terminal: &Terminal,
    daemon: &AskClient,
    desk: Desk<'_>,
    file: &Path,
) -> Result<(), Trouble> {
    let size = file.metadata().map_or(0, |meta| meta.len());
    let mut bar = Progress::new(terminal.lang.pick("正在核对", "verifying"), size * 2);
    let bundle = bundle::open(file, desk, &mut |bytes| bar.add(bytes as usize)).map_err(trouble)?;
    drop(bar);
    let mut bar = Progress::new(terminal.lang.pick("正在导入", "importing"), bundle.bytes);
    let brought = take_all(daemon, desk, &bundle, &mut bar)?;
    drop(bar);
    let spaces = close(daemon, &bundle, &brought)?;
    tell(terminal, &bundle, &brought, &spaces)
}

/// Hands every change to the daemon, a batch at a time.
fn take_all(
    daemon: &AskClient,
    desk: Desk<'_>,
    bundle: &Bundle,
    bar: &mut Progress,
) -> Result<Brought, Trouble> {
    let mut brought = Brought::default();
    let mut records = bundle.records(desk.ring).map_err(trouble)?;
    while let Some(record) = records.advance().map_err(trouble)? {
        bar.add(record.bytes);
        let me = desk.identity.peer();
        match record.frame {
            Frame::Hello(hello) => {
                let to_me = record.to.as_ref() == Some(me);
                if to_me || (record.to.is_none() && !brought.to_me) {
                    let heads = hello.spaces.into_iter().map(|told| (told.space, told.head));
                    brought.hello = Some((record.text, heads.collect()));
                    brought.to_me = to_me;
                }
            }
            Frame::Batch(batch) if batch.items.is_empty() => {
                let from = batch.to.map_or(0, |to| to.seq);
                brought.spaces.insert(batch.space, (from, true));
                brought.begins.push(record.text);
            }
            Frame::Batch(batch) => {
                let ask = Ask::BundleTake { from: bundle.head.maker.clone(), frame: record.text };
                let end = batch.to.map_or(0, |to| to.seq);
                take(daemon, &ask, batch.space, end, &mut brought)?;
            }
            _ => {}
        }
    }
    Ok(brought)
}

fn take(
    daemon: &AskClient,
    ask: &Ask,
    space: Space,
    end: u64,
    brought: &mut Brought,
) -> Result<(), Trouble> {
    let answer = daemon.ask(ask).map_err(|error| error.trouble("linli-node"))?;
    let told = match answer {
        Answer::BundleTaken(told) => told,
        Answer::Trouble(trouble) => return Err(trouble),
        _ => return Err(something_else()),
    };
    brought.taken += told.taken;
    brought.known += told.known;
    brought.missing += told.missing;
    brought.later += told.later;
    brought.lost += told.lost;
    brought.refused_all += told.refused.len();
    let room = LISTED_MAX.saturating_sub(brought.refused.len());
    brought.refused.extend(told.refused.into_iter().take(room));
    let (place, whole) = brought.spaces.entry(space).or_default();
    *place = end;
    *whole &= told.missing == 0 && told.later == 0 && told.lost == 0;
    Ok(())
}

/// Lets the daemon draw its conclusions. A space is whole only if the bundle went up to where its
/// maker stood.
fn close(
    daemon: &AskClient,
    bundle: &Bundle,
    brought: &Brought,
) -> Result<Vec<BundleSpace>, Trouble> {
    let Some((hello, heads)) = brought.hello.clone() else { return Ok(Vec::new()) };
    let reached = |(space, head): &(Space, u64)| {
        brought.spaces.get(space).is_some_and(|(place, whole)| *whole && place >= head)
    };
    let whole = heads.iter().filter(|told| reached(told)).map(|(space, _)| space.clone());
    let ask = Ask::BundleClose {
        from: bundle.head.maker.clone(),
        hello,
        to_me: brought.to_me,
        begins: brought.begins.clone(),
        whole: whole.collect(),
    };
    match daemon.ask(&ask).map_err(|error| error.trouble("linli-node"))? {
        Answer::BundleClosed { spaces } => Ok(spaces),
        Answer::Trouble(trouble) => Err(trouble),
        _ => Err(something_else()),
    }
}

fn tell(
    terminal: &Terminal,
    bundle: &Bundle,
    brought: &Brought,
    spaces: &[BundleSpace],
) -> Result<(), Trouble> {
    let Brought { taken, known, missing, later, lost, refused, refused_all, .. } = brought;
    let (maker, complete) = (&bundle.head.maker, spaces.iter().all(|space| space.complete));
    let agreed = spaces.iter().all(|space| space.agreed);
    let left_out: u64 = spaces.iter().map(|space| space.left_out).sum();
    if terminal.json {
        let told = serde_json::json!({
            "from": maker, "made_at": bundle.head.made_at, "taken": taken, "known": known,
            "missing": missing, "later": later, "lost": lost, "refused": refused_all,
            "refusals": refused, "complete": complete, "agreed": agreed,
            "left_out": left_out,
        });
        return terminal.print(&format!("{told}\n"));
    }
    let lang = terminal.lang;
    let machine = &maker.machine;
    let made = local_time(bundle.head.made_at, CHINA_OFFSET_MINUTES);
    let mut text = lang.pick(
        format!("{machine} 于 {made} 导出的文件已收：新变更 {taken} 条，原来就有 {known} 条。\n"),
        format!("Taken from {machine}, exported at {made}: {taken} new changes, {known} were here already.\n"),
    );
    let mut say = |many: usize, zh: &str, en: &str| {
        if many > 0 {
            text.push_str(&lang.pick(format!("{zh}：{many} 条。\n"), format!("{en}: {many}.\n")));
        }
    };
    say(
        *later,
        "磁盘空间不够，没有收；清理磁盘后请再导入一次",
        "Not taken for want of room on the disk; free some, then import again",
    );
    say(
        *missing,
        "前面的变更还没到，或写的电脑本机还不认识，没有收；请让对方不加 --for 和 --since 再导出一份，新加入的电脑须先连一次平台",
        "Not taken, as what they depend on is not here or their desk is not known here; have an export made without --for and --since, and connect to the hub once if a desk is new",
    );
    say(
        *lost,
        "本机写过、现在本机却没有的；请让对方不加 --for 和 --since 再导出一份",
        "Once given by this desk, which no longer has them; have an export made without --for and --since",
    );
    say(
        *refused_all,
        "被拒收，原因见下，全部见 refused",
        "Refused, with reasons below; `refused` lists all",
    );
    for one in refused {
        let entry = one.entry.as_ref().map_or_else(String::new, ToString::to_string);
        let _ = writeln!(text, "  {} · {entry} · {}", one.from, lang.of(&one.words));
    }
    text.push_str(&match (agreed, complete) {
        (true, _) => lang.pick(
            "两台电脑当时的内容已一致。\n".to_owned(),
            "Both desks held the same at that time.\n".to_owned(),
        ),
        (false, true) => lang.pick(
            format!("{machine} 当时有的，本机都有了。本机另有的，请用 linli-node bundle export 文件 --for {machine} 带过去。\n"),
            format!("All that {machine} held then is here. What it lacks goes there with `linli-node bundle export FILE --for {machine}`.\n"),
        ),
        (false, false) => lang.pick(
            format!("{machine} 当时有的，本机还没有收全{}。请让它不加 --for 和 --since 再导出一份。\n", left_out_text(left_out, lang)),
            format!("Not all that {machine} held then is here{}. Have it export once more without --for and --since.\n", left_out_text(left_out, lang)),
        ),
    });
    terminal.print(&text)
}

/// How much the file has left out and this desk has not read.
fn left_out_text(left_out: u64, lang: Lang) -> String {
    match (left_out, lang) {
        (0, _) => String::new(),
        (many, Lang::Zh) => format!("：这份文件之前最多还有 {many} 条变更没有收到"),
        (many, Lang::En) => {
            format!(": up to {many} changes before this file's beginning have not come")
        }
    }
}

fn trouble(error: BundleError) -> Trouble {
    error.trouble()
}

fn unread() -> Trouble {
    Trouble {
        code: "unread".into(),
        zh: "本机有变更读不出来，没有导出。请运行 audit 检查数据。".into(),
        en: "Changes of this desk cannot be read, so nothing was exported. Run `audit`.".into(),
    }
}

fn something_else() -> Trouble {
    Trouble {
        code: "no-answer".into(),
        zh: "服务答非所问。请使用同一版本的命令和服务。".into(),
        en: "The daemon answered something else. Use one version of command and daemon.".into(),
    }
}
