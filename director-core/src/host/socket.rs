//! How sockets behave and how they end.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

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

/// Leaves it to `connect` to choose the port of a socket that is bound to an address alone (ip(7)): by
/// then the peer is known, and a port that is in use towards another peer is free towards this one.
/// Chosen by `bind`, each address would have some 28,000 ports for all peers together.
///
/// # Errors
///
/// That of setsockopt(2).
pub(super) fn bind_address_alone(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is lent, and the option is one `int`, which
    // is read during the call only.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
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
