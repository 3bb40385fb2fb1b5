//! `linli-node`: a community's office machine, as a daemon and as the commands that speak to it.
//!
//! The daemon owns the data folder; every other command asks it over its local API. Nothing here
//! knows how a change travels.

mod api;
mod bundle;
mod cli;
mod commands;
mod config;
mod desk;
mod enrol;
mod export;
mod fields;
mod import;
mod recovery;
mod serve;
mod uplinks;

use std::process::ExitCode;

use linli_runtime::ask::Trouble;
use linli_runtime::config::ConfigError;
use linli_runtime::daemon::{DaemonError, EXIT_JOURNAL};
use linli_runtime::terminal::{self, Lang, Terminal};

use cli::{Cli, Command};
use config::Config;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let lang = Lang::choose(words.iter().map(String::as_str), |name| std::env::var(name).ok());
    let Cli { common, command } = match terminal::parse(lang) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let data = terminal::data_dir(common.data.as_deref(), "node");
    let mut terminal = Terminal { program: "linli-node", lang, json: common.json, data };
    let config = match config::read(&terminal.data) {
        Ok(config) => config,
        Err(error) => return terminal.end(Err(settings_trouble(&error))),
    };
    if common.lang.is_none() {
        let set = config.language.as_deref().and_then(Lang::parse);
        terminal.lang = set.unwrap_or(lang);
    }
    match command {
        Command::Serve { offline } => {
            let filter = common.log.unwrap_or_else(|| config.log.clone());
            terminal::log(&filter);
            serve(&terminal, config, offline)
        }
        command => {
            terminal::log(common.log.as_deref().unwrap_or("warn"));
            let outcome = commands::run(&terminal, command);
            terminal.end(outcome)
        }
    }
}

fn serve(terminal: &Terminal, config: Config, offline: bool) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(serve::run(&terminal.data, config, offline)));
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if let Some(trouble) = error.downcast_ref::<Trouble>() {
        return terminal.end(Err(trouble.clone()));
    }
    eprintln!("{}: {error:#}", terminal.program);
    match error.downcast_ref::<DaemonError>() {
        Some(DaemonError::Commit(_) | DaemonError::Panicked) => ExitCode::from(EXIT_JOURNAL),
        _ => ExitCode::FAILURE,
    }
}

fn settings_trouble(error: &ConfigError) -> Trouble {
    Trouble {
        code: "settings".into(),
        zh: format!("设置文件有误，请改正后再试：{error}"),
        en: format!("The settings are wrong; mend them and try again: {error}"),
    }
}
