//! What a server is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::Rules;
use crate::letter::ServerId;

/// One server's settings.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Its id, unique in the group.
    pub id: ServerId,
    /// The address at which peers and clients reach it, `host:port`, as the group's view tells it.
    pub listen: String,
    /// Its data directory; made when it is not there, locked while the server runs.
    pub data: PathBuf,
    /// The other members' addresses, `host:port`. Its own may be among them.
    pub join: Vec<String>,
    /// How often what has gathered goes to the peers; zero: at once. 300 ms by default.
    pub interval: Duration,
    /// What an acknowledgement waits for.
    pub durability: Durability,
    /// The group is this server alone: with an empty disk it need not wait for anybody. A server with
    /// nobody to join is alone whatever this says.
    pub alone: bool,
    /// Bounds.
    pub limits: Limits,
    /// Which rules hold: all, but where a test shows that a checker finds what a rule is there for.
    pub rules: Rules,
}

/// What an acknowledgement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `fdatasync`: an acknowledged entry outlives a power cut.
    #[default]
    Disk,
    /// The operating system's memory: an acknowledged entry outlives the process, not a power cut.
    Memory,
}

/// Bounds of one server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one append. 1 MiB by default; [`Limits::MAX_APPEND`] is the most.
    pub append: usize,
    /// Bytes of recent entries kept in memory; older ones are read from the log. 64 MiB by default.
    pub memory: usize,
    /// Bytes of one log segment, set aside on the disk ahead of need. 16 MiB by default.
    pub segment: u64,
}

impl Limits {
    /// The most that [`Limits::append`] may be: an entry has to fit into a frame between peers.
    pub const MAX_APPEND: usize = 4 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            append: 1 << 20,
            memory: 64 << 20,
            segment: 16 << 20,
        }
    }
}

impl ServerConfig {
    /// The defaults around an id, an address and a directory: alone, 300 ms, durable on disk.
    #[must_use]
    pub fn new(id: ServerId, listen: impl Into<String>, data: impl Into<PathBuf>) -> Self {
        Self {
            id,
            listen: listen.into(),
            data: data.into(),
            join: Vec::new(),
            interval: Duration::from_millis(300),
            durability: Durability::Disk,
            alone: false,
            limits: Limits::default(),
            rules: Rules::default(),
        }
    }
}
