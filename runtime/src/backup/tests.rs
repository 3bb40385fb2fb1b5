//! A backup file as such: it comes back as it went in, and nothing else is taken for one.

use std::fs;
use std::path::PathBuf;

use linli_domain::id::{AuthorId, ChangeHash, EntryId, PeerName, Space};
use linli_domain::seal::{CommunityKey, KeyRing, envelope_hash, seal_shared};
use linli_store::disk::RealDisk;
use linli_store::journal::{Journal, JournalOptions};
use tempfile::TempDir;

use super::archive::{read, write_locked};
use super::sealing::Lock;
use super::*;
use crate::authority::make_private_dir;
use crate::books::EPOCH_NOTE;

const LAYOUT: Layout = Layout {
    hub: false,
    settings: "node.toml",
    identity: "identity/identity.pem",
    secrets: &["identity/identity.pem", "keys/ring"],
};
const CHEAP: Lock = Lock { salt: [1; 16], kib: 8, passes: 1, nonce: [2; 19] };
const SECRET: &[u8] = b"a secret that only a sealed backup holds";

fn space() -> Space {
    Space::parse("community/yili/open").unwrap()
}

fn words() -> Passphrase {
    Passphrase::new(b"correct horse battery".to_vec())
}

/// A data folder with a journal of two segments, settings and a secret.
struct Machine {
    home: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { home: tempfile::tempdir().unwrap() };
        for (path, content) in
            [("node.toml", &b"log = \"info\"\n"[..]), ("identity/identity.pem", SECRET)]
        {
            let path = machine.data().join(path);
            make_private_dir(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let mut journal = machine.journal();
        journal.append_note(EPOCH_NOTE, &[7; 16]).unwrap();
        journal.commit().unwrap();
        drop(journal);
        machine.grow(1..6);
        machine
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn journal(&self) -> Journal<RealDisk> {
        let disk = RealDisk::open(&self.data().join("journal")).unwrap().reserving(0);
        let options = JournalOptions { segment_bytes: 300, ..JournalOptions::default() };
        Journal::open(disk, options).unwrap().0
    }

    fn grow(&self, numbers: std::ops::Range<u8>) {
        let mut journal = self.journal();
        for number in numbers {
            let entry = EntryId::parse(&format!("issue/{number}")).unwrap();
            journal.append(&space(), 0, &entry, &ChangeHash([number; 32]), b"change").unwrap();
            journal.commit().unwrap();
        }
    }

    fn source(&self) -> Source {
        let disk = RealDisk::open(&self.data().join("journal")).unwrap();
        let extent = Journal::survey(&disk).unwrap().extent;
        let name = PeerName::parse("d/s/yili/desk-a").unwrap();
        Source::running(&self.data(), LAYOUT, name, "07".repeat(16), extent)
    }

    fn back_up(&self, name: &str, passphrase: Option<&Passphrase>) -> PathBuf {
        let lock = passphrase.map(|passphrase| (CHEAP, passphrase));
        write_locked(&self.source(), &self.file(name), lock, 1_770_000_000, &mut |_| ()).unwrap();
        self.file(name)
    }
}

fn check(file: &std::path::Path, passphrase: Option<&Passphrase>) -> Result<Manifest, BackupError> {
    read(file, passphrase, &mut |_| (), &mut |_, _| Ok(()))
}

#[test]
fn a_machine_comes_back_with_all_that_was_saved_and_another_life_before_it() {
    let machine = Machine::new();
    for passphrase in [None, Some(&words())] {
        let name = if passphrase.is_some() { "sealed" } else { "plain" };
        let file = machine.back_up(name, passphrase);
        let data = machine.file(&format!("{name}-restored"));
        let restored = restore(&file, passphrase, &data, LAYOUT, false, &mut |_| ()).unwrap();
        assert!(restored.waits);
        assert_eq!(restored.manifest.changes(), 5);
        let disk = RealDisk::open(&data.join("journal")).unwrap();
        let survey = Journal::survey(&disk).unwrap();
        assert_eq!(survey.extent.spaces, machine.source().extent.spaces);
        assert!(!survey.notes.contains_key(EPOCH_NOTE), "the old epoch is not gone on with");
        let marks: Vec<&String> = survey.notes.keys().collect();
        assert!(marks.contains(&&"restored community/yili/open".to_owned()), "{marks:?}");
        let secret = fs::read(data.join("identity").join("identity.pem")).ok();
        assert_eq!(secret.as_deref(), passphrase.map(|_| SECRET));
        assert!(data.join("node.toml").exists());
        let again = restore(&file, passphrase, &data, LAYOUT, false, &mut |_| ());
        assert!(matches!(again, Err(BackupError::Occupied { .. })), "{again:?}");
    }
}

#[test]
fn one_that_is_alone_is_told_so_and_waits_for_nobody() {
    let machine = Machine::new();
    let file = machine.back_up("plain", None);
    let data = machine.file("alone");
    assert!(!restore(&file, None, &data, LAYOUT, true, &mut |_| ()).unwrap().waits);
    let disk = RealDisk::open(&data.join("journal")).unwrap();
    assert!(Journal::survey(&disk).unwrap().notes.is_empty());
    let hub = Layout { hub: true, ..LAYOUT };
    let other = restore(&file, None, &machine.file("hub"), hub, true, &mut |_| ());
    assert!(matches!(other, Err(BackupError::OtherRole { .. })), "{other:?}");
}

#[test]
fn no_flipped_or_missing_byte_is_taken_for_a_backup() {
    let machine = Machine::new();
    for passphrase in [None, Some(&words())] {
        let file =
            machine.back_up(if passphrase.is_some() { "sealed" } else { "plain" }, passphrase);
        assert!(check(&file, passphrase).is_ok());
        let good = fs::read(&file).unwrap();
        let spoilt = machine.file("spoilt");
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&spoilt, &bytes).unwrap();
            assert!(check(&spoilt, passphrase).is_err(), "byte {at} of {}", good.len());
            fs::write(&spoilt, &good[..at]).unwrap();
            assert!(check(&spoilt, passphrase).is_err(), "cut at {at}");
        }
        fs::write(&spoilt, [&good[..], b"\0"].concat()).unwrap();
        assert!(check(&spoilt, passphrase).is_err(), "a byte more");
    }
}

#[test]
fn a_sealed_backup_wants_its_passphrase_and_shows_nothing_without() {
    let machine = Machine::new();
    let file = machine.back_up("sealed", Some(&words()));
    assert!(matches!(check(&file, None), Err(BackupError::Sealed)));
    let wrong = check(&file, Some(&Passphrase::new(b"wrong horse battery".to_vec())));
    assert!(matches!(wrong, Err(BackupError::WrongPassphrase)), "{wrong:?}");
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"manifest"));
    assert!(is_sealed(&file).unwrap());
}

#[test]
fn a_newer_version_and_a_foreign_file_say_what_they_are() {
    let machine = Machine::new();
    let file = machine.back_up("plain", None);
    let mut bytes = fs::read(&file).unwrap();
    bytes[16] = 2;
    fs::write(&file, &bytes).unwrap();
    assert!(matches!(check(&file, None), Err(BackupError::Newer { version: 2 })));
    fs::write(&file, b"PK\x03\x04 something else altogether").unwrap();
    assert!(matches!(check(&file, None), Err(BackupError::Foreign)));
    for error in [BackupError::Foreign, BackupError::Newer { version: 2 }, BackupError::Sealed] {
        let trouble = error.trouble("linli-node");
        assert!(!trouble.zh.is_ascii() && trouble.en.is_ascii(), "{trouble:?}");
    }
}

#[test]
fn what_is_written_meanwhile_is_not_in_it_and_does_no_harm() {
    let machine = Machine::new();
    let before = machine.source();
    machine.grow(6..12);
    let file = machine.file("early");
    let written = write_locked(&before, &file, None, 1, &mut |_| ()).unwrap();
    assert_eq!((written.manifest.changes(), machine.source().extent.commits), (5, 12));
    assert_eq!(check(&file, None).unwrap(), written.manifest);
}

#[test]
fn nothing_is_left_where_the_journal_is_not_what_it_was_said_to_be() {
    let machine = Machine::new();
    let source = machine.source();
    let segment = machine.data().join("journal").join("00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let file = machine.file("never");
    let refused = write_locked(&source, &file, None, 1, &mut |_| ());
    assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{refused:?}");
    let left: Vec<_> = fs::read_dir(machine.home.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the data folder and nothing else: {left:?}");
}

#[test]
fn a_backup_is_never_written_over() {
    let machine = Machine::new();
    let file = machine.back_up("plain", None);
    let before = fs::read(&file).unwrap();
    let again = write_locked(&machine.source(), &file, None, 2, &mut |_| ());
    assert!(matches!(again, Err(BackupError::Occupied { .. })), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_drill_proves_a_good_backup_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let machine = Machine { home };
    make_private_dir(&machine.data().join("identity")).unwrap();
    fs::write(machine.data().join("identity/identity.pem"), SECRET).unwrap();
    machine.grow(1..1);
    let file = machine.back_up("empty", None);
    let report = drill(&file, None, LAYOUT, &mut |_| ()).unwrap();
    assert_eq!((report.records, report.manifest.changes()), (0, 0));
    let hub = Layout { hub: true, ..LAYOUT };
    assert!(matches!(drill(&file, None, hub, &mut |_| ()), Err(BackupError::OtherRole { .. })));
}

#[test]
fn a_repair_leaves_a_sound_store_alone_and_gives_a_damaged_one_another_life() {
    let machine = Machine::new();
    let sound = repair(&machine.data()).unwrap();
    assert_eq!((sound.journal, sound.salvaged, sound.changes), (None, None, 5));
    let survey = |machine: &Machine| {
        Journal::survey(&RealDisk::open(&machine.data().join("journal")).unwrap()).unwrap()
    };
    assert!(survey(&machine).notes.contains_key(EPOCH_NOTE));
    let segment = machine.data().join("journal").join("00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[150] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let mended = repair(&machine.data()).unwrap();
    assert!(mended.journal.is_some() && mended.salvaged.is_some());
    assert!(!survey(&machine).notes.contains_key(EPOCH_NOTE));
    let again = repair(&machine.data()).unwrap();
    assert_eq!((again.journal, again.salvaged), (None, None));
}

#[test]
fn the_first_format_is_still_read() {
    for (name, golden, passphrase) in [
        ("plain", &include_bytes!("../../tests/golden/backup-1-plain")[..], None),
        ("sealed", &include_bytes!("../../tests/golden/backup-1-sealed")[..], Some(words())),
    ] {
        let machine = Machine::new();
        let file = machine.file(name);
        fs::write(&file, golden).unwrap();
        let data = machine.file("restored");
        let restored = restore(&file, passphrase.as_ref(), &data, LAYOUT, true, &mut |_| ());
        let manifest = restored.unwrap().manifest;
        assert_eq!((manifest.changes(), manifest.made_at), (5, 1_770_000_000), "{name}");
        assert_eq!(manifest.name.to_string(), "d/s/yili/desk-a");
        let disk = RealDisk::open(&data.join("journal")).unwrap();
        assert_eq!(Journal::survey(&disk).unwrap().extent.spaces, machine.source().extent.spaces);
        let secret = fs::read(data.join("identity").join("identity.pem")).ok();
        assert_eq!(secret.as_deref(), passphrase.map(|_| SECRET), "{name}");
    }
}

#[test]
fn a_drill_fails_where_the_keys_in_it_do_not_open_what_is_sealed() {
    let ring = |secret| KeyRing::new([1; 32], CommunityKey { epoch: 1, secret: [secret; 32] });
    let machine = Machine::new();
    fs::remove_dir_all(machine.data().join("journal")).unwrap();
    let space = Space::parse("community/yili/sealed").unwrap();
    let entry = EntryId::parse("issue/1").unwrap();
    let envelope = seal_shared(&ring(2), &space, &entry, AuthorId([3; 8]), [4; 24], b"13800000000");
    let mut journal = machine.journal();
    journal.append(&space, 0, &entry, &envelope_hash(&envelope), &envelope).unwrap();
    journal.commit().unwrap();
    drop(journal);
    for (secret, opens) in [(2, true), (9, false)] {
        let keys = machine.data().join("keys");
        make_private_dir(&keys).unwrap();
        fs::write(keys.join("ring"), ring(secret).to_bytes().as_slice()).unwrap();
        let file = machine.back_up(if opens { "fits" } else { "other" }, Some(&words()));
        match drill(&file, Some(&words()), LAYOUT, &mut |_| ()) {
            Ok(report) if opens => assert_eq!(report.envelopes, 1),
            Err(BackupError::Disproved(wrong)) if !opens => {
                assert!(wrong.iter().any(|why| why.contains("key ring")), "{wrong:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
