//! Wires: made, used, broken.

use linli_domain::gate;
use linli_domain::id::PeerName;
use linli_replica::frame::Frame;

use super::{Event, World};
use crate::checkers::{self, Violation};
use crate::machine::{Input, Machine};
use crate::network::{Wire, frame_bytes};
use crate::planted::Planted;
use crate::trace::Told;
use crate::truth::MachineNo;

/// Bytes a road carries in a millisecond, beside its delay.
const BYTES_PER_MS: u64 = 200;
/// One frame in so many is lost by the planted bug.
const LOST_ONE_IN: u32 = 40;

impl World {
    /// Makes a wire if the dialler has none and the road is free.
    pub(super) fn dial(&mut self, road: usize) {
        let longest = if self.peace_since.is_some() { 900 } else { 3_000 };
        let again = self.weather.between(300, longest);
        self.plan(again, Event::Dial { road });
        self.call(road);
    }

    /// As [`Self::dial`], once.
    pub(super) fn call(&mut self, road: usize) {
        let ends = self.roads[road].ends;
        let lives = ends.map(|machine| self.machines[machine].life);
        let free = self.roads[road].blocked_until <= self.now_ms;
        let up = ends.iter().all(|machine| self.machines[*machine].is_up());
        let hostile = ends.iter().any(|machine| self.machines[*machine].hostile);
        let connected = self
            .wires
            .values()
            .any(|wire| wire.road == road && wire.sides[0].knows && wire.sides[0].life == lives[0]);
        if !free || !up || connected || (hostile && self.peace_since.is_some()) {
            return;
        }
        if self.is_shut(road) {
            self.trace.count("links refused to machines shut out");
            return;
        }
        self.wires_made += 1;
        let number = self.wires_made;
        let mut wire = Wire::new(road, [(ends[0], lives[0]), (ends[1], lives[1])], self.now_ms);
        wire.tampered = hostile;
        if self.faults.replays && self.peace_since.is_none() && self.weather.one_in(3) {
            wire.replays = [0, 1].map(|_| self.weather.between(0, 3) as usize);
        }
        let names = ends.map(|machine| self.machines[machine].name.clone());
        self.trace.say(self.now_ms, format_args!("wire {number}: {} - {}", names[0], names[1]));
        self.trace.count("links");
        self.wires.insert(number, wire);
        for side in 0..2 {
            if self.machines[ends[side]].hostile {
                let hello = self.mallory.hello(&names[side]);
                self.carry(number, side, hello);
            } else {
                let peer = self.name_told(ends[side], names[1 - side].clone());
                self.give(ends[side], Input::Up { wire: number, peer });
            }
        }
    }

    /// Whether one end has shut the other out: its handshakes are refused.
    pub(super) fn is_shut(&self, road: usize) -> bool {
        let ends = self.roads[road].ends.map(|end| &self.machines[end]);
        let shuts = |one: &Machine, other: &Machine| {
            one.site.as_ref().is_some_and(|site| site.shut_out().contains(&other.name))
        };
        shuts(ends[0], ends[1]) || shuts(ends[1], ends[0])
    }

    /// Ends what stands with machines that were shut out.
    pub(super) fn follow_shut_out(&mut self, machine: MachineNo) {
        let site = self.machines[machine].site.as_mut();
        if site.and_then(linli_runtime::site::Site::take_shut_out).is_none() {
            return;
        }
        let ended: Vec<u64> = self
            .wires
            .iter()
            .filter(|(_, wire)| self.is_shut(wire.road))
            .map(|(n, _)| *n)
            .collect();
        for wire in ended {
            self.cut(wire, true);
        }
    }

    /// Who a machine takes the other end for.
    fn name_told(&self, me: MachineNo, peer: PeerName) -> PeerName {
        let fooled = self.planted == Some(Planted::WrongCertificate)
            && self.machines[me].name.community.is_none()
            && peer.machine.as_str() == "desk2";
        if !fooled {
            return peer;
        }
        let other = self.communities.iter().find(|id| Some(*id) != peer.community.as_ref());
        PeerName { community: other.cloned(), ..peer }
    }

    /// Checks and carries what a machine says on a wire; a wire it has left swallows it.
    pub(super) fn say(
        &mut self,
        machine: MachineNo,
        number: u64,
        frame: Frame,
    ) -> Result<(), Violation> {
        let life = self.machines[machine].life;
        let Some(wire) = self.wires.get_mut(&number) else { return Ok(()) };
        let Some(side) = wire.side_of(machine, life).filter(|side| wire.sides[*side].knows) else {
            return Ok(());
        };
        let other = wire.sides[1 - side].machine;
        let (me, peer) = (&self.machines[machine].name, &self.machines[other].name);
        self.trace.say(self.now_ms, format_args!("{me} to {peer} on {number}: {}", Told(&frame)));
        checkers::frame_isolated([me, peer], &frame)?;
        checkers::frame_sealed(&frame, &format!("a frame from {me} to {peer}"))?;
        if let Frame::Batch(batch) = &frame {
            let under_way = wire.sides[side].under_way.entry(batch.space.clone()).or_default();
            *under_way += 1;
            if !wire.tampered {
                checkers::flight_bounded(me, &batch.space, *under_way)?;
            }
        }
        self.carry(number, side, frame);
        Ok(())
    }

    /// Puts a frame from one side of a wire on its way to the other.
    pub(super) fn carry(&mut self, number: u64, from: usize, frame: Frame) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if wire.cut {
            return;
        }
        let (least, most) = self.roads[wire.road].pace_ms;
        let takes = self.weather.between(least, most) + frame_bytes(&frame) / BYTES_PER_MS;
        let to = &mut wire.sides[1 - from];
        let at = (self.now_ms + takes).max(to.last_at);
        to.last_at = at;
        to.coming.push_back(frame);
        self.plan(at - self.now_ms, Event::Arrive { wire: number, side: 1 - from });
    }

    /// The next frame reaches one end.
    pub(super) fn arrive(&mut self, number: u64, side: usize) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let road = wire.road;
        let to = &mut wire.sides[side];
        let Some(frame) = to.coming.pop_front() else { return };
        let (machine, life, knows) = (to.machine, to.life, to.knows);
        if !knows || self.machines[machine].life != life {
            return;
        }
        self.trace.count("frames");
        if self.slips(Planted::LostFrame, LOST_ONE_IN) {
            return;
        }
        if self.machines[machine].hostile {
            if let Some(answer) = self.mallory.hear(&frame) {
                self.carry(number, side, answer);
            }
            return;
        }
        if let Frame::Ack(ack) = &frame
            && let Some(wire) = self.wires.get_mut(&number)
            && let Some(under_way) = wire.sides[side].under_way.get_mut(&ack.space)
        {
            *under_way = under_way.saturating_sub(1);
        }
        let is_hello = matches!(frame, Frame::Hello(_));
        self.roads[road].remember(side, &frame);
        if self.slips(Planted::DoubledFrame, LOST_ONE_IN) {
            self.give(machine, Input::Frame { wire: number, frame: frame.clone() });
        }
        self.give(machine, Input::Frame { wire: number, frame });
        if is_hello {
            for frame in std::mem::take(&mut self.roads[road].late[side]) {
                self.give(machine, Input::Frame { wire: number, frame });
            }
            self.replay(number, road, side);
        }
    }

    /// Tells one end what was said to it on earlier wires, as if it were new.
    fn replay(&mut self, number: u64, road: usize, side: usize) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let machine = wire.sides[side].machine;
        let many = std::mem::take(&mut wire.replays[side]);
        for _ in 0..many {
            let past = self.roads[road].past[side].iter();
            let past: Vec<Frame> =
                past.filter(|frame| !self.forges_what_is_lost(machine, frame)).cloned().collect();
            let Some(frame) = self.weather.pick(&past).cloned() else { return };
            if let Some(wire) = self.wires.get_mut(&number) {
                wire.tampered = true;
            }
            self.trace.say(self.now_ms, format_args!("replayed on {number}: {}", Told(&frame)));
            self.trace.count("frames replayed");
            self.give(machine, Input::Frame { wire: number, frame });
        }
    }

    /// Whether a frame holds another version of a change that the machine has not, or no longer.
    /// Changes are not signed one by one: only who has the first knows the second for a forgery.
    fn forges_what_is_lost(&self, machine: MachineNo, frame: &Frame) -> bool {
        let Frame::Batch(batch) = frame else { return false };
        let held = &self.machines[machine].held;
        batch.items.iter().filter(|item| self.truth.is_crafted(&item.hash)).any(|item| {
            let Ok(change) = gate::parse(&item.bytes, &item.hash) else { return false };
            let (actor, seq) = (change.actor, change.seq);
            let first = self.truth.numbered(&batch.space, &item.entry, actor, seq);
            first.is_some_and(|first| !held.contains(&first))
        })
    }

    /// Breaks a wire: what is on it is lost, and each end learns of it some time later.
    pub(super) fn cut(&mut self, number: u64, at_once: bool) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        if std::mem::replace(&mut wire.cut, true) {
            return;
        }
        let mut lost = 0;
        for (side, late) in wire.sides.iter_mut().zip(&mut self.roads[wire.road].late) {
            lost += side.coming.len() as u64;
            if self.planted == Some(Planted::DeadLinkFrames) {
                late.extend(
                    side.coming.drain(..).filter(|frame| !matches!(frame, Frame::Hello(_))),
                );
            }
            side.coming.clear();
        }
        let knows = [0, 1].map(|side: usize| wire.sides[side].knows);
        self.trace.say(self.now_ms, format_args!("wire {number} is cut, {lost} frames lost"));
        self.trace.count("links cut");
        self.trace.count_by("frames lost", lost);
        for (side, knows) in knows.into_iter().enumerate() {
            if knows {
                // A silent connection is found out by keepalive only.
                let silent = !at_once && self.weather.one_in(4);
                let wait = self.weather.between(1, if silent { 20_000 } else { 50 });
                self.plan(wait, Event::Notice { wire: number, side });
            }
        }
        self.forget(number);
    }

    /// One end learns that its wire is gone.
    pub(super) fn notice(&mut self, number: u64, side: usize) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let end = &mut wire.sides[side];
        let (machine, life) = (end.machine, end.life);
        let knew = std::mem::replace(&mut end.knows, false);
        let deaf = self.slips(Planted::LinkNeverLetGo, 6);
        if knew && !deaf && self.machines[machine].life == life && !self.machines[machine].hostile {
            self.give(machine, Input::Down { wire: number });
        }
        self.forget(number);
    }

    /// A wire that nobody knows of is no more.
    fn forget(&mut self, number: u64) {
        if self.wires.get(&number).is_some_and(|wire| wire.sides.iter().all(|side| !side.knows)) {
            self.wires.remove(&number);
        }
    }

    /// Every wire of a machine that has stopped.
    pub(super) fn cut_all(&mut self, machine: MachineNo) {
        let life = self.machines[machine].life;
        let own: Vec<(u64, usize)> = self
            .wires
            .iter()
            .filter_map(|(number, wire)| Some((*number, wire.side_of(machine, life)?)))
            .collect();
        for (number, side) in own {
            if let Some(wire) = self.wires.get_mut(&number) {
                wire.sides[side].knows = false;
            }
            self.cut(number, false);
        }
    }

    /// Every wire on a road.
    pub(super) fn cut_road(&mut self, road: usize) {
        let on: Vec<u64> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.road == road)
            .map(|(number, _)| *number)
            .collect();
        for number in on {
            self.cut(number, false);
        }
    }
}
