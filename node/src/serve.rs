//! `linli-node serve`: opens the machine, brings up its links and its local API, and ends in good
//! order.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use linli_domain::pack::Registry;
use linli_runtime::ask::{Answer, Ask, Trouble};
use linli_runtime::authority::Leaf;
use linli_runtime::daemon::{self, Keys};
use linli_runtime::enrol::{self, Enrolled, Renewal};
use linli_runtime::limits::MEGABYTE;
use linli_runtime::link::Links;
use linli_runtime::local_api::LocalApi;
use linli_runtime::serve::{Door, Serving, Terms};
use linli_runtime::site::{Opening, Standing};
use linli_runtime::tls::{Census, Clock};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot, watch};

use crate::api::{self, Shared};
use crate::commands::LAYOUT;
use crate::config::Config;
use crate::desk::Desk;
use crate::uplinks::{Plan, Uplinks};

/// How often it is asked whether the certificate needs renewal.
const RENEWAL_LOOK: Duration = Duration::from_secs(3_600);

/// Where a desk keeps its certificate.
pub(crate) fn identity_dir(data: &Path) -> PathBuf {
    data.join("identity")
}

/// Runs the desk over `data` until a signal, or until its journal fails.
pub(crate) async fn run(data: &Path, config: Config, offline: bool) -> anyhow::Result<()> {
    let clock = Clock::system();
    let enrolled = enrol::load(&identity_dir(data))?.ok_or_else(not_enrolled)?;
    let me = enrolled.identity.peer().clone();
    let community = me.community.clone().context("the certificate is not a desk's")?;
    let keys = Keys::below(data);
    let opening = opening(data, &enrolled, &keys, config.utc_offset_minutes)?;
    let mut opened = {
        let data = data.to_owned();
        tokio::task::spawn_blocking(move || daemon::open(&data, opening))
            .await?
            .map_err(|error| error.trouble("linli-node"))?
    };
    opened.watch(data, LAYOUT, &[]);
    opened.end_second_lives();
    opened.guard_room(data, config.free_megabytes_min.saturating_mul(MEGABYTE));

    let (links, events) = Links::new();
    let (handle, ended) = daemon::spawn(opened.site, events, Some(keys))?;
    let hub = config.hub.clone().unwrap_or_else(|| enrolled.hub.clone());
    let (identity_in, identity) = watch::channel(Arc::new(enrolled.identity));
    let registry = enrol::Registry::in_memory();
    let shut_out = handle.shut_out();
    registry.shut_out(shut_out.borrow().clone());
    let refusing = tokio::spawn(registry.clone().follow(shut_out));
    let lan = match config.lan.listen {
        Some(listen) => {
            let door = Door {
                identity: identity.clone(),
                registry: registry.clone(),
                registrar: None,
                links: links.clone(),
                clock: clock.clone(),
                census: Census::default(),
                terms: Terms::default(),
            };
            Some(listen_in_office(listen, door).await?)
        }
        None => None,
    };
    let mut uplinks = Uplinks::new(Plan {
        hub: hub.clone(),
        neighbours: config.lan.neighbours.clone(),
        discover: lan.as_ref().filter(|_| config.lan.discover).map(Serving::address),
        community,
        identity,
        registry,
        links,
        clock: clock.clone(),
    });
    if !offline {
        uplinks.start();
    }
    let renewal =
        Renewal { dir: identity_dir(data), hub: hub.clone(), clock, look_every: RENEWAL_LOOK };
    let renewing = tokio::spawn(enrol::keep_fresh(renewal, identity_in));

    let desk = Arc::new(Desk {
        handle: handle.clone(),
        uplinks: Mutex::new(uplinks),
        store_notes: opened.notes,
        utc_offset_minutes: config.utc_offset_minutes,
    });
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, config.api_port));
    let listener =
        TcpListener::bind(local).await.map_err(|error| cannot_listen(local, "api_port", &error))?;
    let api = LocalApi::new(listener.local_addr()?)?;
    let published = api.publish(data)?;
    tracing::info!(name = %me, hub, api = %api.address, offline, "serving");
    say_code(&desk).await;

    let (stop_api, api_stopped) = oneshot::channel::<()>();
    let shared = Arc::new(Shared { desk: desk.clone(), api, role: me.role() });
    let serving = tokio::spawn(api::serve(listener, shared, async {
        // A dropped sender counts as told.
        let _ = api_stopped.await;
    }));

    let outcome = daemon::until_end(ended, &handle, async {
        drop(published);
        drop(stop_api);
        renewing.abort();
        refusing.abort();
        desk.uplinks.lock().await.stop().await;
        if let Some(lan) = lan {
            lan.stop().await;
        }
    })
    .await;
    serving.abort();
    Ok(outcome?)
}

pub(crate) fn not_enrolled() -> Trouble {
    Trouble {
        code: "not-enrolled".into(),
        zh: "本机还没有加入社区。请先运行 linli-node enrol <邀请> --name <名字>".into(),
        en: "This machine is not enrolled yet. Run `linli-node enrol TOKEN --name NAME` first."
            .into(),
    }
}

fn cannot_listen(address: SocketAddr, setting: &str, error: &std::io::Error) -> Trouble {
    Trouble {
        code: "listen".into(),
        zh: format!("不能使用 {address}（{error}）。请在 node.toml 里改 {setting}。"),
        en: format!("Cannot listen on {address} ({error}). Change {setting} in node.toml."),
    }
}

/// What the machine is opened with. Only a founding desk without any history makes a ring: one
/// that lost its keys must get the community's back, not a second one.
fn opening(
    data: &Path,
    enrolled: &Enrolled,
    keys: &Keys,
    utc_offset_minutes: i32,
) -> anyhow::Result<Opening> {
    let ring = match keys.ring()? {
        Some(ring) => Some(ring),
        None if enrolled.founding && !data.join("journal").exists() => Some(keys.found()?),
        None => {
            if enrolled.founding {
                tracing::error!(
                    "the community's key is missing: put keys/ring back from a copy, or have \
                     another desk approve this one"
                );
            }
            None
        }
    };
    let me = enrolled.identity.peer().clone();
    Ok(Opening {
        me: me.clone(),
        // Only open halves are counted, so that desk and hub count the same.
        registry: Arc::new(Registry::builtin().open_metrics()),
        ring,
        device: Some(keys.device()?),
        members: Standing {
            list: me.community.as_ref().map(|id| keys.members(id)).transpose()?.flatten(),
            founding: enrolled.founding,
        },
        entropy: daemon::system_entropy(),
        utc_offset_minutes,
        node_bytes_per_day: 0,
        authority: Some(Leaf::read(enrolled.identity.authority())?),
    })
}

/// Answers other desks of the community in the office.
async fn listen_in_office(listen: SocketAddr, door: Door) -> anyhow::Result<Serving> {
    let listener =
        TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, "[lan]", &error))?;
    Ok(linli_runtime::serve::serve(listener, door)?)
}

/// A machine that waits to be approved says so at once: somebody has to act.
async fn say_code(desk: &Desk) {
    if let Answer::Status(status) = desk.ask(Ask::Status {}).await
        && let Some(code) = status.code
    {
        tracing::warn!(
            code,
            "waits for approval to read personal fields; on an approved desk run `linli-node approve`"
        );
    }
}
