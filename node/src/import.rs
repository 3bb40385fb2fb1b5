//! `linli-node import-json`: one JSON object a line into the ledgers, all or nothing.
//!
//! The whole file is read and checked before the first record is written. A refused record is
//! named with its line and the reason, so that it can be mended and the file given again.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use linli_runtime::ask::{Answer, Ask, PAGE_MAX, RecordForm, Trouble};
use linli_runtime::limits::QUESTION_BYTES_MAX;
use linli_runtime::local_api::{AskClient, fault_of};
use linli_runtime::terminal::{Progress, Terminal};

/// Records of one question may take this much; the rest is the question around them.
const CHUNK_BYTES_MAX: usize = QUESTION_BYTES_MAX - 64 * 1024;
/// Refused records named on the terminal; all of them are in the JSON answer.
const NAMED_MAX: usize = 50;

/// A record and where it stands.
struct Line {
    number: usize,
    bytes: usize,
    record: RecordForm,
}

/// What an import came to.
#[derive(Default)]
struct Outcome {
    added: usize,
    changed: usize,
    unchanged: usize,
    /// By line number.
    refused: Vec<(usize, Trouble)>,
}

/// Imports a file, or standard input for `-`.
pub(crate) fn run(terminal: &Terminal, file: &Path, dry_run: bool) -> Result<(), Trouble> {
    let daemon = terminal.daemon()?;
    let mut outcome = Outcome::default();
    let lines = read(file, &mut outcome)?;
    let what = terminal.lang.pick("检查", "checking");
    send(terminal, &daemon, &lines, true, what, &mut outcome)?;
    outcome.refused.sort_by_key(|(line, _)| *line);
    if outcome.refused.is_empty() && !dry_run {
        outcome = Outcome::default();
        let what = terminal.lang.pick("写入", "writing");
        send(terminal, &daemon, &lines, false, what, &mut outcome)?;
    }
    tell(terminal, outcome, dry_run)
}

fn read(file: &Path, outcome: &mut Outcome) -> Result<Vec<Line>, Trouble> {
    let unreadable = |error: io::Error| Trouble {
        code: "file".into(),
        zh: format!("读不了 {}：{error}。", file.display()),
        en: format!("Cannot read {}: {error}.", file.display()),
    };
    let reader: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(unreadable)?))
    };
    let mut lines = Vec::new();
    for (at, line) in reader.lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let text = line.trim().trim_start_matches('\u{feff}');
        if text.is_empty() {
            continue;
        }
        let number = at + 1;
        match serde_json::from_str(text) {
            Ok(record) if text.len() <= CHUNK_BYTES_MAX => {
                lines.push(Line { number, bytes: text.len(), record });
            }
            Ok(_) => outcome.refused.push((number, too_long())),
            Err(error) => outcome.refused.push((number, not_a_record(&error))),
        }
    }
    Ok(lines)
}

fn too_long() -> Trouble {
    Trouble {
        code: "too-large".into(),
        zh: "这一行太长。".into(),
        en: "The line is too long.".into(),
    }
}

fn not_a_record(error: &serde_json::Error) -> Trouble {
    const FORM: &str = r#"{"kind": …, "fields": {…}, "steps": […]}"#;
    Trouble {
        code: "bad-line".into(),
        zh: format!("不是一条记录（{}）。应写成 {FORM}", fault_of(error)),
        en: format!("This is not a record ({}). It should be {FORM}", fault_of(error)),
    }
}

/// Sends the records, as many at a time as one question may hold.
fn send(
    terminal: &Terminal,
    daemon: &AskClient,
    lines: &[Line],
    dry_run: bool,
    what: &str,
    outcome: &mut Outcome,
) -> Result<(), Trouble> {
    let mut progress = Progress::new(what, lines.len() as u64);
    for chunk in chunks(lines) {
        let records = chunk.iter().map(|line| line.record.clone()).collect();
        let answer = daemon
            .ask(&Ask::Import { records, dry_run })
            .map_err(|error| error.trouble(terminal.program))?;
        match answer {
            Answer::Imported { added, changed, unchanged, refused } => {
                outcome.added += added;
                outcome.changed += changed;
                outcome.unchanged += unchanged;
                let refused =
                    refused.into_iter().filter_map(|(at, why)| Some((chunk.get(at)?.number, why)));
                outcome.refused.extend(refused);
            }
            Answer::Trouble(trouble) => return Err(trouble),
            _ => return Err(strange()),
        }
        progress.add(chunk.len());
    }
    Ok(())
}

fn strange() -> Trouble {
    Trouble {
        code: "strange-answer".into(),
        zh: "服务的回答不对。请使用同一版本的命令和服务。".into(),
        en: "The daemon gave a strange answer. Use one version of command and daemon.".into(),
    }
}

fn chunks(mut lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    std::iter::from_fn(move || {
        if lines.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = lines.iter().take(PAGE_MAX).take_while(|line| {
            bytes += line.bytes + 1;
            bytes <= CHUNK_BYTES_MAX
        });
        // One line always fits: longer ones were refused when the file was read.
        let (chunk, rest) = lines.split_at(fits.count().max(1));
        lines = rest;
        Some(chunk)
    })
}

fn tell(terminal: &Terminal, outcome: Outcome, dry_run: bool) -> Result<(), Trouble> {
    let Outcome { added, changed, unchanged, refused } = outcome;
    let bad = refused.len();
    if !terminal.json {
        for (line, why) in refused.iter().take(NAMED_MAX) {
            eprintln!(
                "{}: {}",
                terminal.lang.pick(format!("第 {line} 行"), format!("line {line}")),
                terminal.lang.of(why)
            );
        }
        if bad > NAMED_MAX {
            eprintln!("… {}", bad - NAMED_MAX);
        }
    }
    if terminal.json || bad == 0 {
        terminal.show(&Answer::Imported { added, changed, unchanged, refused })?;
    }
    if bad == 0 {
        if dry_run && !terminal.json {
            let text =
                terminal.lang.pick("只检查，没有写入。\n", "Checked only; nothing was written.\n");
            terminal.print(text)?;
        }
        return Ok(());
    }
    Err(Trouble {
        code: "refused-records".into(),
        zh: format!("{bad} 条有误，没有写入任何记录。请按上面的说明改好，再导入整个文件。"),
        en: format!(
            "{bad} records are wrong, so nothing was written. Mend them and import the whole file again."
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn line(number: usize, bytes: usize) -> Line {
        let record = RecordForm {
            kind: "issue".into(),
            id: None,
            fields: BTreeMap::new(),
            steps: Vec::new(),
        };
        Line { number, bytes, record }
    }

    #[test]
    fn chunks_keep_both_bounds_and_every_line() {
        let half = CHUNK_BYTES_MAX / 2;
        let sizes = [half, half, 10, CHUNK_BYTES_MAX, 1];
        let mut lines: Vec<Line> =
            sizes.iter().enumerate().map(|(at, size)| line(at, *size)).collect();
        lines.extend((5..1_500).map(|at| line(at, 10)));
        let mut seen = Vec::new();
        for chunk in chunks(&lines) {
            assert!(chunk.len() <= PAGE_MAX);
            let bytes: usize = chunk.iter().map(|line| line.bytes).sum();
            assert!(bytes <= CHUNK_BYTES_MAX, "{bytes}");
            seen.extend(chunk.iter().map(|line| line.number));
        }
        assert_eq!(seen, (0..1_500).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_line_is_named_and_blank_ones_are_passed_over() {
        let dir = std::env::temp_dir().join(format!("linli-import-{}", std::process::id()));
        let text = "\u{feff}{\"kind\":\"issue\",\"fields\":{\"title\":\"灯\"}}\n\n{\"kind\":1}\n{\"kid\":\"issue\"}\n";
        std::fs::write(&dir, text).unwrap();
        let mut outcome = Outcome::default();
        let lines = read(&dir, &mut outcome).unwrap();
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1]);
        let bad: Vec<usize> = outcome.refused.iter().map(|(line, _)| *line).collect();
        assert_eq!(bad, [3, 4]);
        assert!(
            outcome.refused[1].1.en.contains("unknown field `kid`"),
            "{:?}",
            outcome.refused[1]
        );
        let told = not_a_record(&serde_json::from_str::<RecordForm>(r#""段干星野""#).unwrap_err());
        assert!(!told.en.contains("段干星野") && told.en.contains("line 1"), "{}", told.en);
    }
}
