//! Desks of one community find one another on the office's network, by multicast DNS.
//!
//! Each says that it is there without saying who it is, and dials those that it hears, as it would
//! dial configured ones: certificates decide, and never what was heard. It refuses to speak on
//! networks where the desk does not answer.

mod roster;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mdns_sd::{IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::authority::{Fingerprint, Identity};
use crate::dial::{Dial, Dialling, LinkState, dial};
use crate::limits::{LAN_FAREWELL, LAN_LOOK_EVERY};
use roster::{CommunityKey, Notice, Roster};

const SERVICE: &str = "_linli._tcp.local.";
const SALT: &str = "s";
const PROOF: &str = "c";

/// What is needed to be found, and to find others.
#[derive(Debug)]
pub struct Discovery {
    /// Where this desk answers.
    pub listening: SocketAddr,
    /// Addresses that are dialled anyway.
    pub configured: Vec<SocketAddr>,
    /// How a desk that was found is dialled, but for its address.
    pub dial: Dial,
}

/// A desk that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub address: SocketAddr,
    /// Who answers there, while a link stands.
    pub peer: Option<String>,
    /// Why there is no link, if one was tried.
    pub last_error: Option<String>,
}

/// It looks, until it is dropped or stopped.
#[derive(Debug)]
pub struct Seeking {
    found: watch::Receiver<Vec<Found>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Discovery that cannot begin; the desk goes on without.
#[derive(Debug, thiserror::Error)]
pub enum NoDiscovery {
    /// The system gives no socket for it.
    #[error(
        "cannot look for desks in the office: {0}; set `discover = false` under [lan], or free UDP port 5353"
    )]
    Mdns(#[from] mdns_sd::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Says that this desk is there, and dials those of its community.
pub fn seek(discovery: Discovery) -> Result<Seeking, NoDiscovery> {
    let Discovery { listening, configured, dial } = discovery;
    let identity = dial.identity.borrow().clone();
    let mut drawn = [0; 32];
    getrandom::fill(&mut drawn)?;
    let notice = Notice::of(&key_of(&identity), &drawn, listening.port());
    let daemon = ServiceDaemon::new()?;
    let events = announce(&daemon, listening, &notice)?;
    let roster = Roster::new(key_of(&identity), &notice, configured);
    let (found_in, found) = watch::channel(Vec::new());
    let (stop, stopping) = watch::channel(false);
    let dialled = BTreeMap::new();
    let seeker = Seeker { daemon, events, roster, dial, dialled, found: found_in };
    Ok(Seeking { found, stop, task: tokio::spawn(seeker.run(stopping)) })
}

impl Seeking {
    /// Who was found by now.
    pub fn found(&self) -> Vec<Found> {
        self.found.borrow().clone()
    }

    /// Says goodbye, and ends the links to those that were found.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // It ends by itself; a panic in it was reported where it happened.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Seeking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn key_of(identity: &Identity) -> CommunityKey {
    CommunityKey::of(Fingerprint::of(identity.authority()), identity.peer())
}

/// Speaks and listens where this desk answers, and nowhere else.
fn announce(
    daemon: &ServiceDaemon,
    listening: SocketAddr,
    notice: &Notice,
) -> Result<Receiver<ServiceEvent>, mdns_sd::Error> {
    let host = listening.ip();
    let only = |kind: IfKind| {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(kind)
    };
    match host {
        IpAddr::V4(any) if any.is_unspecified() => daemon.disable_interface(IfKind::IPv6)?,
        IpAddr::V6(any) if any.is_unspecified() => {}
        one => only(IfKind::Addr(one))?,
    }
    let said = [(SALT, notice.salt.as_str()), (PROOF, notice.proof.as_str())];
    let machine = format!("linli-{}.local.", notice.instance);
    let own = if host.is_unspecified() { String::new() } else { host.to_string() };
    let info = ServiceInfo::new(SERVICE, &notice.instance, &machine, own, notice.port, &said[..])?;
    let info = if host.is_unspecified() { info.enable_addr_auto() } else { info };
    daemon.register(info)?;
    daemon.browse(SERVICE)
}

struct Seeker {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    roster: Roster,
    dial: Dial,
    dialled: BTreeMap<SocketAddr, Dialling>,
    found: watch::Sender<Vec<Found>>,
}

impl Seeker {
    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut deaf = false;
        loop {
            tokio::select! {
                // A dropped handle counts as told.
                _ = stopping.wait_for(|stop| *stop) => break,
                event = self.events.recv_async(), if !deaf => match event {
                    Ok(event) => self.hear(event),
                    Err(error) => {
                        tracing::warn!(%error, "nobody is looked for in the office any more");
                        deaf = true;
                    }
                },
                () = tokio::time::sleep(LAN_LOOK_EVERY) => {}
            }
            self.follow();
        }
        if let Ok(ended) = self.daemon.shutdown() {
            // Others forget this desk later by themselves.
            let _ = tokio::time::timeout(LAN_FAREWELL, ended.recv_async()).await;
        }
        for dialling in std::mem::take(&mut self.dialled).into_values() {
            dialling.stop().await;
        }
    }

    fn hear(&mut self, event: ServiceEvent) {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let Some(notice) = notice_of(&service) else { return };
                let hosts: Vec<IpAddr> =
                    service.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
                if self.roster.hear(&notice, &hosts, Instant::now()) {
                    tracing::info!(?hosts, port = notice.port, "a desk was found in the office");
                }
            }
            ServiceEvent::ServiceRemoved(_, name) => {
                if let Some(instance) = instance_of(&name) {
                    self.roster.lose(instance, Instant::now());
                }
            }
            _ => {}
        }
    }

    /// Dials who is wanted, and lets go of others unless a link stands.
    fn follow(&mut self) {
        let wanted = self.roster.wanted(Instant::now());
        self.dialled.retain(|address, dialling| {
            wanted.contains(address)
                || matches!(dialling.status().borrow().state, LinkState::Up { .. })
        });
        for address in wanted {
            let plan = || Dial { address: address.to_string(), ..self.dial.clone() };
            self.dialled.entry(address).or_insert_with(|| dial(plan()));
        }
        let view = |(address, dialling): (&SocketAddr, &Dialling)| {
            let status = dialling.status().borrow().clone();
            let peer = match status.state {
                LinkState::Up { peer, .. } => Some(peer.to_string()),
                LinkState::Dialling | LinkState::Waiting | LinkState::Stopped => None,
            };
            Found { address: *address, peer, last_error: status.last_error }
        };
        let found = self.dialled.iter().map(view).collect();
        self.found.send_if_modified(|known| {
            *known != found && {
                *known = found;
                true
            }
        });
    }
}

fn notice_of(service: &ResolvedService) -> Option<Notice> {
    let text = |key: &str| service.get_property_val_str(key).map(str::to_owned);
    Some(Notice {
        instance: instance_of(&service.fullname)?.to_owned(),
        port: service.port,
        salt: text(SALT)?,
        proof: text(PROOF)?,
    })
}

fn instance_of(fullname: &str) -> Option<&str> {
    fullname.strip_suffix(SERVICE)?.strip_suffix('.')
}
