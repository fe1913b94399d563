//! The chat plugin: HTTP and Durable Streams in front of a WebFS group.
//!
//! Clients speak plain HTTP ([`client`]); each of their requests is one of [`requests`], which the director
//! performs at whichever node is well, over [`node`]. What a group of servers needs on top is kept in
//! [`memory`]: cursors, writes that only one server may have stored, and what was shown to whom. Cursors
//! and names are understood here ([`cursor`], [`name`]); nothing else of a server is.

#![forbid(unsafe_code)]
// Tests speak of one place in a body as of a list of places.
#![cfg_attr(test, allow(clippy::single_range_in_vec_init))]

pub mod body;
mod chat;
pub mod client;
pub mod cursor;
pub mod entry;
pub mod failures;
pub mod keys;
pub mod memory;
pub mod name;
pub mod node;
pub mod options;
pub mod outbox_task;
pub mod path;
pub mod requests;
pub mod shared;
pub mod sse;
pub mod watch;

pub use chat::Chat;

#[cfg(feature = "export")]
director_sdk::export_plugin!(Chat);
