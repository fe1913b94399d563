//! One running server: what the HTTP side calls.
//!
//! [`Server`] is a cheap clone; every call answers a [`Refusal`] rather than wait without bound. The
//! rules themselves are in [`crate::core`], which does no I/O; here are its clock, its disk and its peers.

mod answer;
mod config;
mod disk;
mod engine;
mod link;
mod live;
mod peers;
mod refusal;
mod start;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use self::engine::Engine;
use crate::core::Answer;
use crate::cursor::{Cursor, Position};
use crate::path::StreamPath;
use crate::stream::{DirectorId, RequestId};

pub use answer::{
    Append, Appended, Create, Created, Delivery, Group, Head, Identity, Member, ReadLimits, Slice,
    WatchEvent,
};
pub use config::{Durability, Limits, ServerConfig};
pub use live::{Follower, Following, Watch};
pub use refusal::{Conflict, NotReady, Refusal};
pub use start::Owner;

/// A running server. Clones are handles of the same one.
#[derive(Clone)]
pub struct Server {
    engine: Arc<Engine>,
}

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
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(config: ServerConfig) -> Result<(Server, Owner), StartError> {
        start::start(config).await
    }

    /// Waits until the server has joined its group; for ever, when it stops before. Cancel safe.
    pub async fn joined(&self) {
        let mut joined = self.engine.has_joined();
        if joined.wait_for(|&joined| joined).await.is_err() {
            std::future::pending().await
        }
    }

    /// Makes sure a stream is there. Applied at all members in reach before the answer (1 s at most).
    ///
    /// # Errors
    /// [`Conflict::ContentType`] when it is there with another type; and the general ones.
    ///
    /// # Cancel safety
    /// Dropped midway, the stream may or may not be there. The same holds for the other writes.
    pub async fn create(&self, path: &StreamPath, create: Create) -> Result<Created, Refusal> {
        self.take_write()?;
        let asked = self
            .engine
            .ask(|core, now, ticket| core.create(now, ticket, path, create));
        let Answer::Created(created) = asked.await? else {
            return Err(self.engine.mistaken());
        };
        Ok(created)
    }

    /// Adds one entry; answers after it is durable here.
    ///
    /// # Errors
    /// As [`Refusal`] tells. On `NotReady(Stopping)` it may have been added.
    pub async fn append(&self, path: &StreamPath, append: Append) -> Result<Appended, Refusal> {
        self.take_write()?;
        let asked = self
            .engine
            .ask(|core, now, ticket| core.append(now, ticket, path, append));
        let Answer::Appended(appended) = asked.await? else {
            return Err(self.engine.mistaken());
        };
        Ok(appended)
    }

    /// Deletes a stream. Applied at all members in reach before the answer.
    ///
    /// # Errors
    /// [`Refusal::UnknownStream`] when it is not there (any more); a repeat of a request id is answered
    /// as the first was.
    pub async fn delete(
        &self,
        path: &StreamPath,
        request: Option<RequestId>,
    ) -> Result<(), Refusal> {
        self.take_write()?;
        let asked = self
            .engine
            .ask(|core, now, ticket| core.delete(now, ticket, path, request));
        let Answer::Deleted = asked.await? else {
            return Err(self.engine.mistaken());
        };
        Ok(())
    }

    /// What a stream is now. `min` (`Stream-Min-Offset`) is fetched first, as for a read.
    ///
    /// # Errors
    /// [`Refusal::UnknownStream`], [`Refusal::NotReady`].
    pub async fn head(&self, path: &StreamPath, min: Option<&Cursor>) -> Result<Head, Refusal> {
        let min = min.cloned();
        let asked = self
            .engine
            .ask(|core, now, ticket| core.head(now, ticket, path, min));
        let Answer::Head(head) = asked.await? else {
            return Err(self.engine.mistaken());
        };
        Ok(head)
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
        let (from, min) = (from.clone(), min.cloned());
        let asked = self
            .engine
            .ask(|core, now, ticket| core.read(now, ticket, path, from, min, limits));
        let Answer::Read(reading) = asked.await? else {
            return Err(self.engine.mistaken());
        };
        Arc::clone(&self.engine).fill(reading).await
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
        Follower::begin(Arc::clone(&self.engine), path, from, min).await
    }

    /// The stream's stable cut: `Stream-Stable-Offset`. `None` for a stream that is not there.
    #[must_use]
    pub fn stable(&self, path: &StreamPath) -> Option<Cursor> {
        self.engine.with(|state, _| state.core.stable(path))
    }

    /// `Stream-Server`; `None` until the server has joined.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.engine.with(|state, _| state.core.identity())
    }

    /// The group's view, with this server's own load as it is now.
    #[must_use]
    pub fn group(&self) -> Group {
        self.engine.with(|state, _| {
            let load = state.load();
            state.core.set_load(load);
            state.core.group()
        })
    }

    /// Beats, and the stable cuts of the streams that this director wrote to.
    #[must_use]
    pub fn watch(&self, director: &DirectorId) -> Watch {
        Watch::begin(Arc::clone(&self.engine), director.clone())
    }

    /// Counters for `/metrics`: name and value.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.engine.counters()
    }

    /// Serves one peer on a connection upgraded to [`crate::PEER_PROTOCOL`]; returns when it ends. The
    /// HTTP side's connection task awaits it. Ends by itself when the server stops.
    pub async fn serve_peer<S>(&self, io: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        link::run(&self.engine, io, None).await;
    }

    /// Refuses a write while too much is on its way to the disk.
    fn take_write(&self) -> Result<(), Refusal> {
        if self.engine.is_behind() {
            return Err(NotReady::Busy.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
