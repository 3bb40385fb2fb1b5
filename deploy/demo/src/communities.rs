//! The six communities 社区 of the demo, each with ledgers that hold exactly what its report states.
//!
//! Records have the form of `import-json`. The same records come out at every call. It refuses to
//! count: what the ledgers amount to is for the packs to say.

mod book;
mod chunhui;
mod estates;
mod jinshanyuan;
mod liulian;
mod people;
mod record;
mod rongchang;
#[cfg(test)]
mod tests;
mod yili;

pub use people::{CANARY, Canary};
pub use record::{Record, RecordStep};

/// A community with its packs and its ledgers.
#[derive(Debug, Clone, PartialEq)]
pub struct Community {
    /// Its id.
    pub slug: &'static str,
    /// Its name in Chinese.
    pub zh: &'static str,
    /// Its name in English.
    pub en: &'static str,
    /// The report it comes from, such as `S1`.
    pub source: &'static str,
    /// The packs it has switched on.
    pub packs: Vec<&'static str>,
    /// Its ledgers, grids and teams before those that name them.
    pub records: Vec<Record>,
    /// How many office machines it runs.
    pub desks: u8,
}

/// All six, in the order of their reports.
pub fn communities() -> Vec<Community> {
    vec![
        Community {
            slug: "liulian",
            zh: "六联社区",
            en: "Six Links",
            source: "S1",
            packs: with_house(&["six-links", "council-forum", "honours"]),
            records: liulian::records(),
            desks: 2,
        },
        Community {
            slug: "yili",
            zh: "怡丽北园社区",
            en: "Yili North Garden",
            source: "S2a",
            packs: with_house(&[
                "council-forum",
                "pledges",
                "services",
                "activities",
                "projects",
                "employment-help",
                "care",
                "visits",
                "honours",
            ]),
            records: yili::records(),
            desks: 1,
        },
        Community {
            slug: "chunhui",
            zh: "春晖社区",
            en: "Chunhui",
            source: "S2b",
            packs: with_house(&[
                "volunteers",
                "partners",
                "estates",
                "activities",
                "mediation",
                "care",
                "honours",
            ]),
            records: chunhui::records(),
            desks: 1,
        },
        Community {
            slug: "rongchang",
            zh: "荣昌社区",
            en: "Rongchang",
            source: "S3",
            packs: with_house(&[
                "three-level-grid",
                "patrols",
                "hazards",
                "council-forum",
                "pledges",
                "volunteers",
                "activities",
                "partners",
                "projects",
                "mediation",
                "visits",
            ]),
            records: rongchang::records(),
            desks: 1,
        },
        Community {
            slug: "jinshanyuan",
            zh: "锦山源社区",
            en: "Jinshanyuan",
            source: "S4",
            packs: with_house(&[
                "council-forum",
                "volunteers",
                "skill-bank",
                "services",
                "partners",
                "patrols",
                "hazards",
                "estates",
                "projects",
                "care",
            ]),
            records: jinshanyuan::records(),
            desks: 2,
        },
        Community {
            slug: "estates",
            zh: "无物业小区片区",
            en: "Estates without property service",
            source: "S5",
            packs: with_house(&[
                "place-list",
                "fees",
                "estates",
                "council-forum",
                "pledges",
                "activities",
                "partners",
                "projects",
                "snap-points",
                "red-black-list",
                "mediation",
                "care",
            ]),
            records: estates::records(),
            desks: 1,
        },
    ]
}

/// The dwelling of the leak: the neighbours call, and the desk looks it up in the register.
pub const LEAK: Leak = Leak {
    community: "liulian",
    building: "b05",
    entrance: "2",
    room: "301",
    above: "超市楼上",
    address: "草西街5号楼（超市楼上）2单元301室",
    group: "18",
    slot: 5,
};

/// A dwelling above a supermarket whose owner left a tap open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leak {
    /// The community's id.
    pub community: &'static str,
    /// The building's grid id.
    pub building: &'static str,
    /// The entrance.
    pub entrance: &'static str,
    /// The room.
    pub room: &'static str,
    /// How people tell its building from the others of its street.
    pub above: &'static str,
    /// The address, as people say it.
    pub address: &'static str,
    /// The mutual group.
    pub group: &'static str,
    /// The household's place in its group.
    pub slot: i64,
}

fn with_house(packs: &[&'static str]) -> Vec<&'static str> {
    [&["house", "household-register", "issues"], packs].concat()
}
