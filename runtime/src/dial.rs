//! Dialling: keeps a link to one address up, for ever, and says how that goes.
//!
//! Waits grow and are jittered, so that a street does not come back all at once after a power cut.
//! It refuses to give up: a machine that was refused keeps asking, seldom, since what stands in
//! the way is cleared elsewhere.

mod backoff;

use std::sync::Arc;
use std::time::Duration;

use linli_domain::id::PeerName;
use linli_proto::v1::replication_client::ReplicationClient;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

use crate::authority::Identity;
use crate::enrol::{Registry, Standing};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::link::{DownReason, Ended, LinkId, Links};
use crate::tls::{Clock, ConnectError, Dialled, Expect, channel_over, client_config, connect};
use backoff::{Backoff, jittered};

/// How a dialled link is doing. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// What it does.
    pub state: LinkState,
    /// When frames last could flow.
    pub last_success: Option<u64>,
    /// When it last dialled.
    pub last_attempt: Option<u64>,
    /// Why the last link ended or did not come up, for people; `None` while one is up.
    pub last_error: Option<String>,
}

/// What a dialled link does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It dials.
    Dialling,
    /// It is up.
    Up {
        /// The link.
        link: LinkId,
        /// Who answered.
        peer: PeerName,
    },
    /// It waits before it dials again.
    Waiting,
    /// It was stopped.
    Stopped,
}

/// A dialled link. Dropping it stops it without grace.
#[derive(Debug)]
pub struct Dialling {
    status: watch::Receiver<LinkStatus>,
    stop: watch::Sender<bool>,
    hurry: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Whom to dial, and as whom.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The other end's `host:port`.
    pub address: String,
    /// Whom to expect there.
    pub expect: Expect,
    /// This machine's identity; a renewed one is used from the next attempt on.
    pub identity: watch::Receiver<Arc<Identity>>,
    /// Who is no longer welcome, and is not dialled either.
    pub registry: Registry,
    /// Where the link goes.
    pub links: Links,
    /// The wall clock.
    pub clock: Clock,
    /// A link of this age is replaced by a new one, up to a tenth earlier by chance: the next
    /// connection stands before the old one ends. Offices take `LINK_AGE`.
    pub link_age: Duration,
}

/// Dials until told to stop.
pub fn dial(dial: Dial) -> Dialling {
    let first = LinkStatus {
        state: LinkState::Dialling,
        last_success: None,
        last_attempt: None,
        last_error: None,
    };
    let (status_in, status) = watch::channel(first);
    let (stop, stopping) = watch::channel(false);
    let hurry = Arc::new(Notify::new());
    let dialler = Dialler { dial, status: status_in, stopping, hurry: hurry.clone() };
    Dialling { status, stop, hurry, task: tokio::spawn(dialler.run()) }
}

impl Dialling {
    /// How it goes; changes are announced.
    pub fn status(&self) -> watch::Receiver<LinkStatus> {
        self.status.clone()
    }

    /// Ends a wait: dials at once.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Brings the link down and dials no more.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // It ends by itself; a panic in it was reported where it happened.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Dialler {
    dial: Dial,
    status: watch::Sender<LinkStatus>,
    stopping: watch::Receiver<bool>,
    hurry: Arc<Notify>,
}

impl Dialler {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut successor = None;
        let mut answered = None;
        loop {
            let mut stopping = self.stopping.clone();
            let reached = if let Some(dialled) = successor.take() {
                Ok(dialled)
            } else {
                let now = self.dial.clock.now();
                self.status.send_modify(|status| {
                    status.state = LinkState::Dialling;
                    status.last_attempt = Some(now);
                });
                tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => break,
                    reached = reach_alone(&mut self.dial, &mut answered) => reached,
                }
            };
            let error = match reached {
                Err(error) => error.to_string(),
                Ok(dialled) => {
                    let began = Instant::now();
                    let (ended, next) = self.hold(dialled).await;
                    backoff.after_link(began.elapsed(), ended.frames);
                    if ended.frames > 0 {
                        let now = self.dial.clock.now();
                        self.status.send_modify(|status| status.last_success = Some(now));
                    }
                    if ended.reason == DownReason::ShuttingDown {
                        break;
                    }
                    if ended.reason == DownReason::Aged && next.is_some() {
                        successor = next;
                        continue;
                    }
                    ended.reason.to_string()
                }
            };
            let wait = backoff.next();
            tracing::info!(address = self.dial.address, error, ?wait, "no link");
            self.status.send_modify(|status| {
                status.state = LinkState::Waiting;
                status.last_error = Some(error);
            });
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                () = self.hurry.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.status.send_modify(|status| status.state = LinkState::Stopped);
    }

    /// Holds one link for as long as it lives; gives the connection that takes its place, too, if
    /// it ended because of its age.
    async fn hold(&mut self, dialled: Dialled) -> (Ended, Option<Dialled>) {
        let Dialled { stream, leaf, trouble } = dialled;
        let (session, outgoing) = self.dial.links.open(leaf.peer.clone(), true);
        let link = session.link();
        let now = self.dial.clock.now();
        self.status.send_modify(|status| {
            status.state = LinkState::Up { link, peer: leaf.peer.clone() };
            status.last_success = Some(now);
            status.last_error = None;
        });
        // Boxed: making an HTTP/2 connection takes 38 KB of state, and only for a moment.
        let inbound = Box::pin(async move {
            let channel = channel_over(stream)
                .await
                .map_err(|error| tonic::Status::unavailable(error.to_string()))?;
            let mut client = ReplicationClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX);
            // An end with a word is for the side that answers; the one that calls just ends.
            let frames = outgoing.map_while(Result::ok);
            Ok(client.link(frames).await?.into_inner())
        });
        let mut stopping = self.stopping.clone();
        let revoked = self.dial.registry.clone().until_revoked(leaf.peer.clone());
        let (hand_over, handed) = oneshot::channel();
        // Boxed: it holds a handshake, once in an hour.
        let next = Box::pin(successor(self.dial.clone()));
        let until = async move {
            tokio::select! {
                // A dropped handle counts as told.
                _ = stopping.wait_for(|stop| *stop) => DownReason::ShuttingDown,
                () = revoked => DownReason::Revoked,
                next = next => {
                    // Who runs the link waits for it.
                    let _ = hand_over.send(next);
                    DownReason::Aged
                }
            }
        };
        let explain = move || match trouble.get() {
            Some(rustls::Error::AlertReceived(alert)) => {
                Some(DownReason::Refused { why: format!("{alert:?}") })
            }
            _ => None,
        };
        let ended = session.run(inbound, until, explain).await;
        (ended, handed.await.ok())
    }
}

/// As [`reach`], but a desk of the office to which a link stands already is left alone: of two that
/// dial each other one link is enough. `answered` is who answered last.
async fn reach_alone(
    dial: &mut Dial,
    answered: &mut Option<PeerName>,
) -> Result<Dialled, ConnectError> {
    let alone = |dial: &Dial, peer: &PeerName| {
        if matches!(dial.expect, Expect::Desk(_)) && dial.links.stands(peer) {
            let (address, peer) = (dial.address.clone(), peer.clone());
            return Err(ConnectError::Linked { address, peer });
        }
        Ok(())
    };
    if let Some(peer) = answered {
        alone(dial, peer)?;
    }
    let dialled = reach(dial).await?;
    alone(dial, answered.insert(dialled.leaf.peer.clone()))?;
    Ok(dialled)
}

async fn reach(dial: &mut Dial) -> Result<Dialled, ConnectError> {
    let identity = dial.identity.borrow_and_update().clone();
    let config = client_config(&identity, dial.expect.clone(), &dial.clock)?;
    let dialled = connect(&dial.address, config, dial.links.traffic().clone()).await?;
    let peer = dialled.leaf.peer.clone();
    if dial.registry.standing(&peer) == Standing::Revoked {
        return Err(ConnectError::ShutOut { address: dial.address.clone(), peer });
    }
    Ok(dialled)
}

/// The connection for the next link, once this one has its age. While there is none to be had, the
/// old link goes on.
async fn successor(mut dial: Dial) -> Dialled {
    let chance = getrandom::u64().unwrap_or(0);
    let early = dial.link_age / 10;
    tokio::time::sleep(dial.link_age.saturating_sub(early) + jittered(early, chance)).await;
    let mut backoff = Backoff::default();
    loop {
        match reach(&mut dial).await {
            Ok(dialled) => return dialled,
            Err(error) => {
                let wait = backoff.next();
                tracing::info!(address = dial.address, %error, ?wait, "the old link goes on");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
