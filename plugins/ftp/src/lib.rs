//! The FTP plugin: one FTP address in front of a cluster of unmodified FTP servers.
//!
//! Both halves of the protocol end here. `control` is the dialogue with the client, and what of it
//! must be found again at whichever node the session is moved to; `verbs` has a file for each
//! command; `data` opens data connections at both ends. What a command does at a node is a request
//! that the director performs: an `Exchange` of one command and one
//! reply, a download of `down`, an upload of `up`.

#![forbid(unsafe_code)]

mod control;
mod data;
mod down;
mod ftp;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod options;
mod shared;
mod up;
mod verbs;
mod watch;

pub use ftp::Ftp;
pub use options::Options;

#[cfg(feature = "export")]
director_sdk::export_plugin!(Ftp);
