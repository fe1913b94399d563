//! `PUT`, `POST` and `DELETE` of a stream.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use hyper::{HeaderMap, Request, StatusCode};

use crate::path::StreamPath;
use crate::server::{Append, Appended, Create};
use crate::stream::ContentType;

use super::Site;
use super::ask;
use super::body;
use super::failure::{BadHeader, Failure};
use super::json::{self, Messages};
use super::names;
use super::reply::Reply;

/// `PUT`: 201 when the stream is new, else 200.
pub(crate) async fn create(
    site: &Site,
    request: Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    let (parts, incoming) = request.into_parts();
    ask::caller(&parts.headers, false)?;
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
    let created = site.server.create(path, create).await?;
    let status = match created.new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let reply = Reply::empty(status)
        .with_text(CONTENT_TYPE, created.content_type.as_str())
        .at(&created.next, &created.stable);
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
    let mut reply = Reply::empty(status)
        .at(&appended.next, &appended.stable)
        .with_text(names::ENTRY, &appended.entry.to_string());
    if let Some((epoch, seq)) = appended.producer {
        reply = reply
            .with(names::PRODUCER_EPOCH, HeaderValue::from(epoch))
            .with(names::PRODUCER_SEQ, HeaderValue::from(seq));
    }
    if appended.released {
        reply = reply.with(names::RELEASED, HeaderValue::from(1));
    }
    reply
}

/// `DELETE`: 204.
pub(crate) async fn delete(
    site: &Site,
    request: &Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    ask::caller(request.headers(), false)?;
    let ask = ask::write(request.headers())?;
    site.server.delete(path, ask.request).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
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
