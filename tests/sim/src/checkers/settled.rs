//! What must hold once the world is at peace.
//!
//! Documents, figures and searches for personal fields are done here anew, from journals and raw
//! bytes, beside what the machines themselves say.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use linli_domain::doc::{Doc, Fit, entry_of};
use linli_domain::figure::{
    By, Contributions, Coverage, Period, Query, Tally, contributions, measure,
};
use linli_domain::gate;
use linli_domain::id::{
    ChangeHash, CommunityId, EntryId, EpochId, PeerName, Role, Space, StreetId,
};
use linli_domain::pack::{PackHash, Registry};
use linli_replica::holdings::Holdings as _;
use linli_runtime::ask::{Answer, Ask, FigureQuery};
use linli_store::disk::Disk as _;

use super::{Checker, Violation, erased, kept, members, sealed};
use crate::machine::Machine;
use crate::trace::short;
use crate::truth::MachineNo;
use crate::world::World;

/// Entry halves as text, per machine.
pub(crate) type ReadOut = Vec<BTreeMap<(Space, EntryId), String>>;

/// Every rule of peace.
pub(crate) fn all(world: &mut World) -> Result<(), Violation> {
    converged(world)?;
    read_alike(world)?;
    defined_alike(world)?;
    counted(world)?;
    members::everywhere(world)?;
    kept::everywhere(world)?;
    alone(world)
}

/// The rules of peace that hold for a machine without links.
pub(crate) fn alone(world: &mut World) -> Result<(), Violation> {
    counted_alike(world)?;
    hubs_know_nothing(world)?;
    erased::everywhere(world)?;
    refused_justly(world)?;
    sound(world)
}

/// Converged: everybody who shares a space holds all that anybody has kept of it.
fn converged(world: &mut World) -> Result<(), Violation> {
    for space in spaces(&world.communities) {
        let kept = world.truth.kept(&space);
        for machine in &mut world.machines {
            if !shares(&machine.name, &space) {
                continue;
            }
            let name = machine.name.clone();
            let Some(site) = &mut machine.site else { continue };
            let digest = site.held(&space).digest;
            let held: BTreeSet<ChangeHash> =
                site.books().hashes(&space).into_iter().map(|(hash, _)| hash).collect();
            if let Some(lost) = kept.iter().find(|hash| !held.contains(hash)) {
                let entry = world.truth.made(lost).map(|made| made.entry.to_string());
                let text = format!(
                    "{name} lacks {} of {} in {space}",
                    short(&lost.0),
                    entry.unwrap_or_default()
                );
                return Err(Violation::new(Checker::Converged, text));
            }
            if held.iter().copied().collect::<linli_domain::digest::Digest>() != digest {
                let text = format!("{name}: the digest of {space} is not that of its changes");
                return Err(Violation::new(Checker::Converged, text));
            }
        }
    }
    Ok(())
}

/// Converged: the same set reads the same, byte for byte.
fn read_alike(world: &mut World) -> Result<(), Violation> {
    let outs = read_out(world);
    let mut first: BTreeMap<&(Space, EntryId), (&PeerName, &String)> = BTreeMap::new();
    for (machine, out) in world.machines.iter().zip(&outs) {
        for (place, text) in out {
            let (other, theirs) = *first.entry(place).or_insert((&machine.name, text));
            if theirs != text {
                let text = format!(
                    "{} and {other} read {} of {} differently:\n{text}\n{theirs}",
                    machine.name, place.1, place.0
                );
                return Err(Violation::new(Checker::Converged, text));
            }
        }
    }
    Ok(())
}

/// Converged: machines of one release on one street go by the same definitions.
fn defined_alike(world: &mut World) -> Result<(), Violation> {
    let mut first: BTreeMap<(Option<&StreetId>, PackHash), (PackHash, &PeerName)> = BTreeMap::new();
    for machine in &world.machines {
        let Some(site) = machine.site.as_ref().filter(|_| machine.name.street.is_some()) else {
            continue;
        };
        let (release, own) = (machine.registry.hash(), site.registry().hash());
        let (theirs, other) =
            *first.entry((machine.name.street.as_ref(), release)).or_insert((own, &machine.name));
        if theirs != own {
            let text = format!("{} and {other} go by different definitions", machine.name);
            return Err(Violation::new(Checker::Converged, text));
        }
    }
    Ok(())
}

/// Every half that each machine can read.
pub(crate) fn read_out(world: &mut World) -> ReadOut {
    world.machines.iter_mut().map(read_machine).collect()
}

fn read_machine(machine: &mut Machine) -> BTreeMap<(Space, EntryId), String> {
    let mut out = BTreeMap::new();
    let member = machine.is_member();
    let Some(site) = &mut machine.site else { return out };
    let books = site.books();
    let opens = member && books.ring().is_some();
    for (community, entry) in &machine.entries {
        for space in [Space::Open(community.clone()), Space::Sealed(community.clone())] {
            if space.is_sealed() && !opens {
                continue;
            }
            let text = read_half(&books.half(&space, entry).doc);
            out.insert((space, entry.clone()), text);
        }
    }
    out
}

fn read_half(doc: &Doc) -> String {
    let mut out = String::new();
    for head in doc.heads() {
        // Writing to a string does not fail.
        let _ = write!(out, "{head} ");
    }
    for (key, value) in doc.values() {
        let _ = write!(out, "\n{key} = {value}");
        for (op, side) in doc.sides(key) {
            let _ = write!(out, " | {}@{} {side}", op.counter, op.actor);
        }
    }
    out
}

/// Rebuilt: what was read before is read again; a desk's own `device` entry may be written anew at
/// a start.
pub(crate) fn same(before: &ReadOut, after: &ReadOut, names: &[PeerName]) -> Result<(), Violation> {
    for ((before, after), name) in before.iter().zip(after).zip(names) {
        if before != after {
            let places: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let differs = places
                .into_iter()
                .find(|at| at.1.kind() != "device" && before.get(at) != after.get(at));
            let Some(differs) = differs else { continue };
            let (was, is) = (before.get(differs), after.get(differs));
            let text = format!(
                "{name} reads {differs:?} differently after its views were lost:\n{}\n{}",
                was.map_or("", String::as_str),
                is.map_or("", String::as_str),
            );
            return Err(Violation::new(Checker::Rebuilt, text));
        }
    }
    Ok(())
}

/// Unique: two machines on copies of one disk, whose journals differ, are known to somebody.
pub(crate) fn copies_are_known(world: &mut World) -> Result<(), Violation> {
    for copy in 0..world.machines.len() {
        let Some(of) = world.machines[copy].copy_of else { continue };
        let name = world.machines[copy].name.clone();
        let [Some(one), Some(other)] = [copy, of].map(|no| ends(&mut world.machines[no], &name))
        else {
            continue;
        };
        if one.0 == other.0 && one.1 != other.1 && !world.doubled.contains(&name) {
            let text =
                format!("two machines run on copies of the disk of {name}, and nobody says so");
            return Err(Violation::new(Checker::Unique, text));
        }
    }
    Ok(())
}

/// The epoch of a machine's store, and where its journal ends in the spaces of its community.
fn ends(machine: &mut Machine, name: &PeerName) -> Option<(EpochId, Vec<u64>)> {
    let site = machine.site.as_mut()?;
    let spaces = spaces(name.community.as_slice());
    let chains = spaces.iter().map(|space| site.held(space).chain).collect();
    Some((site.books().epoch(), chains))
}

/// Counted: every machine's figures are those of its entries, counted here from its journal.
fn counted(world: &mut World) -> Result<(), Violation> {
    for community in world.communities.clone() {
        let space = Space::Open(community.clone());
        // By the definitions in force: machines of other releases may go by others.
        let mut counts: BTreeMap<PackHash, BTreeMap<String, (i64, i64)>> = BTreeMap::new();
        for machine in &mut world.machines {
            let Some(site) = machine.site.as_ref().filter(|_| shares(&machine.name, &space)) else {
                continue;
            };
            let registry = site.registry().clone();
            let hash = registry.hash();
            if let Entry::Vacant(place) = counts.entry(hash) {
                place.insert(count(&registry, machine, &community)?);
            }
            let name = machine.name.clone();
            let told = told_figures(&registry, machine, &community);
            if let Some(wanted) = counts.get(&hash).filter(|wanted| **wanted != told) {
                let lines: BTreeSet<&String> = wanted.keys().chain(told.keys()).collect();
                let line = lines.into_iter().find(|line| wanted.get(*line) != told.get(*line));
                let text = format!(
                    "{name} says {:?} for {} of {community}, a recount gives {:?}",
                    line.and_then(|line| told.get(line)),
                    line.map_or("", String::as_str),
                    line.and_then(|line| wanted.get(line)),
                );
                return Err(Violation::new(Checker::Counted, text));
            }
        }
    }
    Ok(())
}

/// Counted: what a machine keeps is what it counts again itself.
fn counted_alike(world: &mut World) -> Result<(), Violation> {
    for machine in &mut world.machines {
        let Some(site) = &mut machine.site else { continue };
        if let Answer::Recount { differences, .. } = site.ask(Ask::Recount {})
            && let Some(difference) = differences.first()
        {
            let text = format!("{}: {difference}", machine.name);
            return Err(Violation::new(Checker::Counted, text));
        }
    }
    Ok(())
}

/// Figures of a community from the records of a machine's journal: numerator and denominator by
/// metric and category.
fn count(
    registry: &Registry,
    machine: &mut Machine,
    community: &CommunityId,
) -> Result<BTreeMap<String, (i64, i64)>, Violation> {
    let space = Space::Open(community.clone());
    let Some(site) = &mut machine.site else { return Ok(BTreeMap::new()) };
    let mut docs: BTreeMap<EntryId, Doc> = BTreeMap::new();
    let mut left = site.books().read(&space, 0, usize::MAX, usize::MAX);
    // After a salvage a cause may stand behind what depends on it.
    while !left.is_empty() {
        let before = left.len();
        left.retain(|placed| {
            let doc = docs.entry(placed.item.entry.clone()).or_default();
            match gate::parse(&placed.item.bytes, &placed.item.hash) {
                Ok(change) if doc.check(&change) == Ok(Fit::Fits) => {
                    doc.apply(&change);
                    false
                }
                _ => true,
            }
        });
        if let Some(placed) = left.first().filter(|_| left.len() == before) {
            let text = format!(
                "{}: {} of {} does not fit its document",
                machine.name,
                short(&placed.item.hash.0),
                placed.item.entry
            );
            return Err(Violation::new(Checker::Sound, text));
        }
    }
    let mut tally = Tally::default();
    for (id, doc) in &docs {
        let entry = entry_of(id, Some(doc), None);
        let progress = registry.progress(&entry);
        let new = contributions(registry, community, &entry, &progress);
        tally.replace(&Contributions::default(), &new);
    }
    let query = Query::new(Period::all(), Coverage::default()).community(community.clone());
    let query = Query { by: Some(By::Category), ..query };
    let lines = measure(registry, &tally, &query).unwrap_or_default();
    let lines = lines.into_iter().filter(|figure| is_timeless(registry, &figure.metric));
    Ok(lines
        .map(|figure| {
            let name = format!("{} {}", figure.metric, figure.category);
            (name, (figure.numerator, figure.denominator.unwrap_or(0)))
        })
        .collect())
}

fn told_figures(
    registry: &Registry,
    machine: &mut Machine,
    community: &CommunityId,
) -> BTreeMap<String, (i64, i64)> {
    let Some(site) = &mut machine.site else { return BTreeMap::new() };
    let query = FigureQuery {
        community: Some(community.clone()),
        by_category: true,
        ..FigureQuery::default()
    };
    let Answer::Figures { figures } = site.ask(Ask::Figures(query)) else {
        return BTreeMap::new();
    };
    figures
        .iter()
        .filter_map(|line| {
            let metric = line["metric"].as_str()?;
            let name = format!("{metric} {}", line["category"].as_str()?);
            let number = |field: &str| line[field].as_i64();
            is_timeless(registry, metric)
                .then_some((name, (number("numerator")?, number("denominator").unwrap_or(0))))
        })
        .collect()
}

/// Whether a metric says the same whatever the clock.
fn is_timeless(registry: &Registry, metric: &str) -> bool {
    registry.metric(metric).is_some_and(|metric| metric.entry_count().is_some())
}

/// Sealed: no personal field in anything a hub keeps or says.
fn hubs_know_nothing(world: &mut World) -> Result<(), Violation> {
    for machine in &mut world.machines {
        if machine.name.role() == Role::Node {
            continue;
        }
        let name = machine.name.clone();
        for file in machine.disk.list().unwrap_or_default() {
            let bytes = machine.disk.bytes(&file).unwrap_or_default();
            sealed(&bytes, &format!("file {file} of {name}"))?;
        }
        for (key, value) in machine.views.rows() {
            sealed(&key, &format!("a view key of {name}"))?;
            sealed(&value, &format!("a view row of {name}"))?;
        }
        let Some(site) = &mut machine.site else { continue };
        for kind in ["issue", "household", "duty_turn", "mutual_group"] {
            let ask = Ask::List {
                kind: kind.to_owned(),
                state: None,
                community: None,
                after: None,
                max: 500,
                whole: true,
            };
            let text = serde_json::to_string(&site.ask(ask)).unwrap_or_default();
            sealed(text.as_bytes(), &format!("the list of {kind} at {name}"))?;
        }
    }
    Ok(())
}

/// Orderly: nobody keeps an honest change on its list of refusals.
fn refused_justly(world: &mut World) -> Result<(), Violation> {
    for machine in &mut world.machines {
        let Some(site) = &mut machine.site else { continue };
        let unjust = site
            .books()
            .refused_here()
            .find(|(hash, _)| world.truth.made(hash).is_some() && !world.truth.is_crafted(hash));
        if let Some((hash, refused)) = unjust {
            let text = format!(
                "{} has refused the honest change {} of {} for good: {}",
                machine.name,
                short(&hash.0),
                refused.entry,
                refused.reason
            );
            return Err(Violation::new(Checker::Orderly, text));
        }
    }
    Ok(())
}

/// Sound: one machine's audit, taken in turn by what it holds.
fn sound(world: &mut World) -> Result<(), Violation> {
    let at: MachineNo = world.trace_len() as usize % world.machines.len();
    let machine = &mut world.machines[at];
    let name = machine.name.clone();
    let Some(site) = &mut machine.site else { return Ok(()) };
    if let Answer::Audit { damage, .. } = site.ask(Ask::Audit {})
        && let Some(damage) = damage.first()
    {
        return Err(Violation::new(Checker::Sound, format!("the audit of {name}: {damage}")));
    }
    Ok(())
}

fn spaces(communities: &[CommunityId]) -> Vec<Space> {
    let both = |id: &CommunityId| [Space::Open(id.clone()), Space::Sealed(id.clone())];
    communities.iter().flat_map(both).collect()
}

/// Whether a machine takes part in a community's space.
pub(super) fn shares(name: &PeerName, space: &Space) -> bool {
    name.role() != Role::DistrictHub && super::isolated(name, space).is_ok()
}
