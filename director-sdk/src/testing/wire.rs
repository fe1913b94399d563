//! The far ends of connections in memory: what tests write nodes and clients over.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use super::net::End;
use super::state::State;

/// The far end of a connection: a node's, or a client's. Dropping it closes it, as the end of a
/// process does: with a FIN, and without the `close_notify` of TLS.
pub struct Wire {
    pub(super) state: Rc<RefCell<State>>,
    pub(super) connection: usize,
    closed: bool,
}

impl Wire {
    pub(super) fn new(state: &Rc<RefCell<State>>, connection: usize) -> Self {
        Self {
            state: Rc::clone(state),
            connection,
            closed: false,
        }
    }

    fn poll_take(
        &self,
        cx: &Context<'_>,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let read = state.receive(self.connection, End::Far, into, most, cx.waker());
        read.map_err(|code| state.far_error(self.connection, code))
    }

    fn poll_give(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let wrote = state.transmit(self.connection, End::Far, &[bytes], cx.waker());
        wrote.map_err(|code| state.far_error(self.connection, code))
    }

    /// Ready when what was written is in the connection.
    fn poll_drained(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        state.drain(self.connection, End::Far, cx.waker()).map(Ok)
    }

    /// Reads at most as many bytes as `into` has room for; 0 at the end.
    ///
    /// # Errors
    ///
    /// The connection was reset.
    pub async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, into)).await
    }

    /// Reads up to and including `\n`; what there was before the end, at the end.
    ///
    /// # Errors
    ///
    /// The connection was reset.
    pub async fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            if poll_fn(|cx| self.poll_take(cx, &mut line, 1)).await? == 0 {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Reads exactly `n` bytes.
    ///
    /// # Errors
    ///
    /// The connection was reset, or ended before (`UnexpectedEof`).
    pub async fn read_exact(&mut self, n: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            let left = n - bytes.len();
            if poll_fn(|cx| self.poll_take(cx, &mut bytes, left)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(bytes)
    }

    /// Reads to the end.
    ///
    /// # Errors
    ///
    /// The connection was reset.
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while poll_fn(|cx| self.poll_take(cx, &mut bytes, usize::MAX)).await? > 0 {}
        Ok(bytes)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The connection was reset, or its reader is gone.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let n = poll_fn(|cx| self.poll_give(cx, left)).await?;
            left = &left[n..];
        }
        poll_fn(|cx| self.poll_drained(cx)).await
    }

    /// Says the end of what is written (a FIN, and before it the `close_notify` of TLS); reading goes
    /// on.
    pub fn close(&mut self) {
        self.state.borrow_mut().finish(self.connection, End::Far);
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.closed = true;
        self.state.borrow_mut().connections[self.connection].reset();
    }

    /// Both directions at once: the first to read with, the second to write with.
    pub fn split(&mut self) -> (Self, Self) {
        let half = || Self {
            state: Rc::clone(&self.state),
            connection: self.connection,
            // The whole closes, not a half.
            closed: true,
        };
        (half(), half())
    }

    /// Whether a node is alive and answers: what its peers would find out by asking it.
    pub fn is_well(&self, node: &str) -> bool {
        let state = self.state.borrow();
        let mut nodes = state.nodes.iter();
        nodes.any(|known| &*known.name == node && known.up && !known.silent)
    }

    /// Notes that something was done here that must be done once: compared between runs.
    pub fn effect(&self, what: impl Into<String>) {
        self.state.borrow_mut().effects.push(what.into());
    }

    /// Waits, in the world's time.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        sleep(&self.state, time)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.closed {
            let mut state = self.state.borrow_mut();
            state.hang_up(self.connection);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = Vec::new();
        let read = self.poll_take(cx, &mut bytes, into.len());
        into[..bytes.len()].copy_from_slice(&bytes);
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_give(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        self.poll_drained(cx)
    }
}

#[cfg(feature = "hyper")]
impl hyper::rt::Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = Vec::new();
        let read = self.poll_take(cx, &mut bytes, into.remaining());
        into.put_slice(&bytes);
        read.map_ok(|_| ())
    }
}

#[cfg(feature = "hyper")]
impl hyper::rt::Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_give(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        self.poll_drained(cx)
    }
}

/// A timer of the kit's own, which belongs to no task of the plugin's.
struct Sleeping {
    state: Rc<RefCell<State>>,
    number: u64,
}

pub(super) fn sleep(
    state: &Rc<RefCell<State>>,
    time: Duration,
) -> impl Future<Output = ()> + 'static {
    let number = state.borrow_mut().own_timer(0, time);
    Sleeping {
        state: Rc::clone(state),
        number,
    }
}

impl Future for Sleeping {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        state.poll_timer(self.number, cx.waker()).map(|_| ())
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.state.borrow_mut().end_timer(self.number);
    }
}
