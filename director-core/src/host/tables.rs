//! What the host keeps for plugins: one set of tables a thread.
//!
//! A table is borrowed only to look a number up or to change the table; what stands in it is shared
//! by `Rc`, so that nothing is borrowed while a waker runs or a thing is dropped.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use super::buffers::{Buffers, Pipes};
use super::chain::{Chain, Remains};
use super::confirm::Confirm;
use super::further::Connect;
use super::keeper::Local;
use super::listener::Listener;
use super::relay::Relay;
use super::slab::{self, Kind, Slab, Void};
use super::spool::Spool;
use super::stream::Stream;
use super::task::Task;
use super::ticket::Ticket;
use super::timer::Timer;

/// One thread's tables.
pub(super) struct Tables {
    pub(super) thread: u16,
    tasks: RefCell<Slab<Rc<Task>>>,
    streams: RefCell<Slab<Rc<Stream>>>,
    timers: RefCell<Slab<Rc<Timer>>>,
    relays: RefCell<Slab<Rc<Relay>>>,
    chains: RefCell<Slab<Rc<Chain>>>,
    tickets: RefCell<Slab<Rc<Ticket>>>,
    connects: RefCell<Slab<Rc<Connect>>>,
    listeners: RefCell<Slab<Rc<Listener>>>,
    spools: RefCell<Slab<Rc<Spool>>>,
    confirms: RefCell<Slab<Rc<Confirm>>>,
    pub(super) locals: RefCell<HashMap<u64, Rc<Local>>>,
    pub(super) buffers: Buffers,
    pub(super) pipes: Pipes,
    /// States of links that have ended, to be freed by the plugin once it is not running.
    ended: RefCell<Vec<Remains>>,
    /// The session whose task runs.
    pub(super) session: Cell<u64>,
}

static NEXT_THREAD: AtomicU16 = AtomicU16::new(0);

thread_local! {
    static TABLES: Tables = Tables::new();
}

impl Tables {
    fn new() -> Self {
        // Beyond the last thread that a number can name, all share a name that is given no number.
        let thread = NEXT_THREAD
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                (next < slab::THREADS).then_some(next + 1)
            })
            .unwrap_or(slab::THREADS);
        Self {
            thread,
            tasks: RefCell::new(Slab::new(Kind::Task)),
            streams: RefCell::new(Slab::new(Kind::Stream)),
            timers: RefCell::new(Slab::new(Kind::Timer)),
            relays: RefCell::new(Slab::new(Kind::Relay)),
            chains: RefCell::new(Slab::new(Kind::Chain)),
            tickets: RefCell::new(Slab::new(Kind::Ticket)),
            connects: RefCell::new(Slab::new(Kind::Connect)),
            listeners: RefCell::new(Slab::new(Kind::Listener)),
            spools: RefCell::new(Slab::new(Kind::Spool)),
            confirms: RefCell::new(Slab::new(Kind::Confirm)),
            locals: RefCell::default(),
            buffers: Buffers::default(),
            pipes: Pipes::default(),
            ended: RefCell::default(),
            session: Cell::new(0),
        }
    }
}

/// This thread's tables; `None` while the thread ends.
pub(super) fn with<R>(use_them: impl FnOnce(&Tables) -> R) -> Option<R> {
    TABLES.try_with(use_them).ok()
}

/// Something that stands in a table.
pub(super) trait Numbered: Sized {
    /// Its table.
    fn slab(tables: &Tables) -> &RefCell<Slab<Rc<Self>>>;
}

macro_rules! numbered {
    ($($thing:ty => $slab:ident),* $(,)?) => { $(impl Numbered for $thing {
        fn slab(tables: &Tables) -> &RefCell<Slab<Rc<Self>>> {
            &tables.$slab
        }
    })* };
}
numbered!(
    Task => tasks,
    Stream => streams,
    Timer => timers,
    Relay => relays,
    Chain => chains,
    Ticket => tickets,
    Connect => connects,
    Listener => listeners,
    Spool => spools,
    Confirm => confirms,
);

/// Keeps what `make` makes of its own number; `None` when there is no number left.
pub(super) fn insert<T: Numbered>(make: impl FnOnce(u64) -> T) -> Option<Rc<T>> {
    with(|tables| {
        if tables.thread >= slab::THREADS {
            return None;
        }
        let mut slab = T::slab(tables).borrow_mut();
        let number = slab.insert(tables.thread, |number| Rc::new(make(number)))?;
        slab.get(tables.thread, number).ok().map(Rc::clone)
    })
    .flatten()
}

/// What a number names.
///
/// # Errors
///
/// [`Void`] when it names nothing here.
pub(super) fn get<T: Numbered>(number: u64) -> Result<Rc<T>, Void> {
    with(|tables| {
        T::slab(tables)
            .borrow()
            .get(tables.thread, number)
            .map(Rc::clone)
    })
    .unwrap_or(Err(Void::Gone))
}

/// Takes what a number names out of its table.
///
/// # Errors
///
/// [`Void`] when it names nothing here.
pub(super) fn remove<T: Numbered>(number: u64) -> Result<Rc<T>, Void> {
    with(|tables| T::slab(tables).borrow_mut().remove(tables.thread, number))
        .unwrap_or(Err(Void::Gone))
}

/// Everything of one kind on this thread, as it is now.
pub(super) fn all<T: Numbered>() -> Vec<Rc<T>> {
    with(|tables| T::slab(tables).borrow().iter().map(Rc::clone).collect()).unwrap_or_default()
}

/// Has the plugin free what is left of a link, once none of its code is running.
pub(super) fn bury(remains: Remains) {
    let mut remains = Some(remains);
    with(|tables| tables.ended.borrow_mut().extend(remains.take()));
    if let Some(remains) = remains {
        // The thread ends, and none of the plugin's code runs on it any more.
        remains.free();
    }
}

/// Frees what is left of ended links. Only while no code of a plugin is running on this thread.
pub(super) fn free_ended() {
    loop {
        let remains = with(|tables| tables.ended.borrow_mut().pop()).flatten();
        let Some(remains) = remains else { return };
        remains.free();
    }
}

/// Live things, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct HostCounts {
    /// Plugins' tasks.
    pub tasks: usize,
    /// Streams, those of resting links apart.
    pub streams: usize,
    /// Timers.
    pub timers: usize,
    /// Relays.
    pub relays: usize,
    /// Chains of requests.
    pub chains: usize,
    /// Requests.
    pub tickets: usize,
    /// Pooled links that rest between two requests.
    pub resting_links: usize,
    /// Pipes kept for the next relay, of two descriptors each.
    pub spare_pipes: usize,
    /// Further connections under way.
    pub connects: usize,
    /// Listeners for further connections.
    pub listeners: usize,
    /// Spools.
    pub spools: usize,
    /// Files of spools.
    pub spool_files: usize,
    /// Questions how a node stands.
    pub confirms: usize,
    /// TLS streams whose last bytes the host hands over when there is room.
    pub tended: usize,
    /// Clients' sockets that are closed and given up, whose client has not ended yet.
    pub lingering: usize,
}

/// How many of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Live {
    Task,
    Stream,
    Timer,
    Relay,
    Chain,
    Ticket,
    RestingLink,
    SparePipe,
    Lingering,
    Tended,
    Connect,
    Listener,
    Spool,
    SpoolFile,
    Confirm,
}

static LIVE: [AtomicUsize; 15] = [const { AtomicUsize::new(0) }; 15];

/// Counts one live thing for as long as it is kept.
#[derive(Debug)]
pub(super) struct Counted(Live);

impl Counted {
    pub(super) fn new(live: Live) -> Self {
        LIVE[live as usize].fetch_add(1, Ordering::Relaxed);
        Self(live)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE[self.0 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Everything that plugins have of the host now, over all threads. At rest all are 0, resting links
/// and spare pipes apart.
#[must_use]
pub fn counts() -> HostCounts {
    let live = |live: Live| LIVE[live as usize].load(Ordering::Relaxed);
    HostCounts {
        tasks: live(Live::Task),
        streams: live(Live::Stream),
        timers: live(Live::Timer),
        relays: live(Live::Relay),
        chains: live(Live::Chain),
        tickets: live(Live::Ticket),
        resting_links: live(Live::RestingLink),
        spare_pipes: live(Live::SparePipe),
        lingering: live(Live::Lingering),
        tended: live(Live::Tended),
        connects: live(Live::Connect),
        listeners: live(Live::Listener),
        spools: live(Live::Spool),
        spool_files: live(Live::SpoolFile),
        confirms: live(Live::Confirm),
    }
}
