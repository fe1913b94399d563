//! Further connections: to the peer of a stream that is there already, from our end of it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use director_abi::{CODE_CUT, CODE_GONE, CODE_NONE};
use rustix::io::Errno;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use super::bundle::{Over, Place};
use super::instance::Timeouts;
use super::slab::Void;
use super::socket::{bind_address_alone, reset};
use super::stream::{Side, Stream, code_of};
use super::tables::{self, Counted, Live};
use super::waker::{Lent, WakerSlot};

/// The number of what was made, or an `errno` or one of the boundary's codes.
pub(super) type Made = Poll<Result<u64, i32>>;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

/// A further connection under way.
pub(super) struct Connect {
    number: u64,
    first: Rc<Stream>,
    connecting: RefCell<Connecting>,
    keepalive: Duration,
    slot: WakerSlot,
    cut: Cell<bool>,
    /// Its place in the bundle; the stream's, once there is one.
    place: RefCell<Option<Place>>,
    _live: Counted,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Connect {
    /// Begins to connect; `None` when the bundle of `of` has too many, or no number is left.
    pub(super) fn begin(of: &Rc<Stream>, port: u16, timeouts: &Timeouts) -> Option<u64> {
        let first = of.first();
        let place = first.bundle.enter()?;
        let within = match first.side {
            // Its network is not ours: a lost packet alone may cost a second.
            Side::Client { .. } => timeouts.stall,
            Side::Link { .. } | Side::Health { .. } => timeouts.connect,
        };
        let (local, peer) = (of.ends.local, of.ends.peer);
        let connect = tables::insert(|number| {
            place.set(number);
            Self {
                number,
                cut: Cell::new(first.is_cut()),
                first,
                connecting: RefCell::new(Box::pin(connect(local, peer, port, within))),
                keepalive: timeouts.keepalive,
                slot: WakerSlot::default(),
                place: RefCell::new(Some(place)),
                _live: Counted::new(Live::Connect),
            }
        })?;
        Some(connect.number)
    }

    /// The stream's number once it stands. Its own number is void when this is ready.
    pub(super) fn poll(&self, waker: Lent<'_>) -> Made {
        if self.cut.get() {
            return self.over(Err(CODE_CUT));
        }
        let Ok(mut connecting) = self.connecting.try_borrow_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let polled = self
            .slot
            .poll_with(waker, |cx| connecting.as_mut().poll(cx));
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, peer = ?self.first.ends.peer, "a further connection failed");
                self.over(Err(code_of(&error)))
            }
            Poll::Ready(Ok(socket)) => {
                let place = self.place.take();
                self.over(place.map_or(Err(CODE_GONE), |place| {
                    begin_further(socket, &self.first, place, self.keepalive)
                }))
            }
        }
    }

    fn over(&self, made: Result<u64, i32>) -> Made {
        // Void already when it was ended in between.
        let _ended = Self::end(self.number);
        Poll::Ready(made)
    }

    /// It fails from now on.
    pub(super) fn cut(&self) {
        if !self.cut.replace(true) {
            self.slot.wake();
        }
    }

    /// Ends the connect of a number.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let connect = tables::remove::<Self>(number)?;
        drop(connect.place.take());
        connect.slot.wake();
        Ok(())
    }
}

/// Keeps a further socket as a stream of the bundle of `first`.
pub(super) fn begin_further(
    socket: TcpStream,
    first: &Rc<Stream>,
    place: Place,
    keepalive: Duration,
) -> Result<u64, i32> {
    let code = match first.bundle.over() {
        None => None,
        Some(Over::Cut) => Some(CODE_CUT),
        Some(Over::Ended) => Some(CODE_GONE),
    };
    if let Some(code) = code {
        reset(socket);
        return Err(code);
    }
    if let Err(error) = prepare(&socket, keepalive) {
        // The peer is gone already; the plugin will find out.
        tracing::debug!(%error, "a further stream takes no options");
    }
    let stream = Stream::begin_further(socket, first, place).ok_or(CODE_NONE)?;
    Ok(stream.number)
}

/// No waiting for more to send; and a peer that vanished without a word is found out, also where nobody
/// owes anything.
pub(super) fn prepare(socket: &TcpStream, keepalive: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(keepalive)
        .with_interval((keepalive / 6).max(Duration::from_secs(1)))
        .with_retries(6);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// A socket at the address of `local`, at a port that is chosen when it connects to `peer`.
fn bound(mut local: SocketAddr, peer: SocketAddr) -> io::Result<TcpSocket> {
    local.set_port(0);
    let socket = if peer.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // From the first moment on: a connection that stands and is given up before anybody had it is reset.
    socket.set_zero_linger()?;
    bind_address_alone(&socket)?;
    socket.bind(local)?;
    Ok(socket)
}

async fn connect(
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    port: u16,
    within: Duration,
) -> io::Result<TcpStream> {
    let (Some(local), Some(mut peer)) = (local, peer) else {
        return Err(Errno::NOTCONN.into());
    };
    peer.set_port(port);
    let socket = bound(local, peer)?;
    tokio::time::timeout(within, socket.connect(peer))
        .await
        .unwrap_or_else(|_elapsed| Err(Errno::TIMEDOUT.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_chosen_when_it_connects() {
        for (local, peer) in [("127.0.0.1:7", "127.0.0.2:7"), ("[::1]:7", "[::1]:8")] {
            let socket = bound(local.parse().unwrap(), peer.parse().unwrap());
            let at = match socket {
                Ok(socket) => socket.local_addr().unwrap(),
                // A machine without IPv6.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL) => continue,
                Err(error) => panic!("{local}: {error}"),
            };
            let bound_to: SocketAddr = local.parse().unwrap();
            assert_eq!((at.ip(), at.port()), (bound_to.ip(), 0));
        }
    }
}
