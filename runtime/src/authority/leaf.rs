//! What a certificate of ours says: whose it is, its serial number and its life.
//!
//! It reads and does not judge: whether the certificate is signed by whom it should be is for the
//! handshake to find out.

use linli_domain::id::{InvalidName, PeerName};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

const SCHEME: &str = "linli://";

/// A certificate that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It is not a certificate at all.
    #[error("it is not an X.509 certificate")]
    Form,
    /// It names no machine, or several.
    #[error("it must name one machine as a linli:// URI")]
    Unnamed,
    /// The name breaks the rules of names.
    #[error("its name breaks the rules")]
    Name(#[from] InvalidName),
}

/// What a machine's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The machine.
    pub peer: PeerName,
    /// The serial number, in hex.
    pub serial: String,
    /// Valid from, in seconds since 1970.
    pub not_before: u64,
    /// Valid until, in seconds since 1970.
    pub not_after: u64,
    /// The public key with its algorithm, in DER.
    pub(crate) public_key: Vec<u8>,
}

impl Leaf {
    /// Reads a certificate in DER.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, LeafError> {
        let (rest, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| LeafError::Form)?;
        if !rest.is_empty() {
            return Err(LeafError::Form);
        }
        let names = parsed.subject_alternative_name().map_err(|_| LeafError::Form)?;
        let mut ours = names.iter().flat_map(|names| &names.value.general_names).filter_map(
            |name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
                _ => None,
            },
        );
        let (Some(name), None) = (ours.next(), ours.next()) else {
            return Err(LeafError::Unnamed);
        };
        let seconds = |moment: i64| u64::try_from(moment).unwrap_or(0);
        Ok(Self {
            peer: PeerName::parse(name)?,
            serial: data_encoding::HEXLOWER.encode(parsed.raw_serial()),
            not_before: seconds(parsed.validity().not_before.timestamp()),
            not_after: seconds(parsed.validity().not_after.timestamp()),
            public_key: parsed.public_key().raw.to_vec(),
        })
    }
}

/// How a certificate writes a machine's name.
pub(super) fn uri_of(peer: &PeerName) -> String {
    format!("{SCHEME}{peer}")
}
