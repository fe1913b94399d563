//! `POST`: one entry to be added, once, however many nodes it takes.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use director_sdk::{Director, Exception, Failure, Request, Resend};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};

use crate::cursor::Cursor;
use crate::memory::outbox::Acknowledged;
use crate::memory::room::Room;
use crate::memory::write::Write;
use crate::name::Name;
use crate::node::answer::{Answer, Told};
use crate::node::link::{Ask, Link, Plain};
use crate::requests::Call;
use crate::requests::again::settle;
use crate::shared::{Said, Shared, bare, value};

/// An append.
#[derive(Debug)]
pub struct Append {
    /// What the client asked.
    pub call: Call,
    /// It, as it is sent at each attempt.
    pub write: Arc<Write>,
    /// What is appended.
    pub body: Bytes,
    /// The stream was deleted and made anew since its cursor was learnt, which asks for nothing now.
    pub anew: bool,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for Append {
    type Reply = Answer;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        director: &Director,
    ) -> Result<Answer, Failure> {
        self.said.begin(link.node);
        let Call {
            shared,
            room,
            target,
            ..
        } = &self.call;
        // What it may answer goes first: this node has perhaps not got it from the one that had.
        settle(shared, room, self.write.number, link, director).await?;
        loop {
            // An acknowledgement that was lost with its server: a reader here may have got the entry.
            let names = shared.memory.known_names(room, &self.write.request);
            let stamp = shared.memory.stamp();
            let (write, client) = (&self.write, &self.call.headers);
            let min = write.min.as_ref().filter(|_| !self.anew);
            let headers = headers(shared, write, client, min, &names, link)?;
            let ask = Ask {
                body: self.body.clone(),
                ..bare(Method::POST, target, headers)
            };
            let (answer, told) = shared.exchange(link, self.call.about(), &ask).await?;
            let answer = self.said.judge(answer)?;
            if let Some(min) = min
                && answer.status == StatusCode::GONE
                && answer.keeps
            {
                shared.memory.outdated(room, min.generation);
                self.anew = true;
                continue;
            }
            if answer.status.is_success() {
                acknowledged(shared, room, write, &self.body, &told, stamp, director);
            }
            return Ok(answer);
        }
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.call.shared.memory, why)
    }
}

/// The headers of a write, with the names it had before.
///
/// # Errors
/// When one cannot be a header.
pub fn headers(
    shared: &Shared,
    write: &Write,
    client: &HeaderMap,
    min: Option<&Cursor>,
    names: &[Name],
    link: &Link,
) -> Result<HeaderMap, Failure> {
    let min = min.filter(|_| !shared.memory.without().min_offset);
    let mut headers = shared.headers(client, link, min)?;
    headers.insert("webfs-request", value(&write.request)?);
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(Name::to_string).collect();
        headers.insert("webfs-was", value(&names.join(", "))?);
    }
    Ok(headers)
}

/// A node took a write: it is kept until it is stable.
pub fn acknowledged(
    shared: &Shared,
    room: &Room,
    write: &Arc<Write>,
    body: &Bytes,
    told: &Told,
    stamp: u64,
    director: &Director,
) {
    if told.released
        && let (Some(min), Some(had)) = (&write.min, &told.next)
    {
        metrics::counter!("director_chat_released_total").increment(1);
        shared.memory.released(room, min, had);
    }
    if let (Some(name), Some(home), Some(next)) = (told.entry, told.server, &told.next) {
        let as_ = Acknowledged {
            name,
            home,
            stamp,
            generation: next.generation,
        };
        let memory = &shared.memory;
        memory.acknowledged(room, write, body, as_, director.now());
    }
}

/// What of a client's headers is kept with its write.
#[must_use]
pub fn kept(headers: &HeaderMap) -> HeaderMap {
    const KEPT: [&str; 6] = [
        "content-type",
        "producer-id",
        "producer-epoch",
        "producer-seq",
        "stream-seq",
        "stream-closed",
    ];
    let value = |name: &'static str| -> Option<(hyper::header::HeaderName, HeaderValue)> {
        let value = headers.get(name)?.clone();
        Some((hyper::header::HeaderName::from_static(name), value))
    };
    KEPT.into_iter().filter_map(value).collect()
}
