//! `Stream-Cursor`: a clock that lets a cache collapse readers without serving one the same answer for
//! ever.
//!
//! It counts intervals of 20 s since 2024-10-09T00:00Z. A client echoes the last one; when the clock has
//! not passed it yet, the answer is later by a random jitter, so that it always rises.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2024-10-09T00:00:00Z, seconds since 1970.
const EPOCH: u64 = 1_728_432_000;
/// Seconds of one interval.
const INTERVAL: u64 = 20;
/// Most seconds of jitter.
const MAX_JITTER: u64 = 3600;

/// The interval at `now`, strictly after the one the client `echoed`. `chance` gives any number; it is
/// asked only when the client is not behind the clock.
pub(crate) fn stream_cursor(
    now: SystemTime,
    echoed: Option<u64>,
    chance: impl FnOnce() -> u64,
) -> u64 {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let current = seconds.saturating_sub(EPOCH) / INTERVAL;
    match echoed {
        Some(echoed) if echoed >= current => {
            let jitter = 1 + chance() % MAX_JITTER;
            echoed.saturating_add(jitter.div_ceil(INTERVAL))
        }
        Some(_) | None => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn it_counts_twenty_seconds_each() {
        assert_eq!(stream_cursor(at(EPOCH), None, || 0), 0);
        assert_eq!(stream_cursor(at(EPOCH + 19), None, || 0), 0);
        assert_eq!(stream_cursor(at(EPOCH + 20), None, || 0), 1);
        assert_eq!(stream_cursor(at(EPOCH + 400), Some(19), || 7), 20);
        assert_eq!(stream_cursor(at(0), None, || 0), 0);
    }

    proptest! {
        #[test]
        fn it_rises_and_never_by_more_than_an_hour(now in 0..u64::MAX / 2, ahead in 0..500u64, chance: u64) {
            let current = stream_cursor(at(now), None, || chance);
            let echoed = current + ahead;
            let next = stream_cursor(at(now), Some(echoed), || chance);
            prop_assert!(next > echoed);
            prop_assert!(next <= echoed + MAX_JITTER / INTERVAL);
        }
    }
}
