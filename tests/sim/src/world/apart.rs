//! Two desks that are cut off from each other work on one thing: both put it down, one erases what
//! the other edits, one clears a field that the other fills.
//!
//! It refuses to say how that ends: the checkers at peace do, for everybody alike.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use linli_domain::id::{EntryId, Role};
use linli_domain::seal::ERASURE_KIND;
use linli_runtime::ask::{Answer, Ask};
use serde_json::Value as Json;

use super::World;
use super::turns::Owed;
use crate::checkers::{Checker, Violation};
use crate::machine::{Doom, Input, Machine};
use crate::planted::Planted;
use crate::truth::MachineNo;

/// An act or fault in so many is one of two desks at once.
const APART_ONE_IN: u32 = 15;
/// Or a commit of which nobody hears.
const UNSURE_ONE_IN: u32 = 20;

impl World {
    /// Two desks of a community lose sight of everybody, and do something about one thing.
    pub(super) fn work_apart(&mut self) {
        if !self.keeper.one_in(APART_ONE_IN) {
            return;
        }
        let is_up = |at: &Machine| {
            at.site.is_some() && at.name.role() == Role::Node && !at.hostile && at.ring.is_some()
        };
        let desks: Vec<MachineNo> =
            (0..self.machines.len()).filter(|no| is_up(&self.machines[*no])).collect();
        let Some(one) = self.keeper.pick(&desks).copied() else { return };
        let name = self.machines[one].name.clone();
        let others: Vec<MachineNo> = desks
            .into_iter()
            .filter(|no| {
                let other = &self.machines[*no].name;
                *other != name && other.community == name.community
            })
            .collect();
        let Some(other) = self.keeper.pick(&others).copied() else { return };
        let acts = match self.keeper.between(0, 4) {
            0 | 1 => Some((self.people.same_thing(), "things made twice, apart")),
            2 | 3 => self.common(one, other).and_then(|entry| {
                let reason = "moved away".to_owned();
                let edit = self.people.personal_edit(&entry)?;
                Some((
                    [Ask::Erase { entry, reason, dry_run: false }, edit],
                    "erased beside an edit",
                ))
            }),
            _ => self.common(one, other).and_then(|entry| {
                let edit = self.people.open_edit(&entry)?;
                let Ask::Edit { fields, .. } = &edit else { return None };
                let fields = fields.keys().map(|name| (name.clone(), Json::Null)).collect();
                let clear = Ask::Edit { community: None, entry, fields };
                Some(([clear, edit], "cleared beside an edit"))
            }),
        };
        let Some((acts, counted)) = acts else { return };
        for (machine, ask) in [one, other].into_iter().zip(acts) {
            self.cut_off(machine);
            self.give(machine, Input::Act { ask, counted });
        }
    }

    /// An entry that two machines have.
    fn common(&mut self, one: MachineNo, other: MachineNo) -> Option<EntryId> {
        let theirs = &self.machines[other].entries;
        let both: Vec<EntryId> = self.machines[one]
            .entries
            .iter()
            .filter(|known| theirs.contains(*known) && known.1.kind() != ERASURE_KIND)
            .map(|(_, entry)| entry.clone())
            .collect();
        self.keeper.pick(&both).cloned()
    }

    /// Some machine's next commit of a person's act will be durable, and nobody will hear of it.
    pub(super) fn plan_unsure(&mut self) {
        if self.keeper.one_in(UNSURE_ONE_IN) {
            let machine = self.keeper.place(self.machines.len());
            let at = &mut self.machines[machine];
            at.doom = at.doom.or(Some(Doom::Unsure));
        }
    }

    /// A person does something of the world's choice.
    pub(super) fn act(
        &mut self,
        machine: MachineNo,
        ask: Ask,
        counted: &'static str,
        owed: &mut Owed,
    ) {
        let told = self.people.ask(&mut self.machines[machine], ask, counted);
        let name = &self.machines[machine].name;
        self.trace.say(self.now_ms, format_args!("a person at {name}: {}", told.what));
        self.trace.count(told.counted);
        owed.told.push(told);
    }

    /// How a turn ends; that nobody hears of it waits for a turn that is a person's act and nothing else.
    pub(super) fn take_doom(&mut self, machine: MachineNo, by_hand: bool) -> Option<Doom> {
        let at = &mut self.machines[machine];
        if at.doom == Some(Doom::Unsure) && !by_hand {
            return None;
        }
        let doom = at.doom.take();
        at.unsure.store(doom == Some(Doom::Unsure), Ordering::Relaxed);
        doom
    }

    /// A person tries once more what may have been saved, as the program says: it was, so nothing
    /// may be written again.
    pub(super) fn try_again(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        let Some(mut ask) = at.again.take() else { return Ok(()) };
        if let (Some(Planted::RetriedAsNew), Ask::Add { id, .. }) = (self.planted, &mut ask) {
            *id = None;
        }
        let Some(site) = &mut at.site else { return Ok(()) };
        let answer = site.ask(ask);
        let name = &at.name;
        self.trace.count("acts tried again");
        let Answer::Written { entry, changes, .. } = answer else { return Ok(()) };
        self.trace.say(self.now_ms, format_args!("{name} tries again: {entry}, {changes} changes"));
        if changes > 0 {
            let text = format!("{name} saves {entry} again, which had become durable unheard");
            return Err(Violation::new(Checker::Once, text));
        }
        Ok(())
    }

    /// What people see now of entries: nothing that they have seen there before may be gone.
    pub(super) fn note_shown(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        for (place, steps) in std::mem::take(&mut at.showing) {
            let before = at.shown.insert(place.clone(), steps.clone()).unwrap_or_default();
            if let Some(gone) = before.difference(&steps).next() {
                let text =
                    format!("{} no longer shows step {gone} of {}, seen before", at.name, place.1);
                return Err(Violation::new(Checker::Causal, text));
            }
        }
        Ok(())
    }
}

/// The act that puts the same thing down once more: with the id it was given, if it was new.
pub(crate) fn again(ask: &Ask, entry: &EntryId) -> Option<Ask> {
    match ask {
        Ask::Add { kind, fields, .. } => Some(Ask::Add {
            kind: kind.clone(),
            id: Some(entry.id().to_owned()),
            fields: fields.clone(),
        }),
        Ask::Edit { community, entry, fields } => Some(Ask::Edit {
            community: community.clone(),
            entry: entry.clone(),
            fields: fields.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<BTreeMap<_, _>>(),
        }),
        _ => None,
    }
}
