//! The requests, one file a verb. Each carries its own state from one attempt to the next, and all may be
//! sent again anywhere: reads from where they stand, writes because they have a request id.

pub mod again;
pub mod append;
pub mod delete;
pub mod forward;
pub mod live;
pub mod long_poll;
pub mod open;
pub mod query;
pub mod read;
pub mod unit;

use std::sync::Arc;

use hyper::HeaderMap;

use crate::cursor::Cursor;
use crate::memory::room::Room;
use crate::shared::Shared;

/// A client's request about one stream.
#[derive(Debug, Clone)]
pub struct Call {
    /// What all sessions share.
    pub shared: Arc<Shared>,
    /// The stream.
    pub room: Arc<Room>,
    /// Path and query, as they came.
    pub target: String,
    /// The client's headers, as far as they are forwarded.
    pub headers: HeaderMap,
    /// What was known of the stream when the request came: `Stream-Min-Offset` of every attempt.
    pub min: Option<Cursor>,
    /// What the client brought, and what is asked for on its behalf: no answer's news.
    pub asked: Option<Cursor>,
}

impl Call {
    /// What an exchange is about.
    #[must_use]
    pub fn about(&self) -> Option<(&Room, Option<&Cursor>)> {
        Some((&self.room, self.asked.as_ref()))
    }
}
