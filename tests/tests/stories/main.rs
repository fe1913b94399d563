//! The stories, one file each; one binary, so that they are linked once and share the machine.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a story fails by panicking

mod arrows;
mod bad_input;
mod bounded;
mod c_plugin;
mod chance;
mod chat;
mod conformance;
mod downloads;
mod drains;
mod failover;
mod first_command;
mod ftp_aborts;
mod ftp_clients;
mod ftp_dialogue;
mod ftp_downloads;
mod ftp_ends;
mod ftp_goodbyes;
mod ftp_input;
mod ftp_kills;
mod ftp_listings;
mod ftp_mirrors;
mod ftp_separate;
mod ftp_servers;
mod ftp_switches;
mod ftp_tls;
mod ftp_uploads;
mod ftp_ways;
mod group;
mod panics;
mod plugin_is_apart;
mod room;
mod stopping;
mod strangers;
mod vanish;
