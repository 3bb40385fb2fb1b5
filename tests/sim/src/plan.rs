//! The shape of a world, drawn from its seed: who is there, who can reach whom, and what will go
//! wrong.
//!
//! Not every fault is on in every world: some bugs only show when the rest is quiet.

use linli_domain::id::{CommunityId, PeerName, Role};

use crate::chance::Chance;
use crate::truth::MachineNo;

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The streets of a district.
const STREETS: [&str; 3] = ["s1", "s2", "s3"];
/// Communities of the largest world.
const COMMUNITIES_MAX: u64 = 21;
/// So many of a hundred worlds have three streets full of communities.
const LARGE_PERCENT: u64 = 3;

/// The shape of a world.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) machines: Vec<MachinePlan>,
    /// Who can dial whom: dialler first.
    pub(crate) roads: Vec<(MachineNo, MachineNo)>,
    pub(crate) faults: Faults,
    /// Average milliseconds between two acts or faults.
    pub(crate) pause_ms: u64,
    /// Three streets full of communities.
    pub(crate) large: bool,
}

/// One machine as planned.
#[derive(Debug)]
pub(crate) struct MachinePlan {
    pub(crate) name: PeerName,
    /// A desk that founded its community, or was approved before the world begins.
    pub(crate) has_ring: bool,
    /// Joins while the world runs.
    pub(crate) late: bool,
    /// Founded its community, and begins the member list there.
    pub(crate) founds: bool,
    /// Follows no rule.
    pub(crate) hostile: bool,
    /// Its wall clock against true time.
    pub(crate) clock_off_ms: i64,
    /// What a hub takes from one desk in a day; 0 for all.
    pub(crate) node_bytes_per_day: u64,
    /// Its program is a later release.
    pub(crate) newer: bool,
}

/// Which kinds of trouble a world has.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) crashes: bool,
    pub(crate) disks: bool,
    pub(crate) restores: bool,
    pub(crate) views: bool,
    pub(crate) partitions: bool,
    pub(crate) slow: bool,
    pub(crate) clocks: bool,
    pub(crate) replays: bool,
    pub(crate) rot: bool,
    pub(crate) broken_views: bool,
    pub(crate) absences: bool,
    /// A disk is copied, and two machines run on.
    pub(crate) copies: bool,
    /// A hub is lost for good, and made anew from its desks.
    pub(crate) rebuilds: bool,
    /// Hubs publish packs, and some machines have a later release.
    pub(crate) definitions: bool,
    /// Somebody carries files between desks of a community.
    pub(crate) sticks: bool,
    /// Communities have member lists, and lose desks.
    pub(crate) members: bool,
    /// Two desks that are cut off from each other work on one thing.
    pub(crate) apart: bool,
    /// Commits of which nobody hears what became of them.
    pub(crate) unsure: bool,
}

impl Plan {
    /// Communities are named after their street, so that a checker needs no register.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let mut later = Chance::new(seed, 8);
        let mut latest = Chance::new(seed, 9);
        let faults = Faults {
            crashes: chance.percent(75),
            disks: chance.percent(50),
            restores: chance.percent(45),
            views: chance.percent(50),
            partitions: chance.percent(75),
            slow: chance.percent(50),
            clocks: chance.percent(50),
            replays: chance.percent(25),
            rot: false,
            broken_views: chance.percent(30),
            absences: chance.percent(30),
            copies: later.percent(30),
            rebuilds: later.percent(30),
            definitions: later.percent(12),
            sticks: latest.percent(12),
            members: latest.percent(25),
            apart: latest.percent(40),
            unsure: latest.percent(40),
        };
        let faults = Faults { rot: !faults.restores && chance.percent(60), ..faults };
        let pause_ms = chance.one_of(&[40, 120, 300]);
        let (machines, roads) = (Vec::new(), Vec::new());
        let mut plan = Self { machines, roads, faults, pause_ms, large: false };
        let communities = match chance.between(0, 9) {
            0..=5 => 2,
            6..=8 => 3,
            _ => 4,
        };
        let shares = match chance.between(0, 99) {
            0..LARGE_PERCENT => {
                plan.large = true;
                let most = COMMUNITIES_MAX / STREETS.len() as u64;
                STREETS.map(|_| chance.between(3, most) as usize)
            }
            LARGE_PERCENT..27 => [communities, 1, 0],
            _ => [communities, 0, 0],
        };
        let mut first = 0;
        for (street, share) in STREETS.into_iter().zip(shares).filter(|(_, share)| *share > 0) {
            plan.street([&mut chance, &mut latest], street, first, share);
            first += share;
        }
        if first > communities {
            let hubs: Vec<MachineNo> = plan.all(Role::StreetHub).collect();
            let district = plan.add("d/-/-/hub");
            plan.roads.extend(hubs.into_iter().map(|hub| (hub, district)));
        }
        if plan.faults.clocks {
            for machine in &mut plan.machines {
                machine.clock_off_ms = draw_clock(&mut chance);
            }
        }
        for machine in plan.machines.iter_mut().filter(|_| plan.faults.definitions) {
            machine.newer = later.one_in(3);
        }
        plan.quotas(&mut Chance::new(seed, 7));
        plan
    }

    /// In some worlds the first hub takes little from each desk.
    fn quotas(&mut self, chance: &mut Chance) {
        if chance.one_in(4) {
            self.machines[0].node_bytes_per_day = chance.between(2_000, 30_000);
        }
    }

    /// `more` decides what came later, so that all other worlds stay as they were.
    fn street(
        &mut self,
        [chance, more]: [&mut Chance; 2],
        street: &str,
        first: usize,
        communities: usize,
    ) {
        let hub = self.add(&format!("d/{street}/-/hub"));
        for community in first..first + communities {
            // A list is for desks beside one another.
            let further = if self.faults.members { more.between(0, 2) } else { 0 };
            let desks = (chance.between(1, 3) + further) as usize;
            let own: Vec<MachineNo> = (1..=desks)
                .map(|desk| self.add(&format!("d/{street}/{street}-c{community}/desk{desk}")))
                .collect();
            for (nth, &desk) in own.iter().enumerate() {
                self.machines[desk].founds = nth == 0 && self.faults.members;
                self.machines[desk].has_ring = nth == 0 || chance.percent(70);
                self.machines[desk].late = nth > 0 && chance.percent(25);
                self.roads.push((desk, hub));
                for &other in &own[..nth] {
                    if chance.percent(60) {
                        self.roads.push((desk, other));
                    }
                }
            }
        }
        if street == "s1" && chance.percent(45) {
            let hostile = self.add(&format!("d/{street}/{street}-c{first}/mallory"));
            self.machines[hostile].hostile = true;
            self.roads.push((hostile, hub));
            if chance.percent(50) {
                self.roads.push((hostile, hub + 1));
            }
        }
    }

    fn add(&mut self, name: &str) -> MachineNo {
        self.machines.push(MachinePlan {
            name: PeerName::parse(name).expect("the plan writes valid names"),
            has_ring: false,
            late: false,
            founds: false,
            hostile: false,
            clock_off_ms: 0,
            node_bytes_per_day: 0,
            newer: false,
        });
        self.machines.len() - 1
    }

    fn all(&self, role: Role) -> impl Iterator<Item = MachineNo> + '_ {
        let is = move |(_, machine): &(usize, &MachinePlan)| machine.name.role() == role;
        self.machines.iter().enumerate().filter(is).map(|(no, _)| no)
    }

    /// The communities, in order, each once.
    pub(crate) fn communities(&self) -> Vec<CommunityId> {
        let mut communities: Vec<CommunityId> =
            self.machines.iter().filter_map(|machine| machine.name.community.clone()).collect();
        communities.sort_unstable();
        communities.dedup();
        communities
    }
}

/// A wall clock's error: mostly small, sometimes years.
pub(crate) fn draw_clock(chance: &mut Chance) -> i64 {
    let sign = if chance.one_in(2) { 1 } else { -1 };
    let off = match chance.between(0, 5) {
        0 | 1 => 0,
        2 => chance.between(0, 120_000) as i64,
        3 => chance.between(0, 10) as i64 * DAY_MS,
        4 => chance.between(1, 20) as i64 * 365 * DAY_MS,
        _ => chance.between(20, 50) as i64 * 365 * DAY_MS,
    };
    sign * off
}
