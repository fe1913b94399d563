//! The functions of ABI 1.1 and 1.2, in memory.

use std::task::Poll;
use std::time::Duration;

use director_abi as abi;
use director_abi::{
    Bytes, ConnectSpec, IoPoll, ListenSpec, ListenerInfo, NodeStanding, Owned, SpoolInfo,
    SpoolSpec, TlsSpec,
};

use super::functions::{GONE, io};
use super::wakers::keep_or_none;
use super::with;
use crate::glue::layout::{adopt, give_back, lent, own};
use crate::testing::flows::address;

/// An answer that is a number, which is written when there is one.
///
/// # Safety
///
/// `into` is null, or may be written.
unsafe fn number(answer: Poll<Result<u64, i32>>, into: *mut u64) -> IoPoll {
    io(answer.map_ok(|number| {
        if !into.is_null() {
            // SAFETY: not null, and the plugin's to be written.
            unsafe { into.write(number) };
        }
        0
    }))
}

pub(super) unsafe extern "C" fn connect(task: u64, spec: *const ConnectSpec) -> u64 {
    // SAFETY: the plugin lends a struct with its size in front, or null.
    match unsafe { adopt(spec) } {
        None => 0,
        Some(spec) => with(0, |state| state.begin_connect(task, spec.of, spec.port)),
    }
}

pub(super) unsafe extern "C" fn connect_poll(
    connect: u64,
    waker: *const abi::Waker,
    stream: *mut u64,
) -> IoPoll {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(GONE, |state| {
        let answer = state.poll_connect(connect, &waker);
        // SAFETY: the plugin lends the place for the call.
        unsafe { number(answer, stream) }
    })
}

pub(super) unsafe extern "C" fn connect_end(connect: u64) {
    with((), |state| state.end_connect(connect));
}

pub(super) unsafe extern "C" fn listen(
    task: u64,
    spec: *const ListenSpec,
    listener: *mut u64,
) -> IoPoll {
    // SAFETY: the plugin lends a struct with its size in front, or null.
    let Some(spec) = (unsafe { adopt(spec) }) else {
        return GONE;
    };
    let anyone = spec.flags & ListenSpec::ANYONE != 0;
    with(GONE, |state| {
        let answer = state.listen(task, spec.of, (spec.first, spec.last), anyone);
        // SAFETY: the plugin lends the place for the call.
        unsafe { number(Poll::Ready(answer), listener) }
    })
}

pub(super) unsafe extern "C" fn listener_info(listener: u64, info: *mut ListenerInfo) -> u32 {
    with(abi::FAILED, |state| {
        let Some(listener) = state.listeners.get(&listener) else {
            return abi::FAILED;
        };
        let told = ListenerInfo {
            size: size_of::<ListenerInfo>(),
            local: address(listener.local),
        };
        // SAFETY: the plugin lends a struct with its size in front to be written, or null.
        unsafe { give_back(info, told) };
        abi::READY
    })
}

pub(super) unsafe extern "C" fn listener_poll_accept(
    listener: u64,
    waker: *const abi::Waker,
    stream: *mut u64,
) -> IoPoll {
    if waker.is_null() && stream.is_null() {
        with((), |state| state.leave_accept(listener));
        // SAFETY: it is null.
        return unsafe { number(Poll::Pending, stream) };
    }
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(GONE, |state| {
        let answer = state.poll_accept(listener, &waker);
        // SAFETY: the plugin lends the place for the call.
        unsafe { number(answer, stream) }
    })
}

pub(super) unsafe extern "C" fn listener_end(listener: u64) {
    with((), |state| state.end_listener(listener));
}

pub(super) unsafe extern "C" fn stream_poll_urgent(
    stream: u64,
    waker: *const abi::Waker,
    bytes: Bytes,
) -> IoPoll {
    // SAFETY: the plugin lends waker and bytes for the call.
    let (waker, bytes) = unsafe { (keep_or_none(waker), lent(bytes)) };
    with(GONE, |state| io(state.send_urgent(stream, bytes, &waker)))
}

pub(super) unsafe extern "C" fn stream_poll_start_tls(
    stream: u64,
    waker: *const abi::Waker,
    spec: *const TlsSpec,
) -> IoPoll {
    // SAFETY: the plugin lends the waker for the call, and a struct with its size in front, or null.
    let (waker, spec) = unsafe { (keep_or_none(waker), adopt(spec)) };
    let (session_of, flags) = spec.map_or((0, 0), |spec| (spec.session_of, spec.flags));
    let required = flags & TlsSpec::REQUIRE_RESUMED != 0;
    with(GONE, |state| {
        let answer = state.start_tls(stream, session_of, required, &waker);
        io(answer.map_ok(|()| 0))
    })
}

pub(super) unsafe extern "C" fn stream_error(stream: u64, text: *mut Owned) -> u32 {
    with(abi::FAILED, |state| {
        let Some(stream) = state.streams.get(&stream) else {
            return abi::FAILED;
        };
        if !text.is_null() {
            let words = own(stream.trouble.clone().unwrap_or_default());
            // SAFETY: not null, and the plugin's to be written.
            unsafe { text.write(words) };
        }
        abi::READY
    })
}

pub(super) unsafe extern "C" fn spool(task: u64, spec: *const SpoolSpec) -> u64 {
    // SAFETY: the plugin lends a struct with its size in front, or null.
    match unsafe { adopt(spec) } {
        None => 0,
        Some(spec) => with(0, |state| state.begin_spool(task, spec.memory, spec.disk)),
    }
}

pub(super) unsafe extern "C" fn spool_poll_append(
    spool: u64,
    waker: *const abi::Waker,
    bytes: Bytes,
) -> IoPoll {
    // SAFETY: the plugin lends waker and bytes for the call.
    let (waker, bytes) = unsafe { (keep_or_none(waker), lent(bytes)) };
    with(GONE, |state| io(state.append(spool, bytes, &waker)))
}

pub(super) unsafe extern "C" fn spool_poll_read(
    spool: u64,
    waker: *const abi::Waker,
    offset: u64,
    into: *mut u8,
    len: usize,
) -> IoPoll {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(GONE, |state| {
        let found = state.read_spool(spool, offset, len, &waker);
        io(found.map_ok(|bytes| {
            if into.is_null() {
                return 0;
            }
            // SAFETY: not null, and the plugin lends `len` bytes to be written; there are not more.
            unsafe { into.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            bytes.len()
        }))
    })
}

pub(super) unsafe extern "C" fn spool_forget(spool: u64, before: u64) {
    with((), |state| state.forget_in_spool(spool, before));
}

pub(super) unsafe extern "C" fn spool_info(spool: u64, info: *mut SpoolInfo) -> u32 {
    with(abi::FAILED, |state| {
        let Some(told) = state.spools.get(&spool).map(|spool| spool.told()) else {
            return abi::FAILED;
        };
        // SAFETY: the plugin lends a struct with its size in front to be written, or null.
        unsafe { give_back(info, told) };
        abi::READY
    })
}

pub(super) unsafe extern "C" fn spool_end(spool: u64) {
    with((), |state| state.end_spool(spool));
}

pub(super) unsafe extern "C" fn confirm(task: u64, node: u32, settle_ns: u64) -> u64 {
    let settle = Duration::from_nanos(settle_ns);
    with(0, |state| state.begin_confirm(task, node, settle))
}

pub(super) unsafe extern "C" fn confirm_poll(
    confirm: u64,
    waker: *const abi::Waker,
    standing: *mut NodeStanding,
) -> u32 {
    // SAFETY: the plugin lends the waker for the call.
    let waker = unsafe { keep_or_none(waker) };
    with(abi::FAILED, |state| {
        match state.poll_confirm(confirm, &waker) {
            None => abi::FAILED,
            Some(Poll::Pending) => abi::PENDING,
            Some(Poll::Ready((answers, ended))) => {
                let told = NodeStanding {
                    size: size_of::<NodeStanding>(),
                    flags: if answers { NodeStanding::ANSWERS } else { 0 },
                    ended,
                };
                // SAFETY: the plugin lends a struct with its size in front to be written, or null.
                unsafe { give_back(standing, told) };
                abi::READY
            }
        }
    })
}

pub(super) unsafe extern "C" fn confirm_end(confirm: u64) {
    with((), |state| state.end_confirm(confirm));
}

pub(super) unsafe extern "C" fn session_key(task: u64, key: Bytes) -> u32 {
    // SAFETY: the plugin lends the bytes for the call.
    let key = unsafe { lent(key) };
    with(abi::FAILED, |state| match state.tasks.get_mut(&task) {
        Some(task) => {
            task.key = Some(key.to_vec());
            abi::READY
        }
        None => abi::FAILED,
    })
}
