//! The machines of a community and its key: a desk asks by its `device` entry, an approved desk
//! hands the ring over wrapped to that desk's own key, after two persons compared a code.
//!
//! The hub relays the entries and can read neither the ring nor make a ring that passes the
//! comparison.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::BASE64;
use linli_domain::doc::entry_of;
use linli_domain::id::{CommunityId, EntryId, PeerName, Space};
use linli_domain::seal::{DevicePublicKey, KeyRing, device_code, ring_code, unwrap, wrap};
use linli_domain::value::Value;
use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::{DeviceView, Trouble};

const KIND: &str = "device";
const PUBLIC_KEY: &str = "public_key";
const WRAPPED_KEY: &str = "wrapped_key";
const APPROVED_BY: &str = "approved_by";

/// Codes take milliseconds to make; they are made once.
#[derive(Debug, Default)]
pub(super) struct Codes {
    device: BTreeMap<([u8; 32], String), String>,
    ring: Option<String>,
}

impl<D: Disk, V: Views> Site<D, V> {
    /// A node writes its own `device` entry, so that others can hand it the ring.
    pub(super) fn publish_device(&mut self) {
        let (Some(device), Some(space)) = (&self.device, self.open_space()) else { return };
        let key = BASE64.encode(&device.public().0);
        let Some(entry) = device_entry(self.books.me()) else { return };
        let name = self.books.me().machine.to_string();
        let mut puts = vec![
            ("name".to_owned(), Some(Value::from(name.as_str()))),
            (PUBLIC_KEY.to_owned(), Some(Value::from(key))),
        ];
        let approved = self.books.half(&space, &entry).doc.get(APPROVED_BY).is_some();
        if self.books.ring().is_some() && !approved {
            // The founding desk has the ring because it made it.
            puts.push((APPROVED_BY.to_owned(), Some(Value::from(name))));
        }
        // It fits: a few short texts in an entry only this machine writes.
        let _written = self.write_in(&space, &entry, puts, false);
    }

    /// Takes the ring from our own `device` entry, if another desk has put it there.
    pub(super) fn accept_ring(&mut self) {
        if self.books.ring().is_some() {
            return;
        }
        let (Some(device), Some(space)) = (self.device.clone(), self.open_space()) else { return };
        let me = self.books.me().clone();
        let Some(entry) = device_entry(&me) else { return };
        let doc = &self.books.half(&space, &entry).doc;
        let wrapped = doc.get(WRAPPED_KEY).and_then(Value::as_text);
        let bytes = wrapped.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let Some(ring) = bytes.and_then(|bytes| unwrap(&device, &bytes, &me).ok()) else { return };
        self.new_ring = Some(ring.clone());
        self.books.set_ring(Arc::new(ring));
        self.unlock();
    }

    /// Opens every envelope that waited for the ring.
    pub(super) fn unlock(&mut self) {
        if self.books.ring().is_some()
            && let Some(community) = self.books.me().community.clone()
        {
            self.books.read_all_sealed(&Space::Sealed(community));
        }
    }

    /// The community's machines.
    pub(super) fn devices(&mut self) -> Vec<DeviceView> {
        let Some(community) = self.books.me().community.clone() else { return Vec::new() };
        let ids = self.ids(&community, KIND, None, crate::ask::PAGE_MAX).unwrap_or_default();
        let space = Space::Open(community);
        let mut devices = Vec::new();
        for id in ids {
            let entry = entry_of(&id, Some(&self.books.half(&space, &id).doc), None);
            let Some((name, key)) = self.named_key(&id, entry.text(PUBLIC_KEY)) else { continue };
            devices.push(DeviceView {
                machine: id.id().to_owned(),
                approved: !entry.text(APPROVED_BY).is_empty(),
                code: self.code(key, &name),
            });
        }
        devices
    }

    /// Hands the ring to a machine whose code was compared; gives the ring's own code.
    pub(super) fn approve(&mut self, machine: &str, code: &str) -> Result<String, Trouble> {
        let (Some(ring), Some(space)) = (self.books.ring(), self.open_space()) else {
            return Err(crate::edit::EditError::Locked.trouble());
        };
        let unknown = || Trouble {
            code: "no-such-device".to_owned(),
            zh: format!("没有名为“{machine}”的电脑在等待批准。用 devices 查看。"),
            en: format!("No machine `{machine}` waits to be approved. `devices` lists them."),
        };
        let entry = EntryId::new(KIND, machine).map_err(|_| unknown())?;
        let key = self.books.half(&space, &entry).doc.get(PUBLIC_KEY).cloned();
        let key = key.as_ref().and_then(Value::as_text).unwrap_or_default().to_owned();
        let (name, key) = self.named_key(&entry, &key).ok_or_else(unknown)?;
        if self.code(key, &name) != code.trim().to_lowercase() {
            return Err(Trouble {
                code: "wrong-code".to_owned(),
                zh: "代码与那台电脑显示的不一致，没有批准。请再核对一遍；若仍不一致，请联系街道平台。".to_owned(),
                en: "The code is not the one that machine shows, so nothing was approved. Compare again; if it still differs, call the street office.".to_owned(),
            });
        }
        let mut seed = [0; 32];
        (self.entropy)(&mut seed);
        let wrapped = wrap(&ring, key, &name, seed).map_err(|_| unknown())?;
        let by = self.books.me().machine.to_string();
        let puts = vec![
            (WRAPPED_KEY.to_owned(), Some(Value::from(BASE64.encode(&wrapped)))),
            (APPROVED_BY.to_owned(), Some(Value::from(by))),
        ];
        self.write_in(&space, &entry, puts, false).map_err(|error| error.trouble())?;
        Ok(self.ring_code(&ring))
    }

    /// This machine's code, while it waits to be approved.
    pub(super) fn own_code(&mut self) -> Option<String> {
        let key = self.device.as_ref()?.public();
        let me = self.books.me().clone();
        self.books.ring().is_none().then(|| self.code(key, &me))
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
        let code = ring_code(ring, &community);
        self.codes.ring = Some(code.clone());
        code
    }

    fn code(&mut self, key: DevicePublicKey, name: &PeerName) -> String {
        let place = (key.0, name.to_string());
        self.codes.device.entry(place).or_insert_with(|| device_code(key, name)).clone()
    }

    fn named_key(&self, entry: &EntryId, key: &str) -> Option<(PeerName, DevicePublicKey)> {
        let bytes: [u8; 32] = BASE64.decode(key.as_bytes()).ok()?.try_into().ok()?;
        let machine = linli_domain::id::MachineId::parse(entry.id()).ok()?;
        let name = PeerName { machine, ..self.books.me().clone() };
        Some((name, DevicePublicKey(bytes)))
    }

    fn open_space(&self) -> Option<Space> {
        self.books.me().community.clone().map(Space::Open)
    }
}

/// A machine's `device` entry: `device/<machine>`.
fn device_entry(me: &PeerName) -> Option<EntryId> {
    let _community: &CommunityId = me.community.as_ref()?;
    EntryId::new(KIND, me.machine.as_str()).ok()
}
