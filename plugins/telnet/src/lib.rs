//! The Telnet plugin: one address for many hosts, and a session that finds its way back.
//!
//! `nvt` is the protocol itself, as pure functions: what is data and what is a command. `screen` knows what the user
//! sees. `talk` follows the dialogue of a client and its host, `login` and `restore` know how to come to another one,
//! `tier` how far a session is; none of these does I/O. `live` moves the bytes.

#![forbid(unsafe_code)]

mod failures;
mod live;
mod login;
pub mod nvt;
mod options;
mod restore;
pub mod screen;
mod shared;
mod talk;
mod telnet;
mod tier;
mod watch;

pub use options::Options;
pub use telnet::Telnet;

#[cfg(feature = "export")]
director_sdk::export_plugin!(Telnet);
