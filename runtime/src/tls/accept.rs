//! Accepting connections: a deadline for handshakes, caps by total, by stranger and by machine.
//!
//! What comes out is authenticated or anonymous, and says which. It refuses one too many without
//! a word: a caller that dials on a schedule comes again.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linli_domain::id::PeerName;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::stream::{Secured, Traffic};
use crate::authority::Leaf;
use crate::limits::{
    ACCEPT_PAUSE, ANONYMOUS_AGE_MAX, CONNECTIONS_ANONYMOUS_MAX, CONNECTIONS_MAX,
    CONNECTIONS_PER_PEER_MAX, HANDSHAKE_TIMEOUT,
};

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
}

impl Acceptor {
    pub(crate) fn new(
        listener: TcpListener,
        config: Arc<ServerConfig>,
        traffic: Arc<Traffic>,
    ) -> Self {
        Self { listener, tls: config.into(), census: Census::default(), traffic }
    }

    /// Secured connections, until the stream is dropped.
    pub(crate) fn incoming(self) -> ReceiverStream<io::Result<Admitted>> {
        // Two: as many as the server takes up in a moment; the others stay in the system's queue.
        let (ready, incoming) = mpsc::channel(2);
        tokio::spawn(async move {
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
                let Some(seat) = self.census.enter() else {
                    tracing::warn!(%address, max = CONNECTIONS_MAX, "too many connections");
                    continue;
                };
                let (tls, traffic, ready) = (self.tls.clone(), self.traffic.clone(), ready.clone());
                tokio::spawn(async move {
                    match timeout(HANDSHAKE_TIMEOUT, admit(tcp, address, tls, traffic, seat)).await
                    {
                        Ok(Some(admitted)) => {
                            // The server is gone: so is the connection.
                            let _ = ready.send(Ok(admitted)).await;
                        }
                        Ok(None) => {}
                        Err(_) => tracing::debug!(%address, "the handshake took too long"),
                    }
                });
            }
        });
        ReceiverStream::new(incoming)
    }
}

async fn admit(
    tcp: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    traffic: Arc<Traffic>,
    mut seat: Seat,
) -> Option<Admitted> {
    let _ = tcp.set_nodelay(true);
    let stream = match tls.accept(tcp).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::info!(%address, %error, "a handshake failed");
            return None;
        }
    };
    let leaf = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
        None => None,
        Some(certificate) => match Leaf::read(certificate) {
            Ok(leaf) => Some(Arc::new(leaf)),
            Err(error) => {
                tracing::warn!(%address, %error, "a certificate of ours names nobody");
                return None;
            }
        },
    };
    if !seat.take(leaf.as_ref().map(|leaf| &leaf.peer)) {
        let peer = leaf.as_ref().map(|leaf| leaf.peer.to_string());
        tracing::warn!(%address, peer, "too many connections of one kind");
        return None;
    }
    let age_max = leaf.is_none().then_some(ANONYMOUS_AGE_MAX);
    let caller = Caller { leaf, address, linked: Arc::default() };
    let admitted = Secured::new(stream, traffic).holding(Admission { caller, _seat: seat });
    Some(match age_max {
        Some(age) => admitted.ending_after(age),
        None => admitted,
    })
}

/// A connection that was let in.
pub(crate) type Admitted = Secured<TlsStream<TcpStream>, Admission>;

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

/// How many connections there are, and whose.
#[derive(Debug, Clone)]
struct Census {
    all: Arc<Semaphore>,
    anonymous: Arc<Semaphore>,
    by_peer: Arc<Mutex<BTreeMap<PeerName, usize>>>,
}

impl Default for Census {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            anonymous: Arc::new(Semaphore::new(CONNECTIONS_ANONYMOUS_MAX)),
            by_peer: Arc::default(),
        }
    }
}

impl Census {
    fn enter(&self) -> Option<Seat> {
        let all = self.all.clone().try_acquire_owned().ok()?;
        Some(Seat { census: self.clone(), _all: all, anonymous: None, peer: None })
    }
}

/// One connection's place; leaving is dropping it.
#[derive(Debug)]
struct Seat {
    census: Census,
    _all: OwnedSemaphorePermit,
    anonymous: Option<OwnedSemaphorePermit>,
    peer: Option<PeerName>,
}

impl Seat {
    /// Counts the connection as the machine's, or as a stranger's; false if there are enough.
    fn take(&mut self, peer: Option<&PeerName>) -> bool {
        let Some(peer) = peer else {
            self.anonymous = self.census.anonymous.clone().try_acquire_owned().ok();
            return self.anonymous.is_some();
        };
        let mut by_peer = self.census.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_peer.entry(peer.clone()).or_default();
        if *count >= CONNECTIONS_PER_PEER_MAX {
            return false;
        }
        *count += 1;
        self.peer = Some(peer.clone());
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(peer) = &self.peer else { return };
        let mut by_peer = self.census.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_peer.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                by_peer.remove(peer);
            }
        }
    }
}
