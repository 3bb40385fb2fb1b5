//! Which spaces two machines share, from their names alone.
//!
//! Names come from certificates, so this is authorization: what is not listed here does not exist
//! for the other side. Who may *write* in a space is a matter of authors, checked change by
//! change.

pub mod access;

use std::collections::BTreeSet;

use linli_domain::id::{CommunityId, PeerName, Role, Space};

use access::{Method, Scope};

/// The spaces `me` shares with `peer`. `hosted` are the communities of a street hub.
pub fn shared_spaces(me: &PeerName, peer: &PeerName, hosted: &BTreeSet<CommunityId>) -> Vec<Space> {
    let may = |answers: &PeerName, calls: &PeerName| {
        access::may(answers.role(), Method::Link, access::who(answers, calls), Scope::Own)
    };
    // Either may have dialled.
    if !may(me, peer) && !may(peer, me) {
        return Vec::new();
    }
    match (me.role(), peer.role()) {
        (Role::Node, Role::Node | Role::StreetHub) => community_spaces(me),
        (Role::StreetHub, Role::Node) => {
            let known = peer.community.as_ref().is_some_and(|id| hosted.contains(id));
            if known { community_spaces(peer) } else { Vec::new() }
        }
        (Role::StreetHub, Role::DistrictHub) => figures_space(me),
        (Role::DistrictHub, Role::StreetHub) => figures_space(peer),
        (Role::Node | Role::DistrictHub, Role::DistrictHub)
        | (Role::DistrictHub, Role::Node)
        | (Role::StreetHub, Role::StreetHub) => Vec::new(),
    }
}

/// Whether `me` takes `peer`'s word on who may write.
pub fn trusts(me: &PeerName, peer: &PeerName) -> bool {
    me.role() == Role::Node && peer.role() == Role::StreetHub && me.street == peer.street
}

/// The spaces a node shares with others: the two of its community and its street's board.
pub(crate) fn community_spaces(node: &PeerName) -> Vec<Space> {
    let (Some(street), Some(community)) = (&node.street, &node.community) else {
        return Vec::new();
    };
    vec![
        Space::Open(community.clone()),
        Space::Sealed(community.clone()),
        Space::Board(street.clone()),
    ]
}

fn figures_space(hub: &PeerName) -> Vec<Space> {
    hub.street.iter().cloned().map(Space::Figures).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerName {
        PeerName::parse(text).expect("name")
    }

    #[test]
    fn a_link_carries_its_own_community_and_nothing_else() {
        let names = [
            "d/s/a/one",
            "d/s/a/two",
            "d/s/b/one",
            "d/t/a/one",
            "e/s/a/one",
            "d/s/-/hub",
            "d/t/-/hub",
            "e/s/-/hub",
            "d/-/-/hub",
        ];
        let hosted: BTreeSet<CommunityId> =
            ["a", "b"].iter().map(|id| CommunityId::parse(id).expect("slug")).collect();
        for left in names.map(peer) {
            for right in names.map(peer) {
                let shared = shared_spaces(&left, &right, &hosted);
                assert_eq!(shared, shared_spaces(&right, &left, &hosted), "{left} and {right}");
                for space in shared {
                    let may = |peer: &PeerName| match (peer.role(), space.community()) {
                        (Role::Node, Some(community)) => peer.community.as_ref() == Some(community),
                        (Role::Node, None) => {
                            matches!(&space, Space::Board(street) if peer.street.as_ref() == Some(street))
                        }
                        (Role::StreetHub, _) => true,
                        (Role::DistrictHub, community) => community.is_none(),
                    };
                    assert!(may(&left) && may(&right), "{space} between {left} and {right}");
                }
            }
        }
        let none = BTreeSet::new();
        assert!(shared_spaces(&peer("d/s/-/hub"), &peer("d/s/a/one"), &none).is_empty());
    }
}
