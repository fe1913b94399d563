//! One running server: what the HTTP side calls.
//!
//! [`Server`] is a cheap clone; every call answers a [`Refusal`] rather than wait without bound. The
//! rules themselves are in [`crate::core`], which does no I/O; here are its clock, its disk and its peers.

mod answer;
mod config;
mod refusal;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::cursor::{Cursor, Position};
use crate::path::StreamPath;
use crate::stream::{DirectorId, RequestId};

pub use answer::{
    Append, Appended, Create, Created, Delivery, Group, Head, Identity, Member, ReadLimits, Slice,
    WatchEvent,
};
pub use config::{Durability, Limits, ServerConfig};
pub use refusal::{Conflict, NotReady, Refusal};

/// A running server. Clones are handles of the same one.
#[derive(Clone)]
pub struct Server {}

/// Keeps a server's tasks; whoever starts a server holds it.
pub struct Owner {}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("data directory: {0}")]
    Data(String),
    /// A setting that cannot be.
    #[error("{0}")]
    Config(String),
}

/// Why a server had to end by itself; the process says so and exits with status 1.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fatal {
    /// A write or `fdatasync` failed. What was not acknowledged may be lost; a retry would lie.
    #[error("the log could not be written: {0}")]
    Log(String),
    /// Another live server has this id.
    #[error("another live server of the group has the id of this one: {0}")]
    SameId(String),
    /// The rules found a state that must not be; going on would risk what is stored.
    #[error("broken invariant: {0}")]
    Broken(String),
}

impl Server {
    /// Opens the data directory, recovers the log, and begins to join the group in the background:
    /// until then requests are refused with [`NotReady::Joining`], and [`Server::joined`] waits.
    ///
    /// # Errors
    /// When the data directory is locked, unreadable, or of another server; when a setting cannot be.
    pub async fn start(config: ServerConfig) -> Result<(Server, Owner), StartError> {
        let _ = config;
        Err(StartError::Config("not yet".to_owned()))
    }

    /// Waits until the server has joined its group. Cancel safe.
    pub async fn joined(&self) {}

    /// Makes sure a stream is there. Applied at all members in reach before the answer (1 s at most).
    ///
    /// # Errors
    /// [`Conflict::ContentType`] when it is there with another type; and the general ones.
    ///
    /// # Cancel safety
    /// Dropped midway, the stream may or may not be there. The same holds for the other writes.
    pub async fn create(&self, path: &StreamPath, create: Create) -> Result<Created, Refusal> {
        let _ = create;
        Err(Refusal::UnknownStream(path.clone()))
    }

    /// Adds one entry; answers after it is durable here.
    ///
    /// # Errors
    /// As [`Refusal`] tells. On `NotReady(Stopping)` it may have been added.
    pub async fn append(&self, path: &StreamPath, append: Append) -> Result<Appended, Refusal> {
        let _ = append;
        Err(Refusal::UnknownStream(path.clone()))
    }

    /// Deletes a stream; `min` is `Stream-Min-Offset`. Applied at all members in reach before the answer.
    ///
    /// # Errors
    /// [`Refusal::UnknownStream`] when it is not there (any more); a repeat of a request id is answered
    /// as the first was.
    pub async fn delete(
        &self,
        path: &StreamPath,
        request: Option<RequestId>,
    ) -> Result<(), Refusal> {
        let _ = request;
        Err(Refusal::UnknownStream(path.clone()))
    }

    /// What a stream is now. `min` (`Stream-Min-Offset`) is fetched first, as for a read.
    ///
    /// # Errors
    /// [`Refusal::UnknownStream`], [`Refusal::NotReady`].
    pub async fn head(&self, path: &StreamPath, min: Option<&Cursor>) -> Result<Head, Refusal> {
        let _ = min;
        Err(Refusal::UnknownStream(path.clone()))
    }

    /// What follows a position, without waiting for more. A position or `min` that this server does not
    /// cover is fetched from the peers first (200 ms at most).
    ///
    /// # Errors
    /// [`NotReady::Behind`] rather than an empty slice when the position is still not covered.
    pub async fn read(
        &self,
        path: &StreamPath,
        from: &Position,
        min: Option<&Cursor>,
        limits: ReadLimits,
    ) -> Result<Slice, Refusal> {
        let _ = (from, min, limits);
        Err(Refusal::UnknownStream(path.clone()))
    }

    /// A live read from a position. Long-poll takes one [`Follower::next`] with a timeout around it, SSE
    /// one after another.
    ///
    /// # Errors
    /// As [`Server::read`], but never [`NotReady::Behind`]: a follower parks instead.
    pub async fn follow(
        &self,
        path: &StreamPath,
        from: &Position,
        min: Option<&Cursor>,
    ) -> Result<Follower, Refusal> {
        let _ = (from, min);
        Err(Refusal::UnknownStream(path.clone()))
    }

    /// The stream's stable cut: `Stream-Stable-Offset`. `None` for a stream that is not there.
    #[must_use]
    pub fn stable(&self, path: &StreamPath) -> Option<Cursor> {
        let _ = path;
        None
    }

    /// `Stream-Server`; `None` until the server has joined.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        None
    }

    /// The group's view.
    #[must_use]
    pub fn group(&self) -> Group {
        Group {
            view: 0,
            members: Vec::new(),
        }
    }

    /// Beats, and the stable cuts of the streams that this director wrote to.
    #[must_use]
    pub fn watch(&self, director: &DirectorId) -> Watch {
        let _ = director;
        Watch {}
    }

    /// Counters for `/metrics`: name and value.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Serves one peer on a connection upgraded to [`crate::PEER_PROTOCOL`]; returns when it ends. The
    /// HTTP side's connection task awaits it. Ends by itself when the server stops.
    pub async fn serve_peer<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let _ = io;
    }
}

impl Owner {
    /// Waits until the server has to end by itself. Cancel safe.
    pub async fn failed(&mut self) -> Fatal {
        std::future::pending().await
    }

    /// Refuses new work, syncs what was accepted, ends all tasks and waits for them; after `grace` it
    /// aborts what is left.
    pub async fn stop(self, grace: Duration) {
        let _ = grace;
    }
}

/// One live read: its cursor, and what comes next.
pub struct Follower {}

impl Follower {
    /// What follows the cursor, at once when there is something, else as soon as there is; then moves
    /// the cursor. The slice is never empty.
    ///
    /// # Errors
    /// [`Refusal::UnknownStream`] or [`Refusal::Gone`] once the stream is deleted; `NotReady(Stopping)`.
    ///
    /// # Cancel safety
    /// Dropped midway, the cursor has not moved.
    pub async fn next(&mut self, limits: ReadLimits) -> Result<Slice, Refusal> {
        let _ = limits;
        std::future::pending().await
    }

    /// Where it stands: also moved by what is not delivered (control entries, second names).
    #[must_use]
    pub fn state(&self) -> Following {
        Following {
            next: Cursor::default(),
            stable: Cursor::default(),
            up_to_date: false,
        }
    }
}

/// Where a live read stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// `Stream-Next-Offset`.
    pub next: Cursor,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
    /// `Stream-Up-To-Date`.
    pub up_to_date: bool,
}

/// One director's watch.
pub struct Watch {}

impl Watch {
    /// The next event; `None` when the server stops. Cancel safe.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        None
    }
}
