//! The member list on this machine: statements that come as entries, keys that come with them.
//!
//! A desk follows one list, which it keeps in a file of its own: the one it began or was let in
//! by, or, on a desk from before there were lists, the one begun with its own ring. Nothing an
//! entry holds is believed for standing there. Removals bring the next key; where a machine that
//! is gone was given the key that seals, this machine begins the next epoch itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use linli_domain::id::{EntryId, Role, Space, StatementHash};
use linli_domain::seal::{
    Act, CommunityKey, DeviceKey, KeyMark, KeyRing, Members, Statement, Taken, founding_statement,
    mark, open_key, wrap_key,
};
use linli_domain::value::Value;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::ListView;

const KIND: &str = "member";
const STATEMENT: &str = "statement";
const HANDED: &str = "handed_key";
const WRAPPED: &str = "wrapped";

/// What a machine knows of its community's list when it is opened.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The list it kept.
    pub list: Option<Members>,
    /// It founded its community: it begins a list if there is none.
    pub founding: bool,
}

/// The list, and what is odd about what came in.
#[derive(Debug, Default)]
pub(super) struct Roll {
    pub(super) list: Option<Members>,
    founding: bool,
    /// The list is another than the one in the file.
    unkept: bool,
    /// It may be another than when it was last asked who is shut out.
    news: bool,
    /// Entries that claim to be statements and are not believed.
    doubted: BTreeSet<EntryId>,
    /// A ring lies in our entry that does not fit our key or any list that lets us in.
    pub(super) ring_refused: bool,
}

impl From<Standing> for Roll {
    fn from(standing: Standing) -> Self {
        let Standing { list, founding } = standing;
        Self { list, founding, news: true, ..Self::default() }
    }
}

impl Roll {
    /// Whether the list may have changed since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    fn changed(&mut self) {
        (self.unkept, self.news) = (true, true);
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Reads all that came before this start, writes again what of the list was lost or altered
    /// on the way, and begins a list where that is this machine's to do.
    pub(super) fn begin_members(&mut self) {
        if self.device.is_none() || self.books.me().role() != Role::Node {
            return;
        }
        self.books.take_member_news();
        let entries = self.statement_entries();
        self.hear(&entries);
        self.accept_ring();
        self.follow();
        if self.roll.list.is_none() && self.roll.founding {
            self.found_list();
        }
        let kept: Vec<Statement> =
            self.roll.list.iter().flat_map(Members::statements).cloned().collect();
        for statement in kept {
            self.post(&statement);
        }
        self.hand_rings_again();
    }

    /// Takes what came in this turn.
    pub(super) fn follow_members(&mut self) {
        let news = self.books.take_member_news();
        if news.is_empty() || self.device.is_none() {
            return;
        }
        let statements: Vec<EntryId> =
            news.into_iter().filter(|entry| entry.kind() == KIND).collect();
        self.hear(&statements);
        self.accept_ring();
        self.follow();
    }

    /// The list as it is to be kept, if it is another than last time.
    pub fn take_list(&mut self) -> Option<Vec<u8>> {
        let list = self.roll.list.as_ref().filter(|_| self.roll.unkept)?;
        self.roll.unkept = false;
        Some(list.to_bytes())
    }

    /// The list for a status.
    pub(super) fn list_view(&self) -> Option<ListView> {
        let own = self.device.as_ref()?.keys();
        let list = self.roll.list.as_ref();
        let listed = list.is_some_and(|list| list.admission(&own).is_some());
        let lacks = list.filter(|_| listed).zip(self.books.ring());
        let lacks = lacks.map(|(list, ring)| list.lacks(&ring)).unwrap_or_default();
        Some(ListView {
            begun: list.is_some(),
            listed,
            removed: !listed && list.is_some_and(|list| list.was_member(&own)),
            doubted: self.roll.doubted.len() as u64,
            waiting: list.map_or(0, |list| list.waiting() as u64),
            ring_refused: self.roll.ring_refused,
            lacking: lacks.awaited.len() as u64,
            withheld: lacks.withheld.len() as u64,
            recovery_printed: list
                .and_then(Members::recovery_printed)
                .map(|(at, _)| self.local(at)[..10].to_owned()),
        })
    }

    /// Every entry that claims to be a statement.
    pub(super) fn statement_entries(&mut self) -> Vec<EntryId> {
        let Some(community) = self.books.me().community.clone() else { return Vec::new() };
        self.all_of(&community, KIND)
    }

    /// What an entry states, if it is what its id says.
    pub(super) fn statement(&mut self, entry: &EntryId) -> Option<Statement> {
        let space = self.open_space()?;
        let text = self.books.half(&space, entry).doc.get(STATEMENT)?.as_text()?.to_owned();
        let statement = Statement::parse(&BASE64.decode(text.as_bytes()).ok()?).ok()?;
        (statement_entry(&statement.hash) == *entry).then_some(statement)
    }

    /// Takes statements into the list; a desk that has a ring and no list looks for one.
    fn hear(&mut self, entries: &[EntryId]) {
        if entries.is_empty() {
            return;
        }
        if self.roll.list.is_none()
            && let Some(ring) = self.books.ring()
        {
            let lists = self.lists();
            self.roll.list = lists.into_iter().find(|list| list.fits(&ring));
            if self.roll.list.is_some() {
                self.roll.changed();
            }
            self.codes.forget_ring();
        }
        for entry in entries {
            let statement = self.statement(entry);
            let Some(list) = &mut self.roll.list else { continue };
            let taken = statement.map(|statement| list.take(statement));
            if taken == Some(Taken::New) {
                self.roll.changed();
            }
            if matches!(taken, None | Some(Taken::Refused)) {
                self.roll.doubted.insert(entry.clone());
            } else {
                self.roll.doubted.remove(entry);
            }
        }
    }

    /// Every list that some entry begins, by its root, with all that belongs to it.
    pub(super) fn lists(&mut self) -> Vec<Members> {
        let Some(community) = self.books.me().community.clone() else { return Vec::new() };
        let entries = self.statement_entries();
        let all: Vec<Statement> = entries.iter().filter_map(|at| self.statement(at)).collect();
        let begins = all.iter().filter(|one| matches!(one.act, Act::Found { .. }));
        let mut lists: Vec<Members> =
            begins.filter_map(|root| Members::new(&community, root.clone())).collect();
        lists.sort_by_key(Members::root);
        for list in &mut lists {
            for statement in &all {
                list.take(statement.clone());
            }
        }
        lists
    }

    /// Whether the community has a list, as far as entries say.
    pub(super) fn list_is_spoken_of(&mut self) -> bool {
        self.roll.list.is_some() || !self.statement_entries().is_empty()
    }

    fn found_list(&mut self) {
        let (Some(ring), Some(device)) = (self.books.ring(), self.device.clone()) else { return };
        let me = self.books.me().clone();
        let Some(community) = &me.community else { return };
        let now = self.books.now_millis();
        let root = founding_statement(community, &me.machine, &device, &ring, now);
        // A ring of so many epochs that they do not fit one statement has seen a list already.
        self.roll.list = root.ok().and_then(|root| Members::new(community, root));
        self.roll.changed();
    }

    /// Takes over a list that lets this machine in.
    pub(super) fn pin(&mut self, list: Members) {
        self.roll.list = Some(list);
        self.roll.changed();
        self.roll.ring_refused = false;
        self.codes.forget_ring();
    }

    /// Writes a statement of the list where others find it; nothing if it stands there.
    pub(super) fn post(&mut self, statement: &Statement) {
        self.roll.changed();
        let Some(space) = self.open_space() else { return };
        let entry = statement_entry(&statement.hash);
        let text = Value::from(BASE64.encode(statement.bytes()));
        if self.books.half(&space, &entry).doc.get(STATEMENT) != Some(&text) {
            // It fits: statements are bounded well below a text.
            let _written =
                self.write_in(&space, &entry, vec![(STATEMENT.to_owned(), Some(text))], false);
        }
        self.roll.doubted.remove(&entry);
    }

    /// After news: takes keys that are ours, begins an epoch where one is due, and hands keys to
    /// who came in while an epoch began.
    pub(super) fn follow(&mut self) {
        let (Some(device), Some(ring)) = (self.device.clone(), self.books.ring()) else { return };
        let Some(list) = self.roll.list.take() else { return };
        let own = list.admissions_of(&device.keys());
        let found = own.iter().flat_map(|to| self.find_keys(&list, &ring, *to, &device));
        let found = found.collect();
        self.roll.list = Some(list);
        self.take_keys(found);
        if !own.is_empty() {
            self.rotate(&device);
        }
        self.hand_keys(&device);
    }

    /// Opens the keys that the ring lacks and that were wrapped for an admission.
    pub(super) fn find_keys(
        &mut self,
        list: &Members,
        ring: &KeyRing,
        to: StatementHash,
        with: &DeviceKey,
    ) -> Vec<CommunityKey> {
        let (Some(community), Some(space)) = (self.books.me().community.clone(), self.open_space())
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (marked, wrapped) in list.lacking(ring, to) {
            let opened = wrapped.and_then(|text| open_key(&community, text, to, with, marked));
            let handed = || {
                list.rows().into_iter().find_map(|helper| {
                    let entry = handed_entry(to, marked, helper.admission);
                    let text = self.books.half(&space, &entry).doc.get(WRAPPED)?.as_text()?;
                    let wrapped = BASE64.decode(text.as_bytes()).ok()?;
                    open_key(&community, &wrapped, to, with, marked)
                })
            };
            found.extend(opened.or_else(handed));
        }
        found
    }

    /// Adds keys to the ring, and opens what waited for them.
    pub(super) fn take_keys(&mut self, keys: Vec<CommunityKey>) {
        let Some(ring) = self.books.ring() else { return };
        let mut ring = (*ring).clone();
        let taken = keys.into_iter().filter(|key| ring.add(key.clone())).count();
        if taken > 0 {
            self.take_over(ring);
        }
    }

    /// Uses a ring from now on.
    pub(super) fn take_over(&mut self, ring: KeyRing) {
        self.new_ring = Some(ring.clone());
        self.books.set_ring(Arc::new(ring));
        self.codes.forget_ring();
        self.unlock();
    }

    /// Begins an epoch if somebody who is gone was given the key that seals.
    fn rotate(&mut self, device: &DeviceKey) {
        let Some(ring) = self.books.ring() else { return };
        if self.roll.list.as_ref().is_none_or(|list| !list.must_rotate(&ring)) {
            return;
        }
        let (secret, seed, now) = (self.draw(), self.draw(), self.books.now_millis());
        let Some(list) = &mut self.roll.list else { return };
        // A list that takes no more stays as it is; its desks are told when they remove a machine.
        if let Ok((statement, key)) = list.remove(device, BTreeSet::new(), secret, &seed, now) {
            self.post(&statement);
            self.take_keys(vec![key]);
        }
    }

    /// Wraps keys for members that came in beside the removal which began them. A machine that was
    /// removed does so too: nobody who stays may have the key that it or another one began.
    fn hand_keys(&mut self, device: &DeviceKey) {
        let (Some(ring), Some(space)) = (self.books.ring(), self.open_space()) else { return };
        let Some(community) = self.books.me().community.clone() else { return };
        let Some(list) = &self.roll.list else { return };
        let Some(by) = list.first_admission(&device.keys()) else { return };
        let (own, needs) = (list.admissions_of(&device.keys()), list.in_need());
        for (to, keys, marked) in needs.into_iter().filter(|(to, ..)| !own.contains(to)) {
            let Some(key) = ring.keys().find(|key| mark(&community, key) == marked) else {
                continue;
            };
            let entry = handed_entry(to, marked, by);
            if self.books.half(&space, &entry).doc.get(WRAPPED).is_some() {
                continue;
            }
            let seed = self.draw();
            if let Some(wrapped) = wrap_key(&community, key, to, &keys, &seed) {
                let text = Value::from(BASE64.encode(&wrapped));
                // It fits: some hundred bytes in an entry of its own.
                let _written =
                    self.write_in(&space, &entry, vec![(WRAPPED.to_owned(), Some(text))], false);
            }
        }
    }

    /// 32 random bytes.
    pub(super) fn draw(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        (self.entropy)(&mut bytes);
        bytes
    }

    pub(super) fn open_space(&self) -> Option<Space> {
        self.books.me().community.clone().map(Space::Open)
    }
}

/// A statement's entry: `member/<hash in base32>`.
fn statement_entry(hash: &StatementHash) -> EntryId {
    let id = BASE32_NOPAD.encode(&hash.0).to_ascii_lowercase();
    EntryId::new(KIND, &id).expect("52 letters and digits are an id")
}

/// The entry of a key that `helper` wraps for `to`; the beginnings of hashes tell them apart.
fn handed_entry(to: StatementHash, marked: KeyMark, helper: StatementHash) -> EntryId {
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let (to, key, by) = (hex(&to.0[..12]), hex(&marked.commitment.0[..8]), hex(&helper.0[..6]));
    EntryId::new(HANDED, &format!("{to}.{key}.{by}")).expect("54 letters, digits and dots")
}
