//! How sockets behave and how they end.

use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// Sets how a socket is to behave once it is the host's.
pub(super) fn take_charge(socket: &TcpStream) {
    // From the first moment on: whatever drops it, and were it the end of the process.
    set_linger(socket, Some(Duration::ZERO));
    // Urgent bytes come in their place among the others, and none is lost.
    if let Err(error) = SockRef::from(socket).set_out_of_band_inline(true) {
        tracing::warn!(%error, "urgent bytes of a stream could not be put in line");
    }
}

/// Resets a socket that never became a stream.
pub(crate) fn reset(socket: TcpStream) {
    set_linger(&socket, Some(Duration::ZERO));
}

/// With zero, the socket is reset when it is dropped, and what was not sent yet thrown away.
pub(super) fn set_linger(socket: &TcpStream, how_long: Option<Duration>) {
    // It fails for no socket of ours; if it did, the drop would send a FIN, which is worth a word.
    if let Err(error) = SockRef::from(socket).set_linger(how_long) {
        tracing::warn!(%error, "how a stream is to end could not be set");
    }
}
