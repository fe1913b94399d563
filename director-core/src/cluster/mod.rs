//! The nodes of one service, and the choice among them. Shared by all workers.
//!
//! What workers see of a node comes in through [`Cluster::observe`]; what follows from it (a probe, a
//! death) goes out through the node's health task and [`Cluster::on_death`]. The rules are pure:
//! [`pick`](self) for the choice, [`crate::health::standing`] for the standing.

mod agents;
mod drain;
mod meters;
mod node;
mod pick;
mod questions;
mod seen;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use director_recovery::{Budget, Exception, Kind};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

pub use director_recovery::NodeId;
pub use drain::ClosedBy;
pub use node::{InFlight, Node, NodeSettings};
pub use seen::{ConnectFailure, NodeLoad, Seen};

use crate::chance;
pub use crate::health::Prober;
use crate::health::standing::{Change, Health, HealthSettings};
pub use crate::health::standing::{Standing, Suspicion};
use crate::health::suspicion::is_an_answer;
use meters::Meters;
use table::{Places, Shares};

pub(crate) use table::hash;

/// Target of the log lines about nodes that come and go.
const LOG: &str = "director::node";
/// A dead node's sessions move one by one when there are more than this.
const CROWD: usize = 100;
/// Over how long a crowd is spread.
const SPREAD: Duration = Duration::from_millis(500);
/// Deaths that a slow listener may be behind by before it has to look at every node itself.
const DEATHS: usize = 256;

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// The service's name.
    pub service: String,
    /// The nodes, in the order of their ids.
    pub nodes: Vec<NodeSettings>,
    /// How one is chosen.
    pub balance: Balance,
    /// Share of the requests of the last ten seconds that may be resent.
    pub budget_share: f64,
    /// Resends a second that are always allowed.
    pub budget_per_second: u32,
    /// How health is judged.
    pub health: HealthSettings,
    /// Share of the nodes that must stay up for one to be ejected by its failures, from 0 to 1.
    pub panic_threshold: f64,
}

/// How the node of a session is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// By load: the cheaper of two that chance has drawn.
    #[default]
    LeastLoad,
    /// By a hash of the session's key, which is the client's address unless the plugin sets one. By
    /// load where there is no key.
    Hash,
}

/// The nodes of one service.
#[derive(Debug)]
pub struct Cluster {
    service: String,
    started: Instant,
    nodes: Vec<Arc<Node>>,
    shares: Shares,
    /// Of keys; `None` when they decide nothing.
    places: Option<Places>,
    budget: Mutex<Budget>,
    panic_threshold: f64,
    deaths: broadcast::Sender<NodeId>,
    changes: watch::Sender<u64>,
}

impl Cluster {
    /// A cluster of which nothing is known yet: every node is a suspect until its first probe.
    #[must_use]
    pub fn new(settings: ClusterSettings) -> Self {
        let started = Instant::now();
        let weights: Vec<u32> = settings.nodes.iter().map(|node| node.weight).collect();
        let named: Vec<(&str, u32)> = settings
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), node.weight))
            .collect();
        let places = match settings.balance {
            Balance::LeastLoad => None,
            Balance::Hash => Some(Places::new(&named)),
        };
        let nodes = (0..)
            .zip(settings.nodes)
            .map(|(id, node)| {
                let health = Health::new(settings.health);
                let meters = Meters::new(&settings.service, &node.name);
                Arc::new(Node::new(id, node, started, health, meters))
            })
            .collect();
        Self {
            service: settings.service,
            started,
            nodes,
            shares: Shares::new(&weights),
            places,
            budget: Mutex::new(Budget::new(
                settings.budget_share,
                settings.budget_per_second,
            )),
            panic_threshold: settings.panic_threshold,
            deaths: broadcast::Sender::new(DEATHS),
            changes: watch::Sender::new(0),
        }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Time since the cluster was made: the one clock for its budget and its nodes' health.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Chooses a node for a request and enters it: none of `avoid`; with `only`, that one, unless it is
    /// down. `key` is the session's.
    #[must_use]
    pub fn pick(
        &self,
        avoid: &[NodeId],
        only: Option<NodeId>,
        key: Option<u64>,
    ) -> Option<InFlight> {
        if let Some(only) = only {
            // Who goes back to a node was counted there.
            let node = self.node(only)?;
            return (node.standing() != Standing::Down).then(|| node.enter());
        }
        let seen = At {
            cluster: self,
            now: self.now(),
        };
        // Another worker may take the last room of a node that was chosen: then it is not open any more.
        for _ in 0..=self.nodes.len() {
            let chosen = match key.filter(|_| self.places.is_some()) {
                Some(key) => pick::by_key(&seen, key, avoid, &mut chance::number)?,
                None => pick::by_load(&seen, avoid, &mut chance::number)?,
            };
            if let Some(entered) = self.node(chosen)?.enter_if_there_is_room() {
                return Some(entered);
            }
        }
        None
    }

    /// The node of this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<Arc<Node>> {
        self.nodes.get(id as usize).map(Arc::clone)
    }

    /// All nodes, by id.
    #[must_use]
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.clone()
    }

    /// The service's retry budget; its clock is [`Cluster::now`].
    pub fn budget(&self) -> MutexGuard<'_, Budget> {
        // Its own arithmetic saturates; nothing under this lock panics.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a worker has seen of a node. Cheap, never waits. An id that names no node is ignored:
    /// nothing can follow from it.
    pub fn observe(&self, node: NodeId, seen: Seen) {
        let Some(node) = self.nodes.get(node as usize) else {
            return;
        };
        node.meters.seen(seen);
        if let Seen::Load(load) = seen {
            node.note_report(load);
        }
        // The other nodes are asked only when it matters, and while this one is not locked.
        let on_the_edge = matches!(seen, Seen::Failed(_)) && node.health().is_on_the_edge();
        let may_eject = on_the_edge && self.can_spare(node.id);
        let now = self.now();
        let change = node.change(|health| health.seen(seen, now, may_eject));
        self.apply(node, change, "");
    }

    /// How long a session waits before it leaves this node, so that a crowd does not arrive at the next
    /// one in one moment: zero unless more than a hundred sessions were on it when it failed.
    #[must_use]
    pub fn spread(&self, node: NodeId) -> Duration {
        match self.nodes.get(node as usize) {
            Some(node) if node.stranded() > CROWD => SPREAD.mul_f64(chance::share()),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// Every node declared down from now on. A listener that lags ([`broadcast::error::RecvError::Lagged`])
    /// has to look at the standing of every node instead.
    #[must_use]
    pub fn on_death(&self) -> broadcast::Receiver<NodeId> {
        self.deaths.subscribe()
    }

    /// Changes its value whenever a node's standing has changed.
    #[must_use]
    pub fn on_change(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Has a node probed at once, and says whether it answered a probe that began after the question. Of
    /// a node that is down that is known: it is tried all the time.
    ///
    /// # Cancel safety
    /// May be dropped at any time; the probe goes on.
    pub(crate) async fn confirm(&self, node: &Node) -> bool {
        if node.standing() == Standing::Down {
            return false;
        }
        node.questions.ask(|| node.wake.notify_one()).await
    }

    /// Whether enough others are up to do without this node.
    fn can_spare(&self, without: NodeId) -> bool {
        let up = self
            .nodes
            .iter()
            .filter(|node| node.id != without && node.standing() == Standing::Up)
            .count();
        up > 0 && up as f64 >= self.panic_threshold * self.nodes.len() as f64
    }

    /// The node's watch ended, with what it raised. [`Kind::Unknown`] says nothing of the node (it ends
    /// whoever stays for long, say): the watch is begun again, and would meet what is wrong.
    pub(crate) fn watch_ended(&self, node: &Node, exception: &Exception) {
        if exception.kind == Kind::Unknown {
            tracing::debug!(node = %node.name, %exception, "a watch ended");
            return;
        }
        let now = self.now();
        let change = node.change(|health| health.watch_ended(now));
        self.apply(node, change, &exception.to_string());
    }

    /// A probe came to its end.
    pub(crate) fn probed(&self, node: &Node, result: Result<NodeLoad, Exception>) {
        let now = self.now();
        match result {
            Ok(load) => {
                node.note_report(load);
                let change = node.change(|health| health.probe_answered(load, now));
                self.apply(node, change, "");
            }
            Err(exception) => {
                let kind = exception.kind;
                let change = node.change(|health| health.probe_raised(kind, now, chance::share()));
                self.apply(node, change, &exception.to_string());
            }
        }
    }

    /// A probe came to its end, begun when `question` was the last that was put.
    pub(crate) fn answered(&self, node: &Node, question: u64, result: Result<NodeLoad, Exception>) {
        let kind = result.as_ref().err().map(|exception| exception.kind);
        if let Some(kind) = kind
            && node.questions.is_open(question)
        {
            // Whoever asks has seen something: a question that is not answered is death, as for a
            // suspect. What changes by it is told below, once the probe is judged.
            node.change(|health| health.unanswered(kind, self.now()));
        }
        self.probed(node, result);
        let down = node.standing() == Standing::Down;
        let upto = if down {
            node.questions.asked()
        } else {
            question
        };
        node.questions
            .answer(upto, !down && kind.is_none_or(is_an_answer));
    }

    /// Acts on what an event changed.
    fn apply(&self, node: &Node, change: Change, detail: &str) {
        let (service, name) = (self.service.as_str(), node.name.as_str());
        match change {
            Change::Nothing => return,
            Change::Suspected(why) => {
                node.wake.notify_one();
                tracing::info!(
                    service,
                    node = name,
                    why = why.as_str(),
                    detail,
                    "node is suspect"
                );
            }
            Change::Cleared => {
                tracing::info!(
                    service,
                    node = name,
                    "node answers its probe: suspicion dropped"
                );
            }
            Change::Died(why) => {
                node.wake.notify_one();
                self.tell_death(node, why, detail);
                // Nobody listens before the workers have started: then there are no links either.
                let _listeners = self.deaths.send(node.id);
            }
            Change::Appeared => {
                tracing::debug!(target: LOG, service, node = name, "node is there");
            }
            Change::Returned => {
                tracing::info!(target: LOG, service, node = name, "node is up again");
            }
            Change::Ejected(until) => {
                node.wake.notify_one();
                let seconds = until.saturating_sub(self.now()).as_secs_f64();
                tracing::warn!(service, node = name, seconds, "node keeps failing: ejected");
                node.meters.ejected();
            }
            Change::Leaving(leaving) => {
                tracing::info!(
                    service,
                    node = name,
                    leaving,
                    "node says whether it is leaving"
                );
            }
        }
        self.tell_change();
    }

    /// A node stands otherwise than before.
    fn tell_change(&self) {
        self.changes
            .send_modify(|change| *change = change.wrapping_add(1));
    }

    fn tell_death(&self, node: &Node, why: Suspicion, detail: &str) {
        let (service, name) = (self.service.as_str(), node.name.as_str());
        if why == Suspicion::New {
            // It has never been there, so nobody has lost it.
            tracing::debug!(target: LOG, service, node = name, detail, "node does not answer yet");
            return;
        }
        let (why, sessions) = (why.as_str(), node.stranded());
        tracing::warn!(target: LOG, service, node = name, why, detail, sessions, "node is down");
        node.meters.died();
    }
}

/// The nodes at one time, for a choice.
struct At<'a> {
    cluster: &'a Cluster,
    now: Duration,
}

impl pick::Nodes for At<'_> {
    fn count(&self) -> usize {
        self.cluster.nodes.len()
    }

    fn candidate(&self, id: NodeId) -> Option<pick::Candidate> {
        let node = self.cluster.nodes.get(id as usize)?;
        Some(node.candidate(self.now))
    }

    fn draw(&self, chance: u64) -> Option<NodeId> {
        self.cluster.shares.draw(chance)
    }

    fn of_key(&self, key: u64) -> Option<NodeId> {
        self.cluster.places.as_ref()?.of(key)
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
