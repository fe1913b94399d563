//! The test kit: a director in memory, with a virtual clock, seeded, on one thread.
//!
//! A [`World`] is a host of its own behind the same C functions as the real one, so a plugin's whole
//! glue runs in it; the recovery engine is the one that ships. Nodes and clients are async closures
//! over [`Wire`]s, which are ends of connections in memory. Time moves when nobody has anything to
//! do, to the next moment at which something happens, so a test of thirty seconds' silence takes
//! none, and the same seed gives the same run.
//!
//! ```
//! use director_sdk::testing::{Wire, World};
//! # use director_sdk::*;
//! # struct Shout;
//! # #[async_trait]
//! # impl Protocol for Shout {
//! #     type Config = serde_json::Value;
//! #     const NAME: &'static str = "shout";
//! #     const LINKS: Links = Links::Exclusive;
//! #     fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> { Ok(Self) }
//! #     async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
//! #         let (mut client, mut chain) = (client.stream, director.chain(Plain));
//! #         let mut said = Vec::new();
//! #         client.read_line(&mut said, 100).await?;
//! #         let heard = director.direct(&mut chain, &mut Ask(said)).await?;
//! #         client.write_all(&heard).await?;
//! #         Ok(client.close().await?)
//! #     }
//! #     async fn probe(&self, _: &mut NodeStream) -> Result<Load, Failure> { Ok(Load::UNKNOWN) }
//! # }
//! # struct Plain;
//! # #[async_trait]
//! # impl Session for Plain {
//! #     type Link = NodeStream;
//! #     async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<NodeStream, Failure> { Ok(node) }
//! # }
//! # struct Ask(Vec<u8>);
//! # #[async_trait]
//! # impl Request<Plain> for Ask {
//! #     type Reply = Vec<u8>;
//! #     async fn attempt(&mut self, _: &mut Plain, node: &mut NodeStream, _: &Director) -> Result<Vec<u8>, Failure> {
//! #         node.write_all(&self.0).await?;
//! #         let mut line = Vec::new();
//! #         node.read_line(&mut line, 100).await?;
//! #         if line.is_empty() { Err(Failure::new(Kind::Lost, "no answer")) } else { Ok(line) }
//! #     }
//! #     async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut NodeStream>, _: &Exception) -> Resend { Resend::Anywhere }
//! # }
//!
//! async fn shout(mut wire: Wire) {
//!     if let Ok(line) = wire.read_line().await {
//!         let _client_may_be_gone = wire.write_all(line.to_uppercase().as_bytes()).await;
//!     }
//! }
//!
//! let world = World::seeded(1);
//! world.start::<Shout>("{}").unwrap();
//! world.node("a", shout);
//! world.node("b", shout);
//! world.kill("a");
//! let heard = world.run(async {
//!     let mut client = world.connect();
//!     client.write_all(b"hello\n").await.unwrap();
//!     client.read_to_end().await.unwrap()
//! });
//! assert_eq!(heard, b"HELLO\n");
//! ```
//!
//! [`every_cut`] runs such a scenario once without faults, then once for each byte that went to or
//! from a node, each time with a cut at that byte, and compares what the client saw and what the
//! nodes did ([`Wire::effect`]) with the first run. Where a node has several connections at that byte,
//! one more run cuts all of them at once. [`two_cuts`] puts a second cut into the recovery from the
//! first, by chance. [`every_poll`] does the same at each poll of a session, with its node declared
//! down, or the session cancelled, between two awaits, and [`every_call`] lets each operation on a
//! node's streams, listeners and further connections fail.
//!
//! Further connections: a node or a client listens ([`Wire::listen`]) and connects
//! ([`Wire::connect`]) beside its wire, at its own IP address: clients at 127.0.0.1 (or as
//! [`World::connect_from`] says), each node at one of its own. [`World::reach`] is anybody else's way to
//! a port at which the plugin listens. [`Wire::start_tls`] is the far side of the plugin's `start_tls`;
//! a wire that is dropped without [`Wire::close`] ends without `close_notify`, as a process does that
//! dies. [`World::spool_room`], [`World::hold_disk`] and [`World::break_disk`] are for spools.
//!
//! What is not like the real host: connecting takes no time, unless the node is silent; TLS is a mock,
//! which hides nothing; a node that was declared down stays so until [`World::revive`], and probes are
//! not sent but answered by whether the node is well, also where a plugin asks for one
//! ([`Director::confirm`](crate::Director::confirm)). A test process holds one library and one kit;
//! each thread runs its own worlds, one at a time.

mod abi;
mod confirms;
mod cuts;
mod engine;
mod exec;
mod far;
mod faults;
mod flows;
mod further;
mod net;
mod record;
mod recover;
mod run;
mod second;
mod secure;
mod see;
mod state;
mod store;
mod wire;

#[cfg(test)]
mod in_c;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub use director_recovery::Limits;

pub use cuts::{Swept, every_call, every_cut, every_poll, some_cuts, two_cuts};
pub use far::WireListener;
pub use net::{Cut, Way};
pub use see::{Counts, Ended, Leftover, What};
pub use wire::Wire;

use self::abi::{Foreign, Plugin};
use self::exec::{TaskId, Turn};
use self::recover::Node;
use self::state::{Owner, State};
use crate::protocol::{ConfigMistake, Protocol};

type Work = Pin<Box<dyn Future<Output = ()>>>;
/// What serves one connection of a node.
type ServeNode = Rc<dyn Fn(Wire) -> Work>;

/// A director in memory; see the [module](self).
pub struct World {
    state: Rc<RefCell<State>>,
    running: RefCell<BTreeMap<TaskId, Running>>,
    plugin: RefCell<Option<Plugin>>,
    panics: std::cell::Cell<usize>,
    state_dir: PathBuf,
    /// The directory is the test's, and stays.
    keeps_state: bool,
    certificate: std::cell::Cell<Option<bool>>,
}

struct Running {
    turn: Arc<Turn>,
    job: Job,
}

enum Job {
    /// A node's or a client's.
    Local { node: Option<u32>, work: Work },
    /// The plugin's.
    Plugin {
        what: What,
        task: u64,
        foreign: Foreign,
    },
}

impl World {
    /// An empty world. The same seed gives the same choices and the same random bytes.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: Rc::new(RefCell::new(State::new(seed))),
            running: RefCell::default(),
            plugin: RefCell::default(),
            panics: std::cell::Cell::new(0),
            state_dir: std::env::temp_dir().join(format!(
                "director-world-{}-{}",
                std::process::id(),
                state::number()
            )),
            keeps_state: false,
            certificate: std::cell::Cell::new(None),
        }
    }

    /// Gives the plugin a state directory that outlives this world: a director that is started
    /// again has the one that it had. Otherwise each world has its own, removed at its end.
    pub fn keep_state_in(&mut self, directory: impl Into<PathBuf>) {
        self.state_dir = directory.into();
        self.keeps_state = true;
    }

    /// The plugin's state directory; there when the plugin has made it.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Tells the plugin, at [`start`](Self::start), whether its service has a certificate for its
    /// clients. Otherwise the world is a host that does not say.
    pub fn certificate(&self, has: bool) {
        self.certificate.set(Some(has));
    }

    /// Bounds what is in flight in each direction of a connection, and what one read or write
    /// moves, in bytes: `(1, 1)` is the harshest. The default is 16 KiB, and as much as there is.
    pub fn buffers(&self, room: usize, piece: usize) {
        let mut state = self.state.borrow_mut();
        (state.room, state.piece) = (room, piece);
    }

    /// Replaces the engine's bounds, and the retry budget (share, per second).
    pub fn limits(&self, limits: Limits, share: f64, per_second: u32) {
        let mut state = self.state.borrow_mut();
        state.limits = limits;
        state.budget = director_recovery::Budget::new(share, per_second);
    }

    /// Makes an instance of the plugin from JSON options, and starts its own work.
    ///
    /// # Errors
    ///
    /// The mistakes in its options.
    ///
    /// # Panics
    ///
    /// When there is one already.
    pub fn start<P: Protocol>(&self, options: &str) -> Result<(), Vec<ConfigMistake>> {
        assert!(self.plugin.borrow().is_none(), "a world has one plugin");
        let _entered = abi::enter(&self.state);
        let state_dir = self.state_dir.to_string_lossy();
        let (plugin, pooled) = Plugin::create::<P>(options, &state_dir, self.certificate.get())?;
        self.start_with(plugin, pooled);
        Ok(())
    }

    fn start_with(&self, plugin: Plugin, pooled: bool) {
        let task = {
            let mut state = self.state.borrow_mut();
            state.pooled = pooled;
            state.failures = plugin.failures();
            state.begin_task()
        };
        let run = plugin.run(task);
        *self.plugin.borrow_mut() = Some(plugin);
        self.begin(What::Run, task, run);
    }

    /// Adds a node. `serve` is called for each connection to it; a wire that it drops is closed.
    pub fn node<F, W>(&self, name: &str, serve: F)
    where
        F: Fn(Wire) -> W + 'static,
        W: Future<Output = ()> + 'static,
    {
        self.state.borrow_mut().nodes.push(Node {
            name: name.into(),
            serve: Rc::new(move |wire| Box::pin(serve(wire))),
            up: true,
            silent: false,
            down: false,
        });
    }

    /// The node's process dies: its connections are reset, and it refuses new ones.
    pub fn kill(&self, name: &str) {
        let node = self.find(name);
        self.state.borrow_mut().kill(node);
    }

    /// The node stops without a word (a `SIGSTOP`, a dead switch).
    pub fn silence(&self, name: &str) {
        let node = self.find(name);
        self.state.borrow_mut().silence(node);
    }

    /// The node is well again, and known to be.
    pub fn revive(&self, name: &str) {
        let node = self.find(name);
        self.state.borrow_mut().revive(node);
    }

    /// The director holds the node for dead, and cuts what runs there.
    pub fn declare_down(&self, name: &str) {
        let node = self.find(name);
        self.state.borrow_mut().declare_down(node);
    }

    fn find(&self, name: &str) -> u32 {
        let state = self.state.borrow();
        let at = state.nodes.iter().position(|node| &*node.name == name);
        match at {
            Some(at) => at as u32,
            None => panic!("there is no node {name}"),
        }
    }

    /// A client connects; the plugin begins to serve it.
    ///
    /// # Panics
    ///
    /// When no plugin was started.
    pub fn connect(&self) -> Wire {
        self.connect_from(net::HERE)
    }

    /// As [`connect`](Self::connect), from this IP address; otherwise clients are at 127.0.0.1.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_from(&self, ip: IpAddr) -> Wire {
        let (task, stream, session, peer, connection) = {
            let mut state = self.state.borrow_mut();
            let connection = state.connect_client(ip);
            let task = state.begin_task();
            let stream = state.stream(Owner::Task(task), connection);
            if let Some(task) = state.tasks.get_mut(&task) {
                task.client = Some(stream);
            }
            let peer = state.connections[connection].far.to_string();
            (task, stream, connection as u64 + 1, peer, connection)
        };
        let foreign = self.with_plugin(|plugin| plugin.serve(task, stream, session, &peer));
        self.begin(What::Session, task, foreign);
        Wire::new(&self.state, connection)
    }

    /// Probes a node, to the end.
    ///
    /// # Panics
    ///
    /// When no plugin was started, or everything waits.
    pub fn probe(&self, name: &str) -> Ended {
        let (task, stream, node) = self.stream_to(name);
        let foreign = self.with_plugin(|plugin| plugin.probe(task, stream, node, name));
        self.begin(What::Probe, task, foreign);
        self.until_ended(task)
    }

    /// Watches a node from now on; when the watch ends by itself, a node that is not well is declared
    /// down. What it reports is in [`load`](Self::load), its end among
    /// [`ended`](Self::ended).
    pub fn watch(&self, name: &str) {
        let (task, stream, node) = self.stream_to(name);
        if let Some(task) = self.state.borrow_mut().tasks.get_mut(&task) {
            task.watched = Some(node);
        }
        let foreign = self.with_plugin(|plugin| plugin.watch(task, stream, node, name));
        self.begin(What::Watch, task, foreign);
    }

    fn stream_to(&self, name: &str) -> (u64, u64, u32) {
        let node = self.find(name);
        let mut state = self.state.borrow_mut();
        let task = state.begin_task();
        let connection = state.connect(node);
        let stream = state.stream(Owner::Task(task), connection);
        (task, stream, node)
    }

    fn with_plugin<R>(&self, call: impl FnOnce(&Plugin) -> R) -> R {
        let _entered = abi::enter(&self.state);
        match &*self.plugin.borrow() {
            Some(plugin) => call(plugin),
            None => panic!("no plugin was started"),
        }
    }

    fn begin(&self, what: What, task: u64, foreign: Foreign) {
        let made = foreign.is_made();
        self.spawn_job(Job::Plugin {
            what,
            task,
            foreign,
        });
        if !made {
            let line = "the plugin made no task".to_owned();
            self.state.borrow_mut().log.push((1, line));
        }
    }

    /// Runs `work` beside everything else.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.spawn_job(Job::Local {
            node: None,
            work: Box::pin(work),
        });
    }

    fn spawn_job(&self, job: Job) {
        let mut state = self.state.borrow_mut();
        let id = state.next_turn;
        state.next_turn += 1;
        let turn = Turn::first(id, &state.ready);
        drop(state);
        self.running.borrow_mut().insert(id, Running { turn, job });
    }

    /// Cancels every session now, as a deadline or a shutdown does.
    pub fn cancel_sessions(&self) {
        let _entered = abi::enter(&self.state);
        let sessions: Vec<Running> = self
            .running
            .borrow_mut()
            .extract_if(.., |_, running| {
                matches!(
                    running.job,
                    Job::Plugin {
                        what: What::Session,
                        ..
                    }
                )
            })
            .map(|(_, running)| running)
            .collect();
        sessions
            .into_iter()
            .for_each(|session| self.end(session, None));
        self.keep_house();
    }

    /// Tells the plugin that the director is stopping.
    pub fn stop(&self) {
        self.state.borrow_mut().stop();
    }

    /// Lets everything happen that happens within `time`.
    pub fn pass(&self, time: Duration) {
        self.run(self.sleep(time));
    }

    /// Waits, in the world's time.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        wire::sleep(&self.state, time)
    }

    /// Stops the plugin, waits for its tasks, ends it, and says what was left.
    pub fn finish(self) -> Leftover {
        self.end_everything();
        let state = self.state.borrow();
        Leftover {
            counts: state.counts(),
            left_behind: state.left_behind + state.orphans.len(),
            cancelled: self.cancelled(),
            panics: self.panics.get(),
        }
    }

    fn cancelled(&self) -> usize {
        let state = self.state.borrow();
        state
            .log
            .iter()
            .filter(|(_, line)| line == CANCELLED)
            .count()
    }
}

const CANCELLED: &str = "a task did not end by itself";

impl Drop for World {
    /// Ends what is left, so that nothing of this world lives on in the next.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end_everything();
        }
        if !self.keeps_state && self.state_dir.exists() {
            let _stays_in_the_temporary_directory = std::fs::remove_dir_all(&self.state_dir);
        }
    }
}
