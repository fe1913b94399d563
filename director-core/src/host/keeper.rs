//! One instance on one thread: its pooled links, and the keeper that watches over its steps.
//!
//! The keeper hears of nodes that were declared down and cuts what is under way on them, looks for
//! silence, ends graces and deadlines, resets links that have rested too long, and owns the sockets
//! of clients that linger. There is one for
//! each instance and thread, from the first task there to the instance's end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};

use super::clock::{self, NEVER};
use super::instance::Inner;
use super::linger::Lingering;
use super::pool::Pool;
use super::stream::{Side, Stream};
use super::tables;
use super::task::Owned;
use super::tending::Tending;
use super::ticket::Ticket;
use crate::cluster::{NodeId, Standing};

/// How often steps under way are looked at, in nanoseconds.
const LOOK: u64 = 100_000_000;
/// How often links at rest are looked at, in nanoseconds.
const POOL_LOOK: u64 = 1_000_000_000;

/// One instance on one thread.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) inner: Arc<Inner>,
    pub(super) pool: Pool,
    pub(super) lingering: Lingering,
    pub(super) tending: Tending,
    /// Requests with something under way.
    active: RefCell<Owned>,
    /// Wakes the keeper.
    news: Notify,
    /// When the keeper looks again.
    next_look: Cell<u64>,
}

impl Local {
    /// The instance on this thread. Its keeper is begun with it, in the `LocalSet` that runs.
    pub(super) fn of(inner: &Arc<Inner>) -> Option<Rc<Self>> {
        let known = tables::with(|tables| {
            let locals = tables.locals.borrow();
            locals.get(&inner.number).map(Rc::clone)
        })?;
        if known.is_some() {
            return known;
        }
        let local = Rc::new(Self {
            inner: Arc::clone(inner),
            pool: Pool::default(),
            lingering: Lingering::default(),
            tending: Tending::default(),
            active: RefCell::default(),
            news: Notify::new(),
            next_look: Cell::new(NEVER),
        });
        tables::with(|tables| {
            let mut locals = tables.locals.borrow_mut();
            locals.insert(inner.number, Rc::clone(&local));
        })?;
        let kept = Kept(Rc::clone(&local));
        // From now on, not from the keeper's first poll: no death is missed.
        let deaths = inner.cluster.on_death();
        // Owned by the local set: it ends with the instance, or is dropped with the thread.
        tokio::task::spawn_local(async move {
            tokio::select! {
                () = kept.0.keep(deaths) => {}
                () = kept.0.lingering.run() => {}
                () = kept.0.tending.run() => {}
            }
        });
        Some(local)
    }

    /// A request has something under way, to be looked at by `deadline`.
    pub(super) fn watch(&self, number: u64, deadline: u64) -> Option<u32> {
        let place = {
            let mut active = self.active.borrow_mut();
            let place = active.reserve()?;
            active.set(place, number);
            place
        };
        let look = deadline.min(clock::now().saturating_add(LOOK));
        if look < self.next_look.get() {
            self.news.notify_one();
        }
        Some(place)
    }

    pub(super) fn unwatch(&self, place: u32) {
        self.active.borrow_mut().free(place);
    }

    /// A link was laid to rest.
    pub(super) fn rested(&self) {
        if self.next_look.get() == NEVER {
            self.news.notify_one();
        }
    }

    async fn keep(&self, mut deaths: broadcast::Receiver<NodeId>) {
        let closing = self.inner.closing.hearer();
        let mut closed = std::pin::pin!(closing.stopping());
        loop {
            let wait = self.look();
            tables::free_ended();
            tokio::select! {
                () = &mut closed => return,
                death = deaths.recv() => match death {
                    Ok(node) => self.node_died(node),
                    Err(RecvError::Lagged(_)) => self.nodes_died(),
                    // The cluster lives as long as the instance.
                    Err(RecvError::Closed) => return,
                },
                () = self.news.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Looks at every request under way, and says how long until the next look.
    fn look(&self) -> Duration {
        let now = clock::now();
        let mut next = NEVER;
        for ticket in self.under_way() {
            next = next.min(ticket.look(now)).min(now.saturating_add(LOOK));
        }
        if !self.pool.is_empty() {
            self.pool.sweep(self.inner.timeouts.rest);
            next = next.min(now.saturating_add(POOL_LOOK));
        }
        self.next_look.set(next);
        Duration::from_nanos(next.saturating_sub(now)).min(Duration::from_secs(3600))
    }

    fn under_way(&self) -> Vec<Rc<Ticket>> {
        let active = self.active.borrow();
        active
            .numbers()
            .filter_map(|number| tables::get::<Ticket>(number).ok())
            .collect()
    }

    fn nodes_died(&self) {
        for node in self.inner.cluster.nodes() {
            if node.standing() == Standing::Down {
                self.node_died(node.id);
            }
        }
    }

    /// Cuts all that is under way on a node.
    fn node_died(&self, node: NodeId) {
        for ticket in self.under_way() {
            ticket.node_died(node);
        }
        let side = Side::Link {
            instance: self.inner.number,
            node,
        };
        // Links that no step uses: of a chain between two requests, or at rest.
        for stream in tables::all::<Stream>() {
            if stream.side == side {
                stream.cut();
            }
        }
        self.pool.sweep(self.inner.timeouts.rest);
    }
}

/// What the keeper keeps; gone when the keeper is, however it ends.
struct Kept(Rc<Local>);

impl Drop for Kept {
    fn drop(&mut self) {
        let number = self.0.inner.number;
        // Dropped outside of the borrow.
        let local = tables::with(|tables| tables.locals.borrow_mut().remove(&number));
        self.0.pool.clear();
        drop(local);
        tables::free_ended();
    }
}
