//! Views in memory, with a power cut on request.
//!
//! It refuses to be durable beyond the process.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Doubt, Row, RowAudit, ViewBatch, Views, ViewsError};

/// A handle of views in memory; clones share the rows, so that a test can crash them, drop the
/// owner and open them again.
#[derive(Debug, Clone, Default)]
pub struct MemoryViews {
    state: Arc<Mutex<State>>,
    begun: Begun,
}

/// A batch on its way to a disk that does not exist: it is written by the second look and durable
/// by the third, so that owners meet every stage.
#[derive(Debug, Clone, Default)]
pub enum Begun {
    /// There is none.
    #[default]
    Nothing,
    /// Nothing of it is written.
    Waiting(Arc<ViewBatch>),
    /// It is written and not durable.
    Written,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Batches written since the last flush, oldest first, each with what it replaced.
    unflushed: Vec<ViewBatch>,
    flushed: BTreeMap<Vec<u8>, Vec<u8>>,
    broken: Option<Doubt>,
    clears: u64,
}

impl MemoryViews {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: of the batches written since the last flush, the first `keep` survive.
    pub fn crash(&self, keep: usize) {
        let state = &mut *self.state();
        for batch in state.unflushed.drain(..).take(keep) {
            apply(&mut state.flushed, batch);
        }
        state.rows = state.flushed.clone();
    }

    /// Makes every call fail until the views are cleared.
    pub fn break_with(&self, doubt: Doubt) {
        self.state().broken = Some(doubt);
    }

    /// How often the views were cleared.
    pub fn clears(&self) -> u64 {
        self.state().clears
    }

    /// Views of their own with the same rows, all flushed.
    #[must_use]
    pub fn copy(&self) -> Self {
        let rows = self.state().rows.clone();
        let state = State { flushed: rows.clone(), rows, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), begun: Begun::Nothing }
    }

    /// Changes the rows behind the owner's back, durably.
    pub fn tamper(&self, batch: ViewBatch) {
        let state = &mut *self.state();
        apply(&mut state.flushed, batch.clone());
        apply(&mut state.rows, batch);
    }

    /// All rows.
    pub fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.state().rows.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sound(&self) -> Result<MutexGuard<'_, State>, ViewsError> {
        let state = self.state();
        match &state.broken {
            Some(doubt) => Err(ViewsError::Broken(doubt.clone())),
            None => Ok(state),
        }
    }
}

impl Views for MemoryViews {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewsError> {
        Ok(self.sound()?.rows.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Row>, ViewsError> {
        let from = match after {
            Some(after) if after >= prefix => Excluded(after),
            _ => Included(prefix),
        };
        let state = self.sound()?;
        let rows = state.rows.range::<[u8], _>((from, Unbounded));
        let rows = rows.take_while(|(key, _)| key.starts_with(prefix)).take(max);
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&mut self, batch: &ViewBatch) -> Result<(), ViewsError> {
        let mut state = self.sound()?;
        state.unflushed.push(batch.clone());
        apply(&mut state.rows, batch.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ViewsError> {
        let state = &mut *self.sound()?;
        for batch in state.unflushed.drain(..) {
            apply(&mut state.flushed, batch);
        }
        Ok(())
    }

    fn begin(&mut self, batch: Arc<ViewBatch>) -> Result<(), ViewsError> {
        self.landed(true)?;
        self.begun = Begun::Waiting(batch);
        Ok(())
    }

    fn landed(&mut self, wait: bool) -> Result<bool, ViewsError> {
        let mut begun = std::mem::take(&mut self.begun);
        begun.go_on(self, wait)?;
        self.begun = begun;
        Ok(matches!(self.begun, Begun::Nothing))
    }

    fn clear(&mut self) -> Result<(), ViewsError> {
        self.begun = Begun::Nothing;
        let mut state = self.state();
        let clears = state.clears + 1;
        *state = State { clears, ..State::default() };
        Ok(())
    }

    fn scrub(&mut self) -> Result<(), ViewsError> {
        // Memory keeps nothing that was replaced.
        self.flush()
    }

    fn audit_slice(&self, _: &mut RowAudit, _: usize) -> Result<bool, ViewsError> {
        self.sound().map(|_| false)
    }
}

impl Begun {
    /// One stage further; with `all`, to the end.
    pub fn go_on(&mut self, views: &mut impl Views, all: bool) -> Result<(), ViewsError> {
        loop {
            *self = match std::mem::take(self) {
                Self::Nothing => return Ok(()),
                Self::Waiting(batch) => {
                    views.write(&batch)?;
                    Self::Written
                }
                Self::Written => {
                    views.flush()?;
                    Self::Nothing
                }
            };
            if !all {
                return Ok(());
            }
        }
    }
}

fn apply(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: ViewBatch) {
    for (key, value) in batch {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}
