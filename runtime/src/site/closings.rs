//! Closing periods: the hub writes down what it reports, and figures that change afterwards say so.
//!
//! A closing is an entry of the community's open space, one for each period, so that its desks
//! mark the same figures as the hub. It refuses to hold a figure back: the closed number stands
//! beside the counted one and never in its place.

use std::collections::BTreeMap;

use linli_domain::doc::entry_of;
use linli_domain::entry::Entry;
use linli_domain::figure::closing::{
    self, Closing, Correction, FIGURES_FIELD, Reported, is_of_a_period, write_lines,
};
use linli_domain::figure::{Figure, Period, Query, measure};
use linli_domain::id::{CommunityId, EntryId, PeerName, Role, Space};
use linli_domain::pack::Registry;
use linli_store::disk::Disk;
use linli_store::views::Views;
use serde_json::Value as Json;

use super::Site;
use super::answers::not_here;
use super::figures::{figure_trouble, period_trouble};
use crate::ask::{
    Answer, ClosingOutcome, ClosingView, CorrectionView, PAGE_MAX, StepForm, Trouble,
};
use crate::edit::{EditError, read_fields};
use crate::limits::{CLOSING_NOTE_BYTES_MAX, CORRECTIONS_BYTES_MAX};

const CLOSE: &str = "close";
const CORRECT: &str = "correct";

impl<D: Disk, V: Views> Site<D, V> {
    /// Closes a period of one community or of all that have data. One that is closed already is
    /// corrected where its figures differ by now, and else left alone.
    pub(super) fn close_period(
        &mut self,
        period: &str,
        community: Option<&CommunityId>,
        note: Option<&str>,
    ) -> Result<Answer, Trouble> {
        if self.books.me().role() != Role::StreetHub {
            return Err(not_here());
        }
        let period = Period::parse(period).map_err(|error| period_trouble(&error))?;
        match period.days() {
            None => return Err(endless(&period)),
            Some((_, last)) if last >= self.today().as_str() => {
                return Err(not_ended(&period, last));
            }
            Some(_) => {}
        }
        if note.is_some_and(|note| note.len() > CLOSING_NOTE_BYTES_MAX) {
            return Err(EditError::TooLarge.trouble());
        }
        while self.measure_touched(PAGE_MAX) {}
        let communities = match community {
            Some(one) => vec![self.community(Some(one)).map_err(|error| error.trouble())?],
            None => self.hosted.iter().cloned().collect(),
        };
        let mut closings = Vec::new();
        for community in communities {
            if self.has_data(&community) {
                closings.push(self.close_one(&community, &period, note)?);
            }
        }
        Ok(Answer::Closed { period: period.to_string(), closings })
    }

    fn close_one(
        &mut self,
        community: &CommunityId,
        period: &Period,
        note: Option<&str>,
    ) -> Result<ClosingView, Trouble> {
        let coverage = self.coverage(Some(community));
        let as_of = coverage.as_of.clone();
        let query = Query::new(period.clone(), coverage).community(community.clone());
        let figures = measure(&self.registry, &self.keeper.tally, &query)
            .map_err(|error| figure_trouble(&error.to_string()))?;
        let now = reported(&self.registry, &figures);
        let before = self.closing(community, period);
        let corrections =
            before.as_ref().map(|before| before.corrections(&now)).unwrap_or_default();
        let outcome = match &before {
            None => ClosingOutcome::Closed,
            Some(_) if corrections.is_empty() => ClosingOutcome::Unchanged,
            Some(_) => ClosingOutcome::Corrected,
        };
        // A metric that this program does not know any more was reported all the same.
        let mut kept = before.map(|before| before.figures).unwrap_or_default();
        kept.extend(now);
        let corrections = corrections.iter().map(|one| view(one, &figures)).collect::<Vec<_>>();
        let entry = closing_id(period);
        if outcome != ClosingOutcome::Unchanged {
            let remark = remark(note, &corrections);
            self.write_closing(community, &entry, &as_of, &kept, remark)
                .map_err(|error| error.trouble())?;
        }
        let behind =
            period.days().is_some_and(|(_, last)| as_of.get(..10).is_none_or(|at| at <= last));
        let metrics = kept.len();
        let community = community.clone();
        Ok(ClosingView { community, entry, outcome, metrics, as_of, behind, corrections })
    }

    fn write_closing(
        &mut self,
        community: &CommunityId,
        id: &EntryId,
        as_of: &str,
        figures: &BTreeMap<String, Reported>,
        note: Option<String>,
    ) -> Result<(), EditError> {
        let registry = self.registry.clone();
        let kind = registry
            .kind(closing::KIND)
            .ok_or_else(|| EditError::unknown_kind(&registry, closing::KIND))?;
        let space = Space::Open(community.clone());
        let digest = self.books.head(&space).map(|head| head.digest.to_string());
        let form = BTreeMap::from([
            ("period".to_owned(), Json::from(id.id())),
            ("day".to_owned(), Json::from(self.today())),
            ("as_of".to_owned(), Json::from(as_of)),
            (FIGURES_FIELD.to_owned(), Json::from(write_lines(figures))),
            ("digest".to_owned(), Json::from(digest)),
        ]);
        let fields = read_fields(kind, &form)?;
        let entry = self.entry(community, id);
        let progress = self.progress(closing::KIND, &entry);
        let first = kind.workflow.as_ref().is_some_and(|flow| flow.initial == progress.state);
        let action = if first { CLOSE } else { CORRECT };
        let at = Some(self.free_moment(&entry));
        let step = StepForm { action: action.to_owned(), at, by: None, note };
        let steps = self.steps(&[step])?;
        self.write(community, kind, id, &entry, &fields, steps, false).map(|_| ())
    }

    /// Now, or the first second after it that no step of the entry has: two alike would be taken
    /// for one that is given twice.
    fn free_moment(&self, entry: &Entry) -> String {
        let mut millis = self.books.now_millis();
        loop {
            let at = self.local_second(millis);
            if entry.steps.iter().all(|step| step.at != at) {
                return at;
            }
            millis = millis.saturating_add(1_000);
        }
    }

    /// Puts the closed numbers beside figures of a whole community, or of all, for exactly a
    /// closed period.
    pub(super) fn set_beside(&mut self, query: &Query, figures: &mut [Figure]) {
        let whole = query.grid.is_none() && query.category.is_none() && query.by.is_none();
        if !whole || query.period.days().is_none() {
            return;
        }
        let closing = match &query.community {
            Some(one) => self.closing(one, &query.period),
            None => self.closing_of_all(&query.period),
        };
        if let Some(closing) = closing {
            for figure in figures {
                figure.set_beside(&closing);
            }
        }
    }

    fn closing_of_all(&mut self, period: &Period) -> Option<Closing> {
        let mut closings = Vec::new();
        for community in self.hosted.clone() {
            if self.has_data(&community) {
                closings.push(self.closing(&community, period)?);
            }
        }
        Closing::together(&self.registry, &closings)
    }

    /// What was reported of a period; a hub's word and nobody else's. One look at a derived id.
    fn closing(&mut self, community: &CommunityId, period: &Period) -> Option<Closing> {
        let space = Space::Open(community.clone());
        let id = closing_id(period);
        let doc = &self.books.half(&space, &id).doc;
        let author = doc.sides(FIGURES_FIELD).last()?.0.actor.author();
        let closing = Closing::of(&entry_of(&id, Some(doc), None))?;
        let name = PeerName::parse(self.books.author_name(&space, author)?).ok()?;
        (name.role() != Role::Node).then_some(closing)
    }

    fn has_data(&self, community: &CommunityId) -> bool {
        self.books.head(&Space::Open(community.clone())).is_some_and(|head| head.seq > 0)
    }
}

fn closing_id(period: &Period) -> EntryId {
    EntryId::new(closing::KIND, period.as_str())
        .expect("a period is at most 22 bytes of digits, `-`, `.` and `Q`")
}

/// The numbers of the figures that belong to their period.
fn reported(registry: &Registry, figures: &[Figure]) -> BTreeMap<String, Reported> {
    let of_a_period =
        |figure: &&Figure| registry.metric(&figure.metric).is_some_and(is_of_a_period);
    let numbers = |figure: &Figure| (figure.metric.clone(), Reported::of(figure));
    figures.iter().filter(of_a_period).map(numbers).collect()
}

fn view(correction: &Correction, figures: &[Figure]) -> CorrectionView {
    let figure = figures.iter().find(|figure| figure.metric == correction.metric);
    let name = figure.map(|figure| figure.name.clone()).unwrap_or_default();
    let plain = figure.filter(|figure| figure.denominator.is_none());
    CorrectionView {
        metric: correction.metric.clone(),
        zh: name.zh,
        en: name.en,
        unit: plain.map(|figure| figure.unit.clone()).unwrap_or_default(),
        old: correction.old.map(|old| old.to_string()).unwrap_or_default(),
        new: correction.new.to_string(),
    }
}

/// The reason as given, then each number as it was and as it is: what the step tells for ever.
fn remark(note: Option<&str>, corrections: &[CorrectionView]) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(note.map(str::trim).filter(|note| !note.is_empty()).map(str::to_owned));
    let mut bytes = 0;
    for CorrectionView { metric, unit, old, new, .. } in corrections {
        let old = if old.is_empty() { "—" } else { old };
        let part = format!("{metric} {old}→{new}{unit}");
        bytes += part.len() + 2;
        if bytes > CORRECTIONS_BYTES_MAX {
            parts.push("…".to_owned());
            break;
        }
        parts.push(part);
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn endless(period: &Period) -> Trouble {
    Trouble {
        code: "not-ended".to_owned(),
        zh: format!(
            "“{period}”没有终点，不能关账。请写已经结束的期间，如 2026-03、2026-Q1 或 2026。"
        ),
        en: format!(
            "`{period}` never ends and cannot be closed. Give a period that has ended, such as 2026-03, 2026-Q1 or 2026."
        ),
    }
}

fn not_ended(period: &Period, last: &str) -> Trouble {
    Trouble {
        code: "not-ended".to_owned(),
        zh: format!(
            "“{period}”还没有结束，到 {last} 为止，不能关账。请在这一天过后再办，或换一个已经结束的期间。"
        ),
        en: format!(
            "`{period}` has not ended: it runs until {last}. Close it after that day, or give a period that has ended."
        ),
    }
}
