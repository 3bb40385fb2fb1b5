//! The commands that ask the hub's daemon: each becomes one question, a few become several.

use std::path::PathBuf;

use linli_runtime::ask::{Answer, Ask, EntryView, PAGE_MAX, PackFile, StepForm, Trouble};
use linli_runtime::backup::Layout;
use linli_runtime::terminal::Terminal;

use crate::cli::{Command, DispatchFlags};
use crate::init;

/// The side move by which a street writes a note into an entry.
const NOTE_ACTION: &str = "dispatch_note";

/// A hub's data folder, for its backups. Invitations stay out: one that was used since could be
/// used once more.
pub(crate) const LAYOUT: Layout = Layout {
    hub: true,
    settings: "hub.toml",
    identity: "identity/identity.pem",
    secrets: &["identity/identity.pem", "authority/authority.pem", "machines.json"],
};

/// Does what a command says.
pub(crate) fn run(terminal: &Terminal, command: Command) -> Result<(), Trouble> {
    let ask = match command {
        Command::Init(flags) => return init::run(terminal, &flags),
        Command::Kinds { kind: Some(kind) } => return terminal.show_kind(&kind),
        Command::Figures(flags) => return terminal.show_figures(&flags),
        Command::Backup(flags) => return terminal.backup(LAYOUT, &flags),
        Command::Restore { backup, desks_are_lost } => {
            return terminal.restore(LAYOUT, &backup, desks_are_lost);
        }
        Command::Drill(flags) => return terminal.drill(LAYOUT, &flags),
        Command::Repair => return terminal.repair(),
        // The main function runs it, with a runtime of its own.
        Command::Serve => return Ok(()),
        Command::Entries { kind: None, community, state, max, .. } => {
            return every_ledger(terminal, |kind| Ask::List {
                kind,
                state: state.clone(),
                community: community.clone(),
                after: None,
                max,
                whole: false,
            });
        }
        Command::Entries { kind: Some(kind), community, state, max, after } => {
            Ask::List { kind, state, community, after, max, whole: false }
        }
        Command::Show { community, entry, follow: true } => {
            return terminal.follow(Some(&community), &entry);
        }
        Command::Show { community, entry, follow: false } => {
            Ask::Show { community: Some(community), entry, reason: None }
        }
        Command::Invite { community, hours } => Ask::Invite { community, hours },
        Command::Nodes => Ask::Nodes {},
        Command::Dispatch(flags) => dispatch(flags),
        Command::Close { period, community, note } => Ask::Close { period, community, note },
        Command::Revoke { machine } => Ask::Revoke { machine: machine.to_string() },
        Command::Accept { machine } => Ask::AcceptLife { machine: machine.to_string() },
        Command::Status => Ask::Status {},
        Command::Refusals { command } => return terminal.refusals(command),
        Command::Kinds { kind: None } => Ask::Kinds {},
        Command::Packs => Ask::Packs {},
        Command::Publish { files } => Ask::Publish { files: pack_files(&files)? },
        Command::Withdraw { pack } => Ask::Withdraw { pack },
        Command::Erasures => Ask::Erasures { max: PAGE_MAX },
        Command::Recount => Ask::Recount {},
        Command::Audit => Ask::Audit {},
        Command::Digests => Ask::Digests {},
    };
    terminal.run(&ask)
}

fn pack_files(paths: &[PathBuf]) -> Result<Vec<PackFile>, Trouble> {
    let read = |path: &PathBuf| {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(PackFile { file, text }),
            Err(error) => Err(Trouble {
                code: "file".into(),
                zh: format!("读不出 {file}：{error}。请检查路径，文件须为 UTF-8 文本。"),
                en: format!(
                    "{file} cannot be read: {error}. Check the path; it must be UTF-8 text."
                ),
            }),
        }
    };
    paths.iter().map(read).collect()
}

fn dispatch(flags: DispatchFlags) -> Ask {
    let DispatchFlags { community, entry, step, note, at, by } = flags;
    let action = step.unwrap_or_else(|| NOTE_ACTION.to_owned());
    Ask::Step {
        community: Some(community),
        entry,
        step: StepForm { action, at, by, note },
        fields: Default::default(),
    }
}

/// Lists every ledger that has entries, one after the other; housekeeping kinds are no ledgers.
fn every_ledger(terminal: &Terminal, list: impl Fn(String) -> Ask) -> Result<(), Trouble> {
    let daemon = terminal.daemon()?;
    let Answer::Kinds { kinds } = terminal.ask(&daemon, &Ask::Kinds {})? else { return Ok(()) };
    let mut entries: Vec<EntryView> = Vec::new();
    let mut more = false;
    for kind in kinds.into_iter().filter(|kind| !kind.ledger.is_empty()) {
        let answer = terminal.ask(&daemon, &list(kind.kind))?;
        if let Answer::Entries { entries: page, more: cut, .. } = answer {
            entries.extend(page);
            more |= cut;
        }
    }
    terminal.show(&Answer::Entries { entries, next: None, more })
}
