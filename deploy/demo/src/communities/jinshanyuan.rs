//! S4: the monthly forum with 60 matters and 55 of them solved, red hats, the skill bank, and the
//! alliance.
//!
//! The skill bank's fifty services and the repair association's fifty stand in records of their
//! own provider, and the alliance's events in a ledger of their own: none is part of another.

use super::book::{Book, Dwelling, Outcome, day};
use super::people::{CANARY, Person};
use super::record::Record;

const ESTATES: u32 = 9;
/// 2026-01 to 2026-10.
const MONTHS: u32 = 10;
const ISSUES: u32 = 60;

pub(super) fn records() -> Vec<Record> {
    let mut book = Book::new("jinshanyuan", 400_000);
    facts(&mut book);
    estates(&mut book);
    forum(&mut book);
    red_hats(&mut book);
    skill_bank(&mut book);
    alliance(&mut book);
    projects(&mut book);
    elders(&mut book);
    households(&mut book);
    book.finish()
}

fn facts(book: &mut Book) {
    let now = "2026-10-31";
    book.fact("households", 1100, "户", ">=", now);
    book.fact("residents", 3000, "人", ">=", now);
    book.fact("party_members", 187, "人", "", now);
    book.fact("land_area", 900_000, "平方米", "", now);
}

fn estates(book: &mut Book) {
    book.grid("jinshanyuan", "estate", "community", "", "锦山源社区");
    for n in 1..=ESTATES {
        let (code, name) = (format!("e{n}"), format!("锦山源{n}区"));
        book.grid(&code, "estate", "estate", "jinshanyuan", &name);
        for building in 1..=5 {
            let of = format!("{code}-{building}");
            book.building(&of, &code, &format!("{name}{building}号楼"), "multi_storey");
        }
        book.add(
            Record::new("estate")
                .with("code", code.as_str())
                .with("name", name)
                .with("property_state", if n <= 3 { "company" } else { "self_managed" })
                .with("households", i64::from(dwellings(n)))
                .with("grid", code.as_str()),
        );
    }
}

/// 1,100 dwellings in nine estates.
fn dwellings(estate: u32) -> u32 {
    if estate <= 2 { 123 } else { 122 }
}

/// A meeting each month; each brings six matters.
fn forum(book: &mut Book) {
    for month in 1..=MONTHS {
        let held = day(2026, month, 15);
        let names: Vec<String> = (0..12).map(|n| book.person(month * 20 + n).name).collect();
        let record = book
            .once("assembly", &held)
            .with("form", "forum")
            .with("topic", format!("同辛议事厅{month}月议事会"))
            .with("day", held.as_str())
            .with("place", "党群服务中心")
            .with("grid", "jinshanyuan")
            .with("attendance", i64::from(20 + month))
            .items("attendees", &names)
            .step("notify", day(2026, month, 10))
            .step("hold", held.as_str())
            .step("decide", held.as_str())
            .step("assign", held.as_str());
        let assembly = record.id.clone().expect("once() gives an id");
        book.add(record);
        for nth in 0..ISSUES / MONTHS {
            issue(book, month, (month - 1) * (ISSUES / MONTHS) + nth, &assembly);
        }
    }
}

const MATTERS: [(&str, &str, &str); 10] = [
    ("楼道保洁时间不固定", "cleaning", "small"),
    ("井盖破损需更换", "manhole", "small"),
    ("暖气改造进度", "heating", "big"),
    ("自来水管改造", "water", "big"),
    ("线路老化改电", "power", "big"),
    ("下水道堵塞", "sewer", "small"),
    ("路灯不亮", "lighting", "small"),
    ("日间照料中心运营", "day_care", "big"),
    ("车辆乱停", "parking", "small"),
    ("绿化带缺株", "greening", "small"),
];

/// Where the five unsolved ones stand; all others are resolved.
const OPEN: [(u32, &[&str]); 5] = [
    (13, &["dispatch", "handle", "resolve_partly"]),
    (29, &["dispatch", "leave_unresolved"]),
    (44, &["dispatch"]),
    (52, &["dispatch", "handle"]),
    (58, &["file"]),
];

fn issue(book: &mut Book, month: u32, n: u32, assembly: &str) {
    let reported = day(2026, month, 15);
    let (title, category, size) = MATTERS[n as usize % MATTERS.len()];
    let estate = format!("e{}", n % ESTATES + 1);
    let Person { name, phone } = book.person(500 + n);
    let actions: &[&str] = OPEN
        .iter()
        .find(|(at, _)| *at == n)
        .map_or(&["dispatch", "handle", "recheck", "resolve"], |(_, actions)| *actions);
    let solved = actions.ends_with(&["resolve"]);
    let mut record = book
        .once("issue", &reported)
        .with("number", format!("JS-2026-{:03}", n + 1))
        .with("title", title)
        .with("source", if n % 4 == 3 { "visit" } else { "forum" })
        .with("category", category)
        .with("size", size)
        .with("place", format!("锦山源{}区{}号楼", n % ESTATES + 1, n % 5 + 1))
        .with("grid", estate)
        .with("assembly", assembly)
        .with("due", day(2026, month + 1, 15))
        .with("handler", "社区党支部")
        .with("address", format!("{}号楼{}单元{}01室", n % 5 + 1, n % 4 + 1, n % 6 + 1))
        .with("reporter", name)
        .with("phone", phone)
        .with("detail", "议事会上提出，会后入户核实");
    if solved {
        record = record.with("result", "已办结").with("satisfaction", "satisfied");
    }
    record = record.step("report", reported.as_str()).step("accept", reported.as_str());
    for (at, action) in actions.iter().enumerate() {
        record = record.step(action, day(2026, month, 18 + at as u32 * 3));
    }
    if solved {
        record = record.step("call_back", day(2026, month, 28));
    }
    book.add(record);
}

/// Three at first, 25 now.
fn red_hats(book: &mut Book) {
    book.grid("team-red-hats", "team", "team", "jinshanyuan", "小源红帽队");
    let rows = [
        ("red-hats", "小源红帽队", "persuasion", "2025-01-05"),
        ("volunteers", "社区志愿队", "alliance", "2025-03-01"),
        ("police-fire", "公安消防服务队", "alliance", "2025-03-01"),
        ("societies", "社会组织服务队", "alliance", "2025-03-01"),
    ];
    for (code, name, kind, formed) in rows {
        book.add(
            Record::new("team")
                .with("code", code)
                .with("name", name)
                .with("team_kind", kind)
                .with("formed_on", formed)
                .with("grid", "jinshanyuan"),
        );
    }
    for n in 0..25_u32 {
        let joined =
            if n < 3 { "2025-01-05".to_owned() } else { day(2025 + n / 16, 2 + n % 9, 20) };
        let person = book.person(600 + n);
        let record = book
            .once("volunteer", &joined)
            .with("team", "red-hats")
            .with("skill", "mediation")
            .with("joined_on", joined)
            .with("grid", format!("e{}", n % ESTATES + 1))
            .with("name", person.name)
            .with("phone", person.phone);
        book.add(record);
    }
}

/// Four at first, fifteen now; fifty times they helped this year, once with an elder's lamp.
fn skill_bank(book: &mut Book) {
    let skills =
        ["electrician", "fitter", "locksmith", "television", "plumber", "carpenter", "barber"];
    let mut electrician = String::new();
    for n in 0..15_u32 {
        let joined = if n < 4 { "2025-03-10".to_owned() } else { day(2026, 1 + n % 9, 12) };
        let person = book.person(640 + n);
        let record = book
            .once("skill_person", &joined)
            .with("skill", skills[n as usize % skills.len()])
            .with("radius", "本社区")
            .with("free_times", if n % 2 == 0 { "周末" } else { "平日晚间" })
            .with("joined_on", joined)
            .with("grid", format!("e{}", n % ESTATES + 1))
            .with("name", person.name)
            .with("phone", person.phone);
        if n == 0 {
            electrician = record.id.clone().expect("once() gives an id");
        }
        book.add(record);
    }
    for n in 0..50_u32 {
        let record =
            served(book, n, "skill_bank", "repair", 700).with("skill_person", electrician.as_str());
        book.add(record);
    }
    for n in 0..50_u32 {
        let record = served(book, n, "repair_association", "appliance", 760);
        book.add(record);
    }
}

fn served(book: &Book, n: u32, provider: &str, kind: &str, people: u32) -> Record {
    let on = day(2026, 1 + n % MONTHS, 2 + n % 26);
    book.once("service_record", &on)
        .with("day", on.as_str())
        .with("service_kind", kind)
        .with("provider", provider)
        .with("at_door", true)
        .with("unit", "person_times")
        .with("number", 1)
        .with("grid", format!("e{}", n % ESTATES + 1))
        .with("receiver", book.person(people + n).name)
        .with("address", format!("{}号楼1单元201室", n % 5 + 1))
        .step("match", on.as_str())
        .step("assign", on.as_str())
        .step("complete", on.as_str())
        .step("follow_up", on)
}

/// Fourteen units; 35 events for ten persons each: the 6th of each month, Wednesdays, and culture.
fn alliance(book: &mut Book) {
    let known = ["公安部门", "行政执法大队", "卫生院", "社区志愿队", "家电维修协会", "梆子会"];
    for n in 0..14_u32 {
        let name = known
            .get(n as usize)
            .map_or_else(|| format!("联盟单位{}", n + 1), |name| (*name).to_owned());
        let liaison = book.person(820 + n);
        book.add(
            Record::new("partner")
                .with("code", format!("u{:02}", n + 1))
                .with("name", name)
                .with("partner_kind", if n < 3 { "agency" } else { "society" })
                .with("joined_on", "2025-03-01")
                .with("liaison", liaison.name)
                .with("liaison_phone", liaison.phone),
        );
    }
    // The Wednesdays of two weeks of each month; 2026-01-07 was one.
    let wednesdays = [
        (1, [7, 21]),
        (2, [4, 18]),
        (3, [4, 18]),
        (4, [8, 22]),
        (5, [6, 20]),
        (6, [10, 24]),
        (7, [8, 22]),
        (8, [12, 26]),
        (9, [9, 23]),
        (10, [14, 28]),
    ];
    for month in 1..=MONTHS {
        event(book, &day(2026, month, 6), "police_fire", "反诈禁毒宣传与消防检查演练");
    }
    for (month, dates) in wednesdays {
        for date in dates {
            let on = day(2026, month, date);
            event(book, &on, "volunteers", "安全隐患巡查与环境整治");
            book.add(
                Record::new("patrol")
                    .with("grid", format!("e{}", month % ESTATES + 1))
                    .with("day", on.as_str())
                    .with("theme", "weekly")
                    .with("route", "楼道与公共区域")
                    .with("found", 0)
                    .with("handled", 0)
                    .with("walker", book.person(600 + date).name)
                    .step_by("begin", on.as_str(), "志愿队")
                    .step_by("report", on.as_str(), "志愿队")
                    .step("close", on),
            );
        }
    }
    for n in 0..5_u32 {
        event(book, &day(2026, 2 + n * 2, 25), "societies", "公益电影与文化演出");
    }
}

fn event(book: &mut Book, on: &str, team: &str, theme: &str) {
    let names = [book.person(880).name, book.person(881).name];
    let record = book
        .once("alliance_event", on)
        .with("day", on)
        .with("team", team)
        .with("theme", theme)
        .with("place", "小区广场")
        .with("grid", "jinshanyuan")
        .with("persons", 10)
        .items("receivers", &names);
    book.add(record);
}

fn projects(book: &mut Book) {
    let centre =
        project(book, "党群服务中心", "centre", 1400, "平方米", "jinshanyuan", "2025-06-01");
    let record = book
        .once("fund", "2025-06-01")
        .with("day", "2025-06-01")
        .with("amount", 200_000_000)
        .with("source", "several")
        .with("form", "cash")
        .with("item", "党群服务中心建设")
        .with("project", centre)
        .with("qualifier", ">=")
        .with("grid", "jinshanyuan");
    book.add(record);
    for (name, output, estates) in [
        ("暖气改造", "heating", 9),
        ("自来水改造", "water", 2),
        ("下水道维修", "sewer", 2),
        ("引进物业", "property", 1),
    ] {
        for n in 1..=estates {
            project(book, name, output, 1, "个", &format!("e{n}"), &day(2026, n, 25));
        }
    }
}

fn project(
    book: &mut Book,
    name: &str,
    output: &str,
    quantity: i64,
    unit: &str,
    grid: &str,
    on: &str,
) -> String {
    let record = book
        .once("project", on)
        .with("name", name)
        .with("output", output)
        .with("quantity", quantity)
        .with("unit", unit)
        .with("grid", grid)
        .with("accepted_on", on)
        .step("decide", on)
        .step("fund", on)
        .step("build", on)
        .step("accept", on);
    let id = record.id.clone().expect("once() gives an id");
    book.add(record);
    id
}

/// 38 elders who live alone, and the one of the lamp.
fn elders(book: &mut Book) {
    for n in 0..39_u32 {
        let person = book.person(900 + n);
        let (name, phone, address) = if n == 38 {
            (CANARY.name.to_owned(), CANARY.phone.to_owned(), CANARY.address.to_owned())
        } else {
            (person.name, person.phone, format!("{}区{}号楼1单元101室", n % ESTATES + 1, n % 5 + 1))
        };
        book.add(
            Record::new("care")
                .with("care_kind", "elder_alone")
                .with("name", name)
                .with("phone", phone)
                .with("address", address)
                .with("visits_plan", "每月一次")
                .with("last_visit", day(2026, 10, 1 + n % 28))
                .with("need", "水电维修")
                .step("visit", day(2026, 10, 1 + n % 28)),
        );
    }
    book.publish("M48", "2026-10", "2026-10-31", (39, None));
}

fn households(book: &mut Book) {
    let mut n = 0;
    for estate in 1..=ESTATES {
        for at in 0..dwellings(estate) {
            n += 1;
            // Five buildings of two entrances; two dwellings to a floor.
            let (building, entrance, within) = (at % 5 + 1, at / 5 % 2 + 1, at / 10);
            let code = format!("e{estate}-{building}");
            let room = format!("{}0{}", within / 2 + 1, within % 2 + 1);
            let asked = day(2025, 7 + n % 5, 1 + n % 28);
            let place = Dwelling {
                building: &code,
                street: &format!("锦山源{estate}区{building}号楼"),
                entrance: &entrance.to_string(),
                room: &room,
                grid: &code,
                slot: None,
                day: &asked,
                checked: "2026-02-06",
            };
            book.household(n, &place, Outcome::nth(n, 70, 30));
        }
    }
}
