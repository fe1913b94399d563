//! Workers: threads with a runtime each, on which sessions stay from their first byte to their last.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use super::{RunError, system};
use crate::agent;
use crate::health;
use crate::host::{Stop, Stopper};
use crate::service::{Door, Service, Stops, accept};

/// What a worker tells the control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// It accepts no more, and its last session has ended.
    SessionsEnded,
    /// Its thread is at its end, by a panic if not `clean`.
    Ended { clean: bool },
}

/// All workers.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    events: mpsc::UnboundedReceiver<Event>,
    hard: Stopper,
    own: Stopper,
    /// Workers that may have sessions.
    serving: usize,
    /// Workers that have not ended.
    running: usize,
    failed: bool,
}

/// What one worker is given.
struct Seat {
    doors: Vec<(Arc<Service>, Door<StdListener>)>,
    /// The services whose nodes' health and own work it takes care of: all for the first worker, none for
    /// the others.
    cares_for: Vec<Arc<Service>>,
    stops: Stops,
    /// The plugins' own work is to end.
    own: Stop,
    events: mpsc::UnboundedSender<Event>,
}

impl Workers {
    /// Starts one worker for each set of doors.
    pub(super) fn start(
        services: &[Arc<Service>],
        doors: Vec<Vec<(Arc<Service>, Door<StdListener>)>>,
        soft: &Stop,
    ) -> Result<Self, RunError> {
        let (tell, events) = mpsc::unbounded_channel();
        let (hard, hard_stop) = Stopper::new();
        let (own, own_stop) = Stopper::new();
        let mut workers = Self {
            threads: Vec::new(),
            events,
            hard,
            own,
            serving: 0,
            running: 0,
            failed: false,
        };
        for (number, doors) in doors.into_iter().enumerate() {
            let seat = Seat {
                doors,
                cares_for: match number {
                    0 => services.to_vec(),
                    _others => Vec::new(),
                },
                stops: Stops {
                    soft: soft.clone(),
                    hard: hard_stop.clone(),
                },
                own: own_stop.clone(),
                events: tell.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn(move || sit(seat))
                // Dropped with the error, the stoppers end those that were started.
                .map_err(system("a thread"))?;
            workers.threads.push(thread);
            workers.serving += 1;
            workers.running += 1;
        }
        Ok(workers)
    }

    /// Returns when a worker has ended although nobody told it to. Cancel safe.
    pub(super) async fn failed(&mut self) {
        while self.running == self.threads.len() {
            self.hear().await;
        }
    }

    /// Returns when all sessions have ended. Cancel safe.
    pub(super) async fn sessions_ended(&mut self) {
        while self.serving > 0 && self.running > 0 {
            self.hear().await;
        }
    }

    /// Returns when all workers have ended. Cancel safe.
    pub(super) async fn all_ended(&mut self) {
        while self.running > 0 {
            self.hear().await;
        }
    }

    /// Ends sessions without waiting for them.
    pub(super) fn end_now(&self) {
        self.hard.stop();
    }

    /// Tells the plugins' own work to end.
    pub(super) fn end_own_work(&self) {
        self.own.stop();
    }

    async fn hear(&mut self) {
        match self.events.recv().await {
            Some(Event::SessionsEnded) => self.serving = self.serving.saturating_sub(1),
            Some(Event::Ended { clean }) => {
                self.running = self.running.saturating_sub(1);
                self.failed |= !clean;
            }
            // All senders are gone, so all workers are.
            None => self.running = 0,
        }
    }

    /// Waits for the threads, which have ended.
    pub(super) fn join(self) -> Result<(), RunError> {
        let mut failed = self.failed;
        for thread in self.threads {
            failed |= thread.join().is_err();
        }
        if failed {
            return Err(RunError::WorkerFailed);
        }
        Ok(())
    }
}

/// Tells of a thread's end, however it comes.
struct Sentinel {
    events: mpsc::UnboundedSender<Event>,
    clean: bool,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // The control thread may have given up already.
        let _heard = self.events.send(Event::Ended { clean: self.clean });
    }
}

fn sit(seat: Seat) {
    let mut sentinel = Sentinel {
        events: seat.events.clone(),
        clean: false,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker has no runtime");
            return;
        }
    };
    // Tasks of the host's own live in the set too, and end with it.
    let local = LocalSet::new();
    sentinel.clean = local.block_on(&runtime, work(seat));
}

/// Serves until told to stop; says whether all went well.
async fn work(seat: Seat) -> bool {
    let grace = seat
        .cares_for
        .iter()
        .map(|service| service.settings.stop_grace)
        .max();
    let mut accepting = JoinSet::new();
    for (service, door) in seat.doors {
        let tls_first = door.tls_first;
        match TcpListener::from_std(door.listener) {
            Ok(listener) => {
                let door = Door {
                    listener,
                    tls_first,
                };
                accepting.spawn_local(accept(door, service, seat.stops.clone()));
            }
            Err(error) => {
                let name = service.settings.name.as_str();
                tracing::error!(service = name, %error, "a listener cannot be polled");
                return false;
            }
        }
    }
    let mut health = JoinSet::new();
    let mut own = JoinSet::new();
    for service in &seat.cares_for {
        for node in service.cluster.nodes() {
            if let Some(settings) = service.settings.agent {
                let cluster = Arc::clone(&service.cluster);
                health.spawn_local(agent::keep(cluster, Arc::clone(&node), settings));
            }
            health.spawn_local(health::keep(
                Arc::clone(&service.cluster),
                node,
                Arc::new(service.instance.clone()),
                service.settings.timeouts.probe,
            ));
        }
        if let Some(deadline) = service.settings.drain_deadline {
            let cluster = Arc::clone(&service.cluster);
            health.spawn_local(cluster.move_at_drain_deadline(deadline));
        }
        own.spawn_local(service.instance.run(seat.own.clone()));
    }
    let mut left = 0;
    // A task that failed takes the worker with it, and so the director: without its health task a dead
    // node would never come back, and nobody would hear of it.
    let clean = loop {
        tokio::select! {
            ended = accepting.join_next() => match ended {
                Some(Ok(sessions)) => left += sessions,
                Some(Err(error)) => break failed("an accept loop", &error),
                None => break true,
            },
            Some(ended) = health.join_next() => match ended {
                Ok(()) => break failed("a health task", &"it ended by itself"),
                Err(error) => break failed("a health task", &error),
            },
            Some(ended) = own.join_next() => {
                if let Err(error) = ended {
                    break failed("a plugin's own work", &error);
                }
            }
        }
    };
    if left > 0 {
        tracing::warn!(sessions = left, "sessions were ended by the stop");
    }
    let _heard = seat.events.send(Event::SessionsEnded);
    let clean = match grace {
        Some(grace) if clean => end_own_work(own, &seat.own, &seat.stops.hard, grace).await,
        Some(_) | None => clean,
    };
    health.shutdown().await;
    clean
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> bool {
    tracing::error!(%error, "{what} failed");
    false
}

/// The plugins' own work ends after all sessions have, on all workers. Says whether it ended well.
async fn end_own_work(mut own: JoinSet<()>, stop: &Stop, hard: &Stop, grace: Duration) -> bool {
    stop.stopping().await;
    let all_ended = async {
        let mut clean = true;
        while let Some(ended) = own.join_next().await {
            if let Err(error) = ended {
                clean = failed("a plugin's own work", &error);
            }
        }
        clean
    };
    let clean = tokio::select! {
        clean = all_ended => clean,
        () = tokio::time::sleep(grace) => {
            tracing::warn!("plugins' own work has not ended in time");
            true
        }
        () = hard.stopping() => true,
    };
    own.shutdown().await;
    clean
}
