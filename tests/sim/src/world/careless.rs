//! What a careless daemon does around honest machines: the planted bugs that live between wires
//! and turns.
//!
//! Without a planted bug everything is handed on as it is.

use linli_domain::doc::Fit;
use linli_domain::gate::{self, Refusal};
use linli_domain::id::{ChangeHash, Space};
use linli_domain::seal;
use linli_replica::engine::LinkId;
use linli_replica::frame::{Ack, AuthorGrant, Batch, Frame, Hello, Ranges};
use linli_replica::holdings::Holdings as _;

use super::World;
use super::turns::Owed;
use crate::checkers::Violation;
use crate::planted::Planted;
use crate::truth::MachineNo;

/// A bug that would show at once is done once in so many chances.
const SELDOM: u32 = 20;

impl World {
    /// Whether this bug is planted.
    pub(super) fn plants(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    /// Whether this bug is planted, and done this time.
    pub(super) fn slips(&mut self, planted: Planted, one_in: u32) -> bool {
        self.plants(planted) && self.weather.one_in(one_in)
    }

    /// What a machine makes of a frame that came: on which link it takes it, and what for.
    pub(super) fn misheard(
        &mut self,
        machine: MachineNo,
        wire: u64,
        mut frame: Frame,
        owed: &mut Owed,
    ) -> Option<(u64, Frame)> {
        match (self.planted?, &mut frame) {
            (Planted::BlindDigest, _) => self.blind(machine, &mut frame),
            (Planted::CrossedLinks, _) if self.weather.one_in(SELDOM) => {
                let own = self.wires_of(machine);
                let other = *self.weather.pick(&own)?;
                return Some((other, frame));
            }
            (Planted::AckWithoutAdmit, Frame::Batch(batch)) if self.weather.one_in(SELDOM) => {
                let held =
                    self.machines[machine].site.as_ref().map(|s| s.held(&batch.space).digest);
                let ack = Ack {
                    space: batch.space.clone(),
                    number: batch.number,
                    held: held.unwrap_or_default(),
                    refused: Vec::new(),
                    again: Vec::new(),
                    rest_seconds: 0,
                };
                owed.made_up.push((wire, ack));
                return None;
            }
            (Planted::HalfABatch, Frame::Batch(batch)) if self.weather.one_in(SELDOM) => {
                batch.items.truncate(batch.items.len().div_ceil(2));
            }
            (Planted::HashNotCompared, Frame::Batch(batch)) if batch.space.is_sealed() => {
                for item in &mut batch.items {
                    item.hash = seal::envelope_hash(&item.bytes);
                }
            }
            (Planted::GateOff, Frame::Batch(batch)) => self.stage_unjudged(machine, batch, None),
            (Planted::ForksLetIn, Frame::Batch(batch)) => {
                self.stage_unjudged(machine, batch, Some(Refusal::Fork));
            }
            (Planted::StepsRewritten, Frame::Batch(batch)) => {
                self.stage_unjudged(machine, batch, Some(Refusal::StepRewritten));
            }
            (Planted::StrangersWrite, Frame::Batch(batch)) => self.grant_writers(machine, batch),
            (Planted::FiledTwice, Frame::Batch(batch)) if self.weather.one_in(SELDOM) => {
                self.file_again(machine, batch);
            }
            (Planted::GrantsFromAnyone, Frame::Authors(grants)) => {
                if let Some(site) = &mut self.machines[machine].site {
                    site.books().grant(grants);
                }
            }
            (Planted::ClockFollowed, Frame::Hello(hello)) => self.follow_clock(machine, hello),
            (Planted::RangesOffByOne, Frame::Ranges(told)) => self.skip_last_range(machine, told),
            _ => {}
        }
        Some((wire, frame))
    }

    /// What becomes of a frame that a machine says.
    pub(super) fn missaid(
        &mut self,
        machine: MachineNo,
        wire: u64,
        frame: &mut Frame,
    ) -> Result<(), Violation> {
        let Frame::Batch(batch) = frame else { return Ok(()) };
        match self.planted {
            Some(Planted::RepairsForgotten) if batch.to.is_none() => batch.items.clear(),
            Some(Planted::HubRebuiltForgetsSealed) if batch.space.is_sealed() => {
                let sides = self.wires.get(&wire).map(|wire| wire.sides.each_ref());
                let ends = sides.into_iter().flatten().map(|side| side.machine);
                if ends.into_iter().any(|end| end != machine && self.machines[end].rebuilt) {
                    batch.items.clear();
                }
            }
            Some(Planted::PlainForSealed)
                if batch.space.is_sealed() && self.weather.one_in(SELDOM) =>
            {
                let Some(site) = &mut self.machines[machine].site else { return Ok(()) };
                let books = site.books();
                for item in &mut batch.items {
                    if let Ok(plain) = books.opened(&batch.space, &item.entry, &item.bytes) {
                        item.bytes = plain;
                    }
                }
            }
            Some(Planted::BelievedSent) => {
                let Some(site) = &mut self.machines[machine].site else { return Ok(()) };
                let head = site.held(&batch.space).head;
                let own = self.wires.get(&wire).map(|wire| wire.sides.each_ref());
                let peer = own.and_then(|ends| ends.into_iter().find(|end| end.machine != machine));
                if let Some(peer) = peer.map(|end| self.machines[end.machine].name.clone())
                    && let Some(site) = &mut self.machines[machine].site
                {
                    site.books().set_acked(&peer, &batch.space, head);
                }
            }
            Some(Planted::SaidToAll) if self.weather.one_in(SELDOM) => {
                for other in self.wires_of(machine) {
                    if other != wire {
                        self.say(machine, other, Frame::Batch(batch.clone()))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Frames and the disk of a machine whose frames leave before the commit that power then
    /// fails in.
    pub(super) fn speak_too_early(
        &mut self,
        machine: MachineNo,
        owed: Owed,
    ) -> Result<(), Violation> {
        let at = &mut self.machines[machine];
        let (disk, views) = (at.disk.copy(), at.views.copy());
        let effects = at.site.as_mut().and_then(|site| site.end_turn().ok());
        self.release_effects(machine, effects.unwrap_or_default(), owed)?;
        self.cut_all(machine);
        let at = &mut self.machines[machine];
        at.drop_site();
        (at.disk, at.views) = (disk, views);
        self.come_back(machine);
        Ok(())
    }

    /// Links that a machine believes in.
    fn wires_of(&self, machine: MachineNo) -> Vec<u64> {
        let life = self.machines[machine].life;
        let knows = |wire: &crate::network::Wire| {
            wire.side_of(machine, life).is_some_and(|side| wire.sides[side].knows)
        };
        self.wires.iter().filter(|(_, wire)| knows(wire)).map(|(number, _)| *number).collect()
    }

    /// The belief that a peer holds what we hold.
    fn blind(&mut self, machine: MachineNo, frame: &mut Frame) {
        let Some(site) = &self.machines[machine].site else { return };
        match frame {
            Frame::Hello(hello) => {
                for state in &mut hello.spaces {
                    state.held = site.held(&state.space).digest;
                }
            }
            Frame::Batch(batch) => batch.held = site.held(&batch.space).digest,
            Frame::Ack(ack) => ack.held = site.held(&ack.space).digest,
            _ => {}
        }
    }

    /// The trust in whatever comes, or in what one rule of the gate is there for.
    fn stage_unjudged(&mut self, machine: MachineNo, batch: &Batch, rule: Option<Refusal>) {
        let Some(site) = &mut self.machines[machine].site else { return };
        let books = site.books();
        for item in batch.items.iter().filter(|item| self.truth.is_crafted(&item.hash)) {
            let half = books.half(&batch.space, &item.entry);
            if half.holds(&item.hash) {
                continue;
            }
            let Ok(change) = gate::parse(&item.bytes, &item.hash) else { continue };
            if rule.is_none_or(|rule| half.doc.check(&change) == Err(rule)) {
                // It fits or not: that is the bug.
                let _ = books.stage_own(&batch.space, &item.entry, &change);
            }
        }
    }

    /// The register that takes in whoever writes.
    fn grant_writers(&mut self, machine: MachineNo, batch: &Batch) {
        let Some(site) = &mut self.machines[machine].site else { return };
        for item in batch.items.iter().filter(|_| !batch.space.is_sealed()) {
            if let Ok(change) = gate::parse(&item.bytes, &item.hash) {
                let (space, author) = (batch.space.clone(), change.actor.author());
                let name = "somebody".to_owned();
                site.books().grant_author(&AuthorGrant { space, author, name });
            }
        }
    }

    /// The hub that mixes up two communities.
    fn file_again(&mut self, machine: MachineNo, batch: &Batch) {
        let Some(site) = &mut self.machines[machine].site else { return };
        let (books, item) = (site.books(), batch.items.first());
        let other = books.heads().map(|(space, _)| space.clone()).find(|space| {
            matches!(space, Space::Open(_)) && *space != batch.space && !batch.space.is_sealed()
        });
        let (Some(space), Some(item)) = (other, item) else { return };
        let Ok(change) = gate::parse(&item.bytes, &item.hash) else { return };
        if books.half(&space, &item.entry).doc.check(&change) == Ok(Fit::Fits) {
            // What cannot be staged is not filed twice.
            let _ = books.stage_own(&space, &item.entry, &change);
        }
    }

    fn follow_clock(&mut self, machine: MachineNo, hello: &Hello) {
        let own_ms = self.machines[machine].wall_ms(self.now_ms);
        let Some(site) = &mut self.machines[machine].site else { return };
        site.set_now(hello.now.millis());
        site.books().tick_clock();
        site.set_now(own_ms);
    }

    /// The comparison of ranges that ends one too early: the last is taken for the same.
    fn skip_last_range(&mut self, machine: MachineNo, told: &mut Ranges) {
        let Some(site) = &mut self.machines[machine].site else { return };
        let Some((byte, digest)) = told.children.last_mut() else { return };
        let prefix = [&told.prefix[..], &[*byte]].concat();
        let hashes: Vec<(ChangeHash, u64)> = site.books().hashes(&told.space);
        let within = hashes.iter().map(|(hash, _)| *hash);
        *digest = within.filter(|hash| hash.0.starts_with(&prefix)).collect();
    }

    /// Puts one frame before a machine's site, as it understands it.
    pub(super) fn feed_frame(
        &mut self,
        machine: MachineNo,
        wire: u64,
        frame: Frame,
        owed: &mut Owed,
    ) {
        if let Frame::Batch(batch) = &frame {
            owed.taken.push((wire, batch.clone()));
        }
        let heard = match self.planted {
            Some(_) => self.misheard(machine, wire, frame, owed),
            None => Some((wire, frame)),
        };
        if let (Some((wire, frame)), Some(site)) = (heard, &mut self.machines[machine].site) {
            site.frame(LinkId(wire), frame);
        }
    }
}
