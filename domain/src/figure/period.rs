//! A stretch of days that a figure is asked for.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Serialize, Serializer};

/// A text that is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a period: 2026-03-06, 2026-03, 2026-Q1, 2026, a..b of those, or all")]
pub struct InvalidPeriod(pub String);

/// A day, month, quarter, year, a range of those, or all time.
///
/// Written `2026-03-06`, `2026-03`, `2026-Q1`, `2026`, `2026-01..2026-06-15`, `all`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    text: String,
    /// `None` for all time.
    span: Option<Span>,
}

/// First and last of the days, whole months and whole years of a period. A period without a
/// whole month has its first after its last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    days: (String, String),
    months: (String, String),
    years: (String, String),
}

/// The length of the periods that a figure is broken down into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// `YYYY-MM-DD`.
    Day,
    /// `YYYY-MM`.
    Month,
    /// `YYYY-Qn`.
    Quarter,
    /// `YYYY`.
    Year,
}

impl Period {
    /// All time.
    pub fn all() -> Self {
        Self { text: "all".to_owned(), span: None }
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Result<Self, InvalidPeriod> {
        let wrong = || InvalidPeriod(text.to_owned());
        if text == "all" {
            return Ok(Self::all());
        }
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let from = span(from).ok_or_else(wrong)?.0;
        let to = span(to).ok_or_else(wrong)?.1;
        if from > to {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), span: Some(Span::new(from, to)) })
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// First and last day, as `YYYY-MM-DD`; `None` for all time.
    pub fn days(&self) -> Option<(&str, &str)> {
        self.span.as_ref().map(|span| (span.days.0.as_str(), span.days.1.as_str()))
    }

    /// Whether a cell's period (a day, month, year or empty) lies within this one.
    pub fn takes(&self, cell: &str) -> bool {
        self.whole(cell.len()).is_none_or(|(first, last)| *first <= *cell && *cell <= *last)
    }

    /// Whether a cell's period ends by the end of this one: what a stock sums.
    pub fn reaches(&self, cell: &str) -> bool {
        self.whole(cell.len()).is_none_or(|(_, last)| *cell <= *last)
    }

    /// First and last of the whole cells of this many text bytes; `None` where all are taken.
    fn whole(&self, cell_len: usize) -> Option<(&str, &str)> {
        let span = self.span.as_ref()?;
        let (first, last) = match cell_len {
            10 => &span.days,
            7 => &span.months,
            4 => &span.years,
            _ => return None,
        };
        Some((first, last))
    }

    /// Whether the first day begins a cell of this many text bytes (10, 7, 4 or 0): a month cannot
    /// be cut into days.
    pub(super) fn begins_evenly(&self, cell_len: usize) -> bool {
        let Some((from, _)) = self.days() else { return true };
        match cell_len {
            7 => from.ends_with("-01"),
            4 => from.ends_with("-01-01"),
            _ => true,
        }
    }

    /// Whether the last day ends such a cell.
    pub(super) fn ends_evenly(&self, cell_len: usize) -> bool {
        let Some((_, to)) = self.days() else { return true };
        match cell_len {
            7 => is_last_of_month(to),
            4 => to.ends_with("-12-31"),
            _ => true,
        }
    }
}

impl Unit {
    /// The period of this length that a cell's period lies in; `None` if the cell is longer.
    pub(super) fn of(self, cell: &str) -> Option<String> {
        match self {
            Self::Day => (cell.len() == 10).then(|| cell.to_owned()),
            Self::Month => cell.get(..7).map(str::to_owned),
            Self::Year => cell.get(..4).map(str::to_owned),
            Self::Quarter => {
                let month: u8 = cell.get(5..7)?.parse().ok()?;
                Some(format!("{}-Q{}", &cell[..4], month.saturating_sub(1) / 3 + 1))
            }
        }
    }
}

impl Unit {
    /// All periods of this length from the one of a day to the one of another, in order.
    pub(super) fn between(self, from: &str, to: &str) -> Vec<String> {
        let mut periods: Vec<String> = if self == Self::Day {
            match (from.parse::<Date>(), to.parse::<Date>()) {
                (Ok(from), Ok(to)) => from
                    .series(1.day())
                    .take_while(|day| *day <= to)
                    .map(|d| d.to_string())
                    .collect(),
                _ => Vec::new(),
            }
        } else {
            months(from, to).iter().filter_map(|month| self.of(month)).collect()
        };
        periods.dedup();
        periods
    }

    /// Text bytes of the longest cells that fit into periods of this length.
    pub(super) fn cell_len(self) -> usize {
        match self {
            Self::Day => 10,
            Self::Month | Self::Quarter => 7,
            Self::Year => 4,
        }
    }
}

/// The months from one to the other, both included, as `YYYY-MM`.
pub(super) fn months(from: &str, to: &str) -> Vec<String> {
    let read = |text: &str| -> Option<(i32, i32)> {
        Some((text.get(..4)?.parse().ok()?, text.get(5..7)?.parse().ok()?))
    };
    let (Some((year, month)), Some((last_year, last_month))) = (read(from), read(to)) else {
        return Vec::new();
    };
    let (first, last) = (year * 12 + month - 1, last_year * 12 + last_month - 1);
    (first..=last).map(|at| format!("{:04}-{:02}", at / 12, at % 12 + 1)).collect()
}

impl Span {
    fn new(from: Date, to: Date) -> Self {
        // At the ends of the calendar there is no whole month or year left to name.
        let next = |date: Date, span: jiff::Span| date.checked_add(span).unwrap_or(date);
        let month = |date: Date| date.to_string()[..7].to_owned();
        let year = |date: Date| date.to_string()[..4].to_owned();
        let first_month = if from.day() == 1 { from } else { next(from, 1.month()) };
        let last_month = if to == to.last_of_month() { to } else { next(to, -1.month()) };
        let first_year = if from.day_of_year() == 1 { from } else { next(from, 1.year()) };
        let last_year = if to == to.last_of_year() { to } else { next(to, -1.year()) };
        Self {
            days: (from.to_string(), to.to_string()),
            months: (month(first_month), month(last_month)),
            years: (year(first_year), year(last_year)),
        }
    }
}

fn is_last_of_month(day: &str) -> bool {
    day.parse::<Date>().is_ok_and(|date| date == date.last_of_month())
}

/// First and last day of a day, month, quarter or year.
fn span(text: &str) -> Option<(Date, Date)> {
    let number = |range: std::ops::Range<usize>| -> Option<i16> {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let year = number(0..4)?;
    let (first, last) = match (text.len(), &text.as_bytes()[4..]) {
        (4, []) => (Date::new(year, 1, 1), Date::new(year, 12, 31)),
        (7, [b'-', b'Q', quarter @ b'1'..=b'4']) => {
            let month = (quarter - b'1') as i8 * 3 + 1;
            let last = Date::new(year, month + 2, 1).map(Date::last_of_month);
            (Date::new(year, month, 1), last)
        }
        (7, [b'-', ..]) => {
            let first = Date::new(year, number(5..7)? as i8, 1);
            (first.clone(), first.map(Date::last_of_month))
        }
        (10, [b'-', _, _, b'-', ..]) => {
            let day = Date::new(year, number(5..7)? as i8, number(8..10)? as i8);
            (day.clone(), day)
        }
        _ => return None,
    };
    Some((first.ok()?, last.ok()?))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> Option<(String, String)> {
        Some(Period::parse(text).ok()?.span?.days)
    }

    #[test]
    fn each_written_form_names_its_first_and_last_day() {
        let pair = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        assert_eq!(days("2026-03-06"), pair("2026-03-06", "2026-03-06"));
        assert_eq!(days("2028-02"), pair("2028-02-01", "2028-02-29"));
        assert_eq!(days("2026-Q1"), pair("2026-01-01", "2026-03-31"));
        assert_eq!(days("2026-Q4"), pair("2026-10-01", "2026-12-31"));
        assert_eq!(days("2026"), pair("2026-01-01", "2026-12-31"));
        assert_eq!(days("2025-Q4..2026-02"), pair("2025-10-01", "2026-02-28"));
        assert_eq!(days("all"), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "2026-13", "2026-02-30", "2026-Q5", "26", "2026-03..2026-02", "三月", "2026-3"]
        {
            assert_eq!(Period::parse(text), Err(InvalidPeriod(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_cell_is_taken_whole_or_not_at_all() {
        let march = Period::parse("2026-03").unwrap();
        assert!(march.takes("2026-03-31") && march.takes("2026-03") && march.takes(""));
        assert!(!march.takes("2026-04-01") && !march.takes("2026"));
        let odd = Period::parse("2025-12-02..2026-03-30").unwrap();
        assert!(odd.takes("2026-01") && !odd.takes("2025-12") && !odd.takes("2026-03"));
        assert!(!odd.takes("2025") && !odd.takes("2026"));
        assert!(Period::parse("2025-01..2026-03").unwrap().takes("2025"));
        assert!(march.reaches("2025-12-31") && !march.reaches("2026-04"));
        let day = Period::parse("2026-03-06").unwrap();
        assert!(!day.takes("2026-03"), "a month is not part of a day");
        let even = |period: &Period, len| period.begins_evenly(len) && period.ends_evenly(len);
        assert!(!even(&day, 7) && even(&day, 10) && even(&march, 7));
        assert!(!even(&march, 4) && even(&Period::parse("2026").unwrap(), 4));
    }

    #[test]
    fn months_count_across_the_turn_of_the_year() {
        assert_eq!(
            months("2025-11-30", "2026-02-01"),
            ["2025-11", "2025-12", "2026-01", "2026-02"]
        );
        assert_eq!(Unit::Quarter.of("2026-08-01").as_deref(), Some("2026-Q3"));
        assert_eq!(Unit::Day.of("2026-08"), None);
        assert_eq!(
            Unit::Quarter.between("2025-11-30", "2026-04-01"),
            ["2025-Q4", "2026-Q1", "2026-Q2"]
        );
        assert_eq!(Unit::Day.between("2028-02-28", "2028-03-01").len(), 3);
    }
}
