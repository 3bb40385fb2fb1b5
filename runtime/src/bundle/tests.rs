//! A bundle file as such: it comes back as it went in, and one that is damaged, foreign or somebody
//! else's is refused before a record of it is seen.

use std::fs;

use linli_domain::hlc::Hlc;
use linli_domain::id::EpochId;
use linli_replica::frame::{Frame, Hello};
use tempfile::TempDir;

use super::*;
use crate::authority::{Authority, MachineKey};
use crate::limits::LATE_RENEWAL_DAYS;

const NOW: u64 = 1_790_000_000;
const DAY: u64 = 24 * 3_600;

fn peer(name: &str) -> PeerName {
    PeerName::parse(name).unwrap()
}

/// An authority of a street, and a place for files.
struct Town {
    dir: TempDir,
    authority: Authority,
}

impl Town {
    fn found() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path(), &peer("d/s/-/hub"), NOW).unwrap();
        Self { dir, authority }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = MachineKey::generate().unwrap();
        let request = key.request().unwrap();
        let certificate = self.authority.issue(&peer(name), &request, 60, NOW).unwrap();
        Identity::new(key, certificate, self.authority.certificate().clone()).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a bundle by `maker` with a frame to all and one to `d/s/c/b`.
    fn bundle(&self, name: &str, maker: &Identity, ring: &KeyRing) -> PathBuf {
        let file = self.file(name);
        let mut writer = Writer::create(&file, desk(maker, ring), None).unwrap();
        writer.put(None, &hello(1)).unwrap();
        writer.put(Some(&peer("d/s/c/b")), &hello(2)).unwrap();
        assert_eq!(writer.finish(&mut |_| ()).unwrap(), fs::metadata(&file).unwrap().len());
        file
    }
}

fn ring(secret: u8) -> KeyRing {
    KeyRing::new([7; 32], CommunityKey { epoch: 1, secret: [secret; 32] })
}

fn desk<'a>(identity: &'a Identity, ring: &'a KeyRing) -> Desk<'a> {
    Desk { identity, ring, now: NOW }
}

fn hello(now: u64) -> String {
    let hello = Hello { epoch: EpochId([1; 16]), now: Hlc(now), spaces: Vec::new() };
    text_of(Frame::Hello(hello))
}

fn refused(file: &Path, desk: Desk<'_>) -> BundleError {
    open(file, desk, &mut |_| ()).expect_err("this file must not be taken")
}

#[test]
fn what_was_put_in_comes_out_and_nothing_of_it_can_be_read_on_the_way() {
    let (town, keys) = (Town::found(), ring(9));
    let (maker, reader) = (town.identity("d/s/c/a"), town.identity("d/s/c/b"));
    let file = town.bundle("good", &maker, &keys);
    let bundle = open(&file, desk(&reader, &keys), &mut |_| ()).unwrap();
    assert_eq!((&bundle.head.maker, bundle.head.made_at), (maker.peer(), NOW));
    for _ in 0..2 {
        let mut records = bundle.records(&keys).unwrap();
        let first = records.advance().unwrap().unwrap();
        assert_eq!((first.to, first.text), (None, hello(1)));
        let second = records.advance().unwrap().unwrap();
        assert_eq!((second.to, second.text), (Some(peer("d/s/c/b")), hello(2)));
        assert!(records.advance().unwrap().is_none());
    }
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(7).any(|at| at == b"d/s/c/b"), "the reader's name is sealed");
    let twice = town.bundle("twice", &maker, &keys);
    assert_ne!(fs::read(twice).unwrap(), bytes, "no key or nonce is used again");
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let (town, keys) = (Town::found(), ring(9));
    let (maker, reader) = (town.identity("d/s/c/a"), town.identity("d/s/c/b"));
    let good = fs::read(town.bundle("good", &maker, &keys)).unwrap();
    let file = town.file("bad");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&file, &bad).unwrap();
        assert!(open(&file, desk(&reader, &keys), &mut |_| ()).is_err(), "byte {at}");
        fs::write(&file, &good[..at]).unwrap();
        assert!(open(&file, desk(&reader, &keys), &mut |_| ()).is_err(), "cut at {at}");
    }
    fs::write(&file, [good.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(refused(&file, desk(&reader, &keys)), BundleError::Damaged { .. }));
    let mut newer = good.clone();
    newer[8] = 2;
    fs::write(&file, &newer).unwrap();
    assert!(matches!(refused(&file, desk(&reader, &keys)), BundleError::Newer));
    fs::write(&file, &good).unwrap();
    assert!(open(&file, desk(&reader, &keys), &mut |_| ()).is_ok(), "and the good one is taken");
}

#[test]
fn only_a_desk_of_the_community_with_a_certificate_of_the_street_is_a_maker() {
    let (town, keys) = (Town::found(), ring(9));
    let reader = town.identity("d/s/c/b");
    let other = town.bundle("other", &town.identity("d/s/x/a"), &keys);
    let error = refused(&other, desk(&reader, &keys));
    assert!(matches!(error, BundleError::OtherCommunity { .. }), "{error}");
    let foreign = town.bundle("foreign", &Town::found().identity("d/s/c/a"), &keys);
    let error = refused(&foreign, desk(&reader, &keys));
    assert!(matches!(error, BundleError::Stranger { .. }), "another authority: {error}");
    let own = town.bundle("own", &reader, &keys);
    assert!(matches!(refused(&own, desk(&reader, &keys)), BundleError::Own));
    let good = town.bundle("good", &town.identity("d/s/c/a"), &keys);
    let error = refused(&good, desk(&reader, &ring(8)));
    assert!(matches!(error, BundleError::Damaged { .. }), "another key: {error}");
    let late = |days: u64| Desk { now: NOW + days * DAY, ..desk(&reader, &keys) };
    assert!(open(&good, late(60 + u64::from(LATE_RENEWAL_DAYS) - 1), &mut |_| ()).is_ok());
    let error = refused(&good, late(60 + u64::from(LATE_RENEWAL_DAYS) + 1));
    assert!(matches!(error, BundleError::Stranger { .. }), "ended long ago: {error}");
}

#[test]
fn a_member_cannot_sign_in_the_name_of_another() {
    let (town, keys) = (Town::found(), ring(9));
    let (honest, forger) = (town.identity("d/s/c/a"), town.identity("d/s/c/f"));
    let reader = town.identity("d/s/c/b");
    // The other's name in the head and its own certificate; and the other's certificate, too.
    for (name, certificate) in [("named", &forger), ("shown", &honest)] {
        let head = Head::draw(honest.peer(), None, 1, NOW).unwrap();
        let front = front_of(&head, certificate.certificate());
        let key = key_of(keys.newest(), &head);
        let mut summed = Summed { inner: Vec::new(), sha: Sha256::new() };
        summed.write_all(&front).unwrap();
        let mut sealing = Sealing::new(summed, key, head.nonce, front);
        record::write(&mut sealing, None, &hello(1)).unwrap();
        let Summed { mut inner, sha } = sealing.finish().unwrap();
        let signature = forger.sign(&signed(sha)).unwrap();
        let mut tail = vec![signature.len() as u8];
        tail.extend(signature);
        tail.resize(TAIL_BYTES, 0);
        inner.extend(tail);
        fs::write(town.file(name), inner).unwrap();
    }
    let error = refused(&town.file("named"), desk(&reader, &keys));
    assert!(matches!(error, BundleError::Stranger { .. }), "{error}");
    let error = refused(&town.file("shown"), desk(&reader, &keys));
    assert!(
        matches!(&error, BundleError::Damaged { what } if what.contains("signature")),
        "{error}"
    );
}

#[test]
fn a_file_that_is_there_is_kept_and_a_leftover_is_not_in_the_way() {
    let (town, keys) = (Town::found(), ring(9));
    let maker = town.identity("d/s/c/a");
    fs::write(town.file("good.part"), b"cut off").unwrap();
    let file = town.bundle("good", &maker, &keys);
    assert!(!town.file("good.part").exists());
    let again = Writer::create(&file, desk(&maker, &keys), None);
    assert!(matches!(again, Err(BundleError::Occupied { .. })));
}
