//! `node.toml`: what a person may set about this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use linli_runtime::config::{self, ConfigError};
use linli_runtime::daemon::CHINA_OFFSET_MINUTES;
use linli_runtime::limits::{FREE_BYTES_MIN, MEGABYTE};
use serde::Deserialize;

/// The settings of a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The hub's `host:port`; the invitation's where absent.
    pub(crate) hub: Option<String>,
    /// Port of the local API on this machine; 0 for any free one.
    pub(crate) api_port: u16,
    /// Minutes ahead of UTC, for local dates.
    pub(crate) utc_offset_minutes: i32,
    /// `zh` or `en`; the environment's where absent.
    pub(crate) language: Option<String>,
    /// What is logged.
    pub(crate) log: String,
    /// Megabytes kept free on the disk; 0 never looks.
    pub(crate) free_megabytes_min: u64,
    /// Links within the office.
    pub(crate) lan: Lan,
}

/// Links to other desks of the community over the office network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lan {
    /// Answer other desks here.
    pub(crate) listen: Option<SocketAddr>,
    /// Desks to dial, `host:port`.
    pub(crate) neighbours: Vec<String>,
    /// Look for desks, and be found; only where this desk answers.
    pub(crate) discover: bool,
}

impl Default for Lan {
    fn default() -> Self {
        Self { listen: None, neighbours: Vec::new(), discover: true }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hub: None,
            api_port: 0,
            utc_offset_minutes: CHINA_OFFSET_MINUTES,
            language: None,
            log: "info".to_owned(),
            free_megabytes_min: FREE_BYTES_MIN / MEGABYTE,
            lan: Lan::default(),
        }
    }
}

/// Where the settings of a data folder are.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("node.toml")
}

/// Reads the settings; those of a folder without a file are the defaults.
pub(crate) fn read(data: &Path) -> Result<Config, ConfigError> {
    let path = path(data);
    if path.exists() { config::read(&path) } else { Ok(Config::default()) }
}

/// The file that enrolment leaves, every setting explained.
pub(crate) fn first_text(hub: &str) -> String {
    let free_megabytes_min = FREE_BYTES_MIN / MEGABYTE;
    format!(
        r#"# linli-node 的设置。改后重新启动生效。
# Settings of linli-node. A restart makes a change effective.

# 街道平台的地址。 The hub's address.
hub = "{hub}"

# 本机命令使用的端口，只在本机开放；0 为任选。 Port for commands, open on this machine only; 0 picks one.
api_port = 0

# 本地时间比 UTC 早多少分钟：中国为 480。 Minutes ahead of UTC: 480 in China.
utc_offset_minutes = {CHINA_OFFSET_MINUTES}

# 语言：zh 或 en；不写则随系统。 Language: zh or en; the system's if not set.
# language = "zh"

# 日志：error、warn、info 或 debug。 How much to log.
log = "info"

# 磁盘至少留多少兆字节，不足时暂停写入，腾出空间后自动继续；0 为不检查。
# Megabytes kept free on the disk: with less nothing is saved until there is room; 0 never looks.
free_megabytes_min = {free_megabytes_min}

# 同一社区的几台电脑可在办公室网络里直接同步，街道平台不通时也行。
# Desks of one community may sync directly in the office, even when the hub cannot be reached.
[lan]
# 在这里等其他电脑连接。 Answer other desks here.
# listen = "0.0.0.0:7444"
# 要连接的电脑。 Desks to dial.
# neighbours = ["192.168.1.20:7444"]
# 写了 listen 的电脑会在办公室网络里互相找到并连接，不用填写上面的地址；false 为不找也不被找到。
# Desks with a listen address find one another in the office; false neither looks nor is found.
# discover = false
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_is_the_defaults_and_the_hub() {
        let path = Path::new("node.toml");
        let text = first_text("hub.example:7443");
        let read: Config = config::parse(path, &text).unwrap();
        let hub = Some("hub.example:7443".to_owned());
        assert_eq!(read, Config { hub, ..Config::default() });
        let all: String = text.replace("# language", "language").replace("# listen", "listen");
        let all = all.replace("# neighbours", "neighbours").replace("# discover", "discover");
        let read: Config = config::parse(path, &all).unwrap();
        assert_eq!(read.language.as_deref(), Some("zh"));
        assert_eq!(
            (read.lan.listen.map(|at| at.port()), read.lan.neighbours.len()),
            (Some(7444), 1)
        );
        assert!(Config::default().lan.discover && !read.lan.discover);
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let error = config::parse::<Config>(Path::new("node.toml"), "api_prot = 1\n").unwrap_err();
        assert!(error.to_string().contains("did you mean `api_port`"), "{error}");
    }
}
