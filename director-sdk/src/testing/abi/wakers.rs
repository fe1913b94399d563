//! Wakers across the boundary, the host's side of it.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use director_abi as abi;

use crate::glue::layout::adopt;

pub(super) static OURS: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(ours_clone),
    wake: Some(ours_wake),
    wake_by_ref: Some(ours_wake_by_ref),
    drop: Some(ours_drop),
};

thread_local! {
    /// Plugins' wakers that are held now, and wakers of ours that plugins hold.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(by: isize) {
    HELD.set(HELD.get() + by);
}

/// How many wakers were cloned across the boundary and not dropped yet, on this thread.
pub(in crate::testing) fn held_wakers() -> isize {
    HELD.get()
}

unsafe extern "C" fn ours_clone(data: *const c_void) -> abi::Waker {
    count(1);
    // SAFETY: the data of our wakers is a `Waker`, lent or boxed, alive during the call.
    let waker = unsafe { &*data.cast::<Waker>() };
    abi::Waker {
        data: Box::into_raw(Box::new(waker.clone())).cast(),
        vtable: &OURS,
    }
}

unsafe extern "C" fn ours_wake(data: *const c_void) {
    count(-1);
    // SAFETY: only owned wakers are woken by value, and those are boxed.
    unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) }.wake();
}

unsafe extern "C" fn ours_wake_by_ref(data: *const c_void) {
    // SAFETY: as in `ours_clone`.
    unsafe { &*data.cast::<Waker>() }.wake_by_ref();
}

unsafe extern "C" fn ours_drop(data: *const c_void) {
    count(-1);
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
        count(-1);
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
pub(super) unsafe fn keep(waker: *const abi::Waker) -> Option<Waker> {
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
    count(1);
    // SAFETY: `THEIRS` works on an `Arc<Held>`.
    Some(unsafe { Waker::new(Arc::into_raw(held).cast(), &THEIRS) })
}

/// # Safety
///
/// As for [`keep`].
pub(super) unsafe fn keep_or_none(waker: *const abi::Waker) -> Waker {
    // SAFETY: handed on.
    unsafe { keep(waker) }.unwrap_or_else(|| Waker::noop().clone())
}
