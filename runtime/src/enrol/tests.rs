//! Enrolment over real sockets on this machine.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use linli_domain::id::{CommunityId, MachineId, PeerName, StreetId};
use linli_proto::v1::EnrolRequest;
use linli_proto::v1::enrolment_client::EnrolmentClient;
use tokio::net::TcpListener;
use tonic::{Code, Status};

use super::invitation::Seat;
use super::token::Secret;
use super::*;
use crate::authority::{Authority, Fingerprint, MachineKey};
use crate::limits::INVITATIONS_MAX;
use crate::street::{DAY, NOW, Street};
use crate::tls::{ConnectError, channel_over, connect, enrolling_config};

fn machine(name: &str) -> MachineId {
    MachineId::parse(name).unwrap()
}

/// Enrols into a directory of its own.
async fn join(street: &Street, token: &Token, name: &str) -> Result<Enrolled, EnrolError> {
    let dir = tempfile::tempdir().unwrap();
    enrol(token, &machine(name), dir.path(), &street.clock()).await
}

/// Asks as any program could: with this secret, name and request.
async fn ask(street: &Street, secret: &[u8], machine: &str, csr: &[u8]) -> Result<(), Status> {
    let fingerprint = street.registrar.authority().fingerprint();
    let config = enrolling_config(fingerprint, &street.clock()).unwrap();
    let dialled = connect(&street.address(), config, Arc::default()).await.unwrap();
    let mut client = EnrolmentClient::new(channel_over(dialled.stream).await.unwrap());
    let request = EnrolRequest {
        secret: secret.to_vec().into(),
        machine: machine.to_owned(),
        csr: csr.to_vec().into(),
    };
    client.enrol(request).await.map(|_| ())
}

fn names(street: &Street) -> Vec<String> {
    street.registrar.registry().list().iter().map(|record| record.peer.to_string()).collect()
}

#[tokio::test]
async fn a_machine_joins_and_remembers_it() {
    let street = Street::open().await;
    let token = Token::parse(&street.invite("anping").to_text()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert!(load(dir).unwrap().is_none());
    let first = enrol(&token, &machine("desk1"), dir, &street.clock()).await.unwrap();
    assert_eq!(first.identity.peer().to_string(), "jiangbei/hongqi/anping/desk1");
    assert_eq!(first.hub, street.address());
    assert!(first.founding);
    assert_eq!(first.identity.leaf().not_after, NOW + 60 * DAY);

    let loaded = load(dir).unwrap().unwrap();
    assert_eq!(loaded.identity.leaf(), first.identity.leaf());
    assert_eq!((loaded.hub, loaded.founding), (first.hub, true));
    // The key lies in one place only.
    assert!(!dir.join("pending.pem").exists());
    let again = enrol(&token, &machine("desk1"), dir, &street.clock()).await;
    assert!(matches!(again, Err(EnrolError::Already { .. })));
}

#[tokio::test]
async fn only_the_first_machine_of_a_community_founds_it() {
    let street = Street::open().await;
    assert!(street.desk("anping", "desk1").await.enrolled.founding);
    assert!(!street.desk("anping", "desk2").await.enrolled.founding);
    assert!(street.desk("xingfu", "desk1").await.enrolled.founding);
    // A community whose only machine was lost is founded anew.
    let lost = PeerName::parse("jiangbei/hongqi/xingfu/desk1").unwrap();
    street.registrar.registry().revoke(&lost, NOW).unwrap();
    assert!(street.desk("xingfu", "desk2").await.enrolled.founding);
}

#[tokio::test]
async fn an_invitation_is_used_once() {
    let street = Street::open().await;
    let token = street.invite("anping");
    join(&street, &token, "desk1").await.unwrap();
    for name in ["desk1", "desk2"] {
        let again = join(&street, &token, name).await;
        assert!(matches!(again, Err(EnrolError::NotAccepted)), "{again:?}");
    }
    assert_eq!(names(&street), ["jiangbei/hongqi/anping/desk1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_race_one_gets_in() {
    for _ in 0..8 {
        let street = Street::open().await;
        let token = street.invite("anping");
        let (left, right) =
            tokio::join!(join(&street, &token, "desk1"), join(&street, &token, "desk2"));
        let winners = [&left, &right].iter().filter(|joined| joined.is_ok()).count();
        assert_eq!(winners, 1, "{left:?} {right:?}");
        assert_eq!(street.registrar.registry().list().len(), 1);
        let loser = left.and(right).unwrap_err();
        assert!(matches!(loser, EnrolError::NotAccepted), "{loser:?}");
    }
}

#[tokio::test]
async fn unknown_used_and_ended_invitations_are_answered_alike() {
    let street = Street::open().await;
    let used = street.invite("anping");
    join(&street, &used, "desk1").await.unwrap();
    let ended = street.invite("anping");
    street.time.store(NOW + DAY, Ordering::SeqCst);
    let csr = MachineKey::generate().unwrap().request().unwrap();
    let mut answers = Vec::new();
    for secret in [used.secret.0.as_slice(), &ended.secret.0, &[0; 16], &[], &[7; 4_000]] {
        let refused = ask(&street, secret, "desk2", &csr).await.unwrap_err();
        answers.push((refused.code(), refused.message().to_owned()));
    }
    assert_eq!(answers[0].0, Code::PermissionDenied);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(names(&street).len(), 1);
}

#[tokio::test]
async fn a_garbled_request_uses_nothing_up() {
    let street = Street::open().await;
    let token = street.invite("anping");
    let csr = MachineKey::generate().unwrap().request().unwrap();
    for (name, csr) in [
        ("desk1", b"garbage".as_slice()),
        ("desk1", &[]),
        ("desk1", &[0x30; 5_000]),
        ("Desk 1", &csr),
        ("", &csr),
        ("../../desk", &csr),
    ] {
        let refused = ask(&street, &token.secret.0, name, csr).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name} {refused:?}");
    }
    let too_large = ask(&street, &token.secret.0, "desk1", &vec![0x30; 50_000]).await.unwrap_err();
    assert_eq!(too_large.code(), Code::OutOfRange);
    assert_eq!(names(&street), [""; 0]);
    join(&street, &token, "desk1").await.unwrap();
}

#[tokio::test]
async fn a_name_is_given_once() {
    let street = Street::open().await;
    let first = street.desk("anping", "desk1").await;
    let token = street.invite("anping");
    for revoked in [false, true] {
        if revoked {
            street.registrar.registry().revoke(first.enrolled.identity.peer(), NOW).unwrap();
        }
        let taken = join(&street, &token, "desk1").await;
        assert!(matches!(taken, Err(EnrolError::NameTaken)), "{taken:?}");
    }
    // The invitation is still good for another name, and another community has its own names.
    join(&street, &token, "desk2").await.unwrap();
    street.desk("xingfu", "desk1").await;
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again_with_the_same_key() {
    let mut street = Street::open().await;
    let token = street.invite("anping");
    let dir = tempfile::tempdir().unwrap();
    let key = MachineKey::generate().unwrap();
    key.save(&dir.path().join("pending.pem")).unwrap();
    // The hub's answer never arrives, and the hub restarts.
    ask(&street, &token.secret.0, "desk1", &key.request().unwrap()).await.unwrap();
    street.restart().await;
    let other_key = MachineKey::generate().unwrap().request().unwrap();
    ask(&street, &token.secret.0, "desk1", &other_key).await.unwrap_err();
    ask(&street, &token.secret.0, "desk2", &key.request().unwrap()).await.unwrap_err();

    let token = Token { address: street.address(), ..token };
    let joined = enrol(&token, &machine("desk1"), dir.path(), &street.clock()).await.unwrap();
    assert!(joined.founding);
    assert_eq!(names(&street), ["jiangbei/hongqi/anping/desk1"]);
}

#[tokio::test]
async fn a_hub_with_another_authority_gets_no_secret() {
    let street = Street::open().await;
    let other = Street::open().await;
    let token = Token { address: other.address(), ..street.invite("anping") };
    let misled = join(&street, &token, "desk1").await;
    assert!(
        matches!(misled, Err(EnrolError::Connect(ConnectError::Stranger { .. }))),
        "{misled:?}"
    );
    assert_eq!(names(&street), [""; 0]);
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_named() {
    let street = Street::open().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let token = Token { address: address.clone(), ..street.invite("anping") };
    let error = join(&street, &token, "desk1").await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot reach {address}")), "{error}");
}

#[tokio::test]
async fn a_district_names_hubs_and_a_street_names_desks() {
    let hub_seat = || Seat::Street(StreetId::parse("hongqi").unwrap());
    let desk_seat = || Seat::Community(CommunityId::parse("anping").unwrap());
    let district = Street::open_as("jiangbei/-/-/district").await;
    let invited = district.registrar.invite(hub_seat(), district.address(), DAY).unwrap();
    let hub = join(&district, &invited, "hub").await.unwrap();
    assert_eq!(hub.identity.peer().to_string(), "jiangbei/hongqi/-/hub");
    assert!(!hub.founding);
    let invited = district.registrar.invite(desk_seat(), district.address(), DAY).unwrap();
    let desk = join(&district, &invited, "desk1").await;
    assert!(matches!(desk, Err(EnrolError::NotAccepted)), "{desk:?}");

    let street = Street::open().await;
    let invited = street.registrar.invite(hub_seat(), street.address(), DAY).unwrap();
    let hub = join(&street, &invited, "hub2").await;
    assert!(matches!(hub, Err(EnrolError::NotAccepted)), "{hub:?}");
}

#[tokio::test]
async fn the_books_outlive_the_hub_and_hold_no_secret() {
    let mut street = Street::open().await;
    let token = street.invite("anping");
    street.desk("anping", "desk1").await;
    let peer = PeerName::parse("jiangbei/hongqi/anping/desk1").unwrap();
    assert!(street.registrar.registry().revoke(&peer, NOW + 5).unwrap());
    assert!(!street.registrar.registry().revoke(&peer, NOW + 6).unwrap());
    street.restart().await;
    let record = street.registrar.registry().record(&peer).unwrap();
    assert_eq!((record.since, record.revoked), (NOW, Some(NOW + 5)));
    assert_eq!(street.registrar.registry().standing(&peer), Standing::Revoked);
    assert_eq!(street.registrar.invitations().list().len(), 2);
    let book = fs::read_to_string(street.dir().join("invitations.json")).unwrap();
    assert!(!book.contains(&data_encoding::HEXLOWER.encode(&token.secret.0)));
    assert!(book.contains(&token.secret.hash()));
}

#[test]
fn damaged_books_are_not_taken_for_empty_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("machines.json");
    fs::write(&path, b"[{").unwrap();
    assert!(matches!(Registry::open(path.clone()), Err(BookError::Damaged { .. })));
    assert!(matches!(Invitations::open(path), Err(BookError::Damaged { .. })));
}

#[test]
fn what_cannot_be_written_did_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let invitations = Invitations::open(dir.path().join("invitations.json")).unwrap();
    let registry = Registry::open(dir.path().join("machines.json")).unwrap();
    // What stands in the way of the new file cannot be removed.
    fs::create_dir(dir.path().join(".invitations.json.new")).unwrap();
    fs::create_dir(dir.path().join(".machines.json.new")).unwrap();
    let seat = Seat::Community(CommunityId::parse("anping").unwrap());
    let invited = invitations.invite(seat, "hub:1".into(), Fingerprint([0; 32]), DAY, NOW);
    assert!(matches!(invited, Err(BookError::File { .. })));
    assert_eq!(invitations.list(), []);

    let authority =
        Authority::create(dir.path(), &PeerName::parse("jiangbei/hongqi/-/hub").unwrap(), NOW)
            .unwrap();
    let hub = authority.issue_hub(&[], NOW).unwrap();
    assert!(registry.note(hub.leaf(), false, NOW).is_err());
    assert_eq!(registry.list(), []);
}

#[test]
fn invitations_are_bounded_and_forgotten_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Invitation> = (0..INVITATIONS_MAX)
        .map(|at| Invitation {
            hash: at.to_string(),
            seat: Seat::Community(CommunityId::parse("anping").unwrap()),
            given: NOW,
            expires: NOW + DAY,
            used: None,
        })
        .collect();
    let path = dir.path().join("invitations.json");
    fs::write(&path, serde_json::to_vec(&rows).unwrap()).unwrap();
    let invitations = Invitations::open(path).unwrap();
    let invite = |now| {
        let seat = Seat::Community(CommunityId::parse("anping").unwrap());
        invitations.invite(seat, "hub:1".into(), Fingerprint([0; 32]), DAY, now)
    };
    assert!(matches!(invite(NOW), Err(BookError::Full { .. })));
    assert!(invite(NOW + DAY).is_ok());
    assert_eq!(invitations.list().len(), 1);
}

#[test]
fn secrets_differ() {
    assert_ne!(Secret::draw().unwrap(), Secret::draw().unwrap());
}
