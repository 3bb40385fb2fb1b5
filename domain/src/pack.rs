//! Packs 机制包: the definitions of ledger kinds, workflows and metrics, one TOML file per mechanism.
//!
//! A registry is made from all files at once and checked completely; it is then immutable and
//! shared. It refuses unknown keys, references that lead nowhere and formulas that do not compile,
//! and names every fault with its file and line. It holds no data of any community.

mod check;
mod fault;
mod formula;
mod kind;
mod metric;
mod published;
mod read;
mod reads;
mod scope;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use self::fault::{Fault, Nearest, PackError};
pub(crate) use self::formula::About;
pub use self::formula::Formula;
pub use self::kind::{Choice, Class, Field, FieldType, IdParts, IdRule, Kind, Label};
pub use self::metric::{Counts, DefinitionHash, EntryCount, Grain, Metric, Term};
pub use self::published::{Loosened, Part, pack_name};
pub use self::reads::Reads;
pub(crate) use self::scope::Scope;

use self::formula::Root;
use self::read::{CountsDraft, Draft, IdDraft, KindDraft, MetricDraft, TermDraft};
use self::source::{Placed, Source};
use crate::entry::Entry;
use crate::workflow::{self, Progress, Workflow};

static BUILTIN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/packs");

/// One pack file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pack {
    /// Its name, as communities switch it on.
    pub name: String,
    /// Counted up by its authors.
    pub version: i64,
    /// Its name for people.
    pub label: Label,
    /// The report or place it comes from.
    pub source: String,
    /// Of the file's text.
    #[serde(serialize_with = "as_text")]
    pub hash: PackHash,
}

/// SHA-256 of a pack file's text, or of all packs of a registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackHash(pub [u8; 32]);

impl fmt::Display for PackHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PackHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn as_text<S: serde::Serializer>(hash: &PackHash, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(hash)
}

/// All definitions in force, checked against each other. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    packs: BTreeMap<String, Pack>,
    kinds: BTreeMap<String, Arc<Kind>>,
    workflows: BTreeMap<String, Arc<Workflow>>,
    metrics: BTreeMap<String, Arc<Metric>>,
    /// Kind to the metrics that count its entries.
    counted: BTreeMap<String, Vec<Arc<Metric>>>,
    /// Kind to what those metrics read of its entries.
    read: BTreeMap<String, Reads>,
    /// Pack to its file's name and text, so that others can be put in its place.
    sources: BTreeMap<String, Arc<(String, String)>>,
    /// Whether metrics over personal fields were left out.
    open_only: bool,
    root: Root,
}

impl Registry {
    /// The packs that travel inside the binary.
    pub fn builtin() -> Self {
        let mut files: Vec<(&str, &str)> = BUILTIN
            .files()
            .filter(|file| file.path().extension().is_some_and(|end| end == "toml"))
            .filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
            .collect();
        files.sort_unstable();
        Self::load(&files).expect("the packs of this build were loaded by its tests")
    }

    /// Reads pack files, given as (file name, text), and checks them against each other. All
    /// faults of all files are returned, ordered by file and line.
    pub fn load(files: &[(&str, &str)]) -> Result<Self, Vec<PackError>> {
        let mut sources: Vec<Source<'_>> =
            files.iter().map(|(file, text)| Source::new(file, text)).collect();
        let drafts: Vec<Draft> = sources
            .iter_mut()
            .zip(files)
            .map(|(source, (_, text))| read::read(source, text))
            .collect();
        check::check(&mut sources, &drafts);
        let mut errors: Vec<PackError> = Vec::new();
        for source in &mut sources {
            source.errors.sort_by_key(|error| (error.line, error.column));
            errors.append(&mut source.errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut registry = Self {
            packs: BTreeMap::new(),
            kinds: BTreeMap::new(),
            workflows: BTreeMap::new(),
            metrics: BTreeMap::new(),
            counted: BTreeMap::new(),
            read: BTreeMap::new(),
            sources: BTreeMap::new(),
            open_only: false,
            root: Root::new(),
        };
        registry.fill(files, drafts);
        Ok(registry)
    }

    /// Only what these packs define. Names of packs that are not loaded are passed over.
    #[must_use]
    pub fn enabled<S: AsRef<str>>(&self, packs: &[S]) -> Self {
        let wanted: BTreeSet<&str> = packs.iter().map(AsRef::as_ref).collect();
        let mut less = self.clone();
        less.packs.retain(|name, _| wanted.contains(name.as_str()));
        less.sources.retain(|name, _| wanted.contains(name.as_str()));
        less.kinds.retain(|_, kind| wanted.contains(kind.pack.as_str()));
        less.metrics.retain(|_, metric| wanted.contains(metric.pack.as_str()));
        less.settle()
    }

    /// Only the metrics that do not read personal fields: what a hub keeps. A metric that reads
    /// them would come out differently where they cannot be read.
    #[must_use]
    pub fn open_metrics(&self) -> Self {
        let mut less = self.clone();
        less.metrics.retain(|_, metric| !metric.sealed);
        less.open_only = true;
        less.settle()
    }

    /// All packs, by name.
    pub fn packs(&self) -> impl Iterator<Item = &Pack> {
        self.packs.values()
    }

    /// The pack of that name.
    pub fn pack(&self, name: &str) -> Option<&Pack> {
        self.packs.get(name)
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values().map(AsRef::as_ref)
    }

    /// The kind of that name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name).map(AsRef::as_ref)
    }

    /// The kinds of a ledger, such as `L06`, by name.
    pub fn ledger<'a>(&'a self, code: &'a str) -> impl Iterator<Item = &'a Kind> {
        self.kinds().filter(move |kind| kind.ledger.as_deref() == Some(code))
    }

    /// All metrics, by id.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.values().map(AsRef::as_ref)
    }

    /// The metric of that id.
    pub fn metric(&self, id: &str) -> Option<&Metric> {
        self.metrics.get(id).map(AsRef::as_ref)
    }

    /// The metrics that count entries of a kind, by id.
    pub fn metrics_of(&self, kind: &str) -> impl Iterator<Item = &Metric> {
        self.counted.get(kind).into_iter().flatten().map(AsRef::as_ref)
    }

    /// What the metrics that count entries of a kind read of them, all together; `None` where no metric
    /// counts them.
    pub fn reads_of(&self, kind: &str) -> Option<&Reads> {
        self.read.get(kind)
    }

    /// All workflows, by name.
    pub fn workflows(&self) -> impl Iterator<Item = &Workflow> {
        self.workflows.values().map(AsRef::as_ref)
    }

    /// The class of a document key of a kind; what no pack knows is taken for personal.
    pub fn class_of(&self, kind: &str, key: &str) -> Class {
        self.kind(kind).map_or(Class::C2, |kind| kind.class_of(key))
    }

    /// Where its steps have brought an entry. Without a known workflow the state is empty.
    pub fn progress(&self, entry: &Entry) -> Progress {
        let flow = self.kind(entry.kind()).and_then(|kind| kind.workflow.as_ref());
        flow.map_or_else(Progress::default, |flow| workflow::fold(flow, &entry.steps))
    }

    /// Changes whenever any pack in force changes: figures kept under another are measured anew.
    pub fn hash(&self) -> PackHash {
        let mut hash = Sha256::new();
        hash.update(b"linli packs");
        for pack in self.packs.values() {
            hash.update((pack.name.len() as u64).to_le_bytes());
            hash.update(pack.name.as_bytes());
            hash.update(pack.hash.0);
        }
        for metric in self.metrics.values() {
            hash.update(metric.definition.0);
        }
        PackHash(hash.finalize().into())
    }

    /// Lends `work` the context in which formulas speak of one entry.
    pub(crate) fn about<T>(
        &self,
        scope: &Scope<'_>,
        work: impl FnOnce(&About<'_, '_, '_>) -> T,
    ) -> T {
        self.root.with(scope, work)
    }

    /// Turns checked drafts into definitions.
    fn fill(&mut self, files: &[(&str, &str)], mut drafts: Vec<Draft>) {
        for draft in &mut drafts {
            for flow in draft.workflows.drain(..) {
                self.workflows.insert(flow.workflow.name.clone(), Arc::new(flow.workflow));
            }
        }
        for draft in &mut drafts {
            for kind in draft.kinds.drain(..) {
                let kind = self.make_kind(&draft.name.value, kind);
                self.kinds.insert(kind.name.clone(), Arc::new(kind));
            }
        }
        for draft in &mut drafts {
            for metric in draft.metrics.drain(..) {
                let metric = self.make_metric(&draft.name.value, metric);
                self.metrics.insert(metric.id.clone(), Arc::new(metric));
            }
        }
        for ((file, text), draft) in files.iter().zip(drafts) {
            let source = Arc::new(((*file).to_owned(), (*text).to_owned()));
            self.sources.insert(draft.name.value.clone(), source);
            let pack = Pack {
                name: draft.name.value,
                version: draft.version,
                label: draft.label,
                source: draft.source,
                hash: PackHash(Sha256::digest(text.as_bytes()).into()),
            };
            self.packs.insert(pack.name.clone(), pack);
        }
        self.chain_definitions();
        *self = self.clone().settle();
    }

    fn make_kind(&self, pack: &str, draft: KindDraft) -> Kind {
        let name = draft.name.value;
        let parts = |fields: Vec<Placed<String>>| IdParts {
            kind: name.clone(),
            fields: fields.into_iter().map(|field| field.value).collect(),
        };
        let id = match draft.id {
            IdDraft::Ulid => IdRule::Ulid,
            IdDraft::From(fields) => IdRule::From(parts(fields)),
            IdDraft::Keyed(fields) => IdRule::Keyed(parts(fields)),
        };
        let fields: Vec<Field> = draft.fields.into_iter().map(|field| field.field).collect();
        let grid = draft.grid.map_or_else(
            || fields.iter().find(|field| field.name == "grid").map(|field| field.name.clone()),
            |grid| Some(grid.value),
        );
        Kind {
            name,
            pack: pack.to_owned(),
            ledger: draft.ledger,
            label: draft.label,
            id,
            sealed: draft.sealed,
            grid: grid.unwrap_or_default(),
            fields,
            workflow: draft.workflow.and_then(|flow| self.workflows.get(&flow.value).cloned()),
        }
    }

    fn make_metric(&self, pack: &str, draft: MetricDraft) -> Metric {
        let counts = match draft.counts {
            CountsDraft::MonthsMet { metric, at_least } => {
                Counts::MonthsMet { metric: metric.value, at_least }
            }
            CountsDraft::Entries(count) => {
                let mut reads = Reads::default();
                for formula in count.formulas() {
                    reads.join(formula.value.reads());
                }
                let terms = |drafts: Vec<TermDraft>| -> Vec<Term> {
                    drafts.into_iter().filter_map(TermDraft::settle).collect()
                };
                Counts::Entries(Box::new(EntryCount {
                    kinds: count.kinds.into_iter().map(|kind| kind.value).collect(),
                    grain: count.grain,
                    numerator: terms(count.numerator),
                    denominator: count.denominator.map(terms),
                    category: count.category.map(|formula| formula.value),
                    reads,
                }))
            }
        };
        let mut metric = Metric {
            id: draft.id.value,
            pack: pack.to_owned(),
            name: draft.name,
            unit: draft.unit,
            percent: draft.percent,
            accumulate: draft.accumulate,
            base: draft.base,
            sealed: false,
            definition: DefinitionHash::default(),
            counts,
        };
        metric.sealed = metric.entry_count().is_some_and(|count| self.reads_sealed(count));
        metric.definition = metric.hash(&self.kinds);
        metric
    }

    fn reads_sealed(&self, count: &EntryCount) -> bool {
        count.kinds.iter().filter_map(|name| self.kind(name)).any(|kind| {
            let read = |field: &Field| {
                count.reads.any_field || count.reads.fields.contains(field.name.as_str())
            };
            kind.sealed || kind.fields.iter().any(|field| read(field) && field.class.is_sealed())
        })
    }

    /// A metric over another metric means what that one means: it takes its hash and its class.
    fn chain_definitions(&mut self) {
        let known: BTreeMap<String, (DefinitionHash, bool)> = self
            .metrics
            .iter()
            .map(|(id, metric)| (id.clone(), (metric.definition, metric.sealed)))
            .collect();
        for metric in self.metrics.values_mut() {
            let Counts::MonthsMet { metric: other, .. } = &metric.counts else { continue };
            let Some((definition, sealed)) = known.get(other) else { continue };
            let mut hash = Sha256::new();
            hash.update(metric.definition.0);
            hash.update(definition.0);
            let metric = Arc::get_mut(metric).expect("definitions are not shared while loading");
            metric.definition = DefinitionHash(hash.finalize().into());
            metric.sealed = *sealed;
        }
    }

    /// Drops what lost its ground and builds the index of kinds.
    fn settle(mut self) -> Self {
        let kinds = &self.kinds;
        self.metrics.retain(|_, metric| {
            metric
                .entry_count()
                .is_none_or(|count| count.kinds.iter().any(|kind| kinds.contains_key(kind)))
        });
        let ids: BTreeSet<String> = self.metrics.keys().cloned().collect();
        self.metrics.retain(|_, metric| match &metric.counts {
            Counts::MonthsMet { metric, .. } => ids.contains(metric),
            Counts::Entries(_) => true,
        });
        let used: BTreeSet<&str> = kinds
            .values()
            .filter_map(|kind| kind.workflow.as_ref().map(|flow| flow.name.as_str()))
            .collect();
        self.workflows.retain(|name, _| used.contains(name.as_str()));
        self.counted.clear();
        self.read.clear();
        for metric in self.metrics.values() {
            let Some(count) = metric.entry_count() else { continue };
            for kind in &count.kinds {
                self.counted.entry(kind.clone()).or_default().push(Arc::clone(metric));
                self.read.entry(kind.clone()).or_default().join(&count.reads);
            }
        }
        self
    }
}
