//! Lines that strangers can cause, written seldom: who calls a thousand times a second fills no log.
//!
//! It refuses to hide that it was silent: the next line says how often.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits::{SELDOM_LINES, SELDOM_WINDOW};

/// One kind of line.
#[derive(Debug)]
pub(crate) struct Seldom(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    unsaid: u64,
}

impl Seldom {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether a line may be written now; if so, how many were not since the last one.
    pub(crate) fn may(&self) -> Option<u64> {
        self.may_at(Instant::now())
    }

    fn may_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = window.get_or_insert(Window { began: now, lines: 0, unsaid: 0 });
        if now.duration_since(window.began) >= SELDOM_WINDOW {
            (window.began, window.lines) = (now, 0);
        }
        if window.lines == SELDOM_LINES {
            window.unsaid += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_few_lines_and_the_next_one_says_how_many_were_not() {
        let (seldom, began) = (Seldom::new(), Instant::now());
        let said = (0..1_000).filter(|_| seldom.may_at(began).is_some()).count();
        assert_eq!(said, SELDOM_LINES as usize);
        let unsaid = 1_000 - u64::from(SELDOM_LINES);
        assert_eq!(seldom.may_at(began + SELDOM_WINDOW), Some(unsaid));
        assert_eq!(seldom.may_at(began + SELDOM_WINDOW), Some(0));
    }
}
