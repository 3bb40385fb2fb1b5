//! The world of one seed: machines, roads, people, and a queue of what happens when.
//!
//! Everything happens in the order of (time, number). It refuses real time, threads and files.

mod apart;
mod careless;
mod damage;
mod faults;
mod follow;
mod herd;
mod links;
mod lives;
mod members;
mod peace;
mod sticks;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use linli_domain::id::{CommunityId, PeerName, Role};
use linli_domain::seal::{CommunityKey, KeyRing};
use linli_store::CrashKeep;

pub(crate) use apart::again;
use damage::Found;
pub(crate) use follow::Open;

use crate::chance::Chance;
use crate::checkers::{Checker, Violation};
use crate::hostile::Mallory;
use crate::machine::{Input, Machine, NoStart};
use crate::network::{Road, Wire};
use crate::people::People;
use crate::plan::{Faults, Plan};
use crate::planted::Planted;
use crate::trace::Trace;
use crate::truth::{MachineNo, Truth};
use crate::{Definitions, Options};

/// The world of one seed.
pub(crate) struct World {
    pub(crate) machines: Vec<Machine>,
    pub(crate) communities: Vec<CommunityId>,
    pub(crate) roads: Vec<Road>,
    pub(crate) wires: BTreeMap<u64, Wire>,
    pub(crate) truth: Truth,
    pub(crate) trace: Trace,
    pub(crate) planted: Option<Planted>,
    faults: Faults,
    pause_ms: u64,
    steps_left: u32,
    /// Faults are over; when this began.
    peace_since: Option<u64>,
    pub(crate) people: People,
    mallory: Mallory,
    now_ms: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    wires_made: u64,
    /// Names of which somebody has said that two journals go under them.
    pub(crate) doubled: BTreeSet<PeerName>,
    /// Machines on copied disks were linked once more after all had settled.
    linked_again: bool,
    /// The newest version of the pack that hubs publish.
    pack_version: u64,
    /// A journal has rotted: others keep what it lost, and must not lose it, too.
    rotted: bool,
    /// For delays and breaks of the network.
    weather: Chance,
    /// For what happens next.
    fate: Chance,
    /// Files that lie about.
    sticks: Vec<sticks::Stick>,
    /// Somebody carries files; a chance of its own leaves all other worlds as they were.
    carries: bool,
    carrier: Chance,
    /// For acts and faults that came later.
    keeper: Chance,
    /// Desks that somebody has taken off a list.
    lost: BTreeSet<PeerName>,
    large: bool,
    herd: Option<herd::Herd>,
}

/// Acts and faults of a large world, for each of another.
const STEPS_OF_LARGE: u32 = 4;

/// What happens at a moment.
#[derive(Debug)]
enum Event {
    /// The next act or fault.
    Step,
    /// Someone looks whether a wire can be made.
    Dial { road: usize },
    /// Someone dials at once.
    Call { road: usize },
    /// A frame reaches an end.
    Arrive { wire: u64, side: usize },
    /// An end learns that its wire is gone.
    Notice { wire: u64, side: usize },
    /// A machine takes a turn.
    Turn { machine: MachineNo },
    /// A machine's second is over.
    Second { machine: MachineNo, life: u64 },
    /// A machine is switched on.
    Start { machine: MachineNo },
    /// Is everybody done?
    Peace,
}

impl World {
    pub(crate) fn new(seed: u64, options: &Options, definitions: &Definitions) -> Self {
        let plan = Plan::draw(seed);
        let mut keys = Chance::new(seed, 2);
        let communities = plan.communities();
        let rings: BTreeMap<&CommunityId, KeyRing> = communities
            .iter()
            .map(|id| {
                let key = CommunityKey { epoch: 1, secret: keys.bytes() };
                (id, KeyRing::new(keys.bytes(), key))
            })
            .collect();
        let leaky = (options.planted == Some(Planted::OpenPersonal))
            .then(|| Arc::new(crate::packs::leaky()));
        let mut machines: Vec<Machine> = Vec::new();
        for (no, machine) in plan.machines.iter().enumerate() {
            let mut ring = machine.name.community.as_ref().and_then(|id| rings.get(id)).cloned();
            let mut has_ring = machine.has_ring;
            if options.planted == Some(Planted::KeyAtTheHub) && no == 0 {
                (ring, has_ring) = (rings.values().next().cloned(), true);
            }
            let ring = ring.filter(|_| has_ring);
            let own = if machine.newer { &definitions.newer } else { &definitions.now };
            let registry = leaky.as_ref().filter(|_| no == 1).unwrap_or(own).clone();
            let chance = Chance::new(seed, 100 + no as u64);
            machines.push(Machine::new(machine, ring, chance, registry));
        }
        let mallory = plan.machines.iter().position(|machine| machine.hostile);
        let carries = plan.faults.sticks;
        let roads = plan.roads.iter().map(|ends| Road::new(*ends)).collect();
        Self {
            machines,
            roads,
            wires: BTreeMap::new(),
            truth: Truth::default(),
            trace: Trace::default(),
            planted: options.planted,
            faults: plan.faults,
            pause_ms: plan.pause_ms,
            steps_left: options.steps * if plan.large { STEPS_OF_LARGE } else { 1 },
            peace_since: None,
            people: People::new(Chance::new(seed, 3)),
            mallory: Mallory::new(mallory, Chance::new(seed, 4)),
            now_ms: 0,
            queue: BTreeMap::new(),
            queued: 0,
            wires_made: 0,
            doubled: BTreeSet::new(),
            linked_again: false,
            pack_version: 1,
            rotted: false,
            weather: Chance::new(seed, 5),
            fate: Chance::new(seed, 6),
            sticks: Vec::new(),
            carries: options.sticks
                || carries
                || options.planted == Some(Planted::BundleCursorBelieved),
            carrier: Chance::new(seed, 8),
            keeper: Chance::new(seed, 10),
            lost: BTreeSet::new(),
            large: plan.large,
            herd: None,
            communities,
        }
    }

    /// Lives until peace, or the first violation.
    pub(crate) fn live(&mut self) -> Result<(), Violation> {
        for machine in 0..self.machines.len() {
            if self.machines[machine].enrolled && !self.machines[machine].hostile {
                self.start(machine)?;
            }
        }
        for road in 0..self.roads.len() {
            let at = self.weather.between(1, 2_000);
            self.plan(at, Event::Dial { road });
        }
        self.plan(self.pause_ms, Event::Step);
        while let Some(((now_ms, _), event)) = self.queue.pop_first() {
            self.now_ms = now_ms;
            if self.happen(event)? {
                return self.settle();
            }
        }
        Err(Violation::new(Checker::Live, "nothing happens any more"))
    }

    /// True once there is peace.
    fn happen(&mut self, event: Event) -> Result<bool, Violation> {
        match event {
            Event::Step => self.next_step()?,
            Event::Dial { road } => self.dial(road),
            Event::Call { road } => self.call(road),
            Event::Arrive { wire, side } => self.arrive(wire, side),
            Event::Notice { wire, side } => self.notice(wire, side),
            Event::Turn { machine } => self.turn(machine)?,
            Event::Second { machine, life } => self.second(machine, life),
            Event::Start { machine } => self.start(machine)?,
            Event::Peace => return self.is_peace(),
        }
        Ok(false)
    }

    /// Lets an event happen so many milliseconds from now.
    fn plan(&mut self, in_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now_ms + in_ms, self.queued), event);
    }

    /// One act or fault, and the next one after a while.
    fn next_step(&mut self) -> Result<(), Violation> {
        if self.steps_left == 0 {
            return self.make_peace();
        }
        self.steps_left -= 1;
        if self.fate.percent(70) {
            let machine = self.fate.place(self.machines.len());
            self.give(machine, Input::Person);
        } else {
            self.break_something()?;
        }
        if self.carries && self.carrier.one_in(3) {
            self.use_stick();
        }
        if self.faults.members {
            self.lose_desk();
        }
        if self.faults.apart {
            self.work_apart();
        }
        if self.faults.unsure {
            self.plan_unsure();
        }
        let pause = self.fate.between(1, 2 * self.pause_ms);
        self.plan(pause, Event::Step);
        Ok(())
    }

    fn second(&mut self, machine: MachineNo, life: u64) {
        let dead = self.plants(Planted::DeadTimer) && life > 1;
        if !dead && self.machines[machine].site.is_some() && self.machines[machine].life == life {
            self.give(machine, Input::Tick);
            self.plan(1_000, Event::Second { machine, life });
        }
    }

    /// Puts something before a machine, and lets it take a turn soon.
    fn give(&mut self, machine: MachineNo, input: Input) {
        let to = &mut self.machines[machine];
        if to.site.is_none() {
            return;
        }
        to.inbox.push_back(input);
        if !std::mem::replace(&mut to.turn_planned, true) {
            // The commit before this one may still be on its way to the disk.
            let wait = self.weather.between(0, self.machines[machine].disk_ms);
            self.plan(wait, Event::Turn { machine });
        }
    }

    /// Switches a machine on, and tells a hub who is enrolled.
    fn start(&mut self, machine: MachineNo) -> Result<(), Violation> {
        if self.machines[machine].site.is_some() {
            return Ok(());
        }
        let (now_ms, planted) = (self.now_ms, self.planted);
        let starting = &mut self.machines[machine];
        starting.enrolled = true;
        let outcome = starting.start(now_ms, planted);
        let (name, life) = (starting.name.clone(), starting.life);
        self.trace.say(now_ms, format_args!("{name} starts, life {life}"));
        self.trace.count("starts");
        match outcome {
            Ok(()) => {}
            Err(NoStart::Disk) => {
                // It may have cut a tail off before the disk failed.
                self.machines[machine].tail_cut = true;
                self.trace.count("starts that failed");
                self.machines[machine].disk.crash(CrashKeep::Everything);
                self.come_back(machine);
                return Ok(());
            }
            Err(NoStart::Damaged(_)) if self.machines[machine].rotten => {
                return self.salvage(machine);
            }
            Err(NoStart::Broken(error) | NoStart::Damaged(error)) => {
                let text = format!("{name} does not start: {error}");
                return Err(Violation::new(Checker::Sound, text));
            }
        }
        if self.machines[machine].rotten {
            match self.finds_rot(machine)? {
                Found::Damage => return self.salvage(machine),
                Found::Cut => self.let_off(machine)?,
                Found::Nothing => {}
            }
            self.machines[machine].rotten = false;
        }
        self.read_journal(machine, false)?;
        self.keeps_promises(machine)?;
        self.plan(self.now_ms % 1_000 + 1, Event::Second { machine, life });
        if self.machines[machine].again.is_some() {
            self.give(machine, Input::Again);
        }
        if name.role() == Role::StreetHub {
            self.give(machine, Input::Enrolled);
        }
        Ok(())
    }

    /// A number that follows from all that happened so far.
    pub(crate) fn trace_len(&self) -> u64 {
        self.queued
    }

    /// Machines of a hub's street that are enrolled.
    fn register_of(&self, hub: MachineNo) -> Vec<PeerName> {
        let street = &self.machines[hub].name.street;
        self.machines
            .iter()
            .filter(|machine| machine.enrolled && machine.name.street == *street)
            .filter(|machine| machine.name.role() == Role::Node)
            .map(|machine| machine.name.clone())
            .collect()
    }
}
