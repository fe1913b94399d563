//! TLS on a stream that began without it. The host does it, with the service's own certificates.

use std::future::Future;
use std::io;

use director_abi as abi;

use crate::glue::further as host;
use crate::stream::{ClientStream, NodeStream, Stream};
use crate::stream_error::CODE_HANDSHAKE;

/// How the TLS of a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls {
    /// The handshake resumed a session.
    pub resumed: bool,
    /// The version as TLS writes it: 0x0303 for 1.2 (RFC 5246), 0x0304 for 1.3 (RFC 8446).
    pub version: u16,
    /// The peer has said the end of what it writes (`close_notify`, RFC 8446, section 6.1).
    pub peer_closed: bool,
}

impl Tls {
    pub(crate) fn of(stream: u64) -> Option<Self> {
        host::stream_tls(stream).map(|told| Self {
            resumed: told.resumed,
            version: told.version,
            peer_closed: told.peer_closed,
        })
    }
}

/// What is asked of a client's TLS besides the service's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientTls {
    session_of: u64,
    /// As [`abi::TlsSpec::flags`] has them.
    flags: u32,
}

impl ClientTls {
    /// The stream is a further one beside `control`, whose TLS session the client may resume.
    #[must_use]
    pub fn of(mut self, control: &ClientStream) -> Self {
        self.session_of = control.number();
        self
    }

    /// Without a session of this client's that the handshake resumes, there is no TLS: nobody else
    /// took the client's further connection.
    #[must_use]
    pub fn require_resumed(mut self) -> Self {
        self.flags |= abi::TlsSpec::REQUIRE_RESUMED;
        self
    }

    /// The client reads on this further stream (a download), so it is sent a ticket for its next one:
    /// with TLS 1.3 some clients use each only once. Not where it only writes: it would close with
    /// the ticket unread, its kernel answer with a reset, and the end of what it wrote be lost.
    #[must_use]
    pub fn renewing(mut self) -> Self {
        self.flags |= abi::TlsSpec::RENEW;
        self
    }
}

async fn start(stream: &mut Stream, session_of: u64, flags: u32) -> io::Result<Tls> {
    let number = stream.number();
    let begun = std::future::poll_fn(|cx| host::stream_start_tls(number, cx, session_of, flags));
    begun.await.map_err(|code| {
        stream.error(match code {
            abi::CODE_TLS => CODE_HANDSHAKE,
            other => other,
        })
    })?;
    stream.forget_seen();
    Tls::of(number).ok_or_else(|| stream.error(abi::CODE_GONE))
}

impl ClientStream {
    /// Upgrades the stream to TLS, as the server, with the service's certificate.
    ///
    /// # Errors
    ///
    /// The handshake failed, or the service has no certificate
    /// ([`is_tls`](crate::StreamError::is_tls); [`trouble`](Stream::trouble) has the words). Bytes came
    /// before it, which may have been injected ([`is_unread`](crate::StreamError::is_unread)). The
    /// stream broke.
    ///
    /// # Cancel safety
    ///
    /// None: a stream whose handshake was dropped can only be given up.
    pub async fn start_tls(&mut self, how: ClientTls) -> io::Result<Tls> {
        start(self, how.session_of, how.flags).await
    }
}

impl NodeStream {
    /// Upgrades the stream to TLS, as the client, by the service's settings for its nodes. With
    /// `session_of` it asks the node to resume the TLS session of that stream (which is not borrowed).
    ///
    /// # Errors
    ///
    /// As [`ClientStream::start_tls`]; a certificate that does not fit is a handshake that failed.
    ///
    /// # Cancel safety
    ///
    /// As [`ClientStream::start_tls`].
    pub fn start_tls<'a>(
        &'a mut self,
        session_of: Option<&NodeStream>,
    ) -> impl Future<Output = io::Result<Tls>> + Send + use<'a> {
        let session_of = session_of.map_or(0, |of| of.number());
        start(self, session_of, 0)
    }
}
