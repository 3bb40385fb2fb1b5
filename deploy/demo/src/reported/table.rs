//! The table of reported figures, in the order of the reports.
//!
//! It refuses to compute: each row stands as the report gives it.

use super::Qualifier::{About, AtLeast, Below, Exact};
use super::{Qualifier, Reported};

/// All figures of the reports that ledgers carry.
pub fn reported() -> Vec<Reported> {
    [six_links(), yili(), chunhui(), rongchang(), jinshanyuan(), estates()].concat()
}

/// The rows of one community.
struct Rows {
    community: &'static str,
    source: &'static str,
    list: Vec<Reported>,
}

impl Rows {
    fn new(community: &'static str, source: &'static str) -> Self {
        Self { community, source, list: Vec::new() }
    }

    /// A plain number.
    fn sum(
        self,
        metric: &'static str,
        period: &'static str,
        number: i64,
        unit: &'static str,
    ) -> Self {
        self.row(metric, period, (number, None), unit)
    }

    /// A ratio of which the report gives both parts.
    fn ratio(self, metric: &'static str, period: &'static str, parts: (i64, i64)) -> Self {
        self.row(metric, period, (parts.0, Some(parts.1)), "%")
    }

    /// A ratio of which the report gives the share alone.
    fn share(self, metric: &'static str, period: &'static str, parts: (i64, i64)) -> Self {
        let mut rows = self.row(metric, period, (parts.0, Some(parts.1)), "%");
        rows.last().share_only = true;
        rows
    }

    /// How the last row is put.
    fn put(mut self, qualifier: Qualifier) -> Self {
        self.last().qualifier = qualifier;
        self
    }

    /// The unit of the last row, where it is not the usual one.
    fn unit(mut self, unit: &'static str) -> Self {
        self.last().unit = unit;
        self
    }

    /// What to know of the last row.
    fn note(mut self, note: &'static str) -> Self {
        self.last().note = note;
        self
    }

    fn row(
        mut self,
        metric: &'static str,
        period: &'static str,
        (numerator, denominator): (i64, Option<i64>),
        unit: &'static str,
    ) -> Self {
        self.list.push(Reported {
            community: self.community,
            metric,
            period,
            numerator,
            denominator,
            share_only: false,
            unit,
            qualifier: Exact,
            source: self.source,
            note: "",
        });
        self
    }

    fn last(&mut self) -> &mut Reported {
        self.list.last_mut().expect("a row was just added")
    }
}

fn six_links() -> Vec<Reported> {
    Rows::new("liulian", "S1")
        .sum("M20", "2026-03", 188, "个")
        .sum("M21b", "all", 2256, "户")
        .note("(d) 188 groups of twelve")
        .sum("M70", "all", 2256, "户")
        .put(About)
        .note("(d) 188 groups of twelve")
        .sum("M40", "2026-01..2026-03", 4, "次")
        .note("meetings of group leaders")
        .sum("M76", "all", 3, "月")
        .put(AtLeast)
        .list
}

fn yili() -> Vec<Reported> {
    Rows::new("yili", "S2a")
        .sum("M70", "all", 410, "户")
        .sum("M21b", "all", 410, "户")
        .sum("M71", "all", 1200, "人")
        .put(AtLeast)
        .sum("M73", "all", 37_000, "平方米")
        .sum("M73b", "all", 51_000, "平方米")
        .sum("M77", "all", 10, "项")
        .put(AtLeast)
        .sum("M78", "2026", 17, "人")
        .sum("M79", "2025..2026", 6, "期")
        .sum("M79b", "2025..2026", 90, "份")
        .put(AtLeast)
        .sum("M24b", "2026", 12, "人")
        .ratio("M46", "all", (9, 9))
        .unit("人")
        .ratio("M46b", "all", (5, 5))
        .unit("户")
        .ratio("M46c", "all", (6, 6))
        .unit("人")
        .sum("M45", "all", 520, "户次")
        .put(AtLeast)
        .sum("M54", "all", 47_150_000, "分")
        .note("47.15 万元")
        .ratio("M54d", "all", (21_600_000, 47_150_000))
        .unit("分")
        .note("(d) items of 6, 6.6 and 9 万元; 25.55 without item")
        .sum("M55a", "all", 21, "件")
        .sum("M55b", "all", 120, "米")
        .put(AtLeast)
        .sum("M55c", "all", 40, "平方米")
        .sum("M55d", "all", 400, "平方米")
        .sum("M55e", "all", 30, "套")
        .sum("M55k", "all", 30, "平方米")
        .put(AtLeast)
        .list
}

fn chunhui() -> Vec<Reported> {
    Rows::new("chunhui", "S2b")
        .sum("M72", "all", 50, "人")
        .sum("M72b", "all", 3, "个")
        .sum("M77", "all", 8, "项")
        .sum("M41", "2026-06", 211, "人")
        .sum("M41b", "2026-06", 14, "支")
        .note("(d) 2 + 12")
        .sum("M41c", "all", 2, "支")
        .sum("M41d", "all", 12, "支")
        .ratio("M53", "all", (4, 7))
        .sum("M53b", "all", 7, "个")
        .sum("M49", "2026-06", 11, "家")
        .ratio("M49b", "all", (11, 11))
        .sum("M50g", "all", 3, "届")
        .share("M52b", "all", (516, 1000))
        .list
}

fn rongchang() -> Vec<Reported> {
    Rows::new("rongchang", "S3")
        .sum("M70", "all", 2755, "户")
        .sum("M21b", "all", 2755, "户")
        .sum("M71", "all", 6300, "人")
        .put(AtLeast)
        .sum("M73b", "all", 430_000, "平方米")
        .sum("M74", "all", 23, "幢")
        .sum("M74b", "all", 13, "幢")
        .sum("M74c", "all", 43, "套")
        .share("M75", "all", (90, 100))
        .put(AtLeast)
        .sum("M23a", "all", 7, "个")
        .sum("M23b", "all", 36, "人")
        .ratio("M23c", "all", (36, 36))
        .note("(d) 23 + 13 buildings")
        .sum("M56", "2026-10", 540_000, "分")
        .note("(d) 150 元 for each of 36 a month, as planned")
        .sum("M52a", "2026-10", 4, "个")
        .sum("M59", "all", 11, "个")
        .sum("M59b", "all", 2000, "平方米")
        .put(AtLeast)
        .sum("M50", "all", 100, "场")
        .put(AtLeast)
        .sum("M50c", "all", 11, "期")
        .sum("M50d", "all", 5, "期")
        .sum("M50e", "all", 200, "人次")
        .put(AtLeast)
        .sum("M50f", "all", 9, "场")
        .share("M51a", "2025", (7, 100))
        .put(Below)
        .note("base not stated: as a share of those present")
        .share("M51a", "2026", (36, 100))
        .put(About)
        .note("base not stated: as a share of those present")
        .share("M51b", "2025", (7, 100))
        .put(Below)
        .note("base not stated: as a share of youth residents")
        .share("M51b", "2026", (36, 100))
        .put(About)
        .note("base not stated: as a share of youth residents")
        .sum("M41", "2026-10", 100, "人")
        .put(About)
        .note("in the seven new teams")
        .sum("M41b", "2026-10", 13, "支")
        .note("(d) 6 + 7")
        .sum("M41e", "all", 6, "支")
        .sum("M41f", "all", 7, "支")
        .sum("M33", "2026", 12, "件")
        .share("M33b", "2026", (1, 1))
        .sum("M47", "2026", 13, "人次")
        .sum("M49", "2026-10", 20, "家")
        .put(About)
        .sum("M78b", "2026", 30, "人")
        .put(AtLeast)
        .sum("M55f", "all", 600, "平方米")
        .sum("M55g", "all", 3, "部")
        .ratio("M32", "2026", (20, 20))
        .put(AtLeast)
        .sum("M32b", "2026", 20, "处")
        .put(AtLeast)
        .share("M11", "all", (1, 1))
        .note("every report closed the same day, as the loop asks")
        .sum("M01", "2026", 5, "件")
        .note("the five bottlenecks")
        .sum("M02", "2026", 3, "件")
        .sum("M09", "2026-10", 1, "件")
        .note("(d) the one under way")
        .ratio("M03a", "2026", (3, 5))
        .note("(d) one improved and one under way are not solved")
        .list
}

fn jinshanyuan() -> Vec<Reported> {
    Rows::new("jinshanyuan", "S4")
        .sum("M70", "all", 1100, "户")
        .put(AtLeast)
        .sum("M71", "all", 3000, "人")
        .put(AtLeast)
        .sum("M72", "all", 187, "人")
        .sum("M73", "all", 900_000, "平方米")
        .note("0.9 km²")
        .sum("M53b", "all", 9, "个")
        .sum("M01", "2026", 60, "件")
        .sum("M02", "2026", 55, "件")
        .ratio("M03a", "2026", (55, 60))
        .note("(d) 91.67%")
        .ratio("M03b", "2026", (55, 60))
        .note("(d) 91.67%")
        .share("M40b", "2026-01..2026-10", (1, 1))
        .note("at least one meeting a month")
        .sum("M43", "2025-01", 3, "人")
        .sum("M43", "2026-10", 25, "人")
        .sum("M41g", "all", 3, "支")
        .sum("M42", "2025-03", 4, "人")
        .sum("M42", "2026-10", 15, "人")
        .sum("M42b", "2026", 50, "人次")
        .sum("M44", "all", 35, "次")
        .sum("M44b", "all", 350, "人次")
        .sum("M44c", "2026", 50, "人次")
        .note("may or may not be part of other counts; never added")
        .sum("M49", "2026-10", 14, "家")
        .sum("M48", "2026-10", 39, "人")
        .note("(d) 38 and the one of the story")
        .sum("M54", "all", 200_000_000, "分")
        .put(AtLeast)
        .note("200 万元 and more for the centre")
        .sum("M55l", "all", 1400, "平方米")
        .sum("M55h", "all", 9, "个")
        .sum("M55i", "all", 2, "个")
        .sum("M55j", "all", 2, "个")
        .list
}

fn estates() -> Vec<Reported> {
    Rows::new("estates", "S5")
        .ratio("M31", "all", (63, 63))
        .sum("M31b", "all", 2, "处")
        .share("M30a", "2021-12", (90, 100))
        .note("basis not stated: by household")
        .share("M30b", "2021-12", (90, 100))
        .note("basis not stated: by amount")
        .sum("M54b", "2021-12", 530_000, "分")
        .note("5,300 元")
        .sum("M54c", "2021-12", 200_000, "分")
        .note("worth 2,000 元")
        .list
}
