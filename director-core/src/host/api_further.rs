//! The functions about further connections, listeners and spools that a plugin may call.
#![allow(unsafe_code)]

use std::task::Poll;

use director_abi as abi;
use director_abi::{FAILED, PANICKED, PENDING, READY};

use super::address::crossing;
use super::api::{code_of, guard, io, io_poll};
use super::further::{Connect, Made};
use super::layout::{adopt, give_back, lent};
use super::listener::{Listener, Who};
use super::spool::{Spool, SpoolBounds};
use super::stream::{Io, Stream};
use super::tables;
use super::task::Task;
use super::waker::Lent;

/// Answers with a number that was made, which is written to `into`.
///
/// # Safety
///
/// `into` is null, or may be written.
unsafe fn made(made: Made, into: *mut u64, undo: impl FnOnce(u64)) -> abi::IoPoll {
    match made {
        Poll::Pending => io(PENDING, 0, 0),
        Poll::Ready(Err(code)) => io(FAILED, code, 0),
        Poll::Ready(Ok(number)) => {
            if into.is_null() {
                undo(number);
                return io(FAILED, abi::CODE_GONE, 0);
            }
            // SAFETY: not null, and to be written by the contract.
            unsafe { into.write(number) };
            io(READY, 0, 0)
        }
    }
}

fn give_up(stream: u64) {
    // Void: it was ended before.
    let _void = Stream::give_up(stream);
}

pub(super) unsafe extern "C" fn connect(task: u64, spec: *const abi::ConnectSpec) -> u64 {
    guard("connect", 0, || {
        // SAFETY: lent for the call.
        let Some(spec) = (unsafe { adopt(spec) }) else {
            return 0;
        };
        let (Ok(task), Ok(of)) = (tables::get::<Task>(task), tables::get::<Stream>(spec.of)) else {
            return 0;
        };
        Connect::begin(&of, spec.port, &task.inner.timeouts).unwrap_or(0)
    })
}

pub(super) unsafe extern "C" fn connect_poll(
    connect: u64,
    waker: *const abi::Waker,
    stream: *mut u64,
) -> abi::IoPoll {
    guard("connect_poll", io(PANICKED, 0, 0), || {
        match tables::get::<Connect>(connect) {
            Err(void) => io(FAILED, code_of(void), 0),
            Ok(connect) => {
                // SAFETY: lent for the call.
                let polled = connect.poll(unsafe { Lent::read(waker) });
                // SAFETY: null, or to be written by the contract.
                unsafe { made(polled, stream, give_up) }
            }
        }
    })
}

pub(super) unsafe extern "C" fn connect_end(connect: u64) {
    // A void number: it is over.
    guard("connect_end", (), || {
        let _void = Connect::end(connect);
    });
}

pub(super) unsafe extern "C" fn listen(
    task: u64,
    spec: *const abi::ListenSpec,
    listener: *mut u64,
) -> abi::IoPoll {
    guard("listen", io(PANICKED, 0, 0), || {
        // SAFETY: lent for the call.
        let Some(spec) = (unsafe { adopt(spec) }) else {
            return io(FAILED, abi::CODE_GONE, 0);
        };
        let task = tables::get::<Task>(task);
        let of = tables::get::<Stream>(spec.of);
        let (task, of) = match (task, of) {
            (Ok(task), Ok(of)) => (task, of),
            (Err(void), _) | (_, Err(void)) => return io(FAILED, code_of(void), 0),
        };
        let who = if spec.flags & abi::ListenSpec::ANYONE == 0 {
            Who::Peer
        } else {
            Who::Anyone
        };
        let begun = Listener::begin(&task, &of, spec.first..=spec.last, who);
        // SAFETY: null, or to be written by the contract.
        unsafe {
            made(Poll::Ready(begun), listener, |number| {
                let _void = Listener::end(number);
            })
        }
    })
}

pub(super) unsafe extern "C" fn listener_info(listener: u64, info: *mut abi::ListenerInfo) -> u32 {
    guard("listener_info", PANICKED, || {
        let Ok(listener) = tables::get::<Listener>(listener) else {
            return FAILED;
        };
        let told = abi::ListenerInfo {
            size: size_of::<abi::ListenerInfo>(),
            local: crossing(Some(listener.local())),
        };
        // SAFETY: null, or to be written by the contract.
        if unsafe { give_back(info, &told) } {
            READY
        } else {
            FAILED
        }
    })
}

pub(super) unsafe extern "C" fn listener_poll_accept(
    listener: u64,
    waker: *const abi::Waker,
    stream: *mut u64,
) -> abi::IoPoll {
    guard("listener_poll_accept", io(PANICKED, 0, 0), || {
        match tables::get::<Listener>(listener) {
            Err(void) => io(FAILED, code_of(void), 0),
            Ok(listener) if waker.is_null() && stream.is_null() => {
                listener.leave();
                io(PENDING, 0, 0)
            }
            Ok(listener) => {
                // SAFETY: lent for the call.
                let polled = listener.poll_accept(unsafe { Lent::read(waker) });
                // SAFETY: null, or to be written by the contract.
                unsafe { made(polled, stream, give_up) }
            }
        }
    })
}

pub(super) unsafe extern "C" fn listener_end(listener: u64) {
    // A void number: it is over.
    guard("listener_end", (), || {
        let _void = Listener::end(listener);
    });
}

pub(super) unsafe extern "C" fn stream_poll_urgent(
    stream: u64,
    waker: *const abi::Waker,
    bytes: abi::Bytes,
) -> abi::IoPoll {
    super::api::on_stream("stream_poll_urgent", stream, |stream| {
        // SAFETY: both are lent for the call.
        unsafe { stream.poll_urgent(Lent::read(waker), lent(bytes)) }
    })
}

pub(super) unsafe extern "C" fn stream_error(stream: u64, text: *mut abi::Owned) -> u32 {
    guard("stream_error", PANICKED, || {
        let Ok(stream) = tables::get::<Stream>(stream) else {
            return FAILED;
        };
        if text.is_null() {
            return FAILED;
        }
        let trouble = stream.trouble().unwrap_or_default();
        // SAFETY: not null, and to be written by the contract.
        unsafe { text.write(hand_over(trouble)) };
        READY
    })
}

/// Hands a text over, to be freed by [`free_text`].
fn hand_over(text: String) -> abi::Owned {
    if text.is_empty() {
        return abi::Owned::EMPTY;
    }
    let bytes = Box::leak(text.into_bytes().into_boxed_slice());
    abi::Owned {
        ptr: bytes.as_mut_ptr(),
        len: bytes.len(),
        cap: bytes.len(),
        free: Some(free_text),
    }
}

unsafe extern "C" fn free_text(ptr: *mut u8, _len: usize, cap: usize) {
    guard("free_text", (), || {
        let bytes = std::ptr::slice_from_raw_parts_mut(ptr, cap);
        // SAFETY: of `hand_over`, freed once by the contract.
        drop(unsafe { Box::from_raw(bytes) });
    });
}

pub(super) unsafe extern "C" fn spool(task: u64, spec: *const abi::SpoolSpec) -> u64 {
    guard("spool", 0, || {
        // SAFETY: lent for the call.
        let Some(abi::SpoolSpec { memory, disk, .. }) = (unsafe { adopt(spec) }) else {
            return 0;
        };
        tables::get::<Task>(task)
            .ok()
            .and_then(|task| Spool::begin(&task, SpoolBounds { memory, disk }))
            .unwrap_or(0)
    })
}

fn on_spool(name: &str, spool: u64, poll: impl FnOnce(&Spool) -> Io) -> abi::IoPoll {
    guard(name, io(PANICKED, 0, 0), || {
        match tables::get::<Spool>(spool) {
            Ok(spool) => io_poll(poll(&spool)),
            Err(void) => io(FAILED, code_of(void), 0),
        }
    })
}

pub(super) unsafe extern "C" fn spool_poll_append(
    spool: u64,
    waker: *const abi::Waker,
    bytes: abi::Bytes,
) -> abi::IoPoll {
    on_spool("spool_poll_append", spool, |spool| {
        // SAFETY: both are lent for the call.
        unsafe { spool.poll_append(Lent::read(waker), lent(bytes)) }
    })
}

pub(super) unsafe extern "C" fn spool_poll_read(
    spool: u64,
    waker: *const abi::Waker,
    offset: u64,
    into: *mut u8,
    len: usize,
) -> abi::IoPoll {
    on_spool("spool_poll_read", spool, |spool| {
        let most = if into.is_null() { 0 } else { len };
        // SAFETY: lent for the call.
        let waker = unsafe { Lent::read(waker) };
        spool.poll_read(waker, offset, most, |bytes| {
            // SAFETY: not null, or nothing is copied; `len` bytes to be written by the contract, of
            // which these are no more; the spool's memory is not the plugin's.
            unsafe { into.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        })
    })
}

pub(super) unsafe extern "C" fn spool_forget(spool: u64, before: u64) {
    guard("spool_forget", (), || {
        if let Ok(spool) = tables::get::<Spool>(spool) {
            spool.forget(before);
        }
    });
}

pub(super) unsafe extern "C" fn spool_info(spool: u64, info: *mut abi::SpoolInfo) -> u32 {
    guard("spool_info", PANICKED, || {
        let told = tables::get::<Spool>(spool)
            .ok()
            .and_then(|spool| spool.info());
        let Some(told) = told else { return FAILED };
        // SAFETY: null, or to be written by the contract.
        if unsafe { give_back(info, &told) } {
            READY
        } else {
            FAILED
        }
    })
}

pub(super) unsafe extern "C" fn spool_end(spool: u64) {
    // A void number: it is over.
    guard("spool_end", (), || {
        let _void = Spool::end(spool);
    });
}
