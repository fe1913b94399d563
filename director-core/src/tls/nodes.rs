//! TLS towards nodes.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::tickets::Tickets;
use super::{NodeTlsSettings, Trouble, Trust, Unusable, pem, provider};
use crate::cluster::Node;

/// A service's side of TLS towards its nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// Without a memory for sessions: each family has its own.
    config: ClientConfig,
    server_name: Option<ServerName<'static>>,
    /// TLS comes first on every connection that the host itself makes.
    pub(crate) first: bool,
}

/// Connections to one node that resume each other's TLS session: the first one, and what was made of
/// it for further ones. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Nodes {
    /// Reads the authorities.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn load(settings: &NodeTlsSettings) -> Result<Self, Vec<Unusable>> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("ca", error.to_string()))?;
        let builder = match &settings.trust {
            Trust::Authorities(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem::certificates(path).map_err(|text| wrong("ca", text))? {
                    roots.add(certificate).map_err(|error| {
                        wrong(
                            "ca",
                            format!("found {path:?}, which has a certificate of no use: {error}"),
                        )
                    })?;
                }
                builder.with_root_certificates(roots)
            }
            Trust::Anybody => {
                tracing::warn!(
                    "nodes' certificates are not checked (`verify = false`): whoever is on the way \
                     can read and change everything"
                );
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
        };
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::disabled();
        let server_name = settings.server_name.as_deref().map(named).transpose();
        Ok(Self {
            config,
            server_name: server_name.map_err(|text| wrong("server_name", text))?,
            first: settings.first,
        })
    }

    /// A new family of connections to a node.
    pub(crate) fn family(&self, node: &Node) -> Family {
        let mut config = self.config.clone();
        config.resumption = Resumption::store(Arc::new(Tickets::default()));
        Family {
            config: Arc::new(config),
            name: self.server_name.clone().unwrap_or_else(|| host_of(node)),
        }
    }
}

impl Family {
    /// One connection's side.
    ///
    /// # Errors
    /// A [`Trouble`].
    pub(crate) fn begin(&self) -> std::io::Result<ClientConnection> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(Trouble::error)
    }
}

fn wrong(key: &'static str, text: String) -> Vec<Unusable> {
    vec![Unusable { key, text }]
}

/// Reads a server's name: of DNS, or an IP address.
///
/// # Errors
/// What was found, and what would be right.
pub(crate) fn named(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned()).map_err(|_no_name| {
        format!("found {text:?}, right would be a host's name or an IP address")
    })
}

/// The node's host as the config has it; its IP address where that is none (a spawned node).
fn host_of(node: &Node) -> ServerName<'static> {
    let host = node.name.rsplit_once(':').map(|(host, _port)| host);
    let host = host.map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    host.and_then(|host| named(host).ok())
        .unwrap_or_else(|| ServerName::IpAddress(node.address.ip().into()))
}

/// Trusts whoever answers. That he has the key of the certificate he shows is still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
