//! `linli-hub init`: founds the authority of a street and leaves a data folder that `serve` can
//! run on. It refuses to found a second one over the first.

use std::error::Error;
use std::path::{Path, PathBuf};

use linli_domain::id::PeerName;
use linli_runtime::ask::Trouble;
use linli_runtime::authority::{Authority, AuthorityError};
use linli_runtime::terminal::Terminal;
use linli_runtime::tls::Clock;

use crate::cli::InitFlags;
use crate::config;

/// Where the authority's key is.
pub(crate) fn authority_dir(data: &Path) -> PathBuf {
    data.join("authority")
}

/// Where the hub's own certificate is.
pub(crate) fn identity_path(data: &Path) -> PathBuf {
    data.join("identity").join("identity.pem")
}

/// Founds the hub.
pub(crate) fn run(terminal: &Terminal, flags: &InitFlags) -> Result<(), Trouble> {
    let data = &terminal.data;
    let me = PeerName {
        district: flags.district.clone(),
        street: Some(flags.street.clone()),
        community: None,
        machine: flags.name.clone(),
    };
    let now = Clock::system().now();
    let authority =
        Authority::create(&authority_dir(data), &me, now).map_err(|error| trouble(&error))?;
    let identity = authority.issue_hub(&flags.host, now).map_err(|error| trouble(&error))?;
    identity.save(&identity_path(data)).map_err(|error| plain(&error))?;
    let text = config::first_text(flags.listen, flags.host.first().map(String::as_str));
    std::fs::write(config::path(data), text).map_err(|error| plain(&error))?;
    if terminal.json {
        let told = serde_json::json!({
            "name": me.to_string(), "authority": authority.fingerprint().to_string(),
        });
        return terminal.print(&format!("{told}\n"));
    }
    let place = data.display();
    terminal.print(&terminal.lang.pick(
        format!(
            "已建立：{me}\n请把 {place}/authority 复制到安全的地方：没有它就不能再登记电脑。\n\
             设置在 {place}/hub.toml\n下一步：\n  linli-hub serve --data {place}\n  linli-hub invite --community 社区 --data {place}\n"
        ),
        format!(
            "Founded {me}\nKeep a copy of {place}/authority in a safe place: without it no machine \
             can be enrolled.\nSettings are in {place}/hub.toml\nNext:\n  linli-hub serve --data {place}\n  \
             linli-hub invite --community NAME --data {place}\n"
        ),
    ))
}

fn trouble(error: &AuthorityError) -> Trouble {
    match error {
        AuthorityError::Exists { path } => Trouble {
            code: "exists".into(),
            zh: format!("{} 已有街道平台，保留不动。要另建一个，请换数据目录。", path.display()),
            en: format!(
                "There is a hub in {} already; it is kept. To found another, name another data folder.",
                path.display()
            ),
        },
        AuthorityError::Host { host } => Trouble {
            code: "host".into(),
            zh: format!("“{host}”不是主机名或地址。"),
            en: format!("`{host}` is not a host name or address."),
        },
        other => plain(other),
    }
}

fn plain(error: &dyn Error) -> Trouble {
    Trouble {
        code: "init".into(),
        zh: format!("没有完成：{error}。请检查数据目录的权限和磁盘空间，再试一次。"),
        en: format!(
            "Not done: {error}. Check the data folder's rights and the disk, then try again."
        ),
    }
}
