//! Draining: a node takes no new session, and those that it has stay until they end or are told to move.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Cluster, LOG, Node};

/// Who keeps new sessions from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// Whoever runs the director.
    Operator,
    /// The node's agent.
    Agent,
}

impl ClosedBy {
    const ALL: [Self; 2] = [Self::Operator, Self::Agent];

    const fn bit(self) -> u8 {
        match self {
            Self::Operator => 1,
            Self::Agent => 2,
        }
    }

    /// Its name in `/status` and the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
        }
    }
}

/// How often nodes that drain are looked at.
const LOOK: Duration = Duration::from_millis(250);

impl Node {
    /// Who keeps new sessions from it; nobody, when it takes them.
    #[must_use]
    pub fn closed_by(&self) -> Vec<ClosedBy> {
        let bits = self.closed.load(Ordering::Relaxed);
        let mut all = ClosedBy::ALL.to_vec();
        all.retain(|by| bits & by.bit() != 0);
        all
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed) != 0
    }

    /// Whether that changed something.
    fn close(&self, by: ClosedBy, closes: bool) -> bool {
        let before = if closes {
            self.closed.fetch_or(by.bit(), Ordering::Relaxed)
        } else {
            self.closed.fetch_and(!by.bit(), Ordering::Relaxed)
        };
        let mut since = self.closed_since();
        *since = self
            .is_closed()
            .then(|| since.unwrap_or_else(|| self.now()));
        (before & by.bit() != 0) != closes
    }
}

impl Cluster {
    /// Keeps new sessions from a node, or lets them come again, as far as `by` is concerned. Returns
    /// whether that changed something.
    pub fn drain(&self, node: &Node, by: ClosedBy, drains: bool) -> bool {
        let changed = node.close(by, drains);
        if changed {
            let (service, name, by) = (self.service.as_str(), node.name.as_str(), by.as_str());
            let sessions = node.in_flight();
            if drains {
                tracing::info!(target: LOG, service, node = name, by, sessions, "node drains");
            } else {
                tracing::info!(target: LOG, service, node = name, by, "node drains no more");
            }
            self.tell_change();
        }
        changed
    }

    /// Moves the sessions of nodes that have drained for `deadline`, for ever.
    pub(crate) async fn move_at_drain_deadline(self: Arc<Self>, deadline: Duration) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.move_the_late(deadline);
        }
    }

    /// Cuts every link to nodes that have drained for so long: as at a node's death, its sessions go on
    /// elsewhere.
    pub(super) fn move_the_late(&self, deadline: Duration) {
        for node in &self.nodes {
            let late = node
                .closed_since()
                .is_some_and(|since| self.now().saturating_sub(since) >= deadline);
            let sessions = node.in_flight();
            if !late || sessions == 0 {
                continue;
            }
            let (service, name) = (self.service.as_str(), node.name.as_str());
            tracing::info!(
                target: LOG, service, node = name, sessions, "the drain deadline is over: sessions move"
            );
            node.strand();
            // Nobody listens before the workers have started: then there are no links either.
            let _listeners = self.deaths.send(node.id);
        }
    }
}
