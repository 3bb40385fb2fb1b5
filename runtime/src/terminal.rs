//! What both programs' command lines share: language, tables, progress, and how a question is
//! asked and its answer shown.
//!
//! It refuses to know one program's commands from the other's; those stand in the programs.

mod audits;
mod backup;
mod closings;
mod erasures;
mod figures;
mod flags;
mod kinds;
mod lang;
mod members;
mod progress;
mod refusals;
mod render;
mod standing;
pub mod table;
mod words;

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use backup::BackupFlags;
pub use flags::{Common, FigureFlags, at_most_a_page, parse};
pub use lang::Lang;
use linli_domain::id::{CommunityId, EntryId};
pub use progress::{Progress, waiting};
pub use refusals::RefusalsCommand;
use tracing_subscriber::EnvFilter;

use crate::ask::{Answer, Ask, Trouble};
use crate::local_api::AskClient;

/// Columns of a line that goes into a file.
const FILE_COLUMNS: usize = 240;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.zh, self.en)
    }
}

impl std::error::Error for Trouble {}

/// A person at a command line.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// `linli-node` or `linli-hub`.
    pub program: &'static str,
    /// The language to speak.
    pub lang: Lang,
    /// Print answers as JSON.
    pub json: bool,
    /// Where the daemon's data is.
    pub data: PathBuf,
}

impl Terminal {
    /// The daemon over the data folder. Names of things that only the hub's packs know are learnt
    /// from it on the way.
    pub fn daemon(&self) -> Result<AskClient, Trouble> {
        let daemon = AskClient::find(&self.data).map_err(|error| error.trouble(self.program))?;
        if let Ok(Answer::Packs { packs }) = daemon.ask(&Ask::Packs {}) {
            words::learn(&packs);
        }
        Ok(daemon)
    }

    /// Asks the daemon; a trouble comes back as an error.
    pub fn ask(&self, daemon: &AskClient, ask: &Ask) -> Result<Answer, Trouble> {
        let what = self.lang.pick("请稍候", "one moment");
        match waiting(what, || daemon.ask(ask)) {
            Ok(Answer::Trouble(trouble)) => Err(trouble),
            Ok(answer) => Ok(answer),
            Err(error) => Err(error.trouble(self.program)),
        }
    }

    /// Asks the daemon one thing and shows the answer.
    pub fn run(&self, ask: &Ask) -> Result<(), Trouble> {
        let answer = self.ask(&self.daemon()?, ask)?;
        self.show(&answer)
    }

    /// Asks for figures and shows them. Where no metric is named, those that have nothing to count
    /// are left out of what a person reads, unless all are wanted.
    pub fn show_figures(&self, flags: &FigureFlags) -> Result<(), Trouble> {
        if flags.behind {
            return self.run(&Ask::Behind {
                figure: flags.query(),
                after: flags.after.clone(),
                max: flags.max,
            });
        }
        let answer = self.ask(&self.daemon()?, &Ask::Figures(flags.query()))?;
        let Answer::Figures { mut figures } = answer else { return self.show(&answer) };
        let all = figures.len();
        if !self.json && !flags.all && flags.metric.is_none() {
            figures.retain(figures::counts_anything);
        }
        let left_out = all - figures.len();
        self.show(&Answer::Figures { figures })?;
        if left_out == 0 {
            return Ok(());
        }
        self.print(&self.lang.pick(
            format!("另有 {left_out} 个数还是 0，加 --all 一并显示。\n"),
            format!("{left_out} more figures are 0 so far; --all shows them.\n"),
        ))
    }

    /// Shows an entry, and again each time it has changed, until the daemon ends or a person stops it.
    pub fn follow(&self, community: Option<&CommunityId>, entry: &EntryId) -> Result<(), Trouble> {
        let daemon = self.daemon()?;
        let what =
            self.lang.pick("等待变化，按 Ctrl-C 结束", "waiting for a change; Ctrl-C ends it");
        let mut seen = None;
        loop {
            let (community, entry) = (community.cloned(), entry.clone());
            let ask = Ask::Follow { community, entry, seen: seen.clone() };
            let answer = match waiting(what, || daemon.ask(&ask)) {
                Ok(Answer::Trouble(trouble)) => return Err(trouble),
                Ok(answer) => answer,
                Err(error) => return Err(error.trouble(self.program)),
            };
            let Answer::Entry(view) = &answer else { return self.show(&answer) };
            if seen.as_ref() == Some(&view.digest) {
                continue;
            }
            let apart = if seen.is_some() && !self.json { "\n" } else { "" };
            if !write(&format!("{apart}{}", self.text(&answer)))? {
                return Ok(());
            }
            seen = Some(view.digest.clone());
        }
    }

    /// Shows the definition of a kind: what fields a form of it has, and which steps it knows.
    pub fn show_kind(&self, kind: &str) -> Result<(), Trouble> {
        // Without a daemon the program's own definitions are shown.
        let _learnt = self.daemon();
        let text = kinds::page(kind, self.lang, self.json, columns())?;
        self.print(&text)
    }

    /// Shows an answer: as a person reads it, or as one line of JSON.
    pub fn show(&self, answer: &Answer) -> Result<(), Trouble> {
        self.print(&self.text(answer))
    }

    /// Prints text; who closed the pipe wants no more.
    pub fn print(&self, text: &str) -> Result<(), Trouble> {
        write(text).map(|_| ())
    }

    fn text(&self, answer: &Answer) -> String {
        if self.json {
            format!("{}\n", json(answer))
        } else {
            render::answer(answer, self.lang, columns())
        }
    }

    /// How the program ends: a trouble is said on the error stream, and is JSON where JSON is
    /// wanted.
    pub fn end(&self, outcome: Result<(), Trouble>) -> ExitCode {
        let Err(trouble) = outcome else { return ExitCode::SUCCESS };
        if self.json {
            // The sentence below says the same; a closed pipe wants neither.
            let _ = self.print(&format!("{}\n", json(&Answer::Trouble(trouble.clone()))));
        }
        eprintln!("{}: {}", self.program, self.lang.of(&trouble));
        ExitCode::FAILURE
    }
}

/// Logs go to the error stream: names, counts and ids. Automerge opens a span for every column of
/// every change and writes down what is in it, which in a profile of a cold push was 8 % of the
/// work of a hub's links: it is heard only when it is asked for by name.
pub fn log(filter: &str) {
    let asked_for = filter.contains("automerge");
    let filter = if asked_for { filter.to_owned() } else { format!("{filter},automerge=warn") };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(filter))
        .init();
}

/// Where data is kept unless `--data` or `LINLI_DATA` says otherwise: the user's own folder for
/// `what`, such as `~/.local/share/linli/node`.
pub fn data_dir(given: Option<&Path>, what: &str) -> PathBuf {
    let set =
        |name: &str| std::env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    if let Some(given) = given {
        return given.to_owned();
    }
    if let Some(data) = set("LINLI_DATA") {
        return data;
    }
    let home = set("XDG_DATA_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .or_else(|| set("HOME").map(|home| home.join(".local").join("share")))
        .unwrap_or_default();
    home.join("linli").join(what)
}

/// Prints text; false if nobody reads it any more.
fn write(text: &str) -> Result<bool, Trouble> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Trouble {
            code: "output".into(),
            zh: format!("输出写不出去：{error}"),
            en: format!("The output cannot be written: {error}."),
        }),
    }
}

/// Figures are a list of objects, everything else is the answer itself.
fn json(answer: &Answer) -> String {
    let text = match answer {
        Answer::Figures { figures } => serde_json::to_string(figures),
        answer => serde_json::to_string(answer),
    };
    text.expect("an answer is made of texts, numbers and lists")
}

/// Columns of the terminal that people look at; many where the output goes into a file.
fn columns() -> usize {
    let terminal = console::Term::stdout();
    terminal.size_checked().map_or(FILE_COLUMNS, |(_, columns)| usize::from(columns).max(40))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_a_list_of_objects_and_troubles_name_themselves() {
        let figures = Answer::Figures { figures: vec![serde_json::json!({"metric": "M01"})] };
        assert_eq!(json(&figures), r#"[{"metric":"M01"}]"#);
        assert_eq!(json(&Answer::Done {}), r#"{"answer":"done"}"#);
    }

    #[test]
    fn the_given_folder_comes_first() {
        let given = Path::new("here");
        assert_eq!(data_dir(Some(given), "node"), given);
        assert!(
            data_dir(None, "node").ends_with("linli/node")
                || std::env::var_os("LINLI_DATA").is_some()
        );
    }
}
