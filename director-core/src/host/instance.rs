//! A plugin at work for one service.
#![allow(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use director_abi as abi;
use director_recovery::{Exception, Limits};

use super::layout::{Foreign, take_text};
use super::library::{Library, Plugin};
use super::measures::Meters;
use super::secure::Tls;
use super::session::{self, SessionEnd};
use super::spool::{Rooms, SpoolBounds};
use super::stop::{Stop, Stopper};
use super::{node_task, running};
use crate::cluster::{Cluster, Node, NodeLoad, Prober};
use crate::health::Local;

/// The longest list of mistakes that is read, in bytes.
const LONGEST_MISTAKES: usize = 64 * 1024;
/// So many panics within [`PANIC_WINDOW`] and no session is begun.
const PANICS: usize = 5;
const PANIC_WINDOW: Duration = Duration::from_secs(60);
/// How often strangers at a session's listeners are told of.
const STRANGER_WINDOW: Duration = Duration::from_secs(5);

/// What an instance is made of.
#[derive(Debug, Clone)]
pub struct InstanceSettings {
    /// The service's name.
    pub service: String,
    /// The service's `options`, as JSON.
    pub options: String,
    /// A directory of the instance's own. It need not be there.
    pub state_dir: PathBuf,
    /// What bounds one request.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What all spools together may hold.
    pub spool: SpoolBounds,
    /// The service's nodes.
    pub cluster: Arc<Cluster>,
    /// What the service has of TLS.
    pub tls: Tls,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting to a node.
    pub connect: Duration,
    /// Without a byte that is due: the node is probed.
    pub silence: Duration,
    /// Without a byte that is due, on a node that answers its probes: the step is cut.
    pub stall: Duration,
    /// From the cut of a step to its end by force.
    pub cut_grace: Duration,
    /// A cleanup.
    pub cleanup: Duration,
    /// A probe.
    pub probe: Duration,
    /// A pooled link at rest.
    pub rest: Duration,
    /// Nothing on a connection, of a client or a node: TCP asks whether the peer is there.
    pub keepalive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            silence: Duration::from_millis(500),
            stall: Duration::from_secs(15),
            cut_grace: Duration::from_millis(200),
            cleanup: Duration::from_secs(1),
            probe: Duration::from_millis(300),
            rest: Duration::from_secs(60),
            keepalive: Duration::from_secs(60),
        }
    }
}

/// A mistake in a service's `options`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct OptionMistake {
    /// The option, `a.b`; empty for the options as a whole.
    pub path: String,
    /// What was found, and what would be right.
    pub message: String,
}

/// Why an instance could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The options are not right.
    #[error("the plugin refuses {} of its options", .0.len())]
    Options(Vec<OptionMistake>),
    /// The plugin failed.
    #[error("the plugin made no instance: {0}")]
    Failed(String),
}

/// A plugin at work for one service. Cheap to clone; the last clone that goes ends it.
#[derive(Debug, Clone)]
pub struct Instance {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.closing.stop();
    }
}

/// What tasks and links hold of an instance; it is destroyed when the last of them has gone.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) number: u64,
    _named: Number,
    pub(super) plugin: Arc<Plugin>,
    pub(super) data: Foreign,
    pub(super) service: String,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    /// A directory of its own, which need not be there.
    pub(super) state_dir: PathBuf,
    pub(super) spool: Arc<Rooms>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) tls: Tls,
    pub(super) closing: Stopper,
    pub(super) meters: Meters,
    faults: Mutex<Faults>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);
static NAMES: RwLock<Option<HashMap<u64, Arc<Names>>>> = RwLock::new(None);

/// What an instance's log lines and metrics bear, from before its making to its end. It holds nothing
/// of the instance, so that nobody who speaks for it can be the last to hold it.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) service: String,
    pub(super) plugin: String,
    /// That it has too many metrics was said.
    pub(super) said_too_many: AtomicBool,
}

/// The names of an instance's number.
pub(super) fn names(number: u64) -> Option<Arc<Names>> {
    let all = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    all.as_ref()?.get(&number).map(Arc::clone)
}

/// An instance's number, with its names for as long as it is kept.
#[derive(Debug)]
struct Number(u64);

impl Number {
    fn new(service: &str, plugin: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let names = Arc::new(Names {
            service: service.to_owned(),
            plugin: plugin.to_owned(),
            said_too_many: AtomicBool::new(false),
        });
        let mut all = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        all.get_or_insert_default().insert(number, names);
        Self(number)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut all = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(all) = all.as_mut() {
            all.remove(&self.0);
        }
    }
}

impl Library {
    /// Makes an instance for one service.
    ///
    /// # Errors
    ///
    /// [`CreateError`]: every mistake in the options, or that the plugin failed.
    pub fn create(&self, settings: InstanceSettings) -> Result<Instance, CreateError> {
        let named = Number::new(&settings.service, &self.plugin.description.name);
        let number = named.0;
        let state_dir = settings.state_dir.to_string_lossy();
        let info = abi::InstanceInfo {
            size: size_of::<abi::InstanceInfo>(),
            instance: number,
            service: abi::Bytes::lend(settings.service.as_bytes()),
            state_dir: abi::Bytes::lend(state_dir.as_bytes()),
            flags: match settings.tls.server {
                Some(_) => abi::InstanceInfo::CERTIFICATE,
                None => 0,
            },
        };
        let mut mistakes = abi::Owned::EMPTY;
        let options = abi::Bytes::lend(settings.options.as_bytes());
        // SAFETY: the plugin's own function, with what it is promised, lent for the call.
        let data =
            unsafe { (self.plugin.functions.create)(options, &raw const info, &raw mut mistakes) };
        // SAFETY: what the plugin wrote, or nothing.
        let mistakes = unsafe { take_text(&mut mistakes, LONGEST_MISTAKES) };
        if data.is_null() {
            return Err(refusal(&mistakes));
        }
        let inner = Arc::new(Inner {
            number,
            _named: named,
            plugin: Arc::clone(&self.plugin),
            data: Foreign(data),
            meters: Meters::new(&settings.service),
            spool: Arc::new(Rooms::new(&settings.service, settings.spool)),
            service: settings.service,
            limits: settings.limits,
            timeouts: settings.timeouts,
            state_dir: settings.state_dir,
            cluster: settings.cluster,
            tls: settings.tls,
            closing: Stopper::new().0,
            faults: Mutex::default(),
        });
        Ok(Instance {
            handle: Arc::new(Handle { inner }),
        })
    }
}

fn refusal(mistakes: &str) -> CreateError {
    if mistakes.is_empty() {
        return CreateError::Failed("it does not say why".to_owned());
    }
    match serde_json::from_str::<Vec<OptionMistake>>(mistakes) {
        Ok(mistakes) if !mistakes.is_empty() => CreateError::Options(mistakes),
        Ok(_) | Err(_) => CreateError::Failed(mistakes.to_owned()),
    }
}

impl Instance {
    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.handle.inner.service
    }

    /// The library it is of.
    #[must_use]
    pub fn library(&self) -> Library {
        Library {
            plugin: Arc::clone(&self.handle.inner.plugin),
        }
    }

    /// Serves one client from its first byte to its last. To be polled on one thread, in a
    /// `LocalSet`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the session and resets every stream of it.
    pub fn serve(
        &self,
        client: tokio::net::TcpStream,
        peer: SocketAddr,
        session: u64,
        stop: Stop,
    ) -> impl Future<Output = SessionEnd> + use<> {
        let inner = Arc::clone(self.inner());
        session::serve(inner, client, peer, session, stop, false)
    }

    /// The same for a client with whom TLS comes first: the handshake is part of the session.
    ///
    /// # Cancel safety
    ///
    /// As that of [`Instance::serve`].
    pub fn serve_secured(
        &self,
        client: tokio::net::TcpStream,
        peer: SocketAddr,
        session: u64,
        stop: Stop,
    ) -> impl Future<Output = SessionEnd> + use<> {
        let inner = Arc::clone(self.inner());
        session::serve(inner, client, peer, session, stop, true)
    }

    /// The instance's own work. Ends when the plugin ends it, which it should when `stop` says so.
    /// A panic is logged, and the work begun again after a second. To be polled on one thread, in
    /// a `LocalSet`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the work and resets every stream of it.
    pub fn run(&self, stop: Stop) -> impl Future<Output = ()> + use<> {
        running::run(Arc::clone(self.inner()), stop)
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.handle.inner
    }
}

impl Prober for Instance {
    fn probe(&self, node: Arc<Node>) -> Local<Result<NodeLoad, Exception>> {
        Box::pin(node_task::probe(Arc::clone(self.inner()), node))
    }

    fn watch(&self, node: Arc<Node>) -> Local<Exception> {
        Box::pin(node_task::watch(Arc::clone(self.inner()), node))
    }
}

impl Inner {
    /// The plugin panicked. Logged here, counted, and too many in a minute stop new sessions.
    pub(super) fn fault(&self, what: &str, session: u64) {
        self.meters.panics.increment(1);
        let plugin = &self.plugin.description.name;
        tracing::error!(
            service = self.service,
            plugin,
            session,
            what,
            "plugin panicked"
        );
        if self.faults().note(Instant::now()) {
            tracing::error!(
                service = self.service,
                plugin,
                panics = PANICS,
                seconds = PANIC_WINDOW.as_secs(),
                "plugin is quarantined: it panics too often, so no session is begun until it has \
                 been quiet"
            );
        }
    }

    /// Somebody connected who was not expected, and was turned away.
    pub(super) fn stranger(&self, session: u64, at: SocketAddr, from: SocketAddr) {
        self.meters.strangers.increment(1);
        if self.faults().tell_of_stranger(Instant::now()) {
            tracing::warn!(
                service = self.service,
                session,
                %at,
                %from,
                "a connection from a stranger was reset; more of them are only counted for a while"
            );
        }
    }

    /// How long no session is begun yet; `None` when the plugin may serve.
    pub(super) fn quarantine(&self) -> Option<Duration> {
        self.faults().quarantine(Instant::now())
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let data = std::mem::replace(&mut self.data, Foreign(ptr::null_mut()));
        // SAFETY: tasks and links hold this, so none is alive; called once.
        let status = unsafe { (self.plugin.functions.destroy)(data.0) };
        if status != abi::READY {
            self.fault("while its instance was destroyed", 0);
        }
    }
}

/// When a plugin panicked of late, and when a stranger came.
#[derive(Debug, Default)]
struct Faults {
    at: VecDeque<Instant>,
    /// When a stranger was last told of.
    stranger_told: Option<Instant>,
}

impl Faults {
    /// Whether a stranger is to be told of now.
    fn tell_of_stranger(&mut self, now: Instant) -> bool {
        let told = self.stranger_told;
        let due = told.is_none_or(|told| now.saturating_duration_since(told) >= STRANGER_WINDOW);
        if due {
            self.stranger_told = Some(now);
        }
        due
    }

    /// Notes a panic; `true` when it is the one that brings quarantine.
    fn note(&mut self, now: Instant) -> bool {
        let before = self.quarantine(now).is_some();
        self.at.push_back(now);
        // The newest are enough to tell.
        while self.at.len() > PANICS {
            self.at.pop_front();
        }
        !before && self.quarantine(now).is_some()
    }

    /// How long the quarantine lasts yet.
    fn quarantine(&self, now: Instant) -> Option<Duration> {
        if self.at.len() < PANICS {
            return None;
        }
        let oldest = self.at.front()?;
        PANIC_WINDOW
            .checked_sub(now.saturating_duration_since(*oldest))
            .filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_in_a_row_bring_quarantine_and_time_ends_it() {
        let mut faults = Faults::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!((0..4).all(|second| !faults.note(at(second))));
        assert!(faults.note(at(4)), "the fifth within a minute");
        assert!(!faults.note(at(5)), "told once");
        assert_eq!(faults.quarantine(at(6)), Some(Duration::from_secs(55)));
        assert_eq!(faults.quarantine(at(61)), None);
        assert!(!faults.note(at(70)));
    }

    #[test]
    fn rare_panics_bring_none() {
        let mut faults = Faults::default();
        let start = Instant::now();
        assert!((0..50).all(|nth| !faults.note(start + Duration::from_secs(nth * 20))));
    }

    #[test]
    fn a_plugins_mistakes_are_read_and_what_is_no_list_is_told_as_it_is() {
        let mistakes = r#"[{"path": "a.b", "message": "found 3, wants a text"}]"#;
        let CreateError::Options(list) = refusal(mistakes) else {
            panic!("a list")
        };
        assert_eq!(list[0].path, "a.b");
        assert_eq!(
            refusal("out of tea"),
            CreateError::Failed("out of tea".to_owned())
        );
    }
}
