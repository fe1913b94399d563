//! Where the tests play: one worker, one instance, its nodes, its clients.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use super::plugin::{self, Task};
use crate::cluster::{Cluster, ClusterSettings, NodeId, NodeLoad, NodeSettings, Seen};
use crate::host::{
    HostCounts, Instance, InstanceSettings, SessionEnd, SpoolBounds, Stop, Stopper, Timeouts, Tls,
    counts,
};

/// Everything that a test waits for comes within this.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// The live things are counted for the whole process, so the tests that look at them take turns.
static TURN: Mutex<()> = Mutex::new(());

pub(super) struct Stage {
    pub(super) instance: Instance,
    pub(super) cluster: Arc<Cluster>,
    pub(super) stopper: Stopper,
    stop: Stop,
    door: TcpListener,
    sessions: std::cell::Cell<u64>,
}

/// The instances' directory. Only spools make it, and their files have no names.
fn state_dir() -> PathBuf {
    std::env::temp_dir().join(format!("director-stage-{}", std::process::id()))
}

/// Plays a test on a worker of its own, and sees to it that nothing is left of it.
pub(super) fn play<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        timeout(Duration::from_secs(60), test())
            .await
            .expect("the test hangs");
        nothing_is_left().await;
    });
    // Empty: the spools' files have no names.
    match std::fs::remove_dir(state_dir()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => panic!("{}: {error}", state_dir().display()),
    }
}

/// What the process has is counted over all threads, so that tests which look take turns.
pub(in crate::host) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no live thing is left.
pub(super) async fn nothing_is_left() {
    let nothing = || {
        let spare = HostCounts {
            spare_pipes: counts().spare_pipes,
            ..HostCounts::default()
        };
        counts() == spare
    };
    until("nothing is left", nothing).await;
    let states = || plugin::LINK_STATES.load(std::sync::atomic::Ordering::Relaxed);
    until("every link's state is freed", || states() == 0).await;
}

/// Waits until something holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(SOON, waits).await.is_err() {
        panic!("never: {what}; {:?}", counts());
    }
}

/// Nodes that listen, and their addresses.
pub(super) async fn nodes(count: usize) -> (Vec<TcpListener>, Vec<SocketAddr>) {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap())
        .collect();
    (listeners, addresses)
}

impl Stage {
    /// An instance whose sessions do this, with quick timeouts.
    pub(super) async fn new<F>(
        nodes: &[SocketAddr],
        pooled: bool,
        does: impl Fn(Task) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let quick = Timeouts {
            connect: Duration::from_millis(500),
            silence: Duration::from_millis(100),
            stall: Duration::from_secs(20),
            cut_grace: Duration::from_millis(100),
            cleanup: Duration::from_millis(200),
            probe: Duration::from_millis(300),
            rest: Duration::from_secs(60),
            keepalive: Duration::from_secs(77),
        };
        Self::with(nodes, pooled, quick, does).await
    }

    pub(super) async fn with<F>(
        nodes: &[SocketAddr],
        pooled: bool,
        timeouts: Timeouts,
        does: impl Fn(Task) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        Self::spooling(nodes, pooled, timeouts, SpoolBounds::default(), does).await
    }

    pub(super) async fn spooling<F>(
        nodes: &[SocketAddr],
        pooled: bool,
        timeouts: Timeouts,
        spool: SpoolBounds,
        does: impl Fn(Task) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let spool = (spool, state_dir());
        Self::made(nodes, pooled, timeouts, spool, Tls::default(), does).await
    }

    /// Without nodes, with another directory for spools.
    pub(super) async fn in_dir<F>(
        dir: PathBuf,
        does: impl Fn(Task) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let spool = (SpoolBounds::default(), dir);
        let tls = Tls::default();
        Self::made(&[], true, Timeouts::default(), spool, tls, does).await
    }

    /// With TLS, and time for it.
    pub(super) async fn secured<F>(
        nodes: &[SocketAddr],
        tls: Tls,
        does: impl Fn(Task) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let timeouts = Timeouts {
            connect: SOON,
            ..Timeouts::default()
        };
        let spool = (SpoolBounds::default(), state_dir());
        Self::made(nodes, false, timeouts, spool, tls, does).await
    }

    async fn made<F>(
        nodes: &[SocketAddr],
        pooled: bool,
        timeouts: Timeouts,
        (spool, state_dir): (SpoolBounds, PathBuf),
        tls: Tls,
        does: impl Fn(Task) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let cluster = Arc::new(Cluster::new(ClusterSettings {
            service: "stage".to_owned(),
            nodes: nodes
                .iter()
                .map(|address| NodeSettings::new(address.to_string(), *address))
                .collect(),
            balance: crate::cluster::Balance::LeastLoad,
            budget_share: 0.2,
            budget_per_second: 10_000,
            health: crate::health::standing::HealthSettings::default(),
            panic_threshold: 0.5,
        }));
        for node in cluster.nodes() {
            cluster.probed(&node, Ok(NodeLoad::default()));
        }
        let settings = InstanceSettings {
            service: "stage".to_owned(),
            options: plugin::options(does),
            state_dir,
            limits: director_recovery::Limits {
                // Some tests cut more often than any node dies.
                attempts: 10_000,
                ..director_recovery::Limits::default()
            },
            timeouts,
            spool,
            cluster: Arc::clone(&cluster),
            tls,
        };
        let (stopper, stop) = Stopper::new();
        Self {
            instance: plugin::library(pooled).create(settings).unwrap(),
            cluster,
            stopper,
            stop,
            door: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            sessions: std::cell::Cell::new(0),
        }
    }

    /// A client whose session runs.
    pub(super) async fn client(&self) -> (TcpStream, JoinHandle<SessionEnd>) {
        let address = self.door.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (socket, peer) = self.door.accept().await.unwrap();
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        let session = self.instance.serve(socket, peer, number, self.stop.clone());
        (client, tokio::task::spawn_local(session))
    }

    /// A client with whom TLS comes first.
    pub(super) async fn secured_client(&self) -> (TcpStream, JoinHandle<SessionEnd>) {
        let address = self.door.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (socket, peer) = self.door.accept().await.unwrap();
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        let stop = self.stop.clone();
        let session = self.instance.serve_secured(socket, peer, number, stop);
        (client, tokio::task::spawn_local(session))
    }

    /// The node is declared down, as by a probe that was not answered.
    pub(super) fn declare_down(&self, node: NodeId) {
        self.cluster.observe(node, Seen::Silent);
        let at = self.cluster.node(node).unwrap();
        let exception = director_recovery::Exception::new(
            director_recovery::Kind::Stalled,
            Some(node),
            "no answer",
        );
        self.cluster.probed(&at, Err(exception));
    }
}

/// How a session ended.
pub(super) async fn ended(session: JoinHandle<SessionEnd>) -> SessionEnd {
    timeout(SOON, session)
        .await
        .expect("the session hangs")
        .unwrap()
}

/// Reads a line from a socket.
pub(super) async fn line(socket: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        let read = timeout(SOON, socket.read(&mut byte))
            .await
            .expect("no line comes");
        if read.unwrap() == 0 {
            break;
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

pub(super) async fn write(socket: &mut TcpStream, bytes: &[u8]) {
    timeout(SOON, socket.write_all(bytes))
        .await
        .expect("nobody reads")
        .unwrap();
}

/// Reads to the end: what came, and whether it ended properly (`false`: by a reset).
pub(super) async fn rest(socket: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let read = timeout(SOON, socket.read_to_end(&mut bytes))
        .await
        .expect("no end comes");
    (bytes, read.is_ok())
}

pub(super) async fn accept(node: &TcpListener) -> TcpStream {
    timeout(SOON, node.accept())
        .await
        .expect("nobody connects")
        .unwrap()
        .0
}
