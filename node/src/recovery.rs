//! `linli-node recovery`: printing the three sheets, and using two of them.
//!
//! The recovery key is drawn here, divided, and forgotten; the daemon sees its public keys only.
//! It refuses to leave anything secret behind but the pages in the folder it was given.

mod page;
mod sheet;

use std::fs::File;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use linli_domain::seal::DeviceKey;
use linli_runtime::ask::{Answer, Ask, Seed, Trouble};
use linli_runtime::daemon::{local_time, now_millis};
use linli_runtime::terminal::Terminal;
use zeroize::Zeroizing;

use crate::config;
use sheet::{LINES, Sheet, SheetError, read_line};

/// Draws a recovery key, writes three pages into `out` and has the list name it.
pub(crate) fn print(terminal: &Terminal, out: &Path) -> Result<(), Trouble> {
    let daemon = terminal.daemon()?;
    let Answer::Status(status) = terminal.ask(&daemon, &Ask::Status {})? else {
        return Err(not_written("status"));
    };
    let community = status.name.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let offset = config::read(&terminal.data).map_or(0, |config| config.utc_offset_minutes);
    let day = local_time(now_millis() / 1_000, offset)[..10].to_owned();

    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| not_written(&error))?;
    let keys = DeviceKey::derive(&seed).keys();
    let sheets = Sheet::split(&seed, &mut rand::rng());
    for (one, two) in [(0, 1), (1, 2), (2, 0)] {
        let joined = sheets[one].join(&sheets[two]);
        assert!(joined.is_ok_and(|joined| *joined == *seed), "two sheets give the key back");
    }
    let mut written: Vec<PathBuf> = Vec::new();
    let outcome = (0..sheets.len())
        .try_for_each(|nth| {
            let path = out.join(format!("recovery-{community}-{day}-{}.html", nth + 1));
            let mut file = File::create_new(&path)?;
            written.push(path);
            file.write_all(page::render(&sheets[nth], nth, &community, &day).as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| not_written(&error))
        .and_then(|()| {
            let (sealing, signing) =
                (BASE64.encode(&keys.sealing.0), BASE64.encode(&keys.signing.0));
            terminal.ask(&daemon, &Ask::PrintRecovery { sealing, signing })
        });
    let answer = match outcome {
        Err(trouble) => {
            for path in written {
                // A page without a list that names its key opens nothing.
                let _gone = std::fs::remove_file(path);
            }
            return Err(trouble);
        }
        Ok(answer) => answer,
    };
    if terminal.json {
        return terminal.show(&answer);
    }
    let files: Vec<String> = written.iter().map(|path| format!("  {}", path.display())).collect();
    let files = files.join("\n") + "\n";
    terminal.print(&terminal.lang.pick(
        format!(
            "三张恢复单已写好：\n{files}请各打印一张，分开存放，打印后立即删除这些文件（最好写在 U 盘上，用后清除）。\n\
             以前打印的恢复单已作废，请销毁。\n"
        ),
        format!(
            "Three recovery sheets are written:\n{files}Print each, keep them apart, and delete the files at \
             once (best on a stick that is wiped).\nSheets printed before are void: destroy them.\n"
        ),
    ))
}

/// Reads two sheets, from files or from the keyboard, and lets this machine in by them.
pub(crate) fn recover(terminal: &Terminal, files: &[PathBuf]) -> Result<(), Trouble> {
    let (one, two) = match files {
        [one, two] => (read_file(one)?, read_file(two)?),
        _ => (type_in(terminal, 1)?, type_in(terminal, 2)?),
    };
    let seed = one.join(&two).map_err(|error| trouble(error, None))?;
    let daemon = terminal.daemon()?;
    let answer = terminal.ask(&daemon, &Ask::Recover { seed: Seed::new(*seed) })?;
    let Answer::Approved { ring_code } = &answer else { return terminal.show(&answer) };
    if terminal.json {
        return terminal.show(&answer);
    }
    terminal.print(&terminal.lang.pick(
        format!(
            "已恢复：本机可以读写个人信息。社区密钥码 {ring_code}。\n\
             接着：用 devices remove 移除遗失的电脑；用 recovery print 打印新的恢复单。\n"
        ),
        format!(
            "Recovered: this machine reads and writes personal fields. Ring code {ring_code}.\n\
             Next: remove the lost machines with `devices remove`, and print new sheets with \
             `recovery print`.\n"
        ),
    ))
}

fn read_file(path: &Path) -> Result<Sheet, Trouble> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| Trouble {
        code: "file".into(),
        zh: format!("读不出 {}：{error}。", path.display()),
        en: format!("Cannot read {}: {error}.", path.display()),
    })?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Sheet::read(&lines).map_err(|error| trouble(error, Some(&path.display().to_string())))
}

/// Asks for the lines of a sheet; on a keyboard a wrong line is asked for again.
fn type_in(terminal: &Terminal, nth: usize) -> Result<Sheet, Trouble> {
    let input = std::io::stdin();
    let keyboard = input.is_terminal();
    let mut lines: Vec<Zeroizing<String>> = Vec::new();
    while lines.len() < LINES {
        let at = lines.len();
        if keyboard {
            let ask = terminal.lang.pick("恢复单", "Sheet");
            eprint!("{ask} {nth}, {}: ", at + 1);
        }
        let mut line = Zeroizing::new(String::new());
        let read = input.lock().read_line(&mut line).unwrap_or(0);
        if read > 0 && line.trim().is_empty() {
            continue;
        }
        let checked = if read == 0 { Err(SheetError::Lines(at)) } else { read_line(at, &line) };
        match checked {
            Ok(_) => lines.push(line),
            Err(error @ SheetError::Line(_)) if keyboard => {
                let said = trouble(error, None);
                eprintln!("{}", terminal.lang.of(&said));
            }
            Err(error) => return Err(trouble(error, Some(&nth.to_string()))),
        }
    }
    Sheet::read(&lines.iter().map(|line| line.as_str()).collect::<Vec<_>>())
        .map_err(|error| trouble(error, Some(&nth.to_string())))
}

/// `which` is the sheet, by number or file.
fn trouble(error: SheetError, which: Option<&str>) -> Trouble {
    let which = which.map(|which| format!(" {which}")).unwrap_or_default();
    let (code, zh, en) = match error {
        SheetError::Line(line) => (
            "sheet-line",
            format!("恢复单{which}第 {line} 行有输入错误，请对照恢复单重新输入这一行。"),
            format!(
                "Sheet{which}: line {line} is not as printed. Type that line again from the sheet."
            ),
        ),
        SheetError::Lines(lines) => (
            "sheet-lines",
            format!("恢复单{which}应有 {LINES} 行，只有 {lines} 行。请输入完整的两张。"),
            format!(
                "Sheet{which} has {LINES} lines and {lines} were given. Type both sheets in full."
            ),
        ),
        SheetError::Damaged => (
            "sheet-damaged",
            format!("恢复单{which}的各行不属于同一张，或由更新的版本打印。请检查后再输入。"),
            format!(
                "The lines of sheet{which} are not of one sheet, or a newer release printed it. Check and type again."
            ),
        ),
        SheetError::Same => (
            "sheet-twice",
            "两次输入的是同一张恢复单。请输入另一张。".to_owned(),
            "This is one sheet twice. Take another one of the three.".to_owned(),
        ),
        SheetError::Mixed => (
            "sheets-mixed",
            "这两张恢复单不是一套：请核对两张上的社区和打印日期。".to_owned(),
            "These sheets are not of one set: compare community and date on both.".to_owned(),
        ),
    };
    Trouble { code: code.into(), zh, en }
}

fn not_written(error: &(impl std::fmt::Display + ?Sized)) -> Trouble {
    Trouble {
        code: "sheets".into(),
        zh: format!("恢复单没有写成（{error}）。请换一个空的文件夹（--out）再试。"),
        en: format!(
            "The sheets were not written ({error}). Try again with another folder (--out)."
        ),
    }
}
