//! What one request carries through its states: what was tried, what was said, what is left.

use std::time::Duration;

use crate::{Exception, Kind, NodeId};

/// What bounds one request. It is bounded *between two signs of progress*: a live read that lasts
/// for days may meet more failures than one that never got a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes tried without progress, attempts and failed connects together.
    pub attempts: u32,
    /// Time without progress.
    pub within: Duration,
    /// The first wait before a node is asked a second time; doubles.
    pub back_off: Duration,
    /// The longest such wait.
    pub back_off_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts: 32,
            within: Duration::from_secs(30),
            back_off: Duration::from_millis(25),
            back_off_max: Duration::from_secs(1),
        }
    }
}

/// What a node is sought for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    Attempt,
    Ask,
}

/// What a request carries from state to state.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) limits: Limits,
    pub(crate) goal: Goal,
    /// When the request began or last progressed.
    pub(crate) since: Duration,
    /// Nodes tried since then.
    pub(crate) tries: u32,
    /// Tried in this round; asked again only after a wait.
    pub(crate) tried: Vec<NodeId>,
    /// Gave their answer, which was no; not asked again.
    pub(crate) answered_no: Vec<NodeId>,
    /// Rounds through all nodes since the last progress.
    pub(crate) rounds: u32,
    /// The last exceptions, for [`Kind::Exhausted`]: one a node.
    pub(crate) said: Vec<Exception>,
}

/// What a transition may need besides the event: the time, the service's budget, and chance.
pub(crate) struct Moment<'a> {
    pub(crate) now: Duration,
    pub(crate) budget: &'a mut crate::Budget,
    pub(crate) chance: &'a mut dyn FnMut() -> f64,
}

impl Course {
    pub(crate) fn new(limits: Limits, now: Duration) -> Self {
        Self {
            limits,
            goal: Goal::Attempt,
            since: now,
            tries: 0,
            tried: Vec::new(),
            answered_no: Vec::new(),
            rounds: 0,
            said: Vec::new(),
        }
    }

    /// The client got something: the bounds start anew.
    pub(crate) fn progressed(&mut self, now: Duration) {
        *self = Self {
            goal: self.goal,
            ..Self::new(self.limits, now)
        };
    }

    pub(crate) fn note(&mut self, node: NodeId, exception: &Exception) {
        self.tries = self.tries.saturating_add(1);
        let list = if exception.kind.is_an_answer() {
            &mut self.answered_no
        } else {
            &mut self.tried
        };
        if !list.contains(&node) {
            list.push(node);
        }
        self.said.retain(|said| said.node != exception.node);
        self.said.push(exception.clone());
    }

    pub(crate) fn exhausted(&self, why: &str) -> Exception {
        let mut detail = String::from(why);
        for said in &self.said {
            detail.push_str("; ");
            if let Some(node) = said.node {
                detail.push_str(&format!("node {node}: "));
            }
            detail.push_str(&said.to_string());
        }
        let last = self.said.last();
        Exception {
            kind: Kind::Exhausted,
            code: last.map_or(0, |said| said.code),
            retry_after: self.said.iter().filter_map(|said| said.retry_after).min(),
            node: last.and_then(|said| said.node),
            detail,
        }
    }

    /// Whether another try is allowed at all, and paid for.
    pub(crate) fn allows(&self, free: bool, at: &mut Moment<'_>) -> Result<(), Exception> {
        if self.tries >= self.limits.attempts {
            return Err(self.exhausted(&format!("{} tries without progress", self.tries)));
        }
        let spent = at.now.saturating_sub(self.since);
        if spent >= self.limits.within {
            return Err(self.exhausted(&format!("{spent:.1?} without progress")));
        }
        if !free && !at.budget.withdraw(at.now) {
            return Err(self.exhausted("the service's retry budget is spent"));
        }
        Ok(())
    }

    /// Doubling, with the upper half left to chance, and never shorter than a node asked for.
    pub(crate) fn back_off(&self, nth: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let longest = self.limits.back_off_max;
        let doubled = self
            .limits
            .back_off
            .saturating_mul(1 << nth.min(16))
            .min(longest);
        doubled
            .mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
            .max(asked.unwrap_or_default())
    }
}
