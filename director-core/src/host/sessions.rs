//! The sessions there are, for whoever asks from another thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster::NodeId;

static SESSIONS: Mutex<BTreeMap<(u64, u64), Arc<Shown>>> = Mutex::new(BTreeMap::new());

/// One session, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStanding {
    /// Its service.
    pub service: String,
    /// Its number, as in the access log.
    pub session: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// The nodes that it has links to, one for each link.
    pub links: Vec<NodeId>,
}

/// Every session there is, over all threads and services.
#[must_use]
pub fn sessions() -> Vec<SessionStanding> {
    let all: Vec<Arc<Shown>> = lock(&SESSIONS).values().map(Arc::clone).collect();
    all.iter()
        .map(|shown| SessionStanding {
            service: shown.service.clone(),
            session: shown.session,
            peer: shown.peer,
            links: lock(&shown.links).clone(),
        })
        .collect()
}

/// A session as [`sessions`] shows it.
#[derive(Debug)]
pub(super) struct Shown {
    service: String,
    session: u64,
    peer: SocketAddr,
    links: Mutex<Vec<NodeId>>,
}

impl Shown {
    /// A link of the session ended, or was laid to rest, or another took its place.
    pub(super) fn moved(&self, before: Option<NodeId>, after: Option<NodeId>) {
        if before == after {
            return;
        }
        let mut links = lock(&self.links);
        if let Some(at) = links.iter().position(|link| Some(*link) == before) {
            links.swap_remove(at);
        }
        links.extend(after);
    }
}

/// Shows a session for as long as it is kept.
#[derive(Debug)]
pub(super) struct Showing {
    key: (u64, u64),
    pub(super) shown: Arc<Shown>,
}

impl Showing {
    pub(super) fn begin(instance: u64, service: &str, session: u64, peer: SocketAddr) -> Self {
        let shown = Arc::new(Shown {
            service: service.to_owned(),
            session,
            peer,
            links: Mutex::default(),
        });
        let key = (instance, session);
        lock(&SESSIONS).insert(key, Arc::clone(&shown));
        Self { key, shown }
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        lock(&SESSIONS).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
