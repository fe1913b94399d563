//! The fault of a run: where it is put in, and what it does.

use std::task::{Poll, Waker};

use super::exec::Chance;
use super::net::{Cut, Way};
use super::state::State;

/// Where a cut is to happen: on the nth connection to a node, when so many bytes went that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) connection: usize,
    pub(super) way: Way,
    pub(super) at: u64,
    pub(super) cut: Cut,
}

impl State {
    /// Writes into a connection, up to the fault, and lets that happen.
    pub(super) fn write(
        &mut self,
        connection: usize,
        way: Way,
        pieces: &[&[u8]],
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let armed = self.arm_second(connection, way);
        let wrote = self.connections[connection].pipe(way).write(pieces, waker);
        self.strike(connection, way);
        self.note_passed(connection, way, &armed);
        wrote
    }

    /// Lets the fault happen when so many bytes have passed.
    pub(super) fn strike(&mut self, connection: usize, way: Way) {
        let at = &mut self.connections[connection];
        let pipe = at.pipe(way);
        if pipe.fault_at != Some(pipe.passed) {
            return;
        }
        pipe.fault_at = None;
        let (cut, node) = (at.cut.take(), at.node);
        let (Some(cut), Some(node)) = (cut, node) else {
            return;
        };
        self.struck = Some(self.answered_so_far());
        match cut {
            Cut::Reset => self.connections[connection].reset(),
            Cut::End => self.connections[connection].pipe(way).end(),
            Cut::Stall => self.connections[connection].stick(),
            Cut::Garbage => {
                let chance = Chance::seeded(self.chance.next());
                self.connections[connection].pipe(way).garble(chance);
            }
            Cut::Silence => self.silence(node),
            Cut::Kill => self.kill(node),
        }
    }

    pub(super) fn answered_so_far(&self) -> u64 {
        self.connections
            .iter()
            .filter(|connection| connection.node.is_none())
            .map(|connection| connection.pipes[Way::Out.index()].passed)
            .sum()
    }

    /// Before a poll of a session: lets the fault of this poll happen. Whether the session is to be
    /// cancelled instead of polled.
    pub(super) fn strike_at_poll(&mut self, task: u64) -> bool {
        self.session_polls += 1;
        let now = Some(self.session_polls);
        if now == self.down_at_poll {
            self.struck = Some(self.answered_so_far());
            let node = self.node_of(task);
            if let Some(node) = node {
                self.declare_down(node);
            }
        }
        if now == self.cancel_at_poll {
            self.struck = Some(self.answered_so_far());
        }
        now == self.cancel_at_poll
    }
}
