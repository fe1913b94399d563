//! The admin listener: `/metrics` and `/status`, over HTTP, for this machine alone.
//!
//! A unix socket that only its owner can open, or a loopback address. It tells; at the socket it is told which
//! nodes to drain, too. A loopback address can be asked by any user of the machine, and by any page that a
//! user's browser shows, so nothing is changed there.

mod ask;
mod drain;
mod listen;
mod status;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

pub use ask::{AskError, ask, order};
pub use listen::{AdminError, AdminListener};

use crate::host::Stop;
use crate::metrics::Metrics;
use crate::service::Service;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// The largest head, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// How long nothing is accepted after accepting failed.
const PAUSE: Duration = Duration::from_millis(50);

/// What the listener tells of.
#[derive(Debug)]
pub struct Told {
    /// The services.
    pub services: Vec<Arc<Service>>,
    /// What was gathered.
    pub metrics: Metrics,
    /// Says whether the director is stopping.
    pub stop: Stop,
}

/// Answers until dropped. Its connections end with it.
pub async fn serve(listener: AdminListener, told: Arc<Told>) {
    let mut connections = JoinSet::new();
    let mut paused = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAUSE), if paused => paused = false,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an admin connection's task failed");
                }
            }
            accepted = listener.accept(), if !paused && connections.len() < CONNECTIONS => {
                match accepted {
                    Ok(stream) => {
                        let owner = matches!(stream, listen::Stream::Unix(_));
                        connections.spawn(connection(stream, Arc::clone(&told), owner));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accepting at the admin listener failed");
                        paused = true;
                    }
                }
            }
        }
    }
}

/// `owner`: whoever asks is the director's owner, so that orders are obeyed.
async fn connection<S>(stream: S, told: Arc<Told>, owner: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = hyper::service::service_fn(|request| {
        let told = Arc::clone(&told);
        async move { Ok::<_, Infallible>(answer(request, &told, owner).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an admin connection failed");
    }
}

async fn answer(request: Request<Incoming>, told: &Told, owner: bool) -> Response<Full<Bytes>> {
    if request.method() == Method::POST
        && let Some(drains) = match request.uri().path() {
            "/drain" => Some(true),
            "/undrain" => Some(false),
            _other => None,
        }
    {
        if !owner {
            let why = "nothing is changed from a TCP address: use the unix socket\n";
            return text(StatusCode::FORBIDDEN, why);
        }
        let body = Limited::new(request.into_body(), drain::LONGEST).collect();
        return match tokio::time::timeout(HEAD, body).await {
            Ok(Ok(body)) => {
                let (status, said) = drain::obey(told, &body.to_bytes(), drains);
                text(status, said)
            }
            Ok(Err(error)) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
            Err(_late) => text(StatusCode::REQUEST_TIMEOUT, "the order did not come\n"),
        };
    }
    told_to(&request, told)
}

fn told_to<B>(request: &Request<B>, told: &Told) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is answered here, and POST to /drain and /undrain\n",
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = text(StatusCode::OK, told.metrics.render(&told.services));
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        "/status" => match serde_json::to_vec(&status::of(told)) {
            Ok(status) => {
                let mut response = text(StatusCode::OK, status);
                let kind = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _other => text(
            StatusCode::NOT_FOUND,
            "there are /metrics and /status here\n",
        ),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
