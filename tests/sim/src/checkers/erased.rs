//! Erased: what somebody has erased is nowhere any more, once the world is at peace.
//!
//! Key rows are looked for in the raw files, and personal texts in the raw rows of the views, in
//! memory and on the screen.

use std::collections::BTreeSet;

use linli_domain::id::{CommunityId, EntryId, Space};
use linli_domain::seal::{DocumentPlace, ERASURE_KIND, erasure_id};
use linli_domain::value::Value;
use linli_runtime::ask::{Answer, Ask};
use linli_store::SHELF_FILES;
use linli_store::limits::KEY_ROW_BYTES;

use super::settled::shares;
use super::{Checker, Violation};
use crate::machine::Machine;
use crate::people::People;
use crate::world::World;

/// No machine of the community, nor a hub, keeps a key or a text of an erased document.
pub(super) fn everywhere(world: &mut World) -> Result<(), Violation> {
    let erased = all(world);
    for machine in &mut world.machines {
        let own = erased
            .iter()
            .filter(|(community, _)| shares(&machine.name, &Space::Sealed(community.clone())));
        let own: Vec<_> = own.cloned().collect();
        for (community, target) in own {
            let held = of_one(machine, &world.people, &community, &target);
            if let Some(what) = held {
                let text = format!("{} has {what} of {target}, which was erased", machine.name);
                return Err(Violation::new(Checker::Erased, text));
            }
        }
    }
    Ok(())
}

/// What any machine knows to be erased.
fn all(world: &mut World) -> BTreeSet<(CommunityId, EntryId)> {
    let mut erased = BTreeSet::new();
    for machine in &mut world.machines {
        let Some(site) = &mut machine.site else { continue };
        for (community, id) in machine.entries.iter().filter(|(_, id)| id.kind() == ERASURE_KIND) {
            let doc = &site.books().half(&Space::Open(community.clone()), id).doc;
            let target = doc.get("target").and_then(Value::as_text);
            let target = target.and_then(|text| EntryId::parse(text).ok());
            let target = target.filter(|target| erasure_id(target) == *id);
            erased.extend(target.map(|target| (community.clone(), target)));
        }
    }
    erased
}

/// What one machine keeps of an erased document.
fn of_one(
    machine: &mut Machine,
    people: &People,
    community: &CommunityId,
    target: &EntryId,
) -> Option<&'static str> {
    let space = Space::Sealed(community.clone());
    let site = machine.site.as_mut()?;
    let books = site.books();
    if books.keys_held(&space, target) > 0 || !books.is_erased(&space, target) {
        return Some("a key");
    }
    let place = DocumentPlace::of(&space, target);
    for file in SHELF_FILES {
        let bytes = machine.disk.bytes(file).unwrap_or_default();
        let mut rows = bytes.as_chunks::<KEY_ROW_BYTES>().0.iter();
        if rows.any(|row| row[0] == 1 && row[2..34] == place.0) {
            return Some("a row of a key in a file");
        }
    }
    if books.half(&space, target).doc.hashes().next().is_some() {
        return Some("an opened half");
    }
    if books.unclean() > 0 {
        return Some("views not freed");
    }
    let secrets = people.secrets_of(community, target);
    let ask = Ask::List {
        kind: target.kind().to_owned(),
        state: None,
        community: Some(community.clone()),
        after: None,
        max: 500,
        whole: true,
    };
    let screen = match site.ask(ask) {
        Answer::Entries { entries, .. } => serde_json::to_string(&entries).unwrap_or_default(),
        _ => String::new(),
    };
    let views = machine.views.rows();
    for secret in secrets {
        if screen.contains(secret) {
            return Some("a text on the screen");
        }
        let needle = secret.as_bytes();
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        if views.iter().any(|(key, value)| holds(key) || holds(value)) {
            return Some("a text in the views");
        }
    }
    None
}
