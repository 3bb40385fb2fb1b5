//! The definitions in force: the program's own packs, and those the hub has published on the
//! street's board, the highest version of each.
//!
//! A version that this program cannot read, or that would open what is sealed, is not taken and
//! said so; work goes on under the one before it. When definitions change, every entry is measured again, a
//! slice at a time, and no figure is given until that is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use linli_domain::id::{CommunityId, EntryId, Role, Space};
use linli_domain::limits::TEXT_BYTES_MAX;
use linli_domain::pack::{PackError, PackHash, Registry, pack_name};
use linli_domain::value::Value;
use linli_store::disk::Disk;
use linli_store::views::{Views, ViewsError};

use super::Site;
use crate::ask::{Answer, PAGE_MAX, PackFile, PackView, Trouble};
use crate::books::BooksTrouble;
use crate::edit::Puts;
use crate::limits::MEASURED_AT_ONCE_MAX;

/// The kind of the entries that hold packs.
pub(super) const KIND: &str = "pack";
const NAME: &str = "name";
const VERSION: &str = "version";
const TEXT: &str = "text";
const WITHDRAWN: &str = "withdrawn";

/// The row that says under which definitions the kept figures were measured; absent while they are
/// measured again.
const DEFINITIONS: &[u8] = b"d";
/// Faults of a pack told at once.
const FAULTS_TOLD_MAX: usize = 20;

/// The packs in force, and what has to follow from a change of them.
#[derive(Debug)]
pub(super) struct Definitions {
    /// The program's own.
    own: Arc<Registry>,
    /// What the hub has published and not withdrawn.
    published: Packs,
    /// An entry of the board that holds a pack has changed.
    pub(super) changed: bool,
    again: Option<Again>,
}

/// Published packs by name and version.
type Packs = BTreeMap<(String, i64), Published>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    text: String,
    /// Why it is not in force here.
    trouble: Option<String>,
}

/// Entries still to be measured again.
#[derive(Debug)]
struct Again {
    ledgers: VecDeque<(CommunityId, String)>,
    after: Option<EntryId>,
    entries: u64,
}

impl Definitions {
    pub(super) fn new(own: Arc<Registry>) -> Self {
        Self { own, published: BTreeMap::new(), changed: false, again: None }
    }

    /// Whether kept contributions may come from other definitions than those in force.
    pub(super) fn measuring(&self) -> bool {
        self.again.is_some()
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Puts the packs on the board in force, and begins to measure again if the kept figures come
    /// from other definitions.
    pub(super) fn load_packs(&mut self) {
        self.definitions.changed = false;
        let published = self.published_packs().unwrap_or_else(|error| {
            self.books.trouble(BooksTrouble::View(error.to_string()));
            Packs::new()
        });
        let (registry, published) = in_force(&self.definitions.own, &self.registry, published);
        for (place @ (name, version), pack) in &published {
            let known = self.definitions.published.get(place);
            if let Some(trouble) = pack.trouble.as_ref().filter(|_| known != Some(pack)) {
                let what = format!("{name}, version {version}: {trouble}");
                self.books.trouble(BooksTrouble::Pack(what));
            }
        }
        self.definitions.published = published;
        if registry.hash() != self.registry.hash() {
            self.registry = Arc::new(registry);
        }
        let measured_under = self.books.row(DEFINITIONS);
        if measured_under.as_deref() != Some(&self.registry.hash().0)
            || self.definitions.measuring()
        {
            self.begin_again();
        }
    }

    fn begin_again(&mut self) {
        self.books.write(vec![(DEFINITIONS.to_vec(), None)]);
        while self.write_rows(PAGE_MAX) {}
        let spaces: Vec<Space> = self.books.heads().map(|(space, _)| space.clone()).collect();
        let mut ledgers = VecDeque::new();
        for space in spaces {
            let Space::Open(community) = &space else { continue };
            match self.books.kinds_in(&space) {
                Ok(kinds) => ledgers.extend(kinds.into_iter().map(|k| (community.clone(), k))),
                Err(error) => self.books.trouble(BooksTrouble::View(error.to_string())),
            }
        }
        self.definitions.again = Some(Again { ledgers, after: None, entries: 0 });
    }

    /// Measures up to `max` entries under new definitions; false if none are left.
    pub(super) fn measure_again(&mut self, max: usize) -> bool {
        let Some(again) = &mut self.definitions.again else { return false };
        let Some((community, kind)) = again.ledgers.front().cloned() else {
            self.definitions.again = None;
            let hash: PackHash = self.registry.hash();
            self.books.write(vec![(DEFINITIONS.to_vec(), Some(hash.0.to_vec()))]);
            return false;
        };
        let after = again.after.take();
        let space = Space::Open(community.clone());
        let ids = self.books.entry_ids(&space, &kind, after.as_ref(), max);
        let ids = ids.unwrap_or_else(|error| {
            self.books.trouble(BooksTrouble::View(error.to_string()));
            Vec::new()
        });
        for id in &ids {
            self.measure_entry(&community, id, &BTreeSet::new());
        }
        self.books.trim(&space);
        if let Some(again) = &mut self.definitions.again {
            again.entries += ids.len() as u64;
            if ids.len() < max {
                again.ledgers.pop_front();
            } else {
                again.after = ids.last().cloned();
            }
        }
        true
    }

    /// Entries measured under new definitions so far; 0 where none are.
    fn measured_again(&self) -> u64 {
        self.definitions.again.as_ref().map_or(0, |again| again.entries)
    }

    /// Brings figures up to date before they are told. What takes longer than a moment goes on in
    /// the background, and whoever asked is told to wait.
    pub(super) fn finish_measuring(&mut self) -> Result<(), Trouble> {
        while self.measure_touched(PAGE_MAX) {}
        let began = self.measured_again();
        let mut done = began;
        // Ledgers are short or long: entries count, not slices.
        while done - began < MEASURED_AT_ONCE_MAX as u64 {
            if !self.measure_again(PAGE_MAX) {
                return Ok(());
            }
            done = self.measured_again().max(done);
        }
        Err(Trouble {
            code: "measuring".to_owned(),
            zh: format!("指标定义刚更新，正在重新统计（已 {done} 条），请稍等片刻再查。"),
            en: format!(
                "Definitions have changed and figures are being measured again ({done} entries so far). Ask again in a moment."
            ),
        })
    }

    /// Checks packs and puts them on the street's board, all or none.
    pub(super) fn publish(&mut self, files: &[PackFile]) -> Result<Answer, Trouble> {
        let board = self.board()?;
        let mut named: BTreeMap<String, &PackFile> = BTreeMap::new();
        for file in files {
            let name = pack_name(&file.text).ok_or_else(|| no_name(&file.file))?;
            if file.text.len() > TEXT_BYTES_MAX {
                return Err(too_long(&file.file));
            }
            named.insert(name, file);
        }
        let kept = chosen(&self.definitions.published);
        let kept = kept.into_iter().filter(|(name, _)| !named.contains_key(*name));
        let kept = kept.map(|(name, (_, text))| (name, text));
        let given = named.values().map(|file| (file.file.as_str(), file.text.as_str()));
        let all: Vec<(&str, &str)> = kept.chain(given).collect();
        let then = self.definitions.own.with_packs(&all).map_err(|errors| faulty(&errors))?;
        if let Some(what) = opened(&self.definitions.own, &self.registry, &then).values().next() {
            return Err(opens(what));
        }
        if let Some(what) = self.registry.retyped_by(&then).first() {
            return Err(retypes(what));
        }
        let mut writes: Vec<(EntryId, Puts)> = Vec::new();
        for (name, file) in &named {
            let version = then.pack(name).map_or(0, |pack| pack.version);
            let id = id_of(name, version).ok_or_else(|| no_name(&file.file))?;
            let doc = &self.books.half(&board, &id).doc;
            let known = doc.get(TEXT).and_then(Value::as_text);
            let newest = self.registry.pack(name).is_none_or(|now| now.version < version);
            if known.is_some_and(|known| known != file.text) || (known.is_none() && !newest) {
                return Err(too_old(&file.file, name, version));
            }
            let puts = vec![
                (NAME.to_owned(), Some(Value::from(name.as_str()))),
                (VERSION.to_owned(), Some(Value::Int(version))),
                (TEXT.to_owned(), Some(Value::from(file.text.as_str()))),
                (WITHDRAWN.to_owned(), None),
            ];
            writes.push((id, puts));
        }
        for (id, puts) in writes {
            self.write_in(&board, &id, puts, false).map_err(|error| error.trouble())?;
        }
        self.load_packs();
        let packs = self.packs().into_iter().filter(|pack| named.contains_key(&pack.pack));
        Ok(Answer::Packs { packs: packs.collect() })
    }

    /// Takes the newest version of a published pack back: the one before it is in force again, or
    /// the program's own, or none.
    pub(super) fn withdraw(&mut self, name: &str) -> Result<Answer, Trouble> {
        let board = self.board()?;
        let newest = self.definitions.published.keys().rev().find(|(pack, _)| pack == name);
        let Some((_, version)) = newest else {
            return Err(Trouble {
                code: "no-such-pack".to_owned(),
                zh: format!("没有发布过机制包“{name}”。用 packs 查看全部。"),
                en: format!("No pack `{name}` was published. `packs` lists them all."),
            });
        };
        let id = id_of(name, *version).ok_or_else(|| no_name(name))?;
        let puts = vec![(WITHDRAWN.to_owned(), Some(Value::from(true)))];
        self.write_in(&board, &id, puts, false).map_err(|error| error.trouble())?;
        self.load_packs();
        Ok(Answer::Packs { packs: self.packs() })
    }

    /// Every pack: those in force, and published ones that are not.
    pub(super) fn packs(&self) -> Vec<PackView> {
        let chosen = chosen(&self.definitions.published);
        let mut views: BTreeMap<String, PackView> = BTreeMap::new();
        for pack in self.registry.packs() {
            let given = chosen.get(pack.name.as_str());
            let view = PackView {
                pack: pack.name.clone(),
                version: pack.version,
                zh: pack.label.zh.clone(),
                en: pack.label.en.clone(),
                hash: pack.hash.to_string(),
                published: given.is_some(),
                trouble: None,
                text: given.map(|(_, text)| (*text).to_owned()),
            };
            views.insert(pack.name.clone(), view);
        }
        for ((name, version), pack) in &self.definitions.published {
            let Some(why) = &pack.trouble else { continue };
            let view = views.entry(name.clone()).or_insert_with(|| PackView {
                pack: name.clone(),
                version: *version,
                zh: String::new(),
                en: String::new(),
                hash: String::new(),
                published: true,
                trouble: None,
                text: None,
            });
            view.trouble = Some(not_taken(*version, why));
        }
        views.into_values().collect()
    }

    fn published_packs(&mut self) -> Result<Packs, ViewsError> {
        let mut packs = Packs::new();
        let Some(street) = self.books.me().street.clone() else { return Ok(packs) };
        let board = Space::Board(street);
        while self.write_rows(PAGE_MAX) {}
        let mut after = None;
        loop {
            let ids = self.books.entry_ids(&board, KIND, after.as_ref(), PAGE_MAX)?;
            for id in &ids {
                let doc = &self.books.half(&board, id).doc;
                let text = doc.get(TEXT).and_then(Value::as_text);
                let name = doc.get(NAME).and_then(Value::as_text);
                let (Some(Value::Int(version)), Some(text), Some(name)) =
                    (doc.get(VERSION), text, name)
                else {
                    continue;
                };
                if doc.get(WITHDRAWN).is_none() {
                    let pack = Published { text: text.to_owned(), trouble: None };
                    packs.insert((name.to_owned(), *version), pack);
                }
            }
            after = ids.last().cloned();
            if ids.len() < PAGE_MAX {
                return Ok(packs);
            }
        }
    }

    fn board(&self) -> Result<Space, Trouble> {
        let me = self.books.me();
        let street = me.street.clone().filter(|_| me.role() == Role::StreetHub);
        street.map(Space::Board).ok_or_else(|| Trouble {
            code: "not-here".to_owned(),
            zh: "机制包由街道平台发布。".to_owned(),
            en: "Packs are published by the street's hub.".to_owned(),
        })
    }
}

/// The highest version of each pack that can be taken, with its text.
fn chosen(published: &Packs) -> BTreeMap<&str, (i64, &str)> {
    let sound = published.iter().filter(|(_, pack)| pack.trouble.is_none());
    // Versions of a pack come in ascending order, so the last one stays.
    sound.map(|((name, version), pack)| (name.as_str(), (*version, pack.text.as_str()))).collect()
}

fn id_of(name: &str, version: i64) -> Option<EntryId> {
    EntryId::new(KIND, &format!("{name}-{version}")).ok()
}

/// Which definitions come into force: of what was published, the newest that is not older than the
/// program's own, fits together with the others, and opens nothing that is sealed.
fn in_force(own: &Registry, now: &Registry, mut published: Packs) -> (Registry, Packs) {
    for ((name, version), pack) in &mut published {
        if own.pack(name).is_some_and(|own| own.version > *version) {
            pack.trouble = Some("the program's own pack is newer".to_owned());
        }
    }
    loop {
        let taken: Vec<(String, i64, String)> = chosen(&published)
            .into_iter()
            .map(|(name, (version, text))| (name.to_owned(), version, text.to_owned()))
            .collect();
        if taken.is_empty() {
            return (own.clone(), published);
        }
        let files: Vec<(&str, &str)> =
            taken.iter().map(|(name, _, text)| (name.as_str(), text.as_str())).collect();
        let faults = match own.with_packs(&files) {
            Ok(registry) => {
                let faults = opened(own, now, &registry);
                if faults.is_empty() {
                    return (registry, published);
                }
                faults
            }
            Err(errors) => {
                let first = errors.into_iter().rev();
                first.map(|error| (error.file.clone(), error.to_string())).collect()
            }
        };
        // A fault that shows in a pack of the program says nothing of which one brought it.
        let all = !taken.iter().any(|(name, ..)| faults.contains_key(name));
        for (name, version, _) in taken {
            let why = faults.get(&name).map(String::as_str);
            let why = why.or_else(|| all.then_some("it does not fit this program's packs"));
            if let (Some(why), Some(pack)) = (why, published.get_mut(&(name, version))) {
                pack.trouble = Some(why.to_owned());
            }
        }
    }
}

/// What definitions would open, by the pack at fault.
fn opened(own: &Registry, now: &Registry, then: &Registry) -> BTreeMap<String, String> {
    let all = own.loosened_by(then).into_iter().chain(now.loosened_by(then));
    all.filter_map(|one| Some((then.kind(&one.kind)?.pack.clone(), one.to_string()))).collect()
}

fn faulty(errors: &[PackError]) -> Trouble {
    let told: Vec<String> =
        errors.iter().take(FAULTS_TOLD_MAX).map(|error| format!("  {error}")).collect();
    let told = told.join("\n");
    let count = errors.len();
    Trouble {
        code: "pack".to_owned(),
        zh: format!("机制包有 {count} 处错误，没有发布。请改正后再试：\n{told}"),
        en: format!(
            "The packs have {count} faults; nothing was published. Mend and try again:\n{told}"
        ),
    }
}

fn opens(what: &str) -> Trouble {
    Trouble {
        code: "pack-opens".to_owned(),
        zh: format!("机制包会公开已加密的内容，没有发布：{what}。请保持原来的级别，或另用新字段。"),
        en: format!(
            "The pack would open what is sealed, so nothing was published: {what}. Keep its class, or use a new field."
        ),
    }
}

fn retypes(what: &str) -> Trouble {
    Trouble {
        code: "pack-retypes".to_owned(),
        zh: format!("机制包改变了已有字段的类型，没有发布：{what}。请另用新字段名。"),
        en: format!(
            "The pack changes the type of a field, so nothing was published: {what}. Use a new field."
        ),
    }
}

fn no_name(file: &str) -> Trouble {
    Trouble {
        code: "pack".to_owned(),
        zh: format!("{file} 没有写明包名。请在开头写 pack = \"名字\"。"),
        en: format!("{file} does not give its name. Begin it with pack = \"name\"."),
    }
}

fn too_long(file: &str) -> Trouble {
    Trouble {
        code: "pack".to_owned(),
        zh: format!("{file} 超过 {TEXT_BYTES_MAX} 字节。请分成几个包。"),
        en: format!("{file} is longer than {TEXT_BYTES_MAX} bytes. Split it into several packs."),
    }
}

fn too_old(file: &str, name: &str, version: i64) -> Trouble {
    Trouble {
        code: "pack-version".to_owned(),
        zh: format!(
            "{file}：机制包“{name}”已有第 {version} 版或更新的版本。请把 version 加大再发布。"
        ),
        en: format!(
            "{file}: `{name}` has another version {version} already, or a newer one. Raise its version and publish again."
        ),
    }
}

fn not_taken(version: i64, why: &str) -> Trouble {
    Trouble {
        code: "pack-not-taken".to_owned(),
        zh: format!("发布的第 {version} 版没有采用：{why}"),
        en: format!("version {version} was published and is not in force: {why}"),
    }
}
