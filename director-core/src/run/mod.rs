//! One director from its start to its end.
//!
//! The control thread (the caller's) starts everything, hears signals, supervises spawned nodes and answers
//! at the admin listener. `threads` workers, each a thread with a runtime of its own, serve sessions; the
//! first of them also keeps the nodes' health and runs the plugins' own work.
//!
//! ```text
//! start:  settings -> state directory -> nodes -> plugins -> listeners -> workers
//! stop:   no more clients -> sessions end, or are ended -> plugins' own work -> workers -> nodes
//! ```

mod prepare;
mod state;
mod worker;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

pub use prepare::check;
pub use state::StateError;

use crate::admin::{self, AdminError, AdminListener, Told};
use crate::cluster::{Cluster, Standing};
use crate::config::{Config, Mistake, Settings};
use crate::host::{Stop, Stopper};
use crate::limits;
use crate::metrics::{Metrics, MetricsError};
use crate::service::Service;
use crate::spawn::{self, SpawnError, Spawned};
use prepare::{Prepared, prepare};
use worker::Workers;

/// How often recorded samples are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// No node up for so long after the start is worth a warning.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a user is told on the way, one line each.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A service listens.
    Listening {
        /// The service's name.
        service: &'a str,
        /// Where.
        address: SocketAddr,
        /// The config's address was taken, and this is another.
        instead_of: Option<SocketAddr>,
    },
    /// A service listens where TLS comes first.
    ListeningTls {
        /// The service's name.
        service: &'a str,
        /// Where.
        address: SocketAddr,
    },
    /// The admin listener listens.
    Admin {
        /// `127.0.0.1:7071` or `unix:/path`.
        place: String,
    },
    /// A node was started, for the first time or again.
    Started(&'a Spawned),
    /// A service has a node that answers: its clients will be served.
    Ready {
        /// The service's name.
        service: &'a str,
        /// Where it listens.
        address: SocketAddr,
    },
    /// The director was told to stop.
    Stopping,
}

/// Why the director did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings cannot be followed.
    #[error("{} mistakes in the settings", .0.len())]
    Mistakes(Vec<Mistake>),
    /// A service cannot listen where it should.
    #[error("{} services cannot listen", .0.len())]
    CannotListen(Vec<Mistake>),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A node cannot be spawned.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// There is no admin listener.
    #[error("the admin listener: {0}")]
    Admin(#[from] AdminError),
    /// There are no metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A runtime, a thread or a signal handler could not be had.
    #[error("{what} cannot be had")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A worker ended by itself.
    #[error("a worker failed; the log says more")]
    WorkerFailed,
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Runs a director until SIGTERM or SIGINT, and to its end. `director` is the path of this program, for
/// spawned nodes; `tell` is called with what a user should be told.
///
/// # Errors
/// [`RunError`]; what was started is ended again.
pub fn run<T>(config: &Config, director: &Path, tell: T) -> Result<(), RunError>
where
    T: Fn(&Notice<'_>) + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("a runtime"))?;
    let ran = runtime.block_on(control(config, director, &tell));
    // Nothing of ours is left in it; a lookup or a blocking read must not hold the end up.
    runtime.shutdown_background();
    ran
}

async fn control<T>(config: &Config, director: &Path, tell: &T) -> Result<(), RunError>
where
    T: Fn(&Notice<'_>) + Send + Sync,
{
    let settings = &config.settings;
    raise_open_files(settings);
    let _lock = state::take(&settings.state_dir)?;
    let metrics = Metrics::install()?;
    let Prepared { services, doors } = prepare(config, director)?;
    let admin = AdminListener::bind(&settings.admin).await?;
    let mut signals = Signals::new()?;

    for service in &services {
        let wanted = service.settings.listen;
        let address = service.address;
        let instead = wanted.port() != 0 && wanted != address;
        tell(&Notice::Listening {
            service: &service.settings.name,
            address,
            instead_of: instead.then_some(wanted),
        });
        if let Some(address) = service.tls_address {
            tell(&Notice::ListeningTls {
                service: &service.settings.name,
                address,
            });
        }
    }
    tell(&Notice::Admin {
        place: admin.place(),
    });

    let (soft, soft_stop) = Stopper::new();
    let (nodes_end, nodes_stop) = Stopper::new();
    let mut workers = Workers::start(&services, doors, &soft_stop)?;
    let told = Arc::new(Told {
        services: services.clone(),
        metrics: metrics.clone(),
        stop: soft_stop,
    });
    let ended = {
        let keep = async {
            tokio::join!(
                admin::serve(admin, told),
                upkeep(&metrics),
                watch_readiness(&services, tell)
            );
        };
        let supervised = supervise(&services, tell, nodes_stop);
        let life = life(&mut workers, &mut signals, &soft, tell);
        tokio::pin!(keep, supervised, life);
        let mut nodes_failed = None;
        let ended = loop {
            tokio::select! {
                ended = &mut life => break ended,
                failed = &mut supervised, if nodes_failed.is_none() => {
                    nodes_failed = Some(failed);
                    soft.stop();
                }
                () = &mut keep => {}
            }
        };
        nodes_end.stop();
        let nodes = match nodes_failed {
            Some(failed) => failed,
            None => supervised.await,
        };
        ended.and(nodes)
    };
    workers.join()?;
    ended
}

/// A session that is served holds its client and a link at least.
const FILES_PER_SESSION: u64 = 2;

fn raise_open_files(settings: &Settings) {
    match limits::raise_open_files() {
        Ok(None) => {}
        Ok(Some(limit)) => {
            let sessions: u64 = settings
                .services
                .iter()
                .map(|service| u64::from(service.max_sessions))
                .sum();
            let needed = sessions.saturating_mul(FILES_PER_SESSION);
            if limit < needed {
                tracing::warn!(
                    limit,
                    needed,
                    "max_sessions needs more open files than the system allows this process"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

/// From the first client to the end of the last worker's work.
async fn life<T>(
    workers: &mut Workers,
    signals: &mut Signals,
    soft: &Stopper,
    tell: &T,
) -> Result<(), RunError>
where
    T: Fn(&Notice<'_>),
{
    let stop = soft.hearer();
    let failed = tokio::select! {
        () = signals.next() => false,
        () = stop.stopping() => false,
        () = workers.failed() => true,
    };
    soft.stop();
    tell(&Notice::Stopping);
    tokio::select! {
        () = workers.sessions_ended() => {}
        () = signals.next() => workers.end_now(),
    }
    workers.end_own_work();
    tokio::select! {
        () = workers.all_ended() => {}
        () = signals.next() => {
            workers.end_now();
            workers.all_ended().await;
        }
    }
    if failed {
        return Err(RunError::WorkerFailed);
    }
    Ok(())
}

/// Supervises every spawned node until told to stop. A node whose program does not start ends all.
async fn supervise<T>(services: &[Arc<Service>], tell: &T, stop: Stop) -> Result<(), RunError>
where
    T: Fn(&Notice<'_>) + Send + Sync,
{
    let nodes = services.iter().flat_map(|service| &service.spawned);
    let supervised = nodes.map(|node| {
        let started = |node: &Spawned| tell(&Notice::Started(node));
        spawn::supervise(Arc::clone(node), started, stop.clone())
    });
    let all: Vec<_> = supervised.map(Box::pin).collect();
    if all.is_empty() {
        stop.stopping().await;
        return Ok(());
    }
    together(all).await.map_err(RunError::Spawn)
}

/// Polls all until each has ended; the first error wins and drops the others.
async fn together<F, E>(mut all: Vec<F>) -> Result<(), E>
where
    F: Future<Output = Result<(), E>> + Unpin,
{
    std::future::poll_fn(|cx| {
        let mut index = 0;
        while index < all.len() {
            match std::pin::Pin::new(&mut all[index]).poll(cx) {
                std::task::Poll::Pending => index += 1,
                std::task::Poll::Ready(Ok(())) => drop(all.swap_remove(index)),
                std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(Err(error)),
            }
        }
        if all.is_empty() {
            std::task::Poll::Ready(Ok(()))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

/// Until dropped.
async fn upkeep(metrics: &Metrics) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.upkeep();
    }
}

/// Tells of each service when it can serve.
async fn watch_readiness<T>(services: &[Arc<Service>], tell: &T)
where
    T: Fn(&Notice<'_>),
{
    let ready = services.iter().map(|service| {
        Box::pin(async move {
            let name = service.settings.name.as_str();
            let soon = tokio::time::timeout(PATIENCE, any_up(&service.cluster));
            if soon.await.is_err() {
                tracing::warn!(service = name, "no node of the service is up yet");
                any_up(&service.cluster).await;
            }
            tell(&Notice::Ready {
                service: name,
                address: service.address,
            });
            Ok::<(), Infallible>(())
        })
    });
    let Ok(()) = together(ready.collect()).await;
}

async fn any_up(cluster: &Cluster) {
    let mut changes = cluster.on_change();
    let up = || {
        cluster
            .nodes()
            .iter()
            .any(|node| node.standing() == Standing::Up)
    };
    while !up() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, RunError> {
        let handler = |kind| signal(kind).map_err(system("a signal handler"));
        Ok(Self {
            term: handler(SignalKind::terminate())?,
            int: handler(SignalKind::interrupt())?,
        })
    }

    /// The next of either. Cancel safe.
    async fn next(&mut self) {
        tokio::select! {
            _told = self.term.recv() => {}
            _told = self.int.recv() => {}
        }
    }
}
