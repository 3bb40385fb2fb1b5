//! What both command lines have in common: where the data is, in which language, as text or JSON;
//! and help in two languages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Args, Command, CommandFactory, FromArgMatches};
use linli_domain::id::{CommunityId, EntryId};

use super::Lang;
use crate::ask::{FigureQuery, PAGE_MAX};

/// Flags of every command. Help texts are written `中文 | English`; [`localize`] picks one.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// 数据目录 | The folder that holds this machine's data
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// 语言：zh 或 en | Language: zh or en
    #[arg(long, global = true, value_name = "LANG", value_parser = ["zh", "en"], hide_possible_values = true)]
    pub lang: Option<String>,
    /// 以 JSON 输出 | Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// 日志详细程度，如 info、debug 或 linli_runtime=debug | How much to log: info, debug, linli_runtime=debug
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

/// Which figures.
#[derive(Debug, Clone, Default, Args)]
pub struct FigureFlags {
    /// 只看这个指标，如 M03a | Only this metric, such as M03a
    #[arg(long, value_name = "METRIC")]
    pub metric: Option<String>,
    /// 只看这个社区 | Only this community
    #[arg(long, value_name = "COMMUNITY", value_parser = CommunityId::parse)]
    pub community: Option<CommunityId>,
    /// 只看这个网格及其下级 | Only this grid and those below it
    #[arg(long, value_name = "GRID")]
    pub grid: Option<String>,
    /// 期间：2026-03-06、2026-03、2026-Q1、2026、2026-01..2026-03 或 all | Period: 2026-03-06, 2026-03, 2026-Q1, 2026, 2026-01..2026-03 or all
    #[arg(long, value_name = "PERIOD")]
    pub period: Option<String>,
    /// 按类别分列 | One line for each category
    #[arg(long)]
    pub by_category: bool,
    /// 按网格分列 | One line for each grid
    #[arg(long)]
    pub by_grid: bool,
    /// 连同还没有数据的指标 | Also metrics that have nothing to count yet
    #[arg(long)]
    pub all: bool,
    /// 各社区合计 | One line over all communities
    #[arg(long)]
    pub total: bool,
    /// 列出构成这个数的记录（须同时给出 --metric） | List the entries behind the figure (needs --metric)
    #[arg(long, requires = "metric")]
    pub behind: bool,
    /// 最多列出多少条记录 | Entries to list at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_most_a_page)]
    pub max: usize,
    /// 从这条之后接着列 | Continue after this entry
    #[arg(long, value_name = "KIND/ID", value_parser = EntryId::parse, requires = "behind")]
    pub after: Option<EntryId>,
}

impl FigureFlags {
    /// The question they ask.
    pub fn query(&self) -> FigureQuery {
        FigureQuery {
            metric: self.metric.clone(),
            community: self.community.clone(),
            grid: self.grid.clone(),
            period: self.period.clone(),
            by_category: self.by_category,
            by_grid: self.by_grid,
            total: self.total,
        }
    }
}

/// Reads a number of entries that one answer can hold.
pub fn at_most_a_page(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(max) if (1..=PAGE_MAX).contains(&max) => Ok(max),
        _ => Err(format!("1..{PAGE_MAX}")),
    }
}

/// Reads the command line in this language. Help and complaints are printed here; the exit code
/// is what is left to do then.
pub fn parse<C: CommandFactory + FromArgMatches>(lang: Lang) -> Result<C, ExitCode> {
    let matches = localize(C::command(), lang).try_get_matches();
    matches.and_then(|matches| C::from_arg_matches(&matches)).map_err(|error| {
        if error.use_stderr() && lang == Lang::Zh {
            eprintln!("命令写法有误，下面指出是哪一处；加 --help 查看用法。");
        }
        // There is nowhere to complain about a closed terminal.
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// Leaves one language of every `中文 | English` help text, and groups what all commands share.
fn localize(command: Command, lang: Lang) -> Command {
    let version = command.get_version().is_some();
    let about = command.get_about().map(|text| picked(&text.to_string(), lang));
    let mut command = match about {
        Some(about) => command.about(about),
        None => command,
    };
    if lang == Lang::Zh {
        command = command
            .help_template("{about-with-newline}\n用法：{usage}\n\n{all-args}")
            .subcommand_help_heading("命令");
    }
    command = command
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .mut_args(|arg| {
            let heading = match (arg.is_global_set(), arg.is_positional()) {
                (true, _) => lang.pick("通用", "Everywhere"),
                (false, true) => lang.pick("参数", "Arguments"),
                (false, false) => lang.pick("选项", "Options"),
            };
            let help = arg.get_help().map(|text| picked(&text.to_string(), lang));
            let arg = arg.help_heading(heading);
            match help {
                Some(help) => arg.help(help),
                None => arg,
            }
        })
        .arg(own_flag("help", 'h', ArgAction::Help, lang.pick("显示帮助", "Print help"), lang));
    if version {
        let help = lang.pick("显示版本", "Print version");
        command = command.arg(own_flag("version", 'V', ArgAction::Version, help, lang));
    }
    command.mut_subcommands(|inner| localize(inner, lang))
}

fn own_flag(
    name: &'static str,
    short: char,
    action: ArgAction,
    help: &'static str,
    lang: Lang,
) -> Arg {
    let flag = Arg::new(name).short(short).long(name).action(action).help(help);
    flag.help_heading(lang.pick("通用", "Everywhere"))
}

fn picked(text: &str, lang: Lang) -> String {
    match text.split_once(" | ") {
        Some((zh, en)) => lang.pick(zh, en).to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// 试一试 | Tries things
    #[derive(Debug, Parser)]
    struct Try {
        #[command(flatten)]
        common: Common,
        #[command(subcommand)]
        what: What,
    }

    #[derive(Debug, clap::Subcommand)]
    enum What {
        /// 各项数 | The figures
        Figures(FigureFlags),
    }

    fn parse(words: &[&str]) -> Result<Try, clap::Error> {
        let command = localize(Try::command(), Lang::En);
        Try::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    #[test]
    fn help_is_in_one_language_through_all_levels() {
        for (lang, there, not) in [(Lang::Zh, "指标", "metric,"), (Lang::En, "metric", "指标")]
        {
            let mut command = localize(Try::command(), lang);
            let inner = command.find_subcommand_mut("figures").unwrap();
            let help = inner.render_help().to_string();
            assert!(help.contains(there) && !help.contains(not), "{help}");
            assert!(!help.contains(" | "), "{help}");
        }
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for words in
            [["try", "--json", "figures", "--total"], ["try", "figures", "--total", "--json"]]
        {
            let tried = parse(&words).unwrap();
            let What::Figures(flags) = tried.what;
            assert!(tried.common.json && flags.query().total);
        }
        assert!(parse(&["try", "figures", "--community", "No Such"]).is_err());
        assert!(parse(&["try", "figures", "--behind"]).is_err(), "behind which metric?");
        assert!(parse(&["try", "figures", "--max", "501"]).is_err());
    }
}
