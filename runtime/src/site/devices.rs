//! The machines of a community and its key: a desk asks by its `device` entry; a listed desk puts
//! it on the member list and hands the ring over, wrapped to that desk's own key, after two
//! persons compared a code.
//!
//! The hub relays the entries and can neither read the ring nor make a list or a ring that passes
//! the comparison. A community whose founding desk has not begun a list yet goes on without one.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use linli_domain::doc::entry_of;
use linli_domain::id::{CommunityId, EntryId, MachineId, PeerName};
use linli_domain::seal::{
    DeviceKey, DevicePublicKey, KeyRing, Member, MemberKeys, MemberRow, Members, NotSigned,
    community_code, device_code, member_code, recovery_name, ring_code, unwrap, wrap,
};
use linli_domain::value::Value;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::{Answer, DeviceView, Trouble};
use crate::edit::EditError;

const KIND: &str = "device";
const PUBLIC_KEY: &str = "public_key";
const SIGNING_KEY: &str = "signing_key";
pub(super) const WRAPPED_KEY: &str = "wrapped_key";
const APPROVED_BY: &str = "approved_by";

/// Codes take milliseconds to make; they are made once.
#[derive(Debug, Default)]
pub(super) struct Codes {
    device: BTreeMap<(Keys, String), String>,
    ring: Option<String>,
}

impl Codes {
    /// The ring or the list is another now.
    pub(super) fn forget_ring(&mut self) {
        self.ring = None;
    }
}

/// The keys of a `device` entry; a desk of an earlier release has none to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Keys {
    Sealing(DevicePublicKey),
    Both(MemberKeys),
}

impl Keys {
    fn sealing(self) -> DevicePublicKey {
        match self {
            Self::Sealing(key) => key,
            Self::Both(keys) => keys.sealing,
        }
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// A node writes its own `device` entry, so that others can hand it the ring.
    pub(super) fn publish_device(&mut self) {
        let (Some(device), Some(space)) = (&self.device, self.open_space()) else { return };
        let keys = device.keys();
        let Some(entry) = device_entry(self.books.me()) else { return };
        let name = self.books.me().machine.to_string();
        let mut puts = vec![
            ("name".to_owned(), Some(Value::from(name.as_str()))),
            (PUBLIC_KEY.to_owned(), Some(Value::from(BASE64.encode(&keys.sealing.0)))),
            (SIGNING_KEY.to_owned(), Some(Value::from(BASE64.encode(&keys.signing.0)))),
        ];
        let approved = self.books.half(&space, &entry).doc.get(APPROVED_BY).is_some();
        if self.books.ring().is_some() && !approved {
            // The founding desk has the ring because it made it.
            puts.push((APPROVED_BY.to_owned(), Some(Value::from(name))));
        }
        // It fits: a few short texts in an entry only this machine writes.
        let _written = self.write_in(&space, &entry, puts, false);
    }

    /// The community's machines: those on the list, and those that wait.
    pub(super) fn devices(&mut self) -> Vec<DeviceView> {
        let Some(community) = self.books.me().community.clone() else { return Vec::new() };
        let ids = self.all_of(&community, KIND);
        let mut devices = Vec::new();
        let mut rows = self.roll.list.as_ref().map(Members::rows).unwrap_or_default();
        for id in ids {
            let Some((name, keys, approved_by)) = self.published(&id) else { continue };
            let own = |row: &MemberRow| Keys::Both(row.member.keys) == keys;
            let listed = rows.iter().position(|row| own(row) && row.removed.is_none());
            let listed = listed.or_else(|| rows.iter().position(own));
            let row = listed.map(|at| rows.remove(at));
            // A name on the list with other keys in its entry: a machine set up anew, or a hub
            // that put its own keys there.
            let differs = row.is_none()
                && rows.iter().any(|row| row.member.name == name.machine && row.removed.is_none());
            let code = self.code(keys, &name);
            let approved = match &self.roll.list {
                Some(_) => row.as_ref().is_some_and(|row| row.removed.is_none()),
                None => !approved_by.is_empty(),
            };
            let view = DeviceView {
                machine: id.id().to_owned(),
                approved,
                code,
                differs,
                ..DeviceView::default()
            };
            devices.push(self.with_row(view, row.as_ref()));
        }
        for row in rows {
            let name = PeerName { machine: row.member.name.clone(), ..self.books.me().clone() };
            let view = DeviceView {
                machine: row.member.name.to_string(),
                approved: row.removed.is_none(),
                code: self.code(Keys::Both(row.member.keys), &name),
                ..DeviceView::default()
            };
            devices.push(self.with_row(view, Some(&row)));
        }
        let me = self.books.me().clone();
        for device in &mut devices {
            let name = MachineId::parse(&device.machine);
            let name = name.map(|machine| PeerName { machine, ..me.clone() });
            device.revoked = name.is_ok_and(|name| self.books.revoked().contains_key(&name));
        }
        devices.sort_by(|a, b| (&a.machine, &a.since).cmp(&(&b.machine, &b.since)));
        devices
    }

    /// A machine with what the list says of it.
    fn with_row(&self, view: DeviceView, row: Option<&MemberRow>) -> DeviceView {
        const SHEETS: &str = "recovery-sheets";
        let day = |millis: u64| self.local(millis)[..10].to_owned();
        let name =
            |by: &Option<MachineId>| by.as_ref().map_or(SHEETS.to_owned(), ToString::to_string);
        let Some(row) = row else { return view };
        let removed = row.removed.as_ref();
        DeviceView {
            since: Some(day(row.since_millis)),
            by: Some(name(&row.by)),
            removed: removed.map(|(at, _)| day(*at)),
            removed_by: removed.map(|(_, by)| name(by)),
            ..view
        }
    }

    /// Hands the ring to a machine whose code was compared; gives the community's own code.
    pub(super) fn approve(&mut self, machine: &str, code: &str) -> Result<String, Trouble> {
        let (Some(ring), Some(space)) = (self.books.ring(), self.open_space()) else {
            return Err(EditError::Locked.trouble());
        };
        let unknown = || Trouble {
            code: "no-such-device".to_owned(),
            zh: format!("没有名为“{machine}”的电脑在等待批准。用 devices 查看。"),
            en: format!("No machine `{machine}` waits to be approved. `devices` lists them."),
        };
        let entry = EntryId::new(KIND, machine).map_err(|_| unknown())?;
        let (name, keys, _) = self.published(&entry).ok_or_else(unknown)?;
        if self.code(keys, &name) != code.trim().to_lowercase() {
            return Err(Trouble {
                code: "wrong-code".to_owned(),
                zh: "代码与那台电脑显示的不一致，没有批准。请再核对一遍；若仍不一致，请联系街道平台。".to_owned(),
                en: "The code is not the one that machine shows, so nothing was approved. Compare again; if it still differs, call the street office.".to_owned(),
            });
        }
        self.enlist(&name.machine, keys, &ring)?;
        let seed = self.draw();
        let wrapped = wrap(&ring, keys.sealing(), &name, seed).map_err(|_| unknown())?;
        let by = self.books.me().machine.to_string();
        let puts = vec![
            (WRAPPED_KEY.to_owned(), Some(Value::from(BASE64.encode(&wrapped)))),
            (APPROVED_BY.to_owned(), Some(Value::from(by))),
        ];
        self.write_in(&space, &entry, puts, false).map_err(|error| error.trouble())?;
        Ok(self.ring_code(&ring))
    }

    /// Puts a machine on the list, where there is one.
    fn enlist(&mut self, name: &MachineId, keys: Keys, ring: &KeyRing) -> Result<(), Trouble> {
        let device = self.device.clone().ok_or_else(|| EditError::Locked.trouble())?;
        let now = self.books.now_millis();
        let Some(list) = &mut self.roll.list else { return Ok(()) };
        let Keys::Both(keys) = keys else {
            return Err(Trouble {
                code: "old-release".to_owned(),
                zh: format!("“{name}”上的程序太旧，不能登记。请先把它更新到本机的版本。"),
                en: format!("`{name}` runs a release too old for the list. Update it first."),
            });
        };
        list.admission(&device.keys()).ok_or_else(not_listed)?;
        let lacks = list.lacks(ring);
        if !lacks.awaited.is_empty() {
            return Err(keys_missing());
        }
        if list.admission(&keys).is_some() {
            return Ok(());
        }
        let taken = |row: &MemberRow| row.member.name == *name && row.removed.is_none();
        if list.rows().iter().any(taken) {
            return Err(Trouble {
                code: "name-taken".to_owned(),
                zh: format!(
                    "名单上已有“{name}”，密钥却不同。如果那台电脑已重装或遗失，请先运行 devices remove {name}。"
                ),
                en: format!(
                    "The list has a `{name}` with other keys. If that machine was set up anew or lost, run `devices remove {name}` first."
                ),
            });
        }
        let member = Member { name: name.clone(), keys };
        let statement = list.admit(&device, member, lacks.withheld, now).map_err(not_signed)?;
        self.post(&statement);
        Ok(())
    }

    /// Takes a machine off the list; those that stay go on under a new key.
    pub(super) fn remove_device(&mut self, machine: &str) -> Result<Answer, Trouble> {
        let device = self.device.clone().ok_or_else(super::answers::not_here)?;
        let (secret, seed, now) = (self.draw(), self.draw(), self.books.now_millis());
        let me = self.books.me().machine.to_string();
        let Some(list) = &mut self.roll.list else { return Err(not_listed()) };
        list.admission(&device.keys()).ok_or_else(not_listed)?;
        let rows = list.rows();
        let listed = || rows.iter().filter(|row| row.removed.is_none());
        let targets: BTreeSet<_> = listed()
            .filter(|row| row.member.name.as_str() == machine)
            .map(|row| row.admission)
            .collect();
        if targets.is_empty() {
            return Err(Trouble {
                code: "no-such-device".to_owned(),
                zh: format!("名单上没有“{machine}”。用 devices 查看。"),
                en: format!("There is no `{machine}` on the list. `devices` shows it."),
            });
        }
        if machine == me {
            return Err(Trouble {
                code: "this-machine".to_owned(),
                zh: "不能在本机上移除本机。请在另一台已批准的电脑上操作。".to_owned(),
                en: "A machine does not remove itself. Do it on another approved machine."
                    .to_owned(),
            });
        }
        let left = listed().count() - targets.len();
        let (statement, key) =
            list.remove(&device, targets, secret, &seed, now).map_err(not_signed)?;
        let epoch = key.epoch;
        self.post(&statement);
        self.take_keys(vec![key]);
        self.follow();
        Ok(Answer::Removed { machine: machine.to_owned(), epoch, left: left as u64 })
    }

    /// States that sheets with these public keys were printed, and wraps the ring to them.
    pub(super) fn print_recovery(
        &mut self,
        sealing: &str,
        signing: &str,
    ) -> Result<Answer, Trouble> {
        let device = self.device.clone().ok_or_else(super::answers::not_here)?;
        let ring = self.books.ring().ok_or_else(|| EditError::Locked.trouble())?;
        let (Some(sealing), Some(signing)) = (read_key(sealing), read_key(signing)) else {
            return Err(no_sheets());
        };
        let (seed, now, me) = (self.draw(), self.books.now_millis(), self.books.me().clone());
        let Some(list) = &mut self.roll.list else { return Err(not_listed()) };
        list.admission(&device.keys()).ok_or_else(not_listed)?;
        if !list.lacks(&ring).awaited.is_empty() {
            return Err(keys_missing());
        }
        let keys = MemberKeys { sealing, signing };
        let statement = list.print_recovery(&device, keys, (&ring, &me), seed, now);
        self.post(&statement.map_err(not_signed)?);
        // Sheets printed before could open what is sealed with the present key.
        self.follow();
        Ok(Answer::RecoveryPrinted { day: self.today() })
    }

    /// Lets this machine in by what two recovery sheets hold, and takes the ring from the list.
    pub(super) fn recover(&mut self, seed: &[u8; 32]) -> Result<Answer, Trouble> {
        let device = self.device.clone().ok_or_else(super::answers::not_here)?;
        let sheets = DeviceKey::derive(seed);
        let me = self.books.me().clone();
        if let (Some(_), Some(list)) = (self.books.ring(), &self.roll.list)
            && list.admission(&device.keys()).is_some()
        {
            return Err(Trouble {
                code: "not-needed".to_owned(),
                zh: "本机已在名单上，个人信息可读，不需要恢复单。".to_owned(),
                en: "This machine is on the list and reads personal fields; no sheets are needed."
                    .to_owned(),
            });
        }
        let pinned = self.roll.list.clone();
        let lists = pinned.map_or_else(|| self.lists(), |list| vec![list]);
        let mut retired = false;
        for mut list in lists {
            retired |= list.had_recovery(&sheets.keys());
            let Some((to, wrapped)) = list.recovery(&sheets.keys()) else { continue };
            let Ok(ring) = unwrap(&sheets, wrapped, &recovery_name(&me)) else { continue };
            if !list.fits(&ring) {
                continue;
            }
            let mut ring = ring;
            for key in self.find_keys(&list, &ring, to, &sheets) {
                ring.add(key);
            }
            let member = Member { name: me.machine.clone(), keys: device.keys() };
            let (without, now) = (list.lacks(&ring).all(), self.books.now_millis());
            let statement = list.admit_by_sheets(&sheets, member, without, now);
            let statement = statement.map_err(not_signed)?;
            self.pin(list);
            self.post(&statement);
            self.take_over(ring);
            self.follow();
            return Ok(Answer::Approved { ring_code: self.own_ring_code().unwrap_or_default() });
        }
        Err(if retired { old_sheets() } else { no_sheets() })
    }

    /// This machine's code, while it waits to be approved: without a ring, or not on the list.
    pub(super) fn own_code(&mut self) -> Option<String> {
        let keys = self.device.as_ref()?.keys();
        let me = self.books.me().clone();
        let unlisted = self.roll.list.as_ref().is_some_and(|list| list.admission(&keys).is_none());
        let waits = self.books.ring().is_none() || unlisted;
        waits.then(|| self.code(Keys::Both(keys), &me))
    }

    /// The ring's code, to compare after an approval.
    pub(super) fn own_ring_code(&mut self) -> Option<String> {
        let ring = self.books.ring()?;
        Some(self.ring_code(&ring))
    }

    fn ring_code(&mut self, ring: &KeyRing) -> String {
        if let Some(code) = &self.codes.ring {
            return code.clone();
        }
        let Some(community) = self.books.me().community.clone() else { return String::new() };
        let code = match &self.roll.list {
            Some(list) => community_code(ring, &community, &list.root().0),
            None => ring_code(ring, &community),
        };
        self.codes.ring = Some(code.clone());
        code
    }

    fn code(&mut self, keys: Keys, name: &PeerName) -> String {
        let place = (keys, name.to_string());
        let make = || match &keys {
            Keys::Sealing(key) => device_code(*key, name),
            Keys::Both(keys) => member_code(keys, name),
        };
        self.codes.device.entry(place).or_insert_with(make).clone()
    }

    /// Name and keys a `device` entry shows, and who approved it by its own word.
    fn published(&mut self, entry: &EntryId) -> Option<(PeerName, Keys, String)> {
        let space = self.open_space()?;
        let entry_read = entry_of(entry, Some(&self.books.half(&space, entry).doc), None);
        let sealing = read_key(entry_read.text(PUBLIC_KEY))?;
        let signing = read_key(entry_read.text(SIGNING_KEY));
        let keys = signing
            .map_or(Keys::Sealing(sealing), |signing| Keys::Both(MemberKeys { sealing, signing }));
        let machine = MachineId::parse(entry.id()).ok()?;
        let name = PeerName { machine, ..self.books.me().clone() };
        Some((name, keys, entry_read.text(APPROVED_BY).to_owned()))
    }
}

fn read_key(text: &str) -> Option<DevicePublicKey> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(DevicePublicKey)
}

fn not_listed() -> Trouble {
    Trouble {
        code: "not-listed".to_owned(),
        zh: "本机还不在社区的电脑名单上。请在名单上的电脑运行 approve，核对本机 status 显示的代码。".to_owned(),
        en: "This machine is not on the community's list. Run `approve` on one that is, with the code `status` shows here.".to_owned(),
    }
}

fn keys_missing() -> Trouble {
    Trouble {
        code: "keys-missing".to_owned(),
        zh: "本机还缺一把新的社区密钥。请等它与其他电脑同步后再试。".to_owned(),
        en: "This machine still lacks a newer key of the community. Let it sync with the others, then try again.".to_owned(),
    }
}

fn not_signed(error: NotSigned) -> Trouble {
    match error {
        NotSigned::NotMember => not_listed(),
        NotSigned::Full => Trouble {
            code: "list-full".to_owned(),
            zh: "社区的电脑名单已到上限，不能再登记。请联系街道平台。".to_owned(),
            en: "The community's list of machines is full. Call the street office.".to_owned(),
        },
    }
}

fn no_sheets() -> Trouble {
    Trouble {
        code: "no-such-sheets".to_owned(),
        zh: "本机收到的数据里没有与这两张恢复单相符的内容。请等 status 显示与街道平台一致后再试；仍不行，请核对恢复单上的社区。".to_owned(),
        en: "Nothing these sheets open has reached this machine. Wait until `status` says it agrees with the hub; if it stays so, check which community the sheets are of.".to_owned(),
    }
}

fn old_sheets() -> Trouble {
    Trouble {
        code: "old-sheets".to_owned(),
        zh: "后来又打印过新的恢复单，这两张已作废。请用日期最新的一套。".to_owned(),
        en: "Newer sheets were printed since, so these are void. Use the set with the latest date."
            .to_owned(),
    }
}

/// A machine's `device` entry: `device/<machine>`.
pub(super) fn device_entry(me: &PeerName) -> Option<EntryId> {
    let _community: &CommunityId = me.community.as_ref()?;
    EntryId::new(KIND, me.machine.as_str()).ok()
}
