//! S2a: 410 households, pledges of members, service at the door, and money with and without items.
//!
//! Its zero-employment families stand in a sealed ledger; only their count is published.

use super::book::{Book, Dwelling, Outcome, day};
use super::people::CANARY;
use super::record::Record;

/// Entrances of each building; twelve dwellings each, and two more in the last.
const BUILDINGS: [u32; 7] = [5, 5, 5, 5, 5, 5, 4];

pub(super) fn records() -> Vec<Record> {
    let mut book = Book::new("yili", 100_000);
    facts(&mut book);
    households(&mut book);
    party(&mut book);
    door_services(&mut book);
    work(&mut book);
    projects(&mut book);
    gatherings(&mut book);
    book.finish()
}

fn facts(book: &mut Book) {
    let now = "2026-11-01";
    book.fact("households", 410, "户", "", now);
    book.fact("residents", 1200, "人", ">=", now);
    book.fact("land_area", 37_000, "平方米", "", now);
    book.fact("built_area", 51_000, "平方米", "", now);
    book.fact("services", 10, "项", ">=", now);
}

fn households(book: &mut Book) {
    book.grid("yili", "grid", "community", "", "怡丽北园社区");
    let mut n = 0;
    for (at, entrances) in BUILDINGS.into_iter().enumerate() {
        let number = at as u32 + 1;
        let code = format!("b{number}");
        book.building(&code, "yili", &format!("{number}号楼"), "multi_storey");
        for entrance in 1..=entrances {
            let last = number == 7 && entrance == entrances;
            for slot in 1..=if last { 14 } else { 12 } {
                n += 1;
                let entrance = entrance.to_string();
                let room = format!("{}0{}", (slot + 1) / 2, (slot - 1) % 2 + 1);
                let asked = day(2025, 9, 1 + n % 28);
                let place = Dwelling {
                    building: &code,
                    street: &format!("{number}号楼"),
                    entrance: &entrance,
                    room: &room,
                    grid: &code,
                    slot: None,
                    day: &asked,
                    checked: "2026-03-02",
                };
                book.household(n, &place, Outcome::nth(n, 60, 45));
            }
        }
    }
}

fn party(book: &mut Book) {
    let tasks = ["楼道保洁", "宣传栏维护", "治安巡逻", "青少年辅导", "绿地养护"];
    for n in 0..17_u32 {
        let kind = if n.is_multiple_of(3) { "area" } else { "task" };
        let record = book
            .once("pledge", "2026-01-10")
            .with("pledge_kind", kind)
            .with("task", tasks[n as usize % tasks.len()])
            .with("from", "2026-01-10")
            .with("to", "2026-12-31")
            .with("grid", format!("b{}", n % 7 + 1))
            .with("member", book.person(n * 9).name);
        book.add(record);
    }
    let days = ["2025-02-20", "2025-06-20", "2025-10-20", "2026-02-20", "2026-06-20", "2026-10-20"];
    for (at, day) in days.into_iter().enumerate() {
        let issue = at as i64 + 1;
        book.add(
            Record::new("bulletin")
                .with("issue_no", issue)
                .with("day", day)
                .with("title", format!("支部简报第{issue}期")),
        );
        let bound = (at + 1 == days.len()).then_some(">=");
        let names: Vec<String> = (0..5).map(|n| book.person(n * 11 + at as u32).name).collect();
        let handout = book
            .once("handout", day)
            .with("item", "bulletin")
            .with("day", day)
            .with("number", 15)
            .with_some("qualifier", bound)
            .items("receivers", &names);
        book.add(handout);
    }
    for n in 0..12_u32 {
        let record = book
            .once("honour", "2026-07-01")
            .with("title", "先进党员")
            .with("honour_kind", "exemplary_member")
            .with("grantor", "社区党支部")
            .with("level", "community")
            .with("day", "2026-07-01")
            .with("receiver", book.person(n * 13).name);
        book.add(record);
    }
    for (title, level, day) in [
        ("先进基层党组织", "district", "2025-07-01"),
        ("和谐示范党支部", "district", "2026-03-20"),
        ("五好党支部", "street", "2026-06-28"),
    ] {
        let record = book
            .once("honour", day)
            .with("title", title)
            .with("honour_kind", "community")
            .with("grantor", if level == "street" { "街道党工委" } else { "区委" })
            .with("level", level)
            .with("day", day);
        book.add(record);
    }
}

/// 52 records of ten households each; the last one is a bound, as the report gives it.
fn door_services(book: &mut Book) {
    let kinds = ["groceries", "meals", "haircut", "recycling"];
    for n in 0..52_u32 {
        let day = day(2025 + n / 26, 1 + n % 26 * 10 / 26, 1 + n % 28);
        let receiver = if n == 0 { CANARY.name.to_owned() } else { book.person(n * 7).name };
        let address =
            if n == 0 { CANARY.address.to_owned() } else { format!("{}号楼", n % 7 + 1) };
        let record = book
            .once("service_record", &day)
            .with("day", day.as_str())
            .with("service_kind", kinds[n as usize % kinds.len()])
            .with("provider", "community")
            .with("at_door", true)
            .with("unit", "household_times")
            .with("number", 10)
            .with_some("qualifier", (n == 51).then_some(">="))
            .with("grid", format!("b{}", n % 7 + 1))
            .with("receiver", receiver)
            .with("address", address)
            .step("assign", day.as_str())
            .step("complete", day);
        book.add(record);
    }
}

/// Nine who wanted work and found it; six of them from the five families without anyone in work.
fn work(book: &mut Book) {
    for n in 0..9_u32 {
        let person = book.person(300 + n);
        let mut record = book
            .once("job_seeker", "2025-11-05")
            .with("registered_on", "2025-11-05")
            .with("grid", format!("b{}", n % 7 + 1))
            .with("name", person.name)
            .with("phone", person.phone)
            .with("wish", "社区周边")
            .with("employer", "样板商贸行")
            .with("zero_employment", n < 6);
        if n < 6 {
            record = record.with("family", format!("家庭{}", n.min(4) + 1));
        }
        book.add(record.step("place", day(2026, 1 + n, 15)));
    }
    for n in 0..5_u32 {
        let person = book.person(300 + n);
        book.add(
            Record::new("care")
                .with("care_kind", "zero_employment")
                .with("name", person.name)
                .with("phone", person.phone)
                .with("address", format!("{}号楼1单元101室", n + 1))
                .with("visits_plan", "每月一次")
                .with("need", "就业"),
        );
    }
    book.publish("M46b", "2026-09", "2026-09-30", (5, Some(5)));
    book.publish("M46c", "2026-09", "2026-09-30", (6, Some(6)));
    for (n, day) in ["2026-02-10", "2026-02-11", "2026-09-25"].into_iter().enumerate() {
        let record = book
            .once("visit", day)
            .with("day", day)
            .with("receiver", book.person(320 + n as u32).name)
            .with("content", "节日慰问")
            .with("goods", "米、油")
            .step("complete", day);
        book.add(record);
    }
}

/// A project with its size, and its money in 分 where the report gives it an item.
struct Work {
    name: &'static str,
    output: &'static str,
    quantity: i64,
    unit: &'static str,
    bound: Option<&'static str>,
    money: Option<i64>,
    day: &'static str,
}

/// Three projects with their money, others with their size alone.
const WORKS: [Work; 6] = [
    Work::new("健身器材与休闲椅", "fitness", 21, "件", "2024-10-20").cost(6_000_000),
    Work::new("东围墙", "wall", 120, "米", "2025-04-18").cost(6_600_000).at_least(),
    Work::new("便民服务用房", "service_building", 40, "平方米", "2025-09-12").cost(9_000_000),
    Work::new("自行车棚", "bike_shed", 400, "平方米", "2025-05-30"),
    Work::new("不锈钢信箱", "mailbox", 30, "套", "2026-03-25"),
    Work::new("宣传专栏", "board", 30, "平方米", "2026-05-08").at_least(),
];

impl Work {
    const fn new(
        name: &'static str,
        output: &'static str,
        quantity: i64,
        unit: &'static str,
        day: &'static str,
    ) -> Self {
        Self { name, output, quantity, unit, bound: None, money: None, day }
    }

    const fn cost(mut self, money: i64) -> Self {
        self.money = Some(money);
        self
    }

    const fn at_least(mut self) -> Self {
        self.bound = Some(">=");
        self
    }
}

/// The projects, their money, and the rest of the sum without an item.
fn projects(book: &mut Book) {
    for work in &WORKS {
        let record = book
            .once("project", work.day)
            .with("name", work.name)
            .with("output", work.output)
            .with("quantity", work.quantity)
            .with("unit", work.unit)
            .with_some("qualifier", work.bound)
            .with("grid", "yili")
            .with("accepted_on", work.day)
            .step("decide", work.day)
            .noted("居民代表大会通过")
            .step("build", work.day)
            .step("accept", work.day)
            .step("publish", work.day);
        let project = record.id.clone();
        book.add(record);
        if let Some(amount) = work.money {
            fund(book, work.day, amount, work.name, project.as_deref());
        }
    }
    fund(book, "2026-08-30", 25_550_000, "其他设施（未列明细）", None);
}

fn fund(book: &mut Book, day: &str, amount: i64, item: &str, project: Option<&str>) {
    let record = book
        .once("fund", day)
        .with("day", day)
        .with("amount", amount)
        .with("source", "street")
        .with("form", "cash")
        .with("item", item)
        .with_some("project", project)
        .with("grid", "yili");
    book.add(record);
}

fn gatherings(book: &mut Book) {
    for (title, theme, day) in [
        ("春节联欢会", "gala", "2025-01-24"),
        ("春节联欢会", "gala", "2026-02-12"),
        ("重阳集体生日", "birthday", "2026-10-18"),
        ("立冬包饺子", "culture", "2026-11-07"),
    ] {
        let record = book
            .once("activity", day)
            .with("title", title)
            .with("day", day)
            .with("theme", theme)
            .with("place", "社区活动室")
            .with("grid", "yili")
            .step("hold", day);
        book.add(record);
    }
    for (topic, held) in [
        ("信箱与车棚选址", "2026-03-08"),
        ("便民用房引入项目", "2026-06-14"),
        ("地下室清理", "2026-09-19"),
    ] {
        let names: Vec<String> = (0..10).map(|n| book.person(n * 41).name).collect();
        let record = book
            .once("assembly", held)
            .with("form", "representatives")
            .with("topic", topic)
            .with("day", held)
            .with("place", "社区会议室")
            .with("grid", "yili")
            .with("attendance", 41)
            .with("decision", "通过并在宣传栏公示")
            .items("attendees", &names)
            .step("notify", held)
            .step("hold", held)
            .step("decide", held)
            .step("consult", held)
            .step("assign", held)
            .step("close", held);
        book.add(record);
    }
}
