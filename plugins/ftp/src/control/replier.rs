//! The client's control stream, which is read and written at once: the conversation waits for the next
//! command while a running transfer says its replies.
//!
//! A client that says and does not read is sent away: when more than [`MOST_SAID`] bytes wait for it while it is
//! read on, or when it takes none for [`PATIENCE`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use director_sdk::{ClientStream, ClientTls, Director, Elapsed, Failure, Kind};
use futures_io::{AsyncRead, AsyncWrite};
use zeroize::{Zeroize, Zeroizing};

use super::line::{Heard, Lines};
use super::reply::Reply;

/// Bytes read at once. Commands are short, and a session at rest holds none of them.
const PIECE: usize = 512;
/// Most bytes in clear that are passed over before a handshake.
const MOST_FORGOTTEN: usize = 64 * 1024;
/// Most bytes said that wait while the line is read on: answers to STAT in mid-transfer, and Telnet's.
const MOST_SAID: usize = 64 * 1024;
/// How long a client may take none of what it is told, or not see to the end of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The client's control stream. Clones are the same stream; only the session's own task uses them.
#[derive(Clone)]
pub(crate) struct ControlLine {
    ends: Arc<Mutex<Ends>>,
    director: Director,
}

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
    /// The client reads nothing: it is told no more.
    given_up: bool,
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
    pub(crate) fn new(stream: ClientStream, limit: usize, director: Director) -> Self {
        let ends = Ends {
            stream: Some(stream),
            out: Vec::new(),
            lines: Lines::new(limit),
            read: Zeroizing::default(),
            given_up: false,
        };
        Self {
            ends: Arc::new(Mutex::new(ends)),
            director,
        }
    }

    /// What says replies on it.
    pub(crate) fn replier(&self) -> Replier {
        Replier(self.clone())
    }

    fn ends<R>(&self, with: impl FnOnce(&mut Ends) -> R) -> R {
        // One task uses it, so a poisoned lock is one whose session has panicked and is over.
        with(&mut self.ends.lock().unwrap_or_else(PoisonError::into_inner))
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
    /// The stream broke, or the client reads nothing ([`Kind::ClientGone`]).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub(crate) async fn next(&self) -> Result<Option<Heard>, Failure> {
        let next = std::future::poll_fn(|cx| self.ends(|ends| ends.poll_next(cx)));
        next.await.map_err(|error| self.broken(error))
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
        self.ends(|ends| go.encode(&mut ends.out));
        std::future::poll_fn(|cx| self.ends(|ends| ends.poll_flush(cx))).await?;
        let taken = self.ends(|ends| ends.stream.take());
        let mut stream = taken.ok_or(io::ErrorKind::NotConnected)?;
        let done = stream.start_tls(ClientTls::default()).await;
        self.ends(|ends| ends.stream = Some(stream));
        done.map(drop)
    }

    /// Says the end, after everything said; for [`PATIENCE`] at most.
    ///
    /// # Errors
    ///
    /// The stream broke, or the client did not take it.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        let closed = std::future::poll_fn(|cx| {
            self.ends(|ends| {
                ready!(ends.poll_flush(cx))?;
                match ends.stream() {
                    Ok(stream) => Pin::new(stream).poll_close(cx),
                    Err(error) => Poll::Ready(Err(error)),
                }
            })
        });
        match self.director.timeout(PATIENCE, closed).await {
            Ok(closed) => closed.map_err(|error| self.broken(error)),
            Err(Elapsed) => Err(self.give_up()),
        }
    }

    /// Waits until the stream has taken everything said.
    async fn told(&self) -> Result<(), Failure> {
        let mut left = usize::MAX;
        while left > 0 {
            let less = std::future::poll_fn(|cx| {
                self.ends(|ends| match ends.poll_said(cx)? {
                    Poll::Ready(()) => Poll::Ready(io::Result::Ok(0)),
                    Poll::Pending if ends.out.len() < left => Poll::Ready(Ok(ends.out.len())),
                    Poll::Pending => Poll::Pending,
                })
            });
            left = match self.director.timeout(PATIENCE, less).await {
                Ok(less) => less.map_err(|error| self.broken(error))?,
                Err(Elapsed) => return Err(self.give_up()),
            };
        }
        Ok(())
    }

    /// What an error of the stream means.
    fn broken(&self, error: io::Error) -> Failure {
        match self.ends(|ends| ends.given_up) {
            true => reads_nothing(),
            false => error.into(),
        }
    }

    fn give_up(&self) -> Failure {
        self.ends(|ends| ends.given_up = true);
        reads_nothing()
    }
}

/// Why a client is sent away that says and does not read.
fn reads_nothing() -> Failure {
    let detail = "it does not read what it is told";
    Failure::new(Kind::ClientGone, detail).by_client()
}

impl Replier {
    /// Says a reply, and waits until it is on its way.
    ///
    /// # Errors
    ///
    /// The stream broke, or the client reads nothing ([`Kind::ClientGone`]).
    ///
    /// # Cancel safety
    ///
    /// A reply once polled is said, also when this is dropped: the next one that is said takes it along.
    pub(crate) async fn say(&self, reply: &Reply) -> Result<(), Failure> {
        self.0.ends(|ends| reply.encode(&mut ends.out));
        self.0.told().await
    }

    /// Says a reply without waiting. It is on its way when the line is read on.
    ///
    /// # Errors
    ///
    /// Too much waits for the client, who reads nothing.
    pub(crate) fn queue(&self, reply: &Reply) -> Result<(), Failure> {
        let fits = self.0.ends(|ends| {
            reply.encode(&mut ends.out);
            ends.out.len() <= MOST_SAID
        });
        fits.then_some(()).ok_or_else(|| self.0.give_up())
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
            // What is said is not waited for: a client may say ABOR before it reads.
            if self.poll_said(cx)?.is_pending() && self.out.len() > MOST_SAID {
                self.given_up = true;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
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
        if self.given_up {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
