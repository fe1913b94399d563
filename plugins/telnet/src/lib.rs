//! The Telnet plugin: one address for many hosts, and a session that finds its way back.
//!
//! `nvt` is the protocol itself, as pure functions: what is data and what is a command, and what both
//! sides agreed on. `screen` knows what the user sees. Neither does I/O.

#![forbid(unsafe_code)]

pub mod nvt;
pub mod screen;
