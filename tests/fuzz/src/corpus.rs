//! The committed inputs: what the seeds say, written down, and whatever was once found.
//!
//! It refuses to write over a file: an input that was found stays as it was.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::Target;

/// Largest committed input, in bytes.
pub const FILE_BYTES_MAX: usize = 4 * 1024;

/// An input with the name of its file.
#[derive(Debug, Clone)]
pub struct Input {
    /// `honest-…`, `crafted-…`, `stroke-…` or `found-…`.
    pub name: String,
    /// What the target is handed.
    pub bytes: Vec<u8>,
}

/// The folder of a target's inputs.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The committed inputs of a target, by name.
pub fn read(target: &Target) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for file in fs::read_dir(folder(target))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        inputs.push(Input { name, bytes: fs::read(file.path())? });
    }
    inputs.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(inputs)
}

/// Writes the seeds of a target that are not there yet; returns how many that were. Larger ones
/// than a committed input may be are left out.
pub fn write(target: &Target) -> io::Result<usize> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    let seeds = (target.seeds)().into_iter();
    let fresh =
        seeds.filter(|(name, bytes)| bytes.len() <= FILE_BYTES_MAX && !folder.join(name).exists());
    let mut written = 0;
    for (name, bytes) in fresh {
        fs::write(folder.join(name), bytes)?;
        written += 1;
    }
    Ok(written)
}
