//! Members: who stays on a community's list seals with one key and reads everything; who was
//! taken off reads nothing of what was sealed by anybody who knew.
//!
//! Envelopes are opened here from the journals, one by one. It refuses to go by what a machine
//! says it has read.

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::id::{CommunityId, Role, Space, StatementHash};
use linli_domain::seal::{Act, KeyMark, MemberKeys, Members, Statement, mark};
use linli_replica::holdings::{Holdings as _, Placed};
use linli_runtime::ask::{Answer, Ask};

use super::{Checker, Violation};
use crate::machine::{Machine, SimSite};
use crate::trace::short;
use crate::truth::{Closed, MachineNo, Truth};
use crate::world::World;

/// Every community that has a list.
pub(super) fn everywhere(world: &mut World) -> Result<(), Violation> {
    for community in world.communities.clone() {
        let own: Vec<MachineNo> = (0..world.machines.len())
            .filter(|no| {
                let at = &world.machines[*no];
                at.name.role() == Role::Node
                    && at.name.community.as_ref() == Some(&community)
                    && !at.hostile
            })
            .collect();
        let founding = own.iter().find(|no| world.machines[**no].founds);
        let Some(list) = founding.and_then(|no| world.machines[*no].members()) else { continue };
        let mut sealing: Option<KeyMark> = None;
        for no in own {
            let at = &mut world.machines[no];
            let keys = at.device_keys();
            let listed = keys.is_some_and(|keys| list.admission(&keys).is_some());
            let removed = !listed && keys.is_some_and(|keys| list.was_member(&keys));
            if listed {
                let own = stays(at, &list, &community)?;
                if *sealing.get_or_insert(own) != own {
                    let text = format!("{} seals with another key than others", at.name);
                    return Err(Violation::new(Checker::Members, text));
                }
                reads_all(at, &community, &world.truth)?;
                world.trace.count("members that read all");
            } else if removed {
                reads_nothing_later(at, &list, &community, &world.truth)?;
                world.trace.count("desks shut out");
            }
        }
    }
    Ok(())
}

/// One that is on the list: it knows the whole list, lacks nothing, and seals with a key that
/// nobody who is gone was given. Gives that key.
fn stays(at: &mut Machine, list: &Members, community: &CommunityId) -> Result<KeyMark, Violation> {
    let name = at.name.clone();
    let wrong = |what: String| Err(Violation::new(Checker::Members, format!("{name} {what}")));
    let Some(own) = at.members() else { return wrong("was let in and has no list".to_owned()) };
    if own.heads() != list.heads() {
        return wrong("has another list than the desk that began it".to_owned());
    }
    let Some(site) = &mut at.site else { return wrong("is off".to_owned()) };
    if let Answer::Status(status) = site.ask(Ask::Status {})
        && let Some(view) = status.list
        && !(view.listed && view.lacking + view.withheld == 0 && view.waiting == 0)
    {
        return wrong(format!("is stuck: {view:?}"));
    }
    let Some(ring) = site.books().ring() else {
        return wrong("was let in and has no ring".to_owned());
    };
    if own.must_rotate(&ring) {
        return wrong("seals with a key that somebody who is gone was given".to_owned());
    }
    Ok(mark(community, ring.newest()))
}

/// Every honest envelope that was not erased opens.
fn reads_all(at: &mut Machine, community: &CommunityId, truth: &Truth) -> Result<(), Violation> {
    let space = Space::Sealed(community.clone());
    let name = at.name.clone();
    let Some(site) = &mut at.site else { return Ok(()) };
    for Placed { item, .. } in records(site, &space) {
        let honest = truth.made(&item.hash).is_some() && !truth.is_crafted(&item.hash);
        let books = site.books();
        if !honest || books.is_erased(&space, &item.entry) {
            continue;
        }
        if let Err(error) = books.opened(&space, &item.entry, &item.bytes) {
            let hash = short(&item.hash.0);
            let text =
                format!("{name} is a member and cannot open {hash} of {}: {error}", item.entry);
            return Err(Violation::new(Checker::Members, text));
        }
    }
    Ok(())
}

/// No envelope opens that was sealed by somebody who knew that this desk is gone, unless it was let
/// in once more since: then it was handed every key there was.
fn reads_nothing_later(
    at: &mut Machine,
    list: &Members,
    community: &CommunityId,
    truth: &Truth,
) -> Result<(), Violation> {
    let space = Space::Sealed(community.clone());
    let name = at.name.clone();
    let Some(keys) = at.device_keys() else { return Ok(()) };
    let Some(site) = &mut at.site else { return Ok(()) };
    for Placed { item, .. } in records(site, &space) {
        let closed = truth.is_closed_to(&item.hash, &name);
        if closed.is_some_and(|closed| !let_in_knowingly(list, &keys, closed))
            && site.books().opened(&space, &item.entry, &item.bytes).is_ok()
        {
            let hash = short(&item.hash.0);
            let text =
                format!("{name} was removed, and opens {hash} of {}, sealed later", item.entry);
            return Err(Violation::new(Checker::Members, text));
        }
    }
    Ok(())
}

fn records(site: &mut SimSite, space: &Space) -> Vec<Placed> {
    site.books().read(space, 0, usize::MAX, usize::MAX)
}

/// Whether some admission of these keys follows all of the removals that concern it: of the machine
/// itself, of who let it in, of who let in these, and so on. This does not ask the list who is in
/// force, since that is what is checked.
fn let_in_knowingly(list: &Members, keys: &MemberKeys, closed: &Closed) -> bool {
    let all: BTreeMap<StatementHash, &Statement> =
        list.statements().map(|one| (one.hash, one)).collect();
    let keys_of = |hash: &StatementHash| match &all.get(hash)?.act {
        Act::Found { member, .. } | Act::Admit { member, .. } => Some(member.keys),
        Act::Remove { .. } | Act::Recovery { .. } => None,
    };
    let knowing = |admission: &&Statement| {
        let (mut past, mut open) = (BTreeSet::new(), admission.parents.clone());
        while let Some(one) = open.pop() {
            if past.insert(one) {
                open.extend(all.get(&one).into_iter().flat_map(|one| &one.parents));
            }
        }
        let mut concerned = vec![*keys];
        let mut by = admission.by;
        while let Some(above) = keys_of(&by) {
            concerned.push(above);
            by = all[&by].by;
        }
        let removed_by = |hash: &StatementHash| match all.get(hash).map(|one| &one.act) {
            Some(Act::Remove { targets, .. }) => targets.iter().filter_map(&keys_of).collect(),
            _ => Vec::new(),
        };
        // Who was known to be out where the machine was let in removes nobody.
        let out: Vec<MemberKeys> = past.iter().flat_map(removed_by).collect();
        let counts = |removal: &StatementHash| {
            let by = all.get(removal).and_then(|one| keys_of(&one.by));
            !past.contains(removal) && by.is_none_or(|by| !out.contains(&by))
        };
        let mut later = closed.removals.iter().filter(|removal| counts(removal));
        later.all(|removal| removed_by(removal).iter().all(|target| !concerned.contains(target)))
    };
    let own = |one: &&Statement| keys_of(&one.hash) == Some(*keys);
    all.values().copied().filter(own).any(|admission| knowing(&admission))
}
