//! Accepting connections: a deadline for handshakes, and an end for every connection.
//!
//! All of it happens in the lobby; what comes out is authenticated, or anonymous and stays there. It
//! refuses one too many without a word: a caller that dials on a schedule comes again.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::Connected;

use super::census::{Census, Seat};
use super::socket::Socket;
use super::stream::{Secured, Traffic};
use crate::authority::Leaf;
use crate::limits::{ACCEPT_PAUSE, ANONYMOUS_AGE_MAX, HANDSHAKES_MAX};
use crate::lobby::{Lobby, rest};
use crate::seldom::Seldom;
use crate::serve::Terms;

static FAILED: Seldom = Seldom::new();
static NAMELESS: Seldom = Seldom::new();
static TOO_MANY: Seldom = Seldom::new();

/// Who called, as every request of the connection knows it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The verified certificate; `None` for an anonymous caller.
    pub(crate) leaf: Option<Arc<Leaf>>,
    /// Where from, for the log.
    pub(crate) address: SocketAddr,
    linked: Arc<AtomicBool>,
}

impl Caller {
    /// Takes the one link a connection may carry; false if it is taken.
    pub(crate) fn take_link(&self) -> bool {
        !self.linked.swap(true, Ordering::Relaxed)
    }
}

/// Accepts connections and secures them.
pub(crate) struct Acceptor {
    listener: TcpListener,
    tls: TlsAcceptor,
    census: Census,
    traffic: Arc<Traffic>,
    terms: Terms,
}

/// Secured connections, until the streams are dropped. Where one is taken out it is served.
pub(crate) struct Incoming {
    /// With a certificate.
    pub(crate) machines: Connections,
    /// Without one.
    pub(crate) strangers: Connections,
    /// Holds the socket.
    pub(crate) accepting: JoinHandle<()>,
}

type Connections = Pin<Box<dyn Stream<Item = io::Result<Admitted>> + Send>>;

impl Acceptor {
    pub(crate) fn new(
        listener: TcpListener,
        config: Arc<ServerConfig>,
        traffic: Arc<Traffic>,
        census: Census,
        terms: Terms,
    ) -> Self {
        Self { listener, tls: config.into(), census, traffic, terms }
    }

    /// Begins to accept.
    pub(crate) fn incoming(self, lobby: &Lobby) -> Incoming {
        // Two: as many as a server takes up in a moment; the others stay in the system's queue.
        let (ready, machines) = mpsc::channel(2);
        let (unknown, strangers) = mpsc::channel(2);
        let terms = self.terms;
        let accepting = lobby.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = ready.closed() => return,
                    accepted = self.listener.accept() => accepted,
                };
                let (tcp, address) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                rest();
                let _ = tcp.set_nodelay(true);
                let seat = loop {
                    if let Ok(seat) = self.census.enter(address.ip()) {
                        break seat;
                    }
                    // The others wait in the system's queue.
                    tracing::debug!(max = HANDSHAKES_MAX, "many handshakes are under way");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                };
                let secured = self.tls.accept(Socket::new(tcp));
                let work = admit(secured, address, self.traffic.clone(), seat);
                let (ready, unknown, patience) = (ready.clone(), unknown.clone(), terms.handshake);
                tokio::spawn(async move {
                    match timeout(patience, work).await {
                        Ok(Some(admitted)) => {
                            let known = admitted.held().caller.leaf.is_some();
                            let to = if known { ready } else { unknown };
                            // The server is gone: so is the connection.
                            let _ = to.send(admitted).await;
                        }
                        Ok(None) => {}
                        Err(_) => tracing::debug!(%address, "the handshake took too long"),
                    }
                });
            }
        });
        let machines = ReceiverStream::new(machines).filter_map(move |mut admitted: Admitted| {
            admitted.stream_mut().get_mut().0.move_here().ok()?;
            Some(Ok(admitted.ending_after(terms.connection_age())))
        });
        let strangers = ReceiverStream::new(strangers)
            .map(|admitted: Admitted| Ok(admitted.ending_after(ANONYMOUS_AGE_MAX)));
        Incoming { machines: Box::pin(machines), strangers: Box::pin(strangers), accepting }
    }
}

async fn admit(
    secured: impl Future<Output = io::Result<TlsStream<Socket>>>,
    address: SocketAddr,
    traffic: Arc<Traffic>,
    mut seat: Seat,
) -> Option<Admitted> {
    let mut cut = seat.take_cut()?;
    let secured = tokio::select! {
        secured = secured => secured,
        _ = &mut cut => {
            tracing::debug!(%address, "a slow handshake gives way to another");
            return None;
        }
    };
    let stream = match secured {
        Ok(stream) => stream,
        Err(error) => {
            if let Some(unsaid) = FAILED.may() {
                tracing::info!(%address, %error, unsaid, "a handshake failed");
            }
            return None;
        }
    };
    let leaf = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
        None => None,
        Some(certificate) => match Leaf::read(certificate) {
            Ok(leaf) => Some(Arc::new(leaf)),
            Err(error) => {
                if let Some(unsaid) = NAMELESS.may() {
                    tracing::warn!(%address, %error, unsaid, "a certificate of ours names nobody");
                }
                return None;
            }
        },
    };
    if !seat.take(leaf.as_ref().map(|leaf| &leaf.peer)) {
        if let Some(unsaid) = TOO_MANY.may() {
            let peer = leaf.as_ref().map(|leaf| leaf.peer.to_string());
            tracing::warn!(%address, peer, unsaid, "too many connections of one kind");
        }
        return None;
    }
    let caller = Caller { leaf, address, linked: seat.linked() };
    let admission = Admission { caller, _seat: seat };
    Some(Secured::new(stream, traffic).holding(admission).ending_with(cut))
}

/// A connection that was let in.
pub(crate) type Admitted = Secured<TlsStream<Socket>, Admission>;

/// Who was let in, and the place the connection has among the others.
#[derive(Debug)]
pub(crate) struct Admission {
    caller: Caller,
    _seat: Seat,
}

impl Connected for Admitted {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.held().caller.clone()
    }
}
