//! What a test can see of a world: its clock, its objects, its log, and what its nodes did.

use std::time::Duration;

use super::{World, abi, state};
use crate::failure::Kind;

/// Live objects of the host's; all zero at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Sessions, probes, watches, the instance's own work.
    pub tasks: usize,
    /// Streams, those of pooled links apart.
    pub streams: usize,
    /// Timers.
    pub timers: usize,
    /// Relays.
    pub relays: usize,
    /// Chains.
    pub chains: usize,
    /// Requests.
    pub tickets: usize,
    /// Further connections under way.
    pub connects: usize,
    /// Listeners for further connections.
    pub listeners: usize,
    /// Spools.
    pub spools: usize,
    /// Questions how a node stands.
    pub confirms: usize,
}

/// What a task of the plugin's was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A session of a client's.
    Session,
    /// A probe.
    Probe,
    /// A watch.
    Watch,
    /// The instance's own work.
    Run,
}

/// How a task of the plugin's ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// What it was.
    pub what: What,
    /// Why it failed; `None` when all is well.
    pub kind: Option<Kind>,
    /// The protocol's own code; 0 for none.
    pub code: u32,
    /// The failure in words.
    pub detail: String,
    /// What a probe learnt.
    pub load: f64,
    /// It panicked; the log has message and place.
    pub panicked: bool,
}

/// What [`World::finish`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leftover {
    /// Objects that are still there: none.
    pub counts: Counts,
    /// Objects that the plugin's own handles did not end, so that the host had to, with their task.
    pub left_behind: usize,
    /// Tasks that did not end by themselves within a minute of the stop.
    pub cancelled: usize,
    /// Destructors that panicked.
    pub panics: usize,
}

impl World {
    /// The world's time.
    pub fn now(&self) -> Duration {
        self.state.borrow().now
    }

    /// Live objects of the host's.
    pub fn counts(&self) -> Counts {
        self.state.borrow().counts()
    }

    /// Wakers that were cloned across the boundary and not dropped yet, on this thread.
    pub fn held_wakers() -> isize {
        abi::held_wakers()
    }

    /// How many attempts were begun at a request after its first.
    pub fn switches(&self) -> u64 {
        self.state.borrow().switches
    }

    /// How the plugin's tasks ended, in that order.
    pub fn ended(&self) -> Vec<Ended> {
        self.state.borrow().ended.clone()
    }

    /// What nodes did, in that order; see [`Wire::effect`](super::Wire::effect).
    pub fn effects(&self) -> Vec<String> {
        self.state.borrow().effects.clone()
    }

    /// The host's log: level (1 error to 5 trace) and line.
    pub fn log(&self) -> Vec<(u32, String)> {
        self.state.borrow().log.clone()
    }

    /// A metric's value, by `name,label=value,..`; histograms have the sum of what was observed.
    pub fn metric(&self, key: &str) -> Option<f64> {
        let number = state::metric_number(key);
        self.state.borrow().metrics.get(&number).copied()
    }

    /// What a node reported last, through a watch or in passing.
    pub fn load(&self, name: &str) -> Option<f64> {
        let node = self.find(name);
        self.state.borrow().loads.get(&node).copied()
    }

    /// What there is to tell when a test fails.
    pub fn story(&self) -> String {
        let state = self.state.borrow();
        let mut story = format!("at {:?}, {:?}\n", state.now, state.counts());
        for ended in &state.ended {
            story.push_str(&format!("{ended:?}\n"));
        }
        let from = state.log.len().saturating_sub(40);
        for (level, line) in &state.log[from..] {
            story.push_str(&format!("log {level}: {line}\n"));
        }
        story
    }
}
