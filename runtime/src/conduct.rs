//! How machines that dialled us behave: who breaks the rules is slowed, and named.
//!
//! Refused changes and frames out of turn count, and the count halves every minute, so that a
//! fault that was mended is forgotten. What follows concerns that machine's links only. It
//! refuses to shut anybody out for good: revoking is for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linli_domain::id::PeerName;
use tokio::time::Instant;

use crate::limits::{
    MISCONDUCT_BREACH, MISCONDUCT_FREE, MISCONDUCT_HALVES, MISCONDUCT_PAUSE_MAX, MISCONDUCT_SHUT,
};

/// What is remembered of all machines; clones share it. Only names from certificates get in, so it
/// is no longer than the register of machines.
#[derive(Debug, Clone, Default)]
pub struct Conduct(Arc<Mutex<BTreeMap<PeerName, Record>>>);

/// What a machine did since this program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Misconduct {
    /// Changes of its that were refused.
    pub refused: u64,
    /// Links that ended because it broke the rules.
    pub breaches: u64,
    /// Its frames are read slowly now, or it gets no link.
    pub slowed: bool,
}

#[derive(Debug)]
struct Record {
    refused: u64,
    breaches: u64,
    /// As of `at`.
    weight: f64,
    at: Instant,
}

impl Record {
    fn weight_at(&self, now: Instant) -> f64 {
        let lives =
            now.saturating_duration_since(self.at).as_secs_f64() / MISCONDUCT_HALVES.as_secs_f64();
        self.weight * (-lives).exp2()
    }
}

impl Conduct {
    /// Changes of a machine were refused.
    pub fn note_refused(&self, peer: &PeerName, changes: usize) {
        let weight = changes as f64;
        self.note(peer, Instant::now(), weight, |record| record.refused += changes as u64);
    }

    /// A link ended because the machine broke the rules.
    pub fn note_breach(&self, peer: &PeerName) {
        let weight = f64::from(MISCONDUCT_BREACH);
        self.note(peer, Instant::now(), weight, |record| record.breaches += 1);
    }

    /// What a machine did; `None` of one that never broke a rule.
    pub fn of(&self, peer: &PeerName) -> Option<Misconduct> {
        let records = self.lock();
        let record = records.get(peer)?;
        let slowed = !pause(record.weight_at(Instant::now())).is_zero();
        Some(Misconduct { refused: record.refused, breaches: record.breaches, slowed })
    }

    /// The machines that are slowed now.
    pub fn slowed(&self) -> Vec<PeerName> {
        let (records, now) = (self.lock(), Instant::now());
        let slowed = records.iter().filter(|(_, record)| !pause(record.weight_at(now)).is_zero());
        slowed.map(|(peer, _)| peer.clone()).collect()
    }

    /// How long to wait before the machine's next frame is read; zero for all that behave.
    pub(crate) fn pause(&self, peer: &PeerName) -> Duration {
        self.pause_at(peer, Instant::now())
    }

    /// How long the machine gets no link; `None` if it may have one.
    pub(crate) fn shut_for(&self, peer: &PeerName) -> Option<Duration> {
        self.shut_for_at(peer, Instant::now())
    }

    fn pause_at(&self, peer: &PeerName, now: Instant) -> Duration {
        self.lock().get(peer).map_or(Duration::ZERO, |record| pause(record.weight_at(now)))
    }

    fn shut_for_at(&self, peer: &PeerName, now: Instant) -> Option<Duration> {
        let weight = self.lock().get(peer)?.weight_at(now);
        let lives = (weight / f64::from(MISCONDUCT_SHUT)).log2();
        (lives >= 0.0).then(|| MISCONDUCT_HALVES.mul_f64(lives.min(10.0)))
    }

    fn note(&self, peer: &PeerName, now: Instant, weight: f64, count: impl FnOnce(&mut Record)) {
        let mut records = self.lock();
        let record = records.entry(peer.clone()).or_insert_with(|| Record {
            refused: 0,
            breaches: 0,
            weight: 0.0,
            at: now,
        });
        let before = record.weight_at(now);
        (record.weight, record.at) = (before + weight, now);
        count(record);
        if pause(before).is_zero() && !pause(record.weight).is_zero() {
            tracing::warn!(
                %peer, refused = record.refused, breaches = record.breaches,
                "a machine goes on breaking the rules and is slowed; ask its office, or revoke it"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerName, Record>> {
        // Every change of it is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grows with what is beyond the free part, a millisecond for each point.
fn pause(weight: f64) -> Duration {
    let beyond = (weight - f64::from(MISCONDUCT_FREE)).max(0.0);
    Duration::from_secs_f64(beyond.floor() / 1e3).min(MISCONDUCT_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerName {
        PeerName::parse(text).unwrap()
    }

    #[test]
    fn who_goes_on_is_slowed_and_shut_out_for_a_while_and_others_are_not() {
        let conduct = Conduct::default();
        let (bad, good) = (peer("d/s/c/bad"), peer("d/s/c/good"));
        let now = Instant::now();
        let breach = |at| {
            conduct.note(&bad, at, f64::from(MISCONDUCT_BREACH), |record| record.breaches += 1);
        };
        conduct.note(&good, now, f64::from(MISCONDUCT_FREE), |_| {});
        assert_eq!(conduct.pause_at(&good, now), Duration::ZERO, "one bad evening is nothing");
        for _ in 0..MISCONDUCT_FREE / MISCONDUCT_BREACH {
            breach(now);
        }
        assert_eq!(conduct.pause_at(&bad, now), Duration::ZERO);
        breach(now);
        let slowed = Duration::from_millis(u64::from(MISCONDUCT_BREACH));
        assert_eq!(conduct.pause_at(&bad, now), slowed);
        assert_eq!(conduct.shut_for_at(&bad, now), None);
        conduct.note(&bad, now, 10_000.0, |record| record.refused += 10_000);
        assert_eq!(conduct.pause_at(&bad, now), MISCONDUCT_PAUSE_MAX);
        let shut = conduct.shut_for_at(&bad, now).unwrap();
        assert!(shut > MISCONDUCT_HALVES * 3 && shut < MISCONDUCT_HALVES * 4, "{shut:?}");
        assert_eq!(conduct.slowed(), std::slice::from_ref(&bad));
        assert_eq!(
            conduct.of(&bad),
            Some(Misconduct { refused: 10_000, breaches: 5, slowed: true })
        );
        assert_eq!(conduct.pause_at(&good, now), Duration::ZERO);
        assert_eq!(conduct.shut_for_at(&good, now), None);
        let later = now + shut + Duration::from_secs(1);
        assert_eq!(conduct.shut_for_at(&bad, later), None);
        assert!(!conduct.pause_at(&bad, later).is_zero(), "let in, and still slowed");
        assert_eq!(conduct.pause_at(&bad, later + MISCONDUCT_HALVES * 3), Duration::ZERO);
    }
}
