//! The fault of a run: where it is put in, and what it does.

use std::ops::RangeInclusive;
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
    /// It hits every connection of the node at once, not only this one.
    pub(super) wide: bool,
}

/// Where a node had more than one connection: ranges of bytes on the nth of them, each way.
#[derive(Default)]
pub(super) struct Crowds(Vec<(usize, Way, RangeInclusive<u64>)>);

impl Crowds {
    pub(super) fn hold(&self, connection: usize, way: Way, at: u64) -> bool {
        let mut ranges = self.0.iter();
        ranges.any(|(of, on, range)| (*of, *on) == (connection, way) && range.contains(&at))
    }
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
        if let Poll::Ready(Ok(n)) = wrote {
            let passed = self.connections[connection].pipe(way).passed;
            self.note_crowd(connection, way, passed - n as u64 + 1..=passed);
        }
        self.strike(connection, way);
        self.note_passed(connection, way, &armed);
        wrote
    }

    /// Notes places at which a node has more than one connection.
    pub(super) fn note_crowd(&mut self, connection: usize, way: Way, at: RangeInclusive<u64>) {
        let node = self.connections[connection].node;
        let alive = |other: &&usize| {
            let other = &self.connections[**other];
            other.node == node && other.is_alive()
        };
        if node.is_some()
            && self.opened.iter().filter(alive).nth(1).is_some()
            && let Some(nth) = self.opened.iter().position(|index| *index == connection)
        {
            self.crowds.0.push((nth, way, at));
        }
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
        let wide = self.fault.is_some_and(|fault| fault.wide);
        let all = 0..self.connections.len();
        let hit: Vec<usize> = all
            .filter(|at| *at == connection || (wide && self.connections[*at].node == Some(node)))
            .collect();
        match cut {
            Cut::Silence => self.silence(node),
            Cut::Kill => self.kill(node),
            Cut::Reset | Cut::End | Cut::Stall | Cut::Garbage => {
                hit.into_iter().for_each(|at| self.spoil(at, way, cut));
            }
        }
    }

    fn spoil(&mut self, connection: usize, way: Way, cut: Cut) {
        let seed = match cut {
            Cut::Garbage => self.chance.next(),
            Cut::Reset | Cut::End | Cut::Stall | Cut::Silence | Cut::Kill => 0,
        };
        let connection = &mut self.connections[connection];
        match cut {
            Cut::Reset => connection.reset(),
            Cut::End => connection.pipe(way).end(),
            Cut::Stall => connection.stick(),
            Cut::Garbage => connection.pipe(way).garble(Chance::seeded(seed)),
            // Of the node as a whole.
            Cut::Silence | Cut::Kill => {}
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
