//! `PUT`, `POST` and `DELETE` of a stream.

use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use hyper::{HeaderMap, Request, StatusCode};
use tokio::time::{self, Instant};

use crate::path::StreamPath;
use crate::server::{Append, Appended, Create, NotReady, Refusal};
use crate::stream::ContentType;

use super::Site;
use super::ask::{self, Caller};
use super::body;
use super::failure::{BadHeader, Failure};
use super::json::{self, Messages};
use super::names;
use super::reply::Reply;

/// How long a create or delete waits for what its `Stream-Min-Offset` covers.
const SEE: Duration = Duration::from_secs(1);
/// Between two looks; a look itself takes 200 ms while there are peers to wait for.
const SEE_AGAIN: Duration = Duration::from_millis(50);

/// `PUT`: 201 when the stream is new, else 200.
pub(crate) async fn create(
    site: &Site,
    request: Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    let (parts, incoming) = request.into_parts();
    let caller = ask::caller(&parts.headers, false)?;
    let ask = ask::write(&parts.headers)?;
    ask::refuse_unoffered(&parts.headers, &ask)?;
    let body = body::read(incoming, site.settings.max_body).await?;
    let Messages { payload, count } = messages(ask.content_type.as_ref(), body)?;
    let create = Create {
        content_type: ask.content_type,
        payload,
        count,
        request: ask.request,
    };
    let released = see(site, path, &caller).await?;
    let created = site.server.create(path, create).await?;
    let status = match created.new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let reply = Reply::empty(status)
        .with_text(CONTENT_TYPE, created.content_type.as_str())
        .at(&created.next, &created.stable);
    let reply = mark_released(reply, released);
    Ok(match created.new {
        true => reply.with_text(LOCATION, &location(&parts.headers, parts.uri.path())),
        false => reply,
    })
}

/// `POST`: 204; with a producer 200 when the entry is new.
pub(crate) async fn append(
    site: &Site,
    request: Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    let (parts, incoming) = request.into_parts();
    let caller = ask::caller(&parts.headers, false)?;
    let ask = ask::write(&parts.headers)?;
    let body = body::read(incoming, site.settings.max_body).await?;
    if ask.close {
        site.server.head(path, None).await?;
        return Err(Failure::NotOffered("closing a stream (stream-closed)"));
    }
    if body.is_empty() {
        return Err(Failure::Empty);
    }
    if ask.content_type.is_none() {
        return Err(BadHeader::NoContentType.into());
    }
    let Messages { payload, count } = messages(ask.content_type.as_ref(), body)?;
    if payload.is_empty() {
        return Err(Failure::Empty);
    }
    let with_producer = ask.producer.is_some();
    let append = Append {
        payload,
        count,
        content_type: ask.content_type,
        producer: ask.producer,
        stream_seq: ask.stream_seq,
        request: ask.request,
        was: ask.was,
        min: caller.min,
    };
    let appended = site.server.append(path, append).await?;
    Ok(appended_reply(&appended, with_producer))
}

fn appended_reply(appended: &Appended, with_producer: bool) -> Reply {
    let status = match appended.new && with_producer {
        true => StatusCode::OK,
        false => StatusCode::NO_CONTENT,
    };
    let reply = Reply::empty(status)
        .at(&appended.next, &appended.stable)
        .with_text(names::ENTRY, &appended.entry.to_string());
    let reply = match appended.producer {
        Some((epoch, seq)) => reply
            .with(names::PRODUCER_EPOCH, HeaderValue::from(epoch))
            .with(names::PRODUCER_SEQ, HeaderValue::from(seq)),
        None => reply,
    };
    mark_released(reply, appended.released)
}

/// `DELETE`: 204.
pub(crate) async fn delete(
    site: &Site,
    request: &Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    let caller = ask::caller(request.headers(), false)?;
    let ask = ask::write(request.headers())?;
    let released = see(site, path, &caller).await?;
    site.server.delete(path, ask.request).await?;
    Ok(mark_released(
        Reply::empty(StatusCode::NO_CONTENT),
        released,
    ))
}

/// Has the server fetch what the caller had seen, the stream itself perhaps, before it is made or
/// deleted. True when not all of it came in time.
async fn see(site: &Site, path: &StreamPath, caller: &Caller) -> Result<bool, Failure> {
    let Some(min) = &caller.min else {
        return Ok(false);
    };
    let ends = Instant::now() + SEE;
    loop {
        match site.server.head(path, Some(min)).await {
            // What the peers had of it has come, or it is not there: what comes next says or mends that.
            Ok(_) | Err(Refusal::UnknownStream(_)) => return Ok(false),
            Err(Refusal::NotReady(NotReady::Behind { .. })) if Instant::now() < ends => {
                time::sleep(SEE_AGAIN).await;
            }
            Err(Refusal::NotReady(NotReady::Behind { .. })) => return Ok(true),
            Err(refusal) => return Err(refusal.into()),
        }
    }
}

/// `WebFS-Released: 1` for a write that did not wait for all that its writer had seen.
fn mark_released(reply: Reply, released: bool) -> Reply {
    match released {
        true => reply.with(names::RELEASED, HeaderValue::from(1)),
        false => reply,
    }
}

/// A body as an entry keeps it.
fn messages(content_type: Option<&ContentType>, body: Bytes) -> Result<Messages, Failure> {
    if body.is_empty() {
        return Ok(Messages {
            payload: body,
            count: 0,
        });
    }
    match content_type {
        Some(content_type) if content_type.is_json() => Ok(json::flatten(&body)?),
        Some(_) | None => Ok(Messages {
            payload: body,
            count: 1,
        }),
    }
}

/// The stream's URL as the client named it.
fn location(headers: &HeaderMap, path: &str) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match host {
        Some(host) => format!("http://{host}{path}"),
        // HTTP/1.0: a path alone is a URL too, relative to the one asked.
        None => path.to_owned(),
    }
}
