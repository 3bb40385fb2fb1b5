//! S5: 63 places without a property company, all cleared, and two pilots that collect their fees.
//!
//! The pilots' bills are of one amount, so that the share by households and by amount is the same;
//! the report does not say which it means.

use super::book::{Book, Dwelling, Outcome, day};
use super::people::{CANARY, Person};
use super::record::Record;

const PLACES: u32 = 63;
/// Code, name and dwellings of the pilots of 2021.
const PILOTS: [(&str, &str, u32); 2] = [("jt", "涧田集资楼", 40), ("jx", "锦绣佳苑", 60)];
/// One bill in ten stays open.
const UNPAID: u32 = 10;

pub(super) fn records() -> Vec<Record> {
    let mut book = Book::new("estates", 500_000);
    book.grid("estates", "estate", "community", "", "无物业小区片区");
    places(&mut book);
    pilots(&mut book);
    money(&mut book);
    councils(&mut book);
    snaps(&mut book);
    lists(&mut book);
    left_behind(&mut book);
    book.finish()
}

/// What was wrong, by the number of the place.
fn problems(n: u32) -> Vec<&'static str> {
    ["sanitation", "fly_wire_charging", "sewage", "vegetable_plots"]
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at == 0 || !(n + *at as u32).is_multiple_of(3))
        .map(|(_, problem)| problem)
        .collect()
}

fn places(book: &mut Book) {
    for n in 1..=PLACES {
        let pilot = PILOTS.get(n as usize - 1);
        let lane = pilot.is_none() && n % 2 == 0;
        let code = format!("w{n:02}");
        let name = match (pilot, lane) {
            (Some((_, name, _)), _) => (*name).to_owned(),
            (None, true) => format!("样板{n}巷"),
            (None, false) => format!("样板{n}号院"),
        };
        book.grid(&code, "estate", "estate", "estates", &name);
        let wrong = problems(n);
        let mut record = Record::new("place")
            .with("code", code.as_str())
            .with("name", name)
            .with("place_kind", if lane { "back_lane" } else { "estate" })
            .with("listed_on", day(2021, 3, 1 + n % 28))
            .with("grid", code.as_str())
            .items("problems", &wrong)
            .items("verified", &wrong)
            .with("advice", "居民建议定期清扫、规范停放")
            .step("rectify", day(2021, 5, 1 + n % 28))
            .step("recheck", day(2021, 11, 1 + n % 28))
            .step("clear", day(2021, 12, 1 + n % 20));
        if pilot.is_some() {
            record = record.with("pilot", true);
        }
        book.add(record);
    }
}

/// The pilots: buildings, households, and the bills of December 2021.
fn pilots(book: &mut Book) {
    let mut n = 0;
    for (at, (code, name, dwellings)) in PILOTS.into_iter().enumerate() {
        let place = format!("w{:02}", at + 1);
        book.add(
            Record::new("estate")
                .with("code", code)
                .with("name", name)
                .with("gated", false)
                .with("property_state", "self_managed")
                .with("owners_committee", true)
                .with("households", i64::from(dwellings))
                .with("grid", place.as_str())
                .with("committee_head", book.person(900 + at as u32).name),
        );
        let compact = book
            .once("compact", "2021-06-18")
            .with("title", format!("{name}红色公约"))
            .with("text", "爱护环境、规范停放、按期缴费、邻里互助")
            .with("adopted_on", "2021-06-18")
            .with("grid", place.as_str());
        book.add(compact);
        for building in 1..=dwellings / 20 {
            let cell = format!("{code}{building}");
            book.building(&cell, &place, &format!("{name}{building}号楼"), "multi_storey");
            for flat in 0..20 {
                n += 1;
                let entrance = (flat / 10 + 1).to_string();
                let room = format!("{}0{}", flat % 10 / 2 + 1, flat % 2 + 1);
                let home = Dwelling {
                    building: &cell,
                    street: &format!("{name}{building}号楼"),
                    entrance: &entrance,
                    room: &room,
                    grid: &cell,
                    slot: None,
                    day: "2021-04-20",
                    checked: "2021-06-10",
                };
                book.household(n, &home, Outcome::nth(n, 1000, 1000));
                bill(book, n, &place, &home);
            }
        }
    }
}

fn bill(book: &mut Book, n: u32, place: &str, home: &Dwelling<'_>) {
    let mut record = Record::new("fee")
        .with("period", "2021-12")
        .with("place", place)
        .with("building", home.building)
        .with("entrance", home.entrance)
        .with("room", home.room)
        .with("grid", home.grid)
        .with("due_amount", 3_000)
        .step_by("bill", "2021-12-01", "业委会");
    record = if n.is_multiple_of(UNPAID) {
        record.step_by("remind", "2021-12-20", "业委会")
    } else {
        let payer = if n == 1 { CANARY.name.to_owned() } else { book.person(n).name };
        record
            .with("paid_amount", 3_000)
            .with("method", if n.is_multiple_of(3) { "cash" } else { "code" })
            .with("payer", payer)
            .step_by("pay", day(2021, 12, 2 + n % 18), "业委会")
            .step_by("publish", "2021-12-28", "业委会")
    };
    book.add(record);
}

/// What the committee of one pilot raised for the new year, cash and goods apart.
fn money(book: &mut Book) {
    for (form, amount, item) in
        [("cash", 530_000, "新年活动现金"), ("goods", 200_000, "新年活动奖品")]
    {
        let record = book
            .once("fund", "2021-12-28")
            .with("day", "2021-12-28")
            .with("amount", amount)
            .with("source", "committee")
            .with("form", form)
            .with("item", item)
            .with("grid", "w02")
            .with("donor", "锦绣佳苑业委会");
        book.add(record);
    }
    let record = book
        .once("activity", "2021-12-31")
        .with("title", "迎新年活动")
        .with("day", "2021-12-31")
        .with("theme", "gala")
        .with("place", "锦绣佳苑")
        .with("grid", "w02")
        .step("hold", "2021-12-31");
    book.add(record);
    for (n, name) in ["万安中学", "万安二中", "教体局"].into_iter().enumerate() {
        let Person { name: liaison, phone } = book.person(920 + n as u32);
        book.add(
            Record::new("partner")
                .with("code", format!("u{:02}", n + 1))
                .with("name", name)
                .with("partner_kind", if n < 2 { "school" } else { "agency" })
                .with("joined_on", "2021-05-01")
                .with("liaison", liaison)
                .with("liaison_phone", phone),
        );
    }
}

fn councils(book: &mut Book) {
    for (at, held) in ["2021-04-26", "2021-06-18"].into_iter().enumerate() {
        let names: Vec<String> = (0..6).map(|n| book.person(940 + n).name).collect();
        let record = book
            .once("assembly", held)
            .with("form", "red_council")
            .with("topic", if at == 0 { "卫生自管办法" } else { "红色公约" })
            .with("day", held)
            .with("place", PILOTS[at].1)
            .with("grid", format!("w{:02}", at + 1))
            .with("attendance", 26)
            .with("decision", "通过")
            .items("attendees", &names)
            .step("notify", held)
            .step("hold", held)
            .step("decide", held)
            .step("assign", held)
            .step("close", "2021-12-30");
        book.add(record);
    }
}

/// Photos of volunteers: verified ones earn points, an invalid one and a duplicate earn none.
fn snaps(book: &mut Book) {
    let kinds = ["litter", "charging", "parking", "planting", "sewage"];
    for n in 0..8_u32 {
        let on = day(2021, 9 + n % 3, 4 + n);
        let mut record = book
            .once("snap", &on)
            .with("day", on.as_str())
            .with("place", format!("样板{}号院门口", n * 2 + 3))
            .with("snap_kind", kinds[n as usize % kinds.len()])
            .with("grid", format!("w{:02}", n * 2 + 3))
            .with("volunteer", book.person(950 + n).name)
            .with("photo", format!("photo-{n}.jpg"));
        record = if n < 6 {
            record.with("points", 2).step("verify", on.as_str()).step("score", on.as_str())
        } else {
            record.with("points", 0).step("reject", on.as_str())
        };
        if n == 0 {
            record = record.with("redeemed_for", "洗衣液").step("redeem", "2021-12-30");
        }
        book.add(record);
    }
}

fn lists(book: &mut Book) {
    for (place, colour, reason) in [
        ("w01", "red", "楼道整洁"),
        ("w02", "red", "按期缴费、清扫及时"),
        ("w09", "black", "占道堆物"),
    ] {
        book.add(
            Record::new("list_item")
                .with("period", "2021-10")
                .with("place", place)
                .with("colour", colour)
                .with("reason", reason)
                .with("grid", place)
                .with("photo_before", "before.jpg")
                .with("photo_after", "after.jpg")
                .step("post", "2021-11-02"),
        );
    }
}

/// A few children whose parents work away: never published, since so few are known by their number.
fn left_behind(book: &mut Book) {
    for n in 0..3_u32 {
        let child = book.person(960 + n);
        book.add(
            Record::new("care")
                .with("care_kind", "left_behind")
                .with("name", child.name)
                .with("address", format!("涧田集资楼1号楼2单元{}01室", n + 1))
                .with("phone", child.phone)
                .with("visits_plan", "每周末红色学堂")
                .with("need", "陪伴与阅读"),
        );
    }
}
