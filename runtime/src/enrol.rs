//! How a machine joins: an invitation on paper, a key made on the machine, a name from the hub.
//!
//! An invitation is for one seat, one use and a short time. What a machine is called is decided by
//! the invitation and never by the machine, but for its own short name. The network learns from a
//! refusal only that it was one; the hub's log says why.

mod book;
mod invitation;
mod machine;
mod registrar;
mod registry;
mod renewal;
mod revocation;
mod token;

pub(crate) use invitation::NotAdmitted;
pub use invitation::{Invitation, Invitations, Seat, Used};
pub use machine::{EnrolError, Enrolled, enrol, load, renew};
pub use registrar::Registrar;
pub(crate) use registrar::{Issued, NotIssued};
pub use registry::{Record, Registry, Standing};
pub use renewal::{Renewal, keep_fresh};
pub use revocation::Revocation;
pub(crate) use revocation::{KIND as REVOCATION_KIND, STATEMENT as REVOCATION_STATEMENT};
pub use token::{Token, TokenError};

use std::io;
use std::path::PathBuf;

/// A file of the hub's books that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The system refuses.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not read as what it should be.
    #[error("{path} is damaged; restore it from the backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// There are too many open invitations.
    #[error("there are {max} open invitations; let some end first")]
    Full {
        /// How many there may be.
        max: usize,
    },
}

#[cfg(test)]
mod tests;
