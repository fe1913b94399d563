//! HTTP towards clients.

pub mod live_body;
pub mod reply;
pub mod serve;
