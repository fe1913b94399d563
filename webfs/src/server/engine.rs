//! The lock around the rules: one call at a time, and what comes of it is passed on before the next.
//!
//! [`Engine::with`] is the only way to [`Core`]. Nothing done under the lock waits: entries go into the
//! disk thread's queue, messages into the queues of the peers' connections, answers to whoever waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, oneshot, watch};

use super::disk::{Order, Store};
use super::peers::{Slot, Slots};
use super::{Delivery, Fatal, NotReady, Refusal, Slice};
use crate::core::{Answer, Core, Now, Output, Payload, Reading, Ticket};
use crate::cursor::Cursor;
use crate::path::StreamPath;
use crate::stream::DirectorId;

/// One running server's rules, and everything that they act on.
pub(super) struct Engine {
    state: Mutex<State>,
    started: Instant,
    /// Reads payloads back that memory gave up.
    store: Arc<dyn Store>,
    /// What the timer task sleeps on besides the time.
    pub(super) timer: Notify,
    /// Bytes of entries that the disk thread has not made durable yet.
    unsynced: AtomicUsize,
    most_unsynced: usize,
    synced: Notify,
    written: Written,
    fatal: watch::Sender<Option<Fatal>>,
    stopping: watch::Sender<bool>,
    joined: watch::Sender<bool>,
}

/// What the disk thread has done, for `/metrics`.
#[derive(Default)]
struct Written {
    batches: AtomicU64,
    entries: AtomicU64,
    microseconds: AtomicU64,
}

/// What is under the lock.
pub(super) struct State {
    pub(super) core: Core,
    pub(super) peers: Slots,
    /// Directors' watches.
    pub(super) watches: HashMap<DirectorId, Vec<Weak<Moved>>>,
    /// Live reads.
    pub(super) followers: u32,
    disk: mpsc::Sender<Order>,
    waiting: HashMap<Ticket, oneshot::Sender<Result<Answer, Refusal>>>,
    tickets: u64,
    /// Woken when a stream moved; there while it has live reads.
    rooms: HashMap<StreamPath, watch::Sender<()>>,
    /// When the timer task will wake.
    armed: Option<Duration>,
}

/// Stable cuts that a watch has not told yet, the newest of each stream.
#[derive(Default)]
pub(super) struct Moved {
    cuts: Mutex<BTreeMap<StreamPath, Cursor>>,
    more: Notify,
}

impl Engine {
    pub(super) fn new(
        core: Core,
        slots: Vec<Slot>,
        disk: mpsc::Sender<Order>,
        store: Arc<dyn Store>,
        most_unsynced: usize,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                core,
                peers: Slots::new(slots),
                watches: HashMap::new(),
                followers: 0,
                disk,
                waiting: HashMap::new(),
                tickets: 0,
                rooms: HashMap::new(),
                armed: None,
            }),
            started: Instant::now(),
            store,
            timer: Notify::new(),
            unsynced: AtomicUsize::new(0),
            most_unsynced,
            synced: Notify::new(),
            written: Written::default(),
            fatal: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
            joined: watch::Sender::new(false),
        }
    }

    /// Makes one call, and passes on what comes of it.
    pub(super) fn with<R>(&self, call: impl FnOnce(&mut State, Now) -> R) -> R {
        let mut state = self.lock();
        let now = self.now();
        let result = call(&mut state, now);
        self.act(&mut state, now);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.fail(Fatal::Broken("a call of the rules panicked".to_owned()));
            poisoned.into_inner()
        })
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            since_start: self.started.elapsed(),
            wall: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Does what the rules ask for, in their order.
    fn act(&self, state: &mut State, now: Now) {
        loop {
            let outputs = state.core.outputs();
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                self.act_on(state, now, output);
            }
        }
        self.joined.send_if_modified(|joined| {
            let before = std::mem::replace(joined, state.core.joined());
            before != *joined
        });
        let next = state.core.next_timer();
        if next.is_some_and(|next| state.armed.is_none_or(|armed| next < armed)) {
            state.armed = next;
            self.timer.notify_one();
        }
    }

    fn act_on(&self, state: &mut State, now: Now, output: Output) {
        match output {
            Output::Log { entry, copy } => {
                let weight = entry.weight();
                self.unsynced.fetch_add(weight, Ordering::Relaxed);
                state.order(Order::Log { entry, copy });
            }
            Output::StoreIdentity(identity) => state.order(Order::Identity(identity)),
            Output::Send { peer, message } => {
                if !state.peers.send(peer, message) {
                    tracing::warn!(address = state.peers.address(peer), "a peer is too slow");
                    state.peers.close(peer);
                    state.core.peer_down(now, peer);
                }
            }
            Output::Disconnect { peer, why } => {
                tracing::warn!(
                    address = state.peers.address(peer),
                    why,
                    "peer disconnected"
                );
                state.peers.close(peer);
                state.core.peer_down(now, peer);
            }
            Output::Answer { ticket, result } => {
                if let Some(waiting) = state.waiting.remove(&ticket) {
                    // Whoever asked may have gone; that is no concern of the rules.
                    let _gone = waiting.send(result);
                }
            }
            Output::Wake(path) => {
                if let Some(room) = state.rooms.get(&path) {
                    room.send_replace(());
                }
            }
            Output::Stable {
                director,
                path,
                cursor,
            } => state.tell_watches(&director, &path, &cursor),
            Output::Fatal(fatal) => {
                self.fail(fatal);
                state.stop();
            }
        }
    }

    /// Ends the server by itself: nothing is accepted any more, and its owner is told. The first reason
    /// stands.
    pub(super) fn fail(&self, fatal: Fatal) {
        tracing::error!(%fatal, "the server has to end");
        self.fatal.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(fatal);
            is_first
        });
        self.stopping.send_replace(true);
    }

    /// Whether new work is refused.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Refuses new work; live reads, watches and connections end.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
        self.with(|state, _| state.stop());
    }

    /// Answers what nobody will answer any more.
    pub(super) fn give_up_waiting(&self) {
        self.with(|state, _| state.waiting.clear());
    }

    /// Becomes true once the server stops.
    pub(super) fn stopped(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Becomes true once the server has joined.
    pub(super) fn has_joined(&self) -> watch::Receiver<bool> {
        self.joined.subscribe()
    }

    /// Says why the server has to end by itself.
    pub(super) fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.fatal.subscribe()
    }

    /// Asks the rules something, and waits for the answer. Dropped midway, the question is withdrawn.
    pub(super) async fn ask(
        &self,
        question: impl FnOnce(&mut Core, Now, Ticket),
    ) -> Result<Answer, Refusal> {
        if self.is_stopping() {
            return Err(NotReady::Stopping.into());
        }
        let (answer, answered) = oneshot::channel();
        let ticket = self.with(|state, now| {
            state.tickets += 1;
            let ticket = Ticket(state.tickets);
            state.waiting.insert(ticket, answer);
            question(&mut state.core, now, ticket);
            ticket
        });
        let mut asked = Asked {
            engine: self,
            ticket: Some(ticket),
        };
        let answer = answered.await;
        asked.ticket = None;
        answer.unwrap_or(Err(NotReady::Stopping.into()))
    }

    /// An answer of another kind than was asked for: the rules are broken.
    pub(super) fn mistaken(&self) -> Refusal {
        self.fail(Fatal::Broken("an answer of another kind".to_owned()));
        NotReady::Stopping.into()
    }

    /// The room's wakes, from now on.
    pub(super) fn subscribe(&self, path: &StreamPath) -> watch::Receiver<()> {
        let mut state = self.lock();
        state.followers += 1;
        let room = state.rooms.entry(path.clone()).or_default();
        room.subscribe()
    }

    /// Ends what [`Engine::subscribe`] began; the receiver has to be gone.
    pub(super) fn unsubscribe(&self, path: &StreamPath) {
        let mut state = self.lock();
        state.followers = state.followers.saturating_sub(1);
        if state
            .rooms
            .get(path)
            .is_some_and(|room| room.receiver_count() == 0)
        {
            state.rooms.remove(path);
        }
    }

    /// Whether the disk is so far behind that no new write is taken.
    pub(super) fn is_behind(&self) -> bool {
        self.unsynced.load(Ordering::Relaxed) >= self.most_unsynced
    }

    /// Waits until the disk has caught up enough for entries from peers. Cancel safe.
    pub(super) async fn disk_caught_up(&self) {
        loop {
            let more = self.synced.notified();
            if !self.is_behind() || self.is_stopping() {
                return;
            }
            more.await;
        }
    }

    /// The disk thread has made a batch durable: entries, their weight, and how long it took.
    pub(super) fn caught_up(&self, entries: usize, weight: usize, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.written.batches.fetch_add(1, Ordering::Relaxed);
        self.written
            .entries
            .fetch_add(entries as u64, Ordering::Relaxed);
        self.written.microseconds.fetch_add(took, Ordering::Relaxed);
        self.unsynced.fetch_sub(weight, Ordering::Relaxed);
        self.synced.notify_waiters();
    }

    /// Counters of the rules, the disk and the queues.
    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let unsynced = self.unsynced.load(Ordering::Relaxed) as u64;
        let mut counters = self.with(|state, _| state.core.counters());
        counters.extend([
            ("webfs_log_batches_total", of(&self.written.batches)),
            ("webfs_log_entries_total", of(&self.written.entries)),
            (
                "webfs_log_commit_microseconds_total",
                of(&self.written.microseconds),
            ),
            ("webfs_log_bytes_waiting", unsynced),
        ]);
        counters
    }

    /// When the rules want to be called, as time since the start; the timer task sleeps until then.
    pub(super) fn next_timer(&self) -> Option<tokio::time::Instant> {
        let mut state = self.lock();
        state.armed = state.core.next_timer();
        let at = self.started.checked_add(state.armed?)?;
        Some(at.into())
    }

    /// Completes a reading with payloads from the log.
    pub(super) async fn fill(self: Arc<Self>, reading: Reading) -> Result<Slice, Refusal> {
        let mut entries = Vec::with_capacity(reading.entries.len());
        let mut missing = Vec::new();
        for picked in reading.entries {
            let payload = match picked.payload {
                Payload::Here(bytes) => bytes,
                Payload::At { place, .. } => {
                    missing.push((entries.len(), place));
                    bytes::Bytes::new()
                }
            };
            entries.push(Delivery {
                name: picked.name,
                payload,
                count: picked.count,
                accepted_at: picked.accepted_at,
                request: picked.request,
                producer: picked.producer,
                stable: picked.stable,
            });
        }
        let places = missing.iter().map(|&(_, place)| place).collect();
        let payloads = super::disk::payloads(&self.store, places).await;
        for ((at, _), payload) in missing.iter().zip(payloads.map_err(Refusal::Unreadable)?) {
            if let Some(entry) = entries.get_mut(*at) {
                entry.payload = payload;
            }
        }
        Ok(Slice {
            content_type: reading.content_type,
            entries,
            next: reading.next,
            up_to_date: reading.up_to_date,
            stable: reading.stable,
        })
    }

    /// The log, to read payloads back.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl State {
    /// The disk thread ends only after an order to do so; one that comes later is nobody's.
    pub(super) fn order(&self, order: Order) {
        let _ended = self.disk.send(order);
    }

    /// Live reads, and requests under way.
    pub(super) fn load(&self) -> u32 {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.followers.saturating_add(waiting)
    }

    fn stop(&mut self) {
        self.core.stop();
        for room in self.rooms.values() {
            room.send_replace(());
        }
    }

    fn tell_watches(&mut self, director: &DirectorId, path: &StreamPath, cursor: &Cursor) {
        for moved in self.watches.get(director).into_iter().flatten() {
            if let Some(moved) = moved.upgrade() {
                moved.put(path.clone(), cursor.clone());
            }
        }
    }
}

impl Moved {
    pub(super) fn put(&self, path: StreamPath, cursor: Cursor) {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.insert(path, cursor);
        self.more.notify_one();
    }

    /// The next one. Cancel safe.
    pub(super) async fn take(&self) -> (StreamPath, Cursor) {
        loop {
            let taken = {
                let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
                cuts.pop_first()
            };
            match taken {
                Some(taken) => return taken,
                None => self.more.notified().await,
            }
        }
    }
}

/// Withdraws a question when whoever asked does not wait any more.
struct Asked<'a> {
    engine: &'a Engine,
    /// `None` once it is answered.
    ticket: Option<Ticket>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.engine.with(|state, _| {
                if state.waiting.remove(&ticket).is_some() {
                    state.core.cancel(ticket);
                }
            });
        }
    }
}
