//! One half of an entry as a machine holds it: the document, and for sealed halves the envelopes
//! it came in.
//!
//! A hub holds envelopes only. A desk that waits for the community's key holds envelopes it
//! cannot open yet, and opens them in journal order once the key is there.

use linli_domain::doc::{Doc, RowError};
use linli_domain::id::ChangeHash;

/// One half of an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Half {
    /// What this machine can read of it.
    pub doc: Doc,
    /// Hashes of the envelopes taken, in journal order; of an open half, those of the changes in
    /// `unread`.
    pub seals: Vec<ChangeHash>,
    /// Places in the journal of envelopes not opened yet, ascending; of an open half, of changes
    /// whose cause a salvage has lost, until a peer sends it again.
    pub unread: Vec<u64>,
    /// What the entry added to the figures when it was last measured, as
    /// [`Contributions::to_bytes`](linli_domain::figure::Contributions::to_bytes) writes it; empty if
    /// nothing. In the half's own row it is of the same checkpoint, and no row more.
    pub counted: Box<[u8]>,
}

const VERSION: u8 = 2;
/// Before the hashes: version and counts.
const HEAD_BYTES: usize = 13;

impl Half {
    /// Whether a record, change or envelope, is in it.
    pub fn holds(&self, hash: &ChangeHash) -> bool {
        self.seals.contains(hash) || self.doc.holds(hash)
    }

    /// Drops all that was read of it; what was taken stays noted, and waits for nothing.
    pub fn forget(&mut self) {
        self.doc = Doc::new();
        self.unread = Vec::new();
    }

    /// Whether nothing of it was read, and nothing waits to be.
    pub fn is_forgotten(&self) -> bool {
        self.doc.hashes().next().is_none() && self.unread.is_empty()
    }

    /// The row a view keeps: version, three counts as u32, hashes, places, what was counted, then the
    /// document's row.
    pub fn to_row(&self) -> Vec<u8> {
        let doc = self.doc.to_row();
        let before = self.seals.len() * 32 + self.unread.len() * 8 + self.counted.len();
        // Rows wait in memory by the thousand: not a byte more than they need.
        let mut out = Vec::with_capacity(HEAD_BYTES + before + doc.len());
        out.push(VERSION);
        out.extend_from_slice(&(self.seals.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.unread.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.counted.len() as u32).to_le_bytes());
        for hash in &self.seals {
            out.extend_from_slice(&hash.0);
        }
        for place in &self.unread {
            out.extend_from_slice(&place.to_le_bytes());
        }
        out.extend_from_slice(&self.counted);
        out.extend_from_slice(&doc);
        out
    }

    /// Reads a row.
    pub fn from_row(row: &[u8]) -> Result<Self, RowError> {
        let (&[version], rest) = row.split_first_chunk().ok_or(RowError::Damaged)?;
        if version != VERSION {
            return Err(RowError::Version(version));
        }
        let (seals, rest) = rest.split_first_chunk().ok_or(RowError::Damaged)?;
        let (unread, rest) = rest.split_first_chunk().ok_or(RowError::Damaged)?;
        let (counted, rest) = rest.split_first_chunk().ok_or(RowError::Damaged)?;
        let seals_bytes = u32::from_le_bytes(*seals) as usize * 32;
        let unread_bytes = u32::from_le_bytes(*unread) as usize * 8;
        let (seals, rest) = rest.split_at_checked(seals_bytes).ok_or(RowError::Damaged)?;
        let (unread, rest) = rest.split_at_checked(unread_bytes).ok_or(RowError::Damaged)?;
        let counted_bytes = u32::from_le_bytes(*counted) as usize;
        let (counted, rest) = rest.split_at_checked(counted_bytes).ok_or(RowError::Damaged)?;
        Ok(Self {
            doc: Doc::from_row(rest)?,
            seals: seals.as_chunks::<32>().0.iter().map(|hash| ChangeHash(*hash)).collect(),
            unread: unread.as_chunks().0.iter().map(|at| u64::from_le_bytes(*at)).collect(),
            counted: counted.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_the_half_back_and_a_cut_row_does_not() {
        let half = Half {
            doc: Doc::new(),
            seals: vec![ChangeHash([1; 32]), ChangeHash([2; 32])],
            unread: vec![7, 9],
            counted: [3; 40].into(),
        };
        let row = half.to_row();
        assert_eq!(Half::from_row(&row), Ok(half));
        for cut in 0..row.len() {
            assert!(Half::from_row(&row[..cut]).is_err(), "cut at {cut}");
        }
    }
}
