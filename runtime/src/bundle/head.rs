//! The head of a bundle: what anybody who finds the file may read.

use data_encoding::HEXLOWER;
use linli_domain::id::{MachineId, PeerName};
use serde::{Deserialize, Serialize};

use super::{BundleError, NONCE_BYTES};

/// How everything in a bundle is made. Another set gets another name here.
const ALGORITHMS: &str = "zstd hkdf-sha256 xchacha20-poly1305 ecdsa-p256-sha256";

/// What a head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The desk that has made it.
    pub maker: PeerName,
    /// The desk it is for; anybody of the community may take it.
    pub reader: Option<MachineId>,
    /// The key epoch it is sealed in.
    pub key_epoch: u32,
    /// When it was made, in seconds since 1970; by the maker's clock, for people.
    pub made_at: u64,
    /// What the key of this file is derived with.
    pub(super) salt: [u8; 32],
    /// The nonce of its stream.
    pub(super) nonce: [u8; NONCE_BYTES],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    algorithms: String,
    maker: PeerName,
    reader: Option<MachineId>,
    key_epoch: u32,
    made_at: u64,
    salt: String,
    nonce: String,
}

impl Head {
    pub(super) fn draw(
        maker: &PeerName,
        reader: Option<&MachineId>,
        key_epoch: u32,
        made_at: u64,
    ) -> Result<Self, getrandom::Error> {
        let (mut salt, mut nonce) = ([0; 32], [0; NONCE_BYTES]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut nonce)?;
        let (maker, reader) = (maker.clone(), reader.cloned());
        Ok(Self { maker, reader, key_epoch, made_at, salt, nonce })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let form = Form {
            algorithms: ALGORITHMS.to_owned(),
            maker: self.maker.clone(),
            reader: self.reader.clone(),
            key_epoch: self.key_epoch,
            made_at: self.made_at,
            salt: HEXLOWER.encode(&self.salt),
            nonce: HEXLOWER.encode(&self.nonce),
        };
        serde_json::to_vec(&form).expect("names and numbers are JSON")
    }

    pub(super) fn read(text: &[u8]) -> Result<Self, BundleError> {
        let damaged = || BundleError::Damaged { what: "its head cannot be read" };
        let form: Form = serde_json::from_slice(text).map_err(|_| damaged())?;
        if form.algorithms != ALGORITHMS {
            return Err(BundleError::Newer);
        }
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_| damaged());
        let salt = bytes(&form.salt)?.try_into().map_err(|_| damaged())?;
        let nonce = bytes(&form.nonce)?.try_into().map_err(|_| damaged())?;
        let Form { maker, reader, key_epoch, made_at, .. } = form;
        Ok(Self { maker, reader, key_epoch, made_at, salt, nonce })
    }
}
