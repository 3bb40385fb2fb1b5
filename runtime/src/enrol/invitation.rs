//! The invitations a hub has given out.
//!
//! Only the hash of each secret is kept. Of two machines that come with the same invitation exactly
//! one gets in; the one that got in may ask again with the same key, since its answer may have been
//! lost on the way.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use linli_domain::id::{CommunityId, InvalidName, MachineId, PeerName, StreetId};
use serde::{Deserialize, Serialize};

use super::BookError;
use super::book::Book;
use super::registry::Registry;
use super::token::{Secret, Token, secret_hash};
use crate::authority::Fingerprint;
use crate::limits::INVITATIONS_MAX;

/// An invitation that has ended stays in the list this long, for questions.
const KEPT_S: u64 = 7 * 24 * 3_600;

/// What an invitation is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// A desk of this community; given by a street hub.
    Community(CommunityId),
    /// The hub of this street; given by a district hub.
    Street(StreetId),
}

impl Seat {
    /// The full name of a machine on this seat, in the realm of `hub`. None if the hub cannot give
    /// such a seat.
    fn name(&self, hub: &PeerName, machine: MachineId) -> Option<PeerName> {
        let (street, community) = match (self, &hub.street) {
            (Self::Community(community), Some(street)) => {
                (Some(street.clone()), Some(community.clone()))
            }
            (Self::Street(street), None) => (Some(street.clone()), None),
            _ => return None,
        };
        Some(PeerName { district: hub.district.clone(), street, community, machine })
    }
}

/// One invitation, as the hub keeps it. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Hash of its secret, in hex.
    pub hash: String,
    /// What it is for.
    pub seat: Seat,
    /// Given at.
    pub given: u64,
    /// Ends at.
    pub expires: u64,
    /// Who used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// The use of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The machine that got in.
    pub peer: PeerName,
    /// Hash of its public key, in hex.
    pub key: String,
    /// When.
    pub at: u64,
}

/// Why a machine did not get in. The network is told less; see `registrar`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    /// No invitation has this secret.
    #[error("no invitation has this secret")]
    Unknown,
    /// It came too late.
    #[error("the invitation has ended")]
    Expired,
    /// Another machine, or another key, used it before.
    #[error("the invitation was used before")]
    Used,
    /// The hub cannot give such a seat.
    #[error("a hub of this kind has no such seat")]
    NoSuchSeat,
    /// The machine's own name breaks the rules.
    #[error(transparent)]
    BadName(#[from] InvalidName),
    /// There is, or was, a machine of this name.
    #[error("there is or was a machine called {peer}")]
    NameTaken {
        /// The name.
        peer: PeerName,
    },
    /// The books cannot be written.
    #[error(transparent)]
    Book(#[from] BookError),
}

/// A machine that got in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Its name.
    pub(crate) peer: PeerName,
    /// Whether it is the first of its community.
    pub(crate) founding: bool,
}

/// All invitations of a hub.
#[derive(Debug)]
pub struct Invitations {
    book: Book,
    list: Mutex<Vec<Invitation>>,
}

impl Invitations {
    /// Opens the list kept in a file; there need not be one yet.
    pub fn open(path: PathBuf) -> Result<Self, BookError> {
        let (book, list) = Book::open(path)?;
        Ok(Self { book, list: Mutex::new(list) })
    }

    /// Gives an invitation to a seat that ends `life_s` seconds from `now`; durable when this
    /// returns.
    pub fn invite(
        &self,
        seat: Seat,
        address: String,
        fingerprint: Fingerprint,
        life_s: u64,
        now: u64,
    ) -> Result<Token, BookError> {
        let secret = Secret::draw()?;
        let mut list = self.lock();
        let mut edited: Vec<Invitation> = list
            .iter()
            .filter(|invitation| invitation.expires.saturating_add(KEPT_S) > now)
            .cloned()
            .collect();
        if edited.len() >= INVITATIONS_MAX {
            edited.retain(|invitation| invitation.used.is_none() && invitation.expires > now);
        }
        if edited.len() >= INVITATIONS_MAX {
            return Err(BookError::Full { max: INVITATIONS_MAX });
        }
        edited.push(Invitation {
            hash: secret.hash(),
            seat,
            given: now,
            expires: now.saturating_add(life_s),
            used: None,
        });
        self.book.write(&edited)?;
        *list = edited;
        Ok(Token { address, fingerprint, secret })
    }

    /// The invitations that are kept, oldest first.
    pub fn list(&self) -> Vec<Invitation> {
        self.lock().clone()
    }

    /// Uses an invitation for the machine that claims its secret, with the public key `key` (a
    /// hash in hex). When this returns the invitation is durably used; `settle` has then written
    /// the machine into the books, under the same lock, so that nobody takes its name meanwhile.
    pub(crate) fn redeem<T>(
        &self,
        claim: &Claim<'_>,
        hub: &PeerName,
        registry: &Registry,
        now: u64,
        settle: impl FnOnce(Admitted) -> T,
    ) -> Result<T, NotAdmitted> {
        let hash = secret_hash(claim.secret);
        let machine = MachineId::parse(claim.machine)?;
        let mut list = self.lock();
        let at = list
            .iter()
            .position(|invitation| invitation.hash == hash)
            .ok_or(NotAdmitted::Unknown)?;
        let invitation = &list[at];
        if invitation.expires <= now {
            return Err(NotAdmitted::Expired);
        }
        let peer = invitation.seat.name(hub, machine).ok_or(NotAdmitted::NoSuchSeat)?;
        let again = match &invitation.used {
            None => false,
            Some(used) if used.peer == peer && used.key == claim.key => true,
            Some(_) => return Err(NotAdmitted::Used),
        };
        let founding = match registry.record(&peer) {
            Some(record) if again && record.revoked.is_none() => record.founding,
            Some(_) => return Err(NotAdmitted::NameTaken { peer }),
            None => registry.would_found(&peer),
        };
        if !again {
            let mut edited = list.clone();
            edited[at].used = Some(Used { peer: peer.clone(), key: claim.key.to_owned(), at: now });
            self.book.write(&edited)?;
            *list = edited;
        }
        Ok(settle(Admitted { peer, founding }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Invitation>> {
        // A half-made edit is never put in place, so a panic elsewhere does no harm.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a machine brings to its enrolment.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    /// What it says the secret is.
    pub(crate) secret: &'a [u8],
    /// What it wants to be called.
    pub(crate) machine: &'a str,
    /// Hash of its public key, in hex.
    pub(crate) key: &'a str,
}
