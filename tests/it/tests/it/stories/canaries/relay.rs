//! A relay that hears all that two machines say: as the network sees it, and as the ends read it.
//!
//! It stands between caller and answerer with the keys of both, which only a test has: it answers
//! with the answerer's certificate, and calls on with the caller's. It refuses to change a byte.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    version,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A relay; it ends with this value.
pub(super) struct Relay {
    heard: Heard,
    _runtime: Runtime,
}

/// Bytes of one direction of one connection.
type Stream = Arc<Mutex<Vec<u8>>>;

#[derive(Clone, Default)]
struct Heard {
    /// As it travels.
    sealed: Arc<Mutex<Vec<Stream>>>,
    /// Inside TLS.
    plain: Arc<Mutex<Vec<Stream>>>,
}

/// Whom a relay speaks for.
#[derive(Clone)]
pub(super) struct Ends {
    /// Where the answerer listens.
    pub(super) answerer: SocketAddr,
    /// Its key and certificates.
    pub(super) identity: PathBuf,
    /// The folder below which each caller has its `identity/identity.pem`.
    pub(super) callers: PathBuf,
}

impl Relay {
    /// Listens on a free port before its ends are known; calls wait for [`Self::begin`].
    pub(super) fn bind() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Relays every call from now on.
    pub(super) fn begin(listener: TcpListener, ends: Ends) -> Self {
        let heard = Heard::default();
        let runtime = Runtime::new().unwrap();
        let kept = heard.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((caller, _)) = listener.accept().await {
                let (ends, heard) = (ends.clone(), kept.clone());
                // A call that ends in an error has ended; its ends make another.
                tokio::spawn(async move { relay(caller, &ends, &heard).await });
            }
        });
        Self { heard, _runtime: runtime }
    }

    /// What went over the network so far, by direction of each connection.
    pub(super) fn sealed(&self) -> Vec<Vec<u8>> {
        copied(&self.heard.sealed)
    }

    /// What the ends read: messages and everything else, by direction of each connection.
    pub(super) fn plain(&self) -> Vec<Vec<u8>> {
        copied(&self.heard.plain).iter().flat_map(|bytes| parts_of(bytes)).collect()
    }
}

fn copied(streams: &Mutex<Vec<Stream>>) -> Vec<Vec<u8>> {
    streams.lock().unwrap().iter().map(|stream| stream.lock().unwrap().clone()).collect()
}

async fn relay(caller: TcpStream, ends: &Ends, heard: &Heard) -> io::Result<()> {
    let caller = Tapped::on(caller, &heard.sealed);
    let caller = TlsAcceptor::from(answering(&ends.identity)?).accept(caller).await?;
    let shown = caller.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let client = calling(&ends.callers, shown.as_ref())?;
    let answerer = Tapped::on(TcpStream::connect(ends.answerer).await?, &heard.sealed);
    let name = ServerName::IpAddress(ends.answerer.ip().into());
    let answerer = TlsConnector::from(client).connect(name, answerer).await?;
    let mut caller = Tapped::on(caller, &heard.plain);
    let mut answerer = Tapped::on(answerer, &heard.plain);
    copy_bidirectional(&mut caller, &mut answerer).await?;
    Ok(())
}

fn key_and_chain(
    path: &Path,
) -> io::Result<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>)> {
    let pem = std::fs::read(path)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(io::Error::other)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
    Ok((key, chain.map_err(io::Error::other)?))
}

fn answering(identity: &Path) -> io::Result<Arc<ServerConfig>> {
    let (key, chain) = key_and_chain(identity)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// As the machine whose certificate was shown, or as nobody where none was.
fn calling(
    callers: &Path,
    shown: Option<&CertificateDer<'static>>,
) -> io::Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let of = |dir: io::Result<std::fs::DirEntry>| {
                let (key, chain) =
                    key_and_chain(&dir.ok()?.path().join("identity").join("identity.pem")).ok()?;
                (chain.first() == Some(shown)).then_some((key, chain))
            };
            let (key, chain) = std::fs::read_dir(callers)?
                .find_map(of)
                .ok_or_else(|| io::Error::other("nobody has this certificate"))?;
            builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Keeps a copy of all that is read from a stream.
struct Tapped<S> {
    stream: S,
    heard: Stream,
}

impl<S> Tapped<S> {
    fn on(stream: S, among: &Mutex<Vec<Stream>>) -> Self {
        let heard = Stream::default();
        among.lock().unwrap().push(heard.clone());
        Self { stream, heard }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.heard.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// One direction of an HTTP/2 connection taken apart: the messages of each of its streams in one
/// piece, since a frame's end may cut a text or a compressed body, and all else.
pub(super) fn parts_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const DATA: u8 = 0;
    const PADDED: u8 = 8;
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let mut streams = std::collections::BTreeMap::<[u8; 4], Vec<u8>>::new();
    let mut other = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (mut body, after) = after.split_at(length.min(after.len()));
        rest = after;
        if head[3] != DATA {
            other.extend_from_slice(body);
            continue;
        }
        if head[4] & PADDED != 0
            && let [padding, padded @ ..] = body
        {
            body = &padded[..padded.len().saturating_sub(usize::from(*padding))];
        }
        let stream = [head[5], head[6], head[7], head[8]];
        streams.entry(stream).or_default().extend_from_slice(body);
    }
    streams.into_values().chain([other]).collect()
}

/// Whoever calls or answers will do: the ends themselves are the judges.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
