//! The kit's host: its tables of numbers, and the operations on streams, timers and relays.
//!
//! What the real host does with sockets and a clock happens here in memory, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use director_abi as abi;
use director_recovery::{Budget, Kind, Limits};

use super::abi::LinkState;
use super::confirms::{Confirm, EndOfLink};
use super::exec::{Chance, Ready, TaskId};
use super::faults::{Crowds, Fault};
use super::further::{Connect, Ear, Listener};
use super::net::{Connection, HERE, INSIDE, Pipe, SERVED, Way, node_ip};
use super::recover::{Chain, Link, Node, Open};
use super::second::Second;
use super::secure::Giver;
use super::store::Spool;
use super::{Counts, Ended};

/// A host's number. No two are alike in one process, so a number of another world, or of another
/// thread's, names nothing here.
pub(super) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A metric's number, the same for every world: a library asks for it once.
pub(super) fn metric_number(key: &str) -> u64 {
    static KEYS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let at = keys.iter().position(|known| known == key);
    let at = at.unwrap_or_else(|| {
        keys.push(key.to_owned());
        keys.len() - 1
    });
    at as u64 + 1
}

/// A task of the plugin's.
#[derive(Default)]
pub(super) struct Task {
    /// The client's stream, of a session.
    pub(super) client: Option<u64>,
    /// By what its requests are sent to a node; `None`: by chance.
    pub(super) key: Option<Vec<u8>>,
    /// The node, of a watch.
    pub(super) watched: Option<u32>,
    pub(super) stopping: Vec<Waker>,
}

/// Whose a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Task(u64),
    /// Of a link: it goes where the link goes.
    Link,
    /// Of what the stream of this number belongs to, the first of its bundle.
    Beside(u64),
}

pub(super) struct Stream {
    pub(super) owner: Owner,
    pub(super) connection: usize,
    /// Lent to the plugin, and how many of them it has consumed.
    pub(super) lent: Vec<u8>,
    pub(super) taken: usize,
    pub(super) received: u64,
    pub(super) accepted: u64,
    /// Of the first stream of a bundle: what all of its streams have accepted, and when a byte last
    /// moved on any of them.
    pub(super) bundle_accepted: u64,
    pub(super) moved_at: Duration,
    /// Of a client's first: when a write that had waited was taken on any of them.
    pub(super) taken_at: Duration,
    pub(super) cut: bool,
    pub(super) due: bool,
    /// Since when the plugin waits for bytes.
    pub(super) waiting: Option<Duration>,
    /// Since when the peer takes nothing that the plugin writes.
    pub(super) blocked: Option<Duration>,
    pub(super) closed: bool,
    /// Its first failure, in words.
    pub(super) trouble: Option<String>,
    /// That a read found the peer's end was noted.
    pub(super) told_end: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

struct Timer {
    task: u64,
    until: Duration,
    waker: Option<Waker>,
}

pub(super) struct Relay {
    pub(super) task: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) limit: u64,
    pub(super) moved: u64,
    pub(super) end: Option<(u32, i32)>,
}

/// Everything that the host knows.
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) chance: Chance,
    pub(super) ready: Arc<Ready>,
    pub(super) room: usize,
    pub(super) piece: usize,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) pooled: bool,
    pub(super) failures: Vec<(u32, u32, u32)>,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) streams: BTreeMap<u64, Stream>,
    timers: BTreeMap<u64, Timer>,
    pub(super) relays: BTreeMap<u64, Relay>,
    pub(super) connects: BTreeMap<u64, Connect>,
    pub(super) listeners: BTreeMap<u64, Listener>,
    /// Listeners of nodes and clients.
    pub(super) ears: BTreeMap<u64, Ear>,
    pub(super) next_port: u16,
    /// What ended with the first stream of its bundle, and whose handle the plugin has not dropped.
    pub(super) orphans: BTreeSet<u64>,
    pub(super) spools: BTreeMap<u64, Spool>,
    pub(super) confirms: BTreeMap<u64, Confirm>,
    /// Links that ended from their node's side.
    pub(super) ended_links: Vec<EndOfLink>,
    /// What the service's spools may have together, in memory and on the disk.
    pub(super) spool_room: (u64, u64),
    /// The disk of the spools fails.
    pub(super) disk_broken: bool,
    /// It takes its time.
    pub(super) disk_held: bool,
    /// Who gave the tickets of TLS sessions.
    pub(super) sessions: BTreeMap<u64, Giver>,
    /// The service has no certificate.
    pub(super) bare: bool,
    /// Nodes whose certificates are not trusted.
    pub(super) distrusted: BTreeSet<u32>,
    /// Connections of strangers, which were reset.
    pub(super) strangers: u64,
    pub(super) chains: BTreeMap<u64, Chain>,
    pub(super) tickets: BTreeMap<u64, Open>,
    pub(super) pool: Vec<(u64, Link)>,
    pub(super) nodes: Vec<Node>,
    pub(super) connections: Vec<Connection>,
    /// The connections to nodes, in the order in which they were made.
    pub(super) opened: Vec<usize>,
    pub(super) fault: Option<Fault>,
    /// Another, some bytes after it.
    pub(super) second: Option<Second>,
    /// Bytes to and from nodes since the first fault.
    pub(super) passed_since: u64,
    pub(super) crowds: Crowds,
    /// At this poll of a session its node is declared down.
    pub(super) down_at_poll: Option<u64>,
    /// At this poll of a session it is cancelled.
    pub(super) cancel_at_poll: Option<u64>,
    /// This operation on a node's stream fails, with `EIO`.
    pub(super) fail_at_call: Option<u64>,
    /// Operations on nodes' streams so far.
    pub(super) node_calls: u64,
    /// Polls of sessions so far.
    pub(super) session_polls: u64,
    /// Whether the fault has happened, and how many bytes of answers clients had by then.
    pub(super) struck: Option<u64>,
    /// Node sides to be started, and node tasks to be ended, by the executor.
    pub(super) arrivals: Vec<(u32, usize)>,
    pub(super) killed: Vec<u32>,
    /// Link states to be freed, by the executor: never inside a host function.
    pub(super) graveyard: Vec<LinkState>,
    pub(super) log: Vec<(u32, String)>,
    /// By the metric's number.
    pub(super) metrics: BTreeMap<u64, f64>,
    pub(super) effects: Vec<String>,
    pub(super) ended: Vec<Ended>,
    pub(super) loads: BTreeMap<u32, f64>,
    pub(super) stopping: bool,
    pub(super) switches: u64,
    /// Objects that a task left behind for the host to free.
    pub(super) left_behind: usize,
    pub(super) next_turn: TaskId,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Duration::from_secs(1),
            chance: Chance::seeded(seed),
            ready: Arc::default(),
            room: 16 * 1024,
            piece: usize::MAX,
            limits: Limits::default(),
            budget: Budget::new(0.2, 10),
            pooled: false,
            failures: Vec::new(),
            tasks: BTreeMap::new(),
            streams: BTreeMap::new(),
            timers: BTreeMap::new(),
            relays: BTreeMap::new(),
            connects: BTreeMap::new(),
            listeners: BTreeMap::new(),
            ears: BTreeMap::new(),
            next_port: FIRST_FREE,
            orphans: BTreeSet::new(),
            spools: BTreeMap::new(),
            confirms: BTreeMap::new(),
            ended_links: Vec::new(),
            spool_room: (64 << 20, 1 << 30),
            disk_broken: false,
            disk_held: false,
            sessions: BTreeMap::new(),
            bare: false,
            distrusted: BTreeSet::new(),
            strangers: 0,
            chains: BTreeMap::new(),
            tickets: BTreeMap::new(),
            pool: Vec::new(),
            nodes: Vec::new(),
            connections: Vec::new(),
            opened: Vec::new(),
            fault: None,
            second: None,
            passed_since: 0,
            crowds: Crowds::default(),
            down_at_poll: None,
            cancel_at_poll: None,
            fail_at_call: None,
            node_calls: 0,
            session_polls: 0,
            struck: None,
            arrivals: Vec::new(),
            killed: Vec::new(),
            graveyard: Vec::new(),
            log: Vec::new(),
            metrics: BTreeMap::new(),
            effects: Vec::new(),
            ended: Vec::new(),
            loads: BTreeMap::new(),
            stopping: false,
            switches: 0,
            left_behind: 0,
            next_turn: 1,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            tasks: self.tasks.len(),
            streams: self.streams.len() - self.pooled_streams(),
            timers: self.timers.len(),
            relays: self.relays.len(),
            chains: self.chains.len(),
            tickets: self.tickets.len(),
            connects: self.connects.len(),
            listeners: self.listeners.len(),
            spools: self.spools.len(),
            confirms: self.confirms.len(),
        }
    }

    fn pooled_streams(&self) -> usize {
        let pooled = self.pool.iter().map(|(_, link)| link.stream);
        pooled.map(|first| self.bundle(first).count()).sum()
    }

    // --- connections ---

    /// A connection to a node, which is told to serve it.
    pub(super) fn connect(&mut self, node: u32) -> usize {
        let near = SocketAddr::new(INSIDE, self.ephemeral());
        let index = self.open(Some(node), near, (node_ip(node), SERVED).into());
        self.arrivals.push((node, index));
        index
    }

    /// A client's connection.
    pub(super) fn connect_client(&mut self, ip: IpAddr) -> usize {
        let far = SocketAddr::new(ip, self.ephemeral());
        self.open(None, (HERE, SERVED).into(), far)
    }

    /// The port of whoever connects next.
    pub(super) fn ephemeral(&self) -> u16 {
        40_001 + (self.connections.len() % 20_000) as u16
    }

    /// A connection; `node` is where it leads, and when it is the one with the fault, that may happen
    /// at once.
    pub(super) fn open(&mut self, node: Option<u32>, near: SocketAddr, far: SocketAddr) -> usize {
        let pipe = || Pipe::new(self.room, self.piece);
        let index = self.connections.len();
        self.connections.push(Connection {
            node,
            near,
            far,
            pipes: [pipe(), pipe()],
            tls: [None, None],
            cut: None,
        });
        if node.is_some() {
            self.opened.push(index);
            let nth = self.opened.len() - 1;
            self.note_crowd(index, Way::Out, 0..=0);
            self.note_crowd(index, Way::In, 0..=0);
            if let Some(fault) = self.fault.filter(|fault| fault.connection == nth) {
                let connection = &mut self.connections[index];
                connection.cut = Some(fault.cut);
                connection.pipe(fault.way).fault_at = Some(fault.at);
                self.strike(index, fault.way);
            }
        }
        index
    }

    // --- timers ---

    pub(super) fn timer(&mut self, task: u64, after: Duration) -> u64 {
        if !self.tasks.contains_key(&task) {
            return 0;
        }
        self.own_timer(task, after)
    }

    /// A timer of the kit's own, for nodes and clients.
    pub(super) fn own_timer(&mut self, task: u64, after: Duration) -> u64 {
        let number = number();
        let timer = Timer {
            task,
            until: self.now.saturating_add(after),
            waker: None,
        };
        self.timers.insert(number, timer);
        number
    }

    pub(super) fn poll_timer(&mut self, number: u64, waker: &Waker) -> Poll<Result<(), ()>> {
        let Some(timer) = self.timers.get_mut(&number) else {
            return Poll::Ready(Err(()));
        };
        if timer.until <= self.now {
            return Poll::Ready(Ok(()));
        }
        timer.waker = Some(waker.clone());
        Poll::Pending
    }

    pub(super) fn end_timer(&mut self, number: u64) {
        self.timers.remove(&number);
    }

    pub(super) fn poll_stopping(&mut self, task: u64, waker: Option<&Waker>) -> u32 {
        let Some(task) = self.tasks.get_mut(&task) else {
            return abi::FAILED;
        };
        if self.stopping {
            return abi::READY;
        }
        if let Some(waker) = waker {
            task.stopping.push(waker.clone());
        }
        abi::PENDING
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for task in self.tasks.values_mut() {
            task.stopping.drain(..).for_each(Waker::wake);
        }
    }

    /// The next time at which something happens by itself.
    pub(super) fn next_time(&self) -> Option<Duration> {
        let timers = self.timers.values().filter(|timer| timer.waker.is_some());
        timers
            .map(|timer| timer.until)
            .chain(self.next_of_connects())
            .chain(self.next_of_confirms())
            .chain(self.next_of_tickets())
            .min()
    }

    /// Moves the clock, and lets happen what is due.
    pub(super) fn advance(&mut self, to: Duration) {
        self.now = self.now.max(to);
        for timer in self.timers.values_mut() {
            if timer.until <= self.now
                && let Some(waker) = timer.waker.take()
            {
                waker.wake();
            }
        }
        self.watch_connects();
        self.watch_confirms();
        self.watch_tickets();
    }

    // --- tasks ---

    pub(super) fn begin_task(&mut self) -> u64 {
        let number = number();
        self.tasks.insert(number, Task::default());
        number
    }

    /// Frees what a task has left, and the task. What it left is counted: a plugin's own handles
    /// free everything.
    pub(super) fn end_task(&mut self, task: u64) {
        let chains: Vec<u64> = keys(&self.chains, |chain| chain.task == task);
        let tickets = keys(&self.tickets, |ticket| chains.contains(&ticket.chain));
        let timers = keys(&self.timers, |timer| timer.task == task);
        let relays = keys(&self.relays, |relay| relay.task == task);
        let streams = keys(&self.streams, |stream| stream.owner == Owner::Task(task));
        let spools = keys(&self.spools, |spool| spool.task == task);
        let confirms = keys(&self.confirms, |confirm| confirm.task == task);
        self.left_behind +=
            chains.len() + tickets.len() + timers.len() + relays.len() + streams.len();
        self.left_behind += spools.len() + confirms.len();
        confirms
            .into_iter()
            .for_each(|number| self.end_confirm(number));
        spools.into_iter().for_each(|number| self.end_spool(number));
        relays.into_iter().for_each(|number| {
            self.end_relay(number);
        });
        timers.into_iter().for_each(|number| self.end_timer(number));
        tickets
            .into_iter()
            .for_each(|number| self.end_ticket(number));
        chains.into_iter().for_each(|number| self.end_chain(number));
        streams.into_iter().for_each(|number| self.give_up(number));
        self.tasks.remove(&task);
    }

    // --- seeing ---

    pub(super) fn record(&mut self, metric: u64, how: u32, value: f64) {
        let total = self.metrics.entry(metric).or_default();
        *total = if how == 2 { value } else { *total + value };
    }

    pub(super) fn kind_of(&self, kind: u32, code: u32) -> Kind {
        let kind = if kind == abi::Ended::BY_CODE {
            self.failures
                .iter()
                .find(|(first, last, _)| (*first..=*last).contains(&code))
                .map_or(abi::kind::UNKNOWN, |(_, _, kind)| *kind)
        } else {
            kind
        };
        Kind::from_code(kind).unwrap_or(Kind::Fault)
    }
}

/// The first port that is taken by whoever listens on any.
const FIRST_FREE: u16 = 50_000;

pub(super) fn keys<T>(table: &BTreeMap<u64, T>, of: impl Fn(&T) -> bool) -> Vec<u64> {
    table
        .iter()
        .filter(|(_, thing)| of(thing))
        .map(|(number, _)| *number)
        .collect()
}
