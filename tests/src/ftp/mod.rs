//! Real FTP servers and clients, and a client that shows each line of the conversation.
//!
//! The servers are Debian's vsftpd, ProFTPD and Pure-FTPd as `tests/run install` unpacks them below
//! `target/ftp-servers`: their packages conflict with each other, so that none is installed.

pub mod clients;
pub mod cluster;
pub mod config;
pub mod content;
pub mod identity;
pub mod server;
pub mod talk;

/// The account that every server knows.
pub const USER: &str = "ann";

/// Its password.
pub const PASSWORD: &str = "secret";
