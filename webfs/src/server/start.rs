//! A server's start and end: its disk thread, its timer, its connections to peers.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::disk::{Order, Store, Writer, tell};
use super::engine::Engine;
use super::peers::{self, Slot};
use super::{Fatal, Limits, Server, ServerConfig, StartError};
use crate::core::{Core, PeerIndex, Recovered, Settings};
use crate::log::disk::Disk;
use crate::log::files::Files;
use crate::log::{Log, Options, identity};

/// The most members of a group; each keeps a connection to each.
const MAX_MEMBERS: usize = 16;
/// The most bytes of entries on their way to the disk.
const MAX_UNSYNCED: u64 = 8 << 20;

/// How often a server that has not joined says so.
const TELL_JOINING: Duration = Duration::from_secs(2);

/// Keeps a server's tasks; whoever starts a server holds it. Dropped, they end without being waited for.
pub struct Owner {
    engine: Arc<Engine>,
    disk: mpsc::Sender<Order>,
    tasks: JoinSet<()>,
}

/// What the disk thread found, and the rules that it has told.
struct Opened {
    core: Core,
    store: Arc<dyn Store>,
    recovered: Recovered,
}

pub(super) async fn start(config: ServerConfig) -> Result<(Server, Owner), StartError> {
    let directory = config.data.clone();
    start_on(config, move || {
        Files::open(&directory).map_err(|error| StartError::Data(error.to_string()))
    })
    .await
}

/// Starts a server on any disk; `open` is called on the disk's own thread.
pub(super) async fn start_on<D: Disk>(
    config: ServerConfig,
    open: impl FnOnce() -> Result<D, StartError> + Send + 'static,
) -> Result<(Server, Owner), StartError> {
    let peers = check(&config)?;
    let (disk, orders) = mpsc::channel();
    let (opened, opening) = oneshot::channel();
    let most_unsynced = MAX_UNSYNCED.min(config.limits.segment / 2);
    let name = format!("webfs-{}-disk", config.id);
    let settings = settings(&config, peers.clone())?;
    let thread = std::thread::Builder::new().name(name);
    let spawned = thread.spawn(move || match open_disk(&config, settings, open) {
        Ok((writer, found)) => {
            // Nobody waits any more when the start was given up; then the thread ends below.
            let _given_up = opened.send(Ok(found));
            writer.run(&orders);
        }
        Err(error) => {
            let _given_up = opened.send(Err(error));
        }
    });
    spawned.map_err(|error| StartError::Config(format!("no thread for the disk: {error}")))?;
    let ended = |_| StartError::Data("the disk's thread panicked".to_owned());
    let found = opening.await.map_err(ended)??;
    let slots = peers.into_iter().map(Slot::new).collect::<Vec<_>>();
    let count = slots.len();
    let engine = Arc::new(Engine::new(
        found.core,
        slots,
        disk.clone(),
        found.store,
        usize::try_from(most_unsynced).unwrap_or(usize::MAX),
    ));
    let begun = disk.send(Order::Begin(Arc::clone(&engine)));
    begun.map_err(|_| StartError::Data("the disk's thread ended".to_owned()))?;
    let recovered = found.recovered;
    engine.with(|state, now| state.core.start(now, recovered));
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_time(Arc::clone(&engine)));
    tasks.spawn(tell_joining(Arc::clone(&engine)));
    for peer in 0..count {
        tasks.spawn(peers::keep(Arc::clone(&engine), PeerIndex(peer)));
    }
    let owner = Owner {
        engine: Arc::clone(&engine),
        disk,
        tasks,
    };
    Ok((Server { engine }, owner))
}

/// The other members' addresses.
fn check(config: &ServerConfig) -> Result<Vec<String>, StartError> {
    if config.limits.append > Limits::MAX_APPEND {
        return Err(StartError::Config(format!(
            "an append of {} bytes was asked for, {} are the most",
            config.limits.append,
            Limits::MAX_APPEND
        )));
    }
    let mut peers = config.join.clone();
    peers.retain(|address| *address != config.listen);
    peers.sort_unstable();
    peers.dedup();
    if let Some(bad) = peers.iter().find(|address| !is_address(address)) {
        return Err(StartError::Config(format!(
            "`{bad}` is no address of a server: host:port is"
        )));
    }
    if peers.len() >= MAX_MEMBERS {
        return Err(StartError::Config(format!(
            "{} servers to join, a group has at most {MAX_MEMBERS} members",
            peers.len()
        )));
    }
    Ok(peers)
}

fn is_address(text: &str) -> bool {
    text.len() <= 255
        && text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
}

fn settings(config: &ServerConfig, peers: Vec<String>) -> Result<Settings, StartError> {
    let session = getrandom::u64()
        .map_err(|error| StartError::Config(format!("no random numbers: {error}")))?;
    Ok(Settings {
        id: config.id,
        listen: config.listen.clone(),
        alone: config.alone || peers.is_empty(),
        peers,
        session,
        interval: config.interval,
        append_limit: config.limits.append,
        memory: config.limits.memory,
        rules: config.rules,
    })
}

/// Opens the disk, and tells new rules all that is on it.
fn open_disk<D: Disk>(
    config: &ServerConfig,
    settings: Settings,
    open: impl FnOnce() -> Result<D, StartError>,
) -> Result<(Writer<D>, Opened), StartError> {
    let disk = Arc::new(open()?);
    let bad = |error: &dyn std::fmt::Display| {
        StartError::Data(format!("{}: {error}", config.data.display()))
    };
    let identity = identity::read(&*disk, config.id).map_err(|e| bad(&e))?;
    let mut core = Core::new(settings);
    let options = Options {
        segment: config.limits.segment,
        letter: identity.map(|identity| identity.letter),
    };
    let (log, report) = Log::open(Arc::clone(&disk), options, &mut |recalled| {
        if recalled.aside {
            core.recovered_aside(recalled.entry);
        } else {
            core.recovered(recalled.entry, recalled.place);
        }
        Ok(())
    })
    .map_err(|e| bad(&e))?;
    tell(&report);
    let recovered = Recovered {
        identity,
        damaged: report.damaged,
    };
    let store: Arc<dyn Store> = Arc::new(log.reader());
    let writer = Writer {
        disk,
        log,
        durability: config.durability,
        logged: report.entries,
        full: false,
    };
    let found = Opened {
        core,
        store,
        recovered,
    };
    Ok((writer, found))
}

/// Calls the rules whenever they want to be called, until the server stops.
async fn keep_time(engine: Arc<Engine>) {
    let stopped = peers::until(engine.stopped());
    tokio::pin!(stopped);
    loop {
        let next = engine.next_timer();
        let sleep = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => engine.with(|state, now| {
                let load = state.load();
                state.core.set_load(load);
                state.core.tick(now);
            }),
            () = engine.timer.notified() => {}
            () = &mut stopped => return,
        }
    }
}

/// Says in the log when the server has joined, and for whom it waits until then.
async fn tell_joining(engine: Arc<Engine>) {
    let stopped = peers::until(engine.stopped());
    let joined = peers::until(engine.has_joined());
    tokio::pin!(stopped, joined);
    loop {
        tokio::select! {
            () = &mut joined => {
                if let Some(identity) = engine.with(|state, _| state.core.identity()) {
                    tracing::info!(%identity, "joined");
                }
                return;
            }
            () = sleep(TELL_JOINING) => {
                let waiting_for = engine.with(|state, _| state.core.waits_to_join_for());
                tracing::warn!(waiting_for, "not joined yet");
            }
            () = &mut stopped => return,
        }
    }
}

impl Owner {
    /// Waits until the server has to end by itself. Cancel safe.
    pub async fn failed(&mut self) -> Fatal {
        let mut fatal = self.engine.fatal();
        loop {
            tokio::select! {
                failed = fatal.wait_for(Option::is_some) => {
                    match failed.ok().and_then(|fatal| fatal.clone()) {
                        Some(fatal) => return fatal,
                        // The engine, which holds the sender, lives as long as this.
                        None => std::future::pending().await,
                    }
                }
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        let why = format!("a task of the server: {error}");
                        self.engine.fail(Fatal::Broken(why));
                    }
                }
            }
        }
    }

    /// Refuses new work, syncs what was accepted, ends all tasks and waits for them; after `grace` it
    /// aborts what is left.
    pub async fn stop(mut self, grace: Duration) {
        let end = Instant::now() + grace;
        self.engine.stop();
        let (told, synced) = oneshot::channel();
        let ordered = self
            .disk
            .send(Order::End(Some(told)))
            .map_err(io::Error::other);
        if ordered.is_err() || timeout_at(end, synced).await.is_err() {
            tracing::warn!("the disk did not end in time");
        }
        self.engine.give_up_waiting();
        let ended = timeout_at(end, async {
            while self.tasks.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.engine.stop();
        // The thread may have ended already.
        let _ended = self.disk.send(Order::End(None));
    }
}
