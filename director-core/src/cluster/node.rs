//! One node: its address, its standing, and what is under way on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::health::standing::{Change, Duty, Health, Standing};

use super::NodeId;
use super::meters::Meters;
use super::pick::Candidate;
use super::questions::{Ends, Questions};

/// One of the peer servers of a service.
#[derive(Debug)]
pub struct Node {
    /// Its number, and its place in the cluster's list.
    pub id: NodeId,
    /// Its name in logs and metrics: its address as the config has it, or a spawned node's id.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    pub(crate) started: Instant,
    pub(crate) health: Mutex<Health>,
    /// Wakes the node's health task.
    pub(crate) wake: Notify,
    pub(super) meters: Meters,
    pub(crate) questions: Questions,
    ends: Mutex<Ends>,
    in_flight: AtomicUsize,
    /// Sessions that were on it when it was suspected or declared down; 0 while it is up.
    stranded: AtomicUsize,
    sessions: AtomicU64,
}

impl Node {
    pub(super) fn new(
        id: NodeId,
        name: String,
        address: SocketAddr,
        started: Instant,
        health: Health,
        meters: Meters,
    ) -> Self {
        Self {
            id,
            name,
            address,
            started,
            health: Mutex::new(health),
            wake: Notify::new(),
            meters,
            questions: Questions::new(),
            ends: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            stranded: AtomicUsize::new(0),
            sessions: AtomicU64::new(0),
        }
    }

    /// How it stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.health().standing(self.now())
    }

    /// A session begins to use it; it is in flight until the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.sessions.fetch_add(1, Ordering::Relaxed);
        InFlight {
            node: Arc::clone(self),
        }
    }

    /// Sessions that use it now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Guards taken since the start.
    #[must_use]
    pub fn entered(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// What it last said of its load; `None` if it said nothing.
    #[must_use]
    pub fn load(&self) -> Option<f64> {
        self.health().load()
    }

    /// What the balancer compares.
    pub(super) fn candidate(&self, now: Duration) -> Candidate {
        let health = self.health();
        // What it reports tells of other directors' sessions too, but late; our own count is never late.
        let work = health.load().unwrap_or(0.0) + self.in_flight() as f64;
        Candidate {
            id: self.id,
            standing: health.standing(now),
            cost: (work + 1.0) / health.weight(now),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn health(&self) -> MutexGuard<'_, Health> {
        // Nothing under this lock panics half-way through a change.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done about it: what its health asks for, and what anybody else asks.
    pub(crate) fn duty(&self) -> Duty {
        match self.health().duty() {
            Duty::Watch if self.questions.any_open() => Duty::ProbeAt(Duration::ZERO),
            duty @ (Duty::Watch | Duty::ProbeAt(_) | Duty::TrialAt(_)) => duty,
        }
    }

    /// A link of `session` to it ended from its side.
    pub(crate) fn note_end(&self, session: u64) {
        let now = self.now();
        self.ends().note(session, now);
    }

    /// How many links to it ended from its side since then, those of `session` apart.
    pub(crate) fn ended_besides(&self, session: u64, since: Duration) -> u32 {
        self.ends().besides(session, since)
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        // Nothing under this lock panics half-way through a change.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes its health, and with it, under the same lock, who counts as stranded.
    pub(super) fn change(&self, how: impl FnOnce(&mut Health) -> Change) -> Change {
        let mut health = self.health();
        let change = how(&mut health);
        match change {
            Change::Suspected(_) | Change::Ejected(_) | Change::Died(_) => {
                self.stranded.fetch_max(self.in_flight(), Ordering::Relaxed);
            }
            Change::Cleared | Change::Appeared | Change::Returned => {
                self.stranded.store(0, Ordering::Relaxed);
            }
            Change::Nothing | Change::Leaving(_) => {}
        }
        change
    }

    pub(crate) fn stranded(&self) -> usize {
        self.stranded.load(Ordering::Relaxed)
    }
}

/// A session in flight on a node, for as long as it lives.
#[derive(Debug)]
pub struct InFlight {
    node: Arc<Node>,
}

impl InFlight {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.node.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
