//! What all sessions of one service share, and how every request to a node begins and ends.

use std::sync::Arc;

use bytes::Bytes;
use director_sdk::{Exception, Failure, Kind, Resend};
use hyper::header::{ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};

use crate::cursor::Cursor;
use crate::failures;
use crate::memory::Memory;
use crate::memory::room::Room;
use crate::node::answer::{Answer, Told, garbled};
use crate::node::head::strip_hop_by_hop;
use crate::node::link::{self, Ask, Link};
use crate::options::Options;

/// Shared by all sessions of one service.
#[derive(Debug)]
pub struct Shared {
    /// Streams, servers, outbox.
    pub memory: Arc<Memory>,
    /// This director, as it names itself to nodes; new with every process.
    pub id: String,
    /// The service's options.
    pub options: Options,
}

/// What nodes have said so far to one request that none has answered well.
#[derive(Debug, Default)]
pub struct Said {
    /// The last answer that another node might have spared the client.
    pub last: Option<Answer>,
    /// It may have happened: only of what changes something.
    pub unknown: bool,
    changes: bool,
    node: Option<u32>,
    answered: bool,
}

impl Said {
    /// Of a request that changes something.
    #[must_use]
    pub fn to_a_change() -> Self {
        Self {
            changes: true,
            ..Self::default()
        }
    }

    /// An attempt begins at that node.
    pub fn begin(&mut self, node: u32) {
        self.node = Some(node);
        self.answered = false;
    }

    /// The answer, when it is the client's to see.
    ///
    /// # Errors
    /// The failure that it is otherwise.
    pub fn judge(&mut self, answer: Answer) -> Result<Answer, Failure> {
        self.answered = true;
        match failures::of(&answer) {
            None => Ok(answer),
            Some(failure) => {
                self.unknown |= self.changes && failures::leaves_unknown(&answer);
                self.last = Some(answer);
                Err(failure)
            }
        }
    }

    /// The cleanup of every request: all may go anywhere, for reads change nothing and writes carry a
    /// request id.
    pub fn cleanup(&mut self, memory: &Memory, why: &Exception) -> Resend {
        self.unknown |= self.changes && why.sent > 0 && !self.answered;
        if let Some(node) = self.node
            && is_of_the_node(why.kind)
        {
            memory.failed(node);
        }
        Resend::Anywhere
    }
}

/// Whether an exception puts in doubt that the node still has what it acknowledged.
fn is_of_the_node(kind: Kind) -> bool {
    match kind {
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

impl Shared {
    /// The headers with which a client's request goes to a node.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when the node's own name cannot stand in a header.
    pub fn headers(
        &self,
        client: &HeaderMap,
        link: &Link,
        min: Option<&Cursor>,
    ) -> Result<HeaderMap, Failure> {
        let mut headers = client.clone();
        if !headers.contains_key(HOST) {
            headers.insert(HOST, value(link.stream.node_name())?);
        }
        headers.insert("webfs-director", value(&self.id)?);
        if let Some(min) = min {
            headers.insert("stream-min-offset", value(&min.to_string())?);
        }
        Ok(headers)
    }

    /// One exchange with a node, about a stream or not; what the answer tells is taken in. `asked` is the
    /// cursor that the request came with.
    ///
    /// # Errors
    /// As the stream's; [`Kind::Garbled`] when the answer is no good HTTP, or tells nonsense.
    pub async fn exchange(
        &self,
        link: &mut Link,
        about: Option<(&Room, Option<&Cursor>)>,
        ask: &Ask<'_>,
    ) -> Result<(Answer, Told), Failure> {
        let answer = link::whole(&mut link.stream, ask, self.options.max_answer).await?;
        let mut told = Told::by(&answer.headers)?;
        if !answer.status.is_success() {
            // Of an error it may be what was asked with.
            told.next = None;
        }
        self.heard(link.node, about, &told);
        Ok((answer, told))
    }

    /// Takes in what an answer tells.
    pub fn heard(&self, node: u32, about: Option<(&Room, Option<&Cursor>)>, told: &Told) {
        if let Some(server) = told.server {
            self.memory.seen(node, server);
        }
        if let Some((room, asked)) = about {
            let (next, stable) = (told.next.as_ref(), told.stable.as_ref());
            self.memory.told(room, asked, next, stable);
        }
    }

    /// A request id that no other write has.
    #[must_use]
    pub fn request(&self, number: u64) -> String {
        format!("{}.{number}", self.id)
    }
}

/// The client's headers without those of its connection, and without those that only a director says.
/// `Stream-Min-Offset` is taken in when the request begins.
pub fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    strip_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(EXPECT);
    // Bodies are looked into.
    headers.remove(ACCEPT_ENCODING);
    headers.remove("stream-min-offset");
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("webfs-"))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
    headers
}

/// A header's value.
///
/// # Errors
/// [`Kind::Garbled`] when it cannot be one.
pub fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| garbled(format!("{text:?} can be in no header")))
}

/// A request without a body.
#[must_use]
pub fn bare(method: Method, target: &str, headers: HeaderMap) -> Ask<'_> {
    Ask {
        method,
        target,
        headers,
        body: Bytes::new(),
        patient: false,
    }
}
