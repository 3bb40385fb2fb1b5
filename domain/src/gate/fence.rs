//! The panic fence: a panic inside a parser becomes a refusal, and says nothing on the terminal.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

static QUIET: Once = Once::new();

/// Runs `work`; `None` if it panicked.
pub(super) fn run<T>(work: impl FnOnce() -> T) -> Option<T> {
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !FENCED.with(Cell::get) {
                loud(info);
            }
        }));
    });
    FENCED.with(|fenced| fenced.set(true));
    let result = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    FENCED.with(|fenced| fenced.set(false));
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_inside_is_none_and_outside_goes_on() {
        assert_eq!(super::run(|| 3), Some(3));
        let nothing: Vec<u8> = Vec::new();
        assert_eq!(super::run(|| nothing[std::hint::black_box(7)]), None);
        assert_eq!(super::run(|| 4), Some(4));
    }
}
