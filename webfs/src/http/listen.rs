//! The listener and its connections: who owns them, how many there are, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{self, Instant};

use crate::server::Server;

use super::stall::Stalling;
use super::{Settings, Site, answer};

/// Most bytes of a request's head; the most headers are hyper's own bound, 100.
const MAX_HEAD: usize = 32 << 10;
/// Connections above [`Settings::max_connections`] that still get answers from `/.well-known/webfs/`:
/// a group must not fall apart because its clients are many.
const RESERVE: usize = 64;
/// How long to leave the listener alone when the system cannot accept (out of descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves clients, peers and directors until `stop` says true (or its sender is gone); then refuses new
/// connections, ends live reads at a whole event, and waits `grace` for the rest. Returns how many
/// connections had to be aborted.
///
/// # Cancel safety
/// Dropping the future aborts every connection at once.
pub async fn serve(
    listener: TcpListener,
    server: Server,
    settings: Settings,
    stop: watch::Receiver<bool>,
    grace: Duration,
) -> usize {
    let site = Arc::new(Site {
        server,
        identity: Default::default(),
        settings,
        frames: Default::default(),
        metrics: Default::default(),
        stop,
    });
    let mut connections = JoinSet::new();
    let mut not_before: Option<Instant> = None;
    loop {
        tokio::select! {
            () = site.stopped() => break,
            Some(ended) = connections.join_next() => note_end(&site, ended),
            accepted = accept(&listener, not_before) => {
                not_before = take(&site, &mut connections, accepted);
            }
        }
    }
    drop(listener);
    let _late = time::timeout(grace, async {
        while let Some(ended) = connections.join_next().await {
            note_end(&site, ended);
        }
    })
    .await;
    let aborted = connections.len();
    connections.shutdown().await;
    aborted
}

async fn accept(
    listener: &TcpListener,
    not_before: Option<Instant>,
) -> std::io::Result<(TcpStream, SocketAddr)> {
    if let Some(not_before) = not_before {
        time::sleep_until(not_before).await;
    }
    listener.accept().await
}

/// Starts a connection's task, or refuses it. Returns until when to leave the listener alone.
fn take(
    site: &Arc<Site>,
    connections: &mut JoinSet<()>,
    accepted: std::io::Result<(TcpStream, SocketAddr)>,
) -> Option<Instant> {
    match accepted {
        Ok((stream, peer)) => {
            let crowded = connections.len() >= site.settings.max_connections;
            if connections.len() < site.settings.max_connections + RESERVE {
                site.metrics.connections.add(1);
                connections.spawn(connection(site.clone(), stream, peer, crowded));
            } else {
                site.metrics.refused.add(1);
            }
            None
        }
        Err(error) => {
            tracing::warn!(%error, "no connection could be accepted");
            Some(Instant::now() + ACCEPT_PAUSE)
        }
    }
}

fn note_end(site: &Site, ended: Result<(), JoinError>) {
    site.metrics.connections.sub(1);
    if let Err(error) = ended {
        site.metrics.panics.add(1);
        tracing::error!(%error, "a connection's task ended badly");
    }
}

async fn connection(site: Arc<Site>, stream: TcpStream, peer: SocketAddr, crowded: bool) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let upgrade: Arc<Mutex<Option<OnUpgrade>>> = Arc::default();
    let service = service_fn(|request: Request<Incoming>| {
        let (site, upgrade) = (site.clone(), upgrade.clone());
        async move {
            let answered = answer::answer(&site, request, crowded).await;
            if let Some(on_upgrade) = answered.upgrade {
                *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_upgrade);
            }
            Ok::<_, Infallible>(answered.response)
        }
    });
    let io = TokioIo::new(Stalling::new(stream, site.settings.stall_time));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.settings.head_time)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = site.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
    let upgrade = upgrade
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(upgrade) = upgrade {
        serve_peer(&site, upgrade, peer).await;
    }
}

async fn serve_peer(
    site: &Site,
    upgrade: impl Future<Output = hyper::Result<hyper::upgrade::Upgraded>>,
    peer: SocketAddr,
) {
    match upgrade.await {
        // A peer's connection has no end of its own, so it cannot be waited for.
        Ok(io) => tokio::select! {
            () = site.server.serve_peer(TokioIo::new(io)) => {}
            () = site.stopped() => {}
        },
        Err(error) => tracing::debug!(%peer, %error, "a peer's upgrade failed"),
    }
}
