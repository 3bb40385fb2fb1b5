//! A machine's own key, its certificate and the authority it trusts.
//!
//! The key is made here and never leaves; it refuses a certificate that is not over this key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use linli_domain::id::PeerName;
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
    SigningKey as _,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::file::{read_if_present, write_private};
use super::leaf::{Leaf, LeafError};
use crate::limits::RENEWAL_DAYS;

/// An identity that cannot be used, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate, or that of the authority, is not one of ours.
    #[error("the certificate is not one of Linli's: {0}")]
    Certificate(#[from] LeafError),
    /// The certificate is over another key.
    #[error("the certificate is over another key than this machine's")]
    OtherKey,
    /// The file cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file does not hold a key and two certificates.
    #[error("{path} does not hold a key and its certificates; enrol this machine again")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// An ECDSA P-256 key of this machine.
pub struct MachineKey(KeyPair);

impl MachineKey {
    /// Makes a key.
    pub fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// A signing request over this key, in DER. It carries no name.
    pub fn request(&self) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.0)?.der().to_vec())
    }

    /// Keeps the key in a file that only its owner can read.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        write_private(path, self.0.serialize_pem().as_bytes())
            .map_err(|source| IdentityError::File { path: path.to_owned(), source })
    }

    /// Reads a key that [`Self::save`] kept; `None` if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, IdentityError> {
        let pem = read_if_present(path)
            .map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
        pem.map(|pem| {
            Self::from_pem(&pem).ok_or_else(|| IdentityError::Damaged { path: path.to_owned() })
        })
        .transpose()
    }

    fn from_pem(pem: &[u8]) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        KeyPair::try_from(&key).ok().map(Self)
    }

    /// A signature, ECDSA P-256 with SHA-256 in ASN.1: 72 bytes at most.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl fmt::Debug for MachineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineKey(..)")
    }
}

/// A machine's key, its certificate, and the authority that signed it.
#[derive(Debug)]
pub struct Identity {
    key: MachineKey,
    certificate: CertificateDer<'static>,
    authority: CertificateDer<'static>,
    leaf: Leaf,
    hub: PeerName,
}

impl Identity {
    /// Puts the parts together; the certificate must be over the key.
    pub fn new(
        key: MachineKey,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<Self, IdentityError> {
        let leaf = Leaf::read(&certificate)?;
        if leaf.public_key != key.0.subject_public_key_info() {
            return Err(IdentityError::OtherKey);
        }
        let hub = Leaf::read(&authority)?.peer;
        Ok(Self { key, certificate, authority, leaf, hub })
    }

    /// Reads what [`Self::save`] kept; `None` if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, IdentityError> {
        let file = |source| IdentityError::File { path: path.to_owned(), source };
        let Some(pem) = read_if_present(path).map_err(file)? else { return Ok(None) };
        let damaged = || IdentityError::Damaged { path: path.to_owned() };
        let key = MachineKey::from_pem(&pem).ok_or_else(damaged)?;
        let mut certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
        let (Some(certificate), Some(authority)) = (certificates.next(), certificates.next())
        else {
            return Err(damaged());
        };
        Self::new(key, certificate, authority).map(Some)
    }

    /// Keeps key and certificates in one file that only its owner can read: all or none.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        let mut text = self.key.0.serialize_pem();
        for certificate in [&self.certificate, &self.authority] {
            text.push_str(&pem_of(certificate));
        }
        write_private(path, text.as_bytes())
            .map_err(|source| IdentityError::File { path: path.to_owned(), source })
    }

    /// This machine.
    pub fn peer(&self) -> &PeerName {
        &self.leaf.peer
    }

    /// What the certificate says.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// The hub that speaks for the authority.
    pub fn hub(&self) -> &PeerName {
        &self.hub
    }

    /// The authority's certificate.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// Whether it is time to renew, at `now` in seconds since 1970.
    pub fn renewal_due(&self, now: u64) -> bool {
        now.saturating_add(u64::from(RENEWAL_DAYS) * 24 * 3_600) >= self.leaf.not_after
    }

    /// What a handshake shows to those who know the authority: the certificate alone.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// What it shows to those who know only the authority's fingerprint: the authority as well.
    pub(crate) fn whole_chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone(), self.authority.clone()]
    }

    /// The certificate itself.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A signature with this machine's key; see [`MachineKey::sign`].
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(message)
    }

    pub(crate) fn private_key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.0.serialize_der().into()
    }
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let body = data_encoding::BASE64.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
