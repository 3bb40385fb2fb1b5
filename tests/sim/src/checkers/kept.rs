//! Kept: of everything that was written, what nobody has replaced is there, whoever wrote what at
//! the same time; and where two said different things, a person is told.
//!
//! The values are worked out here from the operations in a journal, without any order. It refuses
//! to use the document that it judges.

use std::collections::{BTreeMap, BTreeSet};

use linli_domain::change::{Action, OpId};
use linli_domain::doc::{ENTRY_SET_SEPARATOR, STEP_PREFIX};
use linli_domain::gate;
use linli_domain::id::{CommunityId, EntryId, Role, Space};
use linli_domain::value::Value;
use linli_replica::holdings::Holdings as _;
use linli_runtime::ask::{Answer, Ask};

use super::{Checker, Violation};
use crate::machine::Machine;
use crate::planted::Planted;
use crate::world::World;

/// Conflicts that are asked for.
const CONFLICTS_ASKED: usize = 500;

/// The puts of an entry's half, by key, and those that something has replaced.
#[derive(Debug, Default)]
struct Written {
    puts: BTreeMap<String, BTreeMap<OpId, Value>>,
    replaced: BTreeSet<(String, OpId)>,
}

impl Written {
    /// What nobody has replaced on a key, ascending.
    fn live(&self, key: &str) -> Vec<(OpId, &Value)> {
        let puts = self.puts.get(key).into_iter().flatten();
        let live = puts.filter(|(op, _)| !self.replaced.contains(&(key.to_owned(), **op)));
        live.map(|(op, value)| (*op, value)).collect()
    }
}

/// One machine of each community, taken in turn: all of them read alike, as is seen elsewhere.
pub(super) fn everywhere(world: &mut World) -> Result<(), Violation> {
    // The planted list that shows nobody anything.
    let hidden = world.planted == Some(Planted::ConflictsHidden);
    let turn = world.trace_len() as usize;
    for community in world.communities.clone() {
        let own: Vec<usize> = (0..world.machines.len())
            .filter(|no| {
                let at = &world.machines[*no];
                let desk = at.name.role() == Role::Node && !at.hostile;
                desk && at.name.community.as_ref() == Some(&community) && at.is_member()
            })
            .collect();
        let Some(no) = own.get(turn % own.len().max(1)).copied() else { continue };
        let conflicts = one(&mut world.machines[no], &community, hidden)?;
        world.trace.count_by("conflicts listed", conflicts);
    }
    Ok(())
}

/// One machine; gives the number of fields in conflict.
fn one(at: &mut Machine, community: &CommunityId, hidden: bool) -> Result<u64, Violation> {
    let name = at.name.clone();
    let Some(site) = &mut at.site else { return Ok(0) };
    let max = if hidden { 0 } else { CONFLICTS_ASKED };
    let asked = site.ask(Ask::Conflicts { max });
    let listed: BTreeSet<(EntryId, String)> = match asked {
        Answer::Conflicts { conflicts, .. } => {
            conflicts.into_iter().map(|one| (one.entry, one.field)).collect()
        }
        _ => BTreeSet::new(),
    };
    let mut in_conflict = 0;
    for space in [Space::Open(community.clone()), Space::Sealed(community.clone())] {
        let books = site.books();
        let mut halves: BTreeMap<EntryId, Written> = BTreeMap::new();
        for placed in books.read(&space, 0, usize::MAX, usize::MAX) {
            let entry = placed.item.entry;
            let bytes = if space.is_sealed() {
                // What was erased, or is not for this machine, is judged elsewhere.
                let Ok(plain) = books.opened(&space, &entry, &placed.item.bytes) else { continue };
                plain
            } else {
                placed.item.bytes
            };
            let Some(change) =
                gate::hash_of(&bytes).and_then(|hash| gate::parse(&bytes, &hash).ok())
            else {
                continue;
            };
            let half = halves.entry(entry).or_default();
            for (at, op) in change.ops.iter().enumerate() {
                half.replaced.extend(op.preds.iter().map(|pred| (op.key.to_string(), *pred)));
                if let Action::Put(value) = &op.action {
                    let puts = half.puts.entry(op.key.to_string()).or_default();
                    puts.insert(change.op_id(at), value.clone());
                }
            }
        }
        for (entry, half) in halves {
            let doc = books.half(&space, &entry).doc.clone();
            for key in half.puts.keys() {
                let wanted = half.live(key);
                if doc.sides(key) != wanted {
                    let text = format!(
                        "{name} keeps {} values of {entry} {key}, of {} that nobody replaced",
                        doc.sides(key).len(),
                        wanted.len(),
                    );
                    return Err(Violation::new(Checker::Kept, text));
                }
                let plain = !key.starts_with(STEP_PREFIX) && !key.contains(ENTRY_SET_SEPARATOR);
                if !plain || wanted.windows(2).all(|two| two[0].1 == two[1].1) {
                    continue;
                }
                in_conflict += 1;
                let told = listed.contains(&(entry.clone(), key.clone()));
                if !told && listed.len() < CONFLICTS_ASKED {
                    let text = format!("{name} does not list the conflict on {entry} {key}");
                    return Err(Violation::new(Checker::Kept, text));
                }
            }
        }
    }
    Ok(in_conflict)
}
