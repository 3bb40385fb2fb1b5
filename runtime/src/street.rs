//! A street for tests: a hub that answers on this machine, and desks that have joined it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linli_domain::id::{CommunityId, MachineId, PeerName};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::authority::{Authority, Identity};
use crate::dial::{Dial, Dialling, LinkStatus, dial};
use crate::enrol::{Enrolled, Invitations, Registrar, Registry, Seat, Token, enrol};
use crate::limits::LINK_AGE;
use crate::link::{DownReason, LinkEvent, LinkId, LinkSender, Links};
use crate::serve::{Door, Serving, Terms, serve};
use crate::tls::{Census, Clock, Expect};

/// When the street's clock starts: some day in 2026.
pub(crate) const NOW: u64 = 1_790_000_000;
pub(crate) const DAY: u64 = 24 * 3_600;
/// Nothing here takes this long unless it never ends.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Street {
    pub(crate) registrar: Arc<Registrar>,
    pub(crate) serving: Serving,
    pub(crate) events: Events,
    pub(crate) links: Links,
    pub(crate) time: Arc<AtomicU64>,
    dir: TempDir,
}

impl Street {
    pub(crate) async fn open() -> Self {
        Self::open_as("jiangbei/hongqi/-/hub").await
    }

    pub(crate) async fn open_as(hub: &str) -> Self {
        Self::open_on(hub, Terms::default()).await
    }

    pub(crate) async fn open_on(hub: &str, terms: Terms) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let time = Arc::new(AtomicU64::new(NOW));
        let hub = PeerName::parse(hub).unwrap();
        Authority::create(dir.path(), &hub, NOW).unwrap();
        let registrar = registrar_in(dir.path(), &time);
        let (links, events) = Links::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = answer(listener, &registrar, &links, &time, terms);
        Self { registrar, serving, events: Events(events), links, time, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn clock(&self) -> Clock {
        clock_of(&self.time)
    }

    pub(crate) fn address(&self) -> String {
        self.serving.address().to_string()
    }

    /// Stops the hub and starts it again from its files, at the same address.
    pub(crate) async fn restart(&mut self) {
        let address = self.serving.address();
        self.registrar = registrar_in(self.dir.path(), &self.time);
        let spare = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fresh = answer(spare, &self.registrar, &self.links, &self.time, Terms::default());
        std::mem::replace(&mut self.serving, fresh).stop().await;
        let listener = TcpListener::bind(address).await.unwrap();
        self.serving = answer(listener, &self.registrar, &self.links, &self.time, Terms::default());
    }

    pub(crate) fn invite(&self, community: &str) -> Token {
        let seat = Seat::Community(CommunityId::parse(community).unwrap());
        self.registrar.invite(seat, self.address(), DAY).unwrap()
    }

    /// A machine that has joined a community.
    pub(crate) async fn desk(&self, community: &str, machine: &str) -> Desk {
        let token = self.invite(community);
        let dir = tempfile::tempdir().unwrap();
        let machine = MachineId::parse(machine).unwrap();
        let enrolled = enrol(&token, &machine, dir.path(), &self.clock()).await.unwrap();
        Desk { enrolled, dir }
    }

    /// Dials the hub as a desk.
    pub(crate) fn dial(&self, identity: Identity) -> Dialled {
        self.dial_to(self.address(), Expect::Hub, identity)
    }

    pub(crate) fn dial_to(&self, address: String, expect: Expect, identity: Identity) -> Dialled {
        self.dial_for(address, expect, identity, LINK_AGE)
    }

    pub(crate) fn dial_for(
        &self,
        address: String,
        expect: Expect,
        identity: Identity,
        link_age: Duration,
    ) -> Dialled {
        let (links, events) = Links::new();
        let (keep, identity) = watch::channel(Arc::new(identity));
        let clock = self.clock();
        let registry = Registry::in_memory();
        let dialling = dial(Dial { address, expect, identity, registry, links, clock, link_age });
        Dialled { dialling, events: Events(events), _identity: keep }
    }
}

pub(crate) struct Desk {
    pub(crate) enrolled: Enrolled,
    pub(crate) dir: TempDir,
}

pub(crate) struct Dialled {
    pub(crate) dialling: Dialling,
    pub(crate) events: Events,
    _identity: watch::Sender<Arc<Identity>>,
}

impl Dialled {
    /// The first status that is as it must come to be.
    pub(crate) async fn status(&self, wanted: impl FnMut(&LinkStatus) -> bool) -> LinkStatus {
        let mut status = self.dialling.status();
        timeout(PATIENCE, status.wait_for(wanted)).await.expect("a status in time").unwrap().clone()
    }
}

/// Events, each of which must come.
pub(crate) struct Events(pub(crate) mpsc::Receiver<LinkEvent>);

impl Events {
    pub(crate) async fn next(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.0.recv()).await.expect("an event in time").expect("an open queue")
    }

    pub(crate) async fn up(&mut self) -> (LinkId, PeerName, LinkSender) {
        match self.next().await {
            LinkEvent::Up { link, peer, frames, .. } => (link, peer, frames),
            other => panic!("{other:?}"),
        }
    }

    /// The next frame or end of a link; whether there is room does not matter here.
    pub(crate) async fn down(&mut self) -> DownReason {
        loop {
            match self.next().await {
                LinkEvent::Down { reason, .. } => return reason,
                LinkEvent::Frame { .. } | LinkEvent::Room { .. } => {}
                up @ LinkEvent::Up { .. } => panic!("{up:?}"),
            }
        }
    }
}

/// An identity that is never renewed.
pub(crate) fn fixed(identity: Identity) -> watch::Receiver<Arc<Identity>> {
    watch::channel(Arc::new(identity)).1
}

fn clock_of(time: &Arc<AtomicU64>) -> Clock {
    let time = time.clone();
    Clock::new(move || time.load(Ordering::SeqCst))
}

fn registrar_in(dir: &Path, time: &Arc<AtomicU64>) -> Arc<Registrar> {
    let authority = Authority::load(dir).unwrap();
    let invitations = Invitations::open(dir.join("invitations.json")).unwrap();
    let registry = Registry::open(dir.join("machines.json")).unwrap();
    Arc::new(Registrar::new(authority, invitations, registry, clock_of(time)))
}

fn answer(
    listener: TcpListener,
    registrar: &Arc<Registrar>,
    links: &Links,
    time: &Arc<AtomicU64>,
    terms: Terms,
) -> Serving {
    let identity = registrar.authority().issue_hub(&["127.0.0.1".to_owned()], NOW).unwrap();
    let door = Door {
        identity: fixed(identity),
        registry: registrar.registry().clone(),
        registrar: Some(registrar.clone()),
        links: links.clone(),
        clock: clock_of(time),
        census: Census::default(),
        terms,
    };
    serve(listener, door).unwrap()
}
