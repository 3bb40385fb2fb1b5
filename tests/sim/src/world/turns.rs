//! A machine's turn: inputs in, one commit, and only then answers and frames out.
//!
//! This is the daemon's loop, told as a story. It refuses to judge: the checkers do.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use linli_domain::change::Change;
use linli_domain::gate;
use linli_domain::id::{ChangeHash, PeerName, Role, Space};
use linli_domain::seal;
use linli_replica::engine::{Effect, LinkId};
use linli_replica::frame::{Ack, Batch, Frame, Item};
use linli_replica::holdings::{Holdings as _, Placed};
use linli_runtime::books::BooksTrouble;
use linli_runtime::limits::REFUSED_KEPT_MAX;

use super::World;
use super::sticks::Carried;
use crate::checkers::{self, Checker, Violation, room};
use crate::machine::{Doom, Input};
use crate::people::Told;
use crate::planted::Planted;
use crate::trace::short;
use crate::truth::{MachineNo, Made};

/// Inputs of one turn, as a daemon takes them.
const TURN_INPUTS_MAX: usize = 256;
/// A desk is asked what it has not sent once in so many turns.
const SENT_ASKED_ONE_IN: u32 = 40;

/// What a turn owes to people and peers once it is durable.
#[derive(Default)]
pub(super) struct Owed {
    pub(super) told: Vec<Told>,
    /// Batches taken, to be acknowledged.
    pub(super) taken: Vec<(u64, Batch)>,
    /// Acknowledgements made up by a planted bug.
    pub(super) made_up: Vec<(u64, Ack)>,
    /// What was done with files.
    pub(super) carried: Vec<Carried>,
    /// Desks taken off the list.
    pub(super) removed: Vec<PeerName>,
}

impl World {
    pub(super) fn turn(&mut self, machine: MachineNo) -> Result<(), Violation> {
        self.machines[machine].turn_planned = false;
        if self.machines[machine].site.is_none() {
            return Ok(());
        }
        let now_ms = self.now_ms;
        let wall_ms = self.machines[machine].wall_ms(now_ms);
        let at = &mut self.machines[machine];
        at.wall_ms_max = at.wall_ms_max.max(wall_ms);
        if let Some(site) = &mut at.site {
            site.set_now(wall_ms);
        }
        let waiting = self.machines[machine].inbox.len().min(TURN_INPUTS_MAX);
        let mut inputs: Vec<Input> = self.machines[machine].inbox.drain(..waiting).collect();
        self.leave_waiting(machine, &mut inputs);
        self.count_turn(machine);
        let mut owed = Owed::default();
        // What else comes in a turn may change the entry once more.
        let by_hand = matches!(inputs[..], [Input::Person | Input::Act { .. }]);
        for input in inputs {
            self.feed(machine, input, &mut owed)?;
        }
        let again = owed.told.last().and_then(|told| told.again.clone()).filter(|_| by_hand);
        if !self.machines[machine].inbox.is_empty() {
            self.machines[machine].turn_planned = true;
            self.plan(1, super::Event::Turn { machine });
        }
        self.trace.count("turns");
        if self.planted == Some(Planted::AckBeforeCommit) {
            self.release_answers(machine, &mut owed)?;
        }
        self.show_before_commit(machine)?;
        let doom = self.take_doom(machine, again.is_some());
        if doom == Some(Doom::BeforeCommit) {
            self.trace.count("crashes before a commit");
            if self.plants(Planted::FramesBeforeCommit) {
                return self.speak_too_early(machine, owed);
            }
            return self.crash(machine);
        }
        let unheard = self.slips(Planted::MembersUnheard, 3);
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return Ok(()) };
        if unheard {
            site.books().take_member_news();
        }
        let ended = site.end_turn();
        let happened = !at.unsure.swap(false, Ordering::Relaxed);
        let effects = match ended {
            Ok(effects) => effects,
            Err(error) => {
                if doom == Some(Doom::Unsure) && happened {
                    self.trace.count("commits of which nobody heard");
                    self.machines[machine].again = again;
                }
                self.trace.count("commits that failed");
                let name = &self.machines[machine].name;
                self.trace.say(now_ms, format_args!("{name} cannot commit: {error}"));
                if self.plants(Planted::CommitErrorIgnored) {
                    return self.release_answers(machine, &mut owed);
                }
                return self.crash(machine);
            }
        };
        self.read_journal(machine, true)?;
        if doom == Some(Doom::AfterCommit) {
            self.trace.count("crashes after a commit");
            return self.crash(machine);
        }
        self.release_answers(machine, &mut owed)?;
        self.release_carried(machine, &mut owed)?;
        self.release_effects(machine, effects, owed)?;
        self.show_after_commit(machine);
        self.after_turn(machine)
    }

    /// Puts one input before the site.
    fn feed(&mut self, machine: MachineNo, input: Input, owed: &mut Owed) -> Result<(), Violation> {
        match input {
            Input::Up { wire, peer } => {
                if let Some(site) = &mut self.machines[machine].site {
                    site.link_up(LinkId(wire), peer);
                }
            }
            Input::Frame { wire, frame } => self.feed_frame(machine, wire, frame, owed),
            Input::Down { wire } => {
                if let Some(site) = &mut self.machines[machine].site {
                    site.link_down(LinkId(wire));
                }
            }
            Input::Person => {
                let waiting = self.waiting_with(machine);
                let told = self.people.sit_down(&mut self.machines[machine], &waiting);
                let name = self.machines[machine].name.clone();
                for told in told {
                    self.trace.say(self.now_ms, format_args!("a person at {name}: {}", told.what));
                    self.trace.count(told.counted);
                    if let Some(violation) = &told.violation {
                        return Err(violation.clone());
                    }
                    owed.told.push(told);
                }
            }
            Input::Tick => {
                if let Some(site) = &mut self.machines[machine].site {
                    site.tick();
                }
            }
            Input::Remove { name } => self.remove_desk(machine, name, owed),
            Input::Act { ask, counted } => self.act(machine, ask, counted, owed),
            Input::Again => self.try_again(machine)?,
            Input::MakeStick { reader } => self.make_stick(machine, reader.as_ref(), owed),
            Input::TakeStick { stick, cut } => self.take_stick(machine, stick, cut, owed),
            Input::Publish { version } => self.put_on_board(machine, version)?,
            Input::Enrolled => {
                let register = self.register_of(machine);
                if let Some(site) = &mut self.machines[machine].site {
                    site.enrolled(&register);
                }
            }
        }
        Ok(())
    }

    /// Tells people what became of their acts.
    fn release_answers(&mut self, machine: MachineNo, owed: &mut Owed) -> Result<(), Violation> {
        self.lost.extend(owed.removed.drain(..));
        self.note_shown(machine)?;
        let name = &self.machines[machine].name;
        for told in owed.told.drain(..) {
            if let Some(text) = &told.shown {
                checkers::sealed(text.as_bytes(), &format!("an answer of {name}"))?;
            }
            for (space, entry, hash) in told.saved {
                // A peer's change that came in the same turn is its own.
                if self.truth.made(&hash).is_none() {
                    self.truth.note_made(hash, Made { by: machine, space, entry });
                }
                self.truth.promise(machine, hash);
            }
        }
        Ok(())
    }

    pub(super) fn release_effects(
        &mut self,
        machine: MachineNo,
        effects: Vec<Effect>,
        owed: Owed,
    ) -> Result<(), Violation> {
        let name = self.machines[machine].name.clone();
        checkers::turn_bounded(&name, &effects)?;
        let mut taken = owed.taken;
        for (wire, ack) in owed.made_up {
            self.note_acked(machine, wire, &ack, &mut taken)?;
            self.say(machine, wire, Frame::Ack(ack))?;
        }
        for effect in effects {
            match effect {
                Effect::Send { link, mut frame } => {
                    self.missaid(machine, link.0, &mut frame)?;
                    if let Frame::Ack(ack) = &frame {
                        self.note_acked(machine, link.0, ack, &mut taken)?;
                    }
                    self.say(machine, link.0, frame)?;
                }
                Effect::Close { link, reason } => self.close(machine, link.0, reason)?,
            }
        }
        Ok(())
    }

    /// Durable, as it is promised to a peer: everything of the batch that is neither refused nor
    /// asked for again must be in the journal now.
    fn note_acked(
        &mut self,
        machine: MachineNo,
        wire: u64,
        ack: &Ack,
        taken: &mut Vec<(u64, Batch)>,
    ) -> Result<(), Violation> {
        let answered = taken.iter().position(|(on, batch)| {
            *on == wire && batch.space == ack.space && batch.number == ack.number
        });
        let Some(at) = answered else { return Ok(()) };
        let (_, batch) = taken.remove(at);
        let name = &self.machines[machine].name;
        for item in batch.items {
            if let Some(refused) = ack.refused.iter().find(|refused| refused.hash == item.hash) {
                self.trace.count("changes refused");
                let honest =
                    self.truth.made(&item.hash).is_some() && is_named_so(&ack.space, &item);
                if honest && !self.truth.is_crafted(&item.hash) {
                    let text = format!(
                        "{name} refuses the honest change {} of {}: {}",
                        short(&item.hash.0),
                        item.entry,
                        refused.reason
                    );
                    return Err(Violation::new(Checker::Orderly, text));
                }
                if is_named_so(&ack.space, &item) {
                    self.truth.note_refused(machine, item.hash);
                }
                continue;
            }
            if ack.again.contains(&item.hash) {
                self.trace.count("changes asked for again");
                continue;
            }
            self.trace.count("changes acknowledged");
            self.truth.promise(machine, item.hash);
            if !self.machines[machine].held.contains(&item.hash) {
                let hash = short(&item.hash.0);
                let text =
                    format!("{name} acknowledges {hash} of {} without having it", item.entry);
                return Err(Violation::new(Checker::Durable, text));
            }
        }
        Ok(())
    }

    /// A machine ends a wire.
    fn close(&mut self, machine: MachineNo, wire: u64, reason: &str) -> Result<(), Violation> {
        let name = &self.machines[machine].name;
        self.trace.say(self.now_ms, format_args!("{name} closes wire {wire}: {reason}"));
        self.trace.count("links closed for a breach");
        let Some(standing) = self.wires.get(&wire) else { return Ok(()) };
        if !standing.tampered {
            let text = format!("{name} closes the link to an honest peer: {reason}");
            return Err(Violation::new(Checker::Orderly, text));
        }
        self.cut(wire, true);
        Ok(())
    }

    fn after_turn(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let swallow = self.slips(Planted::UntouchedFigures, 10);
        self.keep_keys(machine);
        self.follow_shut_out(machine);
        let at = &mut self.machines[machine];
        if let Some(site) = &mut at.site {
            at.refused_bytes = at.refused_bytes.max(site.books().refused_bytes() as u64);
        }
        room::disk_bounded(at)?;
        let views_broken = self.machines[machine].views_broken;
        let lazy = self.peace_since.is_none() && self.weather.one_in(3);
        let name = self.machines[machine].name.clone();
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return Ok(()) };
        if swallow {
            site.books().take_touched(1);
        }
        site.keep_bounded();
        if !lazy {
            while site.idle() {}
        }
        let troubles = site.take_troubles();
        checkers::memory_bounded(&name, site)?;
        for trouble in troubles {
            let Err(trouble) = self.hears_of_other_life(machine, trouble) else { continue };
            match trouble {
                BooksTrouble::Fork { .. } if self.mallory.no().is_some() => {}
                BooksTrouble::NearQuota { .. } => {}
                BooksTrouble::PutOff { .. } => self.trace.count("desks put off"),
                BooksTrouble::View(_) if views_broken => self.trace.count("views found broken"),
                trouble => {
                    let text = format!("{name} is in trouble: {trouble:?}");
                    return Err(Violation::new(Checker::Sound, text));
                }
            }
        }
        self.says_what_is_sent(machine)
    }

    /// Durable: a desk that says that nothing of its own waits has handed all of it to a hub.
    fn says_what_is_sent(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        let Some(site) = at.site.as_mut().filter(|_| at.name.role() == Role::Node) else {
            return Ok(());
        };
        if !self.weather.one_in(SENT_ASKED_ONE_IN) || site.books().unsent() > 0 {
            return Ok(());
        }
        let Some(made) = self.truth.unsent(machine) else { return Ok(()) };
        let text =
            format!("{} says that a hub has all of its own, but not {}", at.name, made.entry);
        Err(Violation::new(Checker::Durable, text))
    }

    /// Reads what is new in a machine's journal, and holds it against the truth. After a commit
    /// nothing may be left that cannot be read.
    pub(super) fn read_journal(
        &mut self,
        machine: MachineNo,
        committed: bool,
    ) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return Ok(()) };
        let heads: Vec<(Space, u64)> = site
            .books()
            .heads()
            .map(|(space, head)| (space.clone(), head.seq))
            .filter(|(space, head)| at.seen.get(space).copied().unwrap_or(0) < *head)
            .collect();
        for (space, head) in heads {
            checkers::isolated(&self.machines[machine].name, &space)?;
            let at = &mut self.machines[machine];
            let seen = at.seen.get(&space).copied().unwrap_or(0);
            let Some(site) = &mut at.site else { return Ok(()) };
            let records = site.books().read(&space, seen, usize::MAX, usize::MAX);
            // What is staged and not committed has a place in the head and none in the journal.
            let read = records.last().map_or(seen, |placed| placed.seq);
            at.seen.insert(space.clone(), read);
            if committed && read != head || records.len() as u64 != read - seen {
                let text = format!(
                    "{} reads {} records of {space} up to {read}, of {head} from {seen}",
                    at.name,
                    records.len(),
                );
                return Err(Violation::new(Checker::Sound, text));
            }
            for placed in records {
                self.judge(machine, &space, placed)?;
            }
        }
        Ok(())
    }

    /// Holds one record of a journal against the truth.
    fn judge(
        &mut self,
        machine: MachineNo,
        space: &Space,
        placed: Placed,
    ) -> Result<(), Violation> {
        let Placed { seq, origin, item } = placed;
        let at = &mut self.machines[machine];
        let name = at.name.clone();
        let hash = item.hash;
        if !at.held.insert(hash) {
            let text = format!(
                "{name} has {} of {} twice in {space}, again as {seq}",
                short(&hash.0),
                item.entry
            );
            return Err(Violation::new(Checker::Converged, text));
        }
        if let Some(community) = space.community() {
            at.entries.insert((community.clone(), item.entry.clone()));
        }
        if let Some(made) = self.truth.made(&hash)
            && !self.truth.is_crafted(&hash)
        {
            if made.space != *space || made.entry != item.entry {
                let text = format!(
                    "{name} has {} at {space} {}, but it was made by {} for {} {}",
                    short(&hash.0),
                    item.entry,
                    self.machines[made.by].name,
                    made.space,
                    made.entry
                );
                return Err(Violation::new(Checker::Isolated, text));
            }
        } else if origin == 0 && !self.truth.is_crafted(&hash) {
            self.truth.note_made(
                hash,
                Made { by: machine, space: space.clone(), entry: item.entry.clone() },
            );
            self.trace.count("changes made");
            if space.is_sealed() {
                self.note_sealed(machine, hash);
            }
        } else {
            let text = format!(
                "{name} has {} of {space} {}, which no machine of this world made",
                short(&hash.0),
                item.entry
            );
            return Err(Violation::new(Checker::Invented, text));
        }
        self.truth.promise(machine, hash);
        self.machines[machine].live_bytes += item.bytes.len() as u64 + room::RECORD_BYTES;
        if self.machines[machine].name.role() != Role::Node {
            self.truth.note_reached(hash);
        }
        if let Some(change) = self.opened(machine, space, &item.entry, &item.bytes, hash) {
            let first = self.truth.note_number(space, &item.entry, change.actor, change.seq, hash);
            if let Some(first) = first {
                let text = format!(
                    "{} and {} are both number {} of actor {} in {}",
                    short(&first.0),
                    short(&hash.0),
                    change.seq,
                    change.actor,
                    item.entry
                );
                return Err(Violation::new(Checker::Unique, text));
            }
        }
        Ok(())
    }

    /// A record's change, opened with the machine's ring where it is sealed.
    fn opened(
        &mut self,
        machine: MachineNo,
        space: &Space,
        entry: &linli_domain::id::EntryId,
        bytes: &bytes::Bytes,
        hash: ChangeHash,
    ) -> Option<Change> {
        if !space.is_sealed() {
            return gate::parse(bytes, &hash).ok();
        }
        let site = self.machines[machine].site.as_mut()?;
        let plain = site.books().opened(space, entry, bytes).ok()?;
        gate::parse(&plain, &gate::hash_of(&plain)?).ok()
    }

    /// Durable: everything a machine promised is in its journal, and what it said that it refuses
    /// is on its list.
    pub(super) fn keeps_promises(&mut self, machine: MachineNo) -> Result<(), Violation> {
        self.keeps_refusals(machine)?;
        let at = &self.machines[machine];
        let Some(hash) = self.truth.broken_promise(machine, &at.held) else { return Ok(()) };
        let entry = self.truth.made(&hash).map_or_else(String::new, |made| made.entry.to_string());
        let text =
            format!("{} has lost {} of {entry}, which it kept before", at.name, short(&hash.0));
        Err(Violation::new(Checker::Durable, text))
    }
}

impl World {
    fn keeps_refusals(&mut self, machine: MachineNo) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        let Some(site) = &mut at.site else { return Ok(()) };
        let listed: BTreeSet<ChangeHash> =
            site.books().refused_here().map(|(hash, _)| hash).collect();
        let forgotten = self.truth.refused(machine).find(|hash| !listed.contains(*hash));
        let Some(hash) = forgotten.filter(|_| listed.len() < REFUSED_KEPT_MAX) else {
            return Ok(());
        };
        let text = format!("{} has forgotten that it refused {}", at.name, short(&hash.0));
        Err(Violation::new(Checker::Durable, text))
    }
}

/// Whether an item's bytes are what its hash says.
fn is_named_so(space: &Space, item: &Item) -> bool {
    if space.is_sealed() {
        seal::envelope_hash(&item.bytes) == item.hash
    } else {
        gate::hash_of(&item.bytes) == Some(item.hash)
    }
}
