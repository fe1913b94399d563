//! What the director remembers: streams, servers, and writes that are not yet stable.
//!
//! Shared by all sessions of the service on all threads. Nothing here does I/O, spilled bodies apart, and
//! no lock is held over an await; the order of locks is streams, stream, servers, store.

pub mod outbox;
pub mod room;
pub mod servers;
pub mod store;
pub mod turns;
pub mod write;

use std::collections::HashMap;
use std::future::poll_fn;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::task::AtomicWaker;

use crate::body::Parts;
use crate::cursor::{Cursor, Cut};
use crate::entry::Entry;
use crate::keys;
use crate::name::{Identity, Name};
use crate::path::StreamPath;
use outbox::{Acknowledged, Again, Kept, Next};
use room::Room;
use servers::Servers;
use store::Store;
use write::Write;

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Streams.
    pub streams: usize,
    /// Keys of each.
    pub keys: keys::Bounds,
    /// The outbox, of all.
    pub outbox: store::Bounds,
}

/// Rules that are switched off, to show what each is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Without {
    /// Nothing is sent again.
    pub outbox: bool,
    /// No former names are told, no keys kept.
    pub names: bool,
    /// Requests do not carry what was known.
    pub min_offset: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Memory {
    bounds: Bounds,
    without: Without,
    rooms: Mutex<HashMap<StreamPath, Arc<Room>>>,
    servers: Mutex<Servers>,
    store: Mutex<Store>,
    next_write: AtomicU64,
    doubts: AtomicBool,
    doubter: AtomicWaker,
}

/// A write that this task alone is sending again, until it is dropped.
pub struct Claim {
    memory: Arc<Memory>,
    room: Arc<Room>,
    /// The write.
    pub again: Again,
}

/// A producer's turn to write, until it is dropped.
pub struct Turn {
    room: Arc<Room>,
    producer: Box<str>,
    /// The promise of it, until it is kept.
    waits: Option<oneshot::Receiver<()>>,
}

/// What is to be sent again before something else may be sent.
pub enum Before {
    /// This.
    Send(Claim),
    /// Somebody else sends it; ask again when this is ready, however it ends.
    Wait(oneshot::Receiver<()>),
    /// Nothing.
    Nothing,
}

impl Memory {
    /// An empty memory, with a directory for what the outbox spills.
    #[must_use]
    pub fn new(bounds: Bounds, without: Without, directory: PathBuf) -> Self {
        Self {
            bounds,
            without,
            rooms: Mutex::default(),
            servers: Mutex::default(),
            store: Mutex::new(Store::new(bounds.outbox, directory)),
            next_write: AtomicU64::new(1),
            doubts: AtomicBool::new(false),
            doubter: AtomicWaker::new(),
        }
    }

    /// The rules that are switched off.
    #[must_use]
    pub fn without(&self) -> Without {
        self.without
    }

    /// The number of the next write, create or delete.
    pub fn number(&self) -> u64 {
        self.next_write.fetch_add(1, Ordering::Relaxed)
    }

    /// A stream, known or new.
    pub fn room(&self, path: &StreamPath, now: Duration) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.get(path) {
            room.state().used = now;
            return Arc::clone(room);
        }
        if rooms.len() >= self.bounds.streams {
            make_room(&mut rooms, self.bounds.streams);
        }
        let room = Arc::new(Room::new(path.clone()));
        room.state().used = now;
        rooms.insert(path.clone(), Arc::clone(&room));
        room
    }

    /// `Stream-Min-Offset` of a request about to be made, with what it brings itself.
    #[must_use]
    pub fn min(&self, room: &Room, writes: bool, own: Option<&Cursor>) -> Option<Cursor> {
        (!self.without.min_offset)
            .then(|| room.state().min(writes, own))
            .flatten()
    }

    /// A client brought a cursor: it has seen that much, perhaps through another director.
    pub fn offered(&self, room: &Room, cursor: &Cursor) {
        let mut state = room.state();
        let servers = lock(&self.servers);
        state.offered(cursor, |letter| servers.knows(letter));
    }

    /// To be kept with a write when it is sent.
    pub fn stamp(&self) -> u64 {
        lock(&self.servers).stamp()
    }

    /// A node said who it is.
    pub fn seen(&self, node: u32, identity: Identity) {
        if lock(&self.servers).seen(node, identity) {
            self.doubt();
        }
    }

    /// A node failed.
    pub fn failed(&self, node: u32) {
        if lock(&self.servers).failed(node) {
            self.doubt();
        }
    }

    /// An answer about a stream told its tail, and what is stable of it. `asked` is the cursor that the
    /// request came with: a server merges it into its answer, so that part of it is no news, and may be
    /// a client's invention.
    pub fn told(
        &self,
        room: &Room,
        asked: Option<&Cursor>,
        next: Option<&Cursor>,
        stable: Option<&Cursor>,
    ) {
        let mut state = room.state();
        let anew = next.is_some_and(|next| match asked {
            None => state.told(next),
            Some(asked) => state.told(&next.beyond(asked)),
        });
        let moved = stable.is_some_and(|stable| state.is_stable_news(stable));
        if let Some(stable) = stable.filter(|_| moved) {
            state.stable.merge(stable);
        }
        let floor = match (moved, anew, next) {
            (true, _, _) => state.stable.clone(),
            (false, true, Some(next)) => Cursor {
                generation: next.generation,
                cut: Cut::default(),
            },
            (false, _, _) => return,
        };
        if !state.outbox.is_empty() {
            let gone = state.outbox.stable(&floor, &lock(&self.servers));
            self.forget(&gone);
        }
    }

    /// A watch told what is stable; nothing when the stream is not remembered.
    pub fn stable(&self, path: &StreamPath, stable: &Cursor) {
        let room = lock(&self.rooms).get(path).map(Arc::clone);
        if let Some(room) = room {
            self.told(&room, None, None, Some(stable));
        }
    }

    /// A server says that the stream is of a later generation than that: what was remembered is void.
    pub fn outdated(&self, room: &Room, generation: u32) {
        if room.state().is_at_most(generation) {
            self.deleted(room);
        }
    }

    /// Waits for a producer's turn to write to a stream.
    pub async fn turn(&self, room: &Arc<Room>, producer: &str) -> Turn {
        let mut turn = Turn {
            room: Arc::clone(room),
            producer: producer.into(),
            waits: room.state().turns.take(producer),
        };
        if let Some(promise) = &mut turn.waits {
            // Whoever has the turn passes it on, even when it is dropped.
            let _ = promise.await;
        }
        turn.waits = None;
        turn
    }

    /// A stream was deleted, and all that was written to it.
    pub fn deleted(&self, room: &Room) {
        let mut state = room.state();
        state.forget();
        let gone = state.outbox.clear();
        self.forget(&gone);
        state.wake();
    }

    /// Whether one more write of that size could be kept until it is stable.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.without.outbox || lock(&self.store).has_room(bytes)
    }

    /// A write was acknowledged, and is kept until it is stable.
    pub fn acknowledged(
        &self,
        room: &Room,
        write: &Arc<Write>,
        body: &Bytes,
        as_: Acknowledged,
        now: Duration,
    ) {
        let mut state = room.state();
        if !self.without.names {
            state
                .keys
                .acknowledged(&write.request, as_.name, now, self.bounds.keys);
        }
        if self.without.outbox {
            return;
        }
        let in_doubt = lock(&self.servers).in_doubt(as_.home, as_.stamp);
        // It may have been kept under another name until now.
        let stable = state.stable.cut_of(as_.generation);
        if !in_doubt && stable.is_some_and(|stable| stable.covers(as_.name)) {
            let gone = state.outbox.remove_one(write.number);
            self.forget(&gone);
            state.wake();
            return;
        }
        let keep = || lock(&self.store).keep(write.number, body);
        state.outbox.acknowledged(write, keep, as_);
        state.wake();
        drop(state);
        if in_doubt {
            self.doubt();
        }
    }

    /// A write was accepted without all of what it was to wait for.
    pub fn released(&self, room: &Room, min: &Cursor, had: &Cursor) {
        room.state().released(min, had);
    }

    /// What of the outbox is to be sent again before a write with the number `below`.
    pub fn before(self: &Arc<Self>, room: &Arc<Room>, below: u64) -> Before {
        let mut state = room.state();
        if state.outbox.is_empty() {
            return Before::Nothing;
        }
        let next = state.outbox.next(below, &lock(&self.servers));
        match next {
            Next::Nothing => Before::Nothing,
            Next::Wait => Before::Wait(state.wait()),
            Next::Send(mut again) => {
                if self.without.names {
                    again.names.clear();
                }
                Before::Send(Claim {
                    memory: Arc::clone(self),
                    room: Arc::clone(room),
                    again,
                })
            }
        }
    }

    /// No server takes a kept write again: it is given up.
    pub fn refused(&self, room: &Room, number: u64) {
        let mut state = room.state();
        let gone = state.outbox.remove_one(number);
        self.forget(&gone);
        state.wake();
    }

    /// Streams with writes in doubt.
    #[must_use]
    pub fn doubtful(&self) -> Vec<Arc<Room>> {
        let rooms: Vec<Arc<Room>> = lock(&self.rooms).values().map(Arc::clone).collect();
        let doubtful = |room: &Arc<Room>| {
            let mut state = room.state();
            state.outbox.has_doubts(&lock(&self.servers))
        };
        rooms.into_iter().filter(doubtful).collect()
    }

    /// Waits until some write may have come into doubt since the last call.
    pub async fn doubts(&self) {
        poll_fn(|cx| {
            self.doubter.register(cx.waker());
            match self.doubts.swap(false, Ordering::AcqRel) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Names under which a write whose acknowledgement was lost has come by.
    #[must_use]
    pub fn known_names(&self, room: &Room, request: &str) -> Vec<Name> {
        if self.without.names {
            return Vec::new();
        }
        let state = room.state();
        let names = state.keys.names(request);
        names.iter().take(outbox::MAX_WAS).copied().collect()
    }

    /// What of an answer a reader with this cursor was shown before: places to be cut out.
    pub fn seen_before(
        &self,
        room: &Room,
        cursor: &Cursor,
        entries: &[Entry],
        parts: &Parts<'_>,
        now: Duration,
    ) -> Vec<Range<usize>> {
        if self.without.names {
            return Vec::new();
        }
        let keys = &mut room.state().keys;
        keys.seen_before(&cursor.cut, entries, parts, now, self.bounds.keys)
    }

    /// Streams; bytes of the outbox in memory and in files; its writes.
    #[must_use]
    pub fn counts(&self) -> (usize, u64, u64, usize) {
        let streams = lock(&self.rooms).len();
        let (memory, files, writes) = lock(&self.store).counts();
        (streams, memory, files, writes)
    }

    fn forget(&self, gone: &[Kept]) {
        if !gone.is_empty() {
            let mut store = lock(&self.store);
            for kept in gone {
                store.forget(&kept.stored);
            }
        }
    }

    fn doubt(&self) {
        self.doubts.store(true, Ordering::Release);
        self.doubter.wake();
    }
}

impl Claim {
    /// The body to be sent.
    ///
    /// # Errors
    /// When it had been spilled and its file cannot be read.
    pub fn body(&self) -> std::io::Result<Bytes> {
        self.again.stored.read()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.outbox.release(self.again.write.number);
        state.wake();
        let doubts = state.outbox.has_doubts(&lock(&self.memory.servers));
        drop(state);
        if doubts {
            self.memory.doubt();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Given up while it waited; unless the turn came in that very moment.
        if let Some(promise) = &mut self.waits {
            promise.close();
            if !matches!(promise.try_recv(), Ok(Some(()))) {
                return;
            }
        }
        self.room.state().turns.pass(&self.producer);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets streams that nobody uses and that have nothing in the outbox, the longest unused first, down
/// to three quarters of the bound.
fn make_room(rooms: &mut HashMap<StreamPath, Arc<Room>>, bound: usize) {
    let mut idle: Vec<(Duration, StreamPath)> = rooms
        .values()
        .filter(|room| Arc::strong_count(room) == 1)
        .filter_map(|room| {
            let state = room.state();
            state
                .outbox
                .is_empty()
                .then(|| (state.used, room.path().clone()))
        })
        .collect();
    idle.sort_unstable_by_key(|(used, _)| *used);
    let surplus = rooms.len().saturating_sub(bound / 4 * 3);
    for (_, path) in idle.into_iter().take(surplus) {
        rooms.remove(&path);
    }
}

#[cfg(test)]
mod tests;
