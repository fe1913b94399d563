//! A plugin's state on a link, kept by the host between steps.
//!
//! The host holds a counted reference, not the state: a step takes the state out and puts it back.
//! So a link that ends while a step still runs somewhere (a future that was moved to another task,
//! say) takes nothing away from under it.

use std::any::Any;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use director_abi as abi;

use super::panic::{caught, instance};

struct Slot {
    state: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A link's state, handed over to the host, with [`release`] to free it.
pub(crate) fn give(state: Box<dyn Any + Send>) -> *mut c_void {
    let slot = Arc::new(Slot {
        state: Mutex::new(Some(state)),
    });
    Arc::into_raw(slot).cast_mut().cast()
}

/// The host's end of a link: drops its reference, and the state when no step has it out.
///
/// # Safety
///
/// `link` is one that [`give`] made, not released before.
pub(crate) unsafe extern "C" fn release(link: *mut c_void) -> u32 {
    if link.is_null() {
        return abi::READY;
    }
    // SAFETY: by the contract this is the host's one reference.
    let slot = unsafe { Arc::from_raw(link.cast::<Slot>().cast_const()) };
    match caught(instance(), || drop(slot)) {
        Some(()) => abi::READY,
        None => abi::PANICKED,
    }
}

/// A link during a step.
pub(crate) struct Held(Arc<Slot>);

impl Held {
    /// Takes a reference of one's own; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// `link` is null, or one that [`give`] made and that is not released during the call.
    pub(crate) unsafe fn of(link: *mut c_void) -> Option<Self> {
        if link.is_null() {
            return None;
        }
        let slot = link.cast::<Slot>().cast_const();
        // SAFETY: the host's reference is alive during the call, so there is a count to add to; the
        // second line takes the one that was added.
        unsafe {
            Arc::increment_strong_count(slot);
            Some(Self(Arc::from_raw(slot)))
        }
    }

    /// Takes the state out; `None` when an earlier step was dropped with it, or it is another type.
    pub(crate) fn take<L: Any + Send>(&self) -> Option<Box<L>> {
        let state = self.slot().take()?;
        match state.downcast() {
            Ok(state) => Some(state),
            Err(other) => {
                *self.slot() = Some(other);
                None
            }
        }
    }

    /// Puts the state back for the next step.
    pub(crate) fn put<L: Any + Send>(&self, state: Box<L>) {
        *self.slot() = Some(state);
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
