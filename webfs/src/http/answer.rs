//! One request's way to its handler, and its answer's way back.

use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response};

use super::body::ReplyBody;
use super::failure::Failure;
use super::reply::{self, Reply};
use super::route::{self, Route};
use super::{Site, read, wellknown, write};

const STREAM_METHODS: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";
const GET_METHODS: &str = "GET, HEAD, OPTIONS";

/// An answer, and what becomes of the connection after it.
pub(crate) struct Answered {
    /// The answer.
    pub(crate) response: Response<ReplyBody>,
    /// The connection turns into a peer's.
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// Answers one request. `crowded`: only the group's own paths are served.
pub(crate) async fn answer(
    site: &std::sync::Arc<Site>,
    request: Request<Incoming>,
    crowded: bool,
) -> Answered {
    let method = request.method().clone();
    let mut upgrade = None;
    let reply = match dispatch(site, request, crowded, &mut upgrade).await {
        Ok(reply) => reply,
        Err(failure) => failed(&method, &failure),
    };
    let response = reply.finish(site.identity());
    site.metrics.answered(&method, response.status());
    Answered { response, upgrade }
}

async fn dispatch(
    site: &std::sync::Arc<Site>,
    request: Request<Incoming>,
    crowded: bool,
    upgrade: &mut Option<OnUpgrade>,
) -> Result<Reply, Failure> {
    let route = route::route(request.uri().path())?;
    let may_pass = match route {
        Route::Health | Route::Watch | Route::Group | Route::Peer | Route::Metrics => true,
        Route::Page | Route::Stream(_) => false,
    };
    if crowded && !may_pass {
        return Err(Failure::Crowded);
    }
    let allowed = match route {
        Route::Stream(_) => STREAM_METHODS,
        Route::Page
        | Route::Metrics
        | Route::Health
        | Route::Watch
        | Route::Group
        | Route::Peer => GET_METHODS,
    };
    let method = request.method();
    if method == Method::OPTIONS {
        return Ok(reply::preflight(allowed));
    }
    let reads = method == Method::GET || method == Method::HEAD;
    if !reads && !matches!(route, Route::Stream(_)) {
        return Err(Failure::Method { allowed });
    }
    match route {
        Route::Page => Ok(wellknown::page()),
        Route::Metrics => Ok(wellknown::metrics(site)),
        Route::Health => wellknown::health(site),
        Route::Watch => wellknown::watch(site, request.headers()),
        Route::Group => Ok(wellknown::group(site)),
        Route::Peer => {
            let (reply, on_upgrade) = wellknown::peer(request)?;
            *upgrade = Some(on_upgrade);
            Ok(reply)
        }
        Route::Stream(path) => {
            let method = method.clone();
            let mut reply = match stream(site, request, &path).await {
                Ok(reply) => reply,
                Err(failure) => failed(&method, &failure),
            };
            // Errors say it too, as far as there is such a stream.
            let told = reply.headers().contains_key(super::names::STABLE_OFFSET);
            if !told && let Some(stable) = site.server.stable(&path) {
                reply = reply.with_text(super::names::STABLE_OFFSET, &stable.to_string());
            }
            Ok(reply)
        }
    }
}

fn failed(method: &Method, failure: &Failure) -> Reply {
    tracing::debug!(%method, %failure, "refused");
    Reply::failure(failure)
}

async fn stream(
    site: &std::sync::Arc<Site>,
    request: Request<Incoming>,
    path: &crate::path::StreamPath,
) -> Result<Reply, Failure> {
    match *request.method() {
        Method::GET => read::get(site, &request, path).await,
        Method::HEAD => read::head(site, &request, path).await,
        Method::PUT => write::create(site, request, path).await,
        Method::POST => write::append(site, request, path).await,
        Method::DELETE => write::delete(site, &request, path).await,
        _ => Err(Failure::Method {
            allowed: STREAM_METHODS,
        }),
    }
}
