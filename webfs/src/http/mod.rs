//! The HTTP side of a server: the Durable Streams protocol, and what a group and its directors say
//! besides. `docs/webfs-protocol.md` describes it to a stranger.
//!
//! [`serve`] owns every connection. The pure parts (queries, headers, frames, tags) know no socket and
//! are tested by themselves; [`crate::server::Server`] knows no HTTP.

mod answer;
mod ask;
mod body;
mod entries;
mod etag;
mod failure;
mod frames;
mod interval;
mod json;
mod listen;
mod live;
mod metrics;
mod names;
mod percent;
mod query;
mod read;
mod reply;
mod route;
mod sse;
mod stall;
mod wellknown;
mod write;

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

use crate::server::{Identity, Server};

pub use listen::serve;

/// Bounds and times of the HTTP side.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a long-poll waits; the protocol's clients expect 20 s at most.
    pub long_poll: Duration,
    /// Bytes of one request's body, as the server's own limit of an append.
    pub max_body: usize,
    /// Connections served at once. Some more are taken for probes, peers and watches alone.
    pub max_connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub head_time: Duration,
    /// How long a client may take no byte of an answer that is ready for it.
    pub stall_time: Duration,
    /// After how long without an event a live reader gets a comment: neither side notices a lost
    /// connection by itself.
    pub quiet_time: Duration,
    /// After how long an event stream ends, so that caches can bundle readers again. Not for directors.
    pub sse_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            long_poll: Duration::from_secs(20),
            max_body: 1 << 20,
            max_connections: 20_000,
            head_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            quiet_time: Duration::from_secs(15),
            sse_time: Duration::from_secs(60),
        }
    }
}

/// What every connection of one server shares.
struct Site {
    server: Server,
    /// It stays what it is once the server has joined.
    identity: OnceLock<Identity>,
    settings: Settings,
    frames: frames::Frames,
    metrics: metrics::Metrics,
    stop: watch::Receiver<bool>,
}

impl Site {
    /// Returns when the server is to stop, also when nobody is left to say so. Cancel safe.
    async fn stopped(&self) {
        let mut stop = self.stop.clone();
        let _ended = stop.wait_for(|stop| *stop).await;
    }

    /// `Stream-Server`; `None` until the server has joined. Every answer and every event asks for it.
    fn identity(&self) -> Option<Identity> {
        if let Some(identity) = self.identity.get() {
            return Some(*identity);
        }
        let identity = self.server.identity()?;
        Some(*self.identity.get_or_init(|| identity))
    }

    /// `Stream-Cursor` now.
    fn stream_cursor(&self, echoed: Option<u64>) -> u64 {
        // Without chance the jitter is the least, which is no harm to anybody.
        interval::stream_cursor(std::time::SystemTime::now(), echoed, || {
            getrandom::u64().unwrap_or_default()
        })
    }
}
