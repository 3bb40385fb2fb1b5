//! What we promise, what was measured, and both beside each other.
//!
//! A promise is a number a user may hold us to; a figure without one is there to explain another.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

/// Whether more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Good {
    Less,
    More,
}
use Good::{Less, More};

/// A figure: its key, what it says, its unit, the promise.
type Line = (&'static str, &'static str, &'static str, Option<f64>, Good);

/// The promises are made for 10,000 entries on two cores.
const LINES: &[Line] = &[
    ("W1.s", "cold push, acknowledged", "s", Some(0.30), Less),
    ("W1.cpu", "  hub, processor until all is written", "s", Some(0.4), Less),
    ("W1.cpu_figures", "  hub, processor until all is counted", "s", None, Less),
    ("W1.cpu_ack", "  hub, processor until acknowledged", "s", None, Less),
    ("W1.peak", "  hub, largest memory", "MB", Some(100.0), Less),
    ("W1.figures", "  until the hub's figures count all", "s", None, Less),
    ("W2.s", "cold pull to a new machine, applied", "s", Some(0.50), Less),
    ("W2.down", "  bytes down", "MB", Some(3.0), Less),
    ("W3.ms", "warm reconnect, nothing changed", "ms", Some(5.0), Less),
    ("W3.up", "  bytes up, handshake included", "kB", None, Less),
    ("W3.down", "  bytes down, handshake included", "kB", None, Less),
    ("W3.inner", "  bytes inside of TLS, both ways", "kB", Some(2.0), Less),
    ("W3.turns", "  round trips, TLS included", "", None, Less),
    ("W3.large", "  the same with five times the entries", "ms", Some(5.0), Less),
    ("W3.large_inner", "    bytes inside of TLS, both ways", "kB", Some(2.0), Less),
    ("W4.ms", "reconnect, 1 % of all entries changed", "ms", Some(10.0), Less),
    ("W4.groups", "  an entry of each hundredth group of 50", "ms", Some(10.0), Less),
    ("W4.large", "  the same with five times the entries", "ms", Some(10.0), Less),
    ("W4.large_all", "    1 % of all of these changed", "ms", None, Less),
    ("W5.p50", "live edit, desk to desk, p50", "ms", Some(1.1), Less),
    ("W5.p99", "  p99", "ms", Some(2.8), Less),
    ("W5.held", "  until durable at the other desk too, p50", "ms", None, Less),
    ("W5.own", "  of it until durable at its own desk, p50", "ms", None, Less),
    ("W6.rate", "sustained edits until the other desk has them", "/s", Some(15_000.0), More),
    ("W6.own", "  durable at their own desk", "/s", None, More),
    ("W6.cpu", "  hub, processor per 1,000 edits", "s", Some(0.05), Less),
    ("W7.kb", "hub memory per idle link", "kB", Some(80.0), Less),
    ("W8.lost", "edits lost of 5,000 when the hub is killed", "", Some(0.0), Less),
    ("W8.s", "  serving again after", "s", Some(0.2), Less),
    ("F1.field", "effect of a change on all figures, a field", "us", Some(50.0), Less),
    ("F1.step", "  a step that moves figures", "us", Some(50.0), Less),
    ("F2.s", "recount of all entries", "s", None, Less),
    ("F2.million", "  the same for a million", "s", Some(60.0), Less),
    ("S1.bytes", "bytes on disk per edit", "B", Some(600.0), Less),
    ("G.parse", "gate, a change from bytes", "us", None, Less),
    ("G.check", "gate, its place in the document", "us", None, Less),
    ("D.edit", "one edit at a desk without a disk", "us", None, Less),
    ("J.raw", "raw append of 200 B and fdatasync", "/s", None, More),
    ("J.one", "journal commits of 1 change", "/s", None, More),
    ("J.many", "journal commits of 64 changes", "/s", None, More),
];

/// Measured figures by key, one value a repetition.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl Measured {
    /// Adds a value of one repetition. The key must be in the table.
    pub(crate) fn add(&mut self, key: &'static str, value: f64) {
        assert!(LINES.iter().any(|line| line.0 == key), "{key} is not in the table");
        self.values.entry(key).or_default().push(value);
    }

    /// The table as text.
    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "{:4} {:46} {:>10} {:>10} {:>10} {:3} {:>9}\n",
            "", "", "median", "min", "max", "", "must"
        );
        for line in LINES {
            let Some(spread) = self.spread(line.0) else { continue };
            let work = line.0.split('.').next().unwrap_or_default();
            let (must, verdict) = match line.3 {
                None => (String::new(), ""),
                Some(must) if kept(line, spread.median) => (show(must), "ok"),
                Some(must) => (show(must), "MISSED"),
            };
            // Writing into a string does not fail.
            let _ = writeln!(
                text,
                "{work:4} {:46} {:>10} {:>10} {:>10} {:3} {must:>9} {verdict}",
                line.1,
                show(spread.median),
                show(spread.min),
                show(spread.max),
                line.2,
            );
        }
        text
    }

    /// The table as JSON: one object a figure.
    pub(crate) fn json(&self) -> Json {
        let figures = LINES.iter().filter_map(|line| {
            let spread = self.spread(line.0)?;
            Some(json!({
                "key": line.0,
                "what": line.1.trim(),
                "unit": line.2,
                "median": spread.median,
                "min": spread.min,
                "max": spread.max,
                "values": self.values.get(line.0),
                "must": line.3,
                "kept": line.3.map(|_| kept(line, spread.median)),
            }))
        });
        figures.collect()
    }

    fn spread(&self, key: &str) -> Option<Spread> {
        let mut values = self.values.get(key)?.clone();
        values.sort_unstable_by(f64::total_cmp);
        Some(Spread {
            median: values[values.len() / 2],
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

fn kept(line: &Line, median: f64) -> bool {
    match (line.3, line.4) {
        (None, _) => true,
        (Some(must), Less) => median <= must,
        (Some(must), More) => median >= must,
    }
}

/// Three digits that matter.
pub(crate) fn show(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
