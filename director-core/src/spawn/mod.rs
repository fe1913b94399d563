//! Nodes that are local processes, started and supervised by the director.
//!
//! Their ports are chosen when the director starts and kept over their restarts, because they name each
//! other by them. Each has a directory that outlives it. They end when the director does, however it
//! ended: each holds the reading end of a pipe as its standard input, and watches it.

pub mod command;
mod lines;
mod ports;
mod supervise;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub use supervise::supervise;

use crate::config::SpawnSettings;
use command::Place;

/// Why nodes cannot be spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No free port.
    #[error("no free port for a spawned node: {0}")]
    NoPort(String),
    /// Its directory cannot be made.
    #[error("the directory {} of a spawned node cannot be made", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its program does not start.
    #[error("the program `{program}` of node {node} does not start")]
    NoStart {
        /// The node's name.
        node: String,
        /// The command's first word.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

/// One node to be spawned, and what is known of its process.
#[derive(Debug)]
pub struct Spawned {
    /// The service's name.
    pub service: String,
    /// Its id, which is its name in the cluster.
    pub id: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its directory.
    pub data: PathBuf,
    /// Program and arguments.
    command: Vec<String>,
    pid: AtomicU32,
    starts: AtomicU64,
}

impl Spawned {
    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }
}

/// Chooses ports and makes directories for a service's nodes. `director` is this program; the
/// directories are made below `dir` unless the settings name another place.
///
/// # Errors
/// [`SpawnError::NoPort`], [`SpawnError::NoDirectory`].
pub fn plan(
    service: &str,
    settings: &SpawnSettings,
    director: &Path,
    dir: &Path,
) -> Result<Vec<Arc<Spawned>>, SpawnError> {
    let ports = ports::free(settings.count as usize, &ports::range())?;
    let addresses: Vec<SocketAddr> = ports
        .into_iter()
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .collect();
    let dir = settings.data.as_deref().unwrap_or(dir);
    (0..settings.count)
        .zip(&addresses)
        .map(|(index, address)| {
            let id = command::id(index);
            let data = dir.join(&id);
            std::fs::create_dir_all(&data).map_err(|source| SpawnError::NoDirectory {
                path: data.clone(),
                source,
            })?;
            let place = Place {
                director: director.to_owned(),
                id: id.clone(),
                address: *address,
                data: data.clone(),
                peers: addresses
                    .iter()
                    .filter(|other| *other != address)
                    .copied()
                    .collect(),
            };
            let command = settings
                .command
                .iter()
                // Checked with the settings; as written it would do no harm either.
                .map(|part| command::fill(part, &place).unwrap_or_else(|_| part.clone()))
                .collect();
            Ok(Arc::new(Spawned {
                service: service.to_owned(),
                id,
                address: *address,
                data,
                command,
                pid: AtomicU32::new(0),
                starts: AtomicU64::new(0),
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests;
