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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// A host's waker, as another compiler might have made it: its data is a count of a `Seen`.
    #[derive(Default)]
    struct Seen {
        woken: AtomicUsize,
        alive: AtomicUsize,
    }

    static HOSTS: abi::WakerVtable = abi::WakerVtable {
        size: size_of::<abi::WakerVtable>(),
        clone: Some(host_clone),
        wake: Some(host_wake),
        wake_by_ref: Some(host_wake_by_ref),
        drop: Some(host_drop),
    };

    unsafe fn seen<'a>(data: *const c_void) -> &'a Seen {
        // SAFETY: every waker of these tests is lent a `Seen` that outlives it.
        unsafe { &*data.cast::<Seen>() }
    }

    unsafe extern "C" fn host_clone(data: *const c_void) -> abi::Waker {
        // SAFETY: handed on.
        unsafe { seen(data) }.alive.fetch_add(1, Ordering::Relaxed);
        abi::Waker {
            data,
            vtable: &HOSTS,
        }
    }

    unsafe extern "C" fn host_wake(data: *const c_void) {
        // SAFETY: handed on.
        unsafe {
            host_wake_by_ref(data);
            host_drop(data);
        }
    }

    unsafe extern "C" fn host_wake_by_ref(data: *const c_void) {
        // SAFETY: handed on.
        unsafe { seen(data) }.woken.fetch_add(1, Ordering::Relaxed);
    }

    unsafe extern "C" fn host_drop(data: *const c_void) {
        // SAFETY: handed on.
        unsafe { seen(data) }.alive.fetch_sub(1, Ordering::Relaxed);
    }

    #[test]
    fn the_hosts_waker_goes_back_as_it_came_and_its_clones_balance() {
        let count = Seen::default();
        let hosts = abi::Waker {
            data: ptr::from_ref(&count).cast(),
            vtable: &HOSTS,
        };
        // SAFETY: `hosts` lives until the call returns.
        let kept = unsafe {
            borrow(&hosts, |waker| {
                let back = lend(&Context::from_waker(waker), |lent| lent);
                assert!(ptr::eq(back, &hosts), "no wrapper around the host's own");
                let kept = [waker.clone(), waker.clone(), waker.clone()];
                // A clone hands the host its own functions too.
                lend(&Context::from_waker(&kept[0]), |lent| {
                    assert!(ptr::eq((*lent).vtable, &raw const HOSTS));
                });
                kept
            })
        };
        assert_eq!(count.alive.load(Ordering::Relaxed), 3);
        let [first, second, third] = kept;
        first.wake();
        second.wake_by_ref();
        drop(second.clone());
        drop((second, third));
        assert_eq!(count.woken.load(Ordering::Relaxed), 2);
        assert_eq!(count.alive.load(Ordering::Relaxed), 0);
    }

    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waker_of_ours_is_kept_by_the_host_and_comes_back_as_it_is() {
        let bell = Arc::new(Bell(AtomicUsize::new(0)));
        let ours = Waker::from(Arc::clone(&bell));
        let kept = lend(&Context::from_waker(&ours), |lent| {
            // SAFETY: what a host does with a waker that it is lent, and then keeps.
            unsafe {
                let functions = functions(&*lent).unwrap();
                borrow(lent, |back| assert!(back.will_wake(&ours)));
                functions.wake_by_ref.unwrap()((*lent).data);
                functions.drop.unwrap()((*lent).data); // lent: nothing to drop
                [(); 2].map(|()| functions.clone.unwrap()((*lent).data))
            }
        });
        assert_eq!(Arc::strong_count(&bell), 4);
        let [first, second] = kept;
        // SAFETY: owned wakers, each used once more: one is borrowed and woken, one dropped.
        unsafe {
            borrow(&first, |back| assert!(back.will_wake(&ours)));
            functions(&first).unwrap().wake.unwrap()(first.data);
            functions(&second).unwrap().drop.unwrap()(second.data);
        }
        assert_eq!(bell.0.load(Ordering::Relaxed), 2);
        drop(ours);
        assert_eq!(Arc::strong_count(&bell), 1);
    }

    #[test]
    fn a_waker_without_functions_wakes_nobody() {
        let nothing = abi::Waker {
            data: ptr::null(),
            vtable: ptr::null(),
        };
        for waker in [ptr::null(), &raw const nothing] {
            // SAFETY: null, or a waker that says that it has no functions.
            let kept = unsafe { borrow(waker, Waker::clone) };
            kept.wake_by_ref();
            kept.wake();
        }
    }
}
