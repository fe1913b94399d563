//! TLS by rustls: what a service's settings become, and what of a session is kept to resume it.
//!
//! Nothing here reads or writes a socket; `host` does, with the connections that are made here.

mod marked;
mod nodes;
mod pem;
mod server;
mod tickets;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use marked::{Mark, Marked};
pub(crate) use nodes::{Family, Nodes, named};
pub(crate) use server::{Server, Tickets};

/// TLS towards clients, as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, PEM.
    pub key: PathBuf,
    /// A second listener, on whose connections TLS comes first.
    pub listen: Option<SocketAddr>,
}

/// TLS towards nodes, as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTlsSettings {
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// The name that the nodes' certificates must have; `None`: each node's own host.
    pub server_name: Option<String>,
    /// TLS comes first on every link, probe and watch.
    pub first: bool,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities in this file, PEM.
    Authorities(PathBuf),
    /// Anybody's: whoever is on the way can read and change everything.
    Anybody,
}

/// Settings that cannot be used: which, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// The key in its table.
    pub(crate) key: &'static str,
    /// What was found, and what would be right.
    pub(crate) text: String,
}

/// What went wrong in TLS, in words. It travels in an [`std::io::Error`], which has no kind for it.
#[derive(Debug)]
pub(crate) struct Trouble(pub(crate) String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS: {}", self.0)
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// An error that says so.
    pub(crate) fn error(text: impl fmt::Display) -> std::io::Error {
        std::io::Error::other(Self(text.to_string()))
    }

    /// Whether an error is one of TLS.
    pub(crate) fn is_in(error: &std::io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Where all of rustls' algorithms come from.
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
