//! Certificates of an authority made for one test, and the peers that speak TLS with the host.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::DerefMut;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig,
    ServerConnection, SideData, StreamOwned, SupportedProtocolVersion,
};

use super::stage::SOON;
use crate::host::Tls;
use crate::tls::{NodeTlsSettings, Nodes, Server, TlsSettings, Trust};

/// An authority, in a directory of its own that is gone at the end.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

/// A certificate and its key.
pub(super) struct Identity {
    pub(super) certificate: rcgen::Certificate,
    pub(super) key: KeyPair,
}

pub(super) type Client = StreamOwned<ClientConnection, TcpStream>;
pub(super) type Node = StreamOwned<ServerConnection, TcpStream>;

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        // Another authority is not to be told apart by its signatures alone.
        let name = format!("authority {:x}", crate::chance::number());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let name = format!("director-tls-{:x}", crate::chance::number());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        Self { issuer, dir }
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn signs(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }

    /// The certificate of who is at 127.0.0.1.
    pub(super) fn identity(&self) -> Identity {
        self.signs(CertificateParams::new(["127.0.0.1".to_owned()]).unwrap())
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }

    /// The host's side towards clients.
    pub(super) fn server(&self) -> Arc<Server> {
        let identity = self.identity();
        let settings = TlsSettings {
            certificate: self.file("cert.pem", &identity.certificate.pem()),
            key: self.file("key.pem", &identity.key.serialize_pem()),
            listen: None,
        };
        Arc::new(Server::load(&settings).unwrap())
    }

    pub(super) fn towards_clients(&self) -> Tls {
        let server = Some(self.server());
        Tls {
            server,
            nodes: None,
        }
    }

    /// The host's side towards nodes.
    pub(super) fn towards_nodes(&self, first: bool) -> Tls {
        let ca = self.file("ca.pem", &self.issuer.pem());
        towards_nodes(Trust::Authorities(ca), None, first)
    }

    /// A client that trusts this authority and remembers its sessions.
    pub(super) fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// A node with this certificate that sends one ticket a connection.
    pub(super) fn node(
        identity: &Identity,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::clone(identity.certificate.der())];
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        // Each ticket is good for one connection: the server takes the session away with it.
        config.send_tls13_tickets = 1;
        Arc::new(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

pub(super) fn towards_nodes(trust: Trust, server_name: Option<&str>, first: bool) -> Tls {
    let settings = NodeTlsSettings {
        trust,
        server_name: server_name.map(str::to_owned),
        first,
    };
    Tls {
        server: None,
        nodes: Some(Arc::new(Nodes::load(&settings).unwrap())),
    }
}

/// Runs what blocks beside the test's worker.
pub(super) async fn beside<R: Send + 'static>(what: impl FnOnce() -> R + Send + 'static) -> R {
    let ran = tokio::task::spawn_blocking(what);
    tokio::time::timeout(SOON, ran)
        .await
        .expect("the peer hangs")
        .unwrap()
}

/// A socket for who blocks; nothing is waited for longer than [`SOON`].
pub(super) fn blocking(socket: tokio::net::TcpStream) -> TcpStream {
    let socket = socket.into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    socket
}

pub(super) fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    socket
}

/// As a client, up to the end of the handshake.
pub(super) fn client(config: &Arc<ClientConfig>, socket: TcpStream) -> std::io::Result<Client> {
    let name = "127.0.0.1".try_into().unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    shake(connection, socket)
}

/// As a node, up to the end of the handshake.
pub(super) fn node(config: &Arc<ServerConfig>, socket: TcpStream) -> std::io::Result<Node> {
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    shake(connection, socket)
}

fn shake<C, S: SideData>(
    mut connection: C,
    mut socket: TcpStream,
) -> std::io::Result<StreamOwned<C, TcpStream>>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
{
    while connection.is_handshaking() || connection.wants_write() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

pub(super) fn say(peer: &mut impl Write, text: &str) {
    peer.write_all(text.as_bytes()).unwrap();
    peer.flush().unwrap();
}

/// Reads a line, byte by byte, so that nothing behind it is taken.
pub(super) fn line(peer: &mut impl Read) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, peer)
        .read_line(&mut line)
        .unwrap();
    line
}

/// Says the end as TLS has it, and of the connection.
pub(super) fn close(mut peer: Client) {
    peer.conn.send_close_notify();
    peer.flush().unwrap();
    peer.sock.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    // Whatever still comes: not to answer it with a reset.
    let _end = peer.sock.read_to_end(&mut rest);
}
