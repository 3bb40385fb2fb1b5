//! Figures as a table: never without base, coverage and as-of.

use serde_json::Value as Json;

use super::Lang;
use super::table::Table;

/// Columns below which a line of figures would lose what proves it.
const COLUMNS_MIN: usize = 120;
/// What the closing of a late figure adds to that.
const CLOSING_COLUMNS: usize = 56;

/// One line for each figure.
pub(super) fn table(figures: &[Json], lang: Lang, columns: usize) -> String {
    let mut table = Table::new(lang.pick(
        [
            "社区", "指标", "名称", "网格", "类别", "期间", ">数", "单位", ">分子", ">分母",
            "关账", ">覆盖", "截至", "口径",
        ],
        [
            "Community",
            "Metric",
            "Name",
            "Grid",
            "Category",
            "Period",
            ">Figure",
            "Unit",
            ">Num",
            ">Den",
            "Closing",
            ">Coverage",
            "As of",
            "Base",
        ],
    ));
    for figure in figures {
        let text = |key: &str| plain(&figure[key]);
        let label = |key: &str| plain(&figure[key][lang.pick("zh", "en")]);
        let named = |key: &str, all: &str| match text(key).as_str() {
            "all" => all.to_owned(),
            one => one.to_owned(),
        };
        let (text_now, unit) = value(figure, lang);
        table.row([
            named("community", lang.pick("合计", "all")),
            text("metric"),
            label("name"),
            text("grid"),
            text("category"),
            named("period", lang.pick("累计", "all")),
            text_now,
            unit,
            text("numerator"),
            text("denominator"),
            closing(figure, lang),
            format!("{}/{}", text("communities_included"), text("communities_expected")),
            text("as_of"),
            label("base"),
        ]);
    }
    if table.is_empty() {
        return lang.pick("没有数据。\n", "There are no figures.\n").to_owned();
    }
    let closed = figures.iter().any(|figure| !figure["closed"].is_null());
    let least = if closed { COLUMNS_MIN + CLOSING_COLUMNS } else { COLUMNS_MIN };
    table.render(columns.max(least))
}

/// The figure as people read it. Money is kept in 分 and read in 元.
fn value(figure: &Json, lang: Lang) -> (String, String) {
    let (text, unit) = (plain(&figure["text"]), plain(&figure["unit"]));
    match figure["numerator"].as_i64() {
        Some(cents) if unit == "分" && figure["denominator"].is_null() => {
            let qualifier = plain(&figure["qualifier"]);
            let yuan = format!("{qualifier}{}.{:02}", cents / 100, cents.rem_euclid(100));
            (yuan, lang.pick("元", "yuan").to_owned())
        }
        _ => (text, unit),
    }
}

/// Whether the period is closed, and what was reported where that is another number by now. The
/// parts of a ratio tell more than its percent: `55/60`.
fn closing(figure: &Json, lang: Lang) -> String {
    let closed = &figure["closed"];
    if closed.is_null() {
        return String::new();
    }
    if figure["late"] != true {
        return lang.pick("已关账", "closed").to_owned();
    }
    let reported = if closed["denominator"].is_null() {
        let mut then = closed.clone();
        then["unit"] = figure["unit"].clone();
        value(&then, lang).0
    } else {
        let part = |key: &str| plain(&closed[key]);
        format!("{}{}/{}", part("qualifier"), part("numerator"), part("denominator"))
    };
    let day = plain(&closed["day"]);
    lang.pick(
        format!("← {reported} 迟到更正（{day}关账）"),
        format!("← {reported} late, corrected (closed {day})"),
    )
}

/// Whether a figure says anything: it counts something, or has something to measure against, or
/// did when its period was closed.
pub(super) fn counts_anything(figure: &Json) -> bool {
    let counts = |key| figure[key].as_i64().unwrap_or(0) != 0;
    counts("numerator") || counts("denominator") || figure["late"] == true
}

fn plain(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_what_it_is_measured_against_and_how_many_communities_are_in_it() {
        let line = json!({
            "community": "all", "metric": "M03a", "period": "2026", "numerator": 55,
            "name": {"zh": "解决率", "en": "Resolution rate"}, "denominator": 60, "unit": "%",
            "base": {"zh": "当期受理", "en": "accepted"}, "text": "91.67%", "qualifier": "",
            "as_of": "2026-03-06T10:00", "communities_included": 5, "communities_expected": 6,
        });
        let text = table(&[line], Lang::Zh, 160);
        for part in ["合计", "解决率", "91.67%", "55", "60", "5/6", "当期受理", "2026-03-06T10:00"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(table(&[], Lang::En, 80), "There are no figures.\n");
    }

    #[test]
    fn a_closed_figure_says_so_and_a_late_one_shows_what_was_reported() {
        let mut line = json!({"metric": "M03a", "unit": "%", "numerator": 56, "denominator": 61});
        assert_eq!(closing(&line, Lang::Zh), "", "an open period says nothing");
        line["closed"] = json!({"day": "2026-04-05", "numerator": 55, "denominator": 60,
            "qualifier": "", "text": "91.67%"});
        assert_eq!(closing(&line, Lang::Zh), "已关账");
        assert_eq!(closing(&line, Lang::En), "closed");
        line["late"] = true.into();
        assert_eq!(closing(&line, Lang::Zh), "← 55/60 迟到更正（2026-04-05关账）");
        assert_eq!(closing(&line, Lang::En), "← 55/60 late, corrected (closed 2026-04-05)");
        line["base"] = json!({"zh": "", "en": "issues accepted in the period"});
        let told = table(&[line], Lang::En, 80);
        for part in ["← 55/60 late, corrected (closed 2026-04-05)", "issues accepted in the period"]
        {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
        let money = json!({"unit": "分", "numerator": 0, "denominator": null, "late": true,
            "closed": {"day": "2026-04-05", "numerator": 1250, "denominator": null,
                "qualifier": "≥", "text": "≥1250"}});
        assert_eq!(closing(&money, Lang::Zh), "← ≥12.50 迟到更正（2026-04-05关账）");
        assert!(counts_anything(&money), "what came to nothing was reported as something");
    }

    #[test]
    fn money_is_read_in_yuan_and_a_zero_over_nothing_says_nothing() {
        let money =
            json!({"numerator": 47_150_005, "unit": "分", "text": "≥47150005", "qualifier": "≥"});
        assert_eq!(value(&money, Lang::Zh), ("≥471500.05".to_owned(), "元".to_owned()));
        assert!(counts_anything(&money));
        assert!(counts_anything(&json!({"numerator": 0, "denominator": 5})));
        assert!(!counts_anything(&json!({"numerator": 0, "denominator": null})));
    }
}
