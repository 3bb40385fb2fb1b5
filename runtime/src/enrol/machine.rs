//! The machine's side of enrolment: it makes its key, and keeps what the hub gives.
//!
//! A machine that loses its connection or its power in between asks again with the same key and
//! gets the same seat. It refuses to enrol twice, and to take a certificate from anyone but the
//! hub that the invitation names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linli_domain::id::MachineId;
use linli_proto::v1::enrolment_client::EnrolmentClient;
use linli_proto::v1::{EnrolRequest, RenewRequest};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::token::Token;
use crate::authority::{
    Fingerprint, Identity, IdentityError, MachineKey, read_if_present, write_private,
};
use crate::limits::CALL_TIMEOUT;
use crate::tls::{
    Clock, ConnectError, Dialled, Expect, Traffic, channel_over, client_config, connect,
    enrolling_config,
};

const IDENTITY_FILE: &str = "identity.pem";
const PENDING_FILE: &str = "pending.pem";
const ENROLMENT_FILE: &str = "enrolment.json";

/// A machine that has joined.
#[derive(Debug)]
pub struct Enrolled {
    /// Its key, certificate and authority.
    pub identity: Identity,
    /// The hub's `host:port`, as the invitation stated it.
    pub hub: String,
    /// Whether it was the first machine of its community, which makes the community's key.
    pub founding: bool,
}

/// What is kept beside the identity.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    hub: String,
    founding: bool,
}

/// A machine that could not join, or not renew, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// It has joined before.
    #[error(
        "this machine is enrolled already, in {dir}; to enrol it anew under another name, add --anew"
    )]
    Already {
        /// Its directory.
        dir: PathBuf,
    },
    /// Its identity has gone from where it was kept.
    #[error("the certificate has gone from {dir}; restore it from the backup")]
    Gone {
        /// Its directory.
        dir: PathBuf,
    },
    /// The hub cannot be reached, or is not the hub.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The hub does not accept the invitation.
    #[error(
        "the invitation was not accepted: it may have been used, or be older than a day; ask the \
         street office for a new one"
    )]
    NotAccepted,
    /// The name is in use.
    #[error("there is or was a machine of this name in the community; choose another name")]
    NameTaken,
    /// The hub has too much to do.
    #[error("the hub is busy; try again in a minute")]
    Busy,
    /// The hub answered with an error.
    #[error("the hub could not do it: {why}")]
    Hub {
        /// In its words.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to the hub was lost ({why}); try again, the invitation is still good")]
    Lost {
        /// In the transport's words.
        why: String,
    },
    /// The answer does not fit the question.
    #[error("the hub answered with a certificate that is not for this machine")]
    WrongAnswer,
    /// The system gives no key.
    #[error("cannot make a key")]
    Key(#[from] rcgen::Error),
    /// The identity cannot be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Joins: uses an invitation for this machine and keeps what it gets in `dir`.
pub async fn enrol(
    token: &Token,
    machine: &MachineId,
    dir: &Path,
    clock: &Clock,
) -> Result<Enrolled, EnrolError> {
    if dir.join(IDENTITY_FILE).exists() {
        return Err(EnrolError::Already { dir: dir.to_owned() });
    }
    let pending = dir.join(PENDING_FILE);
    let key = pending_key(&pending)?;
    let config = enrolling_config(token.fingerprint, clock).map_err(ConnectError::Own)?;
    let mut client =
        call(connect(&token.address, config, Arc::new(Traffic::default())).await?).await?;
    let request = EnrolRequest {
        secret: token.secret.0.to_vec().into(),
        machine: machine.as_str().to_owned(),
        csr: key.request()?.into(),
    };
    let reply = answered(timeout(CALL_TIMEOUT, client.enrol(request)).await)?;
    let authority = reply.authority.to_vec().into();
    if Fingerprint::of(&authority) != token.fingerprint {
        return Err(EnrolError::WrongAnswer);
    }
    let identity = Identity::new(key, reply.certificate.to_vec().into(), authority)?;
    if identity.peer().machine != *machine || identity.peer().to_string() != reply.peer {
        return Err(EnrolError::WrongAnswer);
    }
    let enrolled = Enrolled { identity, hub: token.address.clone(), founding: reply.founding };
    keep(&enrolled, dir)?;
    // It is in the identity now; one left behind would only be used again.
    let _ = fs::remove_file(&pending);
    Ok(enrolled)
}

/// The key that waits for its certificate. It is kept before it is sent, so that the same key may
/// ask again if the answer is lost.
fn pending_key(path: &Path) -> Result<MachineKey, EnrolError> {
    if let Some(key) = MachineKey::load(path)? {
        return Ok(key);
    }
    let key = MachineKey::generate()?;
    key.save(path)?;
    Ok(key)
}

/// What this machine kept when it joined; `None` if it has not joined yet.
pub fn load(dir: &Path) -> Result<Option<Enrolled>, EnrolError> {
    let Some(identity) = Identity::load(&dir.join(IDENTITY_FILE))? else { return Ok(None) };
    let path = dir.join(ENROLMENT_FILE);
    let kept: Option<Kept> = read_if_present(&path)
        .map_err(|source| EnrolError::File { path: path.clone(), source })?
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Kept { hub, founding } = kept.ok_or(IdentityError::Damaged { path })?;
    Ok(Some(Enrolled { identity, hub, founding }))
}

/// Gets a fresh certificate over a fresh key, and keeps it. The old one may have ended up to 180
/// days ago.
pub async fn renew(
    enrolled: &Enrolled,
    address: &str,
    dir: &Path,
    clock: &Clock,
) -> Result<Identity, EnrolError> {
    let old = &enrolled.identity;
    let config = client_config(old, Expect::Hub, clock).map_err(ConnectError::Own)?;
    let mut client = call(connect(address, config, Arc::new(Traffic::default())).await?).await?;
    let key = MachineKey::generate()?;
    let request = RenewRequest { csr: key.request()?.into() };
    let reply = answered(timeout(CALL_TIMEOUT, client.renew(request)).await)?;
    let fresh = Identity::new(key, reply.certificate.to_vec().into(), old.authority().clone())?;
    if fresh.peer() != old.peer() {
        return Err(EnrolError::WrongAnswer);
    }
    fresh.save(&dir.join(IDENTITY_FILE))?;
    Ok(fresh)
}

/// The identity comes last: it is what says that the machine has joined.
fn keep(enrolled: &Enrolled, dir: &Path) -> Result<(), EnrolError> {
    let path = dir.join(ENROLMENT_FILE);
    let kept = Kept { hub: enrolled.hub.clone(), founding: enrolled.founding };
    let file = |source| EnrolError::File { path: path.clone(), source };
    let bytes = serde_json::to_vec_pretty(&kept).map_err(|error| file(error.into()))?;
    write_private(&path, &bytes).map_err(file)?;
    Ok(enrolled.identity.save(&dir.join(IDENTITY_FILE))?)
}

async fn call(dialled: Dialled) -> Result<EnrolmentClient<Channel>, EnrolError> {
    let channel = channel_over(dialled.stream)
        .await
        .map_err(|error| EnrolError::Lost { why: error.to_string() })?;
    Ok(EnrolmentClient::new(channel))
}

fn answered<T>(
    outcome: Result<Result<Response<T>, Status>, tokio::time::error::Elapsed>,
) -> Result<T, EnrolError> {
    let status = match outcome {
        Ok(Ok(response)) => return Ok(response.into_inner()),
        Ok(Err(status)) => status,
        Err(_) => return Err(EnrolError::Lost { why: "no answer in time".to_owned() }),
    };
    let why = status.message().to_owned();
    Err(match status.code() {
        Code::PermissionDenied => EnrolError::NotAccepted,
        Code::AlreadyExists => EnrolError::NameTaken,
        Code::ResourceExhausted => EnrolError::Busy,
        Code::InvalidArgument | Code::Internal | Code::Unauthenticated | Code::Unimplemented => {
            EnrolError::Hub { why }
        }
        _ => EnrolError::Lost { why },
    })
}
