//! The client's control stream, which is read and written at once: the conversation waits for the next
//! command while a running transfer says its replies.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use director_sdk::{ClientStream, ClientTls};
use futures_io::{AsyncRead, AsyncWrite};
use zeroize::{Zeroize, Zeroizing};

use super::line::{Heard, Lines};
use super::reply::Reply;

/// Bytes read at once. Commands are short, and a session at rest holds none of them.
const PIECE: usize = 512;
/// Most bytes in clear that are passed over before a handshake.
const MOST_FORGOTTEN: usize = 64 * 1024;

/// The client's control stream. Clones are the same stream; only the session's own task uses them.
#[derive(Clone)]
pub(crate) struct ControlLine(Arc<Mutex<Ends>>);

/// What says replies to the client, in the order in which they are said.
#[derive(Clone)]
pub(crate) struct Replier(ControlLine);

struct Ends {
    /// `None` while it is being upgraded to TLS, when nobody may use it.
    stream: Option<ClientStream>,
    /// Said, and not yet taken by the stream.
    out: Vec<u8>,
    lines: Lines,
    /// Read, and not yet looked at.
    read: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ControlLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlLine")
    }
}

impl fmt::Debug for Replier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replier")
    }
}

impl ControlLine {
    /// The line of a client whose commands have at most `limit` bytes.
    pub(crate) fn new(stream: ClientStream, limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Ends {
            stream: Some(stream),
            out: Vec::new(),
            lines: Lines::new(limit),
            read: Zeroizing::default(),
        })))
    }

    /// What says replies on it.
    pub(crate) fn replier(&self) -> Replier {
        Replier(self.clone())
    }

    fn ends<R>(&self, with: impl FnOnce(&mut Ends) -> R) -> R {
        // One task uses it, so a poisoned lock is one whose session has panicked and is over.
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something with the stream that does not wait: asks for its addresses, listens beside it,
    /// begins a connection beside it.
    ///
    /// # Errors
    ///
    /// The stream is being upgraded to TLS.
    pub(crate) fn with<R>(&self, with: impl FnOnce(&mut ClientStream) -> R) -> io::Result<R> {
        self.ends(|ends| ends.stream().map(with))
    }

    /// The next line; `None` at the client's end.
    ///
    /// # Errors
    ///
    /// The stream broke.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub(crate) async fn next(&self) -> io::Result<Option<Heard>> {
        std::future::poll_fn(|cx| self.ends(|ends| ends.poll_next(cx))).await
    }

    /// Forgets what the client has sent, says `go`, and upgrades the line to TLS. What was sent in clear
    /// behind the command that asked for it may be anybody's (RFC 4217 section 15.1).
    ///
    /// # Errors
    ///
    /// The stream broke, or its handshake failed; it is of no use then.
    ///
    /// # Cancel safety
    ///
    /// None: the line is gone.
    pub(crate) async fn start_tls(&self, go: &Reply) -> io::Result<()> {
        std::future::poll_fn(|cx| self.ends(|ends| ends.poll_forget(cx))).await?;
        self.replier().say(go).await?;
        self.flush().await?;
        let taken = self.ends(|ends| ends.stream.take());
        let mut stream = taken.ok_or(io::ErrorKind::NotConnected)?;
        let done = stream.start_tls(ClientTls::default()).await;
        self.ends(|ends| ends.stream = Some(stream));
        done.map(drop)
    }

    /// Waits until the client's socket has taken everything said.
    ///
    /// # Errors
    ///
    /// The stream broke.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.ends(|ends| ends.poll_flush(cx))).await
    }

    /// Says the end, after everything said.
    ///
    /// # Errors
    ///
    /// The stream broke.
    pub(crate) async fn close(&self) -> io::Result<()> {
        self.flush().await?;
        std::future::poll_fn(|cx| {
            self.ends(|ends| match ends.stream() {
                Ok(stream) => Pin::new(stream).poll_close(cx),
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await
    }
}

impl Replier {
    /// Says a reply, and waits until it is on its way.
    ///
    /// # Errors
    ///
    /// The stream broke.
    ///
    /// # Cancel safety
    ///
    /// A reply once polled is said, also when this is dropped: the next one that is said takes it along.
    pub(crate) async fn say(&self, reply: &Reply) -> io::Result<()> {
        self.0.ends(|ends| reply.encode(&mut ends.out));
        std::future::poll_fn(|cx| self.0.ends(|ends| ends.poll_said(cx))).await
    }
}

impl Ends {
    fn stream(&mut self) -> io::Result<&mut ClientStream> {
        let upgrading = || io::Error::other("the control connection is being upgraded to TLS");
        self.stream.as_mut().ok_or_else(upgrading)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Heard>>> {
        loop {
            let (taken, heard) = self.lines.take(&self.read, &mut self.out);
            self.read.drain(..taken);
            if self.read.is_empty() {
                self.read = Zeroizing::default();
            }
            if heard.is_some() {
                return Poll::Ready(Ok(heard));
            }
            // What Telnet is answered goes first, so a client that only asks has to read, too.
            ready!(self.poll_said(cx))?;
            let mut piece = [0; PIECE];
            let stream = self.stream()?;
            let n = ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
            self.read.extend_from_slice(&piece[..n]);
            piece.zeroize();
            if n == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Takes what is there to be read, and keeps none of it.
    fn poll_forget(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read = Zeroizing::default();
        self.lines.forget();
        let mut left = MOST_FORGOTTEN;
        let mut piece = [0; PIECE];
        while let Poll::Ready(n) = Pin::new(self.stream()?).poll_read(cx, &mut piece)? {
            left = left.saturating_sub(n);
            if n == 0 || left == 0 {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Hands what was said to the stream.
    fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            let n = ready!(Pin::new(stream).poll_write(cx, &self.out))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.drain(..n);
        }
        self.out = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_said(cx))?;
        Pin::new(self.stream()?).poll_flush(cx)
    }
}
