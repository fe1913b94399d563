//! Data connections, both ends of them: the client's and the node's are made apart, each in its own
//! mode and with its own protection, and the director stands between.

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod commands;
pub(crate) mod node;

pub(crate) use client::{ClientData, ClientEnd};
pub(crate) use node::NodeEnd;
