//! More of what a [`Stream`] can say and do, since ABI 1.1.

use std::io;
use std::net::SocketAddr;

use crate::glue::further as host;
use crate::stream::Stream;
use crate::tls::Tls;

impl Stream {
    /// Our end; `None` once the stream is gone, or when the host is too old to say.
    pub fn local(&self) -> Option<SocketAddr> {
        host::stream_ends(self.number()).0
    }

    /// The peer's end; `None` as for [`local`](Self::local).
    pub fn peer(&self) -> Option<SocketAddr> {
        host::stream_ends(self.number()).1
    }

    /// Its TLS as it stands; `None` for a stream without.
    pub fn tls(&self) -> Option<Tls> {
        Tls::of(self.number())
    }

    /// The first failure of this stream in words, for logs and replies: an alert of TLS, what is wrong
    /// with a certificate. `None` when it has not failed.
    pub fn trouble(&self) -> Option<String> {
        host::stream_error(self.number())
    }

    /// Writes all of `bytes`, the last of them as TCP urgent data (RFC 9293, section 3.8.5; Telnet's
    /// Synch, RFC 854). On a stream with TLS it is a plain write. Urgent bytes of the peer are read in
    /// line with the others.
    ///
    /// # Errors
    ///
    /// The stream broke, or its step was cut. How much was taken, [`info`](Self::info) says.
    ///
    /// # Cancel safety
    ///
    /// Some of the bytes may have been written when it is dropped; none is urgent then.
    pub async fn write_urgent(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let n = std::future::poll_fn(|cx| host::stream_urgent(self.number(), cx, left))
                .await
                .map_err(|code| self.error(code))?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            left = left.get(n..).unwrap_or_default();
        }
        Ok(())
    }
}
