//! The hybrid logical clock: step ids that respect cause and effect however wrong a wall clock is.
//!
//! It never reads a clock; the wall's milliseconds come in as a parameter.

use std::fmt;

/// A point of the hybrid logical clock: 48 bits of milliseconds since 1970, 16 bits of counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The milliseconds part.
    pub fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The first point at or after a wall time in milliseconds.
    pub fn at_millis(millis: u64) -> Self {
        Self(millis.min((1 << 48) - 1) << 16)
    }

    /// Sixteen hex digits; text order is clock order.
    pub fn to_hex(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Reads sixteen hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A machine's clock: gives points that are above everything given or seen before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// A clock that has seen `last`.
    pub fn new(last: Hlc) -> Self {
        Self { last }
    }

    /// The next point, at `wall_millis` or just above everything seen, whichever is later.
    pub fn tick(&mut self, wall_millis: u64) -> Hlc {
        self.last = Hlc::at_millis(wall_millis).max(Hlc(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of a point made elsewhere. A point more than `drift_millis_max` ahead of both
    /// our wall and all seen before is ignored, so that one machine whose clock is years ahead
    /// cannot drag the others along; returns whether it was taken.
    pub fn see(&mut self, seen: Hlc, wall_millis: u64, drift_millis_max: u64) -> bool {
        let horizon = wall_millis.max(self.last.millis()).saturating_add(drift_millis_max);
        let taken = seen.millis() <= horizon;
        if taken {
            self.last = self.last.max(seen);
        }
        taken
    }

    /// The last point given or seen.
    pub fn last(&self) -> Hlc {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_still_moves_forward() {
        let mut clock = Clock::default();
        let first = clock.tick(1_000_000);
        let second = clock.tick(5);
        assert!(second > first);
        assert!(second.to_hex() > first.to_hex());
        assert_eq!(Hlc::parse(&second.to_hex()), Some(second));
    }

    #[test]
    fn a_peer_years_ahead_is_not_followed() {
        let mut clock = Clock::default();
        clock.tick(1_000);
        assert!(!clock.see(Hlc::at_millis(1_000_000_000), 1_000, 300_000));
        assert!(clock.see(Hlc::at_millis(200_000), 1_000, 300_000));
        assert!(clock.tick(1_000) > Hlc::at_millis(200_000));
    }
}
