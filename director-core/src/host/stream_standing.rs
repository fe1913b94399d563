//! How a stream stands: what it counted, what it waits for, whether it may be used again.

use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::stream::{Side, Stream};
use super::tables::{self, Counted, Live};

impl Stream {
    /// The stream's peer has ended what it writes.
    pub(super) fn note_end(&self) {
        self.read_ended.set(true);
        self.tell_end();
    }

    /// A link that ends from the node's side, and not because the plugin has closed its own, is a sign
    /// that others may ask for.
    pub(super) fn tell_end(&self) {
        let Side::Link { instance, node } = self.side else {
            return;
        };
        if self.first.is_some() || self.write_ended.get() || self.told_end.replace(true) {
            return;
        }
        let local = tables::with(|tables| tables.locals.borrow().get(&instance).map(Rc::clone));
        let node = local
            .flatten()
            .and_then(|local| local.inner.cluster.node(node));
        if let Some(node) = node {
            node.note_end(self.session.get());
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received.get()
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    pub(super) fn due(&self) -> bool {
        self.due.get()
    }

    /// A read waits, for whatever reason.
    pub(super) fn is_reading(&self) -> bool {
        self.read_waits.get()
    }

    /// A write waits, for whatever reason.
    pub(super) fn is_writing(&self) -> bool {
        self.write_waits.get()
    }

    /// The first error that the socket gave.
    pub(super) fn failed(&self) -> Option<i32> {
        self.failed.get()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Neither failed nor cut nor ended.
    pub(super) fn is_whole(&self) -> bool {
        self.failed.get().is_none()
            && !self.cut.get()
            && !self.read_ended.get()
            && !self.write_ended.get()
    }

    /// Whole, and the peer has said nothing that nobody asked for: not a byte, not its end.
    pub(super) fn is_at_rest(&self) -> bool {
        let (Ok(input), Ok(mut transport)) =
            (self.input.try_borrow(), self.transport.try_borrow_mut())
        else {
            return false;
        };
        let mut byte = [MaybeUninit::uninit()];
        self.is_whole()
            && input.unread().is_empty()
            && transport.as_mut().is_some_and(|transport| {
                // What TLS itself says is none of the peer's bytes.
                transport.absorb() != Some(true)
                    && SockRef::from(transport.socket())
                        .peek(&mut byte)
                        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            })
    }

    /// Whether bytes or the end have come that the plugin did not ask for yet.
    pub(super) fn has_unread(&self) -> bool {
        if self.with_unread(|unread| !unread.is_empty()) {
            return true;
        }
        let absorbed = self.transport.try_borrow_mut().ok().and_then(|mut at| {
            let at = at.as_mut()?;
            at.absorb()
        });
        absorbed.unwrap_or_else(|| self.is_ready(PollFlags::IN))
    }

    /// A write waits, and the peer's window is closed indeed.
    pub(super) fn is_held_up(&self) -> bool {
        self.write_waits.get() && !self.is_ready(PollFlags::OUT)
    }

    /// A read waits for the peer.
    pub(super) fn is_awaited(&self) -> bool {
        self.read_waits.get() && !self.has_unread()
    }

    fn is_ready(&self, what: PollFlags) -> bool {
        let Ok(transport) = self.transport.try_borrow() else {
            return false;
        };
        let Some(transport) = transport.as_ref() else {
            return false;
        };
        let mut asked = [PollFd::new(transport.socket(), what)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Forgets whoever waited: the stream goes to rest, or comes from it.
    pub(super) fn rest(&self, resting: bool) {
        self.read_slot.clear();
        self.write_slot.clear();
        self.read_waits.set(false);
        self.write_waits.set(false);
        let live = if resting {
            Live::RestingLink
        } else {
            Live::Stream
        };
        self.live.replace(Some(Counted::new(live)));
    }
}
