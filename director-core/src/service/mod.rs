//! A service at work: its plugin's instance, its cluster, its listeners and its sessions.

mod accept;
mod listen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub(crate) use accept::{Stops, accept};
pub use listen::{BindError, bind};

use crate::cluster::Cluster;
use crate::config::ServiceSettings;
use crate::host::Instance;
use crate::spawn::Spawned;

/// One service, shared by all workers.
#[derive(Debug)]
pub struct Service {
    /// What was set.
    pub settings: ServiceSettings,
    /// Where it listens; the settings may have asked for any port.
    pub address: SocketAddr,
    /// Its nodes.
    pub cluster: Arc<Cluster>,
    /// Its nodes' processes, if the director started them.
    pub spawned: Vec<Arc<Spawned>>,
    /// Its plugin.
    pub(crate) instance: Instance,
    sessions: AtomicUsize,
    refused: AtomicU64,
    next: AtomicU64,
}

impl Service {
    pub(crate) fn new(
        settings: ServiceSettings,
        address: SocketAddr,
        cluster: Arc<Cluster>,
        spawned: Vec<Arc<Spawned>>,
        instance: Instance,
    ) -> Self {
        Self {
            settings,
            address,
            cluster,
            spawned,
            instance,
            sessions: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            next: AtomicU64::new(1),
        }
    }

    /// Sessions now.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Clients turned away because there were `max_sessions` already.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Begins a session, unless there are too many.
    fn begin(self: &Arc<Self>) -> Option<Begun> {
        let most = self.settings.max_sessions as usize;
        let room = self
            .sessions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < most).then_some(now + 1)
            });
        if room.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("director_sessions_refused_total", "service" => self.settings.name.clone())
                .increment(1);
            return None;
        }
        Some(Begun {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            service: Arc::clone(self),
        })
    }
}

/// A session that counts for as long as this lives.
#[derive(Debug)]
struct Begun {
    number: u64,
    service: Arc<Service>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.service.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}
