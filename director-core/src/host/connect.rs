//! Connections to nodes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use director_recovery::{Exception, Kind};
use tokio::net::TcpStream;

use crate::cluster::{Cluster, ConnectFailure, Node, Seen};

/// A connection under way.
pub(super) type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

/// Connects, and tells the cluster how that went.
///
/// # Errors
///
/// That of connecting; `TimedOut` after `within`.
pub(super) async fn connect(
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    within: Duration,
) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let connected = connect_to(node.address, within).await;
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
pub(super) async fn connect_to(address: SocketAddr, within: Duration) -> io::Result<TcpStream> {
    let connecting = tokio::time::timeout(within, TcpStream::connect(address));
    let stream = connecting.await.unwrap_or_else(|_elapsed| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {within:?}"),
        ))
    })?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A node that was not reached.
pub(super) fn unreachable(node: &Node, error: &io::Error) -> Exception {
    Exception::new(
        Kind::Unreachable,
        Some(node.id),
        format!("{}: {error}", node.address),
    )
}
