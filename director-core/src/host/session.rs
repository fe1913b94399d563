//! Sessions: one client each, served by one task of the plugin.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use director_recovery::{Exception, Kind};
use tokio::net::TcpStream;

use super::further::prepare;
use super::instance::Inner;
use super::keeper::Local;
use super::node_task;
use super::sessions::Showing;
use super::socket::set_linger;
use super::stop::Stop;
use super::stream::{Side, Stream};
use super::stream_tls::Upgrade;
use super::task::{Said, Task, TaskEnd, Work};
use super::transport::Transport;
use crate::cluster::hash;
use crate::tls::Trouble;

/// A client with whom TLS comes first has so long for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a session ended, and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// How.
    pub outcome: Outcome,
    /// Requests that it made.
    pub requests: u64,
    /// Switches from one node to another.
    pub switches: u64,
    /// Bytes that the plugin has taken from the client, over all of its streams.
    pub received: u64,
    /// Bytes that the client's sockets have taken.
    pub sent: u64,
    /// From its begin to its end.
    pub lasted: Duration,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin ended it.
    Ended,
    /// The plugin ended it with a failure.
    Failed(Exception),
    /// The plugin panicked; every stream was reset.
    Panicked,
    /// It was not begun: the plugin is in quarantine, or the host has no number left.
    Refused,
    /// It was dropped; every stream was reset.
    Dropped,
}

impl Outcome {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failed(_) => "failed",
            Self::Panicked => "panicked",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// Serves one client.
pub(super) async fn serve(
    inner: Arc<Inner>,
    client: TcpStream,
    peer: SocketAddr,
    session: u64,
    stop: Stop,
    tls_first: bool,
) -> SessionEnd {
    let begun = Begun::new(Arc::clone(&inner), session, peer);
    if let Some(left) = inner.quarantine() {
        tracing::warn!(
            service = inner.service,
            session,
            %peer,
            seconds = left.as_secs(),
            "session refused: the plugin is in quarantine"
        );
        return begun.refuse(client);
    }
    let side = Side::Client {
        instance: inner.number,
    };
    if let Err(error) = prepare(&client, inner.timeouts.keepalive) {
        // The client is gone already; the plugin will find out.
        tracing::debug!(session, %error, "a client's stream takes no options");
    }
    // Whatever ends it from here on ends the socket too, with a reset.
    set_linger(&client, Some(Duration::ZERO));
    let client = if tls_first {
        match shake_hands(&inner, client, session).await {
            Ok(client) => client,
            Err(error) => return begun.turned_away(&error),
        }
    } else {
        Transport::from(client)
    };
    let showing = Showing::begin(inner.number, &inner.service, session, peer);
    let task = Local::of(&inner).and_then(|local| {
        let shown = Arc::clone(&showing.shown);
        Task::begin(&local, Work::Serve, stop, session, Some(shown))
    });
    let Some(task) = task else {
        tracing::error!(
            service = inner.service,
            session,
            "session refused: no number is left"
        );
        return begun.refused();
    };
    task.key.set(Some(key_of(peer)));
    let Some(stream) = Stream::begin(client, side) else {
        return begun.refused();
    };
    begun.serve(task, stream, peer).await
}

/// The key of a client of whom the plugin says nothing: its IP address.
fn key_of(peer: SocketAddr) -> u64 {
    hash(peer.ip().to_canonical().to_string().as_bytes())
}

/// The handshake with a client with whom TLS comes first.
async fn shake_hands(inner: &Inner, client: TcpStream, session: u64) -> io::Result<Transport> {
    let secure = inner.tls.client(session, None, Upgrade::default())?;
    let secured = tokio::time::timeout(HANDSHAKE, Transport::secured(client, secure)).await;
    secured.unwrap_or_else(|_late| {
        Err(Trouble::error(format_args!(
            "no handshake within {HANDSHAKE:?}"
        )))
    })
}

/// A session from its begin; dropped early, it says so.
struct Begun {
    inner: Arc<Inner>,
    session: u64,
    peer: SocketAddr,
    at: Instant,
    running: Option<Running>,
}

struct Running {
    task: std::rc::Rc<Task>,
    stream: std::rc::Rc<Stream>,
}

impl Begun {
    fn new(inner: Arc<Inner>, session: u64, peer: SocketAddr) -> Self {
        Self {
            inner,
            session,
            peer,
            at: Instant::now(),
            running: None,
        }
    }

    fn refuse(self, client: TcpStream) -> SessionEnd {
        super::socket::reset(client);
        self.refused()
    }

    /// TLS did not come about, so the plugin never heard of the client.
    fn turned_away(self, error: &io::Error) -> SessionEnd {
        let exception = Exception::new(Kind::ClientGone, None, error.to_string());
        self.never_begun(Outcome::Failed(exception))
    }

    fn refused(self) -> SessionEnd {
        self.never_begun(Outcome::Refused)
    }

    fn never_begun(mut self, outcome: Outcome) -> SessionEnd {
        self.inner.meters.session_ended(outcome.as_str(), None);
        let running = self.running.take();
        let end = self.end(running.as_ref(), outcome);
        log(&self.inner, self.session, self.peer, &end);
        end
    }

    async fn serve(
        mut self,
        task: std::rc::Rc<Task>,
        stream: std::rc::Rc<Stream>,
        peer: SocketAddr,
    ) -> SessionEnd {
        self.inner.meters.session_begun();
        task.give(std::rc::Rc::clone(&stream));
        self.running = Some(Running {
            task: std::rc::Rc::clone(&task),
            stream: std::rc::Rc::clone(&stream),
        });
        let driven = node_task::begin_serve(&task, &stream, peer);
        let inner = Arc::clone(&self.inner);
        let outcome = match driven.await {
            TaskEnd::Panicked => Outcome::Panicked,
            TaskEnd::Ended(said) => match said.exception(&inner.plugin, None) {
                None => Outcome::Ended,
                Some(exception) => Outcome::Failed(exception),
            },
        };
        self.finish(outcome)
    }

    fn finish(&mut self, outcome: Outcome) -> SessionEnd {
        let running = self.running.take();
        let end = self.end(running.as_ref(), outcome);
        self.inner
            .meters
            .session_ended(end.outcome.as_str(), Some(end.lasted));
        log(&self.inner, self.session, self.peer, &end);
        end
    }

    fn end(&self, running: Option<&Running>, outcome: Outcome) -> SessionEnd {
        let count = |of: fn(&Running) -> u64| running.map_or(0, of);
        SessionEnd {
            outcome,
            requests: count(|running| running.task.requests.get()),
            switches: count(|running| running.task.switches.get()),
            received: count(|running| running.stream.bundle.received()),
            sent: count(|running| running.stream.bundle.accepted()),
            lasted: self.at.elapsed(),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.finish(Outcome::Dropped);
        }
    }
}

impl Said {
    /// The exception that a task ended with; `None` when all is well.
    pub(super) fn exception(
        self,
        plugin: &super::library::Plugin,
        node: Option<crate::cluster::NodeId>,
    ) -> Option<Exception> {
        let kind = match self.kind {
            director_abi::kind::NONE => return None,
            director_abi::Ended::BY_CODE => plugin.meaning(self.code).unwrap_or(Kind::Unknown),
            code => Kind::from_code(code).unwrap_or(Kind::Fault),
        };
        let wait = Duration::from_millis(u64::from(self.retry_after_ms));
        Some(Exception {
            kind,
            code: self.code,
            retry_after: (!wait.is_zero()).then_some(wait),
            node,
            detail: self.detail,
        })
    }
}

/// The session's line in the access log.
fn log(inner: &Inner, session: u64, peer: SocketAddr, end: &SessionEnd) {
    let exception = match &end.outcome {
        Outcome::Failed(exception) => exception.to_string(),
        Outcome::Ended | Outcome::Panicked | Outcome::Refused | Outcome::Dropped => String::new(),
    };
    tracing::info!(
        target: "director::access",
        service = inner.service,
        session,
        %peer,
        end = end.outcome.as_str(),
        exception,
        seconds = (end.lasted.as_secs_f64() * 1e3).round() / 1e3,
        requests = end.requests,
        switches = end.switches,
        received = end.received,
        sent = end.sent,
        "session ended"
    );
}
