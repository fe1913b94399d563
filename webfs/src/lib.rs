//! A group of file servers in which chat rooms are files.
//!
//! [`server::Server`] is one running server; the modules below it are its rules, without I/O. Nothing
//! in this crate knows the director.

#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod core;
pub mod cursor;
pub mod entry;
pub mod http;
pub mod letter;
pub mod log;
pub mod path;
pub mod server;
pub mod stream;
pub mod wire;

/// `Upgrade` token of the protocol between servers, asked for at [`PEER_PATH`].
pub const PEER_PROTOCOL: &str = "webfs-peer/1";
/// Where a server upgrades connections from its peers.
pub const PEER_PATH: &str = "/.well-known/webfs/peer";
