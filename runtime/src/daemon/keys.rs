//! What a desk keeps in `keys/`: its device key, the community's key ring once it has one, and
//! the member list it follows.
//!
//! The files are readable by their owner only and are replaced whole. It refuses to make a ring
//! on any machine but the one that founded its community, and to overwrite a ring with nothing.

use std::io;
use std::path::{Path, PathBuf};

use linli_domain::id::CommunityId;
use linli_domain::seal::{CommunityKey, DamagedList, DamagedRing, DeviceKey, KeyRing, Members};

use crate::authority::{read_if_present, write_private};

const DEVICE: &str = "device";
const RING: &str = "ring";
const MEMBERS: &str = "members";

/// Keys that cannot be read, made or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("cannot read or write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The device key has the wrong length.
    #[error("{path} does not hold a device key; restore it from a copy or enrol this machine anew")]
    Device {
        /// The file.
        path: PathBuf,
    },
    /// The ring cannot be read.
    #[error("{path}: {source}")]
    Ring {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: DamagedRing,
    },
    /// The member list cannot be read.
    #[error("{path}: {source}")]
    Members {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: DamagedList,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// The folder of a desk's secrets.
#[derive(Debug, Clone)]
pub struct Keys {
    dir: PathBuf,
}

impl Keys {
    /// The keys below a desk's data folder; nothing is read yet.
    pub fn below(data: &Path) -> Self {
        Self { dir: data.join("keys") }
    }

    /// The device key, made on first use.
    pub fn device(&self) -> Result<DeviceKey, KeysError> {
        let path = self.dir.join(DEVICE);
        if let Some(bytes) = read(&path)? {
            let bytes =
                <&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| KeysError::Device { path })?;
            return Ok(DeviceKey::from_bytes(bytes));
        }
        let key = DeviceKey::derive(&random()?);
        write(&path, key.to_bytes().as_slice())?;
        Ok(key)
    }

    /// The community's ring; `None` on a desk that waits to be approved.
    pub fn ring(&self) -> Result<Option<KeyRing>, KeysError> {
        let path = self.dir.join(RING);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        KeyRing::from_bytes(&bytes).map(Some).map_err(|source| KeysError::Ring { path, source })
    }

    /// The member list this desk follows; `None` on one that has not seen any.
    pub fn members(&self, community: &CommunityId) -> Result<Option<Members>, KeysError> {
        let path = self.dir.join(MEMBERS);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let list = Members::from_bytes(community, &bytes);
        list.map(Some).map_err(|source| KeysError::Members { path, source })
    }

    /// Keeps the bytes of the member list.
    pub fn keep_members(&self, list: &[u8]) -> Result<(), KeysError> {
        write(&self.dir.join(MEMBERS), list)
    }

    /// Makes the first ring of a community; one that is there already is kept.
    pub fn found(&self) -> Result<KeyRing, KeysError> {
        if let Some(ring) = self.ring()? {
            return Ok(ring);
        }
        let ring = KeyRing::new(random()?, CommunityKey { epoch: 1, secret: random()? });
        self.keep(&ring)?;
        Ok(ring)
    }

    /// Keeps a ring that came by approval or got a new key.
    pub fn keep(&self, ring: &KeyRing) -> Result<(), KeysError> {
        write(&self.dir.join(RING), &ring.to_bytes())
    }
}

fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, KeysError> {
    read_if_present(path).map_err(|source| KeysError::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    write_private(path, bytes).map_err(|source| KeysError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        assert_eq!(keys.ring().unwrap(), None, "no ring is made by looking");
        let (device, ring) = (keys.device().unwrap(), keys.found().unwrap());
        let again = Keys::below(dir.path());
        assert_eq!(again.device().unwrap(), device);
        assert_eq!(again.found().unwrap(), ring);
        assert_eq!(again.ring().unwrap(), Some(ring));
    }

    #[test]
    fn a_damaged_file_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        keys.device().unwrap();
        keys.found().unwrap();
        for file in [DEVICE, RING] {
            let path = dir.path().join("keys").join(file);
            std::fs::write(&path, b"short").unwrap();
            let error = match file {
                DEVICE => keys.device().unwrap_err(),
                _ => keys.found().unwrap_err(),
            };
            assert!(error.to_string().contains(file), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), b"short");
        }
    }
}
