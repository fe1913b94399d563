//! Temporary files that lost nodes may have kept: remembered until a session of the same user reaches the node again,
//! and deletes them there.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use director_sdk::{Failure, NodeId};
use zeroize::Zeroizing;

use crate::control::link::Link;
use crate::control::state::State;

/// How many files are remembered; of more, the oldest stay where they are.
const MOST: usize = 1024;
/// How many one session deletes at a node that it reaches: its client waits meanwhile.
const AT_ONCE: usize = 16;

/// Whose files: what a node is told before it shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    host: Option<Vec<u8>>,
    /// Zeroed when it is forgotten, as the session's own copy is.
    user: Zeroizing<Vec<u8>>,
}

impl Owner {
    /// The session's; `None` before its login.
    pub(crate) fn of(state: &State) -> Option<Self> {
        Some(Self {
            host: state.host.clone(),
            user: state.login.credentials()?.user.clone(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    node: NodeId,
    owner: Owner,
    /// Absolute, or from where the login leads.
    path: Vec<u8>,
}

/// The temporary files that may be left.
#[derive(Debug, Default)]
pub(crate) struct Leftovers(Mutex<VecDeque<Left>>);

impl Leftovers {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `path` may be left at `node`.
    pub(crate) fn note(&self, node: NodeId, owner: &Owner, path: &[u8]) {
        let left = Left {
            node,
            owner: owner.clone(),
            path: path.to_vec(),
        };
        let mut known = self.lock();
        if known.contains(&left) {
            return;
        }
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back(left);
    }

    /// `path` is in use at `node`.
    pub(crate) fn forget(&self, node: NodeId, owner: &Owner, path: &[u8]) {
        self.lock()
            .retain(|left| (left.node, &left.owner, &*left.path) != (node, owner, path));
    }

    /// Takes some of those at `node`, which nobody else is told of then.
    fn take(&self, node: NodeId, owner: &Owner) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        self.lock().retain(|left| {
            let take = taken.len() < AT_ONCE && left.node == node && left.owner == *owner;
            if take {
                taken.push(left.path.clone());
            }
            !take
        });
        taken
    }

    /// Deletes what may be left at the link's node, in one turn. The link is where the login has led it.
    ///
    /// # Errors
    ///
    /// The node is lost; what was left may still be there, and stays noted.
    pub(crate) async fn clear(&self, link: &mut Link, state: &State) -> Result<(), Failure> {
        let Some(owner) = Owner::of(state) else {
            return Ok(());
        };
        let node = link.control.node();
        let paths = self.take(node, &owner);
        let lines = paths
            .iter()
            .map(|path| [b"DELE ", path.as_slice()].concat());
        let lines: Vec<Vec<u8>> = lines.collect();
        match link.commands(&lines).await {
            Ok(replies) => {
                for reply in replies {
                    tracing::debug!(%reply, "a temporary file that may have been left");
                }
                Ok(())
            }
            Err(failure) => {
                paths.iter().for_each(|path| self.note(node, &owner, path));
                Err(failure)
            }
        }
    }
}
