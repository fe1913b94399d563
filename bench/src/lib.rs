//! Failover runs with their checker.

#![forbid(unsafe_code)]

pub mod failover;
pub mod ftp;
