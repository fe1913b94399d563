//! What a stream's bytes go through: a socket, bare or with TLS on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::task::coop;

use super::secure::{Handshake, Secure};

/// A socket, and the TLS on it. Boxed, because most streams have none.
#[derive(Debug)]
pub(super) struct Transport {
    socket: TcpStream,
    secure: Option<Box<Secure>>,
}

impl From<TcpStream> for Transport {
    fn from(socket: TcpStream) -> Self {
        let secure = None;
        Self { socket, secure }
    }
}

impl Transport {
    /// The socket.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The TLS on it, its handshake over or not.
    pub(super) fn secure(&self) -> Option<&Secure> {
        self.secure.as_deref()
    }

    /// Puts TLS on it, whose handshake is then to be polled.
    pub(super) fn put_on(&mut self, secure: Secure) {
        self.secure = Some(Box::new(secure));
    }

    /// A socket on which TLS comes first: returns when the handshake is over.
    ///
    /// # Errors
    ///
    /// A [`crate::tls::Trouble`], or an error of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the socket.
    pub(super) async fn secured(socket: TcpStream, secure: Secure) -> io::Result<Self> {
        let mut transport = Self::from(socket);
        transport.put_on(secure);
        std::future::poll_fn(|cx| {
            let mut writes = Context::from_waker(cx.waker());
            transport.poll_handshake(cx, &mut writes)
        })
        .await?;
        Ok(transport)
    }

    /// Carries the handshake on. `reads` and `writes` are woken by whichever it waits for.
    pub(super) fn poll_handshake(
        &mut self,
        reads: &mut Context<'_>,
        writes: &mut Context<'_>,
    ) -> Poll<io::Result<Handshake>> {
        match &mut self.secure {
            Some(secure) => secure.poll_handshake(reads, writes, &self.socket),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Reads; 0 bytes is the end of what the peer writes. With TLS only its `close_notify` is that
    /// end; that of the connection alone is an error.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // What tokio's own reads and writes cost: a plugin that reads what never ends would keep the
        // other sessions of the thread waiting.
        let budget = ready!(coop::poll_proceed(cx));
        let read = self.poll_read_now(cx, into);
        if read.is_ready() {
            budget.made_progress();
        }
        read
    }

    fn poll_read_now(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.secure {
            Some(secure) => secure.poll_read(cx, &self.socket, into),
            // Not by `poll_read`, which takes it that a short read has emptied the socket, and then waits
            // for news: a read stops short before urgent data (`SO_OOBINLINE`), and what stands behind
            // its mark is no news.
            None => loop {
                match self.socket.try_read(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        ready!(self.socket.poll_read_ready(cx))?;
                    }
                    done => return Poll::Ready(done),
                }
            },
        }
    }

    /// Writes from the pieces in order. With TLS, what the kernel does not take at once is left
    /// over: see [`Transport::has_left_over`].
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.secure {
            Some(secure) => {
                let budget = ready!(coop::poll_proceed(cx));
                let written = secure.write(&self.socket, pieces);
                if written.is_ready() {
                    budget.made_progress();
                }
                written
            }
            None => Pin::new(&mut self.socket).poll_write_vectored(cx, pieces),
        }
    }

    /// Says the end of what is written.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(secure) = &mut self.secure {
            ready!(secure.close(&self.socket))?;
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// There is something encrypted that the kernel has not taken yet. Reading, writing and closing
    /// wait for nobody's waker then: whoever asks is to see to [`Transport::poll_left_over`].
    pub(super) fn has_left_over(&self) -> bool {
        self.secure
            .as_ref()
            .is_some_and(|secure| secure.has_left_over())
    }

    /// Hands what is left over to the kernel; how much it took since the last call that was ready.
    pub(super) fn poll_left_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.secure {
            Some(secure) => secure.poll_left_over(cx, &self.socket),
            None => Poll::Ready(Ok(())),
        }
    }

    /// With TLS: takes in what has come, which may be no byte of the stream's but a ticket. Whether
    /// there is something to read then. `None` without TLS.
    pub(super) fn absorb(&mut self) -> Option<bool> {
        let secure = self.secure.as_mut()?;
        secure.absorb(&self.socket);
        Some(secure.has_something())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_stands_behind_urgent_data_is_read_though_nothing_follows() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (client, (socket, _)) = (client.unwrap(), accepted.unwrap());
        let peer = socket2::SockRef::from(&client);
        socket2::SockRef::from(&socket)
            .set_out_of_band_inline(true)
            .unwrap();
        let mut transport = Transport::from(socket);
        let mut got = Vec::new();
        let reading = async {
            for sent in [false, true] {
                if sent {
                    // All of it is there before the next read, and the news of it were heard.
                    peer.send(b"b").unwrap();
                    peer.send_out_of_band(b"!").unwrap();
                    peer.send(b"c").unwrap();
                    transport.socket().readable().await.unwrap();
                } else {
                    peer.send(b"a").unwrap();
                }
                let due = if sent { 4 } else { 1 };
                while got.len() < due {
                    let mut buffer = [0; 64];
                    let n = std::future::poll_fn(|cx| transport.poll_read(cx, &mut buffer)).await;
                    got.extend_from_slice(&buffer[..n.unwrap()]);
                }
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
        assert_eq!((read.is_ok(), got.as_slice()), (true, &b"ab!c"[..]));
    }
}
