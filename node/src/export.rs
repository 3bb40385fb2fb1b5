//! `linli-node export-json`: whole ledgers as one JSON object a line, in the form that
//! `import-json` reads.
//!
//! It refuses to export from a desk that cannot read personal fields: the copy would be missing
//! them without saying so.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use linli_runtime::ask::{Answer, Ask, EntryView, PAGE_MAX, RecordForm, StepForm, Trouble};
use linli_runtime::local_api::AskClient;
use linli_runtime::terminal::{Progress, Terminal};

/// Housekeeping of one community's machines, which means nothing elsewhere; exported by name only.
const OWN: [&str; 3] = ["device", "pack", "erasure"];

/// Exports the kinds named, or all, to a file or standard output.
pub(crate) fn run(
    terminal: &Terminal,
    kinds: &[String],
    out: Option<&Path>,
) -> Result<(), Trouble> {
    let daemon = terminal.daemon()?;
    if let Answer::Status(status) = terminal.ask(&daemon, &Ask::Status {})?
        && !status.unlocked
    {
        return Err(Trouble {
            code: "locked".into(),
            zh: "本机还读不了个人信息，导出会缺内容。请先在已批准的电脑上批准本机。".into(),
            en: "This desk cannot read personal fields yet, so the export would lack them. Have it approved first.".into(),
        });
    }
    let kinds = match kinds {
        [] => all_kinds(terminal, &daemon)?,
        named => named.to_vec(),
    };
    match out {
        None => {
            let mut sink = BufWriter::new(io::stdout().lock());
            write_all(terminal, &daemon, &kinds, &mut sink).map(|_| ())
        }
        Some(path) => {
            let fresh = path.with_extension("partial");
            let unwritable = |error: io::Error| file_trouble(path, &error);
            let mut sink = BufWriter::new(private(&fresh).map_err(unwritable)?);
            let many = write_all(terminal, &daemon, &kinds, &mut sink)?;
            let file = sink.into_inner().map_err(|error| unwritable(error.into_error()))?;
            file.sync_all().map_err(unwritable)?;
            std::fs::rename(&fresh, path).map_err(unwritable)?;
            let path = path.display();
            if terminal.json {
                let told = serde_json::json!({"records": many, "file": path.to_string()});
                return terminal.print(&format!("{told}\n"));
            }
            terminal.print(&terminal.lang.pick(
                format!("已导出 {many} 条到 {path}。文件含个人信息，请妥善保管。\n"),
                format!(
                    "Exported {many} records to {path}. They hold personal data; keep them safe.\n"
                ),
            ))
        }
    }
}

fn all_kinds(terminal: &Terminal, daemon: &AskClient) -> Result<Vec<String>, Trouble> {
    match terminal.ask(daemon, &Ask::Kinds {})? {
        Answer::Kinds { kinds } => {
            let names = kinds.into_iter().map(|kind| kind.kind);
            Ok(names.filter(|name| !OWN.contains(&name.as_str())).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn write_all(
    terminal: &Terminal,
    daemon: &AskClient,
    kinds: &[String],
    sink: &mut impl Write,
) -> Result<usize, Trouble> {
    let mut progress = Progress::new(terminal.lang.pick("导出", "exporting"), 0);
    let mut many = 0;
    for kind in kinds {
        let mut after = None;
        loop {
            let ask = Ask::List {
                kind: kind.clone(),
                state: None,
                community: None,
                after,
                max: PAGE_MAX,
                whole: true,
            };
            let answer = daemon.ask(&ask).map_err(|error| error.trouble(terminal.program))?;
            let (entries, next) = match answer {
                Answer::Entries { entries, next, .. } => (entries, next),
                Answer::Trouble(trouble) => return Err(trouble),
                _ => (Vec::new(), None),
            };
            progress.add(entries.len());
            many += entries.len();
            for entry in entries {
                let line = serde_json::to_string(&record(entry))
                    .expect("a record is made of texts, numbers and lists");
                match writeln!(sink, "{line}") {
                    // Who reads the pipe has had enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(many),
                    Err(error) => return Err(file_trouble(Path::new("-"), &error)),
                    Ok(()) => {}
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    sink.flush().map_err(|error| file_trouble(Path::new("-"), &error))?;
    Ok(many)
}

/// The form that import reads.
fn record(view: EntryView) -> RecordForm {
    let steps = view.steps.into_iter().map(|step| StepForm {
        action: step.action,
        at: Some(step.at).filter(|at| !at.is_empty()),
        by: Some(step.by).filter(|by| !by.is_empty()),
        note: step.note,
    });
    RecordForm {
        kind: view.entry.kind().to_owned(),
        id: Some(view.entry.id().to_owned()),
        fields: view.fields,
        steps: steps.collect(),
    }
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    File::create(path)
}

fn file_trouble(path: &Path, error: &io::Error) -> Trouble {
    Trouble {
        code: "file".into(),
        zh: format!("写不了 {}：{error}。", path.display()),
        en: format!("Cannot write {}: {error}.", path.display()),
    }
}
