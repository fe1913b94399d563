//! The kit's side of the boundary: a host's functions over the [`State`] of the world that runs on
//! this thread, and a plugin's functions as a host calls them.
//!
//! A host function borrows the state for its own length only and never calls the plugin, wakers
//! excepted; link states are freed by the executor, between polls.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use director_abi as abi;
use director_abi::{
    Action, Bytes, Event, HostApi, IoPoll, LogRecord, MetricLabel, NodeInfo, Owned, PluginApi,
    RelaySpec, StreamInfo, TicketSpec, outcome, resend,
};
use director_recovery::{Outcome, Resend};

use super::recover::{Said, SaidFailure, Todo};
use super::state::State;
use crate::glue::Exported;
use crate::glue::layout::{adopt, give_back, lent, text};
use crate::protocol::{ConfigMistake, Protocol};

// --- the world of this thread ---

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Host functions act on `state` while this lives.
pub(super) struct Entered {
    before: Option<Rc<RefCell<State>>>,
}

pub(super) fn enter(state: &Rc<RefCell<State>>) -> Entered {
    Entered {
        before: CURRENT.replace(Some(Rc::clone(state))),
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// What `act` answers in the world of this thread; `nobody` when none runs.
fn with<R>(nobody: R, act: impl FnOnce(&mut State) -> R) -> R {
    let current = CURRENT.with_borrow(|current| current.clone());
    match current {
        Some(state) => act(&mut state.borrow_mut()),
        None => nobody,
    }
}

// --- wakers ---

static OURS: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(ours_clone),
    wake: Some(ours_wake),
    wake_by_ref: Some(ours_wake_by_ref),
    drop: Some(ours_drop),
};

/// Plugins' wakers that are held now, and wakers of ours that plugins hold.
static HELD: AtomicIsize = AtomicIsize::new(0);

/// How many wakers were cloned across the boundary and not dropped yet, in the whole process.
pub(super) fn held_wakers() -> isize {
    HELD.load(Ordering::Relaxed)
}

unsafe extern "C" fn ours_clone(data: *const c_void) -> abi::Waker {
    HELD.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the data of our wakers is a `Waker`, lent or boxed, alive during the call.
    let waker = unsafe { &*data.cast::<Waker>() };
    abi::Waker {
        data: Box::into_raw(Box::new(waker.clone())).cast(),
        vtable: &OURS,
    }
}

unsafe extern "C" fn ours_wake(data: *const c_void) {
    HELD.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: only owned wakers are woken by value, and those are boxed.
    unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) }.wake();
}

unsafe extern "C" fn ours_wake_by_ref(data: *const c_void) {
    // SAFETY: as in `ours_clone`.
    unsafe { &*data.cast::<Waker>() }.wake_by_ref();
}

unsafe extern "C" fn ours_drop(data: *const c_void) {
    HELD.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: as in `ours_wake`.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) });
}

/// A plugin's waker that the kit owns.
struct Held(abi::Waker);

// SAFETY: the boundary's rule: a waker's functions may be called on any thread, at any time.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    fn functions(&self) -> Option<abi::WakerVtable> {
        // SAFETY: a waker's functions begin with their size, and are there as long as it is.
        unsafe { adopt(self.0.vtable) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
        if let Some(drop) = self.functions().and_then(|functions| functions.drop) {
            // SAFETY: owned, and dropped once.
            unsafe { drop(self.0.data) };
        }
    }
}

static THEIRS: RawWakerVTable =
    RawWakerVTable::new(theirs_clone, theirs_wake, theirs_wake_by_ref, theirs_drop);

unsafe fn theirs_clone(data: *const ()) -> RawWaker {
    // SAFETY: the data is an `Rc`-like count of a `Held`: an `Arc`, alive during the call.
    unsafe { Arc::increment_strong_count(data.cast::<Held>()) };
    RawWaker::new(data, &THEIRS)
}

unsafe fn theirs_wake(data: *const ()) {
    // SAFETY: as above; the count that is woken by value is given back.
    unsafe {
        theirs_wake_by_ref(data);
        theirs_drop(data);
    }
}

unsafe fn theirs_wake_by_ref(data: *const ()) {
    // SAFETY: as above.
    let held = unsafe { &*data.cast::<Held>() };
    if let Some(wake) = held.functions().and_then(|functions| functions.wake_by_ref) {
        // SAFETY: the waker is owned by `held`.
        unsafe { wake(held.0.data) };
    }
}

unsafe fn theirs_drop(data: *const ()) {
    // SAFETY: as above; a waker is dropped once.
    drop(unsafe { Arc::from_raw(data.cast::<Held>()) });
}

/// The waker that a plugin lends, as one to keep; `None` for none.
///
/// # Safety
///
/// `waker` is null or a waker as [`abi::Waker`] says, for the call.
unsafe fn keep(waker: *const abi::Waker) -> Option<Waker> {
    // SAFETY: null, or lent for the call.
    let waker = unsafe { waker.as_ref() }?;
    if ptr::eq(waker.vtable, &raw const OURS) {
        // SAFETY: with our functions goes our data, a `Waker`.
        return Some(unsafe { &*waker.data.cast::<Waker>() }.clone());
    }
    // SAFETY: a waker's functions begin with their size.
    let clone = unsafe { adopt(waker.vtable) }?.clone?;
    // SAFETY: lent for the call, so it may be cloned now.
    let held = Arc::new(Held(unsafe { clone(waker.data) }));
    HELD.fetch_add(1, Ordering::Relaxed);
    // SAFETY: `THEIRS` works on an `Arc<Held>`.
    Some(unsafe { Waker::new(Arc::into_raw(held).cast(), &THEIRS) })
}

/// # Safety
///
/// As for [`keep`].
unsafe fn keep_or_none(waker: *const abi::Waker) -> Waker {
    // SAFETY: handed on.
    unsafe { keep(waker) }.unwrap_or_else(|| Waker::noop().clone())
}

// --- a host's functions ---

/// The kit's functions, the same for every world.
static API: HostApi = HostApi {
    size: size_of::<HostApi>(),
    abi_major: abi::MAJOR,
    abi_minor: abi::MINOR,
    _pad: 0,
    now_ns: Some(now_ns),
    unix_ns: Some(unix_ns),
    random: Some(random),
    log_level: Some(log_level),
    log: Some(log),
    metric: Some(metric),
    metric_record: Some(metric_record),
    stream_poll_fill: Some(stream_poll_fill),
    stream_consume: Some(stream_consume),
    stream_poll_write: Some(stream_poll_write),
    stream_poll_flush: Some(stream_poll_flush),
    stream_poll_close: Some(stream_poll_close),
    stream_give_up: Some(stream_give_up),
    stream_info: Some(stream_info),
    stream_due: Some(stream_due),
    timer: Some(timer),
    timer_poll: Some(timer_poll),
    timer_end: Some(timer_end),
    poll_stopping: Some(poll_stopping),
    relay: Some(relay),
    relay_poll: Some(relay_poll),
    relay_end: Some(relay_end),
    chain: Some(chain),
    chain_end: Some(chain_end),
    ticket: Some(ticket),
    poll_step: Some(poll_step),
    poll_cut: Some(poll_cut),
    ticket_end: Some(ticket_end),
    report: Some(report),
    _reserved: [0; 16],
};

/// Seconds from 1970 to the start of every world's clock: 2026-01-01.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

unsafe extern "C" fn now_ns() -> u64 {
    with(0, |state| nanoseconds(state.now))
}

unsafe extern "C" fn unix_ns() -> u64 {
    with(0, |state| nanoseconds(EPOCH + state.now))
}

unsafe extern "C" fn random(into: *mut u8, len: usize) -> u32 {
    if into.is_null() {
        return abi::FAILED;
    }
    with(abi::FAILED, |state| {
        for at in 0..len {
            // SAFETY: the plugin lends `len` bytes to be written.
            unsafe { into.add(at).write(state.chance.next() as u8) };
        }
        abi::READY
    })
}

unsafe extern "C" fn log_level() -> u32 {
    4
}

unsafe extern "C" fn log(record: *const LogRecord) {
    // SAFETY: the plugin lends the record for the call.
    let Some(record) = (unsafe { record.as_ref() }) else {
        return;
    };
    // SAFETY: as above.
    let (target, file, message) =
        unsafe { (text(record.target), text(record.file), text(record.message)) };
    let line = format!("{target} ({file}:{}): {message}", record.line);
    with((), |state| state.log.push((record.level, line)));
}

unsafe extern "C" fn metric(
    _instance: u64,
    _what: u32,
    name: Bytes,
    labels: *const MetricLabel,
    n_labels: usize,
) -> u64 {
    // SAFETY: the plugin lends name and labels for the call.
    let mut key = unsafe { text(name) };
    for at in 0..n_labels {
        // SAFETY: as above: there are `n_labels` of them.
        let (name, value) = unsafe {
            let label = &*labels.add(at);
            (text(label.name), text(label.value))
        };
        key.push_str(&format!(",{name}={value}"));
    }
    with(0, |state| state.metric(key))
}

unsafe extern "C" fn metric_record(metric: u64, how: u32, value: f64) {
    with((), |state| state.record(metric, how, value));
}

const GONE: IoPoll = IoPoll {
    tag: abi::FAILED,
    code: abi::CODE_GONE,
    n: 0,
};

fn io(poll: Poll<Result<usize, i32>>) -> IoPoll {
    let (tag, code, n) = match poll {
        Poll::Pending => (abi::PENDING, 0, 0),
        Poll::Ready(Ok(n)) => (abi::READY, 0, n),
        Poll::Ready(Err(code)) => (abi::FAILED, code, 0),
    };
    IoPoll { tag, code, n }
}

unsafe extern "C" fn stream_poll_fill(
    stream: u64,
    waker: *const abi::Waker,
    into: *mut Bytes,
) -> IoPoll {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(GONE, |state| {
        io(state.fill(stream, &waker).map_ok(|bytes| {
            if !into.is_null() {
                // SAFETY: not null, and the plugin's to be written.
                unsafe { into.write(Bytes::lend(bytes)) };
            }
            bytes.len()
        }))
    })
}

unsafe extern "C" fn stream_consume(stream: u64, n: usize) {
    with((), |state| state.consume(stream, n));
}

unsafe extern "C" fn stream_poll_write(
    stream: u64,
    waker: *const abi::Waker,
    pieces: *const Bytes,
    n_pieces: usize,
) -> IoPoll {
    // SAFETY: the plugin lends waker and pieces for the call, of which there are `n_pieces`.
    let (waker, pieces) = unsafe {
        let pieces: Vec<&[u8]> = (0..n_pieces).map(|at| lent(*pieces.add(at))).collect();
        (keep_or_none(waker), pieces)
    };
    with(GONE, |state| io(state.send(stream, &pieces, &waker)))
}

unsafe extern "C" fn stream_poll_flush(stream: u64, _waker: *const abi::Waker) -> IoPoll {
    with(GONE, |state| {
        io(Poll::Ready(state.flush(stream).map(|()| 0)))
    })
}

unsafe extern "C" fn stream_poll_close(stream: u64, _waker: *const abi::Waker) -> IoPoll {
    with(GONE, |state| {
        io(Poll::Ready(state.close(stream).map(|()| 0)))
    })
}

unsafe extern "C" fn stream_give_up(stream: u64) {
    with((), |state| state.give_up(stream));
}

unsafe extern "C" fn stream_info(stream: u64, info: *mut StreamInfo) -> u32 {
    with(abi::FAILED, |state| {
        let Some(stream) = state.streams.get(&stream) else {
            return abi::FAILED;
        };
        // SAFETY: the plugin lends a struct of ABI 1.0 to be written, or null.
        if let Some(info) = unsafe { info.as_mut() } {
            info.received = stream.received;
            info.accepted = stream.accepted;
        }
        abi::READY
    })
}

unsafe extern "C" fn stream_due(stream: u64, due: u32) {
    with((), |state| {
        let now = state.now;
        if let Some(stream) = state.streams.get_mut(&stream) {
            stream.due = due != 0;
            stream.waiting = stream.waiting.map(|_| now);
        }
    });
}

unsafe extern "C" fn timer(task: u64, after_ns: u64) -> u64 {
    with(0, |state| state.timer(task, Duration::from_nanos(after_ns)))
}

unsafe extern "C" fn timer_poll(timer: u64, waker: *const abi::Waker) -> u32 {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(abi::FAILED, |state| match state.poll_timer(timer, &waker) {
        Poll::Pending => abi::PENDING,
        Poll::Ready(Ok(())) => abi::READY,
        Poll::Ready(Err(())) => abi::FAILED,
    })
}

unsafe extern "C" fn timer_end(timer: u64) {
    with((), |state| state.end_timer(timer));
}

unsafe extern "C" fn poll_stopping(task: u64, waker: *const abi::Waker) -> u32 {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep(waker) };
    with(abi::FAILED, |state| {
        state.poll_stopping(task, waker.as_ref())
    })
}

unsafe extern "C" fn relay(task: u64, spec: *const RelaySpec) -> u64 {
    // SAFETY: the plugin lends a struct of ABI 1.0, or null.
    match unsafe { spec.as_ref() } {
        None => 0,
        Some(spec) => with(0, |state| state.relay(task, spec.from, spec.to, spec.limit)),
    }
}

unsafe extern "C" fn relay_poll(
    relay: u64,
    waker: *const abi::Waker,
    end: *mut abi::RelayEnd,
) -> u32 {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(abi::FAILED, |state| {
        let Some((ended, moved)) = state.poll_relay(relay, &waker) else {
            return abi::FAILED;
        };
        let (why, code) = ended.unwrap_or((0, 0));
        if !end.is_null() {
            // SAFETY: not null, and the plugin's to be written.
            unsafe { end.write(abi::RelayEnd { moved, why, code }) };
        }
        if ended.is_some() {
            abi::READY
        } else {
            abi::PENDING
        }
    })
}

unsafe extern "C" fn relay_end(relay: u64) -> u64 {
    with(0, |state| state.end_relay(relay))
}

unsafe extern "C" fn chain(task: u64, link_type: u64) -> u64 {
    with(0, |state| state.begin_chain(task, link_type))
}

unsafe extern "C" fn chain_end(chain: u64) {
    with((), |state| state.end_chain(chain));
}

unsafe extern "C" fn ticket(chain: u64, _spec: *const TicketSpec) -> u64 {
    with(0, |state| state.begin_ticket(chain))
}

unsafe extern "C" fn poll_step(
    ticket: u64,
    event: *const Event,
    waker: *const abi::Waker,
    action: *mut Action,
) -> u32 {
    // SAFETY: the plugin lends all three for the call.
    let (waker, event) = unsafe { (keep_or_none(waker), adopt(event)) };
    // SAFETY: as above.
    let said = match event.map(|event| unsafe { read_event(event) }) {
        Some(None) => return abi::FAILED,
        Some(said) => said,
        None => None,
    };
    with(abi::FAILED, |state| {
        match state.step(ticket, said, &waker) {
            Poll::Pending => abi::PENDING,
            Poll::Ready(Err(())) => abi::FAILED,
            Poll::Ready(Ok(todo)) => {
                let written = write_action(state, ticket, &todo);
                // SAFETY: the plugin lends a struct with its size in front to be written.
                unsafe { give_back(action, written) };
                abi::READY
            }
        }
    })
}

/// # Safety
///
/// The event's pointers are as [`Event`] says.
unsafe fn read_event(event: Event) -> Option<Said> {
    Some(match event.tag {
        Event::BEGIN => Said::Begin,
        Event::ESTABLISHED => Said::Established(LinkState {
            pointer: event.link,
            free: event.link_drop,
        }),
        Event::FAILED => Said::Failed(SaidFailure {
            kind: event.kind,
            code: event.code,
            retry_after: (event.retry_after_ms > 0)
                .then(|| Duration::from_millis(event.retry_after_ms.into())),
            fit: event.flags & Event::LINK_FIT != 0,
            by_client: event.flags & Event::CLIENT_SIDE != 0,
            // SAFETY: handed on.
            detail: unsafe { text(event.detail) },
        }),
        Event::REPLIED => Said::Replied,
        Event::CLEANED => Said::Cleaned(match event.answer {
            resend::ANYWHERE => Resend::Anywhere,
            resend::SAME_NODE => Resend::SameNode,
            resend::ASK => Resend::Ask,
            resend::NEVER => Resend::Never,
            _ => return None,
        }),
        Event::ASKED => Said::Asked(match event.answer {
            outcome::HAPPENED => Outcome::Happened,
            outcome::NOT_DONE => Outcome::NotDone,
            outcome::UNKNOWN => Outcome::Unknown,
            _ => return None,
        }),
        Event::TORN => Said::Torn,
        _ => return None,
    })
}

fn write_action(state: &State, ticket: u64, todo: &Todo) -> Action {
    let exception = todo.exception.as_ref();
    let detail = match state.tickets.get(&ticket) {
        Some(open) if exception.is_some() => Bytes::lend(open.detail.as_bytes()),
        Some(_) | None => Bytes::EMPTY,
    };
    let name = match todo.node {
        Some(node) => Bytes::lend(state.nodes[node as usize].name.as_bytes()),
        None => Bytes::EMPTY,
    };
    Action {
        size: size_of::<Action>(),
        tag: todo.tag,
        kind: exception.map_or(abi::kind::NONE, |exception| exception.kind.code()),
        code: exception.map_or(0, |exception| exception.code),
        attempt: todo.attempt,
        retry_after_ms: exception
            .and_then(|exception| exception.retry_after)
            .map_or(0, |wait| wait.as_millis() as u32),
        _pad: 0,
        stream: todo.stream,
        link: todo.link,
        sent: todo.sent,
        answered: todo.answered,
        deadline_ns: todo.deadline.map_or(u64::MAX, nanoseconds),
        node: NodeInfo {
            size: size_of::<NodeInfo>(),
            id: todo.node.unwrap_or(u32::MAX),
            _pad: 0,
            name,
        },
        detail,
        _reserved: [0; 4],
    }
}

unsafe extern "C" fn poll_cut(ticket: u64, waker: *const abi::Waker) -> u32 {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(abi::FAILED, |state| {
        if state.poll_cut(ticket, &waker) {
            abi::READY
        } else {
            abi::PENDING
        }
    })
}

unsafe extern "C" fn ticket_end(ticket: u64) {
    with((), |state| state.end_ticket(ticket));
}

unsafe extern "C" fn report(_task: u64, node: u32, load: *const abi::Load) {
    // SAFETY: the plugin lends a struct with its size in front, or null.
    if let Some(load) = unsafe { adopt(load) } {
        with((), |state| {
            state.loads.insert(node, load.load);
        });
    }
}

// --- a plugin's functions ---

/// A plugin's state on a link, which the kit keeps.
pub(super) struct LinkState {
    pointer: *mut c_void,
    free: Option<unsafe extern "C" fn(link: *mut c_void) -> u32>,
}

impl LinkState {
    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// Frees it in the plugin; whether that went without a panic.
    pub(super) fn release(self) -> bool {
        match self.free {
            // SAFETY: the plugin's own function for its own pointer, called once: `self` is gone.
            Some(free) => unsafe { free(self.pointer) == abi::READY },
            None => true,
        }
    }
}

/// A plugin's functions, and an instance of it.
pub(super) struct Plugin {
    api: &'static PluginApi,
    instance: *mut c_void,
}

/// How a poll of a plugin's task went.
pub(super) enum Polled {
    Pending,
    Ended {
        kind: u32,
        code: u32,
        detail: String,
        load: f64,
    },
    Panicked,
}

impl Plugin {
    /// Makes an instance through the same functions as a loaded library's.
    ///
    /// # Errors
    ///
    /// The mistakes in its options.
    ///
    /// # Panics
    ///
    /// When the plugin refuses the kit as a host, or says its mistakes in no known form.
    pub(super) fn create<P: Protocol>(options: &str) -> Result<(Self, bool), Vec<ConfigMistake>> {
        let exported = Exported::new::<P>("0.0.0");
        let descriptor = exported.descriptor();
        let pooled = descriptor.flags & abi::Descriptor::POOLED_LINKS != 0;
        let mut error = Owned::EMPTY;
        let init = descriptor.init.map(|init| {
            // SAFETY: the functions of the kit are there for ever.
            unsafe { init(&API, &mut error) }
        });
        // SAFETY: `init` returns functions that are there for ever, or null.
        let api = init.and_then(|api| unsafe { api.as_ref() });
        let Some(api) = api else {
            // SAFETY: written by `init`.
            panic!("the plugin refuses the kit: {}", unsafe { take(error) });
        };
        let info = abi::InstanceInfo {
            size: size_of::<abi::InstanceInfo>(),
            instance: 1,
            service: Bytes::lend(b"test"),
            state_dir: Bytes::lend(b"state"),
        };
        let mut mistakes = Owned::EMPTY;
        let instance = api.create.map_or(ptr::null_mut(), |create| {
            // SAFETY: everything lent lives until the call returns.
            unsafe { create(Bytes::lend(options.as_bytes()), &info, &mut mistakes) }
        });
        if instance.is_null() {
            // SAFETY: written by `create`.
            return Err(read_mistakes(&unsafe { take(mistakes) }));
        }
        Ok((Self { api, instance }, pooled))
    }

    /// The rows of the plugin's failures.
    pub(super) fn failures(&self) -> Vec<(u32, u32, u32)> {
        let Some(failures) = self.api.failures else {
            return Vec::new();
        };
        // SAFETY: the table is there for ever, with as many rows as it says.
        unsafe {
            let table = failures();
            (0..table.len)
                .map(|at| *table.rows.add(at))
                .map(|row| (row.first, row.last, row.kind))
                .collect()
        }
    }

    pub(super) fn serve(&self, task: u64, stream: u64, session: u64, peer: &str) -> Foreign {
        let info = abi::ClientInfo {
            size: size_of::<abi::ClientInfo>(),
            stream,
            session,
            peer: Bytes::lend(peer.as_bytes()),
        };
        Foreign::made(self.api.serve.map(|serve| {
            // SAFETY: the instance is alive, and what is lent lives until the call returns.
            unsafe { serve(self.instance, task, &info) }
        }))
    }

    pub(super) fn probe(&self, task: u64, stream: u64, node: u32, name: &str) -> Foreign {
        let info = node_info(node, name);
        Foreign::made(self.api.probe.map(|probe| {
            // SAFETY: as in `serve`.
            unsafe { probe(self.instance, task, stream, &info) }
        }))
    }

    pub(super) fn watch(&self, task: u64, stream: u64, node: u32, name: &str) -> Foreign {
        let info = node_info(node, name);
        Foreign::made(self.api.watch.map(|watch| {
            // SAFETY: as in `serve`.
            unsafe { watch(self.instance, task, stream, &info) }
        }))
    }

    pub(super) fn run(&self, task: u64) -> Foreign {
        Foreign::made(self.api.run.map(|run| {
            // SAFETY: as in `serve`.
            unsafe { run(self.instance, task) }
        }))
    }

    /// Ends the instance; whether that went without a panic.
    pub(super) fn destroy(self) -> bool {
        self.api.destroy.is_some_and(|destroy| {
            // SAFETY: made by `create`, ended once: `self` is gone.
            unsafe { destroy(self.instance) == abi::READY }
        })
    }
}

fn node_info(id: u32, name: &str) -> NodeInfo {
    NodeInfo {
        size: size_of::<NodeInfo>(),
        id,
        _pad: 0,
        name: Bytes::lend(name.as_bytes()),
    }
}

/// Takes text over, and frees it in its maker.
///
/// # Safety
///
/// `owned` is as [`Owned`] says.
unsafe fn take(owned: Owned) -> String {
    if owned.ptr.is_null() {
        return String::new();
    }
    // SAFETY: handed on; freed once, for `owned` is gone.
    unsafe {
        let taken = text(Bytes {
            ptr: owned.ptr,
            len: owned.len,
        });
        if let Some(free) = owned.free {
            free(owned.ptr, owned.len, owned.cap);
        }
        taken
    }
}

fn read_mistakes(json: &str) -> Vec<ConfigMistake> {
    let rows: Vec<serde_json::Value> = match serde_json::from_str(json) {
        Ok(rows) => rows,
        Err(error) => panic!("mistakes in no known form: {error}: {json}"),
    };
    rows.iter()
        .map(|row| {
            let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            ConfigMistake::new(field("path"), field("message"))
        })
        .collect()
}

/// A plugin's future, which the kit polls.
pub(super) struct Foreign {
    data: *mut c_void,
    functions: Option<abi::FutureVtable>,
}

impl Foreign {
    fn made(future: Option<abi::Future>) -> Self {
        let (data, functions) = match future {
            Some(future) => (future.data, future.vtable),
            None => (ptr::null_mut(), ptr::null()),
        };
        Self {
            data,
            // SAFETY: null, or a future's functions, which begin with their size and stay.
            functions: unsafe { adopt(functions) },
        }
    }

    /// Whether there is one at all.
    pub(super) fn is_made(&self) -> bool {
        !self.data.is_null()
    }

    pub(super) fn poll(&mut self, waker: &Waker) -> Polled {
        let poll = self.functions.as_ref().and_then(|functions| functions.poll);
        let Some(poll) = poll.filter(|_| self.is_made()) else {
            return Polled::Panicked;
        };
        let mut ended = ManuallyDrop::new(empty_end());
        let lent = abi::Waker {
            data: ptr::from_ref(waker).cast(),
            vtable: &OURS,
        };
        // SAFETY: polled on the world's thread, never twice at once, and not after its drop.
        match unsafe { poll(self.data, &lent, &mut *ended) } {
            abi::PENDING => Polled::Pending,
            abi::READY => Polled::Ended {
                kind: ended.kind,
                code: ended.code,
                load: ended.load.load,
                // SAFETY: written by the plugin, taken once.
                detail: unsafe { take(ManuallyDrop::into_inner(ended).detail) },
            },
            _ => Polled::Panicked,
        }
    }

    /// Drops the future; whether that went without a panic.
    pub(super) fn end(self) -> bool {
        let end = self.functions.as_ref().and_then(|functions| functions.drop);
        end.is_none_or(|end| {
            // SAFETY: dropped once: `self` is gone.
            unsafe { end(self.data) == abi::READY }
        })
    }
}

fn empty_end() -> abi::Ended {
    abi::Ended {
        size: size_of::<abi::Ended>(),
        kind: abi::kind::NONE,
        code: 0,
        retry_after_ms: 0,
        _pad: 0,
        load: abi::Load {
            size: size_of::<abi::Load>(),
            load: f64::NAN,
            flags: 0,
            _pad: 0,
        },
        detail: Owned::EMPTY,
        _reserved: [0; 4],
    }
}
