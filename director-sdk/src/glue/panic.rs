//! Panics: caught in the plugin's own thunks, and told to the host's log with message and place.
//!
//! Only the standard library that threw a panic can catch it, and the host's panic hook never hears
//! of a plugin's. So the plugin brings a hook of its own, which acts inside calls of the host.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use super::host::{self, Record};

thread_local! {
    /// The instance for which the host is calling; `None` outside a call of the host's.
    static CALLED_FOR: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The instance for which code is running now; 0 when there is none.
pub(crate) fn instance() -> u64 {
    CALLED_FOR.get().unwrap_or(0)
}

/// Runs `call` for an instance; `None` when it panicked. The panic is in the host's log by then.
pub(crate) fn caught<R>(instance: u64, call: impl FnOnce() -> R) -> Option<R> {
    let before = CALLED_FOR.replace(Some(instance));
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    let result = match result {
        Ok(result) => Some(result),
        Err(payload) => {
            // A payload may have a destructor that panics in its turn; then it is left as it is.
            if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            None
        }
    };
    CALLED_FOR.set(before);
    result
}

/// Runs `call`, in which a panic has nobody to tell but the log.
pub(crate) fn contain(call: impl FnOnce()) {
    let _caught = caught(instance(), call);
}

/// Puts the hook in front of the one that is there, once.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match CALLED_FOR.get() {
            Some(instance) => tell(instance, info),
            None => before(info),
        }));
    });
}

fn tell(instance: u64, info: &PanicHookInfo<'_>) {
    let said = info
        .payload_as_str()
        .unwrap_or("(a payload that is no text)");
    let (file, line) = info
        .location()
        .map_or(("", 0), |place| (place.file(), place.line()));
    host::log(&Record {
        level: 1,
        instance,
        target: "panic",
        file,
        line,
        message: &format!("the plugin panicked: {said}"),
    });
}
