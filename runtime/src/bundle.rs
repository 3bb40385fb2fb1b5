//! A bundle: one desk's half of a link in a file, for desks that no network joins.
//!
//! ```text
//! head: "linlibdl" | version u32 | length u32 | JSON: maker, community, store, key epoch, time
//! certificate: length u32 | DER
//! inside: sealed chunks of records
//! tail: length u8 | signature, filled up with zeros to 80 bytes
//! ```
//!
//! Integers are little-endian. The inside is sealed under a key that only desks of the community can
//! derive, with head and certificate as associated data; the signature, by the key of the
//! certificate, covers every byte before the tail. Batches are compressed as on a link, so the file
//! is not compressed again. A reader believes nothing before the whole file was read, verified and
//! opened once; only then is the first change handed over. It refuses a file by anybody but a desk
//! of its own community, and never holds more of one than a frame.

mod head;
mod record;
mod trouble;

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use linli_domain::id::{MachineId, PeerName};
use linli_domain::seal::{CommunityKey, KeyRing};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use head::Head;
pub use record::{Record, frame_of, text_of};

use crate::authority::{Identity, create_private, sync_dir};
use crate::backup::Progress;
use crate::backup::sealing::{Key, NONCE_BYTES, Opening, Sealing};
use crate::limits::{BUNDLE_BYTES_MAX, BUNDLE_CERTIFICATE_BYTES_MAX, BUNDLE_HEAD_BYTES_MAX};
use crate::tls;

const MAGIC: &[u8; 8] = b"linlibdl";
/// Version of the file; a reader refuses a greater one.
const VERSION: u32 = 1;
const TAIL_BYTES: usize = 80;
/// Said before the hash that is signed, so that no signature of ours ever means something else.
const SIGNED: &[u8] = b"linli bundle, signed by its maker\0";
const SEALED: &[u8] = b"linli bundle";

/// A bundle that cannot be written, or is not taken; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a file of that name already.
    #[error("{path} is there already")]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// It is no bundle at all.
    #[error("not a bundle")]
    NotOne,
    /// A later version wrote it.
    #[error("the bundle has a format that this version does not know")]
    Newer,
    /// It is of another community.
    #[error("the bundle is of {maker}, another community")]
    OtherCommunity {
        /// Who has made it.
        maker: PeerName,
    },
    /// This desk has made it.
    #[error("the bundle was made on this desk")]
    Own,
    /// Its certificate is not its maker's, or not by this street's authority.
    #[error("the bundle is not by whom it names: {why}")]
    Stranger {
        /// Why not.
        why: String,
    },
    /// Bytes are missing or were changed.
    #[error("the bundle is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// This desk has not the key.
    #[error("this desk has no key of epoch {epoch}")]
    Locked {
        /// The key epoch it was sealed in.
        epoch: u32,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Who writes or reads: a desk's identity and its community's keys.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// Name, key and certificate.
    pub identity: &'a Identity,
    /// The community's keys.
    pub ring: &'a KeyRing,
    /// The time, in seconds since 1970.
    pub now: u64,
}

/// A bundle while it is written, under another name until it is whole.
pub struct Writer<'a> {
    desk: Desk<'a>,
    file: PathBuf,
    part: PathBuf,
    sealing: Sealing<Summed<BufWriter<File>>>,
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<'a> Writer<'a> {
    /// Begins a bundle; `reader` is the desk it is for, if it is for one.
    pub fn create(
        file: &Path,
        desk: Desk<'a>,
        reader: Option<&MachineId>,
    ) -> Result<Self, BundleError> {
        let occupied = || BundleError::Occupied { path: file.to_owned() };
        let name = file.file_name().filter(|_| !file.exists()).ok_or_else(occupied)?;
        let part = file.with_file_name(format!("{}.part", name.to_string_lossy()));
        let wrong = wrong(&part);
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
            // A leftover of an earlier attempt.
            _ => {}
        }
        let key = desk.ring.newest();
        let head = Head::draw(desk.identity.peer(), reader, key.epoch, desk.now)?;
        let front = front_of(&head, desk.identity.certificate());
        let (key, nonce) = (key_of(key, &head), head.nonce);
        let out = BufWriter::new(create_private(&part).map_err(&wrong)?);
        let mut summed = Summed { inner: out, sha: Sha256::new() };
        summed.write_all(&front).map_err(&wrong)?;
        let sealing = Sealing::new(summed, key, nonce, front);
        Ok(Self { desk, file: file.to_owned(), part, sealing })
    }

    /// Adds a frame, said to one desk or to all.
    pub fn put(&mut self, to: Option<&PeerName>, text: &str) -> Result<(), BundleError> {
        record::write(&mut self.sealing, to, text).map_err(wrong(&self.part))
    }

    /// Signs the bundle, reads it back whole, and only then gives it its name; its length in bytes.
    pub fn finish(self, progress: Progress<'_>) -> Result<u64, BundleError> {
        let Self { desk, file, part, sealing } = self;
        let outcome = Self::end(desk, &part, sealing).and_then(|()| {
            let bytes = open_as(&part, desk, true, progress)?.bytes;
            fs::rename(&part, &file).map_err(wrong(&file))?;
            sync_dir(file.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")))
                .map_err(wrong(&file))?;
            Ok(bytes)
        });
        if outcome.is_err() {
            // Nobody shall carry it away; the error above says more than this one would.
            let _ = fs::remove_file(&part);
        }
        outcome
    }

    fn end(
        desk: Desk<'_>,
        part: &Path,
        sealing: Sealing<Summed<BufWriter<File>>>,
    ) -> Result<(), BundleError> {
        let wrong = wrong(part);
        let Summed { inner: mut out, sha } = sealing.finish().map_err(&wrong)?;
        let signature =
            desk.identity.sign(&signed(sha)).map_err(|error| wrong(io::Error::other(error)))?;
        let mut tail = vec![signature.len() as u8];
        tail.extend_from_slice(&signature);
        tail.resize(TAIL_BYTES, 0);
        out.write_all(&tail).map_err(&wrong)?;
        let out = out.into_inner().map_err(|error| wrong(error.into_error()))?;
        out.sync_all().map_err(&wrong)
    }
}

/// A bundle that was read, verified and opened whole.
#[derive(Debug)]
pub struct Bundle {
    /// Who has made it, and when.
    pub head: Head,
    /// Its length.
    pub bytes: u64,
    path: PathBuf,
    file: File,
    front: Vec<u8>,
}

/// Verifies a bundle from its first byte to its last, and opens it.
pub fn open(path: &Path, desk: Desk<'_>, progress: Progress<'_>) -> Result<Bundle, BundleError> {
    open_as(path, desk, false, progress)
}

fn open_as(
    path: &Path,
    desk: Desk<'_>,
    own: bool,
    progress: Progress<'_>,
) -> Result<Bundle, BundleError> {
    let wrong = wrong(path);
    let mut file = File::open(path).map_err(&wrong)?;
    let bytes = file.metadata().map_err(&wrong)?.len();
    let (head, certificate, front) = read_front(&mut file, path)?;
    let me = desk.identity.peer();
    if head.maker.community != me.community || head.maker.street != me.street {
        return Err(BundleError::OtherCommunity { maker: head.maker });
    }
    if head.maker == *me && !own {
        return Err(BundleError::Own);
    }
    let stranger = |why: String| BundleError::Stranger { why };
    let leaf = tls::signer(desk.identity, &certificate, desk.now)
        .map_err(|error| stranger(error.to_string()))?;
    if leaf.peer != head.maker {
        return Err(stranger(format!("its certificate is that of {}", leaf.peer)));
    }
    let body = bytes.checked_sub((front.len() + TAIL_BYTES) as u64);
    if body.is_none() || bytes > BUNDLE_BYTES_MAX {
        return Err(BundleError::Damaged { what: "it is too short or too long" });
    }
    file.seek(SeekFrom::Start(0)).map_err(&wrong)?;
    let before_tail = bytes - TAIL_BYTES as u64;
    let mut summed = Summed { inner: (&mut file).take(before_tail), sha: Sha256::new() };
    pour(&mut summed, progress).map_err(&wrong)?;
    let sha = summed.sha;
    let mut tail = Vec::new();
    (&mut file).take(TAIL_BYTES as u64).read_to_end(&mut tail).map_err(&wrong)?;
    let signature = signature_of(&tail);
    if !signature.is_some_and(|signature| tls::has_signed(&leaf, &signed(sha), signature)) {
        return Err(BundleError::Damaged { what: "its signature does not fit" });
    }
    let bundle = Bundle { head, bytes, path: path.to_owned(), file, front };
    let mut records = bundle.records(desk.ring)?;
    while let Some(record) = records.advance()? {
        progress(record.bytes as u64);
    }
    Ok(bundle)
}

impl Bundle {
    /// Its records, from the first; every byte is authenticated before it is handed out.
    pub fn records(&self, ring: &KeyRing) -> Result<Records, BundleError> {
        let wrong = wrong(&self.path);
        let key = ring.key(self.head.key_epoch);
        let key = key.ok_or(BundleError::Locked { epoch: self.head.key_epoch })?;
        let mut file = self.file.try_clone().map_err(&wrong)?;
        let start = self.front.len() as u64;
        file.seek(SeekFrom::Start(start)).map_err(&wrong)?;
        let inside = BufReader::new(file).take(self.bytes - start - TAIL_BYTES as u64);
        let key = key_of(key, &self.head);
        let opening = Opening::new(inside, key, self.head.nonce, self.front.clone());
        Ok(Records {
            opening: opening.map_err(|error| opened(&self.path, error))?,
            path: self.path.clone(),
        })
    }
}

/// The records of a bundle, one at a time.
pub struct Records {
    opening: Opening<Take<BufReader<File>>>,
    path: PathBuf,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Records {
    /// The next one; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<Record>, BundleError> {
        record::read(&mut self.opening).map_err(|error| opened(&self.path, error))
    }
}

/// What a chunk or record says that does not open; anything else is the medium's fault.
fn opened(path: &Path, error: io::Error) -> BundleError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            BundleError::Damaged { what: "what is sealed in it does not open" }
        }
        _ => wrong(path)(error),
    }
}

/// Head and certificate, and their bytes as they stand.
fn read_front(
    file: &mut File,
    path: &Path,
) -> Result<(Head, CertificateDer<'static>, Vec<u8>), BundleError> {
    let mut front = Front { file, path, bytes: Vec::new() };
    if front.part(MAGIC.len())? != MAGIC {
        return Err(BundleError::NotOne);
    }
    match front.number()? {
        VERSION => {}
        newer if newer > VERSION => return Err(BundleError::Newer),
        _ => return Err(BundleError::Damaged { what: "it has a version that never was" }),
    }
    let head = Head::read(&front.sized(BUNDLE_HEAD_BYTES_MAX)?)?;
    let certificate = CertificateDer::from(front.sized(BUNDLE_CERTIFICATE_BYTES_MAX)?);
    Ok((head, certificate, front.bytes))
}

/// The beginning of a file while it is read.
struct Front<'a> {
    file: &'a mut File,
    path: &'a Path,
    bytes: Vec<u8>,
}

impl Front<'_> {
    fn part(&mut self, count: usize) -> Result<Vec<u8>, BundleError> {
        let at = self.bytes.len();
        let part = (&mut *self.file).take(count as u64).read_to_end(&mut self.bytes);
        if part.map_err(wrong(self.path))? < count {
            return Err(BundleError::NotOne);
        }
        Ok(self.bytes[at..].to_vec())
    }

    fn number(&mut self) -> Result<u32, BundleError> {
        let bytes = self.part(4)?.try_into().expect("four bytes were asked for");
        Ok(u32::from_le_bytes(bytes))
    }

    fn sized(&mut self, max: usize) -> Result<Vec<u8>, BundleError> {
        let len = self.number()? as usize;
        if len > max {
            return Err(BundleError::Damaged { what: "its beginning is too long" });
        }
        self.part(len)
    }
}

fn front_of(head: &Head, certificate: &CertificateDer<'_>) -> Vec<u8> {
    let text = head.write();
    let length = |len: usize| (len as u32).to_le_bytes();
    [
        MAGIC.as_slice(),
        &VERSION.to_le_bytes(),
        &length(text.len()),
        &text,
        &length(certificate.len()),
        certificate,
    ]
    .concat()
}

/// The key of one bundle: from the community's key, and bound to its maker and this file.
fn key_of(key: &CommunityKey, head: &Head) -> Key {
    let mut bytes = Zeroizing::new([0; 32]);
    let maker = head.maker.to_string();
    Hkdf::<Sha256>::new(Some(&head.salt), &key.secret)
        .expand_multi_info(&[SEALED, b"\0", maker.as_bytes()], bytes.as_mut_slice())
        .expect("32 bytes are one block");
    Key::new(&bytes)
}

/// What is signed of a file.
fn signed(sha: Sha256) -> Vec<u8> {
    [SIGNED, sha.finalize().as_slice()].concat()
}

fn signature_of(tail: &[u8]) -> Option<&[u8]> {
    let (len, rest) = tail.split_first().filter(|_| tail.len() == TAIL_BYTES)?;
    let (signature, fill) = rest.split_at_checked(usize::from(*len))?;
    fill.iter().all(|byte| *byte == 0).then_some(signature)
}

fn pour(from: &mut impl Read, progress: Progress<'_>) -> io::Result<()> {
    let mut window = vec![0; 1 << 20];
    loop {
        match from.read(&mut window)? {
            0 => return Ok(()),
            read => progress(read as u64),
        }
    }
}

fn wrong(path: &Path) -> impl Fn(io::Error) -> BundleError + use<> {
    let path = path.to_owned();
    move |source| BundleError::File { path: path.clone(), source }
}

/// Sums what goes through.
struct Summed<T> {
    inner: T,
    sha: Sha256,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.sha.update(&into[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
