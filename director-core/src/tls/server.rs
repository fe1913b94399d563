//! TLS towards clients.

use std::sync::{Arc, Mutex};

use rustls::server::ServerSessionMemoryCache;
use rustls::{ServerConfig, ServerConnection};

use super::marked::{Mark, Marked};
use super::{TlsSettings, Trouble, Unusable, pem, provider};

/// Sessions that are kept for clients of TLS 1.2 that take no tickets.
const SESSIONS: usize = 1024;

/// Tickets of TLS 1.3 that a client is sent on a connection. A client that only writes there closes it
/// without having read them, and its kernel then answers with a reset and throws away what it has not
/// sent yet: so there are none where it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tickets {
    /// On a first connection, for clients that use each but once.
    Few = 4,
    /// On a further one on which the client reads.
    One = 1,
    /// On any other.
    None = 0,
}

/// A service's side of TLS. Its tickets' key is made here and never leaves the process. They hold the
/// whole session, so that a client may present one as often as it likes, as most do.
#[derive(Debug)]
pub(crate) struct Server(ServerConfig);

impl Server {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn load(settings: &TlsSettings) -> Result<Self, Vec<Unusable>> {
        let TlsSettings {
            certificate,
            key,
            listen: _,
        } = settings;
        let wrong = |key, text| Unusable { key, text };
        let chain = pem::certificates(certificate).map_err(|text| wrong("certificate", text));
        let private = pem::key(key).map_err(|text| wrong("key", text));
        let (chain, private) = match (chain, private) {
            (Ok(chain), Ok(private)) => (chain, private),
            (chain, private) => {
                return Err(chain.err().into_iter().chain(private.err()).collect());
            }
        };
        // The errors are not ours, and grow.
        #[allow(clippy::wildcard_enum_match_arm)]
        let refused = |error: rustls::Error| {
            vec![match error {
                rustls::Error::InconsistentKeys(_) => wrong(
                    "key",
                    format!("found {key:?}, which is not the key of {certificate:?}"),
                ),
                rustls::Error::InvalidCertificate(why) => wrong(
                    "certificate",
                    format!("found {certificate:?}, whose first certificate is not right: {why}"),
                ),
                other => wrong(
                    "key",
                    format!("found {key:?}, which cannot be used: {other}"),
                ),
            }]
        };
        let provider = provider();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(refused)?;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(refused)?;
        Ok(Self(config))
    }

    /// One connection's side. What it gives the client to resume bears the mark `own`.
    ///
    /// # Errors
    /// A [`Trouble`].
    pub(crate) fn begin(
        &self,
        own: Mark,
        tickets: Tickets,
    ) -> std::io::Result<(ServerConnection, Arc<Marked>)> {
        let mut config = self.0.clone();
        let marked = Arc::new(Marked {
            tickets: config.ticketer,
            sessions: config.session_storage,
            own,
            presented: Mutex::default(),
        });
        config.ticketer = Arc::<Marked>::clone(&marked);
        config.session_storage = Arc::<Marked>::clone(&marked);
        config.send_tls13_tickets = tickets as usize;
        let connection = ServerConnection::new(Arc::new(config)).map_err(Trouble::error)?;
        Ok((connection, marked))
    }
}
