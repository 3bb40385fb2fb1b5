//! The hub's side of enrolment: it turns invitations into named certificates.
//!
//! It refuses to let a signing request say anything but its key, and a certificate renew itself
//! under another name.

use linli_domain::id::PeerName;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use super::BookError;
use super::invitation::{Claim, Invitations, NotAdmitted, Seat};
use super::registry::{Registry, Standing};
use super::token::Token;
use crate::authority::{Authority, AuthorityError, Leaf, LeafError, request_public_key};
use crate::limits::{CERTIFICATE_DAYS, LATE_RENEWAL_DAYS};
use crate::tls::{Clock, late_by};

/// What a hub needs to name machines.
#[derive(Debug)]
pub struct Registrar {
    authority: Authority,
    invitations: Invitations,
    registry: Registry,
    clock: Clock,
    days: u32,
}

/// A certificate that was not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotIssued {
    /// The machine did not get in.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Its certificate has ended too long ago.
    #[error("its certificate has ended more than {LATE_RENEWAL_DAYS} days ago")]
    TooLate,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
    /// The authority refuses, or cannot sign.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The new certificate does not read as one of ours.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The books cannot be written.
    #[error(transparent)]
    Book(#[from] BookError),
}

/// A certificate that was given.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) peer: PeerName,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) founding: bool,
}

impl Registrar {
    /// Puts the parts together. Certificates live 60 days.
    pub fn new(
        authority: Authority,
        invitations: Invitations,
        registry: Registry,
        clock: Clock,
    ) -> Self {
        Self { authority, invitations, registry, clock, days: CERTIFICATE_DAYS }
    }

    /// Gives certificates another life, in days.
    #[must_use]
    pub fn with_days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }

    /// Invites a machine to a seat; the hub must be reachable for it at `address`, `host:port`.
    pub fn invite(&self, seat: Seat, address: String, life_s: u64) -> Result<Token, BookError> {
        let fingerprint = self.authority.fingerprint();
        self.invitations.invite(seat, address, fingerprint, life_s, self.clock.now())
    }

    /// The authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The invitations given out.
    pub fn invitations(&self) -> &Invitations {
        &self.invitations
    }

    /// The machines named so far.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Enrols a machine. Waits for the disk.
    pub(crate) fn enrol(
        &self,
        secret: &[u8],
        machine: &str,
        request: &[u8],
    ) -> Result<Issued, NotIssued> {
        let now = self.clock.now();
        let key = data_encoding::HEXLOWER.encode(&Sha256::digest(request_public_key(request)?));
        let claim = Claim { secret, machine, key: &key };
        let hub = self.authority.hub();
        self.invitations.redeem(&claim, hub, &self.registry, now, |admitted| {
            let certificate = self.authority.issue(&admitted.peer, request, self.days, now)?;
            self.registry.note(&Leaf::read(&certificate)?, admitted.founding, now)?;
            Ok(self.issued(admitted.peer, certificate, admitted.founding))
        })?
    }

    /// Renews the certificate of the machine that shows `leaf`. Waits for the disk.
    pub(crate) fn renew(&self, leaf: &Leaf, request: &[u8]) -> Result<Issued, NotIssued> {
        let now = self.clock.now();
        if late_by(leaf.not_after, now) > LATE_RENEWAL_DAYS {
            return Err(NotIssued::TooLate);
        }
        if self.registry.standing(&leaf.peer) == Standing::Revoked {
            return Err(NotIssued::Revoked);
        }
        let certificate = self.authority.issue(&leaf.peer, request, self.days, now)?;
        self.registry.note(&Leaf::read(&certificate)?, false, now)?;
        Ok(self.issued(leaf.peer.clone(), certificate, false))
    }

    fn issued(
        &self,
        peer: PeerName,
        certificate: CertificateDer<'static>,
        founding: bool,
    ) -> Issued {
        Issued { peer, certificate, authority: self.authority.certificate().clone(), founding }
    }
}
