//! A host's functions, in memory.

use std::task::Poll;
use std::time::Duration;

use director_abi as abi;
use director_abi::{
    Action, Bytes, Event, HostApi, IoPoll, LogRecord, MetricLabel, NodeInfo, RelaySpec, StreamInfo,
    TicketSpec, outcome, resend,
};
use director_recovery::{Outcome, Resend};

use super::wakers::{keep, keep_or_none};
use super::{LinkState, more, with};
use crate::glue::layout::{adopt, give_back, lent, text};
use crate::testing::recover::{Said, SaidFailure, Todo};
use crate::testing::state::{State, metric_number};

/// The kit's functions, the same for every world.
pub(super) static API: HostApi = HostApi {
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
    connect: Some(more::connect),
    connect_poll: Some(more::connect_poll),
    connect_end: Some(more::connect_end),
    listen: Some(more::listen),
    listener_info: Some(more::listener_info),
    listener_poll_accept: Some(more::listener_poll_accept),
    listener_end: Some(more::listener_end),
    stream_poll_urgent: Some(more::stream_poll_urgent),
    stream_poll_start_tls: Some(more::stream_poll_start_tls),
    stream_error: Some(more::stream_error),
    spool: Some(more::spool),
    spool_poll_append: Some(more::spool_poll_append),
    spool_poll_read: Some(more::spool_poll_read),
    spool_forget: Some(more::spool_forget),
    spool_info: Some(more::spool_info),
    spool_end: Some(more::spool_end),
    confirm: Some(more::confirm),
    confirm_poll: Some(more::confirm_poll),
    confirm_end: Some(more::confirm_end),
    session_key: Some(more::session_key),
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
    metric_number(&key)
}

unsafe extern "C" fn metric_record(metric: u64, how: u32, value: f64) {
    with((), |state| state.record(metric, how, value));
}

pub(super) const GONE: IoPoll = IoPoll {
    tag: abi::FAILED,
    code: abi::CODE_GONE,
    n: 0,
};

pub(super) fn io(poll: Poll<Result<usize, i32>>) -> IoPoll {
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

unsafe extern "C" fn stream_poll_flush(stream: u64, waker: *const abi::Waker) -> IoPoll {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(GONE, |state| io(state.flush(stream, &waker).map_ok(|()| 0)))
}

unsafe extern "C" fn stream_poll_close(stream: u64, waker: *const abi::Waker) -> IoPoll {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(GONE, |state| io(state.close(stream, &waker).map_ok(|()| 0)))
}

unsafe extern "C" fn stream_give_up(stream: u64) {
    with((), |state| state.give_up(stream));
}

unsafe extern "C" fn stream_info(stream: u64, info: *mut StreamInfo) -> u32 {
    with(abi::FAILED, |state| {
        let Some(told) = state.told(stream) else {
            return abi::FAILED;
        };
        // SAFETY: the plugin lends a struct with its size in front to be written, or null.
        unsafe { give_back(info, told) };
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
        Event::ESTABLISHED => Said::Established(LinkState::new(event.link, event.link_drop)),
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
