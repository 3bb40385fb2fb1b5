//! Files that somebody carries from desk to desk: repeated, late, in no order, read in part.
//!
//! What a file is said to have brought must be there, and where a desk says that it has read all
//! that another held, it has. It refuses to look into the file: sealing and signature are not of
//! this world.

use std::collections::BTreeSet;

use linli_domain::id::{ChangeHash, PeerName, Role, Space};
use linli_replica::frame::Frame;
use linli_replica::holdings::Holdings as _;
use linli_runtime::ask::{Answer, Ask, BundleOpened, BundleSaid, BundleStretch};
use linli_runtime::bundle::frame_of;

use super::World;
use super::turns::Owed;
use crate::checkers::{Checker, Violation};
use crate::machine::{Input, Machine};
use crate::planted::Planted;
use crate::truth::MachineNo;

/// Files that lie about; the oldest is lost first.
const STICKS_MAX: usize = 12;

/// A file.
pub(super) struct Stick {
    maker: PeerName,
    opened: BundleOpened,
    batches: Vec<(Space, String)>,
    /// What its maker held.
    held: Vec<(Space, BTreeSet<ChangeHash>)>,
}

/// What a turn has done with files, to be told once it is durable.
pub(super) enum Carried {
    /// One was made.
    Made(Stick),
    /// Everything of these was settled, but for what was refused.
    Taken(Vec<ChangeHash>, BTreeSet<String>),
    /// The desk says that it has read all that the maker held.
    Complete(PeerName, Space, BTreeSet<ChangeHash>),
}

impl World {
    /// Lets a desk make a file, or take one that lies about.
    pub(super) fn use_stick(&mut self) {
        let is_desk = |at: &Machine| {
            at.enrolled && !at.hostile && at.site.is_some() && at.name.role() == Role::Node
        };
        let desks: Vec<MachineNo> =
            (0..self.machines.len()).filter(|no| is_desk(&self.machines[*no])).collect();
        let Some(desk) = self.carrier.pick(&desks).copied() else { return };
        let name = &self.machines[desk].name;
        let others = |maker: &PeerName| maker != name && maker.community == name.community;
        let near: Vec<usize> =
            (0..self.sticks.len()).filter(|at| others(&self.sticks[*at].maker)).collect();
        let taken = self.carrier.pick(&near).copied().filter(|_| self.carrier.percent(60));
        let input = match taken {
            Some(stick) => {
                let all = self.sticks[stick].batches.len();
                let cut = if self.carrier.percent(20) { self.carrier.place(all + 1) } else { all };
                Input::TakeStick { stick, cut }
            }
            None => {
                let peers: Vec<PeerName> =
                    self.machines.iter().map(|at| at.name.clone()).filter(others).collect();
                let reader = self.carrier.pick(&peers).cloned();
                Input::MakeStick { reader: reader.filter(|_| self.carrier.percent(60)) }
            }
        };
        self.give(desk, input);
    }

    /// A desk makes a file.
    pub(super) fn make_stick(
        &mut self,
        desk: MachineNo,
        reader: Option<&PeerName>,
        owed: &mut Owed,
    ) {
        let Some(site) = &mut self.machines[desk].site else { return };
        let reader = reader.map(|reader| reader.machine.clone());
        // A desk that it does not know yet is answered with trouble: then nothing is made.
        let Answer::BundleOpened(opened) =
            site.ask(Ask::BundleOpen { reader: reader.clone(), since: None })
        else {
            return;
        };
        let (mut batches, mut held) = (Vec::new(), Vec::new());
        for BundleStretch { space, after, until, .. } in &opened.stretches {
            let mut after = *after;
            loop {
                let (reader, at) = (reader.clone(), space.clone());
                let page = site.ask(Ask::BundleRead { reader, space: at, after, until: *until });
                let Answer::BundlePage { frame: Some(frame), after: next, .. } = page else {
                    break;
                };
                batches.push((space.clone(), frame));
                after = next;
            }
            let hashes = site.books().hashes(space).into_iter().map(|(hash, _)| hash);
            held.push((space.clone(), hashes.collect()));
        }
        let maker = site.me().clone();
        owed.carried.push(Carried::Made(Stick { maker, opened, batches, held }));
    }

    /// A desk takes a file, or the first batches of it.
    pub(super) fn take_stick(
        &mut self,
        desk: MachineNo,
        stick: usize,
        cut: usize,
        owed: &mut Owed,
    ) {
        let believes = self.plants(Planted::BundleCursorBelieved);
        let Some(Stick { maker, opened, batches, held }) = self.sticks.get(stick) else { return };
        let Some(site) = &mut self.machines[desk].site else { return };
        let mut places: Vec<(Space, u64, bool)> = Vec::new();
        for BundleStretch { space, after, .. } in &opened.stretches {
            places.push((space.clone(), *after, true));
        }
        for (space, text) in batches.iter().take(cut) {
            let Some(Frame::Batch(batch)) = frame_of(text) else { continue };
            let ask = Ask::BundleTake { from: maker.clone(), frame: text.clone() };
            let Answer::BundleTaken(told) = site.ask(ask) else { return };
            let whole = told.missing + told.later + told.lost == 0;
            for (at, place, settled) in &mut places {
                if at == space {
                    *place = batch.to.map_or(0, |to| to.seq);
                    *settled &= whole;
                }
            }
            if whole {
                let refused = told.refused.into_iter().map(|one| one.hash).collect();
                let hashes = batch.items.iter().map(|item| item.hash).collect();
                owed.carried.push(Carried::Taken(hashes, refused));
            }
        }
        if cut < batches.len() && !believes {
            return;
        }
        let me = site.me().clone();
        let said = |to: Option<&PeerName>| opened.said.iter().find(|it| it.to.as_ref() == to);
        let to_me = said(Some(&me)).is_some();
        let Some(BundleSaid { frame, .. }) = said(Some(&me)).or_else(|| said(None)) else { return };
        let Some(Frame::Hello(hello)) = frame_of(frame) else { return };
        let head = |space: &Space| {
            hello.spaces.iter().find(|told| told.space == *space).map_or(0, |told| told.head)
        };
        let whole = places
            .iter()
            .filter(|(space, place, settled)| believes || *settled && *place >= head(space));
        let ask = Ask::BundleClose {
            from: maker.clone(),
            hello: frame.clone(),
            to_me,
            begins: opened.stretches.iter().map(|it| it.begins.clone()).collect(),
            whole: whole.map(|(space, _, _)| space.clone()).collect(),
        };
        let Answer::BundleClosed { spaces } = site.ask(ask) else { return };
        for told in spaces.into_iter().filter(|told| told.complete) {
            let all = held.iter().find(|(space, _)| *space == told.space);
            let all = all.map(|(_, all)| all.clone()).unwrap_or_default();
            owed.carried.push(Carried::Complete(maker.clone(), told.space, all));
        }
    }

    /// Tells what became of files, and holds it against the journal.
    pub(super) fn release_carried(
        &mut self,
        desk: MachineNo,
        owed: &mut Owed,
    ) -> Result<(), Violation> {
        for carried in owed.carried.drain(..) {
            match carried {
                Carried::Made(stick) => {
                    if self.sticks.len() == STICKS_MAX {
                        self.sticks.remove(0);
                    }
                    self.sticks.push(stick);
                    self.trace.count("files made");
                }
                Carried::Taken(hashes, refused) => {
                    self.trace.count("batches of files taken");
                    for hash in hashes.into_iter().filter(|it| !refused.contains(&it.to_string())) {
                        self.truth.promise(desk, hash);
                        if !self.machines[desk].held.contains(&hash) {
                            let name = &self.machines[desk].name;
                            let text =
                                format!("{name} says it took {hash} of a file, and lacks it");
                            return Err(Violation::new(Checker::Durable, text));
                        }
                    }
                }
                Carried::Complete(maker, space, all) => {
                    self.trace.count("spaces read whole");
                    // A file of one life looks to who has read the other like an older one of the
                    // same: they share name and epoch. A link shows it.
                    if self.machines.iter().any(|at| at.name == maker && at.other_life) {
                        continue;
                    }
                    let at = &mut self.machines[desk];
                    let Some(site) = &mut at.site else { continue };
                    // What was refused for good is told by its digest; a file of a hostile desk's
                    // changes may hold some.
                    let refused = site.books().refused_from(&maker, &space);
                    let lacks = all.iter().filter(|hash| !at.held.contains(*hash)).count() as u64;
                    if lacks > refused.count {
                        let name = &at.name;
                        let text = format!(
                            "{name} says that it has read all of {space} at {maker}, and lacks {lacks}"
                        );
                        return Err(Violation::new(Checker::Durable, text));
                    }
                }
            }
        }
        Ok(())
    }
}
