//! Which certificates a server shows to whom.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::ALPN_ENROL;
use crate::authority::Identity;

/// The server's certificate alone, or with its authority for who asks for that.
#[derive(Debug)]
pub(super) struct Shown {
    alone: Arc<CertifiedKey>,
    whole: Arc<CertifiedKey>,
}

impl Shown {
    pub(super) fn of(
        identity: &Identity,
        provider: &CryptoProvider,
    ) -> Result<Self, rustls::Error> {
        let certified = |chain: Vec<CertificateDer<'static>>| {
            let key = PrivateKeyDer::Pkcs8(identity.private_key());
            CertifiedKey::from_der(chain, key, provider).map(Arc::new)
        };
        Ok(Self { alone: certified(identity.chain())?, whole: certified(identity.whole_chain())? })
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let enrols = hello.alpn().is_some_and(|mut offered| offered.any(|it| it == ALPN_ENROL));
        Some(if enrols { self.whole.clone() } else { self.alone.clone() })
    }
}
