//! A plain HTTP/1.1 client that hides nothing: it never sends anything again, follows nothing, and says
//! how a body ended.
//!
//! Everything that waits is cancel safe: bytes that were read stay in the connection's buffer.

use std::io;
use std::path::Path;
use std::pin::Pin;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// No head is longer than this.
const MAX_HEAD: usize = 64 << 10;

/// A byte stream, whatever it runs over.
pub trait Wire: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Wire for T {}

/// One connection; requests follow one another on it.
pub struct Connection {
    wire: Pin<Box<dyn Wire>>,
    buffer: BytesMut,
    local: String,
    /// What is left of the body of the last answer.
    left: Left,
}

/// What follows of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Bytes(u64),
    /// Bytes of the chunk at hand; `None` before a chunk's size line.
    Chunks(Option<u64>),
    UntilEof,
}

/// An answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// As 200.
    pub status: u16,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// A piece of a body, or how it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes.
    Bytes(Vec<u8>),
    /// The end, as the framing says it; end of file only where nothing else could say it.
    End,
}

impl Head {
    /// The first header of that name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Answer {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first header of that name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            io::Error::other(format!(
                "{error} in the answer {} {:?}",
                self.status(),
                self.text()
            ))
        })
    }
}

impl Connection {
    /// Connects over TCP.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn open(address: &str) -> io::Result<Self> {
        let wire = TcpStream::connect(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("connecting to {address}: {error}"))
        })?;
        wire.set_nodelay(true)?;
        let local = wire.local_addr()?.to_string();
        Ok(Self::over(Box::pin(wire), local))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn open_unix(path: &Path) -> io::Result<Self> {
        Ok(Self::over(
            Box::pin(UnixStream::connect(path).await?),
            String::new(),
        ))
    }

    fn over(wire: Pin<Box<dyn Wire>>, local: String) -> Self {
        Self {
            wire,
            buffer: BytesMut::new(),
            local,
            left: Left::Nothing,
        }
    }

    /// This end's address, as the other end sees it.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// Sends a request; `Host` and, with a body, `Content-Length` are added.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<()> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: director\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.write(&bytes).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes).await?;
        self.wire.flush().await
    }

    /// The next answer's head. Interim answers (1xx) are passed over.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ended first; `InvalidData` for what is no HTTP.
    pub async fn head(&mut self, method: &str) -> io::Result<Head> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let bytes = self.buffer.split_to(end + 4);
                let head = parse_head(&bytes)?;
                if head.status >= 200 {
                    self.left = body_of(&head, method)?;
                    return Ok(head);
                }
            } else if self.buffer.len() > MAX_HEAD {
                return Err(garbled("a head without an end", &self.buffer));
            } else {
                self.fill("an answer's head").await?;
            }
        }
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ended inside it.
    pub async fn piece(&mut self) -> io::Result<Piece> {
        loop {
            match self.left {
                Left::Nothing | Left::Bytes(0) => {
                    self.left = Left::Nothing;
                    return Ok(Piece::End);
                }
                Left::Bytes(left) => {
                    let piece = self.take(left).await?;
                    self.left = Left::Bytes(left - piece.len() as u64);
                    return Ok(Piece::Bytes(piece));
                }
                Left::UntilEof => {
                    if self.buffer.is_empty() && self.wire.read_buf(&mut self.buffer).await? == 0 {
                        self.left = Left::Nothing;
                        return Ok(Piece::End);
                    }
                    return Ok(Piece::Bytes(self.buffer.split().to_vec()));
                }
                Left::Chunks(Some(left)) if left > 0 => {
                    let piece = self.take(left).await?;
                    self.left = Left::Chunks(Some(left - piece.len() as u64));
                    return Ok(Piece::Bytes(piece));
                }
                Left::Chunks(at) => self.next_chunk(at.is_some()).await?,
            }
        }
    }

    /// Passes from the end of a chunk's bytes (or from the head) to the next chunk's.
    async fn next_chunk(&mut self, after_bytes: bool) -> io::Result<()> {
        let skip = if after_bytes { 2 } else { 0 };
        loop {
            let line = self.buffer.get(skip..).and_then(|rest| find(rest, b"\r\n"));
            let Some(end) = line.map(|at| skip + at) else {
                if self.buffer.len() > MAX_HEAD {
                    return Err(garbled("a chunk's size without an end", &self.buffer));
                }
                self.fill("a chunk").await?;
                continue;
            };
            let text = String::from_utf8_lossy(&self.buffer[skip..end]).into_owned();
            let size = text.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| garbled("a chunk's size", &self.buffer))?;
            if skip == 2 && !self.buffer.starts_with(b"\r\n") {
                return Err(garbled("a chunk's end", &self.buffer));
            }
            if size > 0 {
                self.buffer.advance(end + 2);
                self.left = Left::Chunks(Some(size));
                return Ok(());
            }
            // The last chunk: trailers, then an empty line.
            if let Some(trailers) = self
                .buffer
                .get(end..)
                .and_then(|rest| find(rest, b"\r\n\r\n"))
            {
                self.buffer.advance(end + trailers + 4);
                self.left = Left::Nothing;
                return Ok(());
            }
            self.fill("the last chunk").await?;
        }
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// As [`Connection::piece`]; what came before the error is lost with it.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Piece::Bytes(bytes) = self.piece().await? {
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    /// One request and its whole answer.
    ///
    /// # Errors
    /// As [`Connection::send`], [`Connection::head`] and [`Connection::piece`].
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Answer> {
        self.send(method, target, headers, body).await?;
        let head = self.head(method).await?;
        let body = self.rest().await?;
        Ok(Answer { head, body })
    }

    async fn take(&mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill("the rest of a body").await?;
        }
        let most = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        Ok(self.buffer.split_to(most).to_vec())
    }

    async fn fill(&mut self, awaited: &str) -> io::Result<()> {
        if self.wire.read_buf(&mut self.buffer).await? == 0 {
            let text = format!("the connection ended before {awaited}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(())
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// As [`Connection::ask`].
pub async fn ask(
    address: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> io::Result<Answer> {
    Connection::open(address)
        .await?
        .ask(method, target, headers, body)
        .await
}

/// A live read by server-sent events.
pub struct Events {
    connection: Connection,
    head: Head,
    text: BytesMut,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `event:`; `message` when there was none.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

impl Events {
    /// Opens one.
    ///
    /// # Errors
    /// As [`Connection::ask`]; another status than 200 is an error with the body in it.
    pub async fn open(address: &str, target: &str, headers: &[(&str, &str)]) -> io::Result<Self> {
        let mut connection = Connection::open(address).await?;
        connection.send("GET", target, headers, None).await?;
        let head = connection.head("GET").await?;
        if head.status != 200 {
            let body = connection.rest().await?;
            let body = String::from_utf8_lossy(&body);
            return Err(io::Error::other(format!(
                "GET {target}: {} {body}",
                head.status
            )));
        }
        Ok(Self {
            connection,
            head,
            text: BytesMut::new(),
        })
    }

    /// Status and headers.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// This end's address, as the other end sees it.
    #[must_use]
    pub fn local(&self) -> &str {
        self.connection.local()
    }

    /// The next event; `None` when the server ended the answer in an orderly way. Comments are passed
    /// over.
    ///
    /// # Errors
    /// As [`Connection::piece`].
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            while let Some(end) = find(&self.text, b"\n\n") {
                let block = self.text.split_to(end + 2);
                if let Some(event) = parse_event(&String::from_utf8_lossy(&block)) {
                    return Ok(Some(event));
                }
            }
            match self.connection.piece().await? {
                Piece::Bytes(bytes) => self.text.extend_from_slice(&bytes),
                Piece::End => return Ok(None),
            }
        }
    }
}

fn parse_event(block: &str) -> Option<Event> {
    let (mut name, mut data) = (None, Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {} // a comment, `id`, `retry`
        }
    }
    if name.is_none() && data.is_empty() {
        return None;
    }
    Some(Event {
        name: name.unwrap_or_else(|| "message".to_owned()),
        data: data.join("\n"),
    })
}

fn parse_head(bytes: &[u8]) -> io::Result<Head> {
    let text = std::str::from_utf8(bytes).map_err(|_| garbled("a head", bytes))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let code = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1));
    let status = code
        .and_then(|c| c.parse().ok())
        .ok_or_else(|| garbled("a status line", bytes))?;
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| garbled("a header", bytes))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Head { status, headers })
}

fn body_of(head: &Head, method: &str) -> io::Result<Left> {
    if method == "HEAD" || matches!(head.status, 204 | 304) {
        return Ok(Left::Nothing);
    }
    if head
        .header("transfer-encoding")
        .is_some_and(|t| t.eq_ignore_ascii_case("chunked"))
    {
        return Ok(Left::Chunks(None));
    }
    match head.header("content-length") {
        Some(length) => length
            .parse()
            .map(Left::Bytes)
            .map_err(|_| garbled("a content length", length.as_bytes())),
        None => Ok(Left::UntilEof),
    }
}

fn garbled(what: &str, bytes: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} was not understood: {shown:?}"),
    )
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that has received all this and then the end.
    fn received(bytes: &[u8]) -> Connection {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { there.write_all(&bytes).await });
        Connection::over(Box::pin(here), String::new())
    }

    #[tokio::test]
    async fn bodies_end_where_their_framing_says() {
        let mut c = received(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
              HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n\
              HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n\
              HTTP/1.1 200 OK\r\n\r\nrest",
        );
        let mut bodies = Vec::new();
        for _ in 0..4 {
            c.head("GET").await.unwrap();
            bodies.push(String::from_utf8(c.rest().await.unwrap()).unwrap());
        }
        assert_eq!(bodies, ["abc", "abcde", "", "rest"]);
    }

    #[tokio::test]
    async fn a_body_cut_short_is_an_error() {
        for cut in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        ] {
            let mut c = received(cut);
            c.head("GET").await.unwrap();
            let error = c.rest().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
        }
    }

    #[tokio::test]
    async fn events_come_one_by_one() {
        let connection = received(
            b"HTTP/1.1 200 OK\r\n\r\n: beat\n\nevent: data\ndata: a\ndata: b\n\ndata: c\n\nevent: x",
        );
        let mut events = Events {
            connection,
            head: Head {
                status: 0,
                headers: vec![],
            },
            text: BytesMut::new(),
        };
        events.head = events.connection.head("GET").await.unwrap();
        let first = events.next().await.unwrap().unwrap();
        assert_eq!((first.name.as_str(), first.data.as_str()), ("data", "a\nb"));
        assert_eq!(events.next().await.unwrap().unwrap().name, "message");
        assert_eq!(events.next().await.unwrap(), None);
    }
}
