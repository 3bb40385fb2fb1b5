//! A spoilt, shortened, locked or half-made view directory, and two owners of one store.

use std::fs;
use std::path::{Path, PathBuf};

use linli_store::{OpenError, RealStore, Store, StoreError, StoreOptions};

use crate::engine::small;
use crate::history::{History, apply, catch_up, rows, rows_of};

fn options() -> StoreOptions {
    StoreOptions { journal: linli_store::JournalOptions::default(), ..small() }
}

/// A store with views, closed.
fn make(dir: &Path) -> History {
    let (mut store, _) = Store::open_real(dir, options()).expect("opens");
    let mut history = History::default();
    history.note(&mut store, "epoch", b"7");
    for _ in 0..6 {
        let before = history.clone();
        history.grow(&mut store, 50, 3, 300);
        for (at, list) in &history.spaces {
            let seen = before.spaces.get(at).map_or(0, Vec::len) as u64;
            for record in store.read(at, seen, list.len(), usize::MAX).expect("read") {
                apply(&mut store, &record);
            }
        }
        store.checkpoint().expect("checkpoint");
    }
    history
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("directory");
    for entry in fs::read_dir(from).expect("directory") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// Opens, catches up and compares everything. Returns whether the views were derived again.
fn opens_right(dir: &Path, history: &History) -> bool {
    let (mut store, opened): (RealStore, _) = Store::open_real(dir, options()).expect("opens");
    catch_up(&mut store);
    assert_eq!(rows(&store), rows_of(history));
    history.check(&mut store);
    store.checkpoint().expect("checkpoint");
    opened.rebuilt.is_some()
}

fn broken_dirs(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("directory").map(|entry| entry.expect("entry").path());
    entries.filter(|path| path.to_string_lossy().contains(".broken-")).collect()
}

#[test]
fn spoilt_sled_files_are_noticed_and_the_views_derived_again() {
    let home = tempfile::tempdir().expect("temporary directory");
    let whole = home.path().join("whole");
    let history = make(&whole);
    let db = fs::read(whole.join("views/db")).expect("sled's file");
    let mut rebuilt = 0;
    for round in 0..48_usize {
        let dir = home.path().join("spoilt");
        copy(&whole, &dir);
        let mut bytes = db.clone();
        // Most of sled's file is room it has not used: spoil where something is written.
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let at = used[(used.len() / 48) * round];
        match round % 4 {
            0 => bytes.truncate(at),
            1 => bytes[at..(at + 4096).min(db.len())].fill(0),
            _ => bytes[at] ^= 1 << (round % 8),
        }
        fs::write(dir.join("views/db"), bytes).expect("write");
        rebuilt += usize::from(opens_right(&dir, &history));
        assert!(!opens_right(&dir, &history), "the second open finds everything well");
        fs::remove_dir_all(&dir).expect("remove");
    }
    assert!(rebuilt > 4, "spoiling was noticed {rebuilt} times only");
}

#[test]
fn noise_in_the_place_of_views_is_replaced() {
    let home = tempfile::tempdir().expect("temporary directory");
    let dir = home.path().join("邻里 数据");
    let history = make(&dir);
    for (file, noise) in [("db", 0xa5), ("db", 0), ("db", 0xff), ("conf", 0x5a)] {
        fs::write(dir.join("views").join(file), vec![noise; 100_000]).expect("write");
        assert!(opens_right(&dir, &history));
        assert!(!opens_right(&dir, &history));
    }
}

#[test]
fn leftovers_of_a_power_cut_do_not_stop_the_open() {
    let home = tempfile::tempdir().expect("temporary directory");
    let history = make(home.path());
    fs::write(home.path().join("views/snap.0000000000000001.generating"), b"").expect("write");
    fs::create_dir(home.path().join("views.fresh")).expect("directory");
    fs::create_dir(home.path().join("views.old")).expect("directory");
    assert!(!opens_right(home.path(), &history));
    assert!(!home.path().join("views.fresh").exists() && !home.path().join("views.old").exists());
}

#[test]
fn a_marked_directory_is_not_trusted_and_the_last_two_are_kept_aside() {
    let home = tempfile::tempdir().expect("temporary directory");
    let history = make(home.path());
    for kept in [1, 2, 2, 2] {
        fs::write(home.path().join("views/doubtful"), b"").expect("write");
        assert!(opens_right(home.path(), &history));
        assert_eq!(broken_dirs(home.path()).len(), kept);
        assert!(!opens_right(home.path(), &history));
    }
}

#[test]
fn a_second_owner_is_refused() {
    let home = tempfile::tempdir().expect("temporary directory");
    let (store, _) = Store::open_real(home.path(), options()).expect("opens");
    let second = Store::open_real(home.path(), options()).map(|_| ());
    assert!(matches!(second, Err(StoreError::Journal(OpenError::InUse { .. }))), "{second:?}");
    drop(store);
    Store::open_real(home.path(), options()).expect("opens once the first is gone");
}
