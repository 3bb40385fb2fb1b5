//! A stream of bytes sealed under a passphrase or another key, in chunks.
//!
//! Each chunk is XChaCha20-Poly1305 with the head of the file as associated data; its nonce is the
//! stream's own 19 random bytes, the chunk's number and whether it is the last (the STREAM
//! construction), so that no chunk can be moved, left out or cut off. It refuses to hand out a byte
//! that was not authenticated.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use zeroize::Zeroizing;

use crate::limits::{
    BACKUP_CHUNK_BYTES, PASSPHRASE_KIB, PASSPHRASE_KIB_MAX, PASSPHRASE_PASSES,
    PASSPHRASE_PASSES_MAX,
};

/// What a person types or keeps in a file; gone from memory with its owner.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// How a stream is sealed, as its head states it; nothing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) salt: [u8; 16],
    pub(super) kib: u32,
    pub(super) passes: u32,
    pub(super) nonce: [u8; NONCE_BYTES],
}

/// Bytes of a stream's own nonce, drawn anew for each.
pub(crate) const NONCE_BYTES: usize = 19;
const TAG_BYTES: usize = 16;
/// Bytes of a lock in a head.
pub(super) const LOCK_BYTES: usize = 16 + 4 + 4 + NONCE_BYTES;

impl Lock {
    /// A new lock of the usual cost.
    pub(super) fn draw() -> Result<Self, getrandom::Error> {
        let (mut salt, mut nonce) = ([0; 16], [0; NONCE_BYTES]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut nonce)?;
        Ok(Self { salt, kib: PASSPHRASE_KIB, passes: PASSPHRASE_PASSES, nonce })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.kib.to_le_bytes(), self.passes.to_le_bytes()].concat();
        [&self.salt[..], &numbers, &self.nonce].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let salt = bytes.get(..16)?.try_into().ok()?;
        let nonce = bytes.get(24..LOCK_BYTES)?.try_into().ok()?;
        Some(Self { salt, kib: number(16)?, passes: number(20)?, nonce })
    }

    /// The key of a passphrase; `None` where the cost is out of bounds.
    pub(super) fn key(&self, passphrase: &Passphrase) -> Option<Key> {
        if self.kib > PASSPHRASE_KIB_MAX || self.passes > PASSPHRASE_PASSES_MAX {
            return None;
        }
        let params = Params::new(self.kib, self.passes, 1, Some(32)).ok()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon.hash_password_into(&passphrase.0, &self.salt, key.as_mut_slice()).ok()?;
        Some(Key(XChaCha20Poly1305::new((&*key).into())))
    }
}

/// A key derived from a passphrase, or from what a community shares.
pub(crate) struct Key(XChaCha20Poly1305);

impl Key {
    /// A key for one stream only.
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(bytes.into()))
    }
}

/// One side of a sealed stream.
struct Stream {
    key: Key,
    head: Vec<u8>,
    nonce: [u8; NONCE_BYTES],
    chunk: u32,
}

impl Stream {
    fn nonce(&mut self, last: bool) -> io::Result<[u8; 24]> {
        let mut nonce = [0; 24];
        nonce[..NONCE_BYTES].copy_from_slice(&self.nonce);
        nonce[NONCE_BYTES..23].copy_from_slice(&self.chunk.to_be_bytes());
        nonce[23] = u8::from(last);
        let next = self.chunk.checked_add(1);
        self.chunk = next.ok_or_else(|| io::Error::other("a sealed stream has at most 256 TiB"))?;
        Ok(nonce)
    }
}

/// Seals what is written to it.
pub(crate) struct Sealing<W> {
    out: W,
    stream: Stream,
    waiting: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    pub(crate) fn new(out: W, key: Key, nonce: [u8; NONCE_BYTES], head: Vec<u8>) -> Self {
        let stream = Stream { key, head, nonce, chunk: 0 };
        Self { out, stream, waiting: Vec::with_capacity(BACKUP_CHUNK_BYTES + TAG_BYTES) }
    }

    /// Writes the last chunk.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.stream.nonce(last)?;
        let chunk = InOutBuf::from(self.waiting.as_mut_slice());
        let tag = self.stream.key.0.encrypt_inout_detached(&nonce.into(), &self.stream.head, chunk);
        let tag = tag.map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.out.write_all(&self.waiting)?;
        self.out.write_all(&tag)?;
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until something follows: only then is it known not to be the last.
        if self.waiting.len() == BACKUP_CHUNK_BYTES {
            self.seal(false)?;
        }
        let taken = bytes.len().min(BACKUP_CHUNK_BYTES - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens a sealed stream as it is read.
pub(crate) struct Opening<R> {
    from: R,
    stream: Stream,
    /// Sealed bytes ahead: one byte more than a chunk shows that another follows.
    ahead: Vec<u8>,
    open: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Opening<R> {
    /// Opens the first chunk, which a wrong key cannot: that is `InvalidData`.
    pub(crate) fn new(
        from: R,
        key: Key,
        nonce: [u8; NONCE_BYTES],
        head: Vec<u8>,
    ) -> io::Result<Self> {
        let stream = Stream { key, head, nonce, chunk: 0 };
        let mut opening =
            Self { from, stream, ahead: Vec::new(), open: Vec::new(), given: 0, ended: false };
        opening.next()?;
        Ok(opening)
    }

    fn next(&mut self) -> io::Result<()> {
        const SEALED: usize = BACKUP_CHUNK_BYTES + TAG_BYTES;
        let wanted = (SEALED + 1 - self.ahead.len()) as u64;
        (&mut self.from).take(wanted).read_to_end(&mut self.ahead)?;
        self.ended = self.ahead.len() <= SEALED;
        let rest = self.ahead.split_off(self.ahead.len().min(SEALED));
        let mut chunk = std::mem::replace(&mut self.ahead, rest);
        let short = || io::Error::new(io::ErrorKind::InvalidData, "a chunk is cut short");
        let body = chunk.len().checked_sub(TAG_BYTES).ok_or_else(short)?;
        let tag: [u8; TAG_BYTES] = chunk[body..].try_into().expect("the tag is what is left");
        chunk.truncate(body);
        let nonce = self.stream.nonce(self.ended)?;
        let opened = self.stream.key.0.decrypt_inout_detached(
            &nonce.into(),
            &self.stream.head,
            InOutBuf::from(chunk.as_mut_slice()),
            &tag.into(),
        );
        opened.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a chunk does not open"))?;
        (self.open, self.given) = (chunk, 0);
        Ok(())
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.open.len() {
            if self.ended {
                return Ok(0);
            }
            self.next()?;
        }
        let given = into.len().min(self.open.len() - self.given);
        into[..given].copy_from_slice(&self.open[self.given..self.given + given]);
        self.given += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Lock = Lock { salt: [1; 16], kib: 8, passes: 1, nonce: [2; NONCE_BYTES] };

    fn key(passphrase: &str) -> Key {
        CHEAP.key(&Passphrase::new(passphrase.into())).expect("within bounds")
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealing = Sealing::new(Vec::new(), key("right"), CHEAP.nonce, b"head".to_vec());
        sealing.write_all(plain).unwrap();
        sealing.finish().unwrap()
    }

    fn opened(sealed: &[u8], passphrase: &str, head: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opening::new(sealed, key(passphrase), CHEAP.nonce, head.to_vec())?
            .read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_was_sealed_opens_at_every_length_around_a_chunk() {
        for len in [0, 1, BACKUP_CHUNK_BYTES - 1, BACKUP_CHUNK_BYTES, 2 * BACKUP_CHUNK_BYTES + 1] {
            let plain: Vec<u8> = (0..len).map(|at| at as u8).collect();
            assert_eq!(opened(&sealed(&plain), "right", b"head").unwrap(), plain, "{len}");
        }
    }

    #[test]
    fn a_wrong_passphrase_another_head_and_a_chunk_moved_or_missing_open_nothing() {
        let plain = vec![7; 2 * BACKUP_CHUNK_BYTES + 5];
        let good = sealed(&plain);
        assert!(opened(&good, "wrong", b"head").is_err());
        assert!(opened(&good, "right", b"hood").is_err());
        let chunk = BACKUP_CHUNK_BYTES + TAG_BYTES;
        // Cut behind a whole chunk: nothing but the last one's mark shows it.
        assert!(opened(&good[..2 * chunk], "right", b"head").is_err());
        assert!(opened(&good[..good.len() - 1], "right", b"head").is_err());
        let moved = [&good[chunk..2 * chunk], &good[..chunk], &good[2 * chunk..]].concat();
        assert!(opened(&moved, "right", b"head").is_err());
        assert!(opened(&[&good[..], b"x"].concat(), "right", b"head").is_err());
    }

    #[test]
    fn a_head_that_asks_for_too_much_is_not_obeyed() {
        let passphrase = Passphrase::new(b"right".to_vec());
        assert!(Lock { kib: PASSPHRASE_KIB_MAX + 1, ..CHEAP }.key(&passphrase).is_none());
        assert!(Lock { passes: PASSPHRASE_PASSES_MAX + 1, ..CHEAP }.key(&passphrase).is_none());
        assert_eq!(Lock::decode(&CHEAP.encode()), Some(CHEAP));
    }
}
