//! `hub.toml`: what an operator may set about this hub.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use linli_domain::id::CommunityId;
use linli_runtime::config::{self, ConfigError};
use linli_runtime::daemon::CHINA_OFFSET_MINUTES;
use linli_runtime::limits::{FREE_BYTES_MIN, MEGABYTE, NODE_BYTES_PER_DAY};
use serde::Deserialize;

/// The settings of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where machines are answered.
    pub(crate) listen: SocketAddr,
    /// Host, or `host:port`, that goes into invitations; guessed where absent.
    pub(crate) address: Option<String>,
    /// Communities that are expected besides those that were invited.
    pub(crate) communities: Vec<CommunityId>,
    /// Port of the local API on this machine; 0 for any free one.
    pub(crate) api_port: u16,
    /// Minutes ahead of UTC, for local dates.
    pub(crate) utc_offset_minutes: i32,
    /// `zh` or `en`; the environment's where absent.
    pub(crate) language: Option<String>,
    /// What is logged.
    pub(crate) log: String,
    /// What machines may ask of this hub.
    pub(crate) limits: Limits,
}

/// What machines may ask of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Megabytes taken from one machine in a day; 0 for as many as come.
    pub(crate) node_megabytes_per_day: u64,
    /// Megabytes kept free on the disk; 0 never looks.
    pub(crate) free_megabytes_min: u64,
}

impl Limits {
    /// Bytes taken from one machine in a day; 0 for as many as come.
    pub(crate) fn node_bytes_per_day(&self) -> u64 {
        self.node_megabytes_per_day.saturating_mul(MEGABYTE)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            node_megabytes_per_day: NODE_BYTES_PER_DAY / MEGABYTE,
            free_megabytes_min: FREE_BYTES_MIN / MEGABYTE,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7443)),
            address: None,
            communities: Vec::new(),
            api_port: 0,
            utc_offset_minutes: CHINA_OFFSET_MINUTES,
            language: None,
            log: "info".to_owned(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// What invitations say, given where the hub really listens.
    pub(crate) fn public_address(&self, listening: SocketAddr) -> String {
        let port = listening.port();
        match &self.address {
            Some(address) if has_port(address) => address.clone(),
            Some(host) if host.contains(':') => format!("[{host}]:{port}"),
            Some(host) => format!("{host}:{port}"),
            None if !listening.ip().is_unspecified() => listening.to_string(),
            None => SocketAddr::from((own_address(), port)).to_string(),
        }
    }
}

/// `host:port` or `[v6]:port`, and not a bare v6 address.
fn has_port(address: &str) -> bool {
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// The address under which this machine reaches others; nothing is sent to find out.
fn own_address() -> IpAddr {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let Ok(socket) = UdpSocket::bind(("0.0.0.0", 0)) else { return loopback };
    // An address of the documentation: only the route to it is looked up.
    match socket.connect(("192.0.2.1", 9)).and_then(|()| socket.local_addr()) {
        Ok(address) if !address.ip().is_unspecified() => address.ip(),
        _ => loopback,
    }
}

/// Where the settings of a data folder are.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("hub.toml")
}

/// Reads the settings; those of a folder without a file are the defaults.
pub(crate) fn read(data: &Path) -> Result<Config, ConfigError> {
    let path = path(data);
    if path.exists() { config::read(&path) } else { Ok(Config::default()) }
}

/// The file that `init` leaves, every setting explained.
pub(crate) fn first_text(listen: SocketAddr, host: Option<&str>) -> String {
    let address = match host {
        Some(host) => format!("address = \"{host}\""),
        None => "# address = \"192.168.1.10\"".to_owned(),
    };
    let Limits { node_megabytes_per_day: megabytes, free_megabytes_min } = Limits::default();
    format!(
        r#"# linli-hub 的设置。改后重新启动生效。
# Settings of linli-hub. A restart makes a change effective.

# 在哪里等社区的电脑连接。 Where machines are answered.
listen = "{listen}"

# 写进邀请的主机名或地址，端口不同时写 主机:端口；不写则自动判断。
# Host that goes into invitations, as host:port if the port differs; guessed if not set.
{address}

# 除已邀请的以外还应有数据的社区。 Communities expected besides those that were invited.
communities = []

# 本机命令使用的端口，只在本机开放；0 为任选。 Port for commands, open on this machine only; 0 picks one.
api_port = 0

# 本地时间比 UTC 早多少分钟：中国为 480。 Minutes ahead of UTC: 480 in China.
utc_offset_minutes = {CHINA_OFFSET_MINUTES}

# 语言：zh 或 en；不写则随系统。 Language: zh or en; the system's if not set.
# language = "zh"

# 日志：error、warn、info 或 debug。 How much to log.
log = "info"

[limits]
# 每天从一台电脑最多接收多少兆字节，0 为不限。超出的不会丢失，之后自动继续；其他电脑不受影响。
# 首次导入大量旧数据，或平台重建后由各社区补回数据时，可调高。
# Megabytes taken from one machine in a day, 0 for no limit. What is over it is not lost: it goes
# on by itself later, and no other machine waits. Raise it for a first import of many old records,
# or while a hub that was rebuilt is filled up again by its machines.
node_megabytes_per_day = {megabytes}
# 磁盘至少留多少兆字节，不足时暂停写入，腾出空间后自动继续；0 为不检查。
# Megabytes kept free on the disk: with less nothing is taken until there is room; 0 never looks.
free_megabytes_min = {free_megabytes_min}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_is_the_defaults_and_the_address() {
        let listen = Config::default().listen;
        let text = first_text(listen, Some("hub.example"));
        let read: Config = config::parse(Path::new("hub.toml"), &text).unwrap();
        let address = Some("hub.example".to_owned());
        assert_eq!(read, Config { address, ..Config::default() });
        let read: Config = config::parse(Path::new("hub.toml"), &first_text(listen, None)).unwrap();
        assert_eq!(read, Config::default());
    }

    #[test]
    fn a_limit_is_a_number_of_megabytes_and_a_misspelt_one_is_refused() {
        let parse = |line: &str| {
            let text = format!("{}{line}\n", first_text(Config::default().listen, None));
            config::parse::<Config>(Path::new("hub.toml"), &text)
        };
        assert_eq!(parse("").unwrap().limits.node_bytes_per_day(), 50_000_000);
        let text = "[limits]\nnode_megabytes_per_day = 0";
        let none: Config = config::parse(Path::new("hub.toml"), text).unwrap();
        assert_eq!(none.limits.node_bytes_per_day(), 0);
        let error = parse("node_megabyte_per_day = 1").unwrap_err().to_string();
        assert!(error.contains("did you mean `node_megabytes_per_day`?"), "{error}");
    }

    #[test]
    fn invitations_name_a_host_and_the_real_port() {
        let listening = SocketAddr::from(([0, 0, 0, 0], 7001));
        let with = |address: &str| {
            let address = Some(address.to_owned());
            Config { address, ..Config::default() }.public_address(listening)
        };
        assert_eq!(with("hub.example"), "hub.example:7001");
        assert_eq!(with("hub.example:443"), "hub.example:443");
        assert_eq!(with("2001:db8::7"), "[2001:db8::7]:7001");
        assert_eq!(with("[2001:db8::7]:443"), "[2001:db8::7]:443");
        let guessed: SocketAddr = Config::default().public_address(listening).parse().unwrap();
        assert!(!guessed.ip().is_unspecified() && guessed.port() == 7001, "{guessed}");
        let own = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(Config::default().public_address(own), "127.0.0.1:9");
    }
}
