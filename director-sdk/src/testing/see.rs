//! What a test can see of a world: its clock, its objects, its log, and what its nodes did.

use std::time::Duration;

use super::{Counts, Ended, World, abi, state};

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

    /// What nodes did, in that order; see [`Wire::effect`].
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
