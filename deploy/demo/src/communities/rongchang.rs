//! S3: seven patches, 36 buildings with their heads, the daily loop, and the four hundreds.
//!
//! 2,755 dwellings: 23 multi-storey buildings, 13 high-rises, 43 villas. Where the report gives a
//! bound, one collective entry carries it and the others are exact.

mod life;

use super::book::{Book, Dwelling, Outcome, day};
use super::people::CANARY;
use super::record::Record;

const PATCHES: u32 = 7;
const MULTI_STOREY: u32 = 23;
const HIGH_RISES: u32 = 13;
const VILLAS: u32 = 43;

pub(super) fn records() -> Vec<Record> {
    let mut book = Book::new("rongchang", 300_000);
    facts(&mut book);
    grids(&mut book);
    heads(&mut book);
    patrols(&mut book);
    hazards(&mut book);
    bottlenecks(&mut book);
    life::write(&mut book);
    households(&mut book);
    book.finish()
}

fn facts(book: &mut Book) {
    let now = "2026-10-31";
    book.fact("households", 2755, "户", "", now);
    book.fact("residents", 6300, "人", ">=", now);
    book.fact("built_area", 430_000, "平方米", "", now);
    book.fact("villas", i64::from(VILLAS), "套", "", now);
    book.fact("occupancy", 90, "%", ">=", now);
}

fn patch(nth_building: u32) -> String {
    format!("p{}", nth_building % PATCHES + 1)
}

/// Codes of all buildings with their place in the row of all.
fn buildings() -> impl Iterator<Item = (u32, String, bool)> {
    let multi = (0..MULTI_STOREY).map(|n| (n, format!("m{:02}", n + 1), false));
    let high = (0..HIGH_RISES).map(|n| (MULTI_STOREY + n, format!("h{:02}", n + 1), true));
    multi.chain(high)
}

fn grids(book: &mut Book) {
    book.grid("rongchang", "grid", "community", "", "荣昌社区");
    for n in 1..=PATCHES {
        book.grid(&format!("p{n}"), "grid", "patch", "rongchang", &format!("第{n}片区"));
    }
    book.grid("villas", "grid", "street", "p1", "别墅大街");
    for (n, code, high) in buildings() {
        let (name, form) = if high {
            (format!("高层{}幢", n - MULTI_STOREY + 1), "high_rise")
        } else {
            (format!("多层{}幢", n + 1), "multi_storey")
        };
        book.building(&code, &patch(n), &name, form);
        for stair in 1..=if high { 2 } else { 4 } {
            let name = format!("{name}{stair}梯");
            book.grid(&format!("{code}-{stair}"), "grid", "entrance", &code, &name);
        }
    }
}

/// A head for each building, the allowance planned for a month, and four civil stairs.
fn heads(book: &mut Book) {
    for (n, code, _) in buildings() {
        let head = book.person(9_000 + n);
        book.add(
            Record::new("building_head")
                .with("building", code.as_str())
                .with("grid", patch(n))
                .with("appointed_on", day(2025, 3, 1 + n % 28))
                .with("board_place", format!("{code}门厅"))
                .with("name", head.name.as_str())
                .with("phone", head.phone),
        );
        book.add(
            Record::new("allowance")
                .with("building", code.as_str())
                .with("month", "2026-10")
                .with("grid", patch(n))
                .with("amount", 15_000)
                .with("form", "cash")
                .with("payee", head.name),
        );
    }
    for (n, stair) in ["m01-1", "m05-2", "m12-3", "h03-1"].into_iter().enumerate() {
        book.add(
            Record::new("stair_rating")
                .with("stair", stair)
                .with("grid", stair)
                .with("rated_on", day(2026, 3 + n as u32 * 2, 20)),
        );
    }
}

/// A working week of the daily loop: each report closed before the day is over.
fn patrols(book: &mut Book) {
    for date in 2..=6_u32 {
        for n in 1..=PATCHES {
            let day = day(2026, 3, date);
            let found = i64::from((n + date) % 3);
            let mut record = Record::new("patrol")
                .with("grid", format!("p{n}"))
                .with("day", day.as_str())
                .with("theme", "daily")
                .with("route", "楼道、车棚、绿地")
                .with("found", found)
                .with("handled", found)
                .with("weather", if date == 4 { "rain" } else { "fine" })
                .with("walker", book.person(9_000 + n).name)
                .step_by("begin", format!("{day}T08:30"), "楼栋长")
                .step_by("report", format!("{day}T09:00"), "楼栋长");
            if found > 0 {
                record = record.step_by("handle", format!("{day}T14:00"), "物业");
            }
            book.add(record.step("close", format!("{day}T16:00")));
        }
    }
}

/// One joint fire check, counted once though several units took part.
fn hazards(book: &mut Book) {
    let kinds = ["fire", "wiring", "charging", "clutter", "equipment", "lift"];
    for n in 0..20_u32 {
        let last = n == 19;
        let (_, code, _) = buildings().nth(n as usize).expect("there are more buildings than this");
        let mut record = book
            .once("hazard", "2026-04-16")
            .with("found_on", "2026-04-16")
            .with("check", "2026-04联合消防检查")
            .items("units", &["市消防支队", "区消防大队", "物业公司", "学校", "超市"])
            .with("hazard_kind", kinds[n as usize % kinds.len()])
            .with("level", "general")
            .with("place", if last { "各楼道零星".to_owned() } else { code.clone() })
            .with("grid", if last { "rongchang".to_owned() } else { code })
            .with("measure", "清理、更换或移位")
            .with("due", "2026-04-30")
            .with("liable", book.person(8_000 + n).name);
        if last {
            record = record.with("number", 1).with("qualifier", ">=");
        }
        let record = record
            .step("register", "2026-04-16")
            .step_by("rectify", day(2026, 4, 17 + n % 7), "物业")
            .step_by("recheck", "2026-04-28", "消防")
            .step("clear", "2026-04-29");
        book.add(record);
    }
}

/// Five bottlenecks: three solved, one better, one under way.
fn bottlenecks(book: &mut Book) {
    let rows: [(&str, &str, &[&str]); 5] = [
        ("环境卫生脏乱", "cleaning", &["dispatch", "handle", "recheck", "resolve"]),
        ("绿化缺损", "greening", &["dispatch", "handle", "recheck", "resolve"]),
        ("安全隐患多", "safety", &["dispatch", "handle", "recheck", "resolve"]),
        ("物业服务差", "property", &["dispatch", "handle", "resolve_partly"]),
        ("停车难", "parking", &["file", "dispatch"]),
    ];
    for (n, (title, category, actions)) in rows.into_iter().enumerate() {
        let first = 1 + n as u32;
        let mut record = book
            .once("issue", &day(2026, 1, first))
            .with("number", format!("RC-2026-{first:03}"))
            .with("title", title)
            .with("source", "building_head")
            .with("category", category)
            .with("size", "big")
            .with("place", "小区公共区域")
            .with("grid", "rongchang")
            .with("handler", "社区与物业公司")
            .with("reporter", book.person(8_100 + first).name)
            .with("phone", book.person(8_100 + first).phone)
            .with("detail", "楼栋长会议集中反映")
            .step_by("report", format!("{}T09:00", day(2026, 1, first)), "楼栋长")
            .step("accept", format!("{}T10:00", day(2026, 1, first)));
        for (at, action) in actions.iter().enumerate() {
            record = record.step(action, day(2026, 3 + at as u32 * 2, 10 + first));
        }
        book.add(record);
    }
}

fn households(book: &mut Book) {
    let mut n = 0;
    for (nth, code, high) in buildings() {
        let (entrances, name) = if high {
            (2, format!("高层{}幢", nth - MULTI_STOREY + 1))
        } else {
            (4, format!("多层{}幢", nth + 1))
        };
        // 1,608 dwellings in 13 high-rises: nine of 124 and four of 123.
        let total = match (high, nth < MULTI_STOREY + 9) {
            (false, _) => 48,
            (true, true) => 124,
            (true, false) => 123,
        };
        for slot in 0..total {
            n += 1;
            let stair = slot % entrances + 1;
            let within = slot / entrances;
            let place = Place {
                code: &code,
                name: &name,
                stair,
                floor: within / 2 + 1,
                door: within % 2 + 1,
            };
            dwelling(book, n, &place);
        }
    }
    for slot in 1..=VILLAS {
        n += 1;
        let place = Place { code: "villas", name: "别墅", stair: 1, floor: slot, door: 1 };
        dwelling(book, n, &place);
    }
}

struct Place<'a> {
    code: &'a str,
    name: &'a str,
    stair: u32,
    floor: u32,
    door: u32,
}

fn dwelling(book: &mut Book, n: u32, at: &Place<'_>) {
    let entrance = at.stair.to_string();
    let room = format!("{}0{}", at.floor, at.door);
    let grid =
        if at.code == "villas" { "villas".to_owned() } else { format!("{}-{entrance}", at.code) };
    let asked = day(2025, 1 + n % 6, 1 + n % 28);
    let place = Dwelling {
        building: at.code,
        street: at.name,
        entrance: &entrance,
        room: &room,
        grid: &grid,
        slot: None,
        day: &asked,
        checked: "2026-01-20",
    };
    book.household(n, &place, Outcome::nth(n, 90, 11));
}

/// The canary is looked after by the visits, too.
fn canary_visit(book: &Book, day: &str) -> Record {
    book.once("visit", day)
        .with("day", day)
        .with("receiver", CANARY.name)
        .with("content", CANARY.address)
        .with("goods", CANARY.phone)
        .step("complete", day)
}
