//! Making statements: letting machines in, shutting them out, and printing recovery sheets.
//!
//! Each statement follows the heads its signer knows and is taken into its own list at once. It
//! refuses to sign for a machine that is not on the list.

use std::collections::{BTreeMap, BTreeSet};

use super::statement::{Act, BadStatement, KeyMark, Member, Statement, mark, wrap_key};
use super::{Members, Taken};
use crate::id::{MachineId, PeerName, StatementHash};
use crate::limits::STATEMENT_PARENTS_MAX;
use crate::seal::ring::{CommunityKey, KeyRing};
use crate::seal::{DeviceKey, MemberKeys, wrap};

/// Why a statement cannot be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// This machine is not on the list. Have a listed one admit it.
    #[error("this machine is not on the community's list")]
    NotMember,
    /// The list or the statement is full.
    #[error("the member list takes no more")]
    Full,
}

impl From<BadStatement> for NotSigned {
    fn from(_: BadStatement) -> Self {
        Self::Full
    }
}

impl Members {
    /// Lets a desk in, `without` these keys, which cannot be handed to it.
    pub fn admit(
        &mut self,
        key: &DeviceKey,
        member: Member,
        without: BTreeSet<KeyMark>,
        at_millis: u64,
    ) -> Result<Statement, NotSigned> {
        let by = self.admission(&key.keys()).ok_or(NotSigned::NotMember)?;
        let without = without.into_iter().collect();
        self.state(key, by, Act::Admit { member, without }, at_millis)
    }

    /// Lets a desk in by the recovery sheets, `without` keys that were not given to them.
    pub fn admit_by_sheets(
        &mut self,
        sheets: &DeviceKey,
        member: Member,
        without: BTreeSet<KeyMark>,
        at_millis: u64,
    ) -> Result<Statement, NotSigned> {
        let (by, _) = self.recovery(&sheets.keys()).ok_or(NotSigned::NotMember)?;
        let without = without.into_iter().collect();
        self.state(sheets, by, Act::Admit { member, without }, at_millis)
    }

    /// Shuts machines out, and begins an epoch with a key of `secret` for who stays. Without
    /// `targets` only the epoch begins. `secret` and `seed` are random, never used before.
    pub fn remove(
        &mut self,
        key: &DeviceKey,
        targets: BTreeSet<StatementHash>,
        secret: [u8; 32],
        seed: &[u8; 32],
        at_millis: u64,
    ) -> Result<(Statement, CommunityKey), NotSigned> {
        let by = self.admission(&key.keys()).ok_or(NotSigned::NotMember)?;
        let last = self.marks().map(|(_, mark)| mark.epoch).max().unwrap_or(0);
        let next = CommunityKey { epoch: last.checked_add(1).ok_or(NotSigned::Full)?, secret };
        let mut wraps = BTreeMap::new();
        for at in self.admissions().filter(|at| self.is_live(*at)) {
            let statement = &self.list[at].statement;
            if targets.contains(&statement.hash) {
                continue;
            }
            let keys = statement.admitted().expect("an admission names keys");
            if let Some(wrapped) = wrap_key(&self.community, &next, statement.hash, keys, seed) {
                wraps.insert(statement.hash, wrapped);
            }
        }
        let (targets, wraps) = (targets.into_iter().collect(), wraps.into_iter().collect());
        let act = Act::Remove { targets, mark: mark(&self.community, &next), wraps };
        Ok((self.state(key, by, act, at_millis)?, next))
    }

    /// States that recovery sheets were printed, and wraps the ring to them. `name` is this
    /// machine's. Those printed before sign no more; keys of later epochs are not theirs either.
    pub fn print_recovery(
        &mut self,
        key: &DeviceKey,
        sheets: MemberKeys,
        (ring, name): (&KeyRing, &PeerName),
        seed: [u8; 32],
        at_millis: u64,
    ) -> Result<Statement, NotSigned> {
        let by = self.admission(&key.keys()).ok_or(NotSigned::NotMember)?;
        let without = self.lacks(ring).all().into_iter().collect();
        let ring = wrap(ring, sheets.sealing, &recovery_name(name), seed);
        let ring = ring.map_err(|_| NotSigned::Full)?;
        self.state(key, by, Act::Recovery { keys: sheets, ring, without }, at_millis)
    }

    fn state(
        &mut self,
        key: &DeviceKey,
        by: StatementHash,
        act: Act,
        at_millis: u64,
    ) -> Result<Statement, NotSigned> {
        let mut parents = self.heads();
        parents.truncate(STATEMENT_PARENTS_MAX);
        if !parents.contains(&by) && !self.follows(&parents, by) {
            return Err(NotSigned::Full);
        }
        let statement = Statement::sign(&self.community, key, by, parents, at_millis, act)?;
        match self.take(statement.clone()) {
            Taken::New => Ok(statement),
            Taken::Known | Taken::Waits | Taken::Refused => Err(NotSigned::Full),
        }
    }

    fn follows(&self, heads: &[StatementHash], before: StatementHash) -> bool {
        let before = self.places[&before];
        heads.iter().any(|head| self.list[self.places[head]].past.holds(before))
    }
}

/// The name a ring is wrapped under for the recovery sheets of a machine's community.
pub fn recovery_name(name: &PeerName) -> PeerName {
    let machine = MachineId::parse("recovery-sheets-of-the-community").expect("a name of 32 bytes");
    PeerName { machine, ..name.clone() }
}
