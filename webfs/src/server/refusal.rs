//! Every way a server says no, with what the client then sees.

use std::time::Duration;

use crate::cursor::Cursor;
use crate::path::StreamPath;
use crate::stream::ContentType;

/// A request that was not done. Nothing of it will be done later, except where a variant says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never created, or deleted: 404.
    #[error("there is no stream `{0}`")]
    UnknownStream(StreamPath),
    /// The cursor is of an earlier generation of the stream, which was deleted: 410.
    #[error("`{path}` was deleted; generation {asked} is gone, now there is {now:?}")]
    Gone {
        /// The stream.
        path: StreamPath,
        /// The cursor's generation.
        asked: u32,
        /// The generation there is, if any.
        now: Option<u32>,
    },
    /// The offset lies beyond every tail: 400.
    #[error("the offset lies beyond the tail")]
    BeyondTail,
    /// It contradicts what the stream holds: 409.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The producer's epoch is over: 403 with `Producer-Epoch`.
    #[error("producer epoch {sent} is over, epoch {current} is current")]
    StaleEpoch {
        /// The request's epoch.
        sent: u64,
        /// `Producer-Epoch` of the answer.
        current: u64,
    },
    /// A new epoch has to begin with sequence 0: 400.
    #[error("a new producer epoch begins with sequence 0, not {0}")]
    EpochStart(u64),
    /// An append without a byte: 400.
    #[error("an append needs at least one byte, or in JSON one message")]
    Empty,
    /// Longer than the server takes in one append: 413.
    #[error("{size} bytes in one append, {limit} are the limit")]
    TooLarge {
        /// Bytes sent.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// No room on the disk; reads go on: 507.
    #[error("the disk is full; nothing was written")]
    DiskFull,
    /// Not now: 503 with `Retry-After`. After [`NotReady::Stopping`] a write may have happened.
    #[error("not ready: {0}")]
    NotReady(#[from] NotReady),
    /// A stored entry could not be read back: 500. The log says more.
    #[error("a stored entry could not be read: {0}")]
    Unreadable(String),
}

/// What a write contradicts; all are 409.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// An append, or a create, of another content type.
    #[error("the stream holds {have}, not {sent}")]
    ContentType {
        /// The stream's.
        have: ContentType,
        /// The request's.
        sent: ContentType,
    },
    /// `Stream-Seq` does not rise.
    #[error("Stream-Seq does not rise: the last was {last:?}")]
    StreamSeq {
        /// The highest so far.
        last: String,
    },
    /// A producer left sequences out; all members were asked: with `Producer-Expected-Seq` and
    /// `Producer-Received-Seq`.
    #[error("producer sequence {received} came, {expected} was next")]
    ProducerGap {
        /// `Producer-Expected-Seq`.
        expected: u64,
        /// `Producer-Received-Seq`.
        received: u64,
    },
}

/// Why not now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The server has not joined its group yet.
    #[error("this server has not joined its group yet: {waiting_for}")]
    Joining {
        /// What it waits for.
        waiting_for: String,
    },
    /// The reader has seen more than this server and all members in reach have. `cursor` is its own.
    #[error("nothing here is newer than {cursor}, and some of what it covers has not arrived yet")]
    Behind {
        /// The reader's cursor.
        cursor: Cursor,
    },
    /// A producer's gap may be filled at a member that cannot be reached.
    #[error("sequence {expected} of this producer may be at a member that cannot be reached")]
    ProducerGap {
        /// The sequence missing here.
        expected: u64,
    },
    /// Too much work is waiting already.
    #[error("too many writes are waiting")]
    Busy,
    /// The server is stopping, or its disk failed: whether a write happened is unknown.
    #[error("the server is stopping")]
    Stopping,
}

impl NotReady {
    /// `Retry-After`; to be rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Joining { .. } | Self::Stopping | Self::ProducerGap { .. } => {
                Duration::from_secs(1)
            }
            Self::Behind { .. } | Self::Busy => Duration::from_millis(200),
        }
    }
}
