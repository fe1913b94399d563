//! Why a node is in doubt, and what the exception of a probe says about it.

use director_recovery::Kind;

/// Why a node is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing is known of it yet.
    New,
    /// A connection was refused.
    Refused,
    /// A connection failed otherwise.
    Unconnected,
    /// An attempt failed like this.
    Failed(Kind),
    /// A byte was due for too long.
    Silent,
    /// Its watch ended.
    WatchEnded,
    /// Its agent says that it does not work.
    Agent,
    /// Somebody asked it, and it did not answer.
    Asked,
}

impl Suspicion {
    /// In words, for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "nothing is known of it yet",
            Self::Refused => "it refused a connection",
            Self::Unconnected => "a connection failed",
            Self::Failed(kind) => kind.as_str(),
            Self::Silent => "it is silent",
            Self::WatchEnded => "its watch ended",
            Self::Agent => "its agent says so",
            Self::Asked => "it did not answer when it was asked",
        }
    }
}

/// Whether a probe that raised this was not answered, and it is the node's doing.
pub(super) const fn is_a_failure(kind: Kind) -> bool {
    match kind {
        Kind::Unreachable | Kind::Lost | Kind::Stalled | Kind::Garbled | Kind::Unknown => true,
        Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Diverged
        | Kind::Denied
        | Kind::Invalid
        | Kind::ClientGone
        | Kind::Fault
        | Kind::Exhausted => false,
    }
}

/// Whether a probe that raised this was answered all the same: with a no.
pub(crate) const fn is_an_answer(kind: Kind) -> bool {
    match kind {
        Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Diverged
        | Kind::Denied
        | Kind::Invalid => true,
        Kind::Unreachable
        | Kind::Lost
        | Kind::Stalled
        | Kind::Garbled
        | Kind::Unknown
        | Kind::ClientGone
        | Kind::Fault
        | Kind::Exhausted => false,
    }
}
