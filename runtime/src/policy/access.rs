//! Who may ask what of whom: one table, and what is not in it is refused.
//!
//! Roles come from certificates and from nothing a request says. What is refused is answered
//! alike, whether it does not exist, is somebody else's, or is not for this role.

use linli_domain::id::{PeerName, Role};

/// What can be asked of a machine from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `Replication.Link`: changes both ways.
    Link,
    /// `Enrolment.Enrol`: a certificate for an invitation.
    Enrol,
    /// `Enrolment.Renew`: a fresh certificate for the one shown.
    Renew,
    /// `POST /v1/ask` of the local API: everything people do.
    Ask,
}

/// Who asks, as seen from the machine that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// No certificate, no invitation, no token.
    Nobody,
    /// No certificate, but an invitation.
    Invited,
    /// Who can read the token in the daemon's data folder.
    Person,
    /// A desk of the community, or for a hub of a community of its street.
    OwnNode,
    /// A desk of elsewhere.
    OtherNode,
    /// The hub of the street, or for a district of one of its streets.
    OwnHub,
    /// A hub of elsewhere.
    OtherHub,
    /// The district's hub.
    District,
    /// Whoever was shut out.
    Revoked,
}

/// Whose things are meant: spaces of a link, the seat of an enrolment, the name of a certificate,
/// the data folder behind a local API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The caller's own.
    Own,
    /// Somebody else's.
    Foreign,
}

/// Everything that may be. The first is the role of the machine that answers.
const ALLOWED: [(Role, Method, Who, Scope); 10] = [
    (Role::StreetHub, Method::Link, Who::OwnNode, Scope::Own),
    (Role::StreetHub, Method::Enrol, Who::Invited, Scope::Own),
    (Role::StreetHub, Method::Renew, Who::OwnNode, Scope::Own),
    (Role::StreetHub, Method::Ask, Who::Person, Scope::Own),
    (Role::DistrictHub, Method::Link, Who::OwnHub, Scope::Own),
    (Role::DistrictHub, Method::Enrol, Who::Invited, Scope::Own),
    (Role::DistrictHub, Method::Renew, Who::OwnHub, Scope::Own),
    (Role::DistrictHub, Method::Ask, Who::Person, Scope::Own),
    (Role::Node, Method::Link, Who::OwnNode, Scope::Own),
    (Role::Node, Method::Ask, Who::Person, Scope::Own),
];

/// Whether `who` may ask `method` of a machine of role `answering`.
pub fn may(answering: Role, method: Method, who: Who, scope: Scope) -> bool {
    ALLOWED.contains(&(answering, method, who, scope))
}

/// What `peer` is to `me`, from their names. Two machines of one name are strangers: one of them
/// is a copy.
pub fn who(me: &PeerName, peer: &PeerName) -> Who {
    let district = me.district == peer.district && me != peer;
    let street = district && (me.role() == Role::DistrictHub || me.street == peer.street);
    match (me.role(), peer.role()) {
        (Role::Node, Role::Node) if street && me.community == peer.community => Who::OwnNode,
        (Role::StreetHub, Role::Node) if street => Who::OwnNode,
        (_, Role::Node) => Who::OtherNode,
        (Role::Node | Role::DistrictHub, Role::StreetHub) if street => Who::OwnHub,
        (_, Role::DistrictHub) if district => Who::District,
        (_, Role::StreetHub | Role::DistrictHub) => Who::OtherHub,
    }
}
