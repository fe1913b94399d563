//! tokio's I/O traits on the host's streams, for its codecs and helpers. They need no runtime.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::{ClientStream, NodeStream, Stream};

macro_rules! tokio_io {
    ($($side:ty),*) => { $(
        impl AsyncRead for $side {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                into: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if into.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_take(cx, |lent| {
                    let n = lent.len().min(into.remaining());
                    into.put_slice(&lent[..n]);
                    n
                }))?;
                Poll::Ready(Ok(()))
            }
        }

        impl AsyncBufRead for $side {
            fn poll_fill_buf(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<&[u8]>> {
                let stream: &mut Stream = self.get_mut();
                futures_io::AsyncBufRead::poll_fill_buf(Pin::new(stream), cx)
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
tokio_io!(Stream, ClientStream, NodeStream);
