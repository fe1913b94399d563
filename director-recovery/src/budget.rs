//! The retry budget: what a whole service may spend on second attempts.
//!
//! A share of the requests of the last ten seconds plus a few a second, as in Finagle and Tower
//! (`TpsBudget`): when everything fails, resends must not become the load. It covers resends and
//! resumes together. Kept in ten one-second slots, so a burst ages out as it came.

use std::time::Duration;

const SLOTS: usize = 10;
const SLOT: Duration = Duration::from_secs(1);

/// Shared by all requests of a service. Times are measured from any fixed start.
#[derive(Debug)]
pub struct Budget {
    share: f64,
    per_second: u32,
    slots: [Slot; SLOTS],
    newest: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    requests: u32,
    spent: u32,
}

impl Budget {
    /// `share` of the requests of the last ten seconds (0.2 is 20 %), plus `per_second` resends a
    /// second.
    pub fn new(share: f64, per_second: u32) -> Self {
        Self {
            share: share.max(0.0),
            per_second,
            slots: [Slot::default(); SLOTS],
            newest: 0,
        }
    }

    /// A request began.
    pub fn deposit(&mut self, now: Duration) {
        let slot = self.slot(now);
        slot.requests = slot.requests.saturating_add(1);
    }

    /// Takes one resend; `false`, and nothing taken, when the budget is spent.
    pub fn withdraw(&mut self, now: Duration) -> bool {
        if self.left(now) < 1.0 {
            return false;
        }
        let slot = self.slot(now);
        slot.spent = slot.spent.saturating_add(1);
        true
    }

    /// How many resends are left now.
    pub fn left(&mut self, now: Duration) -> f64 {
        self.slot(now);
        let (requests, spent) = self
            .slots
            .iter()
            .fold((0.0, 0.0), |(requests, spent), slot| {
                (
                    requests + f64::from(slot.requests),
                    spent + f64::from(slot.spent),
                )
            });
        let floor = f64::from(self.per_second) * SLOTS as f64;
        (self.share * requests + floor - spent).max(0.0)
    }

    /// The slot of `now`, with those that have aged emptied. A clock that stands still or steps back
    /// stays in the newest slot.
    fn slot(&mut self, now: Duration) -> &mut Slot {
        let second = now.as_secs() / SLOT.as_secs();
        let aged = second.saturating_sub(self.newest).min(SLOTS as u64);
        for step in 1..=aged {
            let index = (second - aged + step) % SLOTS as u64;
            self.slots[index as usize] = Slot::default();
        }
        self.newest = self.newest.max(second);
        &mut self.slots[(self.newest % SLOTS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_quiet_service_may_still_resend_a_few() {
        let mut budget = Budget::new(0.2, 1);
        assert_eq!((0..20).filter(|_| budget.withdraw(at(5))).count(), 10);
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_resent() {
        let mut budget = Budget::new(0.2, 0);
        (0..1_000).for_each(|_| budget.deposit(at(3)));
        assert_eq!((0..1_000).filter(|_| budget.withdraw(at(4))).count(), 200);
    }

    #[test]
    fn what_was_spent_ages_out() {
        let mut budget = Budget::new(0.0, 1);
        while budget.withdraw(at(0)) {}
        assert_eq!(budget.left(at(9)), 0.0);
        assert_eq!(budget.left(at(10)), 10.0);
        assert_eq!(budget.left(at(1_000_000)), 10.0);
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing() {
        let mut budget = Budget::new(0.0, 1);
        while budget.withdraw(at(50)) {}
        assert_eq!(budget.left(at(40)), 0.0);
    }
}
