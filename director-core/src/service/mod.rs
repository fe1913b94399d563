//! A service at work: its plugin's instance, its cluster, its listeners and its sessions.

mod accept;
mod listen;
mod seats;

use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use accept::{Door, Stops, accept};
pub use listen::{BindError, bind};
pub use seats::Seats;

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
    /// Where it listens for clients with whom TLS comes first.
    pub tls_address: Option<SocketAddr>,
    /// Its nodes.
    pub cluster: Arc<Cluster>,
    /// Its nodes' processes, if the director started them.
    pub spawned: Vec<Arc<Spawned>>,
    /// Its sessions, as they are counted.
    pub seats: Arc<Seats>,
    /// Its plugin.
    pub(crate) instance: Instance,
}

impl Service {
    pub(crate) fn new(
        settings: ServiceSettings,
        (address, tls_address): (SocketAddr, Option<SocketAddr>),
        cluster: Arc<Cluster>,
        spawned: Vec<Arc<Spawned>>,
        instance: Instance,
    ) -> Self {
        Self {
            seats: Arc::new(Seats::new(settings.max_sessions as usize)),
            settings,
            address,
            tls_address,
            cluster,
            spawned,
            instance,
        }
    }
}
