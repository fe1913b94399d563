//! A live read: a value that the driver keeps, and gives back for each step.

use std::time::Duration;

use super::api::Reading;
use crate::cursor::{Cursor, Cut};
use crate::path::StreamPath;

/// Where a live read stands. A step gives a new one; the driver takes it once the step's entries are
/// on their way, so that a step given up midway has not moved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    pub(super) path: StreamPath,
    pub(super) generation: u32,
    /// The cursor that the reader came with: it tells names that `at` has run past.
    pub(super) from: Cut,
    /// What the reader covers now, with what that covers unspoken.
    pub(super) at: Cut,
    /// Every entry before this position of the replica is covered by `at`.
    pub(super) position: usize,
    /// When this server began to wait for entries that the reader has seen and it has not.
    pub(super) behind_since: Option<Duration>,
    pub(super) next: Cursor,
    pub(super) stable: Cursor,
    pub(super) up_to_date: bool,
}

impl Follow {
    /// `Stream-Next-Offset`.
    #[must_use]
    pub fn next(&self) -> &Cursor {
        &self.next
    }

    /// `Stream-Stable-Offset`.
    #[must_use]
    pub fn stable(&self) -> &Cursor {
        &self.stable
    }

    /// `Stream-Up-To-Date`.
    #[must_use]
    pub fn up_to_date(&self) -> bool {
        self.up_to_date
    }

    /// The stream.
    #[must_use]
    pub fn path(&self) -> &StreamPath {
        &self.path
    }
}

/// One step of a live read.
#[derive(Debug, Clone)]
pub struct Step {
    /// What to deliver; `None`: nothing yet, wait for the stream's [`super::Output::Wake`].
    pub reading: Option<Reading>,
    /// Where the read stands after it, delivered or not.
    pub follow: Follow,
}
