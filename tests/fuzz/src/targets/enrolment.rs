//! Enrolment: invitations, signing requests, certificates and the names of machines.
//!
//! The first byte of an input says which. Tokens get their right check letters; a signing request
//! keeps its signature, so what stands before it is parsed and then refused. It refuses to reach a
//! network.

use std::sync::OnceLock;

use data_encoding::BASE32_NOPAD;
use linli_domain::id::{CommunityId, EntryId, MachineId, PeerName, Space, StreetId};
use linli_runtime::authority::{Authority, AuthorityError, Leaf, LeafError, MachineKey};
use linli_runtime::enrol::{Token, TokenError};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "enrolment", run, mutate, seeds };

const KINDS: u8 = 4;
const PREFIX: &str = "linli1-";
const CHECK_BYTES: usize = 4;
/// 1 November 2026.
const NOW: u64 = 1_793_491_200;

fn run(input: &[u8]) -> Verdict {
    let Some((kind, bytes)) = input.split_first() else { return Verdict::refused("empty") };
    match kind % KINDS {
        0 => token(&String::from_utf8_lossy(bytes)),
        1 => names(&String::from_utf8_lossy(bytes)),
        2 => match Leaf::read(&CertificateDer::from(bytes)) {
            Ok(leaf) => {
                assert_eq!(PeerName::parse(&leaf.peer.to_string()).as_ref(), Ok(&leaf.peer));
                Verdict::Accepted
            }
            Err(LeafError::Form) => Verdict::refused("certificate form"),
            Err(LeafError::Unnamed) => Verdict::refused("certificate unnamed"),
            Err(LeafError::Name(_)) => Verdict::refused("certificate name"),
        },
        _ => request(bytes),
    }
}

fn token(text: &str) -> Verdict {
    match Token::parse(text) {
        Ok(token) => {
            assert_eq!(Token::parse(&token.to_text()), Ok(token), "it reads as another one");
            Verdict::Accepted
        }
        Err(TokenError::Foreign) => Verdict::refused("token foreign"),
        Err(TokenError::Damaged) => Verdict::refused("token damaged"),
    }
}

fn names(text: &str) -> Verdict {
    if let Ok(name) = PeerName::parse(text) {
        assert_eq!(name.to_string(), text, "a name with two spellings");
        let _ = (name.role(), name.author());
        return Verdict::Accepted;
    }
    if let Ok(space) = Space::parse(text) {
        assert_eq!(space.to_string(), text, "a space with two spellings");
        return Verdict::Accepted;
    }
    if let Ok(entry) = EntryId::parse(text) {
        assert_eq!(EntryId::new(entry.kind(), entry.id()).as_ref(), Ok(&entry));
        return Verdict::Accepted;
    }
    let _ = (CommunityId::parse(text), StreetId::parse(text), MachineId::parse(text));
    Verdict::refused("name")
}

fn request(bytes: &[u8]) -> Verdict {
    let peer = PeerName::parse("qu/jiedao/yili/desk").expect("a name");
    match authority().issue(&peer, bytes, 60, NOW) {
        Ok(certificate) => {
            let leaf = Leaf::read(&certificate).expect("a certificate of our own");
            assert_eq!(leaf.peer, peer, "the request chose its name");
            assert!(leaf.not_after <= NOW + 61 * 86_400, "the request chose its life");
            Verdict::Accepted
        }
        Err(AuthorityError::Request) => Verdict::refused("request"),
        Err(error) => panic!("the authority failed: {error}"),
    }
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = PeerName::parse("qu/jiedao/-/hub").expect("a name");
        Authority::create(folder.path(), &hub, NOW).expect("an authority")
    })
}

fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    if input.is_empty() {
        input.push(0);
    }
    let kind = if chance.one_in(50) { chance.bytes::<1>()[0] } else { input[0] };
    let mut bytes = input.split_off(1);
    match kind % KINDS {
        0 if !chance.one_in(4) => {
            let mut content = token_content(&bytes).unwrap_or_default();
            crate::blind::mutate(&mut content, others, chance);
            bytes = token_text(&content).into_bytes();
        }
        1 if chance.one_in(2) => {
            const PARTS: [&str; 8] = ["/", "-", "yili", "community", "open", "社区", "A", "."];
            let part = chance.one_of(&PARTS);
            let at = chance.below(bytes.len() + 1);
            bytes.splice(at..at, part.repeat(1 + chance.below(3)).into_bytes());
        }
        _ => crate::blind::mutate(&mut bytes, others, chance),
    }
    bytes.truncate(crate::blind::INPUT_BYTES_MAX);
    input[0] = kind;
    input.append(&mut bytes);
}

/// What a token holds before its check, if it is one.
fn token_content(text: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(text).to_ascii_uppercase();
    let body = text.get(PREFIX.len()..)?;
    let mut bytes = BASE32_NOPAD.decode(body.as_bytes()).ok()?;
    bytes.truncate(bytes.len().checked_sub(CHECK_BYTES)?);
    Some(bytes)
}

fn token_text(content: &[u8]) -> String {
    let check = Sha256::digest(content);
    let bytes = [content, &check[..CHECK_BYTES]].concat();
    format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let of = |kind: u8, bytes: &[u8]| [&[kind][..], bytes].concat();
    let content = [&[9; 16][..], &[7; 32], b"hub.hongqi.example:7443"].concat();
    let short = [&[9; 16][..], &[7; 32], b"h"].concat();
    let key = MachineKey::generate().expect("a key");
    let request = key.request().expect("a request");
    let certificate = authority().certificate().to_vec();
    let named = |(name, input): (&str, Vec<u8>)| (name.to_owned(), input);
    [
        ("honest-token", of(0, token_text(&content).as_bytes())),
        ("honest-desk", of(1, b"qu/jiedao/yili/desk-b")),
        ("honest-hub", of(1, b"qu/-/-/hub")),
        ("honest-space", of(1, b"community/yili/sealed")),
        ("honest-entry", of(1, b"duty_turn/37-2026-03")),
        ("honest-certificate", of(2, &certificate)),
        ("honest-request", of(3, &request)),
        ("crafted-token-address", of(0, token_text(&short).as_bytes())),
        ("crafted-token-foreign", of(0, b"linli2-abc")),
        ("crafted-name-hole", of(1, b"qu/-/yili/desk")),
        ("crafted-name-upward", of(1, b"qu/../yili/desk")),
        ("crafted-certificate-tail", of(2, &[&certificate[..], &[0]].concat())),
        ("crafted-request-cut", of(3, &request[..request.len() - 9])),
    ]
    .map(named)
    .into()
}
