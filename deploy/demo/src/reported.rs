//! What the six reports state, each figure with its community, metric and period: the measure for
//! what the ledgers of the demo amount to.
//!
//! It refuses figures that a report does not state; (d) in a note marks one that follows from
//! figures that it does.

mod table;

pub use table::reported;

/// One figure of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The community's id.
    pub community: &'static str,
    /// The metric's id.
    pub metric: &'static str,
    /// The period, as queries write it.
    pub period: &'static str,
    /// The number as the metric counts it (money in 分), or the upper part of a ratio.
    pub numerator: i64,
    /// The lower part of a ratio.
    pub denominator: Option<i64>,
    /// Whether the report gives the two parts of a ratio, or only the share.
    pub share_only: bool,
    /// What is counted.
    pub unit: &'static str,
    /// How exactly the report puts it.
    pub qualifier: Qualifier,
    /// The report, such as `S1`.
    pub source: &'static str,
    /// What a reader should know of it; may be empty.
    pub note: &'static str,
}

/// How a report puts a number: 余 and 超 are at least, 近 and 约 about, 不到 less than.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// As it stands.
    Exact,
    /// At least.
    AtLeast,
    /// About.
    About,
    /// Less than.
    Below,
}

impl Qualifier {
    /// The sign that figures carry: "", "≥", "≈" or "<".
    pub fn sign(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::AtLeast => "≥",
            Self::About => "≈",
            Self::Below => "<",
        }
    }
}

impl Reported {
    /// Whether a figure of the ledgers says the same. Shares are compared as whole numbers.
    pub fn agrees(&self, numerator: i64, denominator: Option<i64>, qualifier: &str) -> bool {
        let value = match (self.denominator, denominator) {
            (Some(base), Some(counted)) if self.share_only => {
                counted > 0
                    && i128::from(numerator) * i128::from(base)
                        == i128::from(self.numerator) * i128::from(counted)
            }
            (base, counted) => base == counted && self.numerator == numerator,
        };
        value && self.qualifier.sign() == qualifier
    }
}
