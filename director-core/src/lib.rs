//! The director: it chooses nodes, recovers requests, and knows no protocol.

#![deny(unsafe_code)]

mod chance;
pub mod cluster;
pub mod health;
