//! The text of an invitation, as the street office reads it out or prints it.
//!
//! It holds where the hub is, which authority it has, and the secret; it says nothing about the
//! community, so that one found on a desk tells little.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::authority::Fingerprint;

const PREFIX: &str = "linli1-";
const SECRET_LEN: usize = 16;
const FINGERPRINT_LEN: usize = 32;
const CHECK_LEN: usize = 4;
/// Longest `host:port`.
const ADDRESS_LEN_MAX: usize = 255;

/// A text that is not an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as one.
    #[error("this is not an invitation; it begins with `linli1-`")]
    Foreign,
    /// A letter is wrong or missing.
    #[error("the invitation was not copied whole; copy it again, from `linli1-` to its end")]
    Damaged,
}

/// An invitation's secret: 128 bits of chance.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) [u8; SECRET_LEN]);

impl Secret {
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// What the hub keeps instead of the secret. A plain hash does: there is nothing to guess.
    pub(crate) fn hash(&self) -> String {
        secret_hash(&self.0)
    }
}

/// The hash of a secret that a caller claims, of whatever length, in hex.
pub(crate) fn secret_hash(claimed: &[u8]) -> String {
    let hash = Sha256::new().chain_update(b"linli invitation ").chain_update(claimed).finalize();
    data_encoding::HEXLOWER.encode(&hash)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An invitation, as the invited machine needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The hub's `host:port`.
    pub address: String,
    /// The authority the hub must show.
    pub fingerprint: Fingerprint,
    pub(crate) secret: Secret,
}

impl Token {
    /// The text to hand over. It is a secret until it is used.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(64 + self.address.len());
        bytes.extend(self.secret.0);
        bytes.extend(self.fingerprint.0);
        bytes.extend(self.address.as_bytes());
        let check = check_of(&bytes);
        bytes.extend(check);
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    /// Reads the text; spaces, line breaks and capitals do not matter.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        let body = text.strip_prefix(PREFIX).ok_or(TokenError::Foreign)?;
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| TokenError::Damaged)?;
        Self::from_bytes(&bytes).ok_or(TokenError::Damaged)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (content, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
        if *check != check_of(content) {
            return None;
        }
        let (secret, rest) = content.split_first_chunk::<SECRET_LEN>()?;
        let (fingerprint, address) = rest.split_first_chunk::<FINGERPRINT_LEN>()?;
        let address = str::from_utf8(address).ok()?;
        if !(3..=ADDRESS_LEN_MAX).contains(&address.len()) {
            return None;
        }
        Some(Self {
            address: address.to_owned(),
            fingerprint: Fingerprint(*fingerprint),
            secret: Secret(*secret),
        })
    }
}

fn check_of(content: &[u8]) -> [u8; CHECK_LEN] {
    let full: [u8; 32] = Sha256::digest(content).into();
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&full[..CHECK_LEN]);
    check
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(address: &str) -> Token {
        Token {
            address: address.to_owned(),
            fingerprint: Fingerprint([7; 32]),
            secret: Secret([9; 16]),
        }
    }

    #[test]
    fn a_token_survives_capitals_and_line_breaks() {
        let token = token("hub.hongqi.example:7443");
        let text = token.to_text();
        assert!(text.starts_with("linli1-"));
        assert_eq!(Token::parse(&text).as_ref(), Ok(&token));
        let (left, right) = text.split_at(40);
        assert_eq!(Token::parse(&format!(" {left}\n  {right}\r\n").to_uppercase()), Ok(token));
    }

    #[test]
    fn a_token_does_not_show_its_secret_in_logs() {
        let shown = format!("{:?}", token("hub:1"));
        assert!(shown.contains("Secret(..)"), "{shown}");
        assert!(!shown.contains('9'), "{shown}");
    }

    proptest! {
        #[test]
        fn a_token_with_one_wrong_letter_is_damaged(at in 7_usize..100, letter in "[a-z2-7]") {
            let text = token("hub.hongqi.example:7443").to_text();
            let at = at.min(text.len() - 1);
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &letter);
            prop_assume!(wrong != text);
            prop_assert_eq!(Token::parse(&wrong), Err(TokenError::Damaged));
        }

        #[test]
        fn no_text_brings_the_reader_down(text in "\\PC{0,200}", body in "[a-z2-7]{0,200}") {
            prop_assert!(Token::parse(&text).is_err());
            let crafted = format!("linli1-{body}");
            prop_assert!(Token::parse(&crafted).is_err());
        }
    }
}
