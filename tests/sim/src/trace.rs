//! The trace of a run: one line for every event and effect, hashed as a whole, the last ones kept
//! for people.
//!
//! Two runs of one seed must give the same hash. It refuses to hold content of entries: changes
//! are named by their hashes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};

use linli_replica::frame::Frame;
use sha2::{Digest as _, Sha256};

/// Lines kept for people.
const LINES_KEPT: usize = 30;

/// The trace of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: Sha256,
    tail: VecDeque<String>,
    line: String,
    happened: BTreeMap<&'static str, u64>,
}

impl Trace {
    /// Notes one line.
    pub(crate) fn say(&mut self, now_ms: u64, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a string does not fail.
        let _ = write!(self.line, "{now_ms:>7} {what}");
        self.hash.update(self.line.as_bytes());
        self.hash.update(b"\n");
        if self.tail.len() == LINES_KEPT {
            let mut reused = self.tail.pop_front().unwrap_or_default();
            reused.clone_from(&self.line);
            self.tail.push_back(reused);
        } else {
            self.tail.push_back(self.line.clone());
        }
    }

    /// Counts one thing that happened.
    pub(crate) fn count(&mut self, what: &'static str) {
        self.count_by(what, 1);
    }

    /// Counts so many.
    pub(crate) fn count_by(&mut self, what: &'static str, many: u64) {
        *self.happened.entry(what).or_default() += many;
    }

    /// The hash of all lines, the last lines, and what happened how often.
    pub(crate) fn finish(self) -> ([u8; 32], Vec<String>, BTreeMap<&'static str, u64>) {
        (self.hash.finalize().into(), self.tail.into(), self.happened)
    }
}

/// A frame in few words.
pub(crate) struct Told<'a>(pub(crate) &'a Frame);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Frame::Hello(hello) => {
                write!(f, "hello")?;
                for state in &hello.spaces {
                    write!(f, " [{} {} head {}", state.space, state.held, state.head)?;
                    match state.cursor {
                        Some(cursor) => write!(f, " cursor {}:{:x}]", cursor.seq, cursor.chain)?,
                        None => write!(f, " no cursor]")?,
                    }
                }
                Ok(())
            }
            Frame::Batch(batch) => {
                write!(f, "batch {} of {} held {}", batch.number, batch.space, batch.held)?;
                if let Some(cursor) = batch.to {
                    write!(f, " to {}", cursor.seq)?;
                }
                if batch.last {
                    write!(f, " last")?;
                }
                for item in &batch.items {
                    write!(f, " {}", short(&item.hash.0))?;
                }
                Ok(())
            }
            Frame::Ack(ack) => {
                write!(f, "ack {} of {} held {}", ack.number, ack.space, ack.held)?;
                for refused in &ack.refused {
                    write!(f, " refused {} {}", short(&refused.hash.0), refused.reason)?;
                }
                for again in &ack.again {
                    write!(f, " again {}", short(&again.0))?;
                }
                Ok(())
            }
            Frame::Ranges(ranges) => {
                write!(f, "ranges of {} at {:02x?}", ranges.space, ranges.prefix)?;
                for (byte, digest) in &ranges.children {
                    write!(f, " {byte:02x}={digest}")?;
                }
                Ok(())
            }
            Frame::Hashes(hashes) => {
                write!(f, "hashes of {} at {:02x?}", hashes.space, hashes.prefix)?;
                write!(f, " {}{}", hashes.hashes.len(), if hashes.answer { " answer" } else { "" })
            }
            Frame::Authors(grants) => write!(f, "authors {}", grants.len()),
            Frame::Unknown => write!(f, "unknown"),
        }
    }
}

/// The first four bytes in hex.
pub(crate) fn short(hash: &[u8; 32]) -> String {
    hash.iter().take(4).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
