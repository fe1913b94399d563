//! `GET` and `HEAD` of a stream: catch-up and long-poll. Events are in [`super::live`].

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use hyper::{Request, StatusCode};
use tokio::time;

use crate::cursor::Position;
use crate::path::StreamPath;
use crate::server::{NotReady, ReadLimits, Refusal, Slice};

use super::ask::{self, Caller};
use super::body::ReplyBody;
use super::failure::Failure;
use super::query::{self, Live, ReadQuery};
use super::reply::{NO_CACHE, NO_STORE, Reply, TRUE};
use super::{Site, entries, etag, json, live, names};

/// What lies between two cursors stays what it is.
const CACHED: HeaderValue =
    HeaderValue::from_static("public, max-age=60, stale-while-revalidate=300");

/// Headers that change what a read gives: a cache must not give one reader's answer to another.
const VARIES: HeaderValue = HeaderValue::from_static("stream-consistency, webfs-director");

/// `GET`, in its three ways.
pub(crate) async fn get(
    site: &Arc<Site>,
    request: &Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    let query = query::read_query(request.uri().query())?;
    let caller = ask::caller(request.headers(), true)?;
    match query.live {
        None => {
            let known = ask::one(request.headers(), &IF_NONE_MATCH)?;
            catch_up(site, path, &query, &caller, known).await
        }
        Some(Live::LongPoll) => long_poll(site, path, &query, &caller).await,
        Some(Live::Sse) => live::events(site, path, query, caller).await,
    }
}

/// `HEAD`: what the stream is now.
pub(crate) async fn head(
    site: &Site,
    request: &Request<Incoming>,
    path: &StreamPath,
) -> Result<Reply, Failure> {
    let caller = ask::caller(request.headers(), true)?;
    let head = site.server.head(path, caller.min.as_ref()).await?;
    Ok(Reply::empty(StatusCode::OK)
        .with_text(CONTENT_TYPE, head.content_type.as_str())
        .with(CACHE_CONTROL, NO_STORE)
        .at(&head.next, &head.stable))
}

async fn catch_up(
    site: &Site,
    path: &StreamPath,
    query: &ReadQuery,
    caller: &Caller,
    if_none_match: Option<&str>,
) -> Result<Reply, Failure> {
    let limits = limits(caller);
    let min = caller.min.as_ref();
    let slice = site.server.read(path, &query.from, min, limits).await?;
    let told = told(site, path, &query.from, caller, slice).await?;
    let slice = &told.slice;
    let etag = etag::etag(&query.from, &slice.next);
    let known = etag
        .as_deref()
        .zip(if_none_match)
        .is_some_and(|(etag, known)| etag::matches(known, etag));
    let reply = match known {
        true => Reply::empty(StatusCode::NOT_MODIFIED).at(&slice.next, &slice.stable),
        false => whole(&told),
    };
    let reply = match &etag {
        Some(etag) => reply.with_text(ETAG, etag),
        None => reply,
    };
    // What comes after the tail tomorrow is asked for by the same URL, so the tail is not kept unasked.
    let cache = match (&etag, slice.up_to_date) {
        (None, _) => NO_STORE,
        (Some(_), true) => NO_CACHE,
        (Some(_), false) => CACHED,
    };
    Ok(reply.with(CACHE_CONTROL, cache).with(VARY, VARIES))
}

async fn long_poll(
    site: &Site,
    path: &StreamPath,
    query: &ReadQuery,
    caller: &Caller,
) -> Result<Reply, Failure> {
    let min = caller.min.as_ref();
    let mut follower = site.server.follow(path, &query.from, min).await?;
    let before = Position::After(follower.state().next);
    let waited = tokio::select! {
        waited = time::timeout(site.settings.long_poll, follower.next(limits(caller))) => waited.ok(),
        () = site.stopped() => None,
    };
    let cursor = HeaderValue::from(site.stream_cursor(query.cursor));
    let Some(slice) = waited.transpose()? else {
        let now = follower.state();
        if !now.up_to_date {
            return Err(Refusal::from(NotReady::Behind { cursor: now.next }).into());
        }
        return Ok(Reply::empty(StatusCode::NO_CONTENT)
            .at(&now.next, &now.stable)
            .with(names::UP_TO_DATE, TRUE)
            .with(names::STREAM_CURSOR, cursor)
            .with(CACHE_CONTROL, NO_STORE));
    };
    let told = told(site, path, &before, caller, slice).await?;
    Ok(whole(&told)
        .with(names::STREAM_CURSOR, cursor)
        .with(CACHE_CONTROL, CACHED)
        .with(VARY, VARIES))
}

/// How much one read returns.
pub(crate) fn limits(caller: &Caller) -> ReadLimits {
    ReadLimits {
        stable_only: caller.stable_only,
        ..ReadLimits::default()
    }
}

/// A slice, with what a director is told about it.
struct Told {
    slice: Slice,
    entries: Option<String>,
}

/// Shortens a director's slice until its unstable entries fit the header.
async fn told(
    site: &Site,
    path: &StreamPath,
    from: &Position,
    caller: &Caller,
    slice: Slice,
) -> Result<Told, Failure> {
    let mut slice = slice;
    if caller.director.is_none() {
        return Ok(Told {
            slice,
            entries: None,
        });
    }
    loop {
        match entries::header(&slice) {
            Ok(entries) => return Ok(Told { slice, entries }),
            Err(count) => {
                let limits = ReadLimits {
                    entries: count,
                    ..limits(caller)
                };
                // Fewer each time, so this ends.
                slice = site.server.read(path, from, None, limits).await?;
            }
        }
    }
}

/// 200 with all of a slice.
fn whole(told: &Told) -> Reply {
    let slice = &told.slice;
    let mut reply = Reply::new(StatusCode::OK, ReplyBody::whole(bytes(slice)))
        .with_text(CONTENT_TYPE, slice.content_type.as_str())
        .at(&slice.next, &slice.stable);
    if slice.up_to_date {
        reply = reply.with(names::UP_TO_DATE, TRUE);
    }
    if let Some(entries) = &told.entries {
        reply = reply.with_text(names::ENTRIES, entries);
    }
    reply
}

fn bytes(slice: &Slice) -> Bytes {
    let payloads = slice.entries.iter().map(|entry| &entry.payload[..]);
    match &slice.entries[..] {
        _ if slice.content_type.is_json() => json::array(payloads).into(),
        [one] => one.payload.clone(),
        _ => payloads.collect::<Vec<_>>().concat().into(),
    }
}
