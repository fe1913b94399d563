//! A bundle: the stream of a link or of a client's session, and whatever else belongs to it.
//!
//! A protocol may need more than one connection for one dialogue. What is made beside the first
//! stream (further streams, connects under way, listeners) is in its bundle: cut with it, ended with
//! it, and what the bundle's streams moved counts together. A byte on any of them is a sign of life.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::clock;
use super::further::Connect;
use super::listener::Listener;
use super::slab::{self, Kind};
use super::stream::{Ending, Stream};
use super::tables;
use super::task::Owned;

/// Further streams, connects and listeners that one bundle may have.
pub(super) const MOST: usize = 64;

/// What the streams of one link, or of one client's session, have in common.
#[derive(Debug)]
pub(super) struct Bundle {
    received: Cell<u64>,
    accepted: Cell<u64>,
    /// When a byte last moved, either way, on any stream.
    moved_at: Cell<u64>,
    /// When the first byte came since it was last asked for.
    first_byte: Cell<Option<u64>>,
    /// Numbers of what is there beside the first stream.
    members: RefCell<Owned>,
    count: Cell<usize>,
    /// The first stream was cut or has ended, so nothing is begun any more.
    over: Cell<Option<Over>>,
}

/// Why nothing is begun in a bundle any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Cut,
    Ended,
}

/// A place in a bundle, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Place {
    bundle: Rc<Bundle>,
    place: u32,
}

impl Bundle {
    pub(super) fn new() -> Self {
        Self {
            received: Cell::new(0),
            accepted: Cell::new(0),
            moved_at: Cell::new(clock::now()),
            first_byte: Cell::new(None),
            members: RefCell::default(),
            count: Cell::new(0),
            over: Cell::new(None),
        }
    }

    /// A place for one more; `None` when there are [`MOST`].
    pub(super) fn enter(self: &Rc<Self>) -> Option<Place> {
        if self.count.get() >= MOST {
            return None;
        }
        let place = self.members.borrow_mut().reserve()?;
        self.count.set(self.count.get() + 1);
        Some(Place {
            bundle: Rc::clone(self),
            place,
        })
    }

    pub(super) fn is_alone(&self) -> bool {
        self.count.get() == 0
    }

    pub(super) fn over(&self) -> Option<Over> {
        self.over.get()
    }

    fn numbers(&self, of: Kind) -> Vec<u64> {
        let members = self.members.borrow();
        let numbers = members.numbers();
        numbers
            .filter(|number| slab::kind_of(*number) == Some(of))
            .collect()
    }

    /// The further streams.
    pub(super) fn streams(&self) -> Vec<Rc<Stream>> {
        if self.is_alone() {
            return Vec::new();
        }
        let numbers = self.numbers(Kind::Stream).into_iter();
        numbers
            .filter_map(|number| tables::get(number).ok())
            .collect()
    }

    fn connects(&self) -> Vec<Rc<Connect>> {
        let numbers = self.numbers(Kind::Connect).into_iter();
        numbers
            .filter_map(|number| tables::get(number).ok())
            .collect()
    }

    fn listeners(&self) -> Vec<Rc<Listener>> {
        let numbers = self.numbers(Kind::Listener).into_iter();
        numbers
            .filter_map(|number| tables::get(number).ok())
            .collect()
    }

    /// Every operation of every member fails from now on.
    pub(super) fn cut(&self) {
        self.over.set(self.over.get().or(Some(Over::Cut)));
        if self.is_alone() {
            return;
        }
        self.streams().iter().for_each(|stream| stream.cut());
        self.connects().iter().for_each(|connect| connect.cut());
        self.listeners().iter().for_each(|listener| listener.cut());
    }

    /// Ends every member; their numbers are void.
    pub(super) fn end(&self, ending: Ending) {
        self.over.set(Some(Over::Ended));
        if self.is_alone() {
            return;
        }
        for stream in self.streams() {
            stream.end(ending);
        }
        for number in self.numbers(Kind::Connect) {
            let _void = Connect::end(number);
        }
        for number in self.numbers(Kind::Listener) {
            let _void = Listener::end(number);
        }
    }

    pub(super) fn note_received(&self, now: u64) {
        self.moved_at.set(now);
        if self.first_byte.get().is_none() {
            self.first_byte.set(Some(now));
        }
    }

    /// Bytes that the plugin or a relay took from a stream.
    pub(super) fn note_taken(&self, n: u64) {
        self.received.set(self.received.get() + n);
    }

    /// They were put back.
    pub(super) fn note_put_back(&self, n: u64) {
        self.received.set(self.received.get().saturating_sub(n));
    }

    pub(super) fn note_accepted(&self, n: u64, now: u64) {
        self.accepted.set(self.accepted.get() + n);
        self.moved_at.set(now);
    }

    /// Silence is counted from now on at the earliest.
    pub(super) fn touch(&self) {
        self.moved_at.set(clock::now());
    }

    pub(super) fn received(&self) -> u64 {
        self.received.get()
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    pub(super) fn moved_at(&self) -> u64 {
        self.moved_at.get()
    }

    /// When the first byte came since the last call of [`Bundle::expect_first_byte`].
    pub(super) fn first_byte(&self) -> Option<u64> {
        self.first_byte.get()
    }

    pub(super) fn expect_first_byte(&self) {
        self.first_byte.set(None);
    }
}

impl Place {
    pub(super) fn set(&self, number: u64) {
        self.bundle.members.borrow_mut().set(self.place, number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.bundle.members.borrow_mut().free(self.place);
        self.bundle.count.set(self.bundle.count.get() - 1);
    }
}

/// A stream with its bundle, as a step looks at them.
impl Stream {
    fn any(&self, holds: impl Fn(&Self) -> bool) -> bool {
        holds(self) || self.bundle.streams().iter().any(|stream| holds(stream))
    }

    /// A write of any stream waits for the peer's window.
    pub(super) fn any_held_up(&self) -> bool {
        self.any(Self::is_held_up)
    }

    /// A read of any stream waits for the peer.
    pub(super) fn any_awaited(&self) -> bool {
        self.any(Self::is_awaited)
    }

    /// Any stream has failed.
    pub(super) fn any_failed(&self) -> bool {
        self.any(|stream| stream.failed().is_some())
    }

    /// A byte may be due: on the first stream, or on a further one that is read, or a connection is
    /// under way. Asks nothing of the kernel.
    pub(super) fn any_due(&self) -> bool {
        self.due()
            || self.is_writing()
            || self
                .bundle
                .streams()
                .iter()
                .any(|stream| stream.is_writing() || (stream.due() && stream.is_reading()))
            || !self.bundle.connects().is_empty()
            || self.bundle.listeners().iter().any(|at| at.is_awaited())
    }

    /// The peer owes something now: to take what is written, bytes that are due, a connection.
    pub(super) fn any_owes(&self) -> bool {
        let owes = |stream: &Self| {
            stream.is_held_up() || (stream.due() && stream.is_reading() && !stream.has_unread())
        };
        self.is_held_up()
            || (self.due() && !self.has_unread())
            || self.bundle.streams().iter().any(|stream| owes(stream))
            || !self.bundle.connects().is_empty()
            || self.bundle.listeners().iter().any(|at| at.is_awaited())
    }
}
