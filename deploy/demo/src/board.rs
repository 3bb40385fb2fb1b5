//! The hub's board: each figure that a report states, as the hub counts it from the ledgers.
//!
//! It refuses to correct anything: a figure that differs is shown with both values.

use std::collections::BTreeMap;

use anyhow::Context as _;
use linli_domain::id::CommunityId;
use linli_runtime::ask::FigureQuery;
use linli_runtime::terminal::Lang;
use linli_runtime::terminal::table::Table;
use serde_json::Value as Json;

use crate::communities::communities;
use crate::office::Daemon;
use crate::reported::{Reported, reported};

/// The board.
#[derive(Debug)]
pub struct Board {
    /// Its lines, by community and metric.
    pub lines: Vec<Line>,
}

/// One figure with what the report states.
#[derive(Debug)]
pub struct Line {
    /// The community's id.
    pub community: String,
    /// The metric's id.
    pub metric: String,
    /// The period as asked for.
    pub period: String,
    /// The figure as people read it.
    pub text: String,
    /// The hub's answer whole.
    pub figure: Json,
    /// What the report states.
    pub reported: Reported,
}

impl Board {
    /// Asks the hub for every reported figure.
    pub fn measure(hub: &Daemon) -> anyhow::Result<Self> {
        let mut lines = Vec::new();
        for reported in reported() {
            let query = FigureQuery {
                metric: Some(reported.metric.to_owned()),
                community: Some(CommunityId::parse(reported.community)?),
                period: Some(reported.period.to_owned()),
                ..FigureQuery::default()
            };
            let mut figures = hub.figures(query)?;
            let figure = figures.pop().with_context(|| {
                format!("the hub has no figure {} of {}", reported.metric, reported.community)
            })?;
            lines.push(Line {
                community: reported.community.to_owned(),
                metric: reported.metric.to_owned(),
                period: reported.period.to_owned(),
                text: figure["text"].as_str().unwrap_or_default().to_owned(),
                figure,
                reported,
            });
        }
        Ok(Self { lines })
    }

    /// The lines as the hub gave them.
    pub fn json(&self) -> Vec<&Json> {
        self.lines.iter().map(|line| &line.figure).collect()
    }

    /// The board as a table.
    pub fn render(&self, lang: Lang) -> String {
        let names: BTreeMap<&str, &str> = communities()
            .iter()
            .map(|community| (community.slug, lang.pick(community.zh, community.en)))
            .collect();
        let headings = lang.pick(
            [
                "社区",
                "指标",
                "名称",
                "期间",
                ">数值",
                "单位",
                ">分子/分母",
                "覆盖",
                "数据截至",
                "报告",
                "",
            ],
            [
                "Community",
                "Metric",
                "Name",
                "Period",
                ">Value",
                "Unit",
                ">Num/den",
                "Coverage",
                "As of",
                "Report",
                "",
            ],
        );
        let mut table = Table::new(headings);
        let mut last = "";
        for line in &self.lines {
            let name = names.get(line.community.as_str()).copied().unwrap_or_default();
            let shown = if last == line.community { "" } else { name };
            last = &line.community;
            let figure = &line.figure;
            let den = figure["denominator"].as_i64().map_or(String::new(), |den| format!("/{den}"));
            let text = |field: &str| figure[field].as_str().unwrap_or_default().to_owned();
            table.row([
                shown.to_owned(),
                line.metric.clone(),
                figure["name"][lang.pick("zh", "en")].as_str().unwrap_or_default().to_owned(),
                line.period.clone(),
                line.shown(),
                if text("unit") == FEN { "元".to_owned() } else { text("unit") },
                format!("{}{den}", figure["numerator"]),
                format!("{}/{}", figure["communities_included"], figure["communities_expected"]),
                text("as_of"),
                format!("{} {}", line.reported.source, line.reported_text()),
                if line.agrees() { "✓" } else { "✗" }.to_owned(),
            ]);
        }
        table.render(BOARD_COLUMNS)
    }
}

/// Money is counted in 分 and read in 元.
const FEN: &str = "分";

/// Widest line of the board.
const BOARD_COLUMNS: usize = 200;

impl Line {
    /// The value as people read it: money in 元.
    fn shown(&self) -> String {
        let figure = &self.figure;
        let plain = figure["percent"].is_null() && figure["unit"] == FEN;
        match figure["numerator"].as_i64().filter(|_| plain) {
            Some(fen) => {
                let qualifier = figure["qualifier"].as_str().unwrap_or_default();
                format!("{qualifier}{}.{:02}", fen / 100, fen.rem_euclid(100))
            }
            None => self.text.clone(),
        }
    }

    /// Whether the hub counts what the report states.
    pub fn agrees(&self) -> bool {
        let figure = &self.figure;
        let numerator = figure["numerator"].as_i64().unwrap_or(i64::MIN);
        let qualifier = figure["qualifier"].as_str().unwrap_or_default();
        self.reported.agrees(numerator, figure["denominator"].as_i64(), qualifier)
    }

    /// The reported value as it stands in the table.
    pub fn reported_text(&self) -> String {
        let Reported { numerator, denominator, qualifier, .. } = &self.reported;
        let den = denominator.map_or(String::new(), |den| format!("/{den}"));
        format!("{}{numerator}{den}", qualifier.sign())
    }
}
