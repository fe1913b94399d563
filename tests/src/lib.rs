//! How the stories (and `bench`) start the programs, hurt them, and talk to them.
//!
//! Nothing here depends on the crates of the programs: they are started as a user starts them and
//! asked over their own sockets. Failures are `io::Error`s whose text says what was waited for and
//! what the program had said on stderr until then.

#![forbid(unsafe_code)]

pub mod cargo;
pub mod director;
pub mod fetch;
pub mod folder;
pub mod ftp;
pub mod group;
pub mod http;
pub mod network;
pub mod process;
pub mod programs;
pub mod source;
