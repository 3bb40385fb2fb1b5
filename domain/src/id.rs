//! Names of communities, machines, spaces and entries.
//!
//! Every name is parsed once at the wall and trusted inside. Names never carry personal data.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A name that breaks the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: {rule}")]
pub struct InvalidName {
    /// What the text should have been.
    pub kind: &'static str,
    /// The text as given, cut to 120 characters.
    pub text: String,
    /// The rule in words.
    pub rule: &'static str,
}

impl InvalidName {
    fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        Self { kind, text: text.chars().take(120).collect(), rule }
    }
}

fn is_slug(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
}

const SLUG_RULE: &str = "1 to 32 of a-z, 0-9 and '-', not beginning with '-'";

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a slug: 1 to 32 of a-z, 0-9 and '-'.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                if is_slug(text, 32) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName::new($kind, text, SLUG_RULE))
                }
            }

            /// The slug itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

slug!(
    /// A community 社区, unique within its street.
    CommunityId,
    "community"
);
slug!(
    /// A street office 街道, unique within its district.
    StreetId,
    "street"
);
slug!(
    /// A district 区县.
    DistrictId,
    "district"
);
slug!(
    /// A machine: an office desk of a community, or a hub.
    MachineId,
    "machine"
);

/// The full name of a machine, as its certificate states it.
///
/// Written `district/street/community/machine`; a street hub has `-` for its community, a
/// district hub `-` for street and community.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PeerName {
    /// The district.
    pub district: DistrictId,
    /// The street; `None` for a district hub.
    pub street: Option<StreetId>,
    /// The community; `None` for a hub.
    pub community: Option<CommunityId>,
    /// The machine.
    pub machine: MachineId,
}

/// What a machine is, read from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// An office desk of a community.
    Node,
    /// The hub of a street office.
    StreetHub,
    /// The hub of a district.
    DistrictHub,
}

impl PeerName {
    /// Parses `district/street/community/machine` with `-` for an absent part.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        const RULE: &str = "district/street/community/machine, with '-' where a hub has none";
        let wrong = || InvalidName::new("peer name", text, RULE);
        let parts: Vec<&str> = text.split('/').collect();
        let [district, street, community, machine] = parts.as_slice() else { return Err(wrong()) };
        let name = Self {
            district: DistrictId::parse(district)?,
            street: (*street != "-").then(|| StreetId::parse(street)).transpose()?,
            community: (*community != "-").then(|| CommunityId::parse(community)).transpose()?,
            machine: MachineId::parse(machine)?,
        };
        if name.street.is_none() && name.community.is_some() {
            return Err(wrong());
        }
        Ok(name)
    }

    /// Node, street hub or district hub.
    pub fn role(&self) -> Role {
        match (&self.street, &self.community) {
            (_, Some(_)) => Role::Node,
            (Some(_), None) => Role::StreetHub,
            (None, None) => Role::DistrictHub,
        }
    }

    /// The first eight bytes of every actor id this machine writes under.
    ///
    /// Binds a change to the machine that made it, so that a gate can refuse changes of machines
    /// that were never enrolled.
    pub fn author(&self) -> AuthorId {
        let mut hash = Sha256::new();
        hash.update(b"linli author ");
        hash.update(self.to_string().as_bytes());
        let full: [u8; 32] = hash.finalize().into();
        let mut id = [0; 8];
        id.copy_from_slice(&full[..8]);
        AuthorId(id)
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let street = self.street.as_ref().map_or("-", StreetId::as_str);
        let community = self.community.as_ref().map_or("-", CommunityId::as_str);
        write!(f, "{}/{street}/{community}/{}", self.district, self.machine)
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PeerName {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<PeerName> for String {
    fn from(name: PeerName) -> String {
        name.to_string()
    }
}

/// A space: the unit of replication and of authorization.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Space {
    /// Open halves of a community's entries: `community/<id>/open`.
    Open(CommunityId),
    /// Sealed halves of a community's entries: `community/<id>/sealed`.
    Sealed(CommunityId),
    /// Definitions and notices of a street: `street/<id>/board`. Written by the hub only.
    Board(StreetId),
    /// Figures of a street for its district: `street/<id>/figures`. Written by the hub only.
    Figures(StreetId),
}

impl Space {
    /// Parses the written form.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let wrong = || {
            InvalidName::new(
                "space",
                text,
                "community/<id>/open, community/<id>/sealed, street/<id>/board or street/<id>/figures",
            )
        };
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            ["community", id, "open"] => Ok(Self::Open(CommunityId::parse(id)?)),
            ["community", id, "sealed"] => Ok(Self::Sealed(CommunityId::parse(id)?)),
            ["street", id, "board"] => Ok(Self::Board(StreetId::parse(id)?)),
            ["street", id, "figures"] => Ok(Self::Figures(StreetId::parse(id)?)),
            _ => Err(wrong()),
        }
    }

    /// The community whose data this is; `None` for a street's spaces.
    pub fn community(&self) -> Option<&CommunityId> {
        match self {
            Self::Open(id) | Self::Sealed(id) => Some(id),
            Self::Board(_) | Self::Figures(_) => None,
        }
    }

    /// Whether the changes of this space are sealed envelopes.
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(id) => write!(f, "community/{id}/open"),
            Self::Sealed(id) => write!(f, "community/{id}/sealed"),
            Self::Board(id) => write!(f, "street/{id}/board"),
            Self::Figures(id) => write!(f, "street/{id}/figures"),
        }
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Space {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<Space> for String {
    fn from(space: Space) -> String {
        space.to_string()
    }
}

/// The id of an entry: `kind/id`, at most 96 bytes.
///
/// The kind is 1 to 32 of `a-z 0-9 _`, the id 1 to 63 of `A-Z a-z 0-9 . _ -`. Ids are ULIDs or
/// derived from fields of class C0 and C1, or keyed hashes where a part is personal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId(Arc<str>);

impl EntryId {
    const RULE: &'static str =
        "kind/id: kind 1 to 32 of a-z 0-9 _, id 1 to 63 of A-Z a-z 0-9 . _ -";

    /// Parses `kind/id`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let wrong = || InvalidName::new("entry id", text, Self::RULE);
        let (kind, id) = text.split_once('/').ok_or_else(wrong)?;
        let kind_ok = (1..=32).contains(&kind.len())
            && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let id_ok = (1..=63).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if kind_ok && id_ok { Ok(Self(text.into())) } else { Err(wrong()) }
    }

    /// Joins a kind and an id.
    pub fn new(kind: &str, id: &str) -> Result<Self, InvalidName> {
        Self::parse(&format!("{kind}/{id}"))
    }

    /// The kind, before the slash.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The id within its kind, after the slash.
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EntryId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> String {
        id.0.as_ref().to_owned()
    }
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads exactly the right number of bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

bytes_id!(
    /// SHA-256 over a change chunk's body, or over a sealed envelope: what a record is known by.
    ChangeHash,
    32
);
bytes_id!(
    /// SHA-256 over a signed statement of a community's member list.
    StatementHash,
    32
);
bytes_id!(
    /// What a statement says of a key without showing it: a hash over community, epoch and secret.
    Commitment,
    32
);
bytes_id!(
    /// An Automerge actor: eight bytes of [`AuthorId`], eight bytes drawn anew at each start.
    ActorId,
    16
);
bytes_id!(
    /// The machine behind an actor; see [`PeerName::author`].
    AuthorId,
    8
);
bytes_id!(
    /// One life of a store: drawn when it is made and again when a backup is restored.
    EpochId,
    16
);

impl ActorId {
    /// The actor of one process start of a machine. `start` is eight random bytes: a restored or
    /// copied store therefore never writes under an actor it used before.
    pub fn new(author: AuthorId, start: [u8; 8]) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&author.0);
        id[8..].copy_from_slice(&start);
        Self(id)
    }

    /// The machine this actor claims to be.
    pub fn author(&self) -> AuthorId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.0[..8]);
        AuthorId(id)
    }
}
