//! The plugin host: everything behind the C boundary.
//!
//! A plugin is a shared library that knows a protocol; it owns nothing. Its streams, timers, relays,
//! chains and tickets stand in tables of the thread on which its tasks run, and it holds numbers
//! (`slab`). They are freed with the task that made them, whatever the plugin forgot. Each thread
//! has its own tables, which need no locks; what is shared is the cluster, and the list of sessions
//! for the status (a lock at a session's begin and end, and its own when it changes its link).
//!
//! ```text
//! description  library  instance        a library judged, loaded, at work for a service
//! session  running  node_task           its tasks: serve, run, probe, watch
//! task                                  a future of the plugin's, polled, and what it owns
//! tables  slab  stream  socket  relay  timer    what its numbers name
//! ticket  request  orders  answers       requests, and the recovery engine behind them
//! step  failure  chain  pool  connect    what the plugin does for one, and the links it uses
//! bundle  further  listener  urgent       what belongs to a link or a session beside its stream
//! spool                                 bytes kept by their offset
//! keeper                                cuts, silence, deadlines, links at rest
//! api  api_requests  api_further  bridge  layout  waker    the boundary itself
//! ```

mod address;
mod answers;
mod api;
mod api_choosing;
mod api_further;
mod api_requests;
mod api_tls;
mod bridge;
mod buffers;
mod bundle;
mod chain;
mod clock;
mod confirm;
mod connect;
mod description;
mod failure;
mod further;
mod input;
mod instance;
mod keeper;
mod layout;
mod library;
mod linger;
mod listener;
mod measures;
mod node_task;
mod orders;
mod pool;
mod relay;
mod request;
mod running;
mod secure;
mod session;
mod sessions;
mod slab;
mod socket;
mod spool;
mod step;
mod stop;
mod stream;
mod stream_standing;
mod stream_tls;
mod tables;
mod task;
mod tending;
#[cfg(test)]
mod tests;
mod ticket;
mod timer;
mod transport;
mod urgent;
mod waker;

pub use description::{Description, LoadError, inspect};
pub use instance::{CreateError, Instance, InstanceSettings, OptionMistake, Timeouts};
pub use library::Library;
pub use secure::Tls;
pub use session::{Outcome, SessionEnd};
pub use sessions::{SessionStanding, sessions};
pub(crate) use socket::reset;
pub use spool::SpoolBounds;
pub use stop::{Stop, Stopper};
pub use tables::{HostCounts, counts};
