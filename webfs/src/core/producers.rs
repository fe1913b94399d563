//! The protocol's idempotent producers of one stream.
//!
//! Which triples are here is known by their names ([`super::names`]), so that a write of an old epoch
//! that another server acknowledged is applied once; the *highest* epoch and sequence decide only what
//! the protocol answers.

use std::collections::HashMap;

use crate::stream::{Producer, ProducerId};

/// Highest epoch and sequence of each producer.
#[derive(Debug, Default)]
pub(super) struct Producers(HashMap<ProducerId, (u64, u64)>);

/// What the protocol says to a triple that is not here yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one, the first of an epoch, or one that was left out before.
    Accept,
    /// Its epoch is over.
    Stale {
        /// The current one.
        current: u64,
    },
    /// A new epoch has to begin with sequence 0.
    EpochStart,
    /// Sequences before it are missing.
    Gap {
        /// The one expected.
        expected: u64,
    },
}

impl Producers {
    /// Notes a triple that was applied.
    pub(super) fn note(&mut self, triple: &Producer) {
        let highest = self.0.entry(triple.id.clone()).or_default();
        *highest = (*highest).max((triple.epoch, triple.seq));
    }

    /// The highest epoch, and its highest sequence.
    pub(super) fn highest(&self, id: &ProducerId) -> Option<(u64, u64)> {
        self.0.get(id).copied()
    }

    /// What to say to a new triple.
    pub(super) fn judge(&self, triple: &Producer) -> Verdict {
        let Some((epoch, seq)) = self.highest(&triple.id) else {
            return match triple.seq {
                0 => Verdict::Accept,
                _ => Verdict::Gap { expected: 0 },
            };
        };
        match triple.epoch.cmp(&epoch) {
            std::cmp::Ordering::Less => Verdict::Stale { current: epoch },
            std::cmp::Ordering::Greater if triple.seq > 0 => Verdict::EpochStart,
            std::cmp::Ordering::Equal if triple.seq > seq + 1 => Verdict::Gap { expected: seq + 1 },
            std::cmp::Ordering::Greater | std::cmp::Ordering::Equal => Verdict::Accept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triple(epoch: u64, seq: u64) -> Producer {
        let id = "p".parse().unwrap();
        Producer { id, epoch, seq }
    }

    #[test]
    fn only_the_next_sequence_of_the_epoch_or_the_first_of_a_new_one_is_accepted() {
        let mut producers = Producers::default();
        assert_eq!(producers.judge(&triple(0, 0)), Verdict::Accept);
        assert_eq!(producers.judge(&triple(7, 1)), Verdict::Gap { expected: 0 });
        producers.note(&triple(1, 0));
        producers.note(&triple(1, 4));
        producers.note(&triple(0, 9));
        assert_eq!(
            producers.judge(&triple(0, 10)),
            Verdict::Stale { current: 1 }
        );
        assert_eq!(producers.judge(&triple(1, 5)), Verdict::Accept);
        assert_eq!(producers.judge(&triple(1, 3)), Verdict::Accept);
        assert_eq!(producers.judge(&triple(1, 6)), Verdict::Gap { expected: 5 });
        assert_eq!(producers.judge(&triple(2, 1)), Verdict::EpochStart);
        assert_eq!(producers.judge(&triple(2, 0)), Verdict::Accept);
    }
}
