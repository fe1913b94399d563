//! The disk's thread: it writes what the rules logged, one batch after another, and tells them when it is
//! durable.
//!
//! There is no artificial delay: what has come while one batch was synced is the next batch.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::{Durability, Fatal, Identity};
use crate::core::Place;
use crate::entry::Entry;
use crate::log::disk::Disk;
use crate::log::{self, BATCH_TARGET, Log, LogFailed, Reader, Space, identity};

/// How often a full disk is tried again.
const TRY_FULL_DISK: Duration = Duration::from_secs(1);

/// What the disk's thread is told to do, in this order.
pub(super) enum Order {
    /// Begin: from now on there is somebody to tell.
    Begin(Arc<Engine>),
    /// Append an entry; with its payload from `copy`, when it has none itself.
    Log { entry: Entry, copy: Option<Place> },
    /// Store who the server is.
    Identity(Identity),
    /// End, after everything before; then say so.
    End(Option<oneshot::Sender<()>>),
}

/// Reads payloads back. Calls block.
pub(super) trait Store: Send + Sync {
    /// The payloads of the entries at these places.
    ///
    /// # Errors
    /// Says what could not be read.
    fn payloads(&self, places: &[Place]) -> Result<Vec<Bytes>, String>;
}

impl<D: Disk> Store for Reader<D> {
    fn payloads(&self, places: &[Place]) -> Result<Vec<Bytes>, String> {
        let entries = self.read(places)?;
        Ok(entries.into_iter().map(|entry| entry.payload).collect())
    }
}

/// Reads payloads back on a thread that may block; without any, at once.
pub(super) async fn payloads(
    store: &Arc<dyn Store>,
    places: Vec<Place>,
) -> Result<Vec<Bytes>, String> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let store = Arc::clone(store);
    let read = move || store.payloads(&places);
    match tokio::task::spawn_blocking(read).await {
        Ok(payloads) => payloads,
        Err(error) => Err(format!("reading the log: {error}")),
    }
}

/// The thread's own state.
pub(super) struct Writer<D: Disk> {
    pub(super) disk: Arc<D>,
    pub(super) log: Log<D>,
    pub(super) durability: Durability,
    /// Entries handed to the rules or taken from them so far: their own count of sequences.
    pub(super) logged: u64,
    pub(super) full: bool,
}

enum Ended {
    Told(Option<oneshot::Sender<()>>),
    Failed(Fatal),
}

impl From<LogFailed> for Ended {
    fn from(failed: LogFailed) -> Self {
        Self::Failed(Fatal::Log(failed.to_string()))
    }
}

impl<D: Disk> Writer<D> {
    /// Does what it is told until it is told to end, or fails.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>) {
        let Ok(Order::Begin(engine)) = orders.recv() else {
            return;
        };
        let watched = Panicking(Arc::clone(&engine));
        let ended = self.work(&engine, orders);
        drop(watched);
        match ended {
            Ended::Told(told) => {
                // Where acknowledgements do not wait for the disk, an orderly end still does.
                if let Err(failed) = self.log.sync() {
                    engine.fail(Fatal::Log(failed.to_string()));
                }
                drop(engine);
                drop(self);
                if let Some(told) = told {
                    let _gone = told.send(());
                }
            }
            Ended::Failed(fatal) => {
                end_engine(&engine, fatal);
                self.refuse_the_rest(orders);
            }
        }
    }

    /// After a failure nothing is written; whoever waits for the end is still told.
    fn refuse_the_rest(self, orders: &mpsc::Receiver<Order>) {
        drop(self);
        while let Ok(order) = orders.recv() {
            if let Order::End(told) = order {
                if let Some(told) = told {
                    let _gone = told.send(());
                }
                return;
            }
        }
    }

    fn work(&mut self, engine: &Engine, orders: &mpsc::Receiver<Order>) -> Ended {
        let mut queue = VecDeque::new();
        loop {
            if let Err(ended) = self.look_for_space(engine) {
                return ended;
            }
            if queue.is_empty() {
                match self.wait(orders) {
                    Some(order) => queue.push_back(order),
                    None => continue,
                }
            }
            queue.extend(orders.try_iter());
            while let Some(order) = queue.pop_front() {
                let done = match order {
                    Order::Log { entry, copy } => {
                        queue.push_front(Order::Log { entry, copy });
                        self.batch(engine, &mut queue)
                    }
                    Order::Identity(identity) => self.store_identity(engine, identity),
                    Order::End(told) => return Ended::Told(told),
                    Order::Begin(_) => Ok(()),
                };
                if let Err(ended) = done {
                    return ended;
                }
                if let Err(ended) = self.look_for_space(engine) {
                    return ended;
                }
                queue.extend(orders.try_iter());
            }
        }
    }

    /// The next order; `None` when it is time to try a full disk again.
    fn wait(&self, orders: &mpsc::Receiver<Order>) -> Option<Order> {
        let order = if self.full {
            match orders.recv_timeout(TRY_FULL_DISK) {
                Err(mpsc::RecvTimeoutError::Timeout) => return None,
                Ok(order) => Some(order),
                Err(mpsc::RecvTimeoutError::Disconnected) => None,
            }
        } else {
            orders.recv().ok()
        };
        // The engine, which holds the other end, lives as long as this thread.
        Some(order.unwrap_or(Order::End(None)))
    }

    /// Sets the next segment aside, and tells when that no longer works, or works again.
    fn look_for_space(&mut self, engine: &Engine) -> Result<(), Ended> {
        let space = self.log.prepare()?;
        let full = space != Space::Enough;
        if full != self.full {
            self.full = full;
            match space {
                Space::Full(why) => {
                    tracing::warn!(
                        why,
                        "no place for the next log segment: appends are refused"
                    );
                }
                Space::Enough => tracing::info!("there is a place for the next log segment again"),
            }
            engine.with(|state, _| state.core.set_full(full));
        }
        Ok(())
    }

    /// Writes the entries at the queue's front as one batch, and makes them durable.
    fn batch(&mut self, engine: &Engine, queue: &mut VecDeque<Order>) -> Result<(), Ended> {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut bytes, mut weight) = (0, 0);
        while bytes < BATCH_TARGET {
            match queue.pop_front() {
                Some(Order::Log { mut entry, copy }) => {
                    weight += entry.weight();
                    if let Some(place) = copy {
                        entry.payload = self.copy(place)?;
                    }
                    bytes += entry.weight();
                    entries.push(entry);
                }
                Some(other) => {
                    queue.push_front(other);
                    break;
                }
                None => break,
            }
        }
        let begun = Instant::now();
        let places = self.log.write(&entries)?;
        if self.durability == Durability::Disk {
            self.log.sync()?;
        }
        self.logged += entries.len() as u64;
        let up_to = self.logged;
        engine.caught_up(entries.len(), weight, begun.elapsed());
        engine.with(|state, now| state.core.durable(now, up_to, &places));
        Ok(())
    }

    fn copy(&self, place: Place) -> Result<Bytes, Ended> {
        let read = self.log.reader().payloads(&[place]);
        let payload =
            read.and_then(|payloads| payloads.into_iter().next().ok_or("nothing".to_owned()));
        payload.map_err(|why| Ended::Failed(Fatal::Log(why)))
    }

    fn store_identity(&self, engine: &Engine, identity: Identity) -> Result<(), Ended> {
        match identity::write(&*self.disk, identity) {
            Ok(()) => {
                engine.with(|state, now| state.core.identity_stored(now, identity));
                Ok(())
            }
            Err(error) => Err(Ended::Failed(Fatal::Log(error.to_string()))),
        }
    }
}

/// Nothing more becomes durable: whoever waits for it is told.
fn end_engine(engine: &Engine, fatal: Fatal) {
    engine.fail(fatal);
    engine.stop();
    engine.give_up_waiting();
}

/// Ends the server when the disk's thread panics; nobody would be answered any more.
struct Panicking(Arc<Engine>);

impl Drop for Panicking {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = "the disk's thread panicked".to_owned();
            end_engine(&self.0, Fatal::Broken(why));
        }
    }
}

/// Tells what a start found on the disk.
pub(super) fn tell(report: &log::Report) {
    for torn in &report.torn {
        tracing::warn!(
            segment = torn.segment,
            at = torn.at,
            bytes = torn.bytes,
            "the log ended in a batch that was not whole; it was cut off, nobody had been told of it"
        );
    }
    for damage in &report.damage {
        tracing::error!(
            segment = damage.segment,
            from = damage.from,
            to = damage.to,
            known = damage.fenced,
            "entries of the log cannot be read any more; they are fetched again from the peers"
        );
    }
    tracing::info!(
        entries = report.entries,
        set_aside = report.set_aside,
        segments = report.segments,
        damaged = report.damaged,
        "log read"
    );
}
