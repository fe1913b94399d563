//! Chance for balancing and jitter: quick, not secret.
//!
//! SplitMix64, one generator a thread, seeded from the operating system. Pure code takes chance as an
//! argument; only its callers come here.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = Cell::new(seed());
}

/// A seed. Should the operating system have none, the time will do: nothing here is a secret.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_no_entropy| {
        std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(1, |since| since.as_nanos() as u64)
    })
}

/// A number from all of `u64`.
pub(crate) fn number() -> u64 {
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mut mixed = next;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// From 0 (with it) to 1 (without it).
pub(crate) fn share() -> f64 {
    // 53 bits: what a f64 can hold exactly.
    (number() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_in_the_unit_interval_and_differ() {
        let shares: Vec<f64> = (0..1_000).map(|_| share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / 1_000.0;
        assert!((0.4..0.6).contains(&mean), "mean {mean}");
    }
}
