//! The states of one request, each a type that knows only the ways out of it.
//!
//! ```text
//!            +--------------------------- Waiting <---------------+
//!            v                                                    |
//! Seeking -> Connecting -> Establishing -> Attempting -> CleaningUp
//!     |          |              |      \        |             |
//!     |          +-- another node       Asking  +-> Reply     +-> GiveUp
//!     +-> GiveUp                          +-> Reply, Attempting, GiveUp
//! ```
//!
//! A failed connect or establish sent nothing of the request, so it needs no cleanup. A failed
//! attempt yields [`CleaningUp`] and nothing else.

use std::time::Duration;

use crate::course::{Course, Goal, Limits, Moment};
use crate::{Exception, Kind, NodeId, Outcome, Resend};

/// A failed attempt, connect or establish, with what the host knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What it means.
    pub exception: Exception,
    /// The link is whole and may be kept.
    pub fit: bool,
    /// Bytes that the client accepted during the attempt: progress.
    pub answered: u64,
    /// How long the attempt lasted, when its node owed nothing as it failed: a live read in a quiet hour.
    /// Zero when a byte was due.
    pub stood: Duration,
    /// The node is suspect or down: the first switch away from it costs no budget.
    pub node_died: bool,
    /// How long to wait before the switch, so that a dead node's sessions do not move as one.
    pub spread: Duration,
}

/// A node is to be picked.
#[derive(Debug)]
pub struct Seeking {
    course: Course,
    /// The only node that may be asked, with the exception to report when it cannot be.
    only: Option<Exception>,
}

/// The host connects.
#[derive(Debug)]
pub struct Connecting {
    course: Course,
    node: NodeId,
}

/// The plugin greets, logs in, restores.
#[derive(Debug)]
pub struct Establishing {
    course: Course,
    node: NodeId,
}

/// The plugin performs the request.
#[derive(Debug)]
pub struct Attempting {
    course: Course,
    node: NodeId,
}

/// An exception was raised; what the attempt left behind is being undone. The one way to a resend.
#[derive(Debug)]
pub struct CleaningUp {
    course: Course,
    node: NodeId,
    failed: Failed,
    torn: bool,
}

/// A node is asked whether the request happened.
#[derive(Debug)]
pub struct Asking {
    course: Course,
    node: NodeId,
}

/// A wait, for a node's sake.
#[derive(Debug)]
pub struct Waiting {
    /// How long.
    pub wait: Duration,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Seek(Seeking),
    /// The link is kept, and so is the node.
    Use(Course, NodeId),
}

/// Where a failure leads.
#[derive(Debug)]
pub enum Next {
    /// To another node, or to the same one.
    Seek(Seeking),
    /// The same, later.
    Wait(Waiting),
    /// To a node on a link that stands.
    Attempt(Attempting),
    /// Likewise, to ask.
    Ask(Asking),
    /// To the end, with the node's reply.
    Reply(NodeId),
    /// To the end, with an exception.
    GiveUp(Exception),
}

impl Course {
    fn at_link(self, node: NodeId) -> Next {
        match self.goal {
            Goal::Attempt => Next::Attempt(Attempting { course: self, node }),
            Goal::Ask => Next::Ask(Asking { course: self, node }),
        }
    }

    /// To another node after a failure that left nothing behind.
    fn elsewhere(self, free: bool, spread: Duration, mut at: Moment<'_>) -> Next {
        if let Err(end) = self.allows(free, &mut at) {
            return Next::GiveUp(end);
        }
        let seeking = Seeking {
            course: self,
            only: None,
        };
        if spread.is_zero() {
            return Next::Seek(seeking);
        }
        Next::Wait(Waiting {
            wait: spread,
            then: Then::Seek(seeking),
        })
    }
}

impl Seeking {
    /// A request begins, with no link to use.
    pub fn begin(limits: Limits, now: Duration) -> Self {
        Self {
            course: Course::new(limits, now),
            only: None,
        }
    }

    /// Nodes that are not to be picked now.
    pub fn avoid(&self) -> Vec<NodeId> {
        match self.only {
            Some(_) => Vec::new(),
            None => self
                .course
                .tried
                .iter()
                .chain(&self.course.answered_no)
                .copied()
                .collect(),
        }
    }

    /// The only node that will do.
    pub fn only(&self) -> Option<NodeId> {
        self.only.as_ref().and_then(|exception| exception.node)
    }

    /// A node was picked.
    pub fn picked(self, node: NodeId) -> Connecting {
        Connecting {
            course: self.course,
            node,
        }
    }

    /// No node can be picked: all that may be asked were, or none is up.
    pub(crate) fn none(mut self, mut at: Moment<'_>) -> Next {
        if let Some(exception) = self.only {
            return Next::GiveUp(exception);
        }
        if self.course.tried.is_empty() && !self.course.answered_no.is_empty() {
            return Next::GiveUp(self.course.exhausted("every node gave its answer"));
        }
        let asked = self
            .course
            .said
            .iter()
            .filter_map(|said| said.retry_after)
            .min();
        let wait = self
            .course
            .back_off(self.course.rounds, asked, (at.chance)());
        let left = self
            .course
            .limits
            .within
            .saturating_sub(at.now.saturating_sub(self.course.since));
        if wait >= left {
            return Next::GiveUp(self.course.exhausted("no node can be asked in time"));
        }
        // A round in which no node could even be picked was no resend: it costs time, not budget.
        if let Err(end) = self.course.allows(true, &mut at) {
            return Next::GiveUp(end);
        }
        self.course.tried.clear();
        self.course.rounds = self.course.rounds.saturating_add(1);
        Next::Wait(Waiting {
            wait,
            then: Then::Seek(self),
        })
    }
}

impl Connecting {
    /// Where to.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// A fresh stream stands.
    pub fn connected(self) -> Establishing {
        Establishing {
            course: self.course,
            node: self.node,
        }
    }

    /// A link to that node stood ready.
    pub fn found_link(self) -> Next {
        self.course.at_link(self.node)
    }

    /// The node could not be reached.
    pub(crate) fn failed(self, failed: Failed, at: Moment<'_>) -> Next {
        unreached(self.course, self.node, failed, at)
    }
}

impl Establishing {
    /// Where.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The link stands.
    pub fn established(self) -> Next {
        self.course.at_link(self.node)
    }

    /// The link could not be made. Nothing of the request was sent.
    pub(crate) fn failed(self, failed: Failed, at: Moment<'_>) -> Next {
        unreached(self.course, self.node, failed, at)
    }
}

/// A node that the request itself did not get to. Its answer may still be final.
fn unreached(mut course: Course, node: NodeId, failed: Failed, at: Moment<'_>) -> Next {
    course.note(node, &failed.exception);
    if failed.exception.kind.is_final() {
        return Next::GiveUp(failed.exception);
    }
    let free = failed.node_died && course.tries == 1;
    course.elsewhere(free, failed.spread, at)
}

impl Attempting {
    /// A request begins on its session's own link.
    pub fn begin(limits: Limits, now: Duration, node: NodeId) -> Self {
        Self {
            course: Course::new(limits, now),
            node,
        }
    }

    /// Where.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// An exception was raised. `torn` when the attempt had to be dropped instead of returning: its
    /// state cannot be trusted, so it is cleaned up and never resent.
    pub fn failed(self, failed: Failed, torn: bool) -> CleaningUp {
        CleaningUp {
            course: self.course,
            node: self.node,
            failed,
            torn,
        }
    }
}

impl CleaningUp {
    /// Where it was raised.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What is being cleaned up.
    pub fn exception(&self) -> &Exception {
        &self.failed.exception
    }

    /// Whether the link is still there for the cleanup.
    pub fn link(&self) -> bool {
        self.failed.fit && !self.torn
    }

    /// The plugin has cleaned up and says where the request may go again; core policy bounds it.
    pub(crate) fn cleaned(mut self, resend: Resend, mut at: Moment<'_>) -> Next {
        let link = self.link();
        let Failed {
            exception,
            answered,
            stood,
            node_died,
            spread,
            ..
        } = self.failed;
        // A node that owed nothing for longer than any back-off did its work: that there was none to
        // do is no trouble, and its time is not to be counted as such.
        if answered > 0 || stood > self.course.limits.back_off_max {
            self.course.progressed(at.now);
        }
        self.course.note(self.node, &exception);
        if self.torn || exception.kind.is_final() {
            return Next::GiveUp(exception);
        }
        let free = node_died && self.course.tries == 1;
        match resend {
            Resend::Never => Next::GiveUp(exception),
            Resend::Anywhere => {
                self.course.goal = Goal::Attempt;
                self.course.elsewhere(free, spread, at)
            }
            Resend::Ask => {
                self.course.goal = Goal::Ask;
                if link {
                    return self.course.at_link(self.node);
                }
                // The node that may have done it is the best one to ask, once it answers again.
                self.course.tried.retain(|tried| *tried != self.node);
                self.course.elsewhere(free, spread, at)
            }
            Resend::SameNode => {
                self.course.goal = Goal::Attempt;
                if let Err(end) = self.course.allows(false, &mut at) {
                    return Next::GiveUp(end);
                }
                let nth = self.course.tries.saturating_sub(1);
                let wait = self
                    .course
                    .back_off(nth, exception.retry_after, (at.chance)());
                let then = if link {
                    Then::Use(self.course, self.node)
                } else {
                    let only = Exception {
                        node: Some(self.node),
                        ..exception
                    };
                    Then::Seek(Seeking {
                        course: self.course,
                        only: Some(only),
                    })
                };
                Next::Wait(Waiting { wait, then })
            }
        }
    }
}

impl Asking {
    /// Where.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The node has answered. What stays unknown is reported as unknown, never guessed.
    pub fn asked(mut self, outcome: Outcome) -> Next {
        match outcome {
            Outcome::Happened => Next::Reply(self.node),
            Outcome::NotDone => {
                self.course.goal = Goal::Attempt;
                self.course.at_link(self.node)
            }
            Outcome::Unknown => Next::GiveUp(Exception::new(
                Kind::Unknown,
                Some(self.node),
                "the request may have happened, and no node can tell",
            )),
        }
    }

    /// The question failed. It did nothing, so another node may be asked it.
    pub(crate) fn failed(self, failed: Failed, at: Moment<'_>) -> Next {
        unreached(self.course, self.node, failed, at)
    }
}

impl Waiting {
    /// The wait is over.
    pub fn waited(self) -> Next {
        match self.then {
            Then::Seek(seeking) => Next::Seek(seeking),
            Then::Use(course, node) => course.at_link(node),
        }
    }
}
