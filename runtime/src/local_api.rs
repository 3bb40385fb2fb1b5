//! Where a daemon's local API is found, and the word that opens it.
//!
//! A running daemon leaves `local-api.json` in its data folder, readable by its owner only: an
//! address of this machine, a token drawn at this start, and its process id. Who can read the
//! file may ask anything. It refuses addresses of other machines.

mod client;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

pub use client::{AskClient, AskError};

use crate::authority::{read_if_present, write_private};
use crate::policy::access::Who;

const FILE: &str = "local-api.json";

/// How to reach a daemon on this machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalApi {
    /// Where it listens.
    pub address: SocketAddr,
    /// What a request must carry as `authorization: Bearer <token>`.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

/// A local API that cannot be found or published.
#[derive(Debug, thiserror::Error)]
pub enum LocalApiError {
    /// No daemon runs over this data folder.
    #[error("no daemon is running with the data in {data}")]
    Absent {
        /// The folder.
        data: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot read or write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is not what a daemon leaves; remove it and start the daemon again")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

impl LocalApi {
    /// The local API of this process, listening at `address`, with a fresh token.
    pub fn new(address: SocketAddr) -> Result<Self, LocalApiError> {
        let mut token = [0; 32];
        getrandom::fill(&mut token)?;
        Ok(Self { address, token: HEXLOWER.encode(&token), pid: std::process::id() })
    }

    /// Leaves word of it in the data folder until the returned guard is dropped.
    pub fn publish(&self, data: &Path) -> Result<Published, LocalApiError> {
        let path = data.join(FILE);
        let text = serde_json::to_vec(self).expect("an address and two texts are JSON");
        write_private(&path, &text)
            .map_err(|source| LocalApiError::File { path: path.clone(), source })?;
        Ok(Published { path, text })
    }

    /// The local API of the daemon that runs over a data folder.
    pub fn find(data: &Path) -> Result<Self, LocalApiError> {
        let path = data.join(FILE);
        let Some(text) = read_if_present(&path)
            .map_err(|source| LocalApiError::File { path: path.clone(), source })?
        else {
            return Err(LocalApiError::Absent { data: data.to_owned() });
        };
        let api: Option<Self> = serde_json::from_slice(&text).ok();
        let here = |api: &Self| match api.address.ip() {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => address.is_loopback(),
        };
        api.filter(here).ok_or(LocalApiError::Damaged { path })
    }

    /// Who asks, by the `authorization` header if there is one.
    pub fn who(&self, authorization: Option<&[u8]>) -> Who {
        let known = authorization.is_some_and(|shown| self.admits(shown));
        if known { Who::Person } else { Who::Nobody }
    }

    /// Whether an `authorization` header carries the token. Takes the same time for every wrong
    /// token of the right length.
    pub fn admits(&self, authorization: &[u8]) -> bool {
        let Some(token) = authorization.strip_prefix(b"Bearer ") else { return false };
        let differs = |differs: u8, (a, b): (&u8, &u8)| differs | (a ^ b);
        token.len() == self.token.len()
            && token.iter().zip(self.token.as_bytes()).fold(0, differs) == 0
    }
}

/// What is wrong with JSON that a person or a program gave, without what stands in it: only names of
/// keys are repeated, and the place.
pub fn fault_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field `") || text.starts_with("missing field `") {
        return text;
    }
    let fault = if error.is_data() { "a value of another sort" } else { "not JSON" };
    format!("{fault} at line {} column {}", error.line(), error.column())
}

impl std::fmt::Debug for LocalApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalApi")
            .field("address", &self.address)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// Word of a running daemon; dropping it removes the file, unless a later daemon has replaced it.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    text: Vec<u8>,
}

impl Drop for Published {
    fn drop(&mut self) {
        if read_if_present(&self.path).ok().flatten().is_some_and(|held| held == self.text) {
            // A file that stays is found to be stale by whoever reads it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> LocalApi {
        LocalApi::new("127.0.0.1:4711".parse().unwrap()).unwrap()
    }

    #[test]
    fn word_is_there_while_the_daemon_is_and_another_daemons_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (api(), api());
        assert_ne!(first.token, second.token);
        let published = first.publish(dir.path()).unwrap();
        assert_eq!(LocalApi::find(dir.path()).unwrap(), first);
        let later = second.publish(dir.path()).unwrap();
        drop(published);
        assert_eq!(LocalApi::find(dir.path()).unwrap(), second);
        drop(later);
        assert!(matches!(LocalApi::find(dir.path()), Err(LocalApiError::Absent { .. })));
    }

    #[test]
    fn only_the_whole_token_opens() {
        let api = api();
        let right = format!("Bearer {}", api.token);
        assert!(api.admits(right.as_bytes()));
        for cut in 0..right.len() {
            assert!(!api.admits(&right.as_bytes()[..cut]), "cut at {cut}");
        }
        let mut wrong = right.into_bytes();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(!api.admits(&wrong));
        let text = format!("{api:?}");
        assert!(!text.contains(&api.token), "{text}");
    }

    #[test]
    fn a_fault_names_keys_and_places_and_never_a_value() {
        let fault = |text: &str| {
            fault_of(&serde_json::from_str::<crate::ask::RecordForm>(text).unwrap_err())
        };
        for text in [
            r#""13912345678""#,
            r#"{"kind": "issue", "fields": "13912345678"}"#,
            r#"{"kind": 13912345678}"#,
            r#"{"kind": "issue", 13912345678"#,
        ] {
            let told = fault(text);
            assert!(!told.contains("139123") && told.contains("at line 1 column"), "{told}");
        }
        assert!(fault(r#"{"kid": "issue"}"#).contains("`kid`"));
        let ask = serde_json::from_str::<crate::ask::Ask>(r#"{"ask": "13912345678"}"#);
        assert!(!fault_of(&ask.unwrap_err()).contains("139123"));
    }

    #[test]
    fn an_address_on_another_machine_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let away = LocalApi::new("192.0.2.7:80".parse().unwrap()).unwrap();
        let _published = away.publish(dir.path()).unwrap();
        assert!(matches!(LocalApi::find(dir.path()), Err(LocalApiError::Damaged { .. })));
    }
}
