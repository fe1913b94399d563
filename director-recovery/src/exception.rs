//! What went wrong, in words that no protocol owns.

use std::fmt;
use std::time::Duration;

use crate::NodeId;

/// The small, closed set that core policy is written against.
///
/// Who is to blame follows from the kind; which *stream* failed is the host's own knowledge, so an
/// error on the client's side is never the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Refused, no route, connect timeout, TLS failure.
    Unreachable,
    /// Reset, unexpected end, or cut because the node was declared down.
    Lost,
    /// No progress in time.
    Stalled,
    /// The node has too much to do; it may say when to come again.
    Busy,
    /// The node says that it is draining.
    Leaving,
    /// This node lacks what its peers may have.
    Missing,
    /// Another copy than the one begun: digest, size, time or history differ.
    Diverged,
    /// The answer is no: credentials, permission.
    Denied,
    /// The answer is no: a bad request.
    Invalid,
    /// The node breaks the protocol.
    Garbled,
    /// It may have happened.
    Unknown,
    /// The client left, or broke its protocol.
    ClientGone,
    /// The plugin panicked or overran.
    Fault,
    /// All nodes were tried.
    Exhausted,
}

impl Kind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::Lost,
        Self::Stalled,
        Self::Busy,
        Self::Leaving,
        Self::Missing,
        Self::Diverged,
        Self::Denied,
        Self::Invalid,
        Self::Garbled,
        Self::Unknown,
        Self::ClientGone,
        Self::Fault,
        Self::Exhausted,
    ];

    /// The number by which the kind crosses the plugin boundary: 1 to 14.
    pub const fn code(self) -> u32 {
        match self {
            Self::Unreachable => 1,
            Self::Lost => 2,
            Self::Stalled => 3,
            Self::Busy => 4,
            Self::Leaving => 5,
            Self::Missing => 6,
            Self::Diverged => 7,
            Self::Denied => 8,
            Self::Invalid => 9,
            Self::Garbled => 10,
            Self::Unknown => 11,
            Self::ClientGone => 12,
            Self::Fault => 13,
            Self::Exhausted => 14,
        }
    }

    /// The kind of a number; `None` for one that names none.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The kind's name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::Busy => "busy",
            Self::Leaving => "leaving",
            Self::Missing => "missing",
            Self::Diverged => "diverged",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Garbled => "garbled",
            Self::Unknown => "unknown",
            Self::ClientGone => "client gone",
            Self::Fault => "fault",
            Self::Exhausted => "exhausted",
        }
    }

    /// Whether no node can help, whatever a cleanup says: the client is gone, the answer is no, or
    /// the plugin itself is at fault.
    pub const fn is_final(self) -> bool {
        match self {
            Self::ClientGone | Self::Fault | Self::Denied | Self::Invalid | Self::Exhausted => true,
            Self::Unreachable
            | Self::Lost
            | Self::Stalled
            | Self::Busy
            | Self::Leaving
            | Self::Missing
            | Self::Diverged
            | Self::Garbled
            | Self::Unknown => false,
        }
    }

    /// Whether the node has given its answer to this request, so that asking it again is idle.
    pub const fn is_an_answer(self) -> bool {
        match self {
            Self::Missing | Self::Diverged => true,
            Self::Unreachable
            | Self::Lost
            | Self::Stalled
            | Self::Busy
            | Self::Leaving
            | Self::Denied
            | Self::Invalid
            | Self::Garbled
            | Self::Unknown
            | Self::ClientGone
            | Self::Fault
            | Self::Exhausted => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure, translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// What it is.
    pub kind: Kind,
    /// The protocol's own code behind it; 0 for none.
    pub code: u32,
    /// How long the node asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Where it was raised; `None` when no node was reached.
    pub node: Option<NodeId>,
    /// The failure in the protocol's words. Of [`Kind::Exhausted`]: what each node said.
    pub detail: String,
}

impl Exception {
    /// An exception without code or wait.
    pub fn new(kind: Kind, node: Option<NodeId>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code: 0,
            retry_after: None,
            node,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.code != 0 {
            write!(f, " {}", self.code)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// Where a request may go again, as its cleanup says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// To any node: it is idempotent, was made so by an id, or was begun with its position known.
    Anywhere,
    /// To the node that failed, and no other.
    SameNode,
    /// Nowhere before a node was asked whether it happened.
    Ask,
    /// Nowhere.
    Never,
}

/// Whether a request happened, as a node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It happened; the reply is known.
    Happened,
    /// It did not.
    NotDone,
    /// That cannot be known; the client is told so, never a guess.
    Unknown,
}
