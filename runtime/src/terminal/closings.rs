//! What closing a period came to, community by community, with every number that is reported anew.

use std::fmt::Write as _;

use super::Lang;
use super::table::{cut, width};
use crate::ask::{ClosingOutcome, ClosingView, CorrectionView};

/// Columns of a metric's name.
const NAME_MAX: usize = 40;

/// One line for each community, its corrections below.
pub(super) fn page(period: &str, closings: &[ClosingView], lang: Lang) -> String {
    if closings.is_empty() {
        return lang.pick(
            format!("{period}：还没有社区有数据，没有什么可关账。\n"),
            format!("{period}: no community has data yet, there is nothing to close.\n"),
        );
    }
    let mut text = String::new();
    for closing in closings {
        let ClosingView { community, metrics, as_of, corrections, .. } = closing;
        let told = match (closing.outcome, lang) {
            (ClosingOutcome::Closed, Lang::Zh) => format!("已关账，{metrics} 个数"),
            (ClosingOutcome::Closed, Lang::En) => format!("closed with {metrics} figures"),
            (ClosingOutcome::Corrected, Lang::Zh) => format!("已更正 {} 个数", corrections.len()),
            (ClosingOutcome::Corrected, Lang::En) => {
                format!("corrected, {} figures differed", corrections.len())
            }
            (ClosingOutcome::Unchanged, Lang::Zh) => "早已关账，没有变化".to_owned(),
            (ClosingOutcome::Unchanged, Lang::En) => "was closed, nothing differs".to_owned(),
        };
        let heard = lang.pick("数据截至", "as of");
        // A line that cannot be printed is lost with the terminal.
        let _ = writeln!(text, "{community} · {period} · {told} · {heard} {as_of}");
        for correction in corrections {
            let _ = writeln!(text, "  {}", line(correction, lang));
        }
        if closing.behind {
            text.push_str(lang.pick(
                "  ! 期间结束以后还没有收到这个社区的数据；以后到的会标为“迟到更正”，再运行一次 close 即予采纳。\n",
                "  ! Nothing was heard from it since the period ended. What comes later will be marked late; run `close` again to accept it.\n",
            ));
        }
    }
    text
}

fn line(correction: &CorrectionView, lang: Lang) -> String {
    let CorrectionView { metric, zh, en, unit, old, new } = correction;
    let name = cut(lang.pick(zh, en), NAME_MAX);
    let gap = " ".repeat(NAME_MAX.saturating_sub(width(&name)));
    let old = if old.is_empty() { "—" } else { old };
    format!("{metric:<6} {name}{gap} {old} → {new} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use linli_domain::id::{CommunityId, EntryId};

    use super::*;

    fn closing(outcome: ClosingOutcome, behind: bool) -> ClosingView {
        let corrections = vec![CorrectionView {
            metric: "M03a".into(),
            zh: "解决率".into(),
            en: "Resolution rate".into(),
            unit: String::new(),
            old: "10/11".into(),
            new: "20/21".into(),
        }];
        ClosingView {
            community: CommunityId::parse("yili").unwrap(),
            entry: EntryId::parse("closing/2026-04").unwrap(),
            outcome,
            metrics: 84,
            as_of: "2026-04-05T09:00".into(),
            behind,
            corrections: if outcome == ClosingOutcome::Corrected {
                corrections
            } else {
                Vec::new()
            },
        }
    }

    #[test]
    fn a_closing_says_how_many_figures_and_how_far_it_was_heard() {
        let text = page("2026-04", &[closing(ClosingOutcome::Closed, true)], Lang::Zh);
        for part in ["yili", "2026-04", "已关账，84 个数", "2026-04-05T09:00", "迟到更正"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let text = page("2026-04", &[closing(ClosingOutcome::Unchanged, false)], Lang::En);
        assert_eq!(text, "yili · 2026-04 · was closed, nothing differs · as of 2026-04-05T09:00\n");
        assert!(page("2026-04", &[], Lang::En).contains("nothing to close"));
    }

    #[test]
    fn a_correction_shows_the_old_number_and_the_new() {
        for (lang, name) in [(Lang::Zh, "解决率"), (Lang::En, "Resolution rate")] {
            let text = page("2026-04", &[closing(ClosingOutcome::Corrected, false)], lang);
            let line = text.lines().nth(1).unwrap();
            assert!(line.trim_start().starts_with("M03a") && line.contains(name), "{text}");
            assert!(line.ends_with("10/11 → 20/21"), "{text}");
        }
    }
}
