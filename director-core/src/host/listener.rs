//! Listeners for further connections of a stream's peer.
//!
//! A port that is open for one peer is open for all the world: whoever else comes is reset before
//! the plugin hears of it, counted, and told of, though not more often than every few seconds.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::task::{Poll, ready};

use director_abi::{CODE_CUT, CODE_GONE, CODE_NONE};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::address::canonical;
use super::bundle::{Over, Place};
use super::further::{Made, begin_further};
use super::slab::Void;
use super::socket::reset;
use super::stream::{Stream, code_of};
use super::tables::{self, Counted, Live};
use super::task::Task;
use super::waker::{Lent, WakerSlot};
use crate::chance;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 16;
/// Strangers that one poll turns away; more would keep the other sessions of the thread waiting.
const STRANGERS: usize = 32;

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Peer,
    Anyone,
}

/// One listener of a bundle.
#[derive(Debug)]
pub(super) struct Listener {
    number: u64,
    first: Rc<Stream>,
    /// Out of it once it has ended.
    socket: RefCell<Option<TcpListener>>,
    local: SocketAddr,
    /// Whose connections are accepted; `None` for anybody's.
    peer: Option<IpAddr>,
    slot: WakerSlot,
    waits: Cell<bool>,
    cut: Cell<bool>,
    task: Rc<Task>,
    /// Its place in the bundle.
    place: RefCell<Option<Place>>,
    _live: Counted,
}

impl Listener {
    /// Listens on a free port of a range.
    ///
    /// # Errors
    ///
    /// An `errno`: that of binding the last port that was tried; or one of the boundary's codes.
    pub(super) fn begin(
        task: &Rc<Task>,
        of: &Rc<Stream>,
        ports: RangeInclusive<u16>,
        who: Who,
    ) -> Result<u64, i32> {
        let first = of.first();
        match first.bundle.over() {
            None => {}
            Some(Over::Cut) => return Err(CODE_CUT),
            Some(Over::Ended) => return Err(CODE_GONE),
        }
        let not_connected = Errno::NOTCONN.raw_os_error();
        let (Some(ours), Some(peer)) = (of.ends.local, of.ends.peer) else {
            return Err(not_connected);
        };
        let place = first.bundle.enter().ok_or(CODE_NONE)?;
        let bound = bind(ours, ports).and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (local, socket) = bound.map_err(|error| code_of(&error))?;
        let listener = tables::insert(|number| {
            place.set(number);
            Self {
                number,
                first,
                socket: RefCell::new(Some(socket)),
                local,
                peer: match who {
                    Who::Peer => Some(peer.ip()),
                    Who::Anyone => None,
                },
                slot: WakerSlot::default(),
                waits: Cell::new(false),
                cut: Cell::new(false),
                task: Rc::clone(task),
                place: RefCell::new(Some(place)),
                _live: Counted::new(Live::Listener),
            }
        });
        listener.map(|listener| listener.number).ok_or(CODE_NONE)
    }

    /// Where it listens.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The number of the next connection.
    pub(super) fn poll_accept(&self, waker: Lent<'_>) -> Made {
        if self.cut.get() {
            return Poll::Ready(Err(CODE_CUT));
        }
        for _ in 0..STRANGERS {
            let Ok(listener) = self.socket.try_borrow() else {
                return Poll::Ready(Err(CODE_GONE));
            };
            let Some(listener) = listener.as_ref() else {
                return Poll::Ready(Err(CODE_GONE));
            };
            let accepted = self.slot.poll_with(waker, |cx| listener.poll_accept(cx));
            self.waits.set(accepted.is_pending());
            match ready!(accepted) {
                Ok((socket, from)) => {
                    if let Some(socket) = self.known(socket, from) {
                        return Poll::Ready(self.keep(socket));
                    }
                }
                Err(error) if is_the_connections(&error) => {
                    tracing::debug!(%error, "a connection was gone before it was accepted");
                }
                Err(error) => return Poll::Ready(Err(code_of(&error))),
            }
        }
        waker.to_owned().wake();
        Poll::Pending
    }

    /// Turns strangers away.
    fn known(&self, socket: TcpStream, from: SocketAddr) -> Option<TcpStream> {
        let ip = canonical(from).ip();
        if self.peer.is_none_or(|peer| peer == ip) {
            return Some(socket);
        }
        reset(socket);
        self.task
            .inner
            .stranger(self.task.session, self.local, from);
        None
    }

    fn keep(&self, socket: TcpStream) -> Result<u64, i32> {
        let Some(place) = self.first.bundle.enter() else {
            reset(socket);
            return Err(CODE_NONE);
        };
        let keepalive = self.task.inner.timeouts.keepalive;
        begin_further(socket, &self.first, place, keepalive)
    }

    /// Nobody waits for a connection any more: whoever did was dropped.
    pub(super) fn leave(&self) {
        self.waits.set(false);
        self.slot.clear();
    }

    /// The plugin waits for a connection.
    pub(super) fn is_awaited(&self) -> bool {
        self.waits.get()
    }

    /// Accepting fails from now on.
    pub(super) fn cut(&self) {
        if !self.cut.replace(true) {
            self.slot.wake();
        }
    }

    /// Ends the listener of a number. What it has not accepted is reset by the kernel.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let listener = tables::remove::<Self>(number)?;
        drop(listener.place.take());
        if let Ok(mut socket) = listener.socket.try_borrow_mut() {
            drop(socket.take());
        }
        listener.slot.wake();
        Ok(())
    }
}

/// The error is of a connection that was to be accepted, and none of ours (accept(2)).
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTUNREACH
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
        )
    )
}

/// Listens at the address of `ours`, on a free port of a range. The search begins anywhere in it: a
/// port that was used just now is the one at which a late connection arrives.
fn bind(ours: SocketAddr, ports: RangeInclusive<u16>) -> io::Result<TcpListener> {
    let (first, last) = (*ports.start(), *ports.end());
    if last < first || (first == 0 && last != 0) {
        return Err(Errno::INVAL.into());
    }
    let count = u32::from(last - first) + 1;
    let start = ((chance::share() * f64::from(count)) as u32).min(count - 1);
    let mut refused = Errno::ADDRINUSE.into();
    for step in 0..count {
        let offset = (start + step) % count;
        let mut address = ours;
        // Within the range, which is within u16.
        address.set_port(first + offset as u16);
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => {
                refused = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // The last connections at a port of a small range must not keep it from the next ones.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
