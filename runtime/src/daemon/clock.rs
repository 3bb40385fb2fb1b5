//! The wall clock as a machine's office reads it: milliseconds for the replica, local dates and
//! times for people.
//!
//! It refuses to order anything: order comes from the hybrid clock, and a wrong wall clock only
//! makes dates wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Minutes to add to UTC all over China.
pub const CHINA_OFFSET_MINUTES: i32 = 480;

/// Milliseconds since 1970 by this machine's clock; 0 for a clock set before that.
pub fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// A moment in seconds since 1970 as an office `offset_minutes` ahead of UTC writes it:
/// `2026-03-06 14:05:09`.
pub fn local_time(seconds: u64, offset_minutes: i32) -> String {
    let offset = Offset::from_seconds(offset_minutes.saturating_mul(60)).unwrap_or(Offset::UTC);
    let moment = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX);
    moment.to_zoned(TimeZone::fixed(offset)).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_follows_the_offset_and_no_clock_is_too_wrong_to_show() {
        let late = 1_772_812_800; // 2026-03-06 16:00 UTC
        assert_eq!(local_time(late, CHINA_OFFSET_MINUTES), "2026-03-07 00:00:00");
        assert_eq!(local_time(late, 0), "2026-03-06 16:00:00");
        for wrong in [0, u64::MAX] {
            assert!(local_time(wrong, CHINA_OFFSET_MINUTES).len() >= 19, "{wrong}");
        }
        assert_eq!(local_time(late, i32::MAX), "2026-03-06 16:00:00");
    }
}
