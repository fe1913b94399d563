//! Futures as tasks of the host's: polled and dropped through C functions, panics caught inside.

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use director_abi as abi;
use director_abi::{Ended, FutureVtable};

use super::host::load_out;
use super::layout::{give_back, own};
use super::panic::caught;
use super::waker::borrow;
use crate::failure::Failure;
use crate::protocol::Load;

/// How a task ended.
pub(crate) struct End {
    pub(crate) failure: Option<Failure>,
    pub(crate) load: Load,
}

impl End {
    pub(crate) const WELL: Self = Self {
        failure: None,
        load: Load::UNKNOWN,
    };

    pub(crate) fn of(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            load: Load::UNKNOWN,
        }
    }

    fn write(self) -> Ended {
        let mut ended = Ended {
            size: size_of::<Ended>(),
            kind: abi::kind::NONE,
            code: 0,
            retry_after_ms: 0,
            _pad: 0,
            load: load_out(self.load),
            detail: abi::Owned::EMPTY,
            _reserved: [0; 4],
        };
        if let Some(failure) = self.failure {
            ended.kind = failure.kind_code();
            ended.code = failure.protocol_code();
            ended.retry_after_ms = failure.retry_after_ms();
            ended.detail = own(failure.detail().to_owned());
        }
        ended
    }
}

type Work = Pin<Box<dyn Future<Output = End> + Send>>;

struct Task {
    instance: u64,
    /// `None` once it has ended or panicked: never polled again.
    work: Option<Work>,
}

static FUNCTIONS: FutureVtable = FutureVtable {
    size: size_of::<FutureVtable>(),
    poll: Some(poll),
    drop: Some(end),
};

/// No task: it could not be made.
pub(crate) const NO_TASK: abi::Future = abi::Future {
    data: std::ptr::null_mut(),
    vtable: &FUNCTIONS,
};

/// Makes a task of `work`.
pub(crate) fn export(
    instance: u64,
    work: impl Future<Output = End> + Send + 'static,
) -> abi::Future {
    let task = Task {
        instance,
        work: Some(Box::pin(work)),
    };
    abi::Future {
        data: Box::into_raw(Box::new(task)).cast(),
        vtable: &FUNCTIONS,
    }
}

unsafe extern "C" fn poll(data: *mut c_void, waker: *const abi::Waker, ended: *mut Ended) -> u32 {
    // SAFETY: the host hands in what `export` made, polls it on one thread, never twice at once, and
    // not after its drop.
    let task = unsafe { &mut *data.cast::<Task>() };
    let Some(work) = &mut task.work else {
        return abi::PANICKED;
    };
    // SAFETY: the host lends the waker for the call.
    let polled = caught(task.instance, || unsafe {
        borrow(waker, |waker| {
            work.as_mut().poll(&mut Context::from_waker(waker))
        })
    });
    match polled {
        Some(Poll::Pending) => abi::PENDING,
        Some(Poll::Ready(end)) => {
            let dropped = caught(task.instance, || task.work = None);
            // SAFETY: the host lends a struct for the end, with its size in front.
            unsafe { give_back(ended, end.write()) };
            dropped.map_or(abi::PANICKED, |()| abi::READY)
        }
        // The work is dropped by `end`; it is only never polled again.
        None => abi::PANICKED,
    }
}

unsafe extern "C" fn end(data: *mut c_void) -> u32 {
    if data.is_null() {
        return abi::READY;
    }
    // SAFETY: the host drops what `export` made, once.
    let task = unsafe { Box::from_raw(data.cast::<Task>()) };
    match caught(task.instance, || drop(task)) {
        Some(()) => abi::READY,
        None => abi::PANICKED,
    }
}
