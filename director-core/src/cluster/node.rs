//! One node: its address, its standing, and what is under way on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::agent::AgentState;
use crate::health::standing::{Change, Duty, Health, Standing};

use super::NodeId;
use super::meters::Meters;
use super::pick::Candidate;
use super::questions::{Ends, Questions};
use super::seen::NodeLoad;

/// What is known of a node before it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its name in logs and metrics: its address as the config has it, or a spawned node's id.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Its share of sessions, beside the others'; 0: none.
    pub weight: u32,
    /// Sessions at once; `None`: as many as come.
    pub max_sessions: Option<u32>,
}

impl NodeSettings {
    /// One that differs from the others in nothing.
    #[must_use]
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            weight: 1,
            max_sessions: None,
        }
    }
}

/// One of the peer servers of a service.
#[derive(Debug)]
pub struct Node {
    /// Its number, and its place in the cluster's list.
    pub id: NodeId,
    /// Its name in logs and metrics: its address as the config has it, or a spawned node's id.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Its configured weight.
    pub weight: u32,
    max_sessions: Option<u32>,
    pub(crate) started: Instant,
    pub(crate) health: Mutex<Health>,
    /// Wakes the node's health task.
    pub(crate) wake: Notify,
    pub(super) meters: Meters,
    pub(crate) questions: Questions,
    ends: Mutex<Ends>,
    pub(super) agent: Mutex<AgentState>,
    /// Of what it said: the weight of now in hundredths, and the sessions that it takes.
    pub(super) percent: AtomicU32,
    pub(super) agent_most: AtomicU32,
    /// Who keeps new sessions from it, a bit for each.
    pub(super) closed: AtomicU8,
    closed_since: Mutex<Option<Duration>>,
    in_flight: AtomicUsize,
    /// Sessions that were on it when it was suspected or declared down; 0 while it is up.
    stranded: AtomicUsize,
    sessions: AtomicU64,
    /// How often it has told its load.
    reports: AtomicU64,
    /// Sessions that began since the last time, and are still there.
    since: AtomicU64,
}

impl Node {
    pub(super) fn new(
        id: NodeId,
        settings: NodeSettings,
        started: Instant,
        health: Health,
        meters: Meters,
    ) -> Self {
        Self {
            id,
            name: settings.name,
            address: settings.address,
            weight: settings.weight,
            max_sessions: settings.max_sessions,
            started,
            health: Mutex::new(health),
            wake: Notify::new(),
            meters,
            questions: Questions::new(),
            ends: Mutex::default(),
            agent: Mutex::default(),
            percent: AtomicU32::new(100),
            agent_most: AtomicU32::new(u32::MAX),
            closed: AtomicU8::new(0),
            closed_since: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            stranded: AtomicUsize::new(0),
            sessions: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// How it stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let standing = self.health().standing(self.now());
        match standing {
            Standing::Up | Standing::Leaving if self.is_closed() => Standing::Draining,
            Standing::Up
            | Standing::Leaving
            | Standing::Draining
            | Standing::Suspect
            | Standing::Down => standing,
        }
    }

    /// Since when it drains; `None` when it does not.
    pub(super) fn closed_since(&self) -> MutexGuard<'_, Option<Duration>> {
        // Nothing under this lock panics half-way through a change.
        self.closed_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Its sessions have to leave.
    pub(super) fn strand(&self) {
        self.stranded.fetch_max(self.in_flight(), Ordering::Relaxed);
    }

    /// A session begins to use it; it is in flight until the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.entered_now()
    }

    /// The same, unless it has as many sessions as it may have.
    pub(super) fn enter_if_there_is_room(self: &Arc<Self>) -> Option<InFlight> {
        let most = self.most();
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |there| {
                (there < most).then_some(there + 1)
            })
            .ok()?;
        Some(self.entered_now())
    }

    /// A session has been counted in.
    fn entered_now(self: &Arc<Self>) -> InFlight {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.since.fetch_add(1, Ordering::Relaxed);
        InFlight {
            node: Arc::clone(self),
            reports: self.reports.load(Ordering::Relaxed),
        }
    }

    /// Sessions that it may have at once.
    fn most(&self) -> usize {
        let says = self.agent_most.load(Ordering::Relaxed);
        self.max_sessions.unwrap_or(u32::MAX).min(says) as usize
    }

    /// It tells its load: sessions that begin from now on are not in it.
    pub(super) fn note_report(&self, load: NodeLoad) {
        if load.load.is_some() {
            self.reports.fetch_add(1, Ordering::Relaxed);
            self.since.store(0, Ordering::Relaxed);
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

    /// Its weight of now: the configured one, as far as its agent lets it.
    #[must_use]
    pub fn weight_now(&self) -> f64 {
        let percent = self.percent.load(Ordering::Relaxed);
        f64::from(self.weight) * f64::from(percent) / 100.0
    }

    /// What the balancer compares.
    pub(super) fn candidate(&self, now: Duration) -> Candidate {
        let health = self.health();
        let sessions = self.in_flight();
        let since = self.since.load(Ordering::Relaxed);
        let work = work(health.load(), since, sessions);
        let weight = self.weight_now() * health.weight(now);
        Candidate {
            id: self.id,
            standing: health.standing(now),
            cost: (work + 1.0) / weight,
            sessions: (sessions as f64 + 1.0) / weight,
            open: weight > 0.0 && sessions < self.most() && !self.is_closed(),
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
                self.strand();
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

/// Work under way at a node. A report tells of all directors' sessions, but late: those that began since are
/// ours to add.
pub(super) fn work(reported: Option<f64>, begun_since: u64, in_flight: usize) -> f64 {
    match reported {
        Some(load) => load + begun_since as f64,
        None => in_flight as f64,
    }
}

/// A session in flight on a node, for as long as it lives.
#[derive(Debug)]
pub struct InFlight {
    node: Arc<Node>,
    /// How often the node had told its load when it began.
    reports: u64,
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
        if self.reports == self.node.reports.load(Ordering::Relaxed) {
            // A report in between has set it to 0: then there is nothing to take off.
            let less = |since: u64| since.checked_sub(1);
            let order = Ordering::Relaxed;
            let _none = self.node.since.fetch_update(order, order, less);
        }
    }
}
