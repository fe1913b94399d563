//! The plugin's side of the boundary, where the SDK's `unsafe` stands.
//!
//! `layout` copies the boundary's plain data, `waker` carries wakers across, `host` has the host's
//! functions as safe ones, `further` and `choosing` those of later versions, `step` the recovery engine's, `link`
//! keeps what a plugin leaves with the host, `task` makes futures into tasks of the host's, `thunks` is what the host calls.
//!
//! What makes the safe side safe: a number of the host's is only ever a number, checked by the host
//! at each use; bytes that are lent are copied before the call returns; what the host keeps for us
//! (links, tasks, instances) is reference-counted or owned by it alone.
#![allow(unsafe_code)]

pub(crate) mod choosing;
pub(crate) mod further;
pub(crate) mod host;
pub(crate) mod layout;
pub(crate) mod link;
pub(crate) mod panic;
pub(crate) mod step;
pub(crate) mod task;
mod thunks;
pub(crate) mod waker;

pub use thunks::Exported;
