//! Which certificates a server shows to whom.
//!
//! A renewed certificate is shown from the next handshake on. It refuses to fall back on nothing:
//! where the new one cannot be used, the old one goes on being shown.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::ALPN_ENROL;
use crate::authority::Identity;

/// The server's certificate alone, or with its authority for who asks for that.
#[derive(Debug)]
pub(super) struct Shown {
    identity: watch::Receiver<Arc<Identity>>,
    provider: Arc<CryptoProvider>,
    ready: Mutex<Ready>,
}

/// What is shown, made ready once for each identity.
#[derive(Debug, Clone)]
struct Ready {
    identity: Arc<Identity>,
    alone: Arc<CertifiedKey>,
    whole: Arc<CertifiedKey>,
}

impl Shown {
    pub(super) fn of(
        identity: watch::Receiver<Arc<Identity>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let first = identity.borrow().clone();
        let ready = Mutex::new(Ready::of(first, &provider)?);
        Ok(Self { identity, provider, ready })
    }

    fn ready(&self) -> Ready {
        let latest = self.identity.borrow().clone();
        // It is replaced whole or not at all.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&ready.identity, &latest) {
            match Ready::of(latest, &self.provider) {
                Ok(fresh) => *ready = fresh,
                Err(error) => tracing::error!(%error, "the renewed certificate cannot be used"),
            }
        }
        ready.clone()
    }
}

impl Ready {
    fn of(identity: Arc<Identity>, provider: &CryptoProvider) -> Result<Self, rustls::Error> {
        let certified = |chain: Vec<CertificateDer<'static>>| {
            let key = PrivateKeyDer::Pkcs8(identity.private_key());
            CertifiedKey::from_der(chain, key, provider).map(Arc::new)
        };
        let (alone, whole) = (certified(identity.chain())?, certified(identity.whole_chain())?);
        Ok(Self { identity, alone, whole })
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let enrols = hello.alpn().is_some_and(|mut offered| offered.any(|it| it == ALPN_ENROL));
        let Ready { alone, whole, .. } = self.ready();
        Some(if enrols { whole } else { alone })
    }
}
