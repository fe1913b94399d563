//! A plugin's state on a link, kept by the host between steps.
//!
//! The host holds a counted reference, not the state: a step takes the state out and puts it back.
//! So a link that ends while a step still runs somewhere (a future that was moved to another task,
//! say) takes nothing away from under it.

use std::any::Any;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use director_abi as abi;

use super::panic::{caught, instance};
use crate::failure::Exception;

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

/// A link during a step: its state is taken out when it is first asked for, and put back at the end
/// of the step, however that ends. A host that ended the link meanwhile has let go of the slot, so
/// the state ends there.
pub(crate) struct Held {
    slot: Arc<Slot>,
    state: Option<Box<dyn Any + Send>>,
}

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
        let slot = unsafe {
            Arc::increment_strong_count(slot);
            Arc::from_raw(slot)
        };
        Some(Self { slot, state: None })
    }

    /// The state.
    ///
    /// # Errors
    ///
    /// [`Kind::Fault`](crate::Kind::Fault): another step has it out, or it is another type.
    pub(crate) fn get<L: Any + Send>(&mut self) -> Result<&mut L, Exception> {
        if self.state.is_none() {
            self.state = self.slot.state().take();
        }
        self.state
            .as_mut()
            .and_then(|state| state.downcast_mut())
            .ok_or_else(|| Exception::fault("the host handed out a link that is not this chain's"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            *self.slot.state() = Some(state);
        }
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
