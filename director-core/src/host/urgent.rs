//! Urgent data: bytes of which the last is marked for the peer to look at first.

use std::io::{self, IoSlice};
use std::task::{Poll, ready};

use rustix::net::{SendFlags, send};
use tokio::io::Interest;

use super::stream::{Io, Stream, Way};
use super::waker::Lent;

impl Stream {
    /// Writes bytes, the last of them urgent (RFC 9293, section 3.8.5). What `n` counts has been
    /// taken; the mark went with it only when that is all.
    pub(super) fn poll_urgent(&self, waker: Lent<'_>, bytes: &[u8]) -> Io {
        let [before @ .., last] = bytes else {
            return self.poll_write(waker, &[]);
        };
        if self.is_secure() {
            // Encrypted, no byte can be marked.
            return self.poll_write(waker, &[IoSlice::new(bytes)]);
        }
        // The kernel marks the last byte that it takes, which may not be the last that there is.
        if !before.is_empty() {
            return self.poll_write(waker, &[IoSlice::new(before)]);
        }
        let sent = self.poll_raw(waker, Way::Write, |cx, socket| {
            loop {
                ready!(socket.poll_write_ready(cx))?;
                let sent = socket.try_io(Interest::WRITABLE, || {
                    let sent = send(socket, &[*last], SendFlags::OOB | SendFlags::NOSIGNAL);
                    sent.map_err(io::Error::from)
                });
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            }
        });
        if let Poll::Ready(Ok(n)) = sent {
            self.note_accepted(n as u64);
        }
        sent
    }
}
