//! Agents: what a process beside a node says of it, one line at a time.
//!
//! One task a node connects to the node's IP address at the agents' port, reads a [line](line::parse),
//! and tells the cluster. An agent that is silent is no failure of the node: its last words hold for a
//! while, which is told once.

pub mod line;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::chance;
use crate::cluster::{Cluster, Node};
use line::{LONGEST, LineError, Said};
pub use state::{AgentState, Lapse};

/// How agents are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentSettings {
    /// Their port, at each node's IP address.
    pub port: u16,
    /// How often each is asked.
    pub every: Duration,
    /// How long an answer may take, the connection included.
    pub timeout: Duration,
    /// How long the last words of a silent one hold.
    pub keep: Duration,
}

/// Why nothing was heard.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No connection, or it failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No line in time.
    #[error("no line within {0:?}")]
    Late(Duration),
    /// A line that means nothing.
    #[error("{0}")]
    Line(#[from] LineError),
}

/// Asks a node's agent again and again, for ever, at times that differ from node to node.
///
/// # Cancel safety
/// Dropping the future ends the asking.
pub(crate) async fn keep(cluster: Arc<Cluster>, node: Arc<Node>, settings: AgentSettings) {
    let at = SocketAddr::new(node.address.ip(), settings.port);
    // The first at once: what an agent has to say is to hold from the start.
    loop {
        match ask(at, settings.timeout).await {
            Ok(said) => cluster.agent_said(&node, said),
            Err(error) => cluster.agent_missed(&node, &error, settings.keep),
        }
        let wait = settings.every.mul_f64(0.9 + 0.2 * chance::share());
        tokio::time::sleep(wait).await;
    }
}

/// Reads one line from an agent.
async fn ask(at: SocketAddr, within: Duration) -> Result<Said, AgentError> {
    let asking = async {
        let mut stream = TcpStream::connect(at).await?;
        let mut line = Vec::with_capacity(LONGEST);
        loop {
            // One byte more than the longest, so that a longer one is found out.
            let room = (LONGEST + 1).saturating_sub(line.len()) as u64;
            let read = (&mut stream).take(room).read_buf(&mut line).await?;
            let ended = line.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
            if ended || read == 0 {
                return Ok(line::parse(&line)?);
            }
        }
    };
    tokio::time::timeout(within, asking)
        .await
        .unwrap_or(Err(AgentError::Late(within)))
}

#[cfg(test)]
mod tests;
