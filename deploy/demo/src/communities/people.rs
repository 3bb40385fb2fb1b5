//! Invented persons: names from the sixty pairs of the old calendar, phone numbers nobody has.
//!
//! It refuses to look like real people, so that a name of the demo is known for what it is.

/// A person of the demo.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) phone: String,
}

const SURNAMES: [&str; 20] = [
    "赵", "钱", "孙", "李", "周", "吴", "郑", "王", "冯", "陈", "褚", "卫", "蒋", "沈", "韩", "杨",
    "朱", "秦", "许", "何",
];
const STEMS: [&str; 10] = ["甲", "乙", "丙", "丁", "戊", "己", "庚", "辛", "壬", "癸"];
const BRANCHES: [&str; 12] =
    ["子", "丑", "寅", "卯", "辰", "巳", "午", "未", "申", "酉", "戌", "亥"];

/// The `n`th person: 赵甲子, 钱乙丑, and so on, with a number of 11 digits that is never given out.
pub(super) fn person(n: u32) -> Person {
    let at = n as usize;
    let name = format!(
        "{}{}{}",
        SURNAMES[at % SURNAMES.len()],
        STEMS[at / 2 % STEMS.len()],
        BRANCHES[at / 3 % BRANCHES.len()]
    );
    Person { name, phone: format!("100{n:08}") }
}

/// The person that must never be read outside a community: every community holds her in sealed
/// fields, and a search of a hub's disk, logs and frames for any of these texts must find nothing.
pub const CANARY: Canary = Canary {
    name: "金丝雀壬癸",
    phone: "10099887766",
    address: "样板巷99号9单元9909室",
    id_number: "000000190001019990",
};

/// What is known of the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// Her name.
    pub name: &'static str,
    /// Her phone number.
    pub phone: &'static str,
    /// Her address.
    pub address: &'static str,
    /// Her ID number.
    pub id_number: &'static str,
}

impl Canary {
    /// All of it, to be searched for.
    pub fn texts(&self) -> [&'static str; 4] {
        [self.name, self.phone, self.address, self.id_number]
    }
}
