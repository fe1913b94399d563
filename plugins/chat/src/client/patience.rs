//! The client's stream, with an end to waiting for a client that takes nothing: what is ready for it would
//! stay in memory for as long as it likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use director_sdk::{ClientStream, Director};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};

/// A client's stream that fails when the client takes no byte of what is written for that long.
pub struct Patient {
    stream: ClientStream,
    director: Director,
    longest: Duration,
    waiting: Option<Waiting>,
}

/// Since something could not be written.
struct Waiting {
    /// What the client had taken by then.
    accepted: u64,
    over: BoxFuture<'static, ()>,
}

impl Patient {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: ClientStream, director: Director, longest: Duration) -> Self {
        Self {
            stream,
            director,
            longest,
            waiting: None,
        }
    }

    /// What a write came to, or the end of patience.
    fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        loop {
            let accepted = self.stream.info().accepted;
            let (director, longest) = (&self.director, self.longest);
            let waiting = self.waiting.get_or_insert_with(|| {
                let director = director.clone();
                Waiting {
                    accepted,
                    over: async move { director.sleep(longest).await }.boxed(),
                }
            });
            std::task::ready!(waiting.over.poll_unpin(cx));
            if waiting.accepted == accepted {
                let text = format!("the client took nothing for {longest:?}");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            self.waiting = None;
        }
    }
}

impl Read for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

impl Write for Patient {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.check(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.check(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.check(cx, closed)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, pieces);
        this.check(cx, written)
    }
}
