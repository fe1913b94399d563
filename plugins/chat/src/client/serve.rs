//! One client's connection: its requests, one after another.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use director_sdk::{Client, Director, Failure, Kind};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, StatusCode};

use crate::client::live_body::{Begun, LiveBody};
use crate::client::patience::Patient;
use crate::client::reply::{self, Reply};
use crate::cursor::Cursor;
use crate::memory::write::Write;
use crate::node::link::Plain;
use crate::path::StreamPath;
use crate::requests::Call;
use crate::requests::append::{Append, kept};
use crate::requests::delete::Delete;
use crate::requests::forward::Forward;
use crate::requests::long_poll::LongPoll;
use crate::requests::open::Open;
use crate::requests::query::{Mode, Query};
use crate::requests::read::Read;
use crate::shared::{Said, Shared, forwarded};

/// Longest head of a request, in bytes; longer is 431. Nodes take 32 KiB, with what is added here.
const MAX_HEAD: usize = 28 * 1024;
/// Most headers of a request; more is 431. Nodes take 64.
const MAX_HEADERS: usize = 56;
/// What only a director asks a node for.
const NOT_FOR_CLIENTS: [&str; 2] = ["/.well-known/webfs/watch", "/.well-known/webfs/peer"];

/// Serves a client from its first byte to its last.
///
/// # Errors
/// When the client broke off, or broke the protocol (it was answered then).
pub async fn serve(
    shared: &Arc<Shared>,
    client: Client,
    director: Director,
) -> Result<(), Failure> {
    let timer = director.clone();
    let stopping = director.clone();
    let service = service_fn(|request| {
        let (shared, director) = (Arc::clone(shared), director.clone());
        async move { Ok::<_, Infallible>(answer(&shared, &director, request).await) }
    });
    let patience = Duration::from_secs(shared.options.client_timeout);
    let stream = Patient::new(client.stream, timer.clone(), patience);
    let connection = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    let ended = {
        let stop = pin!(stopping.stopping());
        match select(connection.as_mut(), stop).await {
            Either::Left((ended, _)) => Some(ended),
            Either::Right(((), _)) => None,
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Whatever broke here is the client's: nodes' failures never get this far. That it left in the middle
    // of an answer is the usual end of a live read.
    match ended {
        Err(error) if error.is_parse() || error.is_timeout() || is_late(&error) => {
            Err(Failure::from_error(&error, Kind::ClientGone).by_client())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether the client took nothing for too long.
fn is_late(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::TimedOut)
}

async fn answer(shared: &Arc<Shared>, director: &Director, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let Some(target) = head.uri.path_and_query() else {
        return reply::error(StatusCode::BAD_REQUEST, "the request names no path");
    };
    let headers = forwarded(&head.headers);
    let stream = match StreamPath::of_url(target.path()) {
        None => None,
        Some(Ok(path)) => Some(path),
        Some(Err(error)) => return reply::error(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let room = stream.map(|path| shared.memory.room(&path, director.now()));
    let own = match brought(&head.headers) {
        Ok(own) => own,
        Err(text) => return reply::error(StatusCode::BAD_REQUEST, &text),
    };
    let target = target.as_str().to_owned();
    let (Some(room), true) = (room, may_change(&head.method)) else {
        return forward(shared, director, head.method, target, headers).await;
    };
    let query = Query::of(&target);
    let far = |cursor: &Cursor| !cursor.is_plausible();
    if own.as_ref().is_some_and(far) || query.cursor().as_ref().is_some_and(far) {
        return reply::error(StatusCode::BAD_REQUEST, "the offset lies beyond any tail");
    }
    // What a client brings it has seen somewhere, perhaps through another director.
    for cursor in [&own, &query.cursor()].into_iter().flatten() {
        shared.memory.offered(&room, cursor);
    }
    let writes = head.method == Method::POST;
    let min = shared.memory.min(&room, writes, own.as_ref());
    let call = Call {
        shared: Arc::clone(shared),
        asked: asked(min.as_ref(), query.cursor()),
        min,
        room,
        target,
        headers,
    };
    match head.method {
        Method::GET => match query.mode() {
            Mode::CatchUp => read(call, query, director).await,
            Mode::LongPoll => long_poll(call, query, director).await,
            Mode::Live => live(call, query, director).await,
        },
        Method::DELETE => delete(call, director).await,
        Method::HEAD => head_of(call, director).await,
        method => {
            let body = match collect(shared, director, &head.headers, body).await {
                Ok(body) => body,
                Err(reply) => return reply,
            };
            match method {
                Method::PUT => open(call, body, director).await,
                _ => append(call, body, director).await,
            }
        }
    }
}

/// A target without its query.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// Whether a stream's path takes this method by a request of its own.
fn may_change(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::DELETE,
    ]
    .contains(method)
}

/// The client's own `Stream-Min-Offset`.
fn brought(headers: &HeaderMap) -> Result<Option<Cursor>, String> {
    let Some(value) = headers.get("stream-min-offset") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map(Some)
        .map_err(|error| format!("Stream-Min-Offset: {error}"))
}

/// What an answer may merely echo: the offset asked from, and `Stream-Min-Offset`.
fn asked(min: Option<&Cursor>, offset: Option<Cursor>) -> Option<Cursor> {
    let Some(mut asked) = offset else {
        return min.cloned();
    };
    if let Some(min) = min.filter(|min| min.generation == asked.generation) {
        asked.cut.merge(&min.cut);
    }
    Some(asked)
}

/// A client's body, whole.
async fn collect(
    shared: &Shared,
    director: &Director,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Bytes, Reply> {
    let limit = shared.options.max_body;
    let too_large = || {
        let text = format!("a request's body has at most {limit} bytes here");
        last(reply::error(StatusCode::PAYLOAD_TOO_LARGE, &text))
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let time = Duration::from_secs(shared.options.client_timeout);
    match director
        .timeout(time, Limited::new(body, limit).collect())
        .await
    {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let text = format!("the request's body broke off: {error}");
            Err(last(reply::error(StatusCode::BAD_REQUEST, &text)))
        }
        Err(_) => Err(last(reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "the request's body did not come in time",
        ))),
    }
}

/// The last answer on a connection: the rest of the request's body is not read.
fn last(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// Has a request performed; the field with what nodes said is `said`.
macro_rules! perform {
    ($request:expr, $director:expr) => {{
        let (mut request, director) = ($request, $director);
        let mut chain = director.chain(Plain);
        match director.direct(&mut chain, &mut request).await {
            Ok(answer) => reply::of(answer),
            Err(exception) => reply::gave_up(&exception, request.said),
        }
    }};
}

async fn read(call: Call, query: Query, director: &Director) -> Reply {
    let said = Said::default();
    perform!(Read { call, query, said }, director)
}

async fn long_poll(call: Call, query: Query, director: &Director) -> Reply {
    let request = LongPoll {
        call,
        query,
        at: None,
        said: Said::default(),
    };
    perform!(request, director)
}

async fn live(call: Call, query: Query, director: &Director) -> Reply {
    let mut body = LiveBody::new(call, query, director.clone());
    match body.begin().await {
        Begun::Events(headers) => reply::live(headers, body),
        Begun::Refused(answer) => reply::of(answer),
        Begun::GaveUp(exception, said) => reply::gave_up(&exception, said),
    }
}

async fn open(call: Call, body: Bytes, director: &Director) -> Reply {
    let request = call.shared.request(call.shared.memory.number());
    let request = Open {
        call,
        body,
        request,
        said: Said::to_a_change(),
    };
    perform!(request, director)
}

async fn delete(call: Call, director: &Director) -> Reply {
    let request = call.shared.request(call.shared.memory.number());
    let request = Delete {
        call,
        request,
        said: Said::to_a_change(),
    };
    perform!(request, director)
}

async fn append(call: Call, body: Bytes, director: &Director) -> Reply {
    let memory = &call.shared.memory;
    if !memory.has_room(body.len()) {
        return reply::outbox_full();
    }
    let number = memory.number();
    let write = Arc::new(Write {
        number,
        // Sent again, it needs no query: kept, that might be long.
        target: path(&call.target).to_owned(),
        request: call.shared.request(number),
        min: call.min.clone(),
        headers: kept(&call.headers),
    });
    let producer = call.headers.get("producer-id");
    let producer = producer.and_then(|id| id.to_str().ok());
    let _turn = match producer {
        Some(producer) => Some(memory.turn(&call.room, producer).await),
        None => None,
    };
    let request = Append {
        call: call.clone(),
        write,
        body,
        anew: false,
        said: Said::to_a_change(),
    };
    perform!(request, director)
}

async fn head_of(call: Call, director: &Director) -> Reply {
    let request = Forward {
        shared: call.shared,
        about: Some((call.room, call.min)),
        method: Method::HEAD,
        target: call.target,
        headers: call.headers,
        said: Said::default(),
    };
    perform!(request, director)
}

/// What is no stream's, or changes none.
async fn forward(
    shared: &Arc<Shared>,
    director: &Director,
    method: Method,
    target: String,
    headers: HeaderMap,
) -> Reply {
    if NOT_FOR_CLIENTS.contains(&path(&target)) {
        return reply::error(StatusCode::NOT_FOUND, "this is for servers and directors");
    }
    if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&method) {
        let mut reply = reply::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "streams take GET, HEAD, POST, PUT and DELETE, other paths GET and HEAD",
        );
        let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS");
        reply.headers_mut().insert(ALLOW, allowed);
        return reply;
    }
    let request = Forward {
        shared: Arc::clone(shared),
        about: None,
        method,
        target,
        headers,
        said: Said::default(),
    };
    perform!(request, director)
}
