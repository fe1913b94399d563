//! The command line: proxy, check, status, webfs.

#![forbid(unsafe_code)]

fn main() {}
