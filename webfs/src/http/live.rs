//! Live reads as events: `live=sse`.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::time::{self, Instant};

use crate::cursor::Cursor;
use crate::path::StreamPath;
use crate::server::{Follower, Following, ReadLimits, Slice};

use super::ask::Caller;
use super::body::{Out, ReplyBody};
use super::entries::MAX_ENTRIES;
use super::failure::Failure;
use super::query::ReadQuery;
use super::reply::{NO_CACHE, Reply};
use super::sse::{self, Control, Encoding, ForDirector};
use super::{Site, names, read};

/// When a read that has told nothing yet looks whether it has caught up: soon, and after each look in
/// twice the time, for what it waits for may be on a server that is down.
const CATCHING_UP: Duration = Duration::from_millis(20);
const CATCHING_UP_MAX: Duration = Duration::from_secs(1);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Answers with events from the query's position on.
pub(crate) async fn events(
    site: &Arc<Site>,
    path: &StreamPath,
    query: ReadQuery,
    caller: Caller,
) -> Result<Reply, Failure> {
    let min = caller.min.as_ref();
    let head = site.server.head(path, None).await?;
    let follower = site.server.follow(path, &query.from, min).await?;
    let state = follower.state();
    let is_director = caller.director.is_some();
    let mut reader = Reader {
        site: site.clone(),
        path: path.clone(),
        follower,
        echoed: query.cursor,
        caller,
        told: None,
        quiet_since: Instant::now(),
    };
    let live = site.metrics.live_reader();
    let body = ReplyBody::live(move |out| async move {
        reader.run(&out).await;
        drop(live);
    });
    let reply = Reply::new(StatusCode::OK, body)
        .with(CONTENT_TYPE, EVENT_STREAM)
        .with(CACHE_CONTROL, NO_CACHE)
        .at(&state.next, &state.stable);
    // Places of entries count messages or bytes; a director has to know which.
    let reply = match is_director {
        true if head.content_type.is_json() => reply.with(names::TYPE, JSON),
        true => reply.with_text(names::TYPE, head.content_type.essence()),
        false => reply,
    };
    Ok(match Encoding::of(&head.content_type) {
        Encoding::Base64 => reply.with(names::SSE_ENCODING, HeaderValue::from_static("base64")),
        Encoding::Json | Encoding::Text => reply,
    })
}

/// One reader's connection.
struct Reader {
    site: Arc<Site>,
    path: StreamPath,
    follower: Follower,
    /// The `cursor` of its request.
    echoed: Option<u64>,
    caller: Caller,
    /// What its last control event said.
    told: Option<(Cursor, bool)>,
    /// When something was written last.
    quiet_since: Instant,
}

impl Reader {
    /// Writes events until the stream is deleted, the server stops, or a plain client's time is over.
    /// A data event and its control event are one frame, so it ends at a whole one.
    async fn run(&mut self, out: &Out) {
        let site = self.site.clone();
        let ends = Instant::now() + site.settings.sse_time;
        let is_director = self.caller.director.is_some();
        let over = async move {
            match is_director {
                true => pending().await,
                false => time::sleep_until(ends).await,
            }
        };
        tokio::select! {
            () = over => {}
            () = site.stopped() => {}
            () = self.events(out) => {}
        }
    }

    async fn events(&mut self, out: &Out) {
        let limits = self.limits();
        let mut catching_up = CATCHING_UP;
        loop {
            let patience = match self.told {
                None => catching_up,
                Some(_) => self.site.settings.quiet_time,
            };
            catching_up = (catching_up * 2).min(CATCHING_UP_MAX);
            // Polled in this order: what is there comes before the word that nothing is.
            let nothing_yet = self.told.is_none() && self.follower.state().up_to_date;
            let next = tokio::select! {
                biased;
                next = self.follower.next(limits) => Some(next),
                () = std::future::ready(()), if nothing_yet => None,
                () = time::sleep(patience) => None,
            };
            match next {
                Some(Ok(slice)) => {
                    let frame = self.frame(&slice);
                    self.told = Some((slice.next, slice.up_to_date));
                    out.send(frame).await;
                    self.quiet_since = Instant::now();
                }
                Some(Err(refusal)) => {
                    tracing::debug!(path = %self.path, %refusal, "a live read ended");
                    return;
                }
                None => {
                    if let Some(bytes) = self.nothing_new() {
                        out.send(bytes).await;
                        self.quiet_since = Instant::now();
                    }
                }
            }
        }
    }

    fn limits(&self) -> ReadLimits {
        let limits = read::limits(&self.caller);
        match self.caller.director {
            Some(_) => ReadLimits {
                entries: MAX_ENTRIES,
                ..limits
            },
            None => limits,
        }
    }

    fn frame(&self, slice: &Slice) -> Bytes {
        let control = self.control(&slice.next, &slice.stable, slice.up_to_date);
        self.site.frames.frame(&self.path, slice, &control)
    }

    /// What to say when nothing was delivered: where the reader stands, if that is news and not behind what
    /// it has seen; else a comment, when it is time for one.
    fn nothing_new(&mut self) -> Option<Bytes> {
        let Following {
            next,
            stable,
            up_to_date,
        } = self.follower.state();
        let standing = (next, up_to_date);
        match &self.told {
            None if !up_to_date => self.comment(),
            Some(told) if *told == standing => self.comment(),
            None | Some(_) => {
                let bytes = sse::control(&self.control(&standing.0, &stable, up_to_date));
                self.told = Some(standing);
                Some(bytes)
            }
        }
    }

    fn comment(&self) -> Option<Bytes> {
        let is_time = self.quiet_since.elapsed() >= self.site.settings.quiet_time;
        is_time.then(|| Bytes::from_static(sse::COMMENT))
    }

    fn control<'a>(&self, next: &'a Cursor, stable: &'a Cursor, up_to_date: bool) -> Control<'a> {
        let is_director = self.caller.director.is_some();
        let director = is_director.then(|| self.site.identity()).flatten();
        Control {
            next,
            stream_cursor: self.site.stream_cursor(self.echoed),
            up_to_date,
            director: director.map(|server| ForDirector { server, stable }),
        }
    }
}
