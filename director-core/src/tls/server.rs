//! TLS towards clients.

use std::sync::Arc;

use rustls::server::ServerSessionMemoryCache;
use rustls::{ServerConfig, ServerConnection};

use super::{TlsSettings, Trouble, Unusable, pem, provider};

/// Sessions that are kept for clients of TLS 1.2 that take no tickets.
const SESSIONS: usize = 1024;

/// Tickets of TLS 1.3 that a first connection is sent, for clients that use each but once.
const TICKETS: usize = 4;

/// A service's side of TLS. Its tickets' key is made here and never leaves the process. They hold the
/// whole session, so that a client may present one as often as it likes, as most do.
#[derive(Debug)]
pub(crate) struct Server {
    first: Arc<ServerConfig>,
    /// For a connection that resumes another one's session. It is sent no tickets: a client that only
    /// writes there closes it without having read them, and its kernel then answers with a reset and
    /// throws away what it has not sent yet.
    further: Arc<ServerConfig>,
}

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
        config.send_tls13_tickets = TICKETS;
        let mut further = config.clone();
        further.send_tls13_tickets = 0;
        Ok(Self {
            first: Arc::new(config),
            further: Arc::new(further),
        })
    }

    /// One connection's side, a `further` one's or a first one's, whose tickets will carry `mark` (RFC 8446, section 4.6.1).
    ///
    /// # Errors
    /// A [`Trouble`].
    pub(crate) fn begin(&self, mark: &[u8], further: bool) -> std::io::Result<ServerConnection> {
        let config = if further { &self.further } else { &self.first };
        let mut connection = ServerConnection::new(Arc::clone(config)).map_err(Trouble::error)?;
        connection.set_resumption_data(mark);
        Ok(connection)
    }
}
