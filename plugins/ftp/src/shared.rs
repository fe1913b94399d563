//! What all sessions of an instance share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use director_sdk::NodeId;
use zeroize::Zeroizing;

use crate::control::feat::{self, Features};
use crate::options::Options;
use crate::up::leftovers::Leftovers;
use crate::up::memory::Memory;

/// One an instance.
pub(crate) struct Shared {
    /// The service's options.
    pub(crate) options: Options,
    /// Where changes go, and reads of what was just written.
    pub(crate) placement: Memory,
    /// Temporary files that nodes may have kept.
    pub(crate) leftovers: Leftovers,
    /// The service account's PASS.
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
    /// What each node offers, as far as it was asked.
    features: Mutex<BTreeMap<NodeId, Arc<Features>>>,
    /// Nodes that have said 421 to a session since they last greeted a probe.
    goodbyes: Mutex<BTreeSet<NodeId>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// For a fresh instance.
    pub(crate) fn new(options: Options, password: Option<Zeroizing<Vec<u8>>>) -> Self {
        Self {
            options,
            placement: Memory::default(),
            leftovers: Leftovers::default(),
            password,
            features: Mutex::default(),
            goodbyes: Mutex::default(),
        }
    }

    /// What a node offers, if it was asked.
    pub(crate) fn features(&self, node: NodeId) -> Option<Arc<Features>> {
        self.with_features(|known| known.get(&node).cloned())
    }

    /// Notes what a node offers.
    pub(crate) fn learn(&self, node: NodeId, features: Features) -> Arc<Features> {
        let features = Arc::new(features);
        self.with_features(|known| known.insert(node, Arc::clone(&features)));
        features
    }

    /// Forgets what a node offers that has left, or is dead: clients are offered what the others have.
    pub(crate) fn forget(&self, node: NodeId) {
        self.with_features(|known| known.remove(&node));
    }

    /// What clients are offered; `own` is what the director has for this one besides.
    pub(crate) fn offered(&self, own: &[&str]) -> Vec<String> {
        self.with_features(|known| feat::offered(known.values().map(Arc::as_ref), own))
    }

    /// Notes that a node has said 421 to a session.
    pub(crate) fn said_goodbye(&self, node: NodeId) {
        lock(&self.goodbyes).insert(node);
    }

    /// Whether a node has said 421 to a session since it last greeted a probe.
    pub(crate) fn has_said_goodbye(&self, node: NodeId) -> bool {
        lock(&self.goodbyes).contains(&node)
    }

    /// Notes that a node has greeted a probe.
    pub(crate) fn greeted(&self, node: NodeId) {
        lock(&self.goodbyes).remove(&node);
    }

    fn with_features<R>(&self, with: impl FnOnce(&mut BTreeMap<NodeId, Arc<Features>>) -> R) -> R {
        with(&mut lock(&self.features))
    }
}

/// What is in there is whole at any time, whoever has panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
