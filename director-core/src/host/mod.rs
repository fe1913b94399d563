//! The plugin host: everything behind the C boundary.
//!
//! A plugin is a shared library that knows a protocol; it owns nothing. Its streams, timers, relays,
//! chains and tickets stand in tables of the thread on which its tasks run, and it holds numbers
//! ([`slab`]). They are freed with the task that made them, whatever the plugin forgot. Each thread
//! has its own tables, so nothing here is locked on a session's way.

mod layout;
mod slab;
mod stop;
mod waker;

pub use stop::{Stop, Stopper};
