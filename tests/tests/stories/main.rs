//! The stories, one file each; one binary, so that they are linked once and share the machine.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a story fails by panicking

mod arrows;
mod bounded;
mod chance;
mod dependencies;
mod downloads;
mod plugin_is_apart;
