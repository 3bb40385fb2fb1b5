//! The list as a desk keeps it: all it has believed, so that nothing it once knew can be taken
//! from it.
//!
//! It refuses to be read with a single bit wrong.

use sha2::{Digest as _, Sha256};

use super::{Members, Statement, Taken};
use crate::id::CommunityId;
use crate::limits::STATEMENT_BYTES_MAX;

const VERSION: u8 = 1;
/// The first bytes of SHA-256 over everything before.
const CHECK_BYTES: usize = 8;

/// A list on disk that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the member list is damaged or of an unknown version; restore it from a copy")]
pub struct DamagedList;

impl Members {
    /// `version u8`, then each statement behind its length as u32, then a check.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for statement in self.statements() {
            out.extend_from_slice(&(statement.bytes().len() as u32).to_le_bytes());
            out.extend_from_slice(statement.bytes());
        }
        let check = Sha256::digest(&out);
        out.extend_from_slice(&check[..CHECK_BYTES]);
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(community: &CommunityId, bytes: &[u8]) -> Result<Self, DamagedList> {
        let at = bytes.len().checked_sub(CHECK_BYTES).ok_or(DamagedList)?;
        let (body, check) = bytes.split_at(at);
        let (version, mut rest) = body.split_first().ok_or(DamagedList)?;
        if *version != VERSION || Sha256::digest(body)[..CHECK_BYTES] != *check {
            return Err(DamagedList);
        }
        let mut list: Option<Self> = None;
        while let Some((len, after)) = rest.split_first_chunk() {
            let len = (u32::from_le_bytes(*len) as usize).min(STATEMENT_BYTES_MAX + 1);
            let (one, after) = after.split_at_checked(len).ok_or(DamagedList)?;
            let statement = Statement::parse(one).map_err(|_| DamagedList)?;
            rest = after;
            match &mut list {
                None => list = Some(Self::new(community, statement).ok_or(DamagedList)?),
                Some(list) => {
                    if list.try_take(statement) != Taken::New {
                        return Err(DamagedList);
                    }
                }
            }
        }
        let mut list = list.filter(|_| rest.is_empty()).ok_or(DamagedList)?;
        list.count();
        Ok(list)
    }
}
