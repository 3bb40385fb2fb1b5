//! Backup files: head, lock, tail, and what is in them.
//!
//! An input is a whole file. The mutator packs the inside again and repairs the sum, so that the
//! list and the journal are reached. What is put back must be a journal that opens. It refuses a
//! passphrase: opening a lock is as slow as it should be.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use linli_domain::id::{ChangeHash, EntryId, PeerName, Space};
use linli_runtime::backup::{BackupError, Layout, Source, is_sealed, restore, write};
use linli_store::{Journal, JournalOptions, RealDisk};
use sha2::{Digest as _, Sha256};

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "backup", run, mutate, seeds };

const HEAD_BYTES: usize = 21;
const TAIL_BYTES: usize = 40;
/// Most that the mutator unpacks, in bytes.
const INSIDE_BYTES_MAX: u64 = 256 * 1024;
const LAYOUT: Layout = Layout {
    hub: false,
    settings: "node.toml",
    identity: "identity/identity.pem",
    secrets: &["identity/identity.pem", "keys/ring"],
};

fn run(input: &[u8]) -> Verdict {
    let home = tempfile::tempdir().expect("a folder");
    let (file, data) = (home.path().join("file"), home.path().join("data"));
    fs::write(&file, input).expect("a file");
    let sealed = is_sealed(&file);
    match restore(&file, None, &data, LAYOUT, false, &mut |_| ()) {
        Ok(restored) => {
            assert!(matches!(sealed, Ok(false)), "a sealed one was opened without its passphrase");
            let disk = RealDisk::open(&data.join("journal")).expect("a journal");
            let (journal, _) = Journal::open(disk, JournalOptions::default()).expect("it opens");
            let changes: u64 = journal.spaces().map(|(_, head)| head.seq).sum();
            assert_eq!(changes, restored.manifest.changes(), "other changes than it states");
            stays_inside(home.path());
            Verdict::Accepted
        }
        Err(BackupError::Damaged { what }) => {
            // Without the part that differs from input to input.
            let what = what.split(['(', ':']).next().unwrap_or_default();
            let known = what.starts_with("it ") || what.starts_with("its ") || what.contains("end");
            Verdict::refused(if known { what.trim().to_owned() } else { "a file in it".to_owned() })
        }
        Err(BackupError::Foreign) => Verdict::refused("foreign"),
        Err(BackupError::Newer { .. }) => Verdict::refused("newer"),
        Err(BackupError::Sealed) => Verdict::refused("sealed"),
        Err(BackupError::OtherRole { .. }) => Verdict::refused("other role"),
        Err(BackupError::File { .. }) => Verdict::refused("a file cannot be written"),
        Err(BackupError::Journal(_)) => Verdict::refused("journal"),
        Err(other) => panic!("{other}"),
    }
}

/// Nothing was written beside the folder.
fn stays_inside(home: &Path) {
    let beside = fs::read_dir(home).expect("a folder").flatten();
    let names: Vec<_> = beside.map(|file| file.file_name()).collect();
    assert!(names.iter().all(|name| name == "file" || name == "data"), "{names:?}");
}

fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    let inside = input.len().checked_sub(TAIL_BYTES).and_then(|end| input.get(HEAD_BYTES..end));
    let tar = inside.and_then(unpacked);
    match tar {
        Some(tar) if !chance.one_in(4) => {
            let mut head = input[..HEAD_BYTES].to_vec();
            if chance.one_in(12) {
                crate::blind::mutate(&mut head, &[], chance);
            }
            let inside = reshaped(tar, others, chance);
            let packed = zstd::bulk::compress(&inside, 1).unwrap_or_default();
            *input = [head, packed].concat();
        }
        _ => {
            let end = input.len().saturating_sub(TAIL_BYTES);
            input.truncate(end);
            crate::blind::mutate(input, others, chance);
        }
    }
    let sum = Sha256::digest(&input[..]);
    input.extend_from_slice(&0x184D_2A5F_u32.to_le_bytes());
    input.extend_from_slice(&32_u32.to_le_bytes());
    input.extend_from_slice(&sum);
    if chance.one_in(30) {
        input.pop();
    }
}

fn unpacked(inside: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let packed = zstd::Decoder::new(inside).ok()?;
    packed.take(INSIDE_BYTES_MAX).read_to_end(&mut out).ok()?;
    Some(out)
}

/// The archive with one of its files changed, or its own bytes.
fn reshaped(archive: Vec<u8>, others: &[&[u8]], chance: &mut Chance) -> Vec<u8> {
    let mut files = Vec::new();
    let mut from = tar::Archive::new(&archive[..]);
    for file in from.entries().into_iter().flatten().flatten() {
        let path = String::from_utf8_lossy(&file.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        if file.take(INSIDE_BYTES_MAX).read_to_end(&mut bytes).is_ok() {
            files.push((path, bytes));
        }
    }
    if files.is_empty() || chance.one_in(5) {
        let mut archive = archive;
        crate::blind::mutate_within(&mut archive, others, chance, INSIDE_BYTES_MAX as usize);
        return archive;
    }
    let at = chance.below(files.len());
    match chance.below(6) {
        0 => drop(files.remove(at)),
        1 => files.push(files[at].clone()),
        2 => files[at].0 = chance.one_of(&["../out", "journal/00000009.seg", "keys/ring"]).into(),
        3 => {
            let text = String::from_utf8_lossy(&files[0].1).into_owned();
            let (from, to) = chance.one_of(&[
                ("\"format\": 2", "\"format\": 3"),
                ("node.toml", "../../out"),
                ("node.toml", "/tmp/out"),
                ("\"secrets\": false", "\"secrets\": true"),
                ("d/s/yili/desk-a", "d/-/-/hub"),
                ("\"commits\": ", "\"commits\": 9"),
                ("\"bytes\": ", "\"bytes\": 99999999"),
            ]);
            files[0].1 = text.replacen(from, to, 1).into_bytes();
        }
        _ => {
            let before = row(&files[at].1);
            crate::blind::mutate(&mut files[at].1, others, chance);
            let after = row(&files[at].1);
            // The list says what is there, most of the time.
            if at > 0 && !chance.one_in(6) {
                let mut text = String::from_utf8_lossy(&files[0].1).into_owned();
                for (before, after) in before.iter().zip(&after) {
                    text = text.replacen(before, after, 1);
                }
                files[0].1 = text.into_bytes();
            }
        }
    }
    archived(&files)
}

/// What the list says of a file, in its own words.
fn row(bytes: &[u8]) -> [String; 2] {
    let sum = HEXLOWER.encode(&Sha256::digest(bytes));
    [format!("\"sha256\": \"{sum}\""), format!("\"bytes\": {},", bytes.len())]
}

fn archived(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        // A name that the writer refuses leaves its file out.
        let _ = archive.append_data(&mut header, path, &bytes[..]);
    }
    archive.into_inner().unwrap_or_default()
}

fn honest() -> Vec<u8> {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("data");
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("node.toml"), "log = \"info\"\n").expect("settings");
    let disk = RealDisk::open(&data.join("journal")).expect("a folder").reserving(0);
    let options = JournalOptions { segment_bytes: 400, ..JournalOptions::default() };
    let (mut journal, _) = Journal::open(disk, options).expect("an empty folder");
    let space = Space::parse("community/yili/open").expect("a space");
    for number in 1..6_u8 {
        let entry = EntryId::new("issue", &number.to_string()).expect("an entry id");
        journal.append(&space, 0, &entry, &ChangeHash([number; 32]), b"change").expect("appends");
        journal.commit().expect("commits");
    }
    drop(journal);
    let disk = RealDisk::open(&data.join("journal")).expect("a folder");
    let extent = Journal::survey(&disk).expect("a sound journal").extent;
    drop(disk);
    let name = PeerName::parse("d/s/yili/desk-a").expect("a name");
    let source = Source::running(&data, LAYOUT, name, "07".repeat(16), extent);
    let file = home.path().join("file");
    write(&source, &file, None, 1_770_000_000, &mut |_| ()).expect("a backup");
    fs::read(&file).expect("a backup")
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let whole = honest();
    let mut spoilt = whole.clone();
    spoilt[HEAD_BYTES + 9] ^= 4;
    let mut newer = whole.clone();
    newer[16] = 9;
    let mut locked = whole.clone();
    locked[20] = 1;
    [
        ("honest-desk", whole.clone()),
        ("crafted-bit", spoilt),
        ("crafted-newer", newer),
        ("crafted-lock", locked),
        ("crafted-cut", whole[..whole.len() - 1].to_vec()),
        ("crafted-head-only", whole[..HEAD_BYTES].to_vec()),
        ("crafted-empty", Vec::new()),
    ]
    .map(|(name, input)| (name.to_owned(), input))
    .into()
}
