//! The certificate authority of a street or district: it names machines.
//!
//! A hub is the authority of its own realm and of nothing else. The name of the hub stands in the
//! authority's certificate, so that whoever knows the authority knows who may speak for it. It
//! never sees a machine's private key, and it refuses to take a name from a signing request: the
//! name comes from the invitation, the request gives only the public key.

mod file;
mod identity;
mod leaf;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linli_domain::id::PeerName;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SigningKey as _,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

pub(crate) use file::{create_private, make_private_dir, read_if_present, sync_dir, write_private};
pub use identity::{Identity, IdentityError, MachineKey};
pub use leaf::{Leaf, LeafError};

use crate::limits::{AUTHORITY_DAYS, REQUEST_BYTES_MAX};

/// Certificates are valid from a day before they are made: office clocks are not exact.
const BACKDATE_S: u64 = 24 * 3_600;
const DAY_S: u64 = 24 * 3_600;
/// 1 January 9000. A clock beyond it counts as this, since certificates end with the year 9999.
const LATEST_S: u64 = 221_845_392_000;

const FILE: &str = "authority.pem";

/// An authority that could not be made or read, or a certificate it could not issue.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is one already; making another would lock every machine out.
    #[error("there is an authority in {path} already; it is kept")]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no authority in {path}; run `linli-hub init` first")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file does not hold an authority.
    #[error("{path} does not hold an authority's key and certificate")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A host name that no certificate can carry.
    #[error("`{host}` is not a host name or address")]
    Host {
        /// The name.
        host: String,
    },
    /// A signing request that is malformed, too large, badly signed or not for ECDSA P-256.
    #[error("the signing request is not one of ours")]
    Request,
    /// The signature failed.
    #[error("cannot sign a certificate")]
    Sign(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The new certificate is not as it should be.
    #[error("the new certificate cannot be used")]
    Issued(#[from] IdentityError),
}

/// SHA-256 over an authority's certificate in DER; what an invitation pins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The authority of a hub's realm, with its key.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    hub: PeerName,
}

impl Authority {
    /// Makes the authority of a hub and keeps it in `dir`, readable by its owner only. `now` is in
    /// seconds since 1970.
    pub fn create(dir: &Path, hub: &PeerName, now: u64) -> Result<Self, AuthorityError> {
        let path = dir.join(FILE);
        if path.exists() {
            return Err(AuthorityError::Exists { path });
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named(hub, now, AUTHORITY_DAYS)?;
        params.distinguished_name.push(DnType::CommonName, format!("Linli authority of {hub}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        write_private(&path, pem.as_bytes())
            .map_err(|source| AuthorityError::File { path, source })?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate: certificate.der().clone(),
            hub: hub.clone(),
        })
    }

    /// Reads the authority that [`Self::create`] kept in `dir`.
    pub fn load(dir: &Path) -> Result<Self, AuthorityError> {
        let path = dir.join(FILE);
        let pem = match read_if_present(&path) {
            Ok(Some(pem)) => pem,
            Ok(None) => return Err(AuthorityError::Missing { path }),
            Err(source) => return Err(AuthorityError::File { path, source }),
        };
        Self::from_pem(&pem).ok_or(AuthorityError::Damaged { path })
    }

    fn from_pem(pem: &[u8]) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let key = KeyPair::try_from(&key).ok()?;
        let certificate = CertificateDer::from_pem_slice(pem).ok()?;
        let leaf = Leaf::read(&certificate).ok()?;
        if leaf.public_key != key.subject_public_key_info() {
            return None;
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).ok()?;
        Some(Self { issuer, certificate, hub: leaf.peer })
    }

    /// The hub that speaks for this authority.
    pub fn hub(&self) -> &PeerName {
        &self.hub
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What invitations pin.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A fresh key and certificate for the hub itself. `hosts` are the names and addresses under
    /// which other programs may look for it; machines of Linli go by the hub's name.
    pub fn issue_hub(&self, hosts: &[String], now: u64) -> Result<Identity, AuthorityError> {
        let key = MachineKey::generate()?;
        let mut params = named(&self.hub, now, AUTHORITY_DAYS)?;
        for host in hosts {
            let name = match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    host.as_str()
                        .try_into()
                        .map_err(|_| AuthorityError::Host { host: host.clone() })?,
                ),
            };
            params.subject_alt_names.push(name);
        }
        let certificate = self.sign(params, &self.hub, key.pair())?;
        Ok(Identity::new(key, certificate, self.certificate.clone())?)
    }

    /// A certificate of `days` for a machine, over the public key of its signing request (PKCS#10,
    /// DER). Nothing else of the request is used.
    pub fn issue(
        &self,
        peer: &PeerName,
        request: &[u8],
        days: u32,
        now: u64,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let key = request_key(request)?;
        self.sign(named(peer, now, days)?, peer, &key)
    }

    /// A signature with the authority's own key, as [`Identity::sign`] makes them. The message must
    /// begin with words of its own, which no certificate does.
    pub(crate) fn sign_word(&self, message: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.issuer.key().sign(message)?)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        peer: &PeerName,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        params.distinguished_name.push(DnType::CommonName, peer.machine.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.into())
    }
}

/// The public key of a signing request, in DER; two requests of one key give the same bytes.
pub(crate) fn request_public_key(request: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    Ok(request_key(request)?.subject_public_key_info())
}

fn request_key(request: &[u8]) -> Result<rcgen::PublicKey, AuthorityError> {
    if request.len() > REQUEST_BYTES_MAX {
        return Err(AuthorityError::Request);
    }
    let request =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(|_| AuthorityError::Request)?;
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(AuthorityError::Request);
    }
    Ok(request.public_key)
}

/// Parameters that every certificate of ours shares: a random serial, a life, and the name as URI.
fn named(peer: &PeerName, now: u64, days: u32) -> Result<CertificateParams, AuthorityError> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial)?;
    // A serial is a positive number without leading zeros.
    serial[0] = serial[0] & 0x3f | 0x40;
    let now = now.min(LATEST_S);
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let moment = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_before = moment(now.saturating_sub(BACKDATE_S));
    params.not_after = moment(now + u64::from(days) * DAY_S);
    params.distinguished_name = DistinguishedName::new();
    let uri = leaf::uri_of(peer);
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into()?)];
    Ok(params)
}

#[cfg(test)]
mod tests;
