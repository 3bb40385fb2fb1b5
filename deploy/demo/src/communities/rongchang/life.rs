//! What the people of S3 do: activities and who came, teams, partners, projects, disputes, visits.

use super::super::book::{Book, day};
use super::super::record::Record;
use super::canary_visit;

pub(super) fn write(book: &mut Book) {
    activities(book);
    youth(book);
    teams(book);
    partners(book);
    projects(book);
    disputes(book);
    visits(book);
    parking(book);
}

/// A hundred and more: 11 birthday parties, 5 civil days on the 6th, 9 talks, 15 teas, and culture
/// for the rest, eight of which stand in `youth`.
fn activities(book: &mut Book) {
    for n in 0..11_u32 {
        let (year, month) = if n < 2 { (2025, 11 + n) } else { (2026, n - 1) };
        hold(book, "长者集体生日会", "birthday", &day(year, month, 18), Some(n + 1));
    }
    for n in 0..5_u32 {
        let on = day(2026, 5 + n, 6);
        let activity = hold(book, "文明日大扫除", "civil_day", &on, Some(n + 1));
        let names: Vec<String> = (0..8).map(|at| book.person(7_000 + n * 8 + at).name).collect();
        book.add(
            Record::new("attendance")
                .with("activity", activity)
                .with("day", on)
                .with("theme", "civil_day")
                .with("grid", "rongchang")
                .with("persons", 40)
                .with_some("qualifier", (n == 4).then_some(">="))
                .items("names", &names),
        );
    }
    for n in 0..9_u32 {
        hold(book, "百家讲坛", "talk", &day(2026, 1 + n, 22), Some(n + 1));
    }
    for n in 0..15_u32 {
        hold(book, "议事茶叙", "tea", &day(2025 + n / 12, 1 + n % 12, 9), None);
    }
    for n in 0..51_u32 {
        hold(
            book,
            "群众文体活动",
            "culture",
            &day(2025 + n / 26, 1 + n % 26 * 10 / 26, 1 + n % 28),
            None,
        );
    }
    let on = "2026-10-30";
    let record = book
        .once("activity", on)
        .with("title", "其他小型活动（合并登记）")
        .with("day", on)
        .with("theme", "culture")
        .with("grid", "rongchang")
        .with("number", 1)
        .with("qualifier", ">=")
        .step("hold", on);
    book.add(record);
}

/// Before and after: the report gives the share of the young without its base, so that the sheets
/// give the same share of those present and of the young who live there.
fn youth(book: &mut Book) {
    for (year, persons, young, bound) in [(2025, 100, 7, "<"), (2026, 50, 18, "~")] {
        for n in 0..4_u32 {
            let on = day(year, 2 + n * 2, 16);
            let activity = hold(book, "邻里运动会", "culture", &on, None);
            book.add(
                Record::new("attendance")
                    .with("activity", activity)
                    .with("day", on)
                    .with("theme", "culture")
                    .with("grid", "rongchang")
                    .with("persons", persons)
                    .with("youth", young)
                    .with("youth_residents", persons)
                    .with("qualifier", bound),
            );
        }
    }
}

/// Adds an activity that was held and gives its id.
fn hold(book: &mut Book, title: &str, theme: &str, on: &str, edition: Option<u32>) -> String {
    let mut record = book
        .once("activity", on)
        .with("title", title)
        .with("day", on)
        .with("theme", theme)
        .with("place", "新时代文明实践站")
        .with("grid", "rongchang")
        .with("organiser", book.person(7_900).name);
    if let Some(edition) = edition {
        record = record.with("edition", i64::from(edition));
    }
    let id = record.id.clone().expect("once() gives an id");
    book.add(record.step("hold", on));
    id
}

/// Six standing teams and seven new ones with about a hundred persons.
fn teams(book: &mut Book) {
    for n in 1..=6_u32 {
        team(book, &format!("s{n}"), &format!("文明实践队{n}"), "standard", "2024-05-01");
    }
    let new = [
        "常青松监督队",
        "老来宝服务队",
        "一面旗一口哨队",
        "星星向荣小志愿者队",
        "样板五队",
        "样板六队",
        "样板七队",
    ];
    for (n, name) in new.into_iter().enumerate() {
        team(book, &format!("n{}", n + 1), name, "new", "2025-06-01");
    }
    for n in 0..96_u32 {
        let person = book.person(6_000 + n);
        let whole = n == 95;
        let mut record = book
            .once("volunteer", "2025-06-10")
            .with("team", format!("n{}", n % 7 + 1))
            .with("joined_on", "2025-06-10")
            .with("grid", format!("p{}", n % 7 + 1));
        record = if whole {
            // A list still to be typed in full.
            record.with("number", 5).with("qualifier", "~")
        } else {
            record.with("skill", "cleaning").with("name", person.name).with("phone", person.phone)
        };
        book.add(record);
    }
}

fn team(book: &mut Book, code: &str, name: &str, kind: &str, formed: &str) {
    book.grid(&format!("team-{code}"), "team", "team", "rongchang", name);
    book.add(
        Record::new("team")
            .with("code", code)
            .with("name", name)
            .with("team_kind", kind)
            .with("formed_on", formed)
            .with("grid", format!("team-{code}")),
    );
}

/// About twenty units, and thirty or more members who report where they live.
fn partners(book: &mut Book) {
    let known = [
        "城市管理部门",
        "自然资源部门",
        "消防部门",
        "交警部门",
        "教育部门",
        "银行",
        "爱心衣物回收中心",
    ];
    for n in 0..20_u32 {
        let name = known
            .get(n as usize)
            .map_or_else(|| format!("共建单位{}", n + 1), |name| (*name).to_owned());
        let liaison = book.person(7_500 + n);
        book.add(
            Record::new("partner")
                .with("code", format!("u{:02}", n + 1))
                .with("name", name)
                .with("partner_kind", if n < 5 { "agency" } else { "enterprise" })
                .with("joined_on", "2025-04-01")
                .with_some("qualifier", (n == 19).then_some("~"))
                .with("liaison", liaison.name)
                .with("liaison_phone", liaison.phone),
        );
    }
    for n in 0..30_u32 {
        let record = book
            .once("pledge", "2026-02-01")
            .with("pledge_kind", "double_report")
            .with("task", "社区报到服务")
            .with("from", "2026-02-01")
            .with("grid", format!("p{}", n % 7 + 1))
            .with_some("qualifier", (n == 29).then_some(">="))
            .with("member", book.person(7_600 + n).name)
            .with("unit", "样板单位");
        book.add(record);
    }
}

fn projects(book: &mut Book) {
    let rows = [
        ("补种草坪", "lawn", 600, "平方米", "p3"),
        ("电梯更换一", "lift", 1, "部", "h01"),
        ("电梯更换二", "lift", 1, "部", "h02"),
        ("电梯更换三", "lift", 1, "部", "h03"),
    ];
    for (name, output, quantity, unit, grid) in rows {
        let record = book
            .once("project", "2026-05-20")
            .with("name", name)
            .with("output", output)
            .with("quantity", quantity)
            .with("unit", unit)
            .with("grid", grid)
            .with("accepted_on", "2026-08-20")
            .step("decide", "2026-05-20")
            .step("build", "2026-06-01")
            .step("accept", "2026-08-20");
        book.add(record);
    }
    for n in 1..=11_u32 {
        book.add(
            Record::new("venue")
                .with("code", format!("v{n:02}"))
                .with("name", format!("服务阵地{n}"))
                .with("opened_on", "2024-01-01")
                .with("grid", "rongchang"),
        );
    }
    book.add(
        Record::new("floor_space").with("code", "all").with("area", 2000).with("qualifier", ">="),
    );
}

/// Twelve disputes settled early; who they were between stays sealed.
fn disputes(book: &mut Book) {
    let kinds = ["neighbours", "pets", "parking", "noise", "property", "family"];
    for n in 0..12_u32 {
        let on = day(2026, 1 + n % 10, 3 + n);
        let parties = [book.person(5_000 + n).name, book.person(5_100 + n).name];
        let record = book
            .once("dispute", &on)
            .with("day", on.as_str())
            .with("dispute_kind", kinds[n as usize % kinds.len()])
            .with("grid", format!("p{}", n % 7 + 1))
            .with("agreement_no", format!("2026-{:03}", n + 1))
            .with("mediator", book.person(5_200 + n % 3).name)
            .with("text", "双方就日常起居互谅互让达成一致")
            .items("parties", &parties)
            .step("register", on.as_str())
            .step("mediate", on.as_str())
            .step("settle", on.as_str())
            .step("follow_up", day(2026, 1 + n % 10, 20))
            .step("archive", day(2026, 1 + n % 10, 25));
        book.add(record);
    }
}

fn visits(book: &mut Book) {
    for n in 0..12_u32 {
        let on = day(2026, 1 + n % 9, 26);
        let record = book
            .once("visit", &on)
            .with("day", on.as_str())
            .with("receiver", book.person(5_500 + n).name)
            .with("content", "入户关心")
            .with("goods", "慰问品")
            .step("complete", on);
        book.add(record);
    }
    book.add(canary_visit(book, "2026-09-26"));
    book.publish("M47", "2026-09", "2026-09-30", (13, None));
}

/// The one-way plan: passed by the heads of buildings, now before the residents.
fn parking(book: &mut Book) {
    let names: Vec<String> = (0..10).map(|n| book.person(9_000 + n).name).collect();
    let record = book
        .once("assembly", "2026-08-01")
        .with("form", "building_heads")
        .with("topic", "小区车辆单向行驶与停放方案")
        .with("day", "2026-09-12")
        .with("place", "社区议事茶叙角")
        .with("grid", "rongchang")
        .with("attendance", 36)
        .with("decision", "原则通过，公开征求意见")
        .items("attendees", &names)
        .step("set_topic", "2026-08-01")
        .step("notify", "2026-09-08")
        .step("hold", "2026-09-12")
        .step("decide", "2026-09-12")
        .step("consult", "2026-09-20");
    book.add(record);
}
