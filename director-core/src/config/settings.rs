//! The settings as they were checked: nothing here can be wrong any more.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use director_recovery::Limits;

use crate::agent::AgentSettings;
use crate::cluster::{Balance, NodeSettings};
use crate::health::standing::HealthSettings;
use crate::host::{SpoolBounds, Timeouts};
use crate::tls::{NodeTlsSettings, TlsSettings};

/// All settings of one director.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Workers: threads that serve sessions.
    pub threads: NonZeroUsize,
    /// Directory of what has to outlive the process: spawned nodes' data, plugins' state, the admin
    /// socket. One director at a time uses it.
    pub state_dir: PathBuf,
    /// Which log lines appear, in the words of `tracing-subscriber`'s `EnvFilter`.
    pub log: String,
    /// Where the admin listener is.
    pub admin: AdminAddress,
    /// Directories that are searched for plugins before the default ones.
    pub plugin_path: Vec<PathBuf>,
    /// The services, by name.
    pub services: Vec<ServiceSettings>,
}

/// Where the admin listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A unix socket, for its owner alone.
    Unix(PathBuf),
    /// A loopback address.
    Tcp(SocketAddr),
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSettings {
    /// Its name.
    pub name: String,
    /// Its plugin: a name, or with a slash a path.
    pub plugin: String,
    /// Where its clients connect.
    pub listen: SocketAddr,
    /// Another port of the same address will do when this one is taken (built-in config only).
    pub any_port: bool,
    /// Where its nodes come from.
    pub nodes: NodeSource,
    /// How a session's node is chosen.
    pub balance: Balance,
    /// Sessions at once.
    pub max_sessions: u32,
    /// How long sessions may go on after a stop was asked for.
    pub stop_grace: Duration,
    /// How the nodes' agents are asked; `None`: there are none.
    pub agent: Option<AgentSettings>,
    /// How long sessions may stay on a node that drains; `None`: until they end.
    pub drain_deadline: Option<Duration>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What bounds one request.
    pub limits: Limits,
    /// What all spools together may hold.
    pub spool: SpoolBounds,
    /// Share of the requests of the last ten seconds that may be resent.
    pub budget_share: f64,
    /// Resends a second that are always allowed.
    pub budget_per_second: u32,
    /// How nodes' health is judged.
    pub health: HealthSettings,
    /// Share of the nodes that must stay up for one to be ejected by its failures.
    pub panic_threshold: f64,
    /// TLS towards clients; `None`: there is none.
    pub tls: Option<TlsSettings>,
    /// TLS towards nodes; `None`: there is none.
    pub node_tls: Option<NodeTlsSettings>,
    /// The plugin's own settings, as JSON.
    pub options: serde_json::Value,
}

/// Where a service's nodes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeSource {
    /// A list; each node's name is its address as written.
    Static(Vec<NodeSettings>),
    /// Local processes, which the director starts and supervises.
    Spawn(SpawnSettings),
}

/// How nodes are spawned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnSettings {
    /// Program and arguments, with placeholders; see [`crate::spawn::command`].
    pub command: Vec<String>,
    /// How many.
    pub count: u32,
    /// Directory of the nodes' data, one directory a node in it; `None`: in the state directory.
    pub data: Option<PathBuf>,
}

impl Default for SpawnSettings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            count: 3,
            data: None,
        }
    }
}
