//! The director: it chooses nodes, recovers requests, and knows no protocol.
//!
//! `unsafe` stands in the plugin host's glue and nowhere else: the workspace denies it, and the
//! glue's modules allow it one by one.

pub mod admin;
pub mod agent;
mod chance;
pub mod cluster;
pub mod config;
pub mod health;
pub mod host;
pub mod limits;
pub mod metrics;
pub mod plugins;
pub mod run;
pub mod service;
pub mod spawn;
pub mod tls;
