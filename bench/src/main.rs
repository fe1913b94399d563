//! Failover runs with their checker, and figures side by side with peers.

#![forbid(unsafe_code)]

fn main() {}
