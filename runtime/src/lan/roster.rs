//! Which desks were heard on the office's network, and which addresses to dial by now.
//!
//! A desk says of itself a name drawn at its start, a port, a salt, and a proof that whoever reads it
//! can make for a community it knows of, and nobody else can take apart. This decides whom to dial
//! and nothing more: who answers is told by certificates. It has no socket and no clock, and refuses
//! to grow with what strangers say.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use linli_domain::id::PeerName;
use sha2::Sha256;

use crate::authority::Fingerprint;
use crate::limits::{LAN_ADDRESSES_MAX, LAN_DESKS_MAX, LAN_KEPT, LAN_PATIENCE};

const PROOF_BYTES: usize = 16;
/// Begins what is proven, so that the key never proves anything else.
const PROVEN: &[u8] = b"linli lan desk\0";

/// What a desk says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// A name drawn at its start.
    pub(super) instance: String,
    /// Where it answers.
    pub(super) port: u16,
    /// Drawn at its start, in hex.
    pub(super) salt: String,
    /// That it is of a community, in hex.
    pub(super) proof: String,
}

impl Notice {
    /// The notice of a desk; `drawn` are random bytes.
    pub(super) fn of(key: &CommunityKey, drawn: &[u8; 32], port: u16) -> Self {
        let (name, salt) = drawn.split_at(16);
        let (instance, salt) = (HEXLOWER.encode(name), HEXLOWER.encode(salt));
        let proof = HEXLOWER.encode(&key.prove(&instance, port, &salt));
        Self { instance, port, salt, proof }
    }
}

/// What desks of one community prove themselves by. Every machine of the street knows it, and no
/// stranger who only listens does: it keeps names from them, and lets nobody in.
pub(super) struct CommunityKey {
    authority: Fingerprint,
    community: String,
}

impl CommunityKey {
    /// The key of the community of `desk`, under its street's authority.
    pub(super) fn of(authority: Fingerprint, desk: &PeerName) -> Self {
        let full = desk.to_string();
        let community = full.rsplit_once('/').map_or("", |(community, _)| community).to_owned();
        Self { authority, community }
    }

    fn prove(&self, instance: &str, port: u16, salt: &str) -> [u8; PROOF_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.authority.0)
            .expect("HMAC takes a key of any length");
        mac.update(PROVEN);
        // None of these holds a zero byte.
        for part in [&self.community, instance, &port.to_string(), salt] {
            mac.update(part.as_bytes());
            mac.update(b"\0");
        }
        let whole = mac.finalize().into_bytes();
        let mut proof = [0; PROOF_BYTES];
        proof.copy_from_slice(&whole[..PROOF_BYTES]);
        proof
    }
}

/// The desks heard.
pub(super) struct Roster {
    key: CommunityKey,
    me: String,
    /// Addresses that are dialled anyway.
    configured: Vec<SocketAddr>,
    desks: BTreeMap<String, Desk>,
}

struct Desk {
    addresses: Vec<SocketAddr>,
    heard: Instant,
    gone: Option<Instant>,
}

impl Roster {
    /// An empty one, of the desk that says `own`.
    pub(super) fn new(key: CommunityKey, own: &Notice, configured: Vec<SocketAddr>) -> Self {
        Self { key, me: own.instance.clone(), configured, desks: BTreeMap::new() }
    }

    /// Somebody says this, from these addresses. True if it is another desk of this community.
    pub(super) fn hear(&mut self, said: &Notice, hosts: &[IpAddr], now: Instant) -> bool {
        if said.instance == self.me || said.port == 0 || !self.is_ours(said) {
            return false;
        }
        let place = |host: &IpAddr| SocketAddr::new(*host, said.port);
        let mut addresses: Vec<SocketAddr> =
            hosts.iter().filter(|host| is_dialled(host)).map(place).collect();
        addresses.retain(|address| !self.configured.contains(address));
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(LAN_ADDRESSES_MAX);
        let room = self.desks.len() < LAN_DESKS_MAX;
        match self.desks.get_mut(&said.instance) {
            Some(desk) => {
                desk.addresses = addresses;
                desk.gone = None;
            }
            None if room => {
                let desk = Desk { addresses, heard: now, gone: None };
                self.desks.insert(said.instance.clone(), desk);
            }
            None => return false,
        }
        true
    }

    /// Nobody says it any more.
    pub(super) fn lose(&mut self, instance: &str, now: Instant) {
        if let Some(desk) = self.desks.get_mut(instance) {
            desk.gone.get_or_insert(now);
        }
    }

    /// The addresses to dial by now. Of two desks the one whose name comes first dials, and the other
    /// waits a while and sees whether it was dialled; so do a desk's further addresses. One that has
    /// gone is dialled a little longer, so that coming and going does not begin its waits anew.
    pub(super) fn wanted(&mut self, now: Instant) -> Vec<SocketAddr> {
        let kept = |desk: &Desk| desk.gone.is_none_or(|gone| now.duration_since(gone) < LAN_KEPT);
        self.desks.retain(|_, desk| kept(desk));
        let mut wanted = Vec::new();
        for (instance, desk) in &self.desks {
            let turn = u32::from(*instance < self.me);
            for (nth, address) in (turn..).zip(&desk.addresses) {
                if now.duration_since(desk.heard) >= LAN_PATIENCE * nth {
                    wanted.push(*address);
                }
            }
        }
        wanted
    }

    fn is_ours(&self, said: &Notice) -> bool {
        let proof = HEXLOWER.encode(&self.key.prove(&said.instance, said.port, &said.salt));
        // Nothing hangs on how long the comparison takes: whoever says it has shown the proof.
        proof == said.proof
    }
}

/// Whether a machine can be reached there without knowing through which of our own networks.
fn is_dialled(host: &IpAddr) -> bool {
    let link_local = matches!(host, IpAddr::V6(host) if host.is_unicast_link_local());
    !link_local && !host.is_unspecified() && !host.is_multicast()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STREET: Fingerprint = Fingerprint([7; 32]);

    fn key(desk: &str) -> CommunityKey {
        CommunityKey::of(STREET, &PeerName::parse(desk).unwrap())
    }

    /// A notice whose name begins with that byte.
    fn notice(desk: &str, first: u8) -> Notice {
        let mut drawn = [3; 32];
        drawn[0] = first;
        Notice::of(&key(desk), &drawn, 7444)
    }

    fn roster() -> Roster {
        Roster::new(key("d/s/c/a"), &notice("d/s/c/a", 0x50), Vec::new())
    }

    fn host(last: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, last])
    }

    fn at(last: u8) -> SocketAddr {
        SocketAddr::new(host(last), 7444)
    }

    #[test]
    fn what_is_said_shows_no_name_and_another_salt_at_each_start() {
        let one = notice("d/s/c/a", 1);
        let mut drawn = [3; 32];
        (drawn[0], drawn[31]) = (1, 4);
        let other = Notice::of(&key("d/s/c/a"), &drawn, 7444);
        assert_eq!(one.instance, other.instance);
        assert!(one.salt != other.salt && one.proof != other.proof);
        for part in [&one.instance, &one.salt, &one.proof] {
            assert!(
                part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{part}"
            );
        }
    }

    #[test]
    fn only_desks_of_the_community_are_dialled_and_nothing_said_in_their_name() {
        let (mut roster, now) = (roster(), Instant::now());
        let good = notice("d/s/c/b", 0x60);
        let elsewhere =
            CommunityKey::of(Fingerprint([8; 32]), &PeerName::parse("d/s/c/b").unwrap());
        for stranger in [
            notice("d/s/e/b", 0x60),
            notice("d/t/c/b", 0x60),
            Notice::of(&elsewhere, &[3; 32], 7444),
            Notice { port: 7445, ..good.clone() },
            Notice { instance: "61".repeat(16), ..good.clone() },
            Notice { salt: "61".repeat(16), ..good.clone() },
            Notice { proof: String::new(), ..good.clone() },
            notice("d/s/c/a", 0x50),
            Notice::of(&key("d/s/c/b"), &[9; 32], 0),
        ] {
            assert!(!roster.hear(&stranger, &[host(2)], now), "{stranger:?}");
        }
        assert!(roster.wanted(now + LAN_KEPT).is_empty());
        assert!(roster.hear(&good, &[host(2)], now));
        assert_eq!(roster.wanted(now), [at(2)]);
    }

    #[test]
    fn of_two_desks_one_dials_first_and_further_addresses_wait_their_turn() {
        let (mut roster, now) = (roster(), Instant::now());
        let useless = ["fe80::1", "0.0.0.0", "224.0.0.251"].map(|host| host.parse().unwrap());
        let hosts: Vec<IpAddr> = useless.into_iter().chain([host(3), host(2), host(2)]).collect();
        roster.hear(&notice("d/s/c/b", 0x60), &hosts, now);
        roster.hear(&notice("d/s/c/c", 0x40), &[host(4)], now);
        assert_eq!(roster.wanted(now), [at(2)]);
        let early = LAN_PATIENCE.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(roster.wanted(now + early), [at(2)]);
        assert_eq!(roster.wanted(now + LAN_PATIENCE), [at(4), at(2), at(3)]);
    }

    #[test]
    fn who_goes_is_forgotten_after_a_while_and_who_flaps_is_not() {
        let (mut roster, now) = (roster(), Instant::now());
        let one = notice("d/s/c/b", 0x60);
        roster.hear(&one, &[host(2)], now);
        roster.lose(&one.instance, now);
        let almost = now + LAN_KEPT.checked_sub(Duration::from_millis(1)).unwrap();
        roster.lose(&one.instance, almost);
        assert_eq!(roster.wanted(almost), [at(2)]);
        roster.hear(&one, &[host(5)], almost);
        assert_eq!(roster.wanted(now + LAN_KEPT * 2), [at(5)], "it came back, elsewhere");
        roster.lose(&one.instance, now);
        assert!(roster.wanted(now + LAN_KEPT).is_empty() && roster.desks.is_empty());
    }

    #[test]
    fn nobody_fills_the_list_and_configured_neighbours_are_not_dialled_twice() {
        let now = Instant::now();
        let mut roster = Roster::new(key("d/s/c/a"), &notice("d/s/c/a", 0x50), vec![at(9)]);
        let many: Vec<IpAddr> = (1..=20).map(host).collect();
        for first in 0..=u8::MAX {
            roster.hear(&notice("d/s/c/b", first), &many, now);
        }
        let later = now + LAN_PATIENCE * 30;
        assert_eq!(roster.wanted(later).len(), LAN_DESKS_MAX * LAN_ADDRESSES_MAX);
        let one = notice("d/s/c/b", 0);
        roster.hear(&one, &[host(9)], now);
        assert_eq!(roster.wanted(later).len(), (LAN_DESKS_MAX - 1) * LAN_ADDRESSES_MAX);
    }
}
