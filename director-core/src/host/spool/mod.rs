//! The spool: bytes kept by their offset, in memory first, then on the disk.
//!
//! Two bounds hold: the spool's own, and the service's for all of its spools. Room is taken in
//! blocks as bytes come. The disk is waited for on threads of its own, so that no session waits for
//! another's: one block at a time is on its way, and the next one fills meanwhile.

mod blocks;
mod disk;
mod room;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use director_abi::{CODE_GONE, SpoolInfo};
use rustix::io::Errno;
use tokio::task::JoinHandle;

pub(super) use self::room::Rooms;
pub use self::room::SpoolBounds;

use self::blocks::{Appended, Blocks, Found, ToWrite};
use super::slab::Void;
use super::stream::{Io, code_of};
use super::tables::{self, Counted, Live};
use super::task::Task;
use super::waker::{Lent, WakerSlot};

/// Bytes of one block.
const BLOCK: u64 = 64 * 1024;
/// Spools that one task may have.
const MOST: usize = 16;

/// One spool of a task.
#[derive(Debug)]
pub(super) struct Spool {
    state: RefCell<State>,
    append_slot: WakerSlot,
    read_slot: WakerSlot,
    task: Rc<Task>,
    /// Its place among what the task owns.
    place: u32,
    _live: Counted,
}

#[derive(Debug)]
struct State {
    blocks: Blocks,
    /// A block on its way to the disk: its offset, its slot.
    writing: Option<(u64, u32, JoinHandle<io::Result<()>>)>,
    /// A block on its way from the disk: its offset.
    reading: Option<(u64, JoinHandle<io::Result<Vec<u8>>>)>,
    /// The block that came from the disk last, and its offset.
    read: Option<(u64, Vec<u8>)>,
}

impl Spool {
    /// A spool within `bounds`; `None` when there is no room at all, when the task has too many, or
    /// when there is no number left.
    pub(super) fn begin(task: &Rc<Task>, bounds: SpoolBounds) -> Option<u64> {
        let rooms = &task.inner.spool;
        let memory = bounds.memory.min(rooms.memory.left());
        let disk = bounds.disk.min(rooms.disk.left());
        if memory == 0 && disk == 0 {
            return None;
        }
        if task.spools.get() >= MOST {
            return None;
        }
        let begun = task.keep(|place| {
            let mut named = 0;
            tables::insert(|number| {
                named = number;
                let state = State {
                    blocks: Blocks::new(bounds, rooms, &task.inner.state_dir),
                    writing: None,
                    reading: None,
                    read: None,
                };
                Self {
                    state: RefCell::new(state),
                    append_slot: WakerSlot::default(),
                    read_slot: WakerSlot::default(),
                    task: Rc::clone(task),
                    place,
                    _live: Counted::new(Live::Spool),
                }
            })?;
            Some(named)
        })?;
        task.spools.set(task.spools.get() + 1);
        Some(begun)
    }

    /// Takes bytes; 0 when it is full.
    pub(super) fn poll_append(&self, waker: Lent<'_>, bytes: &[u8]) -> Io {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        state.poll_written(&self.append_slot, waker);
        state.begin_to_write();
        let busy = state.writing.is_some();
        match state.blocks.append(bytes, busy) {
            Appended::Held => Poll::Pending,
            Appended::Full => {
                self.task.inner.meters.spool_full.increment(1);
                Poll::Ready(Ok(0))
            }
            Appended::Taken(n) => {
                state.begin_to_write();
                Poll::Ready(Ok(n))
            }
        }
    }

    /// Hands at most `most` bytes from an offset on to `take`; 0 at the end.
    pub(super) fn poll_read(
        &self,
        waker: Lent<'_>,
        offset: u64,
        most: usize,
        take: impl FnOnce(&[u8]),
    ) -> Io {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        if most == 0 {
            return Poll::Ready(Ok(0));
        }
        let state = &mut *state;
        let (start, slot, len) = match state.blocks.find(offset) {
            Found::Forgotten => return Poll::Ready(Err(CODE_GONE)),
            Found::End => return Poll::Ready(Ok(0)),
            Found::Here(bytes) => {
                let n = bytes.len().min(most);
                take(&bytes[..n]);
                return Poll::Ready(Ok(n));
            }
            Found::Disk { start, slot, len } => (start, slot, len),
        };
        loop {
            if let Some((at, bytes)) = &state.read
                && *at == start
            {
                let within = (offset - start) as usize;
                let bytes = bytes.get(within..).unwrap_or_default();
                let n = bytes.len().min(most);
                take(&bytes[..n]);
                return Poll::Ready(Ok(n));
            }
            match &mut state.reading {
                Some((at, reading)) => {
                    let polled = self
                        .read_slot
                        .poll_with(waker, |cx| Pin::new(&mut *reading).poll(cx));
                    let at = *at;
                    let read = ready!(polled);
                    state.reading = None;
                    match joined(read) {
                        Ok(bytes) => state.read = Some((at, bytes)),
                        // Of a block that nobody asks for any more it means nothing.
                        Err(_other) if at != start => {}
                        Err(error) => {
                            tracing::error!(%error, "a spool's file could not be read");
                            return Poll::Ready(Err(code_of(&error)));
                        }
                    }
                }
                None => {
                    let disk = Arc::clone(&state.blocks.disk);
                    let reading = tokio::task::spawn_blocking(move || disk.read(slot, len));
                    state.reading = Some((start, reading));
                }
            }
        }
    }

    /// The bytes before an offset are not needed any more.
    pub(super) fn forget(&self, before: u64) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.blocks.forget(before);
        }
    }

    pub(super) fn info(&self) -> Option<SpoolInfo> {
        let state = self.state.try_borrow().ok()?;
        let (in_memory, on_disk) = state.blocks.kept();
        Some(SpoolInfo {
            size: size_of::<SpoolInfo>(),
            first: state.blocks.first(),
            end: state.blocks.end(),
            in_memory,
            on_disk,
        })
    }

    /// Ends the spool of a number. What is on its way to or from the disk arrives and is dropped.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let spool = tables::remove::<Self>(number)?;
        spool.task.forget(spool.place);
        let task = &spool.task;
        task.spools.set(task.spools.get().saturating_sub(1));
        spool.append_slot.wake();
        spool.read_slot.wake();
        Ok(())
    }
}

impl State {
    /// Sees whether the block that is on its way to the disk has arrived.
    fn poll_written(&mut self, slot: &WakerSlot, waker: Lent<'_>) {
        let Some((start, place, writing)) = &mut self.writing else {
            return;
        };
        let Poll::Ready(written) = slot.poll_with(waker, |cx| Pin::new(&mut *writing).poll(cx))
        else {
            return;
        };
        let written = joined(written);
        if let Err(error) = &written {
            tracing::warn!(%error, "a spool's file could not be written: it takes no more");
        }
        self.blocks.written(*start, *place, written.is_ok());
        self.writing = None;
    }

    fn begin_to_write(&mut self) {
        if self.writing.is_some() {
            return;
        }
        if let Some(ToWrite { start, slot, bytes }) = self.blocks.next_to_write() {
            let disk = Arc::clone(&self.blocks.disk);
            let writing = tokio::task::spawn_blocking(move || disk.write(slot, &bytes));
            self.writing = Some((start, slot, writing));
        }
    }
}

fn joined<T>(done: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    done.unwrap_or_else(|_broken| Err(Errno::IO.into()))
}
