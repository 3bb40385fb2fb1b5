//! A desk and its hub on real disks, in one process: how they work, find damage and mend it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linli_domain::id::{PeerName, Space};
use linli_domain::pack::Registry;
use linli_domain::seal::KeyRing;
use linli_replica::engine::{Effect, LinkId};
use linli_runtime::ask::{Answer, Ask, FigureQuery, PAGE_MAX};
use linli_runtime::authority::Authority;
use linli_runtime::backup::{Layout, repair};
use linli_runtime::daemon::{self, Keys, OpenMachineError, Opened};
use linli_runtime::site::{OpenSiteError, Opening, Site, Standing};
use linli_store::disk::RealDisk;
use linli_store::journal::{OpenError, ReadError};
use linli_store::store::StoreError;
use linli_store::views::SledViews;
use serde_json::json;
use tempfile::TempDir;

use crate::Outcome;
use crate::folder::{Folder, copy};

type RealSite = Site<RealDisk, SledViews>;

const DESK: &str = "d/s/yili/desk-a";
const HUB: &str = "d/s/-/hub";
/// Entries written between two orderly ends.
const PER_ROUND: usize = 16;
const NOW: u64 = 1_770_000_000;
const DESK_FILES: Layout = Layout {
    hub: false,
    settings: "node.toml",
    identity: "keys/device",
    secrets: &["keys/device", "keys/ring"],
};
const HUB_FILES: Layout = Layout {
    hub: true,
    settings: "hub.toml",
    identity: "authority/authority.pem",
    secrets: &["authority/authority.pem", "machines.json"],
};

/// Which machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Desk,
    Hub,
}

/// All that people read of a machine.
#[derive(Debug, PartialEq)]
struct Reads {
    digests: BTreeMap<Space, String>,
    entries: Vec<String>,
    figures: Vec<String>,
}

/// A desk and a hub that agree: as they lie after an orderly end, and after a kill.
pub(crate) struct Office {
    home: TempDir,
    ring: KeyRing,
    desk: Reads,
    hub: Reads,
    /// Where the segments of desk and hub ended when their views were last written before a kill.
    commit_ends: (usize, usize),
}

impl Office {
    /// Some months of work in little.
    pub(crate) fn at_work() -> Self {
        let home = tempfile::tempdir().unwrap();
        let desk_data = home.path().join("Desk");
        let keys = Keys::below(&desk_data);
        let ring = keys.found().unwrap();
        keys.device().unwrap();
        fs::write(desk_data.join("node.toml"), "log = \"info\"\n").unwrap();
        let hub_data = home.path().join("Hub");
        let name = PeerName::parse(HUB).unwrap();
        Authority::create(&hub_data.join("authority"), &name, NOW).unwrap();
        fs::write(hub_data.join("hub.toml"), "log = \"info\"\n").unwrap();
        fs::write(hub_data.join("machines.json"), "[]\n").unwrap();
        let reads = || Reads { digests: BTreeMap::new(), entries: vec![], figures: vec![] };
        let mut office = Self { home, ring, desk: reads(), hub: reads(), commit_ends: (0, 0) };
        // Some of it lies in the views, the rest in the journal alone.
        for round in 0..3 {
            let mut desk = office.open(Side::Desk, &desk_data).unwrap().site;
            let mut hub = office.open(Side::Hub, &hub_data).unwrap().site;
            for number in 0..PER_ROUND {
                work(&mut desk, round * PER_ROUND + number);
            }
            settle(&mut desk, &mut hub);
            if round == 2 {
                for data in ["Desk", "Hub"] {
                    copy(
                        &office.home.path().join(data),
                        &office.home.path().join(format!("{data}-killed")),
                    );
                }
            }
            office.desk = reads_of(&mut desk);
            office.hub = reads_of(&mut hub);
            if round == 1 {
                office.commit_ends = (end_of(&mut desk), end_of(&mut hub));
            }
            desk.close().unwrap();
            hub.close().unwrap();
        }
        for (side, data) in [(Side::Desk, "Desk"), (Side::Hub, "Hub")] {
            for ending in ["", "-killed"] {
                // A copy, since an open writes.
                let copy = Folder::copy_of(&office.home.path().join(format!("{data}{ending}")));
                let mut site = office.open(side, &copy.data()).unwrap();
                assert_eq!(site.notes, Vec::<String>::new());
                assert_eq!(&reads_of(&mut site.site), office.reads(side));
            }
        }
        office
    }

    pub(crate) fn data(&self, side: Side, killed: bool) -> PathBuf {
        let name = if side == Side::Desk { "Desk" } else { "Hub" };
        self.home.path().join(if killed { format!("{name}-killed") } else { name.to_owned() })
    }

    pub(crate) fn commit_end(&self, side: Side) -> usize {
        if side == Side::Desk { self.commit_ends.0 } else { self.commit_ends.1 }
    }

    fn reads(&self, side: Side) -> &Reads {
        if side == Side::Desk { &self.desk } else { &self.hub }
    }

    fn open(&self, side: Side, data: &Path) -> Result<Opened, OpenMachineError> {
        let (name, ring, files) = match side {
            Side::Desk => (DESK, Some(self.ring.clone()), DESK_FILES),
            Side::Hub => (HUB, None, HUB_FILES),
        };
        let opening = Opening {
            me: PeerName::parse(name).unwrap(),
            registry: Arc::new(Registry::builtin().open_metrics()),
            ring,
            device: None,
            members: Standing::default(),
            entropy: daemon::system_entropy(),
            utc_offset_minutes: 480,
            node_bytes_per_day: 0,
            authority: None,
        };
        let mut opened = daemon::open(data, opening)?;
        opened.watch(data, files, &[]);
        if side == Side::Hub {
            opened.site.enrolled(&[PeerName::parse(DESK).unwrap()]);
        }
        Ok(opened)
    }

    /// Starts a machine on a damaged folder and does what it says; how it came out.
    pub(crate) fn find_and_mend(&self, side: Side, folder: &Folder) -> Vec<Outcome> {
        let data = folder.data();
        let mut outcomes = Vec::new();
        let mut opened = match self.open(side, &data) {
            Ok(opened) => {
                if !opened.notes.is_empty() {
                    outcomes.push("at open");
                }
                opened
            }
            Err(error) => {
                assert!(is_damage(&error), "damage is called damage: {error:?}");
                outcomes.push("at open");
                repair(&data).unwrap();
                outcomes.push("salvaged");
                self.open(side, &data).unwrap()
            }
        };
        let mut wrong = opened.notes.clone();
        let Answer::Audit { damage, .. } = opened.site.ask(Ask::Audit {}) else { panic!("audit") };
        if outcomes.is_empty() && !damage.is_empty() {
            outcomes.push("by audit");
        }
        wrong.extend(damage);
        if wrong.iter().any(|what| what.starts_with("files: ")) {
            self.put_back_files(side, &data);
            outcomes.push("back from a backup");
        }
        if wrong.iter().any(|what| what.starts_with("journal: ") || what.starts_with("views: ")) {
            // Views that were given up end the turn; the next start derives them again.
            let _ended = opened.site.end_turn();
            drop(opened);
            repair(&data).unwrap();
            opened = self.open(side, &data).unwrap();
        }
        if outcomes.is_empty() {
            outcomes.push("harmless");
        }
        if reads_of(&mut opened.site) == *self.reads(side) {
            if !matches!(outcomes[..], ["harmless"] | [_, "back from a backup"]) {
                outcomes.push("back from views or journal");
            }
        } else {
            assert_ne!(outcomes, ["harmless"], "silent: {wrong:?}");
            self.meet_peer(side, &mut opened.site);
            assert_eq!(&reads_of(&mut opened.site), self.reads(side), "{wrong:?}");
            outcomes.push("back from a peer");
        }
        let Answer::Audit { damage, .. } = opened.site.ask(Ask::Audit {}) else { panic!("audit") };
        assert_eq!(damage, Vec::<String>::new(), "after {wrong:?}");
        opened.site.end_turn().unwrap();
        let Answer::Recount { differences, .. } = opened.site.ask(Ask::Recount {}) else {
            panic!("recount")
        };
        assert_eq!(differences, Vec::<String>::new(), "after {wrong:?}");
        outcomes
    }

    /// Links it with the other machine, which is sound, until both agree.
    fn meet_peer(&self, side: Side, site: &mut RealSite) {
        let other = if side == Side::Desk { Side::Hub } else { Side::Desk };
        let folder = Folder::copy_of(&self.data(other, false));
        let mut peer = self.open(other, &folder.data()).unwrap().site;
        match side {
            Side::Desk => settle(site, &mut peer),
            Side::Hub => settle(&mut peer, site),
        }
    }

    fn put_back_files(&self, side: Side, data: &Path) {
        let layout = if side == Side::Desk { DESK_FILES } else { HUB_FILES };
        for path in layout.secrets.iter().chain([&layout.settings]) {
            fs::copy(self.data(side, false).join(path), data.join(path)).unwrap();
        }
    }
}

/// Whether an open that failed says that something is damaged.
fn is_damage(error: &OpenMachineError) -> bool {
    matches!(
        error,
        OpenMachineError::Store(StoreError::Journal(OpenError::Damaged(_)))
            | OpenMachineError::Site(OpenSiteError::Replay(
                ReadError::Damaged { .. } | ReadError::Stretch(_)
            ))
    )
}

fn work(desk: &mut RealSite, number: usize) {
    let fields = json!({
        "title": format!("诉求 {number}"), "category": "lighting", "phone": format!("1380000{number:04}"),
    });
    let steps = json!([{"action": "report", "at": "2026-03-06", "by": "李"},
        {"action": "self_handle", "at": "2026-03-06", "by": "李"}]);
    let record =
        json!({"kind": "issue", "id": format!("n{number}"), "fields": fields, "steps": steps});
    let records = vec![serde_json::from_value(record).unwrap()];
    let answer = desk.ask(Ask::Import { records, dry_run: false });
    assert!(matches!(answer, Answer::Imported { added: 1, .. }), "{answer:?}");
    desk.end_turn().unwrap();
}

/// Delivers everything between desk and hub until both hold the same.
fn settle(desk: &mut RealSite, hub: &mut RealSite) {
    let link = LinkId(1);
    desk.link_up(link, hub.me().clone());
    hub.link_up(link, desk.me().clone());
    let mut still = 0;
    for round in 0..2_000 {
        let mut quiet = true;
        let mut deliver = |from: &mut RealSite, to: &mut RealSite| {
            if round % 10 == 9 {
                from.tick();
            }
            for effect in from.end_turn().unwrap() {
                quiet = false;
                let Effect::Send { link, frame } = effect else { panic!("{effect:?}") };
                to.frame(link, frame);
            }
        };
        deliver(desk, hub);
        deliver(hub, desk);
        let agreed = |site: &RealSite| {
            let standings = site.standings();
            !standings.is_empty() && standings.iter().all(|one| one.agreed && one.unsent == 0)
        };
        still = if quiet && agreed(desk) && agreed(hub) { still + 1 } else { 0 };
        if still > 20 {
            desk.link_down(link);
            hub.link_down(link);
            while desk.idle() {}
            while hub.idle() {}
            return;
        }
    }
    panic!("they do not agree: {:?} {:?}", desk.standings(), hub.standings());
}

/// Where its last commit ends.
fn end_of(site: &mut RealSite) -> usize {
    let Answer::Snapshot(told) = site.ask(Ask::Snapshot {}) else { panic!("snapshot") };
    told.segments.last().unwrap().1 as usize
}

fn reads_of(site: &mut RealSite) -> Reads {
    let Answer::Digests { digests } = site.ask(Ask::Digests {}) else { panic!("digests") };
    let list = Ask::List {
        kind: "issue".to_owned(),
        state: None,
        community: Some(linli_domain::id::CommunityId::parse("yili").unwrap()),
        after: None,
        max: PAGE_MAX,
        whole: true,
    };
    let Answer::Entries { entries, .. } = site.ask(list) else { panic!("entries") };
    let Answer::Figures { figures } = site.ask(Ask::Figures(FigureQuery::default())) else {
        panic!("figures")
    };
    let timeless = |mut line: serde_json::Value| {
        line.as_object_mut().unwrap().remove("as_of");
        line.to_string()
    };
    Reads {
        digests,
        entries: entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect(),
        figures: figures.into_iter().map(timeless).collect(),
    }
}
