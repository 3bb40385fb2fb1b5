//! TLS 1.3 between machines of Linli, and who is on the other end.
//!
//! One provider, no early data, no resumption: every connection proves its name anew, so that a
//! revocation is felt at once. Machines know each other by the `linli://` name in the certificate
//! and by nothing else; host names are not trusted. It refuses to say who may do what.

mod accept;
mod census;
mod clock;
mod shown;
mod socket;
mod stream;
mod verify;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use linli_domain::id::{CommunityId, PeerName};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig, version};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

pub(crate) use accept::{Acceptor, Caller, Incoming};
pub use census::{Census, Counted};
pub use clock::Clock;
pub use stream::Traffic;
pub(crate) use stream::{Secured, Trouble};
pub(crate) use verify::{has_signed, late_by, signer};

use crate::authority::{Fingerprint, Identity, Leaf, LeafError};
use crate::enrol::Registry;
use crate::limits::{HANDSHAKE_TIMEOUT, HEADER_BYTES_MAX, KEEPALIVE_DIALLED, KEEPALIVE_TIMEOUT};
use shown::Shown;
use verify::{CallerVerifier, PinnedVerifier, ServerVerifier};

const ALPN_H2: &[u8] = b"h2";
/// Offered beside HTTP/2, and never chosen, by a machine that knows the authority only by its
/// fingerprint: it asks to be shown the authority's certificate too. All others are spared it, on
/// every connection.
const ALPN_ENROL: &[u8] = b"linli-enrol";

/// Whom a connection must reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// The hub that speaks for the authority we trust.
    Hub,
    /// A desk of this community.
    Desk(CommunityId),
}

/// A connection that could not be made, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers at the address.
    #[error("cannot reach {address}: {source}; check the address and the network")]
    Unreachable {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The other end did not answer in time.
    #[error("{address} does not answer")]
    Silent {
        /// The address.
        address: String,
    },
    /// The certificate of the other end has come to its end, or our clock is ahead.
    #[error(
        "the certificate of {address} has ended by this machine's clock; check the date, then \
         renew the certificate there"
    )]
    Ended {
        /// The address.
        address: String,
    },
    /// Somebody else answers.
    #[error("{address} is not the machine it should be; check the address")]
    Stranger {
        /// The address.
        address: String,
        /// What the handshake says.
        source: io::Error,
    },
    /// The other end refuses us.
    #[error("{address} refuses this machine ({alert}); it may have been revoked")]
    Refused {
        /// The address.
        address: String,
        /// The alert.
        alert: String,
    },
    /// The other end is a machine that was shut out.
    #[error("{address} is {peer}, which was shut out; take it out of the settings of this machine")]
    ShutOut {
        /// The address.
        address: String,
        /// Who answers.
        peer: PeerName,
    },
    /// The other end is a desk to which a link stands.
    #[error("{address} is {peer}, to which there is a link already")]
    Linked {
        /// The address.
        address: String,
        /// Who answers.
        peer: PeerName,
    },
    /// The handshake failed otherwise.
    #[error("the handshake with {address} failed: {source}")]
    Handshake {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Our own key and certificate cannot be used.
    #[error("this machine's own certificate cannot be used: {0}; enrol it again")]
    Own(#[from] TlsError),
}

/// A key, certificate or authority that TLS cannot use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The library says why.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The certificate of the authority is not one of ours.
    #[error("the authority's certificate is not one of ours: {0}")]
    Authority(#[from] LeafError),
}

/// How this machine answers: callers may come without a certificate, but one that is shown must be
/// signed by our authority and not revoked. One that has ended is let in as far as to renew it.
pub(crate) fn server_config(
    identity: watch::Receiver<Arc<Identity>>,
    registry: &Registry,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let roots = roots_of(&identity.borrow())?;
    let verifier = CallerVerifier::new(roots, &provider, registry.clone())?;
    let mut config = ServerConfig::builder_with_details(provider.clone(), Arc::new(clock.clone()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Shown::of(identity, provider)?));
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// How this machine calls: with its certificate, and only whom it means.
pub(crate) fn client_config(
    identity: &Identity,
    expect: Expect,
    clock: &Clock,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let roots = roots_of(identity)?;
    let hub = identity.hub().clone();
    let verifier = ServerVerifier::new(roots, &provider, expect, hub);
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.chain(), PrivateKeyDer::Pkcs8(identity.private_key()))?;
    finish(&mut config);
    Ok(Arc::new(config))
}

/// How a machine calls that has no certificate yet: it knows the authority by its fingerprint.
pub(crate) fn enrolling_config(
    fingerprint: Fingerprint,
    clock: &Clock,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier = PinnedVerifier::new(fingerprint, &provider);
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    finish(&mut config);
    config.alpn_protocols.push(ALPN_ENROL.to_vec());
    Ok(Arc::new(config))
}

fn finish(config: &mut ClientConfig) {
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots_of(identity: &Identity) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.authority().clone())?;
    Ok(Arc::new(roots))
}

/// An authenticated connection that we dialled.
pub(crate) struct Dialled {
    pub(crate) stream: Secured<TlsStream<TcpStream>>,
    /// Who answered.
    pub(crate) leaf: Leaf,
    /// What broke it, once it is broken.
    pub(crate) trouble: Trouble,
}

/// Connects to `host:port` and makes sure of who answers.
pub(crate) async fn connect(
    address: &str,
    config: Arc<ClientConfig>,
    traffic: Arc<Traffic>,
) -> Result<Dialled, ConnectError> {
    let whole = async {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|source| ConnectError::Unreachable { address: address.to_owned(), source })?;
        // A frame is one write: there is nothing to gather.
        let _ = tcp.set_nodelay(true);
        let name = server_name(address, tcp.peer_addr().ok());
        let stream = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|source| handshake_error(address, source))?;
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| Leaf::read(chain.first()?).ok())
            .ok_or_else(|| ConnectError::Stranger {
                address: address.to_owned(),
                source: io::ErrorKind::InvalidData.into(),
            })?;
        Ok::<_, ConnectError>((stream, leaf))
    };
    let (stream, leaf) = timeout(HANDSHAKE_TIMEOUT, whole)
        .await
        .map_err(|_| ConnectError::Silent { address: address.to_owned() })??;
    let trouble = Trouble::default();
    let stream = Secured::new(stream, traffic).reporting(trouble.clone());
    Ok(Dialled { stream, leaf, trouble })
}

/// What TLS calls the server. Nobody checks it: machines go by the name in the certificate.
fn server_name(address: &str, resolved: Option<SocketAddr>) -> ServerName<'static> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).unwrap_or_else(|_| {
        let ip = resolved.map_or_else(|| [0, 0, 0, 0].into(), |address| address.ip());
        ServerName::IpAddress(ip.into())
    })
}

fn handshake_error(address: &str, source: io::Error) -> ConnectError {
    let address = address.to_owned();
    let tls = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => ConnectError::Ended { address },
        Some(rustls::Error::InvalidCertificate(_)) => ConnectError::Stranger { address, source },
        Some(rustls::Error::AlertReceived(alert)) => {
            ConnectError::Refused { address, alert: format!("{alert:?}") }
        }
        _ => ConnectError::Handshake { address, source },
    }
}

/// Speaks HTTP/2 over a connection that is there already. When it breaks, the channel is of no use
/// any more: whoever holds it dials anew.
pub(crate) async fn channel_over(
    stream: Secured<TlsStream<TcpStream>>,
) -> Result<Channel, tonic::transport::Error> {
    let mut once = Some(hyper_util::rt::TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = once.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        async move { stream }
    });
    Endpoint::from_static("http://linli")
        .http2_keep_alive_interval(KEEPALIVE_DIALLED)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .connect_with_connector(connector)
        .await
}
