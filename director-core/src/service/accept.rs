//! One worker's part of a service: it accepts, and owns the sessions it began.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Service;
use crate::host::{SessionEnd, Stop, reset};

/// How long nothing is accepted after accepting failed: for want of descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(50);

/// The two ways of being told to end.
#[derive(Debug, Clone)]
pub(crate) struct Stops {
    /// Accept no more, let sessions end.
    pub(crate) soft: Stop,
    /// End them now.
    pub(crate) hard: Stop,
}

/// One listener of a service on one worker.
#[derive(Debug)]
pub(crate) struct Door<L> {
    pub(crate) listener: L,
    /// TLS comes first on what it accepts.
    pub(crate) tls_first: bool,
}

/// Accepts clients until told to stop; then waits for its sessions as long as `stop_grace` allows, and
/// ends what is left by reset. Returns how many those were. To be polled in a `LocalSet`.
///
/// # Cancel safety
/// Dropping the future resets every session at once.
pub(crate) async fn accept(door: Door<TcpListener>, service: Arc<Service>, stops: Stops) -> usize {
    let Door {
        listener,
        tls_first,
    } = door;
    let mut sessions: JoinSet<SessionEnd> = JoinSet::new();
    let mut paused_until = None;
    loop {
        let pause = async {
            match paused_until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stops.soft.stopping() => break,
            () = pause => paused_until = None,
            Some(ended) = sessions.join_next() => note_end(&service, ended),
            accepted = listener.accept(), if paused_until.is_none() => match accepted {
                Ok((client, peer)) => {
                    let Some(seat) = service.seats.take() else {
                        refuse(&service, client);
                        continue;
                    };
                    let (number, stop) = (seat.number, stops.soft.clone());
                    if tls_first {
                        let serve = service.instance.serve_secured(client, peer, number, stop);
                        sessions.spawn_local(seat.hold(serve));
                    } else {
                        let serve = service.instance.serve(client, peer, number, stop);
                        sessions.spawn_local(seat.hold(serve));
                    }
                }
                Err(error) => {
                    if pauses(&error) {
                        let name = service.settings.name.as_str();
                        tracing::warn!(service = name, %error, "accepting failed");
                        paused_until = Some(Instant::now() + PAUSE);
                    }
                }
            },
        }
    }
    drop(listener); // new clients are refused while the old ones finish
    let all_ended = async {
        while let Some(ended) = sessions.join_next().await {
            note_end(&service, ended);
        }
    };
    tokio::select! {
        () = all_ended => {}
        () = tokio::time::sleep(service.settings.stop_grace) => {}
        () = stops.hard.stopping() => {}
    }
    let left = sessions.len();
    sessions.shutdown().await;
    left
}

/// A client that left while it waited is its own matter; for want of descriptors a pause helps.
fn pauses(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// The host has logged how a session ended; only its own panic is left to tell.
fn note_end(service: &Service, ended: Result<SessionEnd, JoinError>) {
    if let Err(error) = ended {
        let name = service.settings.name.as_str();
        tracing::error!(service = name, %error, "a session's task failed");
        metrics::counter!("director_session_faults_total", "service" => name.to_owned())
            .increment(1);
    }
}

/// There are `max_sessions` already. The connection is reset, as is all that the director ends.
fn refuse(service: &Service, client: TcpStream) {
    reset(client);
    let name = service.settings.name.as_str();
    metrics::counter!("director_sessions_refused_total", "service" => name.to_owned()).increment(1);
    if service.seats.warning_is_due() {
        let (most, refused) = (service.settings.max_sessions, service.seats.refused());
        tracing::warn!(
            service = name,
            max_sessions = most,
            refused,
            "clients are refused: there are max_sessions"
        );
    }
}
