//! Wakers across the boundary, unwrapped where they are ours.
//!
//! A plugin's task is polled with the host's waker, which a plugin built with the SDK hands back as
//! it came: known by the address of its functions, it is used without a wrapper or an allocation.
//! Any other waker is the plugin's: cloned once, and compared by what its clone says it is. It is
//! never woken while a table of the host is borrowed. It may be cloned or dropped while one stream
//! or request is: should it come back into the host from there, that one thing answers as if it
//! were gone.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::{Duration, Instant};

use director_abi as abi;

use super::layout::adopt;

/// The functions of every waker that the host hands out.
static OURS: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(ours_clone),
    wake: Some(ours_wake),
    wake_by_ref: Some(ours_wake_by_ref),
    drop: Some(ours_drop),
};

/// The host's waker as a plugin sees it, for one call.
pub(crate) fn lend(waker: &Waker) -> abi::Waker {
    abi::Waker {
        data: ptr::from_ref(waker).cast(),
        vtable: &OURS,
    }
}

unsafe extern "C" fn ours_clone(data: *const c_void) -> abi::Waker {
    // SAFETY: `data` is that of a waker that the host made: a lent or a boxed `Waker`.
    let waker = unsafe { &*data.cast::<Waker>() };
    abi::Waker {
        data: Box::into_raw(Box::new(waker.clone())).cast(),
        vtable: &OURS,
    }
}

unsafe extern "C" fn ours_wake(data: *const c_void) {
    // SAFETY: only owned wakers are woken by value, and those are boxed by `ours_clone`.
    let waker = unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) };
    waker.wake();
}

unsafe extern "C" fn ours_wake_by_ref(data: *const c_void) {
    // SAFETY: as in `ours_clone`.
    unsafe { &*data.cast::<Waker>() }.wake_by_ref();
}

unsafe extern "C" fn ours_drop(data: *const c_void) {
    // SAFETY: only owned wakers are dropped, and those are boxed by `ours_clone`.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) });
}

/// A waker lent by a plugin for one call.
#[derive(Clone, Copy)]
pub(crate) enum Lent<'a> {
    /// None: the plugin only asks, and whoever waits goes on waiting.
    Nobody,
    /// The host's own.
    Ours(&'a Waker),
    /// The plugin's.
    Theirs(&'a abi::Waker),
}

impl<'a> Lent<'a> {
    /// Reads what a plugin handed in.
    ///
    /// # Safety
    ///
    /// `waker` is null or a waker as [`abi::Waker`] says, for as long as `'a`.
    pub(crate) unsafe fn read(waker: *const abi::Waker) -> Self {
        if waker.is_null() {
            return Self::Nobody;
        }
        // SAFETY: not null, and lent for `'a`.
        let waker = unsafe { &*waker };
        if ptr::eq(waker.vtable, &raw const OURS) {
            // SAFETY: with our functions goes our data: a `Waker`, lent or boxed.
            return Self::Ours(unsafe { &*waker.data.cast::<Waker>() });
        }
        if waker.vtable.is_null() {
            return Self::Nobody;
        }
        Self::Theirs(waker)
    }

    /// Whether `held` wakes the same task. A false `false` costs a clone, nothing else.
    pub(crate) fn is(self, held: &Waker) -> bool {
        match self {
            Self::Nobody => false,
            Self::Ours(waker) => waker.will_wake(held),
            Self::Theirs(waker) => {
                if !ptr::eq(held.vtable(), &raw const THEIRS) {
                    return false;
                }
                // SAFETY: with these functions goes a `Held`, alive as long as `held`. Its data is
                // that of a clone which is alive too, so its address is nobody else's.
                let held = unsafe { &*held.data().cast::<Held>() };
                ptr::eq(held.waker.data, waker.data) && ptr::eq(held.waker.vtable, waker.vtable)
            }
        }
    }

    pub(crate) fn to_owned(self) -> Waker {
        match self {
            Self::Nobody => Waker::noop().clone(),
            Self::Ours(waker) => waker.clone(),
            Self::Theirs(waker) => Held::clone_of(waker).map_or_else(
                || Waker::noop().clone(),
                |held| {
                    // SAFETY: the data is an `Arc<Held>`, which is what `THEIRS` works on.
                    unsafe { Waker::new(Arc::into_raw(held).cast(), &THEIRS) }
                },
            ),
        }
    }
}

/// A plugin's waker that the host owns.
struct Held {
    waker: abi::Waker,
    vtable: abi::WakerVtable,
}

// SAFETY: the boundary's rule: a waker's functions may be called on any thread, at any time.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    fn clone_of(lent: &abi::Waker) -> Option<Arc<Self>> {
        // SAFETY: the functions of a waker that is lent to us begin with their size.
        let clone = unsafe { adopt(lent.vtable) }?.clone?;
        // SAFETY: lent for the call, so it may be cloned now.
        let waker = unsafe { clone(lent.data) };
        // SAFETY: as above, for the clone's own functions, which are static.
        let vtable = unsafe { adopt(waker.vtable) }?;
        Some(Arc::new(Self { waker, vtable }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(drop) = self.vtable.drop {
            // SAFETY: ours by `clone_of`, and dropped once.
            unsafe { drop(self.waker.data) };
        }
    }
}

static THEIRS: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: `data` is an `Arc<Held>` that the caller keeps alive.
        unsafe { Arc::increment_strong_count(data.cast::<Held>()) };
        RawWaker::new(data, &THEIRS)
    },
    |data| {
        // SAFETY: an owned waker: its count is ours to give up.
        let held = unsafe { Arc::from_raw(data.cast::<Held>()) };
        wake(&held);
    },
    |data| {
        // SAFETY: lent: the count stays the caller's.
        let held = ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Held>()) });
        wake(&held);
    },
    |data| {
        // SAFETY: an owned waker: its count is ours to give up.
        drop(unsafe { Arc::from_raw(data.cast::<Held>()) });
    },
);

fn wake(held: &Held) {
    if let Some(wake) = held.vtable.wake_by_ref {
        // SAFETY: alive, and may be woken at any time on any thread.
        unsafe { wake(held.waker.data) };
    }
}

/// The waker of whoever waits for one thing.
///
/// It is out of its cell whenever something of it runs, so nothing is borrowed meanwhile, and
/// what tokio cloned of it is never the last of its kind while tokio holds a lock.
#[derive(Default)]
pub(crate) struct WakerSlot(Cell<Option<Waker>>);

impl WakerSlot {
    /// Polls `poll` for the lent waker, which is kept; for nobody, whoever waits is kept.
    pub(crate) fn poll_with<R>(
        &self,
        lent: Lent<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let before = self.0.take();
        let (waker, before) = match before {
            Some(held) if matches!(lent, Lent::Nobody) || lent.is(&held) => (held, None),
            other => (lent.to_owned(), other),
        };
        let polled = poll(&mut Context::from_waker(&waker));
        let meanwhile = self.0.replace(Some(waker));
        drop((before, meanwhile));
        polled
    }

    /// Keeps the lent waker.
    pub(crate) fn register(&self, lent: Lent<'_>) {
        self.poll_with(lent, |_| ());
    }

    /// Wakes whoever waits.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Forgets whoever waits.
    pub(crate) fn clear(&self) {
        drop(self.0.take());
    }
}

impl std::fmt::Debug for WakerSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WakerSlot")
    }
}

/// Wakers of one task beyond which those of futures that have gone are sorted out.
const FEW_WAITING: usize = 64;
/// Who still waits comes again within this.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The wakers of many that wait for one thing. Itself the waker to poll that thing with.
#[derive(Default)]
pub(crate) struct ManyWakers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    /// How many are kept before all are woken and those that still wait come again.
    most: usize,
    /// When that last happened.
    cleared: Option<Instant>,
}

impl Waiting {
    /// Doubles the bound when those who came again are too many for it, which they are at once; goes
    /// back to the least when it took a while, for then it was others that came and have gone.
    fn clear(&mut self) {
        let now = Instant::now();
        let at_once = self
            .cleared
            .is_some_and(|then| now.duration_since(then) < AT_ONCE);
        self.most = if at_once {
            self.most.saturating_mul(2)
        } else {
            FEW_WAITING
        };
        self.cleared = Some(now);
    }
}

impl ManyWakers {
    /// Keeps the lent waker, once. When there are many, all are woken: who still waits comes again.
    pub(crate) fn add(&self, lent: Lent<'_>) {
        if matches!(lent, Lent::Nobody) {
            return;
        }
        let (mut all, most) = {
            let mut waiting = self.lock();
            waiting.most = waiting.most.max(FEW_WAITING);
            (std::mem::take(&mut waiting.wakers), waiting.most)
        };
        if !all.iter().any(|held| lent.is(held)) {
            all.push(lent.to_owned());
        }
        if all.len() > most {
            self.lock().clear();
            all.drain(..).for_each(Waker::wake);
        }
        self.lock().wakers.append(&mut all);
    }

    /// Nothing of a plugin's runs while the list is locked.
    fn take(&self) -> Vec<Waker> {
        std::mem::take(&mut self.lock().wakers)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for ManyWakers {
    fn wake(self: Arc<Self>) {
        self.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A plugin's waker: an `Arc<Count>` behind functions of its own.
    static FOREIGN: abi::WakerVtable = abi::WakerVtable {
        size: size_of::<abi::WakerVtable>(),
        clone: Some(foreign_clone),
        wake: None,
        wake_by_ref: Some(foreign_wake),
        drop: Some(foreign_drop),
    };

    unsafe extern "C" fn foreign_clone(data: *const c_void) -> abi::Waker {
        // SAFETY: the tests below hand in an `Arc<Count>`.
        unsafe { Arc::increment_strong_count(data.cast::<Count>()) };
        abi::Waker {
            data,
            vtable: &FOREIGN,
        }
    }

    unsafe extern "C" fn foreign_wake(data: *const c_void) {
        // SAFETY: as above.
        let count = unsafe { &*data.cast::<Count>() };
        count.0.fetch_add(1, Ordering::Relaxed);
    }

    unsafe extern "C" fn foreign_drop(data: *const c_void) {
        // SAFETY: as above.
        drop(unsafe { Arc::from_raw(data.cast::<Count>()) });
    }

    #[test]
    fn our_own_waker_comes_back_unwrapped() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let crossed = lend(&waker);
        let slot = WakerSlot::default();
        // SAFETY: lent from a waker that is alive.
        let lent = unsafe { Lent::read(&crossed) };
        assert!(matches!(lent, Lent::Ours(same) if ptr::eq(same, &waker)));
        slot.poll_with(lent, |cx| assert!(cx.waker().will_wake(&waker)));
        slot.wake();
        slot.wake();
        assert_eq!(
            count.0.load(Ordering::Relaxed),
            1,
            "woken once, then forgotten"
        );
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_clone_of_ours_outlives_the_call_and_is_freed() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        // SAFETY: the waker is alive, and the clones are used as the boundary says.
        unsafe {
            let kept = ours_clone(lend(&waker).data);
            let woken = ours_clone(kept.data);
            drop(waker);
            ours_wake_by_ref(kept.data);
            ours_wake(woken.data);
            ours_drop(kept.data);
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_plugins_waker_is_cloned_once_and_dropped_once() {
        let count = Arc::new(Count::default());
        let theirs = abi::Waker {
            data: Arc::as_ptr(&count).cast(),
            vtable: &FOREIGN,
        };
        let slot = WakerSlot::default();
        for _ in 0..3 {
            // SAFETY: `count` is alive.
            slot.register(unsafe { Lent::read(&theirs) });
            assert_eq!(
                Arc::strong_count(&count),
                2,
                "known again, so not cloned again"
            );
        }
        slot.poll_with(
            // SAFETY: `count` is alive.
            unsafe { Lent::read(&theirs) },
            |cx| {
                let kept = cx.waker().clone();
                drop(std::mem::replace(&mut kept.clone(), Waker::noop().clone()));
                kept.wake();
            },
        );
        slot.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&count), 1, "nothing kept");
    }

    #[test]
    fn a_question_without_a_waker_leaves_whoever_waits() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let slot = WakerSlot::default();
        slot.register(Lent::Ours(&waker));
        // SAFETY: null is allowed.
        slot.register(unsafe { Lent::read(ptr::null()) });
        slot.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn many_wait_for_one_thing_and_all_are_woken() {
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let wakers: Vec<Waker> = counts
            .iter()
            .map(|count| Waker::from(Arc::clone(count)))
            .collect();
        let many = Arc::new(ManyWakers::default());
        for waker in wakers.iter().chain(&wakers) {
            many.add(Lent::Ours(waker));
        }
        many.add(Lent::Nobody);
        Waker::from(many).wake();
        assert!(
            counts
                .iter()
                .all(|count| count.0.load(Ordering::Relaxed) == 1)
        );
    }

    #[test]
    fn too_many_are_woken_early_rather_than_kept() {
        let many = Arc::new(ManyWakers::default());
        let counts: Vec<Arc<Count>> = (0..=FEW_WAITING).map(|_| Arc::default()).collect();
        let all_come = || {
            for count in &counts {
                many.add(Lent::Ours(&Waker::from(Arc::clone(count))));
            }
        };
        let woken = |times| {
            counts
                .iter()
                .all(|count| count.0.load(Ordering::Relaxed) == times)
        };
        all_come();
        assert!(woken(1), "once there was one too many");
        // All of them still wait, and come again, at once: too many again, and then there is room.
        all_come();
        assert!(woken(2));
        all_come();
        assert!(woken(2));
        Waker::from(Arc::clone(&many)).wake();
        assert!(woken(3));
    }

    #[test]
    fn the_wakers_of_futures_that_have_gone_do_not_pile_up() {
        let mut waiting = Waiting {
            most: FEW_WAITING,
            ..Waiting::default()
        };
        waiting.clear();
        waiting.clear();
        waiting.clear();
        assert_eq!(waiting.most, 4 * FEW_WAITING);
        waiting.cleared = Instant::now().checked_sub(2 * AT_ONCE);
        waiting.clear();
        assert_eq!(waiting.most, FEW_WAITING);
    }

    #[test]
    fn a_null_waker_wakes_nobody() {
        let slot = WakerSlot::default();
        // SAFETY: null is allowed.
        slot.register(unsafe { Lent::read(ptr::null()) });
        slot.wake();
    }
}
