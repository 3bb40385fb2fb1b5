//! The small files beside the store: settings, certificate, keys and lists. Each is compared with
//! the sum it had when it was last written.
//!
//! A file that a person or the program writes gets a new time; one that rots does not. So bytes
//! that changed while the time stayed are damage, and a file that was there and is gone is missed.
//! Sums lie in a file of their own, which holds no secret. It refuses to mend anything: what a key
//! was, only a backup knows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::authority::{read_if_present, write_private};
use crate::backup::{Layout, place};
use crate::site::Watch;

const SUMS: &str = "sums.json";

/// What a file was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// SHA-256, in hex.
    sha256: String,
    /// When it was written, in nanoseconds since 1970.
    written: u64,
}

/// The files of a data folder.
#[derive(Debug)]
struct Files {
    data: PathBuf,
    paths: Vec<&'static str>,
    known: BTreeMap<String, Known>,
}

/// What is wrong with the small files of a data folder by now, and the look at them that an audit
/// takes; `more` are files that no backup holds.
pub fn watch_files(data: &Path, layout: Layout, more: &[&'static str]) -> (Vec<String>, Watch) {
    let mut paths = vec![layout.settings];
    paths.extend(layout.secrets.iter().chain(more));
    // Sums that cannot be read are taken anew: they prove nothing by themselves.
    let read = read_if_present(&data.join(SUMS)).ok().flatten();
    let known = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut files = Files { data: data.to_owned(), paths, known };
    let found = files.look();
    (found, Box::new(move || files.look()))
}

impl Files {
    /// Names what is wrong, and takes note of what was written since.
    fn look(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut news = false;
        for path in self.paths.clone() {
            let known = self.known.get(path);
            match sum_of(&place(&self.data, path)) {
                Ok(None) if known.is_none() => {}
                Ok(None) => wrong.push(format!("files: {path} is missing")),
                Ok(Some(now)) if known == Some(&now) => {}
                Ok(Some(now)) if known.is_some_and(|known| known.written == now.written) => {
                    wrong.push(format!("files: {path} has other bytes than were written"));
                }
                Ok(Some(now)) => {
                    self.known.insert(path.to_owned(), now);
                    news = true;
                }
                Err(error) => wrong.push(format!("files: {path} cannot be read: {error}")),
            }
        }
        if news {
            let sums = serde_json::to_vec_pretty(&self.known).expect("texts and numbers");
            if let Err(error) = write_private(&self.data.join(SUMS), &sums) {
                wrong.push(format!("files: {SUMS} cannot be written: {error}"));
            }
        }
        wrong
    }
}

fn sum_of(path: &Path) -> io::Result<Option<Known>> {
    let Some(bytes) = read_if_present(path)? else { return Ok(None) };
    let written = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
    Ok(Some(Known { sha256, written: written.as_nanos() as u64 }))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    const LAYOUT: Layout = Layout {
        hub: false,
        settings: "node.toml",
        identity: "identity/identity.pem",
        secrets: &["identity/identity.pem", "keys/ring"],
    };

    /// Changes a file as rot does: its time stays.
    fn rot(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let time = fs::metadata(path).unwrap().modified().unwrap();
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn rot_is_told_from_writing_also_over_a_start() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path();
        let ring = data.join("keys").join("ring");
        write_private(&ring, b"a ring").unwrap();
        write_private(&data.join("node.toml"), b"log = \"info\"\n").unwrap();
        let (found, mut look) = watch_files(data, LAYOUT, &["more"]);
        assert_eq!((found, look()), (vec![], vec![]));
        // A person changes the settings a while later.
        fs::write(data.join("node.toml"), b"log = \"warn\"\n").unwrap();
        let later = fs::metadata(&ring).unwrap().modified().unwrap() + Duration::from_secs(9);
        let settings = File::options().write(true).open(data.join("node.toml")).unwrap();
        settings.set_modified(later).unwrap();
        assert_eq!(look(), Vec::<String>::new());
        for bit in 0..6 * 8 {
            let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
            rot(&ring, flip);
            assert_eq!(look(), ["files: keys/ring has other bytes than were written"]);
            assert_eq!(watch_files(data, LAYOUT, &[]).0.len(), 1, "the next start finds it too");
            rot(&ring, flip);
            assert_eq!(look(), Vec::<String>::new());
        }
        rot(&ring, |bytes| bytes.truncate(3));
        assert_eq!(look().len(), 1);
        fs::remove_file(&ring).unwrap();
        assert_eq!(look(), ["files: keys/ring is missing"]);
    }
}
