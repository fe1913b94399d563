//! A connection to a node, and a request on it.

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use director_sdk::{Director, Failure, Kind, NodeStream, Session, Stream};
use hyper::{HeaderMap, Method};

use crate::node::answer::{Answer, garbled};
use crate::node::frames::Frames;
use crate::node::head::{self, Head, MAX_HEAD};

/// Requests need nothing of each other: any link will do.
#[derive(Debug)]
pub struct Plain;

/// A connection to a node.
#[derive(Debug)]
pub struct Link {
    /// The host's stream.
    pub stream: NodeStream,
    /// The node's number.
    pub node: u32,
}

/// A request to a node.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: &'a str,
    /// Its headers, `Content-Length` apart.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The node may take as long as it likes before it answers (a long-poll).
    pub patient: bool,
}

/// An answer of which the head was read.
#[derive(Debug)]
pub struct Answering {
    /// The head.
    pub head: Head,
    frames: Frames,
}

#[async_trait]
impl Session for Plain {
    type Link = Link;

    async fn establish(&mut self, stream: NodeStream, _: &Director) -> Result<Link, Failure> {
        let node = stream.node().0;
        Ok(Link { stream, node })
    }
}

/// Sends a request and reads the head of the answer.
///
/// # Errors
/// As the stream's; [`Kind::Garbled`] when the answer is no HTTP.
pub async fn ask(stream: &mut Stream, ask: &Ask<'_>) -> Result<Answering, Failure> {
    stream.due(true);
    let sent = send(stream, ask).await;
    stream.due(!ask.patient);
    match (sent, head(stream, &ask.method).await) {
        (Ok(()), answer) => answer,
        // A node that refuses a body answers before it has read it all.
        (Err(_), Ok(mut answer)) if answer.head.status.is_client_error() => {
            answer.head.keeps = false;
            Ok(answer)
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// Sends a request and reads the whole answer, of at most `limit` bytes.
///
/// # Errors
/// As [`ask`]; [`Kind::Garbled`] when the body is longer.
pub async fn whole(
    stream: &mut Stream,
    request: &Ask<'_>,
    limit: usize,
) -> Result<Answer, Failure> {
    let mut answer = ask(stream, request).await?;
    answer.whole(stream, limit).await
}

impl Answering {
    /// The rest of the body, and with it the whole answer.
    ///
    /// # Errors
    /// As the stream's; [`Kind::Garbled`] when it has more than `limit` bytes.
    pub async fn whole(&mut self, stream: &mut Stream, limit: usize) -> Result<Answer, Failure> {
        let mut body = Vec::new();
        while self.more(stream, &mut body).await? {
            if body.len() > limit {
                return Err(garbled(format!("its answer is longer than {limit} bytes")));
            }
        }
        Ok(Answer {
            status: self.head.status,
            headers: std::mem::take(&mut self.head.headers),
            body: body.into(),
            keeps: self.head.keeps,
        })
    }

    /// Appends what comes next of the body, waiting for it; `false` when nothing more can.
    ///
    /// # Errors
    /// As the stream's; [`Kind::Lost`] when it ends before the body; [`Kind::Garbled`] when the frames
    /// are broken.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn more(&mut self, stream: &mut Stream, body: &mut Vec<u8>) -> Result<bool, Failure> {
        let before = body.len();
        while !self.frames.is_done() && body.len() == before {
            let bytes = stream.fill().await?;
            if bytes.is_empty() {
                return match self.frames.end() {
                    true => Ok(false),
                    false => Err(Failure::new(
                        Kind::Lost,
                        "the connection ended in the middle of an answer",
                    )),
                };
            }
            let taken = self.frames.take(bytes, body).map_err(garbled)?;
            stream.consume(taken);
        }
        Ok(body.len() > before)
    }
}

async fn send(stream: &mut Stream, ask: &Ask<'_>) -> std::io::Result<()> {
    let mut bytes = BytesMut::with_capacity(1024);
    bytes.put_slice(ask.method.as_str().as_bytes());
    bytes.put_u8(b' ');
    bytes.put_slice(ask.target.as_bytes());
    bytes.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in &ask.headers {
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_slice(b": ");
        bytes.put_slice(value.as_bytes());
        bytes.put_slice(b"\r\n");
    }
    if !ask.body.is_empty() || matches!(ask.method, Method::POST | Method::PUT) {
        bytes.put_slice(format!("content-length: {}\r\n", ask.body.len()).as_bytes());
    }
    bytes.put_slice(b"\r\n");
    if ask.body.len() <= 16 * 1024 {
        bytes.put_slice(&ask.body);
        return stream.write_all(&bytes).await;
    }
    stream.write_all(&bytes).await?;
    stream.write_all(&ask.body).await
}

async fn head(stream: &mut Stream, method: &Method) -> Result<Answering, Failure> {
    let mut seen: Vec<u8> = Vec::new();
    loop {
        let bytes = stream.fill().await?;
        if bytes.is_empty() {
            return Err(Failure::new(
                Kind::Lost,
                "the connection ended before an answer",
            ));
        }
        let (before, n) = (seen.len(), bytes.len());
        seen.extend_from_slice(bytes);
        stream.due(true);
        match head::parse(&seen, method).map_err(garbled)? {
            Some((len, head)) => {
                stream.consume(len.saturating_sub(before));
                let frames = Frames::new(head.framing);
                return Ok(Answering { head, frames });
            }
            None if seen.len() > MAX_HEAD => {
                return Err(garbled(format!(
                    "the head of its answer is longer than {MAX_HEAD} bytes"
                )));
            }
            None => stream.consume(n),
        }
    }
}
