//! The traits that an author writes, and what they are handed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::director::{Director, random, sleep};
use crate::failure::{Exception, Failure, FailureRow};
use crate::glue::host;
use crate::stream::{ClientStream, NodeId, NodeStream};

/// One protocol, as an instance of it serves one configured service.
///
/// One instance serves all clients of its service, on several threads at once.
#[async_trait]
pub trait Protocol: Send + Sync + Sized + 'static {
    /// The service's `options`. Say `#[serde(deny_unknown_fields)]`: a misspelt option is then a
    /// mistake that the operator hears of.
    type Config: DeserializeOwned + Send;
    /// The plugin's name, as configs call it.
    const NAME: &'static str;
    /// Whether links may serve another client after a request that ended cleanly.
    const LINKS: Links;

    /// Makes the instance. Does no I/O.
    ///
    /// # Errors
    ///
    /// Every mistake in `config` at once, each with the path of its option.
    fn create(config: Self::Config, host: Host) -> Result<Self, Vec<ConfigMistake>>;

    /// What the protocol's own codes mean, unless an attempt names the kind itself.
    fn failures() -> &'static [FailureRow] {
        &[]
    }

    /// Serves one client from its first byte to its last.
    ///
    /// # Errors
    ///
    /// How the session failed, for the log and the counters; the client's streams are reset.
    ///
    /// # Cancel safety
    ///
    /// The host drops the future when the session must end (shutdown, deadline). No I/O happens in
    /// that drop; what needs I/O belongs in [`Request::cleanup`].
    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure>;

    /// Asks a node how it is, over a fresh stream.
    ///
    /// # Errors
    ///
    /// Why the node is not well.
    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure>;

    /// Watches a node over a fresh stream for as long as it is well. Its end is a sign of failure.
    ///
    /// The default repeats [`probe`](Self::probe) every second on the one stream. Write your own
    /// where the protocol does not allow that (a greeting that comes once, say), or has something
    /// better: a stream that the node keeps alive.
    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        loop {
            match self.probe(node).await {
                Ok(load) => report.load(load),
                Err(failure) => return failure,
            }
            node.due(false);
            report.sleep(WATCH_PAUSE).await;
            node.due(true);
        }
    }

    /// The instance's own work (an outbox, say), from `create` to the end of the service. The
    /// default has none.
    async fn run(&self, director: Director) {
        director.stopping().await;
    }
}

/// Between two probes of the default [`Protocol::watch`].
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// What one chain of requests keeps, and must find again at whichever node it is moved to.
#[async_trait]
pub trait Session: Send {
    /// The plugin's state on a connection: the stream, a codec, what was negotiated.
    type Link: Send + 'static;

    /// Makes a link of a fresh stream: greets, logs in, restores the session's state.
    ///
    /// # Errors
    ///
    /// Why not; another node is tried unless the kind is final.
    async fn establish(
        &mut self,
        node: NodeStream,
        director: &Director,
    ) -> Result<Self::Link, Failure>;
}

/// One piece of work. Its fields are what it carries from a failed attempt to the next.
#[async_trait]
pub trait Request<S: Session>: Send {
    /// What it yields.
    type Reply: Send;

    /// Performs the work at one node. When the node is cut, every operation on its link fails at
    /// once, and this should return by itself, with the request's fields saying what was done.
    ///
    /// # Errors
    ///
    /// What went wrong, in the protocol's words.
    async fn attempt(
        &mut self,
        session: &mut S,
        link: &mut S::Link,
        director: &Director,
    ) -> Result<Self::Reply, Failure>;

    /// Undoes what a failed attempt left behind, and says where the request may go again. `link`
    /// is there when the failure was [`fit`](Failure::fit).
    ///
    /// The default answers [`Resend::Anywhere`] when no byte went to the node, else
    /// [`Resend::Never`].
    async fn cleanup(
        &mut self,
        _session: &mut S,
        _link: Option<&mut S::Link>,
        why: &Exception,
    ) -> Resend {
        if why.sent == 0 {
            Resend::Anywhere
        } else {
            Resend::Never
        }
    }

    /// Finds out whether the request happened, after a cleanup that answered [`Resend::Ask`].
    ///
    /// # Errors
    ///
    /// Why the question could not be asked; another node is asked it.
    async fn ask(
        &mut self,
        _session: &mut S,
        _link: &mut S::Link,
    ) -> Result<Outcome<Self::Reply>, Failure> {
        Ok(Outcome::Unknown)
    }
}

/// Whom a link may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// A link belongs to its session.
    Exclusive,
    /// A link may serve another client after a request that ended cleanly.
    Pooled,
}

/// Where a request may go again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// To any node: it is idempotent, was made so by an id, or was begun with its position known.
    Anywhere,
    /// To the node that failed, and no other.
    SameNode,
    /// Nowhere before a node was asked whether it happened.
    Ask,
    /// Nowhere.
    Never,
}

/// Whether a request happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<R> {
    /// It happened; this is the reply.
    Happened(R),
    /// It did not.
    NotDone,
    /// That cannot be known; the client is told so, never a guess.
    Unknown,
}

/// The client of a session.
#[derive(Debug)]
pub struct Client {
    /// Its stream.
    pub stream: ClientStream,
    /// Its address, `ip:port`.
    pub peer: String,
    /// The session's number, as in the access log.
    pub session: u64,
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Work under way, in units of one busy session; 0 is idle. Not finite or negative: unknown.
    pub load: f64,
    /// The node says that it is leaving the cluster.
    pub leaving: bool,
}

impl Load {
    /// The node is well and says no more.
    pub const UNKNOWN: Self = Self {
        load: f64::NAN,
        leaving: false,
    };
}

/// What an instance is told at its making.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) instance: u64,
    pub(crate) service: Arc<str>,
    pub(crate) state_dir: Arc<Path>,
    pub(crate) certificate: Option<bool>,
}

impl Host {
    /// The instance's number.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// A directory of the instance's own, for what must outlive the process. The plugin makes it
    /// when it has something to put there.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.to_path_buf()
    }

    /// Whether the service has a certificate for its clients, without which no TLS with them is
    /// begun. `None` of a host that does not say: one of ABI 1.0.
    pub fn has_certificate(&self) -> Option<bool> {
        self.certificate
    }

    /// Fills with random bytes; seeded in the test kit.
    ///
    /// # Panics
    ///
    /// As [`Director::random`].
    pub fn random(&self, into: &mut [u8]) {
        random(into);
    }
}

/// Where a watch says what it has learnt.
#[derive(Debug, Clone)]
pub struct Report {
    pub(crate) task: u64,
    pub(crate) node: NodeId,
}

impl Report {
    /// Says what the node said of its load.
    pub fn load(&self, load: Load) {
        host::report(self.task, self.node, load);
    }

    /// Waits, in a watch, which has no [`Director`].
    ///
    /// # Panics
    ///
    /// As [`Director::sleep`].
    pub async fn sleep(&self, time: Duration) {
        sleep(self.task, time).await;
    }
}

/// What is wrong with one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMistake {
    /// The option's path, `a.b`; empty for the options as a whole.
    pub path: String,
    /// What was found, and what would be right.
    pub message: String,
}

impl ConfigMistake {
    /// One mistake.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}
