//! Bytes on their way to one side, written as the side takes them.
//!
//! They are bounded from outside: as long as many wait, nothing more is read that could add to them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use director_sdk::Stream;
use futures_io::AsyncWrite;
use zeroize::Zeroize;

/// As long as so many bytes wait, nothing is read that adds to them.
pub(crate) const FULL: usize = 16 * 1024;
/// Room that is kept when nothing waits: thousands of sessions are at rest at once.
const KEPT: usize = 256;
/// Marks of urgent data (RFC 854, Synch) that are kept; TCP itself knows one at a time.
const MOST_MARKS: usize = 4;

/// Bytes on their way.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    at: usize,
    /// Ends of urgent pieces, in `bytes`.
    urgent: VecDeque<usize>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Some bytes were taken.
    Some,
    /// The next bytes are urgent: [`Outgoing::send_urgent`].
    Urgent,
}

impl Outgoing {
    /// Where bytes are added.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The last byte that was added is urgent.
    pub(crate) fn mark_urgent(&mut self) {
        if self.urgent.len() == MOST_MARKS {
            self.urgent.pop_front();
        }
        self.urgent.push_back(self.bytes.len());
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Whether so much waits that nothing may be added by reading.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() - self.at >= FULL
    }

    /// Sends what `to` takes. Pending also when nothing waits.
    ///
    /// # Errors
    ///
    /// The stream broke.
    pub(crate) fn poll_send(
        &mut self,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Sent>> {
        if self.is_empty() {
            return Poll::Pending;
        }
        let until = match self.urgent.front() {
            // The urgent byte and the IAC before it go together.
            Some(end) if end - self.at <= 2 => return Poll::Ready(Ok(Sent::Urgent)),
            Some(end) => end - 2,
            None => self.bytes.len(),
        };
        let waiting = &self.bytes[self.at..until];
        Pin::new(to).poll_write(cx, waiting).map_ok(|n| {
            self.sent(n);
            Sent::Some
        })
    }

    /// Sends the urgent bytes that are next.
    ///
    /// # Errors
    ///
    /// The stream broke.
    ///
    /// # Cancel safety
    ///
    /// None: bytes may be sent twice.
    pub(crate) async fn send_urgent(&mut self, to: &mut Stream) -> io::Result<()> {
        if let Some(end) = self.urgent.pop_front() {
            let n = end - self.at;
            to.write_urgent(&self.bytes[self.at..end]).await?;
            self.sent(n);
        }
        Ok(())
    }

    /// Sends all that waits.
    ///
    /// # Errors
    ///
    /// The stream broke.
    ///
    /// # Cancel safety
    ///
    /// As [`send_urgent`](Self::send_urgent).
    pub(crate) async fn send_all(&mut self, to: &mut Stream) -> io::Result<()> {
        while !self.is_empty() {
            match std::future::poll_fn(|cx| self.poll_send(to, cx)).await? {
                Sent::Some => {}
                Sent::Urgent => self.send_urgent(to).await?,
            }
        }
        Ok(())
    }

    fn sent(&mut self, n: usize) {
        self.at += n;
        if self.is_empty() {
            self.rest();
        }
    }

    /// What was typed may have been a password.
    fn rest(&mut self) {
        self.at = 0;
        self.urgent.clear();
        if self.bytes.capacity() > KEPT {
            self.bytes.zeroize();
            self.bytes = Vec::new();
        } else {
            self.bytes.zeroize();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
