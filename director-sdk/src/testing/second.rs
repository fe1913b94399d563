//! A second fault, which strikes so many bytes after the first, wherever they go to or from a node.

use super::net::{Cut, Way};
use super::state::State;

/// The fault that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Second {
    /// Bytes to and from nodes before it, from the first fault on; at least 1.
    pub(super) after: u64,
    pub(super) cut: Cut,
}

impl State {
    /// Before a write: lets the second fault strike this connection, if the first has struck. What is
    /// returned goes to [`note_passed`](Self::note_passed).
    pub(super) fn arm_second(&mut self, connection: usize, way: Way) -> Armed {
        let at = &mut self.connections[connection];
        let passed = at.pipe(way).passed;
        let mut armed = Armed {
            passed,
            counts: at.node.is_some() && self.struck.is_some(),
            second: false,
        };
        if let Some(second) = self.second.filter(|_| armed.counts) {
            at.pipe(way).fault_at = Some(passed + second.after);
            at.cut = Some(second.cut);
            armed.second = true;
        }
        armed
    }

    /// After the write.
    pub(super) fn note_passed(&mut self, connection: usize, way: Way, armed: &Armed) {
        if !armed.counts {
            return;
        }
        let at = &mut self.connections[connection];
        let pipe = at.pipe(way);
        let moved = pipe.passed - armed.passed;
        let waits = pipe.fault_at.take().is_some();
        self.passed_since += moved;
        if !armed.second {
            return;
        }
        if waits {
            at.cut = None;
            if let Some(second) = &mut self.second {
                second.after -= moved;
            }
        } else {
            self.second = None;
        }
    }
}

/// How a write was armed.
pub(super) struct Armed {
    passed: u64,
    /// Its bytes are after the first fault.
    counts: bool,
    second: bool,
}
