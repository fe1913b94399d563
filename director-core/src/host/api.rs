//! The functions that a plugin may call.
//!
//! Each catches its own panics, looks its numbers up on its own thread, and reads what it is handed
//! by copy. What is wrong is answered with a code, never acted on.
#![allow(unsafe_code)]

use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use director_abi as abi;
use director_abi::{CODE_GONE, CODE_THREAD, FAILED, PANICKED, PENDING, READY};

use super::address::crossing;
use super::bridge;
use super::clock;
use super::layout::{adopt, give_back, lent};
use super::node_task::node_load;
use super::relay::Relay;
use super::slab::Void;
use super::stream::{Io, Stream};
use super::tables;
use super::task::Task;
use super::timer::Timer;
use super::waker::Lent;
use super::{api_choosing, api_further, api_requests, api_tls};
use crate::cluster::Seen;

/// What every plugin is handed.
pub(super) static HOST: abi::HostApi = abi::HostApi {
    size: size_of::<abi::HostApi>(),
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
    chain: Some(api_requests::chain),
    chain_end: Some(api_requests::chain_end),
    ticket: Some(api_requests::ticket),
    poll_step: Some(api_requests::poll_step),
    poll_cut: Some(api_requests::poll_cut),
    ticket_end: Some(api_requests::ticket_end),
    report: Some(report),
    connect: Some(api_further::connect),
    connect_poll: Some(api_further::connect_poll),
    connect_end: Some(api_further::connect_end),
    listen: Some(api_further::listen),
    listener_info: Some(api_further::listener_info),
    listener_poll_accept: Some(api_further::listener_poll_accept),
    listener_end: Some(api_further::listener_end),
    stream_poll_urgent: Some(api_further::stream_poll_urgent),
    stream_poll_start_tls: Some(api_tls::stream_poll_start_tls),
    stream_error: Some(api_further::stream_error),
    spool: Some(api_further::spool),
    spool_poll_append: Some(api_further::spool_poll_append),
    spool_poll_read: Some(api_further::spool_poll_read),
    spool_forget: Some(api_further::spool_forget),
    spool_info: Some(api_further::spool_info),
    spool_end: Some(api_further::spool_end),
    confirm: Some(api_choosing::confirm),
    confirm_poll: Some(api_choosing::confirm_poll),
    confirm_end: Some(api_choosing::confirm_end),
    session_key: Some(api_choosing::session_key),
};

/// Pieces of one write that are looked at.
const PIECES: usize = 32;

/// Runs a function of the host's; a panic in it is logged and answered with `otherwise`.
pub(super) fn guard<R>(name: &str, otherwise: R, run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(
            function = name,
            what,
            "the plugin host panicked: this is a fault of the director"
        );
        otherwise
    })
}

pub(super) const fn code_of(void: Void) -> i32 {
    match void {
        Void::Gone => CODE_GONE,
        Void::Thread => CODE_THREAD,
    }
}

pub(super) const fn io(tag: u32, code: i32, n: usize) -> abi::IoPoll {
    abi::IoPoll { tag, code, n }
}

pub(super) fn io_poll(polled: Io) -> abi::IoPoll {
    match polled {
        Poll::Pending => io(PENDING, 0, 0),
        Poll::Ready(Ok(n)) => io(READY, 0, n),
        Poll::Ready(Err(code)) => io(FAILED, code, 0),
    }
}

/// Polls the stream of a number.
pub(super) fn on_stream(name: &str, stream: u64, poll: impl FnOnce(&Stream) -> Io) -> abi::IoPoll {
    guard(name, io(PANICKED, 0, 0), || {
        match tables::get::<Stream>(stream) {
            Ok(stream) => io_poll(poll(&stream)),
            Err(void) => io(FAILED, code_of(void), 0),
        }
    })
}

unsafe extern "C" fn now_ns() -> u64 {
    guard("now_ns", 0, clock::now)
}

unsafe extern "C" fn unix_ns() -> u64 {
    guard("unix_ns", 0, || {
        SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, clock::nanoseconds)
    })
}

unsafe extern "C" fn random(into: *mut u8, len: usize) -> u32 {
    guard("random", PANICKED, || {
        if len == 0 {
            return READY;
        }
        if into.is_null() || len > isize::MAX as usize {
            return FAILED;
        }
        // SAFETY: not null, and `len` bytes to be written by the contract; written before they are
        // read, as getrandom promises.
        let into = unsafe { std::slice::from_raw_parts_mut(into.cast(), len) };
        match getrandom::fill_uninit(into) {
            Ok(_) => READY,
            Err(_) => FAILED,
        }
    })
}

unsafe extern "C" fn log_level() -> u32 {
    guard("log_level", 0, bridge::log_level)
}

unsafe extern "C" fn log(record: *const abi::LogRecord) {
    // SAFETY: handed on.
    guard("log", (), || unsafe { bridge::log(record) });
}

unsafe extern "C" fn metric(
    instance: u64,
    what: u32,
    name: abi::Bytes,
    labels: *const abi::MetricLabel,
    n_labels: usize,
) -> u64 {
    guard("metric", 0, || {
        // SAFETY: handed on.
        unsafe { bridge::metric(instance, what, name, labels, n_labels) }
    })
}

unsafe extern "C" fn metric_record(metric: u64, how: u32, value: f64) {
    guard("metric_record", (), || bridge::record(metric, how, value));
}

unsafe extern "C" fn stream_poll_fill(
    stream: u64,
    waker: *const abi::Waker,
    bytes: *mut abi::Bytes,
) -> abi::IoPoll {
    on_stream("stream_poll_fill", stream, |stream| {
        // SAFETY: lent for the call.
        let polled = stream.poll_fill(unsafe { Lent::read(waker) });
        if polled.is_ready() && !bytes.is_null() {
            // The buffer is the stream's until the plugin's next call with it.
            let unread = stream.with_unread(abi::Bytes::lend);
            let unread = if unread.len == 0 {
                abi::Bytes::EMPTY
            } else {
                unread
            };
            // SAFETY: not null, and to be written by the contract.
            unsafe { bytes.write(unread) };
        }
        polled
    })
}

unsafe extern "C" fn stream_consume(stream: u64, n: usize) {
    guard("stream_consume", (), || {
        if let Ok(stream) = tables::get::<Stream>(stream) {
            stream.consume(n);
        }
    });
}

unsafe extern "C" fn stream_poll_write(
    stream: u64,
    waker: *const abi::Waker,
    pieces: *const abi::Bytes,
    n_pieces: usize,
) -> abi::IoPoll {
    on_stream("stream_poll_write", stream, |stream| {
        let pieces = if pieces.is_null() || n_pieces == 0 {
            &[]
        } else {
            // SAFETY: not null, and `n_pieces` of them by the contract, of which few are looked at.
            unsafe { std::slice::from_raw_parts(pieces, n_pieces.min(4096)) }
        };
        let mut slices = [IoSlice::new(&[]); PIECES];
        let mut used = 0;
        // SAFETY: each piece is lent for the call.
        let full = pieces.iter().map(|piece| unsafe { lent(*piece) });
        for (slot, piece) in slices
            .iter_mut()
            .zip(full.filter(|piece| !piece.is_empty()))
        {
            *slot = IoSlice::new(piece);
            used += 1;
        }
        // SAFETY: lent for the call.
        stream.poll_write(unsafe { Lent::read(waker) }, &slices[..used])
    })
}

unsafe extern "C" fn stream_poll_flush(stream: u64, waker: *const abi::Waker) -> abi::IoPoll {
    on_stream("stream_poll_flush", stream, |stream| {
        // SAFETY: lent for the call.
        stream.poll_flush(unsafe { Lent::read(waker) })
    })
}

unsafe extern "C" fn stream_poll_close(stream: u64, waker: *const abi::Waker) -> abi::IoPoll {
    on_stream("stream_poll_close", stream, |stream| {
        // SAFETY: lent for the call.
        stream.poll_close(unsafe { Lent::read(waker) })
    })
}

unsafe extern "C" fn stream_give_up(stream: u64) {
    // A void number: it was ended before, by the host or the plugin.
    guard("stream_give_up", (), || {
        let _void = Stream::give_up(stream);
    });
}

unsafe extern "C" fn stream_info(stream: u64, info: *mut abi::StreamInfo) -> u32 {
    guard("stream_info", PANICKED, || {
        let Ok(stream) = tables::get::<Stream>(stream) else {
            return FAILED;
        };
        let tls = stream.told_of_tls();
        let told = abi::StreamInfo {
            size: size_of::<abi::StreamInfo>(),
            received: stream.received(),
            accepted: stream.accepted(),
            local: crossing(stream.ends.local),
            peer: crossing(stream.ends.peer),
            tls_flags: tls.flags,
            tls_version: tls.version,
        };
        // SAFETY: null, or to be written by the contract.
        if unsafe { give_back(info, &told) } {
            READY
        } else {
            FAILED
        }
    })
}

unsafe extern "C" fn stream_due(stream: u64, due: u32) {
    guard("stream_due", (), || {
        if let Ok(stream) = tables::get::<Stream>(stream) {
            stream.set_due(due != 0);
        }
    });
}

unsafe extern "C" fn timer(task: u64, after_ns: u64) -> u64 {
    guard("timer", 0, || {
        tables::get::<Task>(task)
            .ok()
            .and_then(|task| Timer::begin(&task, Duration::from_nanos(after_ns)))
            .unwrap_or(0)
    })
}

unsafe extern "C" fn timer_poll(timer: u64, waker: *const abi::Waker) -> u32 {
    guard("timer_poll", PANICKED, || {
        let Ok(timer) = tables::get::<Timer>(timer) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        match timer.poll(unsafe { Lent::read(waker) }) {
            Poll::Pending => PENDING,
            Poll::Ready(()) => READY,
        }
    })
}

unsafe extern "C" fn timer_end(timer: u64) {
    // A void number: it was ended before.
    guard("timer_end", (), || {
        let _void = Timer::end(timer);
    });
}

unsafe extern "C" fn poll_stopping(task: u64, waker: *const abi::Waker) -> u32 {
    guard("poll_stopping", PANICKED, || {
        let Ok(task) = tables::get::<Task>(task) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        match task.poll_stopping(unsafe { Lent::read(waker) }) {
            Poll::Pending => PENDING,
            Poll::Ready(()) => READY,
        }
    })
}

unsafe extern "C" fn relay(task: u64, spec: *const abi::RelaySpec) -> u64 {
    guard("relay", 0, || {
        // SAFETY: lent for the call.
        let Some(spec) = (unsafe { adopt(spec) }) else {
            return 0;
        };
        let (Ok(task), Ok(from), Ok(to)) = (
            tables::get::<Task>(task),
            tables::get::<Stream>(spec.from),
            tables::get::<Stream>(spec.to),
        ) else {
            return 0;
        };
        Relay::begin(&task, from, to, spec.limit).unwrap_or(0)
    })
}

unsafe extern "C" fn relay_poll(
    relay: u64,
    waker: *const abi::Waker,
    end: *mut abi::RelayEnd,
) -> u32 {
    guard("relay_poll", PANICKED, || {
        let Ok(relay) = tables::get::<Relay>(relay) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        let polled = relay.poll(unsafe { Lent::read(waker) });
        let (status, told) = match polled {
            Poll::Ready(told) => (READY, told),
            Poll::Pending => {
                let moved = relay.moved();
                let (why, code) = (0, 0);
                (PENDING, abi::RelayEnd { moved, why, code })
            }
        };
        if !end.is_null() {
            // SAFETY: not null, and to be written by the contract.
            unsafe { end.write(told) };
        }
        status
    })
}

unsafe extern "C" fn relay_end(relay: u64) -> u64 {
    guard("relay_end", 0, || Relay::end(relay).unwrap_or(0))
}

unsafe extern "C" fn report(task: u64, node: u32, load: *const abi::Load) {
    guard("report", (), || {
        // SAFETY: lent for the call.
        let load = unsafe { adopt(load) };
        if let (Ok(task), Some(load)) = (tables::get::<Task>(task), load) {
            let cluster = &task.inner.cluster;
            cluster.observe(node, Seen::Load(node_load(&load)));
        }
    });
}
