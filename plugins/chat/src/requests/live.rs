//! `GET` with `live=sse`: one answer to the client, from as many nodes as it takes.
//!
//! A data event is passed on only together with its control event, so what the client has seen always has a
//! cursor, and that cursor is all that the next node needs. What a dead node sent of an event is dropped
//! with it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use director_sdk::{Director, Exception, Failure, Kind, Request, Resend};
use futures_channel::{mpsc, oneshot};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, StatusCode};

use crate::body::Form;
use crate::cursor::Cursor;
use crate::name::Identity;
use crate::node::answer::{Answer, Told, garbled};
use crate::node::link::{self, Answering, Link, Plain};
use crate::requests::Call;
use crate::requests::query::Query;
use crate::requests::unit::{Pairing, Unit};
use crate::shared::{Said, bare};
use crate::sse;

/// A server writes a comment into a quiet live read every 15 s. Without any for this long the connection is
/// dead, though the node may be well (its beat is told on another).
const QUIET: Duration = Duration::from_secs(35);

/// A live read.
#[derive(Debug)]
pub struct Live {
    /// What the client asked.
    pub call: Call,
    /// Its query.
    pub query: Query,
    /// Where the client gets the head of its answer from; gone once it has it.
    pub head: Option<oneshot::Sender<HeaderMap>>,
    /// Where it gets the rest from.
    pub units: mpsc::Sender<Bytes>,
    /// The last control event passed on; nothing before the first.
    pub at: Option<At>,
    /// How data events are written, as the first node said; they have to stay so.
    pub base64: Option<bool>,
    /// What nodes have said.
    pub said: Said,
}

/// Where the client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    cursor: Cursor,
    up_to_date: bool,
}

/// How a live read ended.
#[derive(Debug)]
pub enum Ended {
    /// Nothing more will come; the client has all of it.
    Closed,
    /// It did not begin: the answer is no events.
    Refused(Answer),
}

#[async_trait]
impl Request<Plain> for Live {
    type Reply = Ended;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        director: &Director,
    ) -> Result<Ended, Failure> {
        self.said.begin(link.node);
        let mut answer = self.go_on(link).await?;
        if answer.head.status != StatusCode::OK {
            return self.refused(&mut answer, link).await;
        }
        let form = self.begin(&answer, link.node)?;
        self.pass_on(&mut answer, form, link, director).await
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.call.shared.memory, why)
    }
}

impl Live {
    /// Asks for what follows where the client stands.
    async fn go_on(&self, link: &mut Link) -> Result<Answering, Failure> {
        let call = &self.call;
        // Where the client stands says it all; a node that lacks more than that need not wait for it.
        let min = call.min.as_ref().filter(|_| self.at.is_none());
        let headers = call.shared.headers(&call.headers, link, min)?;
        let offset = self.at.as_ref().map(|at| at.cursor.to_string());
        let target = self.query.from(offset.as_deref());
        link::ask(&mut link.stream, &bare(Method::GET, &target, headers)).await
    }

    /// A node that gives no events: the client sees why, unless it has seen some already.
    async fn refused(&mut self, answer: &mut Answering, link: &mut Link) -> Result<Ended, Failure> {
        let shared = &self.call.shared;
        let limit = shared.options.max_answer;
        let answer = answer.whole(&mut link.stream, limit).await?;
        let mut told = Told::by(&answer.headers)?;
        told.next = None;
        shared.heard(link.node, self.call.about(), &told);
        let answer = self.said.judge(answer)?;
        Ok(match self.base64 {
            None => Ended::Refused(answer),
            // Deleted meanwhile, most likely.
            Some(_) => Ended::Closed,
        })
    }

    /// Gives the client its head, once; says how the data is written.
    fn begin(&mut self, answer: &Answering, node: u32) -> Result<Option<Form>, Failure> {
        let headers = &answer.head.headers;
        let is = |name: &str, what: &[u8]| {
            let value = headers.get(name).map(|value| value.as_bytes());
            value.is_some_and(|value| value.starts_with(what))
        };
        if !is(CONTENT_TYPE.as_str(), b"text/event-stream") {
            return Err(garbled("it was asked for events and gives something else"));
        }
        let told = Told::by(headers)?;
        self.call.shared.heard(node, self.call.about(), &told);
        let base64 = is("stream-sse-data-encoding", b"base64");
        if *self.base64.get_or_insert(base64) != base64 {
            return Err(Failure::new(
                Kind::Diverged,
                "its stream is of another type than the one begun",
            ));
        }
        if let Some(head) = self.head.take()
            && head.send(headers.clone()).is_err()
        {
            return Err(client_gone());
        }
        Ok(match base64 {
            true => Some(Form::Base64),
            false if is("webfs-type", b"application/json") => Some(Form::Json),
            false if headers.contains_key("webfs-type") => Some(Form::Bytes),
            false => None,
        })
    }

    async fn pass_on(
        &mut self,
        answer: &mut Answering,
        form: Option<Form>,
        link: &mut Link,
        director: &Director,
    ) -> Result<Ended, Failure> {
        let mut reader = sse::Reader::new(self.call.shared.options.max_answer);
        let mut pairing = Pairing::default();
        let (mut bytes, mut events) = (Vec::new(), Vec::new());
        loop {
            // Between two messages it owes nothing; in the middle of one it does.
            let due = reader.is_inside_event() || pairing.is_half();
            link.stream.due(due);
            bytes.clear();
            let more = answer.more(&mut link.stream, &mut bytes);
            let more = director
                .timeout(QUIET, more)
                .await
                .map_err(|_| Failure::new(Kind::Stalled, format!("no byte came for {QUIET:?}")))?;
            if !more? {
                return Err(Failure::new(Kind::Lost, "it ended the live read"));
            }
            reader
                .push(&bytes, |event| events.push(event))
                .map_err(|error| garbled(error.to_string()))?;
            for event in events.drain(..) {
                let Some(mut unit) = pairing.take(event).map_err(garbled)? else {
                    continue;
                };
                if let Some(at) = self.examine(&mut unit, form, link.node, director)? {
                    self.hand_over(&unit, at, link).await?;
                }
                if unit.control.stream_closed {
                    return Ok(Ended::Closed);
                }
            }
        }
    }

    /// Takes in what a unit tells and takes out what the client was shown before. `None` when nothing is
    /// left that the client has to know.
    fn examine(
        &self,
        unit: &mut Unit,
        form: Option<Form>,
        node: u32,
        director: &Director,
    ) -> Result<Option<At>, Failure> {
        let (memory, room) = (&self.call.shared.memory, &self.call.room);
        let bad = |what: &str, error: &dyn std::fmt::Display| garbled(format!("{what}: {error}"));
        let next = unit
            .next()
            .map_err(|error| bad("streamNextOffset", &error))?;
        let stable: Option<Cursor> = match &unit.control.stream_stable_offset {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|error| bad("streamStableOffset", &error))?,
            ),
        };
        if let Some(server) = &unit.control.webfs_server {
            let server: Identity = server.parse().map_err(|error| bad("webfsServer", &error))?;
            memory.seen(node, server);
        }
        let before = self.at.as_ref().map(|at| at.cursor.clone());
        let before = before.or_else(|| self.query.cursor());
        if let Some(before) = &before
            && !follows(&next, before)
        {
            return Err(garbled(format!(
                "it went back from {before} to {next}, which covers less"
            )));
        }
        let asked = self.call.asked.as_ref();
        memory.told(room, asked, Some(&next), stable.as_ref());
        let before = before
            .filter(|before| before.generation == next.generation)
            .unwrap_or_default();
        let cut = unit
            .cut(form, |entries, parts| {
                memory.seen_before(room, &before, entries, parts, director.now())
            })
            .map_err(|error| garbled(error.to_string()))?;
        if cut > 0 {
            metrics::counter!("director_chat_cut_total").increment(cut as u64);
        }
        let at = At {
            cursor: next,
            up_to_date: unit.control.up_to_date,
        };
        let known = unit.data.is_none() && self.at.as_ref() == Some(&at);
        Ok((!known || unit.control.stream_closed).then_some(at))
    }

    /// Gives the client a unit. It has it, and its cursor, or neither.
    async fn hand_over(&mut self, unit: &Unit, at: At, link: &mut Link) -> Result<(), Failure> {
        link.stream.due(false);
        let room = std::future::poll_fn(|cx| self.units.poll_ready(cx));
        room.await.map_err(|_| client_gone())?;
        self.units
            .start_send(unit.shown())
            .map_err(|_| client_gone())?;
        self.at = Some(at);
        Ok(())
    }
}

/// Whether a reader can stand at `next` after `before`.
fn follows(next: &Cursor, before: &Cursor) -> bool {
    next.generation != before.generation
        || before.cut.names().all(|name| {
            // A letter that is no longer spelled is covered by a later one of the same server.
            next.cut.covers(name) || next.cut.supersedes(name.letter)
        })
}

fn client_gone() -> Failure {
    Failure::new(Kind::ClientGone, "the client has left").by_client()
}

/// Whether a live read that was given up can go on: its step was dropped before it returned, which leaves it
/// whole, for it hands units over one by one.
#[must_use]
pub fn can_go_on(exception: &Exception) -> bool {
    match exception.kind {
        Kind::Unreachable | Kind::Lost | Kind::Stalled | Kind::Garbled => true,
        Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Diverged
        | Kind::Denied
        | Kind::Invalid
        | Kind::Unknown
        | Kind::ClientGone
        | Kind::Fault
        | Kind::Exhausted => false,
    }
}
