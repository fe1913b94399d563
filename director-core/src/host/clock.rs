//! The host's clock: nanoseconds since the process first asked, never going back.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// Never.
pub(super) const NEVER: u64 = u64::MAX;

/// Now, in nanoseconds. 584 years are enough.
pub(super) fn now() -> u64 {
    nanoseconds(START.get_or_init(Instant::now).elapsed())
}

/// A time's length in nanoseconds; [`NEVER`] for one that is longer.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER)
}

/// The time since `then`.
pub(super) fn since(then: u64) -> Duration {
    Duration::from_nanos(now().saturating_sub(then))
}
