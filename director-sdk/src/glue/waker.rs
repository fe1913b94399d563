//! Wakers across the boundary, unwrapped where they are ours or the host's own.
//!
//! The host's waker reaches a plugin's future as a [`Waker`] with the functions of [`THEIRS`]; when
//! the future hands it to a host function it goes back as it came. A waker of the plugin's own
//! (`FuturesUnordered`, say) is lent with the functions of [`LENT`], and cloned by the host when it
//! keeps it.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use director_abi as abi;

use super::layout::adopt;

/// The functions of a waker of ours that is lent for a call: the data is a `&Waker`.
static LENT: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(ours_clone),
    wake: Some(ours_wake_by_ref),
    wake_by_ref: Some(ours_wake_by_ref),
    drop: Some(nothing),
};

/// The functions of a waker of ours that the host owns: the data is a boxed `Waker`.
static OWNED: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(ours_clone),
    wake: Some(ours_wake),
    wake_by_ref: Some(ours_wake_by_ref),
    drop: Some(ours_drop),
};

unsafe extern "C" fn ours_clone(data: *const c_void) -> abi::Waker {
    // SAFETY: under both tables `data` is a `Waker` that lives as long as the call.
    let waker = unsafe { &*data.cast::<Waker>() };
    abi::Waker {
        data: Box::into_raw(Box::new(waker.clone())).cast(),
        vtable: &OWNED,
    }
}

unsafe extern "C" fn ours_wake(data: *const c_void) {
    // SAFETY: under `OWNED` the data is a box, and waking by value gives it back.
    let waker = unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) };
    super::panic::contain(|| waker.wake());
}

unsafe extern "C" fn ours_wake_by_ref(data: *const c_void) {
    // SAFETY: as in `ours_clone`.
    let waker = unsafe { &*data.cast::<Waker>() };
    super::panic::contain(|| waker.wake_by_ref());
}

unsafe extern "C" fn ours_drop(data: *const c_void) {
    // SAFETY: as in `ours_wake`.
    let waker = unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) };
    super::panic::contain(|| drop(waker));
}

unsafe extern "C" fn nothing(_data: *const c_void) {}

/// The functions of a host's waker, as a [`Waker`]: the data is an `abi::Waker`, lent for a poll
/// (then nothing of it is dropped) or boxed by [`theirs_clone`].
static THEIRS: RawWakerVTable =
    RawWakerVTable::new(theirs_clone, theirs_wake, theirs_wake_by_ref, theirs_drop);

/// The maker's functions of a waker.
///
/// # Safety
///
/// `waker` is as [`abi::Waker`] says.
unsafe fn functions(waker: &abi::Waker) -> Option<abi::WakerVtable> {
    // SAFETY: a waker's functions begin with their size, and are there as long as the waker.
    unsafe { adopt(waker.vtable) }
}

unsafe fn theirs_clone(data: *const ()) -> RawWaker {
    // SAFETY: the data is an `abi::Waker` that lives as long as the call.
    let waker = unsafe { &*data.cast::<abi::Waker>() };
    // SAFETY: handed on; the clone is called with its own data.
    let cloned = unsafe {
        functions(waker)
            .and_then(|vt| vt.clone)
            .map(|clone| clone(waker.data))
    };
    match cloned {
        Some(cloned) => RawWaker::new(Box::into_raw(Box::new(cloned)).cast_const().cast(), &THEIRS),
        // A waker without functions wakes nobody, and so does its clone.
        None => RawWaker::new(
            Box::into_raw(Box::new(abi::Waker {
                data: ptr::null(),
                vtable: ptr::null(),
            }))
            .cast_const()
            .cast(),
            &THEIRS,
        ),
    }
}

unsafe fn theirs_wake(data: *const ()) {
    // SAFETY: only clones are woken by value, and those are boxed.
    let waker = unsafe { Box::from_raw(data.cast_mut().cast::<abi::Waker>()) };
    // SAFETY: handed on; an owned waker is woken once, and not used again.
    unsafe {
        if let Some(wake) = functions(&waker).and_then(|vt| vt.wake) {
            wake(waker.data);
        }
    }
}

unsafe fn theirs_wake_by_ref(data: *const ()) {
    // SAFETY: as in `theirs_clone`.
    unsafe {
        let waker = &*data.cast::<abi::Waker>();
        if let Some(wake) = functions(waker).and_then(|vt| vt.wake_by_ref) {
            wake(waker.data);
        }
    }
}

unsafe fn theirs_drop(data: *const ()) {
    // SAFETY: only clones are dropped, and those are boxed; an owned waker is dropped once.
    unsafe {
        let waker = Box::from_raw(data.cast_mut().cast::<abi::Waker>());
        if let Some(drop) = functions(&waker).and_then(|vt| vt.drop) {
            drop(waker.data);
        }
    }
}

/// Lends the context's waker to a host function: the host's own goes back as it came.
pub(crate) fn lend<R>(cx: &Context<'_>, call: impl FnOnce(*const abi::Waker) -> R) -> R {
    let waker = cx.waker();
    if ptr::eq(waker.vtable(), &raw const THEIRS) {
        return call(waker.data().cast());
    }
    call(&abi::Waker {
        data: ptr::from_ref(waker).cast(),
        vtable: &LENT,
    })
}

/// Borrows the host's waker for a poll: one of ours that came back is used as it is.
///
/// # Safety
///
/// `waker` is null or a waker as [`abi::Waker`] says, for the call.
pub(crate) unsafe fn borrow<R>(waker: *const abi::Waker, poll: impl FnOnce(&Waker) -> R) -> R {
    if waker.is_null() {
        return poll(Waker::noop());
    }
    // SAFETY: not null, and a waker for the call.
    let theirs = unsafe { &*waker };
    if ptr::eq(theirs.vtable, &raw const LENT) || ptr::eq(theirs.vtable, &raw const OWNED) {
        // SAFETY: under our tables the data is a `Waker`, alive as long as the waker is lent.
        return poll(unsafe { &*theirs.data.cast::<Waker>() });
    }
    // SAFETY: `THEIRS` works on an `abi::Waker`. It is lent, so it must not be dropped here.
    let borrowed = ManuallyDrop::new(unsafe { Waker::new(waker.cast(), &THEIRS) });
    poll(&borrowed)
}
