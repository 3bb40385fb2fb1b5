//! Small files that must be whole or absent, and readable by their owner only.
//!
//! Whoever writes one holds the lock that keeps other writers of the same file away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a file: after a power cut either the old or the new content is there, whole. Makes the
/// directory if need be.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    make_private_dir(dir)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let fresh = dir.join(format!(".{name}.new"));
    // A leftover of an earlier attempt may have any rights; a new file has ours.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create_private(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&fresh, path)?;
    sync_dir(dir)
}

/// Makes a new file that only its owner can read; one that is there already is an error.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    private().open(path)
}

/// A file's content; `None` if there is no such file.
pub(crate) fn read_if_present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create_new(true);
    options
}

/// Makes a directory that only its owner can read, and those above it.
#[cfg(unix)]
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Makes a rename durable; systems that cannot open a directory keep renames by themselves.
#[cfg(unix)]
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)] // the same shape as elsewhere
pub(crate) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}
