//! The member list of a community: who may have its keys, as signed statements that each name
//! what their signer knew.
//!
//! Desks work apart, so the statements are no line but a graph, and what they come to is the same
//! on every desk whatever came first. It begins at a root that each desk pins, and goes on only
//! by the hand of who is a member in a statement's own past. It refuses to believe a hub: one
//! that relays the statements can add none, change none and put up no other beginning; what it
//! holds back shows as soon as a later statement arrives.
//!
//! A removal always counts, also one by a desk that was itself removed elsewhere meanwhile: were
//! two who shut each other out to be ranked, a stolen machine could win. Whatever else a removed
//! desk states counts only in the past of its removal. A thief can so put machines out, never in;
//! a later admission, or the recovery sheets, which nobody can remove, bring them back.
//!
//! A removal is about a machine: it ends every admission of its keys that does not follow it,
//! also one its signer had not heard of. Only an admission by who knew that the signer is out
//! stands beside it, or a thief could put out again, as if it had heard nothing, whoever comes
//! back.

mod file;
mod keys;
mod make;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use file::DamagedList;
pub use keys::Lacks;
pub use make::{NotSigned, recovery_name};
pub use statement::{
    Act, BadStatement, KeyMark, Member, Statement, founding_statement, mark, open_key, wrap_key,
};

use super::device::MemberKeys;
use super::ring::KeyRing;
use crate::id::{CommunityId, MachineId, StatementHash};
use crate::limits::{STATEMENTS_MAX, STATEMENTS_WAITING_MAX};

/// What a desk believes of its community's machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    community: CommunityId,
    /// Believed statements, each behind those it follows.
    list: Vec<Node>,
    places: BTreeMap<StatementHash, usize>,
    /// Statements that follow one that has not come.
    waiting: BTreeMap<StatementHash, Statement>,
    /// For each place: whether the statement counts, given all the others.
    counts: Vec<bool>,
    /// Removals by the place of the admission they end.
    removals: BTreeMap<usize, Vec<usize>>,
}

/// A believed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    statement: Statement,
    /// One more than the deepest statement it follows.
    depth: u32,
    past: Past,
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is believed now, with whatever waited for it.
    New,
    /// It was there.
    Known,
    /// It follows one that has not come.
    Waits,
    /// It is not believed: signed by nobody who may, or against the rules.
    Refused,
}

/// One machine of the list, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The statement that let it in.
    pub admission: StatementHash,
    /// Name and keys.
    pub member: Member,
    /// When it was let in, in milliseconds since 1970, by the clock of who did.
    pub since_millis: u64,
    /// Who let it in; `None` is a recovery sheet. The founding desk let itself in.
    pub by: Option<MachineId>,
    /// When it was removed, and by whom. An admission that does not count since its signer had
    /// been removed meanwhile goes with that removal.
    pub removed: Option<(u64, Option<MachineId>)>,
}

impl Members {
    /// A list that begins with a founding statement; `None` if it is none.
    pub fn new(community: &CommunityId, root: Statement) -> Option<Self> {
        let Act::Found { member, .. } = &root.act else { return None };
        let sound = root.parents.is_empty() && root.by == StatementHash::default();
        if !sound || !root.is_signed_by(community, &member.keys.signing) {
            return None;
        }
        let places = BTreeMap::from([(root.hash, 0)]);
        let list = vec![Node { statement: root, depth: 0, past: Past::default() }];
        Some(Self {
            community: community.clone(),
            list,
            places,
            waiting: BTreeMap::new(),
            counts: vec![true],
            removals: BTreeMap::new(),
        })
    }

    /// The hash of the first statement.
    pub fn root(&self) -> StatementHash {
        self.list[0].statement.hash
    }

    /// Whether the list was begun by a holder of this ring, and names every key in it.
    pub fn fits(&self, ring: &KeyRing) -> bool {
        let marks: BTreeSet<KeyMark> = self.marks().map(|(_, mark)| mark).collect();
        self.list[0].statement.is_proven_by(&self.community, ring)
            && ring.keys().all(|key| marks.contains(&mark(&self.community, key)))
    }

    /// Takes a statement, in any order.
    pub fn take(&mut self, statement: Statement) -> Taken {
        if self.places.contains_key(&statement.hash) {
            return Taken::Known;
        }
        let taken = self.try_take(statement);
        if taken == Taken::New {
            self.take_waiting();
            self.count();
        }
        taken
    }

    fn take_waiting(&mut self) {
        loop {
            let ready = self.waiting.values().find(|statement| self.follows_known(statement));
            let Some(hash) = ready.map(|statement| statement.hash) else { return };
            if let Some(statement) = self.waiting.remove(&hash) {
                self.try_take(statement);
            }
        }
    }

    fn follows_known(&self, statement: &Statement) -> bool {
        statement.parents.iter().all(|parent| self.places.contains_key(parent))
    }

    fn try_take(&mut self, statement: Statement) -> Taken {
        if !self.follows_known(&statement) {
            if self.waiting.len() >= STATEMENTS_WAITING_MAX {
                return Taken::Refused;
            }
            self.waiting.insert(statement.hash, statement);
            return Taken::Waits;
        }
        let Some((past, depth)) = self.judge(&statement) else { return Taken::Refused };
        let at = self.list.len();
        self.places.insert(statement.hash, at);
        self.list.push(Node { statement, depth, past });
        self.note_removals(at);
        Taken::New
    }

    /// Takes note of what the newest statement ends, or of what ends it. Looks at nothing but the
    /// pasts of the two, so it is the same whichever came first.
    fn note_removals(&mut self, at: usize) {
        let before = 0..at;
        let ended: Vec<(usize, usize)> = match &self.list[at].statement.act {
            Act::Remove { .. } => before.map(|admission| (admission, at)).collect(),
            Act::Admit { .. } => before.map(|removal| (at, removal)).collect(),
            Act::Found { .. } | Act::Recovery { .. } => Vec::new(),
        };
        for (admission, removal) in ended {
            if self.ends(removal, admission) {
                self.removals.entry(admission).or_default().push(removal);
            }
        }
    }

    /// Whether the statement at `removal` removes the machine let in at `admission`, and that
    /// admission does not follow it; of two side by side, unless who let in knew that the signer
    /// is out.
    fn ends(&self, removal: usize, admission: usize) -> bool {
        let (removed, admitted) = (&self.list[removal], &self.list[admission]);
        let Act::Remove { targets, .. } = &removed.statement.act else { return false };
        let Some(member) = admitted.statement.member() else { return false };
        let targeted = |target: &StatementHash| {
            self.list[self.places[target]].statement.admitted() == Some(&member.keys)
        };
        !admitted.past.holds(removal)
            && targets.iter().any(targeted)
            && (removed.past.holds(admission)
                || self.may_sign(self.places[&removed.statement.by], &admitted.past))
    }

    /// Whether nothing in a past removes who signs under the admission at `by`, or who let it in
    /// before that was done, and so on up to the root.
    fn may_sign(&self, by: usize, past: &Past) -> bool {
        let (mut at, mut signed) = (by, None);
        loop {
            let cuts = |removal: &usize| {
                past.holds(*removal)
                    && signed.is_none_or(|signed| !self.list[*removal].past.holds(signed))
            };
            if self.removed_by(at).iter().any(cuts) {
                return false;
            }
            if at == 0 {
                return true;
            }
            signed = Some(at);
            at = self.places[&self.list[at].statement.by];
        }
    }

    /// The past of a statement that may stand in the list. Looks at nothing but that past, so the
    /// verdict is the same on every desk and for good.
    fn judge(&self, statement: &Statement) -> Option<(Past, u32)> {
        if statement.parents.is_empty() || self.list.len() >= STATEMENTS_MAX {
            return None;
        }
        let mut past = Past::default();
        let mut depth = 0;
        for parent in &statement.parents {
            let at = self.places[parent];
            past.join(&self.list[at].past);
            past.insert(at);
            depth = depth.max(self.list[at].depth + 1);
        }
        let by = *self.places.get(&statement.by).filter(|at| past.holds(**at))?;
        let signer = &self.list[by].statement;
        let may = match (&signer.act, &statement.act) {
            (_, Act::Found { .. }) | (Act::Remove { .. }, _) => false,
            (Act::Recovery { .. }, act) => {
                matches!(act, Act::Admit { .. })
                    && !self.is_retired(by, &past)
                    && self.may_sign(by, &past)
            }
            (Act::Found { .. } | Act::Admit { .. }, _) => self.may_sign(by, &past),
        };
        let key = signer.admitted()?.signing;
        let sound = may && self.acts_on_its_past(&statement.act, &past);
        (sound && statement.is_signed_by(&self.community, &key)).then_some((past, depth))
    }

    /// Whether everything an act names lies in its past, and its epoch is the next one there.
    fn acts_on_its_past(&self, act: &Act, past: &Past) -> bool {
        let marks = || self.marks().filter(|(at, _)| past.holds(*at)).map(|(_, mark)| mark);
        let (targets, mark, wraps) = match act {
            Act::Remove { targets, mark, wraps } => (targets, mark, wraps),
            Act::Admit { without, .. } | Act::Recovery { without, .. } => {
                let named: BTreeSet<KeyMark> = marks().collect();
                return without.iter().all(|mark| named.contains(mark));
            }
            Act::Found { .. } => return true,
        };
        let admission = |hash: &StatementHash| {
            let at = self.places.get(hash).filter(|at| past.holds(**at))?;
            self.list[*at].statement.admitted().map(|_| *at)
        };
        let removable = |hash: &StatementHash| {
            admission(hash).is_some_and(|at| self.list[at].statement.member().is_some())
        };
        let last = marks().map(|mark| mark.epoch).max().unwrap_or(0);
        targets.iter().all(removable)
            && wraps.iter().all(|(to, _)| admission(to).is_some())
            && last.checked_add(1) == Some(mark.epoch)
            && marks().all(|known| known.commitment != mark.commitment)
    }

    /// Whether a later sheet than that of place `at` was printed in a past.
    fn is_retired(&self, at: usize, past: &Past) -> bool {
        let mut recoveries = self.recoveries_in_list();
        recoveries.any(|later| past.holds(later) && self.list[later].past.holds(at))
    }

    fn recoveries_in_list(&self) -> impl Iterator<Item = usize> + '_ {
        let is = |at: &usize| matches!(self.list[*at].statement.act, Act::Recovery { .. });
        (0..self.list.len()).filter(is)
    }

    fn removed_by(&self, at: usize) -> &[usize] {
        self.removals.get(&at).map_or(&[], Vec::as_slice)
    }

    /// Which statements count, given all of them. Sheets are taken in an order that does not
    /// depend on arrival, so that two printed apart from one older sheet do not void each other.
    fn count(&mut self) {
        let mut sheets: Vec<usize> = self.recoveries_in_list().collect();
        sheets.sort_by_key(|at| (self.list[*at].depth, self.list[*at].statement.hash));
        let mut counted: Vec<usize> = Vec::new();
        for sheet in sheets {
            if self.counting(&counted)[sheet] {
                counted.push(sheet);
            }
        }
        self.counts = self.counting(&counted);
    }

    fn counting(&self, sheets: &[usize]) -> Vec<bool> {
        let mut counts = vec![true; self.list.len()];
        for at in 1..self.list.len() {
            let statement = &self.list[at].statement;
            let by = self.places[&statement.by];
            // An admission stands before what is signed under it.
            counts[at] = matches!(statement.act, Act::Remove { .. })
                || counts[by]
                    && self.removed_by(by).iter().all(|removal| self.list[*removal].past.holds(at))
                    && sheets
                        .iter()
                        .map(|sheet| &self.list[*sheet].past)
                        .all(|past| !past.holds(by) || !self.is_sheet(by) || past.holds(at));
        }
        counts
    }

    fn is_sheet(&self, at: usize) -> bool {
        matches!(self.list[at].statement.act, Act::Recovery { .. })
    }

    /// Whether an admission is in force: it counts and nobody removed it; of sheets, none later.
    fn is_live(&self, at: usize) -> bool {
        self.counts[at]
            && self.removed_by(at).is_empty()
            && !self.recoveries_in_list().any(|later| {
                self.is_sheet(at) && self.counts[later] && self.list[later].past.holds(at)
            })
    }

    /// The places of admissions, sheets included.
    fn admissions(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.list.len()).filter(|at| self.list[*at].statement.admitted().is_some())
    }

    /// The admission in force for these keys; of several the one with the least hash.
    pub fn admission(&self, keys: &MemberKeys) -> Option<StatementHash> {
        self.admissions_of(keys).into_iter().next()
    }

    /// Every admission in force for these keys, ascending: two desks that let a machine in apart
    /// from each other make two, and keys are wrapped for either.
    pub fn admissions_of(&self, keys: &MemberKeys) -> BTreeSet<StatementHash> {
        let own = |at: &usize| {
            self.is_live(*at) && self.list[*at].statement.member().is_some_and(|m| m.keys == *keys)
        };
        self.admissions().filter(own).map(|at| self.list[at].statement.hash).collect()
    }

    /// The admission that these keys were given first as far as this list goes, in force or not.
    pub fn first_admission(&self, keys: &MemberKeys) -> Option<StatementHash> {
        let own = |node: &&Node| node.statement.member().is_some_and(|m| m.keys == *keys);
        self.list.iter().find(own).map(|node| node.statement.hash)
    }

    /// Whether these keys were ever let in.
    pub fn was_member(&self, keys: &MemberKeys) -> bool {
        self.first_admission(keys).is_some()
    }

    /// The printing in force whose sheets hold these keys, with the ring wrapped to them.
    pub fn recovery(&self, keys: &MemberKeys) -> Option<(StatementHash, &[u8])> {
        self.admissions().filter(|at| self.is_live(*at)).find_map(|at| {
            match &self.list[at].statement.act {
                Act::Recovery { keys: own, ring, .. } if own == keys => {
                    Some((self.list[at].statement.hash, ring.as_slice()))
                }
                _ => None,
            }
        })
    }

    /// Whether sheets with these keys were ever printed.
    pub fn had_recovery(&self, keys: &MemberKeys) -> bool {
        let is = |at: usize| self.list[at].statement.admitted() == Some(keys);
        self.recoveries_in_list().any(is)
    }

    /// When the recovery sheets in force were printed, in milliseconds since 1970, and by whom.
    pub fn recovery_printed(&self) -> Option<(u64, Option<MachineId>)> {
        let sheets = self.recoveries_in_list().filter(|at| self.is_live(*at));
        let printed = sheets.map(|at| &self.list[at].statement);
        let last = printed.max_by_key(|statement| (statement.at_millis, statement.hash))?;
        Some((last.at_millis, self.name_of(last.by)))
    }

    /// Every machine that was ever let in, by name, then by admission.
    pub fn rows(&self) -> Vec<MemberRow> {
        let mut rows: Vec<MemberRow> = Vec::new();
        for (at, node) in self.list.iter().enumerate() {
            let Some(member) = node.statement.member() else { continue };
            let by = if at == 0 { node.statement.hash } else { node.statement.by };
            rows.push(MemberRow {
                admission: node.statement.hash,
                member: member.clone(),
                since_millis: node.statement.at_millis,
                by: self.name_of(by),
                removed: self.removal_of(at),
            });
        }
        rows.sort_by(|a, b| (&a.member, a.admission).cmp(&(&b.member, b.admission)));
        rows
    }

    /// The removal that ended an admission, or that of who made it.
    fn removal_of(&self, at: usize) -> Option<(u64, Option<MachineId>)> {
        let mut at = at;
        loop {
            let removals = self.removed_by(at).iter().map(|place| &self.list[*place].statement);
            if let Some(first) = removals.min_by_key(|removal| (removal.at_millis, removal.hash)) {
                return Some((first.at_millis, self.name_of(first.by)));
            }
            if self.counts[at] || at == 0 {
                return None;
            }
            let by = self.places[&self.list[at].statement.by];
            if self.is_sheet(by) {
                return Some((self.list[by].statement.at_millis, None));
            }
            at = by;
        }
    }

    fn name_of(&self, admission: StatementHash) -> Option<MachineId> {
        let at = self.places.get(&admission)?;
        self.list[*at].statement.member().map(|member| member.name.clone())
    }

    /// Statements nobody followed yet, ascending.
    pub fn heads(&self) -> Vec<StatementHash> {
        let followed: BTreeSet<&StatementHash> =
            self.list.iter().flat_map(|node| &node.statement.parents).collect();
        self.places.keys().filter(|hash| !followed.contains(hash)).copied().collect()
    }

    /// Whether a statement is believed.
    pub fn holds(&self, hash: &StatementHash) -> bool {
        self.places.contains_key(hash)
    }

    /// Every believed statement, each behind those it follows.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.list.iter().map(|node| &node.statement)
    }

    /// Statements that follow one that has not come.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// A set of places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Past(Vec<u64>);

impl Past {
    fn insert(&mut self, at: usize) {
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, 0);
        }
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn holds(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
}
