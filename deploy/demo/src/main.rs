//! `cargo demo`: a street on this machine. Real processes keep the ledgers of six communities,
//! work without a network, meet again, and the hub's board shows what the reports state.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use linli_demo::board::{Board, Line};
use linli_demo::communities::{Community, communities};
use linli_demo::office::{Daemon, Programs, Street, approve, settle};
use linli_demo::story;
use linli_runtime::terminal::{Lang, Progress, waiting};

/// The demo: six communities, one hub, one truth.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", version)]
struct Options {
    /// Compare every figure with the reported value, fail on any difference, and end.
    #[arg(long)]
    check: bool,
    /// Write the board as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the data here instead of in a temporary folder; it must be empty.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// `zh` or `en`; the environment's where absent.
    #[arg(long, value_name = "LANG")]
    lang: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("演示没有完成 / the demo did not finish: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A community at work.
struct Office {
    community: Community,
    desks: Vec<Daemon>,
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let lang = language(options.lang.as_deref());
    let temporary = tempfile::Builder::new().prefix("linli 演示 ").tempdir()?;
    let dir = options.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    anyhow::ensure!(
        std::fs::read_dir(&dir)?.next().is_none(),
        "{} is not empty; name an empty folder",
        dir.display()
    );

    say(lang.pick("编译两个程序 …", "Building the two programs …"));
    let programs = waiting(lang.pick("编译", "building"), || Programs::build(true))?;
    say(lang.pick("建立街道平台，六个社区登记 …", "Founding the hub, enrolling six communities …"));
    let street = Street::found(&programs, &dir)?;
    let offices = enrol(&street)?;

    let total: usize = offices.iter().map(|office| office.community.records.len()).sum();
    say(&lang.pick(
        format!("录入台账 {total} 条 …"),
        format!("Entering {total} records of their ledgers …"),
    ));
    enter(&offices, total, lang)?;
    for office in &offices {
        let desks: Vec<&Daemon> = office.desks.iter().collect();
        settle(&street.hub, office.community.slug, &desks)?;
    }

    let office = offices.iter().find(|office| office.community.slug == story::COMMUNITY);
    let office = office.context("the community of the story is among the six")?;
    let [first, second] = office.desks.as_slice() else { anyhow::bail!("it has two desks") };
    for sentence in story::play(&street.hub, first, second)? {
        say(&format!("  · {}", lang.pick(sentence.zh, sentence.en)));
    }

    say(lang.pick("核对各处的摘要 …", "Comparing the digests of all replicas …"));
    for office in &offices {
        let desks: Vec<&Daemon> = office.desks.iter().collect();
        settle(&street.hub, office.community.slug, &desks)?;
        let digests = street.hub.digests(office.community.slug)?;
        let shown: Vec<String> =
            digests.iter().map(|(space, digest)| format!("{space} {digest}")).collect();
        let name = lang.pick(office.community.zh, office.community.en);
        let agree = lang.pick("台电脑与平台一致", "desk(s) and the hub agree");
        say(&format!("  ✓ {name}: {} {agree} · {}", office.desks.len(), shown.join(" · ")));
    }

    let board = Board::measure(&street.hub)?;
    say("");
    std::io::stdout().write_all(board.render(lang).as_bytes())?;
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&board.json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("{}", file.display()))?;
    }
    if options.check {
        return Ok(verdict(&board, lang));
    }
    look_around(&street, &offices, &programs, lang);
    until_ctrl_c()?;
    Ok(ExitCode::SUCCESS)
}

fn enrol(street: &Street) -> anyhow::Result<Vec<Office>> {
    let mut offices = Vec::new();
    for community in communities() {
        let mut desks = Vec::new();
        for at in 0..community.desks {
            let name = format!("desk-{}", char::from(b'a' + at));
            desks.push(street.desk(community.slug, &name)?);
        }
        if let [first, others @ ..] = desks.as_slice() {
            for other in others {
                approve(first, other)?;
            }
        }
        offices.push(Office { community, desks });
    }
    Ok(offices)
}

fn enter(offices: &[Office], total: usize, lang: Lang) -> anyhow::Result<()> {
    let mut progress = Progress::new(lang.pick("录入", "entering"), total as u64);
    for office in offices {
        let first = office.desks.first().context("every community has a desk")?;
        let records: Vec<serde_json::Value> =
            office.community.records.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        for part in records.chunks(linli_runtime::ask::PAGE_MAX) {
            first.import(part).with_context(|| office.community.slug)?;
            progress.add(part.len());
        }
    }
    Ok(())
}

fn verdict(board: &Board, lang: Lang) -> ExitCode {
    let wrong: Vec<&Line> = board.lines.iter().filter(|line| !line.agrees()).collect();
    let total = board.lines.len();
    for line in &wrong {
        let reported = line.reported_text();
        say(&format!(
            "✗ {} {} {}: {} ≠ {reported}",
            line.community, line.metric, line.period, line.text
        ));
    }
    let right = total - wrong.len();
    say(&lang.pick(
        format!("{total} 个数中 {right} 个与报告一致"),
        format!("{right} of {total} figures say what the reports say"),
    ));
    println!("demo: {right} passed, {} failed", wrong.len());
    if wrong.is_empty() && total > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn look_around(street: &Street, offices: &[Office], programs: &Programs, lang: Lang) {
    say(lang.pick(
        "各程序仍在运行，另开一个终端看看（Ctrl-C 结束）：",
        "Everything goes on running; look around from another terminal (Ctrl-C ends it):",
    ));
    let hub = format!("{} --data '{}'", programs.hub.display(), street.hub.data().display());
    say(&format!("  {hub} figures --metric M01"));
    say(&format!("  {hub} nodes"));
    if let Some(desk) = offices.first().and_then(|office| office.desks.first()) {
        let node = format!("{} --data '{}'", programs.node.display(), desk.data().display());
        say(&format!("  {node} status"));
        say(&format!("  {node} find 草西街"));
        say(&format!("  {node} list issue"));
    }
}

fn until_ctrl_c() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    Ok(())
}

fn language(asked: Option<&str>) -> Lang {
    let environment = std::env::var("LANG").ok();
    asked.or(environment.as_deref()).and_then(Lang::parse).unwrap_or(Lang::Zh)
}

fn say(line: &str) {
    println!("{line}");
}
