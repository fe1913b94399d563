//! What agents say of nodes, applied.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::{ClosedBy, Cluster, LOG, Node};
use crate::agent::line::Said;
use crate::agent::{AgentError, AgentState, Lapse};

impl Node {
    /// What its agent has said; the default of one that has none.
    #[must_use]
    pub fn agent(&self) -> AgentState {
        self.agent_state().clone()
    }

    fn agent_state(&self) -> MutexGuard<'_, AgentState> {
        // Nothing under this lock panics half-way through a change.
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// An agent has said something of its node.
    pub(crate) fn agent_said(&self, node: &Node, said: Said) {
        let (state, back) = {
            let mut state = node.agent_state();
            let back = state.hear(said, self.now());
            (state.clone(), back)
        };
        if back {
            let (service, name) = (self.service.as_str(), node.name.as_str());
            tracing::info!(target: LOG, service, node = name, "the agent answers again");
        }
        self.apply_agent(node, &state);
    }

    /// An agent was asked in vain. Its last words hold for `keep`.
    pub(crate) fn agent_missed(&self, node: &Node, error: &AgentError, keep: Duration) {
        let (lapse, state) = {
            let mut state = node.agent_state();
            let lapse = state.miss(self.now(), keep);
            (lapse, state.clone())
        };
        let (service, name) = (self.service.as_str(), node.name.as_str());
        match lapse {
            Lapse::Begun => {
                tracing::warn!(
                    target: LOG, service, node = name, %error,
                    "the agent is silent: what it said last holds for a while"
                );
            }
            Lapse::GoesOn => {}
            Lapse::Forgotten => {
                tracing::warn!(
                    target: LOG, service, node = name, %error,
                    "the agent is silent for too long: what it said holds no more"
                );
                self.apply_agent(node, &state);
            }
        }
    }

    fn apply_agent(&self, node: &Node, state: &AgentState) {
        node.percent.store(state.percent, Ordering::Relaxed);
        let most = state.most.unwrap_or(u32::MAX);
        node.agent_most.store(most, Ordering::Relaxed);
        self.drain(node, ClosedBy::Agent, !state.takes);
        let now = self.now();
        let change = node.change(|health| health.agent_says(state.works, now));
        self.apply(node, change, state.reason.as_deref().unwrap_or_default());
    }
}
