//! Relays: bytes that go from one stream to another without passing the plugin.
//!
//! What the host has read already goes first, then `splice(2)` moves the rest through a pipe, which
//! is always emptied before it is filled again. So when a relay ends at its source or its limit
//! nothing is in between; when its destination fails, what is in the pipe goes back to the source's
//! buffer.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use director_abi::{CODE_GONE, RelayEnd};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::buffers::Pipe;
use super::slab::Void;
use super::stream::{Io, Stream, Way};
use super::tables::{self, Counted, Live};
use super::task::Task;
use super::waker::Lent;

/// What one splice asks for: a pipe's default size.
const PIECE: u64 = 64 * 1024;

/// Steps of one poll: half of them fill the pipe, half empty it. More would keep the other sessions
/// of the thread waiting.
const STEPS: usize = 8;

/// One relay of a task.
#[derive(Debug)]
pub(super) struct Relay {
    from: Rc<Stream>,
    to: Rc<Stream>,
    limit: u64,
    moved: Cell<u64>,
    /// How much of it was counted for the service.
    told: Cell<u64>,
    /// How bytes go; `None` until the first has to go without having been read.
    by: RefCell<Option<By>>,
    ended: Cell<Option<RelayEnd>>,
    task: Rc<Task>,
    /// Its place among what the task owns.
    place: u32,
    _live: Counted,
}

#[derive(Debug)]
enum By {
    /// Through the kernel: a pipe, and how many bytes are in it.
    Splice(Pipe, usize),
    /// Through the source's read buffer, where the kernel will not splice, or where there is TLS.
    Copy,
}

/// What stopped a relay for now.
enum Stopped {
    Pending,
    Ended(u32, i32),
}

impl Relay {
    /// Begins a relay; `None` when there is no number left. A stream cannot be relayed to itself.
    pub(super) fn begin(
        task: &Rc<Task>,
        from: Rc<Stream>,
        to: Rc<Stream>,
        limit: u64,
    ) -> Option<u64> {
        if Rc::ptr_eq(&from, &to) {
            return None;
        }
        task.keep(|place| {
            let mut named = 0;
            tables::insert(|number| {
                named = number;
                Self {
                    from,
                    to,
                    limit,
                    moved: Cell::new(0),
                    told: Cell::new(0),
                    by: RefCell::new(None),
                    ended: Cell::new(None),
                    task: Rc::clone(task),
                    place,
                    _live: Counted::new(Live::Relay),
                }
            })?;
            Some(named)
        })
    }

    pub(super) fn moved(&self) -> u64 {
        self.moved.get()
    }

    /// Moves what can be moved now, within reason.
    pub(super) fn poll(&self, waker: Lent<'_>) -> Poll<RelayEnd> {
        if let Some(end) = self.ended.get() {
            return Poll::Ready(end);
        }
        for _ in 0..STEPS {
            match self.step(waker) {
                Ok(()) => {}
                Err(Stopped::Pending) => return Poll::Pending,
                Err(Stopped::Ended(why, code)) => {
                    let end = RelayEnd {
                        moved: self.moved.get(),
                        why,
                        code,
                    };
                    self.ended.set(Some(end));
                    self.empty();
                    return Poll::Ready(end);
                }
            }
        }
        waker.to_owned().wake();
        Poll::Pending
    }

    /// Moves one piece one step.
    fn step(&self, waker: Lent<'_>) -> Result<(), Stopped> {
        let Ok(mut by) = self.by.try_borrow_mut() else {
            return Err(Stopped::Ended(RelayEnd::FROM_FAILED, CODE_GONE));
        };
        if let Some(By::Splice(pipe, held)) = by.as_mut()
            && *held > 0
        {
            let n = to_stop(self.poll_out(waker, pipe, *held), RelayEnd::TO_FAILED)?;
            *held -= n;
            self.note_moved(n);
            return Ok(());
        }
        let left = self.limit - self.moved.get();
        if left == 0 {
            return Err(Stopped::Ended(RelayEnd::LIMIT, 0));
        }
        let unread = self.from.with_unread(<[u8]>::len);
        if unread > 0 {
            return self.write_unread(waker, left);
        }
        match by.as_mut() {
            Some(By::Copy) => {
                let n = to_stop(self.from.poll_fill(waker), RelayEnd::FROM_FAILED)?;
                if n == 0 {
                    return Err(Stopped::Ended(RelayEnd::END, 0));
                }
            }
            Some(By::Splice(pipe, held)) => match self.poll_in(waker, pipe, left) {
                Poll::Ready(Err(code)) if code == Errno::INVAL.raw_os_error() => {
                    *by = Some(By::Copy);
                }
                polled @ (Poll::Ready(_) | Poll::Pending) => {
                    let n = to_stop(polled, RelayEnd::FROM_FAILED)?;
                    if n == 0 {
                        self.from.note_end();
                        return Err(Stopped::Ended(RelayEnd::END, 0));
                    }
                    self.from.note_spliced(n as u64);
                    *held = n;
                }
            },
            None => *by = Some(By::open(&self.from, &self.to)),
        }
        Ok(())
    }

    /// Writes what was read before.
    fn write_unread(&self, waker: Lent<'_>, left: u64) -> Result<(), Stopped> {
        let wrote = self.from.with_unread(|unread| {
            let most = usize::try_from(left).map_or(unread.len(), |left| left.min(unread.len()));
            self.to.poll_write(waker, &[IoSlice::new(&unread[..most])])
        });
        let n = to_stop(wrote, RelayEnd::TO_FAILED)?;
        self.from.consume(n);
        self.moved.set(self.moved.get() + n as u64);
        Ok(())
    }

    fn note_moved(&self, n: usize) {
        self.to.note_accepted(n as u64);
        self.moved.set(self.moved.get() + n as u64);
    }

    /// From the source into the pipe. 0 bytes is the source's end.
    fn poll_in(&self, waker: Lent<'_>, pipe: &Pipe, left: u64) -> Io {
        let most = left.min(PIECE) as usize;
        self.from.poll_raw(waker, Way::Read, |cx, socket| {
            splicing(cx, socket, Interest::READABLE, || {
                splice(socket, None, &pipe.into, None, most, FLAGS)
            })
        })
    }

    /// From the pipe to the destination.
    fn poll_out(&self, waker: Lent<'_>, pipe: &Pipe, held: usize) -> Io {
        self.to.poll_raw(waker, Way::Write, |cx, socket| {
            splicing(cx, socket, Interest::WRITABLE, || {
                splice(&pipe.out, None, socket, None, held, FLAGS)
            })
        })
    }

    /// Ends the relay of a number, and says what its destination accepted.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<u64, Void> {
        let relay = tables::remove::<Self>(number)?;
        relay.task.forget(relay.place);
        relay.empty();
        Ok(relay.moved.get())
    }

    /// Puts what is in the pipe back to the source, and the pipe to the unused ones.
    fn empty(&self) {
        let Ok(mut by) = self.by.try_borrow_mut() else {
            return;
        };
        let moved = self.moved.get() - self.told.replace(self.moved.get());
        self.task.inner.meters.relayed.increment(moved);
        let Some(By::Splice(pipe, held)) = by.take() else {
            return;
        };
        if held > 0 {
            let mut bytes = vec![0; held];
            let read = rustix::io::read(&pipe.out, &mut bytes).unwrap_or(0);
            bytes.truncate(read);
            if read < held {
                tracing::error!(held, read, "bytes of a relay were lost in its pipe");
                return;
            }
            self.from.put_back(bytes);
        }
        tables::with(|tables| tables.pipes.give(pipe));
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

impl By {
    fn open(from: &Stream, to: &Stream) -> Self {
        if from.is_secure() || to.is_secure() {
            return Self::Copy;
        }
        match tables::with(|tables| tables.pipes.take()) {
            Some(Ok(pipe)) => Self::Splice(pipe, 0),
            Some(Err(error)) => {
                tracing::warn!(%error, "no pipe for a relay: it copies");
                Self::Copy
            }
            None => Self::Copy,
        }
    }
}

fn to_stop(polled: Io, why: u32) -> Result<usize, Stopped> {
    match polled {
        Poll::Ready(Ok(n)) => Ok(n),
        Poll::Ready(Err(code)) => Err(Stopped::Ended(why, code)),
        Poll::Pending => Err(Stopped::Pending),
    }
}

/// Waits until the socket is ready and splices; asks again as long as it was not.
fn splicing(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    interest: Interest,
    mut splice: impl FnMut() -> rustix::io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(if interest == Interest::READABLE {
            socket.poll_read_ready(cx)
        } else {
            socket.poll_write_ready(cx)
        })?;
        match socket.try_io(interest, || splice().map_err(io::Error::from)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}
