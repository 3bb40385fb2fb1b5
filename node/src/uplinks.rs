//! The links a desk dials: to its hub, to neighbours in the office, and to desks found there.

use std::net::SocketAddr;
use std::sync::Arc;

use linli_domain::id::CommunityId;
use linli_runtime::authority::Identity;
use linli_runtime::dial::{Dial, Dialling, LinkState, LinkStatus, dial};
use linli_runtime::enrol::Registry;
use linli_runtime::lan::{Discovery, Found, Seeking, seek};
use linli_runtime::limits::LINK_AGE;
use linli_runtime::link::Links;
use linli_runtime::tls::{Clock, Expect};
use tokio::sync::watch;

/// Whom to dial, and as whom.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The hub's `host:port`.
    pub(crate) hub: String,
    /// Other desks' `host:port`.
    pub(crate) neighbours: Vec<String>,
    /// Where this desk answers, if it looks for others in the office.
    pub(crate) discover: Option<SocketAddr>,
    /// The community whose desks neighbours must be.
    pub(crate) community: CommunityId,
    /// This desk's identity, renewed from time to time.
    pub(crate) identity: watch::Receiver<Arc<Identity>>,
    /// Who is shut out.
    pub(crate) registry: Registry,
    /// Where links go.
    pub(crate) links: Links,
    /// The wall clock.
    pub(crate) clock: Clock,
}

/// The links a desk dials, while it is online.
#[derive(Debug)]
pub(crate) struct Uplinks {
    plan: Plan,
    /// The hub's first, then the neighbours'; empty while offline.
    dialled: Vec<Dialling>,
    /// Desks that are looked for, while online.
    seeking: Option<Seeking>,
    /// The hub's link as it was before the desk last went offline.
    before: LinkStatus,
}

impl Uplinks {
    /// Links that wait for [`Self::start`].
    pub(crate) fn new(plan: Plan) -> Self {
        let before = LinkStatus {
            state: LinkState::Stopped,
            last_success: None,
            last_attempt: None,
            last_error: None,
        };
        Self { plan, dialled: Vec::new(), seeking: None, before }
    }

    /// Dials, if it does not yet.
    pub(crate) fn start(&mut self) {
        if !self.dialled.is_empty() {
            return;
        }
        let plan = &self.plan;
        let to = |address: &str, expect: Expect| Dial {
            address: address.to_owned(),
            expect,
            identity: plan.identity.clone(),
            registry: plan.registry.clone(),
            links: plan.links.clone(),
            clock: plan.clock.clone(),
            link_age: LINK_AGE,
        };
        let desk = || Expect::Desk(plan.community.clone());
        self.dialled.push(dial(to(&plan.hub, Expect::Hub)));
        for neighbour in &plan.neighbours {
            self.dialled.push(dial(to(neighbour, desk())));
        }
        if let Some(listening) = plan.discover {
            let discovery = Discovery {
                listening,
                configured: plan.neighbours.iter().filter_map(|at| at.parse().ok()).collect(),
                dial: to("", desk()),
            };
            self.seeking = match seek(discovery) {
                Ok(seeking) => Some(seeking),
                Err(error) => {
                    tracing::warn!(%error, "desks in the office are not looked for");
                    None
                }
            };
        }
    }

    /// Desks found in the office.
    pub(crate) fn found(&self) -> Vec<Found> {
        self.seeking.as_ref().map(Seeking::found).unwrap_or_default()
    }

    /// Ends the links and dials no more.
    pub(crate) async fn stop(&mut self) {
        self.before = LinkStatus { state: LinkState::Stopped, ..self.hub() };
        if let Some(seeking) = self.seeking.take() {
            seeking.stop().await;
        }
        for dialling in self.dialled.drain(..) {
            dialling.stop().await;
        }
    }

    /// How the hub's link does. While it is up, its last success is now.
    pub(crate) fn hub(&self) -> LinkStatus {
        let Some(dialling) = self.dialled.first() else { return self.before.clone() };
        let mut status = dialling.status().borrow().clone();
        if matches!(status.state, LinkState::Up { .. }) {
            status.last_success = Some(self.plan.clock.now());
        }
        status.last_success = status.last_success.or(self.before.last_success);
        status.last_attempt = status.last_attempt.or(self.before.last_attempt);
        status
    }
}
