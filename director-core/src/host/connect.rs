//! Connections to nodes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use director_recovery::{Exception, Kind};
use tokio::net::TcpStream;

use super::further::prepare;
use super::secure::Tls;
use super::transport::Transport;
use crate::cluster::{Cluster, ConnectFailure, Node, Seen};

/// A connection under way.
pub(super) type Connecting = Pin<Box<dyn Future<Output = io::Result<Transport>>>>;

/// Connects, and tells the cluster how that went.
///
/// # Errors
///
/// That of connecting; `TimedOut` after `within`.
pub(super) async fn connect(
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    tls: Tls,
    within: Duration,
    keepalive: Duration,
) -> io::Result<Transport> {
    let begun = Instant::now();
    let connected = connect_to(&node, &tls, within, keepalive).await;
    let seen = match &connected {
        Ok(_) => Seen::Connected {
            took: begun.elapsed(),
        },
        Err(error) => Seen::ConnectFailed {
            kind: ConnectFailure::from(error),
        },
    };
    cluster.observe(node.id, seen);
    connected
}

/// Connects, for a probe: what comes of it is the prober's to tell.
/// Where TLS comes first, the handshake is part of it.
pub(super) async fn connect_to(
    node: &Node,
    tls: &Tls,
    within: Duration,
    keepalive: Duration,
) -> io::Result<Transport> {
    let connecting = async {
        let socket = TcpStream::connect(node.address).await?;
        prepare(&socket, keepalive)?;
        tls.first(socket, node).await
    };
    let connecting = tokio::time::timeout(within, connecting);
    connecting.await.unwrap_or_else(|_elapsed| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {within:?}"),
        ))
    })
}

/// A node that was not reached.
pub(super) fn unreachable(node: &Node, error: &io::Error) -> Exception {
    Exception::new(
        Kind::Unreachable,
        Some(node.id),
        format!("{}: {error}", node.address),
    )
}
