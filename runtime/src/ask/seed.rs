//! The secret of two recovery sheets on its way to the daemon, over the local API only.
//!
//! It refuses to show itself in any `Debug` text.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// 32 secret bytes; base64 in JSON.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Takes the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl TryFrom<String> for Seed {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = Zeroizing::new(text);
        let bytes = BASE64.decode(text.as_bytes()).ok().map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        bytes.map(Self::new).ok_or("not a seed of 32 bytes in base64")
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        BASE64.encode(seed.bytes())
    }
}
