//! Streams: sockets that the host owns and a plugin reads and writes by number.
//!
//! A read buffer is taken when bytes are there and given back when they are consumed, so a session
//! that waits holds none. A stream that is given up is reset; a FIN is sent by `close` alone. Where
//! the plugin closed its client's stream, and the client goes on, the socket lingers.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use director_abi::{CODE_CUT, CODE_GONE, CODE_TLS};
use rustix::io::Errno;
use tokio::net::TcpStream;

use super::address::Ends;
use super::bundle::{Bundle, Place};
use super::clock;
use super::input::Input;
use super::linger;
use super::slab::Void;
use super::socket::{set_linger, take_charge};
use super::tables::{self, Counted, Live};
use super::transport::Transport;
use super::waker::{Lent, WakerSlot};
use crate::cluster::NodeId;
use crate::tls::Trouble;

/// Pieces of one write that go to the kernel at once.
const PIECES: usize = 32;

/// How an operation ended: a number of bytes, or an `errno` or one of the boundary's codes.
pub(super) type Io = Poll<Result<usize, i32>>;

/// Whose end of the stream is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The client's, of a session of an instance.
    Client {
        /// The instance's number.
        instance: u64,
    },
    /// A node's, on a link of an instance.
    Link {
        /// The instance's number.
        instance: u64,
        /// The node.
        node: NodeId,
    },
    /// A node's, for a probe or a watch: the node's death does not cut it.
    Health {
        /// The instance's number.
        instance: u64,
        /// The node.
        node: NodeId,
    },
}

/// One socket.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) side: Side,
    pub(super) ends: Ends,
    /// What the first stream and its further ones have in common.
    pub(super) bundle: Rc<Bundle>,
    /// The first stream of the bundle; `None` when it is this one.
    pub(super) first: Option<Rc<Stream>>,
    /// The place of a further stream in its bundle.
    place: RefCell<Option<Place>>,
    /// Out of it once the stream has ended.
    pub(super) transport: RefCell<Option<Transport>>,
    pub(super) input: RefCell<Input>,
    pub(super) received: Cell<u64>,
    pub(super) accepted: Cell<u64>,
    pub(super) due: Cell<bool>,
    pub(super) read_slot: WakerSlot,
    pub(super) write_slot: WakerSlot,
    pub(super) read_waits: Cell<bool>,
    pub(super) write_waits: Cell<bool>,
    /// What is left over of its TLS is seen to.
    pub(super) tended: Cell<bool>,
    /// Who hands it over: the socket's end wakes nobody by itself.
    pub(super) tender: RefCell<Option<Waker>>,
    pub(super) read_ended: Cell<bool>,
    /// The session that uses it, of a link; 0 for none.
    pub(super) session: Cell<u64>,
    /// That it ended from the node's side was told.
    pub(super) told_end: Cell<bool>,
    pub(super) write_ended: Cell<bool>,
    pub(super) failed: Cell<Option<i32>>,
    /// The first failure in words.
    trouble: RefCell<Option<String>>,
    pub(super) cut: Cell<bool>,
    pub(super) live: RefCell<Option<Counted>>,
}

/// Why a stream is ended, as far as the other side is to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By the plugin. What it closed properly is closed: a reset would throw away what the kernel
    /// has not sent yet.
    Plugin,
    /// By the host: a FIN must not bless what was broken off.
    Host,
}

pub(super) fn code_of(error: &io::Error) -> i32 {
    if Trouble::is_in(error) {
        return CODE_TLS;
    }
    error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())
}

impl Stream {
    /// Keeps a socket; `None` when there is no number left.
    pub(super) fn begin(transport: impl Into<Transport>, side: Side) -> Option<Rc<Self>> {
        let transport = transport.into();
        take_charge(transport.socket());
        tables::insert(|number| Self::new(number, transport, side, Rc::new(Bundle::new())))
    }

    /// Keeps a socket as a further stream of the bundle of `first`, at its place there.
    pub(super) fn begin_further(
        socket: TcpStream,
        first: &Rc<Self>,
        place: Place,
    ) -> Option<Rc<Self>> {
        take_charge(&socket);
        // It stands: a sign of life.
        first.bundle.touch();
        tables::insert(|number| {
            place.set(number);
            Self {
                first: Some(Rc::clone(first)),
                place: RefCell::new(Some(place)),
                ..Self::new(number, socket.into(), first.side, Rc::clone(&first.bundle))
            }
        })
    }

    /// The first stream of its bundle.
    pub(super) fn first(self: &Rc<Self>) -> Rc<Self> {
        Rc::clone(self.first.as_ref().unwrap_or(self))
    }

    fn new(number: u64, transport: Transport, side: Side, bundle: Rc<Bundle>) -> Self {
        Self {
            number,
            side,
            bundle,
            first: None,
            place: RefCell::default(),
            ends: Ends::of(transport.socket()),
            transport: RefCell::new(Some(transport)),
            input: RefCell::default(),
            received: Cell::new(0),
            accepted: Cell::new(0),
            due: Cell::new(true),
            read_slot: WakerSlot::default(),
            write_slot: WakerSlot::default(),
            read_waits: Cell::new(false),
            write_waits: Cell::new(false),
            tended: Cell::new(false),
            tender: RefCell::default(),
            read_ended: Cell::new(false),
            session: Cell::new(0),
            told_end: Cell::new(false),
            write_ended: Cell::new(false),
            failed: Cell::new(None),
            trouble: RefCell::default(),
            cut: Cell::new(false),
            live: RefCell::new(Some(Counted::new(Live::Stream))),
        }
    }

    /// Sees to it that there is an unread byte, or the end of the stream. What is unread comes from
    /// [`Stream::with_unread`].
    pub(super) fn poll_fill(&self, waker: Lent<'_>) -> Io {
        if self.cut.get() {
            return Poll::Ready(Err(CODE_CUT));
        }
        let (Ok(mut input), Ok(mut transport)) =
            (self.input.try_borrow_mut(), self.transport.try_borrow_mut())
        else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let Some(at) = transport.as_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let there = input.unread().len();
        if there > 0 || self.read_ended.get() {
            return Poll::Ready(Ok(there));
        }
        let Some(mut buffer) = input.room() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let read = self
            .read_slot
            .poll_with(waker, |cx| at.poll_read(cx, &mut buffer));
        self.read_waits.set(read.is_pending());
        drop(transport);
        self.see_to_left_over();
        if let Poll::Ready(Ok(n @ 1..)) = read {
            input.fill(buffer, n);
            self.note_received();
            return Poll::Ready(Ok(n));
        }
        tables::with(|tables| tables.buffers.give(buffer));
        match ready!(read) {
            Ok(_none) => {
                self.note_end();
                Poll::Ready(Ok(0))
            }
            Err(error) => Poll::Ready(Err(self.fail(&error))),
        }
    }

    /// Hands out the unread bytes.
    pub(super) fn with_unread<R>(&self, use_them: impl FnOnce(&[u8]) -> R) -> R {
        match self.input.try_borrow() {
            Ok(input) => use_them(input.unread()),
            Err(_borrowed) => use_them(&[]),
        }
    }

    /// Takes `n` unread bytes off, all when there are fewer.
    pub(super) fn consume(&self, n: usize) {
        if let Ok(mut input) = self.input.try_borrow_mut() {
            let taken = input.consume(n);
            self.note_taken(taken as u64);
        }
    }

    /// Puts bytes back that were taken off and went nowhere, before those that are unread.
    pub(super) fn put_back(&self, mut bytes: Vec<u8>) {
        if let Ok(mut input) = self.input.try_borrow_mut() {
            let back = bytes.len() as u64;
            self.received.set(self.received.get().saturating_sub(back));
            self.bundle.note_put_back(back);
            bytes.extend_from_slice(input.unread());
            input.consume(usize::MAX);
            let n = bytes.len();
            input.fill(bytes.into_boxed_slice(), n);
        }
    }

    /// Counts bytes that went by without a stay in the buffer.
    pub(super) fn note_spliced(&self, n: u64) {
        self.note_taken(n);
        self.note_received();
    }

    fn note_taken(&self, n: u64) {
        self.received.set(self.received.get() + n);
        self.bundle.note_taken(n);
    }

    fn note_received(&self) {
        self.bundle.note_received(clock::now());
    }

    /// Writes from the pieces in order, as much as the kernel takes.
    pub(super) fn poll_write(&self, waker: Lent<'_>, pieces: &[IoSlice<'_>]) -> Io {
        if self.cut.get() {
            return Poll::Ready(Err(CODE_CUT));
        }
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let Ok(mut transport) = self.transport.try_borrow_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let Some(at) = transport.as_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let pieces = &pieces[..pieces.len().min(PIECES)];
        let written = self
            .write_slot
            .poll_with(waker, |cx| at.poll_write(cx, pieces));
        self.write_waits.set(written.is_pending());
        drop(transport);
        self.see_to_left_over();
        match ready!(written) {
            Ok(n) => {
                self.note_accepted(n as u64);
                Poll::Ready(Ok(n))
            }
            Err(error) => Poll::Ready(Err(self.fail(&error))),
        }
    }

    /// Counts bytes that the socket has taken.
    pub(super) fn note_accepted(&self, n: u64) {
        self.accepted.set(self.accepted.get() + n);
        self.bundle.note_accepted(n, clock::now());
    }

    /// Ready when everything written has been taken: nothing is held back but what is left over of
    /// TLS.
    pub(super) fn poll_flush(&self, waker: Lent<'_>) -> Io {
        if self.cut.get() {
            return Poll::Ready(Err(CODE_CUT));
        }
        if !self.has_left_over() {
            return Poll::Ready(Ok(0));
        }
        if let Some(code) = self.failed.get() {
            return Poll::Ready(Err(code));
        }
        self.write_slot.register(waker);
        self.see_to_left_over();
        Poll::Pending
    }

    /// Says the end of what is written.
    pub(super) fn poll_close(&self, waker: Lent<'_>) -> Io {
        if self.cut.get() {
            return Poll::Ready(Err(CODE_CUT));
        }
        if self.write_ended.get() {
            return Poll::Ready(Ok(0));
        }
        let Ok(mut transport) = self.transport.try_borrow_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let Some(at) = transport.as_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let closed = self.write_slot.poll_with(waker, |cx| at.poll_close(cx));
        drop(transport);
        self.see_to_left_over();
        match ready!(closed) {
            Ok(()) => {
                self.write_ended.set(true);
                Poll::Ready(Ok(0))
            }
            Err(error) => Poll::Ready(Err(self.fail(&error))),
        }
    }

    /// Polls for a relay, which reads or writes the socket itself: `poll` for readiness, and what
    /// comes out is noted as a read or a write of this stream is.
    pub(super) fn poll_raw(
        &self,
        waker: Lent<'_>,
        way: Way,
        poll: impl FnOnce(&mut Context<'_>, &TcpStream) -> Poll<io::Result<usize>>,
    ) -> Io {
        if self.cut.get() {
            return Poll::Ready(Err(CODE_CUT));
        }
        let Ok(transport) = self.transport.try_borrow() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let Some(transport) = transport.as_ref() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        if transport.secure().is_some() {
            // Past TLS nothing goes.
            return Poll::Ready(Err(Errno::INVAL.raw_os_error()));
        }
        let socket = transport.socket();
        let (slot, waits) = match way {
            Way::Read => (&self.read_slot, &self.read_waits),
            Way::Write => (&self.write_slot, &self.write_waits),
        };
        let done = slot.poll_with(waker, |cx| poll(cx, socket));
        waits.set(done.is_pending());
        match ready!(done) {
            Ok(n) => Poll::Ready(Ok(n)),
            // The kernel will not splice here: that is no failure of the stream.
            Err(error) if code_of(&error) == Errno::INVAL.raw_os_error() => {
                Poll::Ready(Err(Errno::INVAL.raw_os_error()))
            }
            Err(error) => Poll::Ready(Err(self.fail(&error))),
        }
    }

    /// Polls what reads and writes, for one waker.
    pub(super) fn poll_both<R>(
        &self,
        waker: Lent<'_>,
        poll: impl FnOnce(&mut Context<'_>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.read_slot.poll_with(waker, |reads| {
            self.write_slot
                .poll_with(waker, |writes| poll(reads, writes))
        })
    }

    pub(super) fn wake_writer(&self) {
        self.write_slot.wake();
    }

    pub(super) fn fail(&self, error: &io::Error) -> i32 {
        let code = code_of(error);
        self.failed.set(Some(self.failed.get().unwrap_or(code)));
        self.tell_end();
        self.note_trouble(|| error.to_string());
        code
    }

    /// Keeps a failure in words, if it is the first.
    pub(super) fn note_trouble(&self, words: impl FnOnce() -> String) {
        if let Ok(mut trouble) = self.trouble.try_borrow_mut() {
            trouble.get_or_insert_with(words);
        }
    }

    /// The first failure in words.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.try_borrow().ok()?.clone()
    }

    /// Every operation fails from now on, those that wait included; with the first stream, so does
    /// all of its bundle.
    pub(super) fn cut(&self) {
        if !self.cut.replace(true) {
            self.note_trouble(|| String::from("cut by the director"));
            self.read_slot.wake();
            self.write_slot.wake();
            self.wake_tender();
            if self.first.is_none() {
                self.bundle.cut();
            }
        }
    }

    /// Whether the peer owes bytes.
    pub(super) fn set_due(&self, due: bool) {
        if self.due.replace(due) != due {
            self.bundle.touch();
        }
    }

    /// Ends the stream; its number is void.
    pub(super) fn end(&self, ending: Ending) {
        if let Ok(stream) = tables::remove::<Self>(self.number) {
            stream.shut(ending);
        }
    }

    /// Ends the stream of a number, as the plugin asks.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn give_up(number: u64) -> Result<(), Void> {
        tables::remove::<Self>(number)?.shut(Ending::Plugin);
        Ok(())
    }

    /// Drops the socket; what still holds the stream finds it gone.
    fn shut(&self, ending: Ending) {
        let closed = self.write_ended.get()
            && match ending {
                Ending::Plugin => true,
                Ending::Host => self.read_ended.get(),
            };
        self.live.take();
        drop(self.place.take());
        // A link ends with its first stream; a session's bundle ends with its task.
        if self.first.is_none() && matches!(self.side, Side::Link { .. }) {
            self.bundle.end(Ending::Host);
        }
        if let Ok(mut input) = self.input.try_borrow_mut() {
            input.consume(usize::MAX);
        }
        let Ok(transport) = self.transport.try_borrow_mut().map(|mut at| at.take()) else {
            // In use further up on this very stack: it is reset when that returns and drops it.
            self.cut();
            return;
        };
        match transport {
            Some(transport) if closed => {
                set_linger(transport.socket(), None);
                if !self.read_ended.get() && !self.cut.get() && self.failed.get().is_none() {
                    linger::keep(self.side, transport);
                }
            }
            other => drop(other),
        }
        self.read_slot.wake();
        self.write_slot.wake();
        self.wake_tender();
    }
}

/// Which way a relay uses a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Write,
}
