//! An authority names machines by its own word and keeps its key to itself.

use std::fs;

use super::*;

const NOW: u64 = 1_790_000_000;

fn name(text: &str) -> PeerName {
    PeerName::parse(text).unwrap()
}

fn authority() -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), &name("jiangbei/hongqi/-/hub"), NOW).unwrap();
    (dir, authority)
}

#[test]
fn a_certificate_says_what_the_authority_says() {
    let (_dir, authority) = authority();
    let key = MachineKey::generate().unwrap();
    let desk = name("jiangbei/hongqi/anping/desk1");
    let certificate = authority.issue(&desk, &key.request().unwrap(), 60, NOW).unwrap();
    let identity = Identity::new(key, certificate, authority.certificate().clone()).unwrap();
    assert_eq!(identity.peer(), &desk);
    assert_eq!(identity.hub(), authority.hub());
    assert_eq!(identity.leaf().not_after, NOW + 60 * 86_400);
    assert_eq!(identity.leaf().not_before, NOW - 86_400);
    assert!(!identity.renewal_due(NOW + 29 * 86_400));
    assert!(identity.renewal_due(NOW + 30 * 86_400));
}

#[test]
fn serials_differ_even_for_the_same_key() {
    let (_dir, authority) = authority();
    let request = MachineKey::generate().unwrap().request().unwrap();
    let serial = || {
        let desk = name("jiangbei/hongqi/anping/desk1");
        Leaf::read(&authority.issue(&desk, &request, 60, NOW).unwrap()).unwrap().serial
    };
    assert_ne!(serial(), serial());
}

#[test]
fn an_authority_is_the_same_after_loading() {
    let (dir, authority) = authority();
    let loaded = Authority::load(dir.path()).unwrap();
    assert_eq!(loaded.fingerprint(), authority.fingerprint());
    assert_eq!(loaded.hub(), authority.hub());
    assert!(loaded.issue_hub(&["hub.example".into(), "::1".into()], NOW).is_ok());
    let named = loaded.issue_hub(&["红旗街道".into()], NOW);
    assert!(matches!(named, Err(AuthorityError::Host { .. })));
}

#[test]
fn an_authority_is_never_replaced() {
    let (dir, authority) = authority();
    let again = Authority::create(dir.path(), authority.hub(), NOW);
    assert!(matches!(again, Err(AuthorityError::Exists { .. })));
    assert_eq!(Authority::load(dir.path()).unwrap().fingerprint(), authority.fingerprint());
}

#[test]
fn a_missing_or_damaged_authority_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Authority::load(dir.path()), Err(AuthorityError::Missing { .. })));
    fs::write(dir.path().join(FILE), b"-----BEGIN").unwrap();
    assert!(matches!(Authority::load(dir.path()), Err(AuthorityError::Damaged { .. })));
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, authority) = authority();
    let path = dir.path().join("identity.pem");
    authority.issue_hub(&[], NOW).unwrap().save(&path).unwrap();
    for file in [dir.path().join(FILE), path] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn an_identity_is_the_same_after_loading() {
    let (dir, authority) = authority();
    let path = dir.path().join("identity.pem");
    assert!(Identity::load(&path).unwrap().is_none());
    let identity = authority.issue_hub(&[], NOW).unwrap();
    identity.save(&path).unwrap();
    let loaded = Identity::load(&path).unwrap().unwrap();
    assert_eq!(loaded.leaf(), identity.leaf());
    assert_eq!(loaded.whole_chain(), identity.whole_chain());
    fs::write(&path, b"nothing").unwrap();
    assert!(matches!(Identity::load(&path), Err(IdentityError::Damaged { .. })));
}

#[test]
fn a_certificate_over_another_key_is_refused() {
    let (_dir, authority) = authority();
    let request = MachineKey::generate().unwrap().request().unwrap();
    let desk = name("jiangbei/hongqi/anping/desk1");
    let certificate = authority.issue(&desk, &request, 60, NOW).unwrap();
    let other = MachineKey::generate().unwrap();
    let joined = Identity::new(other, certificate, authority.certificate().clone());
    assert!(matches!(joined, Err(IdentityError::OtherKey)));
}

#[test]
fn a_damaged_request_never_brings_a_certificate_over_another_key() {
    let (_dir, authority) = authority();
    let desk = name("jiangbei/hongqi/anping/desk1");
    let key = MachineKey::generate().unwrap();
    let request = key.request().unwrap();
    let mut refused = 0;
    for at in 0..request.len() {
        let mut crafted = request.clone();
        crafted[at] ^= 1;
        match authority.issue(&desk, &crafted, 60, NOW) {
            // The name of the signature's algorithm is outside of what is signed.
            Ok(certificate) => {
                let leaf = Leaf::read(&certificate).unwrap();
                assert_eq!(leaf.public_key, key.pair().subject_public_key_info(), "byte {at}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused * 10 > request.len() * 9, "{refused} of {}", request.len());
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let (_dir, authority) = authority();
    let desk = name("jiangbei/hongqi/anping/desk1");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let request = CertificateParams::default().serialize_request(&ed25519).unwrap();
    let issued = authority.issue(&desk, request.der(), 60, NOW);
    assert!(matches!(issued, Err(AuthorityError::Request)));
}

#[test]
fn no_clock_is_too_wrong_to_make_an_authority() {
    for now in [0, u64::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let hub = name("jiangbei/-/-/hub");
        assert!(Authority::create(dir.path(), &hub, now).is_ok(), "{now}");
    }
}
