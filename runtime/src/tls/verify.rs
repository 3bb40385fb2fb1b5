//! Who may be on the other end of a handshake.
//!
//! Chains are checked by webpki; what is added is the name, the deny list, and patience with
//! clocks: a certificate that is not valid yet was made by our own authority a moment ago by a
//! better clock than ours, so it counts as valid from the start. It refuses to look at host names.

use std::sync::Arc;
use std::time::Duration;

use linli_domain::id::PeerName;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    RootCertStore, SignatureScheme,
};

use super::{Expect, TlsError};
use crate::authority::{Fingerprint, Identity, Leaf};
use crate::enrol::{Registry, Standing};
use crate::limits::LATE_RENEWAL_DAYS;

/// Checks callers: our authority, not revoked, not ended for longer than renewal is allowed.
#[derive(Debug)]
pub(super) struct CallerVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    registry: Registry,
}

impl CallerVerifier {
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        registry: Registry,
    ) -> Result<Self, TlsError> {
        let chain = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, registry })
    }
}

impl ClientCertVerifier for CallerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Machines have one certificate; a hint would only cost bytes.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let check = |at| self.chain.verify_client_cert(end_entity, intermediates, at);
        let verified = match patient(now, &check) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) if late_by(not_after.as_secs(), now.as_secs()) <= LATE_RENEWAL_DAYS => {
                check(not_after)
            }
            other => other,
        }?;
        let leaf = Leaf::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        match self.registry.standing(&leaf.peer) {
            Standing::Good | Standing::Unknown => Ok(verified),
            Standing::Revoked => Err(CertificateError::Revoked.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Checks who answers: signed by our authority, and of the right name.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    expect: Expect,
    hub: PeerName,
}

impl ServerVerifier {
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        expect: Expect,
        hub: PeerName,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { roots, algorithms, expect, hub }
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        signed_by(&self.roots, &self.algorithms, end_entity, intermediates, now)?;
        let leaf = Leaf::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let expected = match &self.expect {
            Expect::Hub => leaf.peer == self.hub,
            Expect::Desk(community) => leaf.peer.community.as_ref() == Some(community),
        };
        if !expected {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }
}

/// Checks who answers when all we know is the authority's fingerprint: the authority must be in
/// the chain shown, and the certificate must be that of the authority's own hub.
#[derive(Debug)]
pub(super) struct PinnedVerifier {
    fingerprint: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedVerifier {
    pub(super) fn new(fingerprint: Fingerprint, provider: &Arc<CryptoProvider>) -> Self {
        Self { fingerprint, algorithms: provider.signature_verification_algorithms }
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == self.fingerprint)
            .ok_or(CertificateError::UnknownIssuer)?;
        let hub = Leaf::read(authority).map_err(|_| CertificateError::BadEncoding)?.peer;
        let leaf = Leaf::read(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        if leaf.peer != hub {
            return Err(CertificateError::NotValidForName.into());
        }
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        signed_by(&roots, &self.algorithms, end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }
}

/// The parts of a verifier of servers that do not differ.
macro_rules! server_cert_verifier {
    ($name:ident) => {
        impl ServerCertVerifier for $name {
            fn verify_server_cert(
                &self,
                end_entity: &CertificateDer<'_>,
                intermediates: &[CertificateDer<'_>],
                _: &ServerName<'_>,
                _: &[u8],
                now: UnixTime,
            ) -> Result<ServerCertVerified, Error> {
                patient(now, &|at| self.check(end_entity, intermediates, at))
            }

            fn verify_tls12_signature(
                &self,
                _: &[u8],
                _: &CertificateDer<'_>,
                _: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                Err(PeerIncompatible::Tls12NotOffered.into())
            }

            fn verify_tls13_signature(
                &self,
                message: &[u8],
                cert: &CertificateDer<'_>,
                signature: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                verify_tls13_signature(message, cert, signature, &self.algorithms)
            }

            fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
                self.algorithms.supported_schemes()
            }
        }
    };
}

server_cert_verifier!(ServerVerifier);
server_cert_verifier!(PinnedVerifier);

/// Reads the certificate of whoever has signed a file: signed by our authority, and not ended for
/// longer than renewal is allowed, as for a caller. What came by hand waits for no handshake, so the
/// time is that of reading.
pub(crate) fn signer(
    identity: &Identity,
    certificate: &CertificateDer<'_>,
    now: u64,
) -> Result<Leaf, Error> {
    let roots = super::roots_of(identity).map_err(|error| Error::General(error.to_string()))?;
    let algorithms = super::provider().signature_verification_algorithms;
    let check = |at| signed_by(&roots, &algorithms, certificate, &[], at);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    match patient(now, &check) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }))
            if late_by(not_after.as_secs(), now.as_secs()) <= LATE_RENEWAL_DAYS =>
        {
            check(not_after)
        }
        other => other,
    }?;
    Leaf::read(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

/// Whether the key of a certificate has signed a message, as
/// [`Identity::sign`](crate::authority::Identity) does.
pub(crate) fn has_signed(leaf: &Leaf, message: &[u8], signature: &[u8]) -> bool {
    // The point of a P-256 key, uncompressed, ends its DER.
    let Some(point) = leaf.public_key.len().checked_sub(65).map(|at| &leaf.public_key[at..]) else {
        return false;
    };
    let algorithms = super::provider().signature_verification_algorithms;
    let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    let mut known = algorithms.mapping.iter().filter(|(named, _)| *named == scheme);
    // The first of a scheme's is that of its own curve.
    let verifier = known.next().and_then(|(_, verifiers)| verifiers.first());
    verifier.is_some_and(|verifier| verifier.verify_signature(point, message, signature).is_ok())
}

/// Days by which a certificate has ended, begun days counted in full; 0 if it has not.
pub(crate) fn late_by(not_after: u64, now: u64) -> u32 {
    u32::try_from(now.saturating_sub(not_after).div_ceil(24 * 3_600)).unwrap_or(u32::MAX)
}

fn signed_by(
    roots: &RootCertStore,
    algorithms: &WebPkiSupportedAlgorithms,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms.all)
}

/// Checks now; and if the certificate is not valid yet, at the moment it becomes so.
fn patient<T>(now: UnixTime, check: &impl Fn(UnixTime) -> Result<T, Error>) -> Result<T, Error> {
    match check(now) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before, ..
        })) => check(UnixTime::since_unix_epoch(Duration::from_secs(not_before.as_secs()))),
        other => other,
    }
}
