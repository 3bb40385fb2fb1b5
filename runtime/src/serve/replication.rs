//! Links that others dial.

use std::future::{Future, ready};
use std::time::Duration;

use linli_domain::id::PeerName;
use linli_proto::v1::Envelope;
use linli_proto::v1::replication_server::Replication;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::guard;
use crate::authority::Leaf;
use crate::enrol::{Registry, Standing};
use crate::link::{DownReason, Links, Outgoing};
use crate::policy::access::Method;
use crate::tls::{Caller, Clock};

/// A wait that timers can hold; a certificate that lives longer is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 3_600);

/// Opens a link for every machine that may have one.
#[derive(Debug)]
pub(super) struct LinkDesk {
    pub(super) me: PeerName,
    pub(super) links: Links,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    /// The longest that a link stays.
    pub(super) stay: Duration,
    pub(super) stopping: watch::Receiver<bool>,
}

impl LinkDesk {
    /// The machine that calls, if it may have a link.
    fn admit(&self, caller: &Caller) -> Result<Leaf, Status> {
        guard::admit(&self.me, &self.registry, Method::Link, caller)?;
        let leaf = caller.leaf.as_deref().ok_or_else(|| {
            Status::unauthenticated("a link needs a certificate; enrol this machine first")
        })?;
        if let Some(wait) = self.links.conduct().shut_for(&leaf.peer) {
            return Err(Status::resource_exhausted(format!(
                "this machine went on breaking the rules; it may link again in {} s",
                wait.as_secs() + 1
            )));
        }
        let now = self.clock.now();
        if leaf.not_after <= now {
            return Err(Status::unauthenticated("the certificate has ended; renew it"));
        }
        match self.registry.standing(&leaf.peer) {
            Standing::Good | Standing::Revoked => {}
            Standing::Unknown => {
                tracing::warn!(peer = %leaf.peer, "not in the books but with a good certificate; written in");
                self.registry.note(leaf, false, now).map_err(|error| {
                    tracing::error!(%error, "cannot write the books");
                    Status::unavailable("the books cannot be written")
                })?;
            }
        }
        if !caller.take_link() {
            return Err(Status::resource_exhausted("this connection has a link already"));
        }
        Ok(leaf.clone())
    }

    /// Resolves when a link must end for a reason of ours.
    fn until(&self, leaf: &Leaf) -> impl Future<Output = DownReason> + Send + 'static {
        let mut stopping = self.stopping.clone();
        let revoked = self.registry.clone().until_revoked(leaf.peer.clone());
        let ended = ended(self.clock.clone(), leaf.not_after);
        let aged = tokio::time::sleep(self.stay);
        async move {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => DownReason::ShuttingDown,
                () = revoked => DownReason::Revoked,
                () = ended => DownReason::CertificateEnded,
                () = aged => DownReason::Aged,
            }
        }
    }
}

async fn ended(clock: Clock, not_after: u64) {
    loop {
        let left = Duration::from_secs(not_after.saturating_sub(clock.now()));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AGAIN)).await;
    }
}

#[tonic::async_trait]
impl Replication for LinkDesk {
    type LinkStream = Outgoing;

    async fn link(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Outgoing>, Status> {
        let caller = guard::caller_of(&request)?;
        let leaf = self.admit(&caller)?;
        let (session, outgoing) = self.links.open(leaf.peer.clone(), false);
        tracing::debug!(peer = %leaf.peer, address = %caller.address, link = session.link().0, "link accepted");
        let until = self.until(&leaf);
        tokio::spawn(session.run(ready(Ok(request.into_inner())), until, || None));
        Ok(Response::new(outgoing))
    }
}
