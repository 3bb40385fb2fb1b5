//! S1: 188 groups of twelve households that look after each other, month by month in turn.
//!
//! 47 buildings of four entrances of twelve dwellings make the groups; who refuses stays in the
//! register as refused. It holds no issue yet: the leak is for the desks to live through.

use super::book::{Book, Dwelling, Outcome, day};
use super::people::{CANARY, Person};
use super::record::Record;
use super::{LEAK, Leak};

const BUILDINGS: u32 = 47;
const ENTRANCES: u32 = 4;
const SLOTS: u32 = 12;
/// The street of each building: the first twelve stand in one, and so on.
const STREETS: [&str; 4] = ["草西街", "样东街", "样南街", "样北街"];
/// The months that were served when the report was written.
const MONTHS: [(u32, u32); 3] = [(1, 31), (2, 28), (3, 31)];

pub(super) fn records() -> Vec<Record> {
    let mut book = Book::new("liulian", 0);
    grids(&mut book);
    book.fact("households", 2256, "户", "~", "2026-03-31");
    book.fact("months_running", 3, "月", ">=", "2026-03-31");
    for building in 1..=BUILDINGS {
        for entrance in 1..=ENTRANCES {
            group(&mut book, building, entrance);
        }
    }
    meetings(&mut book);
    book.finish()
}

fn code(building: u32) -> String {
    format!("b{building:02}")
}

fn street(building: u32) -> String {
    let within = (building - 1) % 12 + 1;
    let leaks = code(building) == LEAK.building;
    let shop = if leaks { format!("（{}）", LEAK.above) } else { String::new() };
    format!("{}{within}号楼{shop}", STREETS[(building as usize - 1) / 12])
}

fn grids(book: &mut Book) {
    book.grid("liulian", "grid", "community", "", "六联社区");
    for street in 0..4 {
        book.grid(&format!("s{street}"), "grid", "street", "liulian", STREETS[street as usize]);
    }
    for building in 1..=BUILDINGS {
        let form = if code(building) == LEAK.building { "shop" } else { "multi_storey" };
        let above = format!("s{}", (building - 1) / 12);
        book.building(&code(building), &above, &street(building), form);
    }
    for number in 1..=BUILDINGS * ENTRANCES {
        let above = code((number - 1) / ENTRANCES + 1);
        let name = format!("联动小组{number}");
        book.grid(&format!("g{number}"), "mutual_group", "group", &above, &name);
    }
}

/// One group with its households, its three turns and its three scores.
fn group(book: &mut Book, building: u32, entrance: u32) {
    let number = (building - 1) * ENTRANCES + entrance;
    let grid = format!("g{number}");
    let leader = book.person(number * SLOTS);
    book.add(
        Record::new("mutual_group")
            .with("number", i64::from(number))
            .with("slots", i64::from(SLOTS))
            .with("formed_on", "2026-01-01")
            .with("board_place", format!("{}{entrance}单元门口", street(building)))
            .with("grid", grid.as_str())
            .with("leader", leader.name)
            .with("leader_phone", leader.phone)
            .step("elect", "2026-01-01"),
    );
    for slot in 1..=SLOTS {
        household(book, building, entrance, slot);
    }
    for (turn, (month, last)) in MONTHS.into_iter().enumerate() {
        let turn = turn as u32 + 1;
        let month_text = format!("2026-{month:02}");
        duty(book, number, turn, &month_text, last);
        score(book, number, turn, &month_text);
    }
}

fn household(book: &mut Book, building: u32, entrance: u32, slot: u32) {
    let number = (building - 1) * ENTRANCES + entrance;
    let n = (number - 1) * SLOTS + slot;
    let entrance = entrance.to_string();
    // Two dwellings on each of six floors.
    let room = format!("{}0{}", slot.div_ceil(2), (slot - 1) % 2 + 1);
    let (code, street, grid) = (code(building), street(building), format!("g{number}"));
    let asked = day(2025, 12, 1 + n % 28);
    let place = Dwelling {
        building: &code,
        street: &street,
        entrance: &entrance,
        room: &room,
        grid: &grid,
        slot: Some((number, i64::from(slot))),
        day: &asked,
        checked: "2026-03-10",
    };
    let Leak { building: leaking, entrance: at, room: flat, .. } = LEAK;
    if (leaking, at, flat) == (code.as_str(), entrance.as_str(), room.as_str()) {
        return reluctant(book, n, &place);
    }
    if n == BUILDINGS * ENTRANCES * SLOTS {
        return canary(book, &place);
    }
    book.household(n, &place, Outcome::nth(n, 24, 40));
}

/// The owner of the leak: refused at first, agreed later; one entry through it all.
fn reluctant(book: &mut Book, n: u32, place: &Dwelling<'_>) {
    let Person { name, phone } = book.person(n);
    book.add(
        Record::new("household")
            .with("building", place.building)
            .with("entrance", place.entrance)
            .with("room", place.room)
            .with("address", LEAK.address)
            .with("grid", place.grid)
            .with("group", LEAK.group)
            .with("slot", LEAK.slot)
            .with("registered_on", place.day)
            .with("consent_on", "2026-02-20")
            .with("name", name)
            .with("phone", phone)
            .with("members", 3)
            .with("tenure", "owned")
            .step_by("decline", place.day, "网格员")
            .noted("敲门三次，不愿登记")
            .step_by("collect", "2026-02-20", "网格员"),
    );
}

fn duty(book: &mut Book, number: u32, turn: u32, month: &str, last: u32) {
    let served = book.person((number - 1) * SLOTS + turn);
    let mut record = Record::new("duty_turn")
        .with("group", number.to_string())
        .with("month", month)
        .with("turn", i64::from(turn))
        .with("grid", format!("g{number}"))
        .items("tasks", &["文明联创", "卫生联洁", "治安联防", "应急联动", "困难联帮", "致富联带"])
        .with("household_name", served.name)
        .with("handover_note", format!("第{turn}户交接，公示栏与钥匙齐全"))
        .step_by("begin", format!("{month}-01"), "联动组长");
    if number.is_multiple_of(20) && turn == 2 {
        let other = book.person((number - 1) * SLOTS + turn + 1);
        record = record.with("substitute", other.name).step_by(
            "swap",
            format!("{month}-03"),
            "联动组长",
        );
    }
    let end = format!("{month}-{last:02}");
    book.add(record.step_by("hand_over", &end, "联动组长").step("score", end));
}

fn score(book: &mut Book, number: u32, turn: u32, month: &str) {
    let points = |item: u32| i64::from(80 + (number * 7 + item * 11 + turn * 5) % 21);
    let reviewer = book.person(number % 9);
    let next = format!("2026-{:02}", turn + 1);
    let mut record = Record::new("group_score")
        .with("group", number.to_string())
        .with("month", month)
        .with("grid", format!("g{number}"))
        .with("civility", points(1))
        .with("cleanliness", points(2))
        .with("safety", points(3))
        .with("emergency", points(4))
        .with("hardship", points(5))
        .with("livelihood", points(6))
        .with("deduction", i64::from(number % 4))
        .with("reviewer", reviewer.name)
        .step("tally", format!("{next}-02"))
        .step("publish", format!("{next}-03"))
        .step("lock", format!("{next}-08"));
    if points(1) + points(2) >= 195 {
        record = record.step("commend", format!("{next}-10"));
    }
    book.add(record);
}

/// The canary lives in the last dwelling of the last group.
fn canary(book: &mut Book, place: &Dwelling<'_>) {
    book.add(
        Record::new("household")
            .with("building", place.building)
            .with("entrance", place.entrance)
            .with("room", place.room)
            .with("address", CANARY.address)
            .with("grid", place.grid)
            .with("group", (BUILDINGS * ENTRANCES).to_string())
            .with("slot", i64::from(SLOTS))
            .with("registered_on", place.day)
            .with("name", CANARY.name)
            .with("phone", CANARY.phone)
            .with("id_number", CANARY.id_number)
            .with("remark", CANARY.address)
            .step_by("collect", place.day, "网格员")
            .noted(CANARY.name),
    );
}

fn meetings(book: &mut Book) {
    let topics = ["方案说明", "值班与交接", "考核评比办法", "三个月总结"];
    for (nth, (topic, held)) in
        topics.into_iter().zip(["2026-01-05", "2026-01-26", "2026-02-25", "2026-03-28"]).enumerate()
    {
        let names: Vec<String> = (1..=12).map(|n| book.person(n * SLOTS * 15).name).collect();
        let record = book
            .once("assembly", held)
            .with("form", "group_leaders")
            .with("topic", format!("联动组长会议：{topic}"))
            .with("day", held)
            .with("place", "社区会议室")
            .with("grid", "liulian")
            .with("attendance", 188 - nth as i64)
            .items("attendees", &names)
            .step("set_topic", held)
            .step("notify", held)
            .step("hold", held)
            .step("close", held);
        book.add(record);
    }
    let notice = book
        .once("notice", "2026-01-02")
        .with("board", "各小组公示栏")
        .with("title", "六联机制公示")
        .with("text", "联动小组、值班顺序与社区办公电话")
        .with("from", "2026-01-02")
        .with("grid", "liulian")
        .step("post", "2026-01-02");
    book.add(notice);
}
