//! hyper on the host's streams and clock: its connections run in the plugin's own task, with no
//! runtime. `poll_shutdown`, which hyper calls at a proper end alone, is [`Stream::close`].

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::director::{Director, Sleeping};
use crate::failure::{Failure, Kind};
use crate::glue::host;
use crate::stream::{ClientStream, NodeStream, Stream};

macro_rules! hyper_io {
    ($($side:ty),*) => { $(
        impl hyper::rt::Read for $side {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut into: hyper::rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                if into.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
                self.poll_take(cx, |lent| {
                    let n = lent.len().min(into.remaining());
                    into.put_slice(&lent[..n]);
                    n
                })
                .map_ok(|_| ())
            }
        }

        impl hyper::rt::Write for $side {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_pieces(cx, &[io::IoSlice::new(bytes)])
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_sent(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                self.poll_end(cx)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                pieces: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_pieces(cx, pieces)
            }
        }
    )* };
}
hyper_io!(Stream, ClientStream, NodeStream);

/// hyper's timeouts (`header_read_timeout`) by the host's clock.
impl hyper::rt::Timer for Director {
    fn sleep(&self, time: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(self.sleeping(time))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let left = deadline.saturating_duration_since(hyper::rt::Timer::now(self));
        Box::pin(self.sleeping(left))
    }

    /// The host's clock counted from an `Instant` of ours, so that a virtual clock is one here too.
    fn now(&self) -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START + host::now()
    }
}

impl hyper::rt::Sleep for Sleeping {}

/// A broken stream is its side's failure; what hyper could not parse is [`Kind::Garbled`].
impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        let otherwise = if error.is_incomplete_message() || error.is_closed() || error.is_canceled()
        {
            Kind::Lost
        } else {
            Kind::Garbled
        };
        Self::from_error(&error, otherwise)
    }
}

const fn _sleeping_is_a_future<F: Future<Output = ()> + Send + Sync>() {}
const _: () = _sleeping_is_a_future::<Sleeping>();
