//! The kit's side of the boundary: a host's functions over the [`State`] of the world that runs on
//! this thread, and a plugin's functions as a host calls them.
//!
//! A host function borrows the state for its own length only and never calls the plugin, wakers
//! excepted; link states are freed by the executor, between polls.
#![allow(unsafe_code)]

mod functions;
mod more;
mod plugin;
mod wakers;

use std::cell::RefCell;
use std::rc::Rc;

use super::state::State;

pub(super) use plugin::{Foreign, LinkState, Plugin, Polled};
pub(super) use wakers::held_wakers;

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Host functions act on `state` while this lives.
pub(super) struct Entered {
    before: Option<Rc<RefCell<State>>>,
}

pub(super) fn enter(state: &Rc<RefCell<State>>) -> Entered {
    Entered {
        before: CURRENT.replace(Some(Rc::clone(state))),
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// What `act` answers in the world of this thread; `nobody` when none runs.
fn with<R>(nobody: R, act: impl FnOnce(&mut State) -> R) -> R {
    let current = CURRENT.with_borrow(|current| current.clone());
    match current {
        Some(state) => act(&mut state.borrow_mut()),
        None => nobody,
    }
}
