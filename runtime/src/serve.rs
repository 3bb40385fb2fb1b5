//! Answering: links for machines of the street, enrolment for those who bring an invitation.
//!
//! Who calls is known from the handshake and from nothing a request says. Without a certificate
//! only `Enrol` is open. It refuses a machine that was revoked, at the handshake, at each call and
//! on a live link.

mod enrolment;
mod guard;
mod replication;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use linli_proto::v1::enrolment_server::EnrolmentServer;
use linli_proto::v1::replication_server::ReplicationServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;

use crate::authority::Identity;
use crate::enrol::{Registrar, Registry};
use crate::limits::{
    CALL_TIMEOUT, HANDSHAKE_TIMEOUT, HEADER_BYTES_MAX, KEEPALIVE_ACCEPTED, KEEPALIVE_TIMEOUT,
    LINK_AGE, LINK_AGE_GRACE, MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX, RESETS_OWN_MAX,
    RESETS_PENDING_MAX, SHUTDOWN_GRACE, STREAMS_PER_CONNECTION_MAX,
};
use crate::link::Links;
use crate::lobby::Lobby;
use crate::tls::{Acceptor, Census, Clock, Incoming, TlsError, server_config};
use enrolment::EnrolmentDesk;
use replication::LinkDesk;

/// What a machine needs to answer.
#[derive(Debug)]
pub struct Door {
    /// Its own key and certificate; a renewed one is shown from the next handshake on.
    pub identity: watch::Receiver<Arc<Identity>>,
    /// Who is no longer welcome.
    pub registry: Registry,
    /// Names machines; a machine that is no hub has none.
    pub registrar: Option<Arc<Registrar>>,
    /// Where links go.
    pub links: Links,
    /// The wall clock.
    pub clock: Clock,
    /// Counts its connections.
    pub census: Census,
    /// How long callers may take.
    pub terms: Terms,
}

/// How long callers may take, and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For a call other than a link.
    pub call: Duration,
    /// A link stays for this long, and as much of `grace`; its connection for twice the grace.
    pub link_age: Duration,
    /// See `link_age`.
    pub grace: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            handshake: HANDSHAKE_TIMEOUT,
            call: CALL_TIMEOUT,
            link_age: LINK_AGE,
            grace: LINK_AGE_GRACE,
        }
    }
}

impl Terms {
    pub(crate) fn connection_age(self) -> Duration {
        self.link_age + self.grace * 2
    }
}

/// A running server. Dropping it stops it without grace.
pub struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    /// Serves callers without a certificate, in the lobby.
    strangers: JoinHandle<()>,
    accepting: JoinHandle<()>,
    _lobby: Lobby,
}

/// Answers on `listener` until told to stop.
pub fn serve(listener: TcpListener, door: Door) -> Result<Serving, ServeError> {
    let address = listener.local_addr()?;
    let Door { identity, registry, registrar, links, clock, census, terms } = door;
    let me = identity.borrow().peer().clone();
    let config = server_config(identity, &registry, &clock)?;
    let traffic = links.traffic().clone();
    let lobby = Lobby::open()?;
    let acceptor = Acceptor::new(listener, config, traffic, census, terms);
    let Incoming { machines, strangers, accepting } = acceptor.incoming(&lobby);
    let (stop, stopping) = watch::channel(false);
    let desk = LinkDesk {
        me: me.clone(),
        links,
        registry: registry.clone(),
        clock,
        stay: terms.link_age + terms.grace,
        stopping: stopping.clone(),
    };
    let replication = ReplicationServer::new(desk)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let enrolment = registrar.map(|registrar| {
        EnrolmentServer::new(EnrolmentDesk::new(me, registry, registrar))
            .max_decoding_message_size(2 * REQUEST_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    });
    let mut server = Server::builder()
        .timeout(terms.call)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_ACCEPTED))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .http2_max_local_error_reset_streams(Some(RESETS_OWN_MAX));
    let router = server.add_service(replication).add_optional_service(enrolment);
    let stop_too = told(stopping.clone());
    let strangers =
        lobby.spawn(ended(router.clone().serve_with_incoming_shutdown(strangers, stop_too)));
    let task = tokio::spawn(ended(router.serve_with_incoming_shutdown(machines, told(stopping))));
    Ok(Serving { address, stop, task, strangers, accepting, _lobby: lobby })
}

/// Resolves once the server shall stop; a dropped handle counts as told.
async fn told(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn ended(serving: impl Future<Output = Result<(), tonic::transport::Error>>) {
    if let Err(error) = serving.await {
        tracing::error!(%error, "the server ended");
    }
}

/// A server that could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket is of no use.
    #[error("cannot listen")]
    Socket(#[from] std::io::Error),
    /// The key or certificate is of no use.
    #[error("cannot use this machine's certificate")]
    Tls(#[from] TlsError),
}

impl Serving {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more calls, brings all links down, and waits for them, for at most five seconds. The
    /// address is free when this returns.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let both = async { tokio::join!(&mut self.task, &mut self.strangers) };
        if tokio::time::timeout(SHUTDOWN_GRACE, both).await.is_err() {
            tracing::warn!("connections did not end in time; they are dropped");
        }
        self.accepting.abort();
        // Aborted or not, it is over and the address is free.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
        self.strangers.abort();
        self.accepting.abort();
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
