//! The host against a plugin made here, over real sockets.
//!
//! The plugin ([`plugin`]) speaks the raw boundary as one in C would; each test says in Rust what its
//! tasks do. Nodes and clients are sockets of the test's own.

mod confirms;
mod cuts;
mod ends;
mod further;
mod loader;
mod nodes;
mod plugin;
mod relays;
mod requests;
mod spools;
pub(super) mod stage;
mod streams;
mod tls;
mod tls_nodes;
mod tls_peers;
