//! How long to wait before dialling again.

use std::time::Duration;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, BACKOFF_SHORT_MAX, LINK_GOOD_AFTER};

/// Doubles from attempt to attempt, up to a bound; jittered between half and whole.
#[derive(Debug)]
pub(super) struct Backoff {
    whole: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { whole: BACKOFF_MIN }
    }
}

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = jittered(self.whole, getrandom::u64().unwrap_or(u64::MAX));
        self.whole = (self.whole * 2).min(BACKOFF_MAX);
        wait
    }

    /// A link came to its end after `lived`, having brought so many frames.
    pub(super) fn after_link(&mut self, lived: Duration, frames: u64) {
        if frames == 0 {
            return;
        }
        let bound = if lived >= LINK_GOOD_AFTER { BACKOFF_MIN } else { BACKOFF_SHORT_MAX };
        self.whole = self.whole.min(bound);
    }
}

/// Between half of a wait and all of it.
pub(super) fn jittered(whole: Duration, chance: u64) -> Duration {
    let half = whole / 2;
    let share = chance >> 32;
    half + Duration::from_nanos(
        u64::try_from((half.as_nanos() * u128::from(share)) >> 32).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_stay_there() {
        let mut backoff = Backoff::default();
        let mut whole = BACKOFF_MIN;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(BACKOFF_MAX);
        }
        assert!(backoff.next() >= BACKOFF_MAX / 2);
    }

    #[test]
    fn only_a_link_that_lived_starts_the_waits_anew() {
        let late = || Backoff { whole: BACKOFF_MAX };
        let mut refused = late();
        refused.after_link(Duration::from_secs(100), 0);
        assert_eq!(refused.whole, BACKOFF_MAX);
        let mut short = late();
        short.after_link(Duration::from_millis(10), 3);
        assert_eq!(short.whole, BACKOFF_SHORT_MAX);
        let mut good = late();
        good.after_link(LINK_GOOD_AFTER, 1);
        assert_eq!(good.whole, BACKOFF_MIN);
    }

    #[test]
    fn chance_spreads_waits_over_the_upper_half() {
        let whole = Duration::from_secs(60);
        assert_eq!(jittered(whole, 0), Duration::from_secs(30));
        assert!(jittered(whole, u64::MAX) > Duration::from_secs(59));
        assert_eq!(jittered(whole, 1 << 63), Duration::from_secs(45));
    }
}
