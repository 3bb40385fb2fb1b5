//! S2b: 211 volunteers in two feature teams and twelve general groups, seven gated estates, eleven
//! units that build along.

use super::book::{Book, day};
use super::people::CANARY;
use super::record::Record;

const VOLUNTEERS: u32 = 211;
const SKILLS: [&str; 8] =
    ["medical", "legal", "repair", "teaching", "culture", "patrol", "mediation", "cleaning"];

pub(super) fn records() -> Vec<Record> {
    let mut book = Book::new("chunhui", 200_000);
    let now = "2026-06-30";
    book.fact("party_members", 50, "人", "", now);
    book.fact("party_groups", 3, "个", "", now);
    book.fact("services", 8, "项", "", now);
    estates(&mut book);
    volunteers(&mut book);
    partners(&mut book);
    gatherings(&mut book);
    book.finish()
}

/// Land and green in square metres; together the green covers 51.6 in a hundred.
const ESTATES: [(&str, bool, i64, i64); 7] = [
    ("阳光花园", true, 42_000, 22_500),
    ("春晖苑", true, 38_000, 19_800),
    ("样板新村", true, 36_000, 18_200),
    ("样板家园", true, 34_000, 17_600),
    ("东样小区", false, 36_000, 18_300),
    ("南样小区", false, 33_000, 16_900),
    ("北样小区", false, 31_000, 15_700),
];

fn estates(book: &mut Book) {
    book.grid("chunhui", "estate", "community", "", "春晖社区");
    for (at, (name, three_in_one, land, green)) in ESTATES.into_iter().enumerate() {
        let code = format!("e{}", at + 1);
        book.grid(&code, "estate", "estate", "chunhui", name);
        let head = book.person(900 + at as u32);
        book.add(
            Record::new("estate")
                .with("code", code.as_str())
                .with("name", name)
                .with("gated", true)
                .with("property_state", "company")
                .with("owners_committee", three_in_one)
                .with("three_in_one", three_in_one)
                .with("land_area", land)
                .with("green_area", green)
                .with("grid", code.as_str())
                .with("committee_head", head.name)
                .with("phone", head.phone),
        );
    }
}

fn volunteers(book: &mut Book) {
    for (code, name) in [("f1", "阳光服务驿站队"), ("f2", "环保课堂队")] {
        team(book, code, name, "feature");
    }
    for n in 1..=12 {
        team(book, &format!("t{n:02}"), &format!("综合服务第{n}小组"), "general");
    }
    for n in 0..VOLUNTEERS {
        // Twenty each in the feature teams, by skill; the others by address.
        let team = match n {
            0..20 => "f1".to_owned(),
            20..40 => "f2".to_owned(),
            _ => format!("t{:02}", n % 12 + 1),
        };
        let person = book.person(n);
        let (name, phone, address) = if n + 1 == VOLUNTEERS {
            (CANARY.name.to_owned(), CANARY.phone.to_owned(), CANARY.address.to_owned())
        } else {
            (person.name, person.phone, format!("{}{}幢", ESTATES[n as usize % 7].0, n % 19 + 1))
        };
        let joined = day(2025, 1 + n % 12, 1 + n % 28);
        let record = book
            .once("volunteer", &joined)
            .with("team", team)
            .with("skill", SKILLS[n as usize % SKILLS.len()])
            .with("joined_on", joined)
            .with("hours", i64::from(n % 40))
            .with("grid", format!("e{}", n % 7 + 1))
            .with("name", name)
            .with("phone", phone)
            .with("address", address);
        book.add(record);
    }
}

fn team(book: &mut Book, code: &str, name: &str, kind: &str) {
    book.grid(code, "team", "team", "chunhui", name);
    let leader = book.person(950).name;
    book.add(
        Record::new("team")
            .with("code", code)
            .with("name", name)
            .with("team_kind", kind)
            .with("formed_on", "2025-01-10")
            .with("grid", code)
            .with("leader", leader),
    );
}

fn partners(book: &mut Book) {
    for n in 1..=11_u32 {
        let liaison = book.person(800 + n);
        book.add(
            Record::new("partner")
                .with("code", format!("u{n:02}"))
                .with("name", format!("县级共建单位{n}"))
                .with("partner_kind", if n == 11 { "school" } else { "agency" })
                .with("joined_on", "2025-03-01")
                .with("agreement_on", "2025-03-15")
                .with("plan", "年度共建计划")
                .with("liaison", liaison.name)
                .with("liaison_phone", liaison.phone)
                .step("sign", "2025-03-15"),
        );
    }
}

fn gatherings(book: &mut Book) {
    let mut rows = vec![
        ("第一届邻里节".to_owned(), "festival", "2024-01-20".to_owned(), 1),
        ("第二届邻里节".to_owned(), "festival", "2025-06-14".to_owned(), 2),
        ("第三届邻里节".to_owned(), "festival", "2026-06-13".to_owned(), 3),
    ];
    // The party day comes every second month.
    for nth in 0..3 {
        rows.push(("党员活动日".to_owned(), "party_day", day(2026, 1 + nth * 2, 15), nth + 1));
    }
    for (title, theme, day, edition) in rows {
        let record = book
            .once("activity", &day)
            .with("title", title)
            .with("day", day.as_str())
            .with("theme", theme)
            .with("edition", i64::from(edition))
            .with("place", "社区广场")
            .with("grid", "chunhui")
            .step("hold", day.as_str());
        book.add(record);
    }
    let record = book
        .once("honour", "2026-04-10")
        .with("title", "城市社区党建工作示范社区")
        .with("honour_kind", "community")
        .with("grantor", "省级")
        .with("level", "province")
        .with("day", "2026-04-10");
    book.add(record);
}
