//! `linli-hub serve`: opens the machine, answers desks and operators, and ends in good order.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use linli_domain::pack::Registry;
use linli_runtime::ask::Trouble;
use linli_runtime::authority::{Authority, AuthorityError, Identity, Leaf};
use linli_runtime::daemon;
use linli_runtime::enrol::{self, Invitations, Registrar};
use linli_runtime::limits::MEGABYTE;
use linli_runtime::link::Links;
use linli_runtime::local_api::LocalApi;
use linli_runtime::serve::{Door, Terms};
use linli_runtime::site::{Opening, Standing};
use linli_runtime::tls::{Census, Clock};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::api::{self, Shared};
use crate::commands::LAYOUT;
use crate::config::Config;
use crate::init::{authority_dir, identity_path};
use crate::office::Office;

/// Runs the hub over `data` until a signal, or until its journal fails.
pub(crate) async fn run(data: &Path, config: Config) -> anyhow::Result<()> {
    let clock = Clock::system();
    let authority = Authority::load(&authority_dir(data)).map_err(|error| not_founded(&error))?;
    let identity = Identity::load(&identity_path(data))?.ok_or_else(no_identity)?;
    let me = identity.peer().clone();
    let opening = Opening {
        me: me.clone(),
        // Only open halves are counted, so that desk and hub count the same.
        registry: Arc::new(Registry::builtin().open_metrics()),
        ring: None,
        members: Standing::default(),
        device: None,
        entropy: daemon::system_entropy(),
        utc_offset_minutes: config.utc_offset_minutes,
        node_bytes_per_day: config.limits.node_bytes_per_day(),
        authority: Some(Leaf::read(authority.certificate())?),
    };
    let mut opened = {
        let data = data.to_owned();
        tokio::task::spawn_blocking(move || daemon::open(&data, opening))
            .await?
            .map_err(|error| error.trouble("linli-hub"))?
    };
    opened.watch(data, LAYOUT, &["invitations.json"]);
    opened.end_second_lives();
    opened.guard_room(data, config.limits.free_megabytes_min.saturating_mul(MEGABYTE));
    let registry = enrol::Registry::open(data.join("machines.json"))?;
    let invitations = Invitations::open(data.join("invitations.json"))?;
    let registrar =
        Arc::new(Registrar::new(authority, invitations, registry.clone(), clock.clone()));

    let (links, events) = Links::new();
    let (handle, ended) = daemon::spawn(opened.site, events, None)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| cannot_listen(config.listen, "listen", &error))?;
    let address = config.public_address(listener.local_addr()?);
    let census = Census::default();
    let office = Arc::new(Office {
        handle: handle.clone(),
        registrar: registrar.clone(),
        address: address.clone(),
        communities: config.communities.clone(),
        store_notes: opened.notes,
        utc_offset_minutes: config.utc_offset_minutes,
        clock: clock.clone(),
        conduct: links.conduct().clone(),
        census: census.clone(),
    });
    let shut_out = handle.shut_out();
    registry.shut_out(shut_out.borrow().clone());
    let refusing = tokio::spawn(registry.clone().follow(shut_out));
    office.announce().await;
    let announcing = tokio::spawn(announce(office.clone(), registry.clone()));
    // A hub's own certificate lives as long as its authority: it is never renewed.
    let (_, identity) = watch::channel(Arc::new(identity));
    let terms = Terms::default();
    let registrar = Some(registrar);
    let door = Door { identity, registry, registrar, links, clock, census, terms };
    let serving = linli_runtime::serve::serve(listener, door)?;

    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, config.api_port));
    let listener =
        TcpListener::bind(local).await.map_err(|error| cannot_listen(local, "api_port", &error))?;
    let api = LocalApi::new(listener.local_addr()?)?;
    let published = api.publish(data)?;
    tracing::info!(name = %me, listen = %serving.address(), address, api = %api.address, "serving");
    let (stop_api, api_stopped) = oneshot::channel::<()>();
    let shared = Arc::new(Shared { office, api, role: me.role() });
    let answering = tokio::spawn(api::serve(listener, shared, async {
        // A dropped sender counts as told.
        let _ = api_stopped.await;
    }));

    let outcome = daemon::until_end(ended, &handle, async {
        drop(published);
        drop(stop_api);
        announcing.abort();
        refusing.abort();
        serving.stop().await;
    })
    .await;
    answering.abort();
    Ok(outcome?)
}

fn not_founded(error: &AuthorityError) -> Trouble {
    match error {
        AuthorityError::Missing { path } => Trouble {
            code: "not-founded".into(),
            zh: format!("{} 还没有街道平台。请先运行 linli-hub init", path.display()),
            en: format!("There is no hub in {} yet. Run `linli-hub init` first.", path.display()),
        },
        other => Trouble {
            code: "authority".into(),
            zh: format!("读不出街道平台的密钥：{other}。请从备份恢复 authority 目录。"),
            en: format!("The authority cannot be read: {other}. Restore `authority` from a copy."),
        },
    }
}

fn no_identity() -> Trouble {
    Trouble {
        code: "no-identity".into(),
        zh: "平台的证书不在了。请从备份恢复 identity 目录。".into(),
        en: "The hub's certificate has gone. Restore `identity` from a copy.".into(),
    }
}

fn cannot_listen(address: SocketAddr, setting: &str, error: &std::io::Error) -> Trouble {
    Trouble {
        code: "listen".into(),
        zh: format!("不能使用 {address}（{error}）。请在 hub.toml 里改 {setting}。"),
        en: format!("Cannot listen on {address} ({error}). Change {setting} in hub.toml."),
    }
}

/// Tells the machine of every new enrolment.
async fn announce(office: Arc<Office>, registry: enrol::Registry) {
    let mut changes = registry.watch();
    while changes.changed().await.is_ok() {
        office.announce().await;
    }
}
