//! Questions how a node stands, and the ends of links that they ask for.

use std::task::{Poll, Waker};
use std::time::Duration;

use super::recover::PROBE;
use super::state::{Owner, State, number};

/// How far back ends count, from the question on.
const LATELY: Duration = Duration::from_secs(1);

/// A question of a task.
pub(super) struct Confirm {
    pub(super) task: u64,
    node: u32,
    asked: Duration,
    until: Duration,
    waker: Option<Waker>,
}

/// The end of a link from its node's side.
pub(super) struct EndOfLink {
    node: u32,
    task: u64,
    at: Duration,
}

impl State {
    /// A question's number; 0 when there is no such node or task.
    pub(super) fn begin_confirm(&mut self, task: u64, node: u32, settle: Duration) -> u64 {
        let Some(at) = self.nodes.get(node as usize) else {
            return 0;
        };
        if !self.tasks.contains_key(&task) {
            return 0;
        }
        // A probe is refused at once, or waited for in vain.
        let (refuses, silent) = (!at.up, at.silent && !at.down);
        if refuses {
            self.declare_down(node);
        }
        let probing = if silent { PROBE } else { Duration::ZERO };
        let settling = if refuses { Duration::ZERO } else { settle };
        let confirm = Confirm {
            task,
            node,
            asked: self.now,
            until: self.now.saturating_add(settling.max(probing)),
            waker: None,
        };
        let number = number();
        self.confirms.insert(number, confirm);
        number
    }

    /// Whether the node answers, and how many links of other tasks ended; `None` for a void number.
    pub(super) fn poll_confirm(&mut self, number: u64, waker: &Waker) -> Option<Poll<(bool, u32)>> {
        let now = self.now;
        let confirm = self.confirms.get_mut(&number)?;
        if confirm.until > now {
            confirm.waker = Some(waker.clone());
            return Some(Poll::Pending);
        }
        let (task, node) = (confirm.task, confirm.node);
        let since = confirm.asked.saturating_sub(LATELY);
        let others = self
            .ended_links
            .iter()
            .filter(|end| end.node == node && end.task != task && end.at >= since)
            .count();
        let well = {
            let at = self.node(node);
            at.up && !at.silent
        };
        if !well {
            self.declare_down(node);
        }
        let answers = well && !self.node(node).down;
        Some(Poll::Ready((
            answers,
            u32::try_from(others).unwrap_or(u32::MAX),
        )))
    }

    pub(super) fn end_confirm(&mut self, number: u64) {
        self.confirms.remove(&number);
    }

    /// When the next question that is waited for is answered.
    pub(super) fn next_of_confirms(&self) -> Option<Duration> {
        let waited = self
            .confirms
            .values()
            .filter(|confirm| confirm.waker.is_some());
        waited.map(|confirm| confirm.until).min()
    }

    /// Wakes who waits for an answer that is there.
    pub(super) fn watch_confirms(&mut self) {
        for confirm in self.confirms.values_mut() {
            if confirm.until <= self.now
                && let Some(waker) = confirm.waker.take()
            {
                waker.wake();
            }
        }
    }

    /// A read of this stream found the peer's end. Kept when it is a link's, and the first time.
    pub(super) fn note_end(&mut self, stream: u64) {
        let Some(at) = self.streams.get_mut(&stream) else {
            return;
        };
        if at.owner != Owner::Link || at.closed || std::mem::replace(&mut at.told_end, true) {
            return;
        }
        let Some(node) = self.connections[at.connection].node else {
            return;
        };
        let open = self.tickets.values().find(|open| open.stream == stream);
        let chain = open.and_then(|open| self.chains.get(&open.chain));
        let end = EndOfLink {
            node,
            task: chain.map_or(0, |chain| chain.task),
            at: self.now,
        };
        self.ended_links.push(end);
    }
}
