//! HTTP towards clients.

pub mod live_body;
pub mod patience;
pub mod reply;
pub mod serve;
