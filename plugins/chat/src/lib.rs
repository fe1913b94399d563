//! The chat plugin: HTTP and Durable Streams in front of a WebFS group.
//!
//! Clients speak plain HTTP; what a group of servers needs on top is kept here: cursors, the outbox, the
//! keys of what was shown ([`memory`]).

#![forbid(unsafe_code)]

pub mod body;
pub mod cursor;
pub mod entry;
pub mod keys;
pub mod memory;
pub mod name;
pub mod path;
pub mod sse;
