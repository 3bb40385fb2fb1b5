//! The commands that ask the daemon: each becomes one question, a few become several.

use linli_runtime::ask::{Ask, PAGE_MAX, StepForm, Trouble};
use linli_runtime::backup::Layout;
use linli_runtime::terminal::Terminal;

use crate::cli::{Command, DevicesCommand, RecoveryCommand, StepFlags};
use crate::{bundle, enrol, export, fields, import, recovery};

/// Conflicts shown at most.
const LISTED_MAX: usize = 200;

/// A node's data folder, for its backups.
pub(crate) const LAYOUT: Layout = Layout {
    hub: false,
    settings: "node.toml",
    identity: "identity/identity.pem",
    secrets: &[
        "identity/identity.pem",
        "identity/enrolment.json",
        "keys/device",
        "keys/ring",
        "keys/members",
    ],
};

/// Does what a command says.
pub(crate) fn run(terminal: &Terminal, command: Command) -> Result<(), Trouble> {
    let ask = match command {
        Command::Enrol { token, name, anew } => return enrol::run(terminal, &token, &name, anew),
        Command::ImportJson { file, dry_run } => return import::run(terminal, &file, dry_run),
        Command::ExportJson { kinds, out } => return export::run(terminal, &kinds, out.as_deref()),
        Command::Kinds { kind: Some(kind) } => return terminal.show_kind(&kind),
        Command::Figures(flags) => return terminal.show_figures(&flags),
        Command::Erase { entry, reason, yes } => return terminal.erase(&entry, &reason, yes),
        Command::Backup(flags) => return terminal.backup(LAYOUT, &flags),
        Command::Restore { backup, hub_is_lost } => {
            return terminal.restore(LAYOUT, &backup, hub_is_lost);
        }
        Command::Bundle(command) => return bundle::run(terminal, command),
        Command::Drill(flags) => return terminal.drill(LAYOUT, &flags),
        Command::Repair => return terminal.repair(),
        // The main function runs it, with a runtime of its own.
        Command::Serve { .. } => return Ok(()),
        Command::Add { kind, fields, id } => Ask::Add { kind, id, fields: fields::read(&fields)? },
        Command::Edit { entry, fields } => {
            Ask::Edit { community: None, entry, fields: fields::read(&fields)? }
        }
        Command::Step(flags) => step(flags)?,
        Command::List { kind, state, max, after } => {
            Ask::List { kind, state, community: None, after, max, whole: false }
        }
        Command::Show { entry, follow: true, .. } => return terminal.follow(None, &entry),
        Command::Show { entry, reason, follow: false } => {
            Ask::Show { community: None, entry, reason }
        }
        Command::Find { words, max, after } => Ask::Find { text: words.join(" "), after, max },
        Command::Conflicts => Ask::Conflicts { max: LISTED_MAX },
        Command::Refusals { command } => return terminal.refusals(command),
        Command::Status => Ask::Status {},
        Command::Erasures => Ask::Erasures { max: PAGE_MAX },
        Command::Devices { command: None } => Ask::Devices {},
        Command::Devices { command: Some(DevicesCommand::Remove { machine, yes }) } => {
            confirm(terminal, &machine, yes)?;
            Ask::RemoveDevice { machine }
        }
        Command::Recovery { command: RecoveryCommand::Print { out } } => {
            return recovery::print(terminal, &out);
        }
        Command::Recovery { command: RecoveryCommand::Use { files } } => {
            return recovery::recover(terminal, &files);
        }
        Command::Approve { machine, code } => Ask::Approve { machine, code },
        Command::Recount => Ask::Recount {},
        Command::Audit => Ask::Audit {},
        Command::Digests => Ask::Digests {},
        Command::Online => Ask::Online { online: true },
        Command::Offline => Ask::Online { online: false },
        Command::Kinds { kind: None } => Ask::Kinds {},
        Command::Packs => Ask::Packs {},
    };
    terminal.run(&ask)
}

/// A removal is confirmed by typing the machine's name.
fn confirm(terminal: &Terminal, machine: &str, yes: bool) -> Result<(), Trouble> {
    if yes {
        return Ok(());
    }
    let (zh, en) = ("输入电脑名以确认移除：", "Type the machine's name to remove it: ");
    eprint!("{}", terminal.lang.pick(zh, en));
    let mut typed = String::new();
    let read = std::io::stdin().read_line(&mut typed);
    if read.is_ok() && typed.trim() == machine {
        return Ok(());
    }
    Err(Trouble {
        code: "not-confirmed".into(),
        zh: "输入的名字不一致，没有移除。".into(),
        en: "That is another name; nothing was removed.".into(),
    })
}

fn step(flags: StepFlags) -> Result<Ask, Trouble> {
    let StepFlags { entry, action, fields, at, by, note } = flags;
    let step = StepForm { action, at, by, note };
    Ok(Ask::Step { community: None, entry, step, fields: fields::read(&fields)? })
}
