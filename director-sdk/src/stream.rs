//! Streams to clients and nodes. The host owns the sockets; a stream here is one of its numbers.
//!
//! A number that is used too late, or on another thread than its task's, is answered with an error.
//! Bytes that the host lends are copied before a call returns, so nothing here points into the
//! host's memory, however long a stream is kept.

use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use crate::glue::host;
use crate::stream_error::{CODE_END, CODE_LONG, Side, StreamError};

/// Room for a copy of unread bytes that a stream at rest may keep, in bytes: thousands of them wait at
/// once, and each may have seen a full buffer of the host's.
const KEPT: usize = 512;

/// A node's number in its cluster, kept for as long as the service has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// What the host knows of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamInfo {
    /// Bytes that the plugin or a relay has taken from the stream.
    pub received: u64,
    /// Bytes that the peer's socket has taken from us: how far an answer got.
    pub accepted: u64,
}

/// What [`ClientStream`] and [`NodeStream`] have in common. Dropping one gives the stream up, which
/// resets it; only [`close`](Self::close) says the end.
#[derive(Debug)]
pub struct Stream {
    number: u64,
    side: Side,
    /// A copy of the host's unread bytes, and how many of them were consumed since.
    seen: Vec<u8>,
    taken: usize,
}

impl Stream {
    pub(crate) fn new(number: u64, side: Side) -> Self {
        Self {
            number,
            side,
            seen: Vec::new(),
            taken: 0,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Forgets the copy: the host's unread bytes are about to be taken by another way.
    pub(crate) fn forget_seen(&mut self) {
        if self.seen.capacity() > KEPT {
            self.seen = Vec::new();
        } else {
            self.seen.clear();
        }
        self.taken = 0;
    }

    pub(crate) fn error(&self, code: i32) -> io::Error {
        StreamError::io(self.side, code)
    }

    /// To whom it leads.
    pub fn side(&self) -> Side {
        self.side
    }

    /// At least one unread byte, waiting for it; nothing at the end of the stream. Unread bytes
    /// stay with the host, so a plugin that does not [`consume`](Self::consume) makes the peer wait.
    ///
    /// # Errors
    ///
    /// The stream broke, or its step was cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub async fn fill(&mut self) -> io::Result<&[u8]> {
        std::future::poll_fn(|cx| self.poll_seen(cx)).await?;
        Ok(self.unread())
    }

    /// Takes `n` bytes of those that [`fill`](Self::fill) showed; more than those takes those.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.seen.len() - self.taken);
        if n > 0 {
            host::stream_consume(self.number, n);
            self.taken += n;
        }
        if self.taken == self.seen.len() {
            self.forget_seen();
        }
    }

    fn unread(&self) -> &[u8] {
        &self.seen[self.taken..]
    }

    fn poll_seen(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread().is_empty() {
            self.forget_seen();
            let seen = &mut self.seen;
            ready!(host::stream_lent(self.number, cx, |lent| {
                seen.extend_from_slice(lent);
                0
            }))
            .map_err(|code| self.error(code))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands the unread bytes to `take`, which says how many it took. Without a copy in between.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        self.forget_seen();
        host::stream_lent(self.number, cx, take).map_err(|code| self.error(code))
    }

    pub(crate) fn poll_pieces(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        host::stream_write(self.number, cx, pieces).map_err(|code| self.error(code))
    }

    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        host::stream_flush(self.number, cx).map_err(|code| self.error(code))
    }

    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        host::stream_close(self.number, cx).map_err(|code| self.error(code))
    }

    /// Reads up to and including `\n` into `line`, which is emptied first. Returns its length; 0 at
    /// the end of the stream.
    ///
    /// # Errors
    ///
    /// The stream broke, ended in mid-line (`UnexpectedEof`), or held `most` bytes without a `\n`
    /// (`InvalidData`).
    ///
    /// # Cancel safety
    ///
    /// What was read of the line is in `line`; do not call it again for the same line.
    pub async fn read_line(&mut self, line: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        line.clear();
        loop {
            let seen = self.fill().await?;
            if seen.is_empty() {
                return match line.len() {
                    0 => Ok(0),
                    _ => Err(self.error(CODE_END)),
                };
            }
            let end = seen.iter().position(|byte| *byte == b'\n');
            let n = end.map_or(seen.len(), |at| at + 1);
            if line.len() + n > most {
                return Err(self.error(CODE_LONG));
            }
            line.extend_from_slice(&seen[..n]);
            self.consume(n);
            if end.is_some() {
                return Ok(line.len());
            }
        }
    }

    /// Reads exactly as many bytes as `into` has.
    ///
    /// # Errors
    ///
    /// The stream broke, or ended before (`UnexpectedEof`).
    ///
    /// # Cancel safety
    ///
    /// None: how many bytes were read is lost.
    pub async fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        let mut at = 0;
        while at < into.len() {
            let rest = &mut into[at..];
            let n = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, rest)).await?;
            if n == 0 {
                return Err(self.error(CODE_END));
            }
            at += n;
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The stream broke, or its step was cut. How much was taken, [`info`](Self::info) says.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let n = self.write_vectored(&[io::IoSlice::new(left)]).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            left = left.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes from the pieces in order; returns how many bytes were taken.
    ///
    /// # Errors
    ///
    /// The stream broke, or its step was cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is written when it is dropped before its end.
    pub async fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_pieces(cx, pieces)).await
    }

    /// Waits until the peer's side of the stream has taken everything written.
    ///
    /// # Errors
    ///
    /// The stream broke, or its step was cut.
    pub async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_sent(cx)).await
    }

    /// Says the end of what is written (a FIN). Nothing else ever does.
    ///
    /// # Errors
    ///
    /// The stream broke, or its step was cut.
    pub async fn close(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Whether the node owes bytes on this stream now (so at the start of each step) or may be
    /// silent for as long as it likes: a live read between two messages.
    pub fn due(&mut self, due: bool) {
        host::stream_due(self.number, due);
    }

    /// What the host knows of it; all zero once the stream is gone.
    pub fn info(&self) -> StreamInfo {
        host::stream_info(self.number).unwrap_or_default()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        host::stream_give_up(self.number);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_take(cx, |lent| {
            let n = lent.len().min(into.len());
            into[..n].copy_from_slice(&lent[..n]);
            n
        })
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let stream = self.get_mut();
        ready!(stream.poll_seen(cx))?;
        Poll::Ready(Ok(stream.unread()))
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        Stream::consume(&mut self, n);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_pieces(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_pieces(cx, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)
    }
}

/// The stream to the client of a session; see [`Stream`] for what it can do.
#[derive(Debug)]
pub struct ClientStream(Stream);

impl ClientStream {
    pub(crate) fn new(number: u64) -> Self {
        Self(Stream::new(number, Side::Client))
    }
}

/// A stream to a node; see [`Stream`] for what it can do. It may be kept in a link.
#[derive(Debug)]
pub struct NodeStream {
    stream: Stream,
    id: NodeId,
    name: Arc<str>,
}

impl NodeStream {
    pub(crate) fn new(number: u64, id: NodeId, name: Arc<str>) -> Self {
        Self {
            stream: Stream::new(number, Side::Node),
            id,
            name,
        }
    }

    /// Another stream to the same node.
    pub(crate) fn beside(id: NodeId, name: &Arc<str>, number: u64) -> Self {
        Self::new(number, id, Arc::clone(name))
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The node's number.
    pub fn node(&self) -> NodeId {
        self.id
    }

    /// The node's name: its address, as configured.
    pub fn node_name(&self) -> &str {
        &self.name
    }
}

impl Deref for ClientStream {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.0
    }
}

impl DerefMut for ClientStream {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.0
    }
}

impl Deref for NodeStream {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl DerefMut for NodeStream {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

/// Either end of a [`relay`](crate::Director::relay). Sealed: the SDK's streams are all there are.
pub trait AsStream: sealed::Sealed + Send {
    #[doc(hidden)]
    fn as_stream(&mut self) -> &mut Stream;
}

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Stream {}
    impl Sealed for super::ClientStream {}
    impl Sealed for super::NodeStream {}
}

impl AsStream for Stream {
    fn as_stream(&mut self) -> &mut Stream {
        self
    }
}

/// The traits of both sides' streams are those of [`Stream`].
macro_rules! like_stream {
    ($($side:ty),*) => { $(
        impl AsStream for $side {
            fn as_stream(&mut self) -> &mut Stream {
                self
            }
        }

        impl AsyncRead for $side {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                into: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut **self).poll_read(cx, into)
            }
        }

        impl AsyncBufRead for $side {
            fn poll_fill_buf(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<&[u8]>> {
                Pin::new(&mut **self.get_mut()).poll_fill_buf(cx)
            }

            fn consume(mut self: Pin<&mut Self>, n: usize) {
                Stream::consume(&mut self, n);
            }
        }

        impl AsyncWrite for $side {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut **self).poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                pieces: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_pieces(cx, pieces)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_sent(cx)
            }

            fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_end(cx)
            }
        }
    )* };
}
like_stream!(ClientStream, NodeStream);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_at_rest_keeps_no_room_for_what_it_once_saw() {
        let mut stream = Stream::new(0, Side::Client);
        for length in [1, KEPT, KEPT + 1, 16 * 1024] {
            stream.seen = vec![b'x'; length];
            stream.consume(length - 1);
            assert_eq!(stream.unread(), b"x");
            stream.consume(1);
            assert!(stream.seen.capacity() <= KEPT, "after {length} bytes");
        }
    }
}
