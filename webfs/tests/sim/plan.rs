//! What a run is made of.

use std::time::Duration;

use webfs::core::Rules;

use crate::host::Fault;

/// One kind of run; the seed does the rest.
#[derive(Debug, Clone)]
pub struct Plan {
    pub rules: Rules,
    /// Directors resend what was acknowledged and is not stable, ...
    pub outbox: bool,
    /// ... say under which name it had been acknowledged, ...
    pub was: bool,
    /// ... and do not pass on what a reader already had by its key.
    pub keys: bool,
    pub faults: &'static [Fault],
    pub max_down: usize,
    pub partitions: bool,
    /// Directors die: their outboxes and keys with them.
    pub directors_die: bool,
    /// Readers go over to the other director.
    pub readers_change: bool,
    /// Readers of the stable view, of four.
    pub stable_readers: usize,
    pub length: Duration,
}

pub const CRASHES: &[Fault] = &[Fault::Kill, Fault::Power];

impl Default for Plan {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            outbox: true,
            was: true,
            keys: true,
            faults: CRASHES,
            max_down: 1,
            partitions: true,
            directors_die: false,
            readers_change: false,
            stable_readers: 1,
            length: Duration::from_secs(12),
        }
    }
}
