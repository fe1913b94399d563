//! The rules of one server in its group, without I/O, clock or chance of their own.
//!
//! [`Core`] is told what happened (recovered entries, requests, peers' messages, what is durable, the
//! time) and gives [`Output`]s. Its driver keeps the log, the connections and the timers, and the
//! simulation is a second driver of the same code.
//!
//! Order of a start: [`Core::new`]; [`Core::recovered`] for each entry of the log; [`Core::start`];
//! then the peers' connections. Requests are refused with `NotReady(Joining)` until the server has
//! asked its peers and [`Core::identity_stored`] was called.
//!
//! After every call the driver takes [`Core::outputs`] and does them in order, and asks
//! [`Core::next_timer`] when to call [`Core::tick`].

mod ack;
mod api;
mod control;
mod follow;
mod join;
mod names;
mod peers;
mod pick;
mod producers;
mod read;
mod replica;
mod room;
mod ship;
mod stable;
mod state;
mod view;
mod waits;
mod write;

pub use api::{
    Answer, Hello, Message, Now, Output, Payload, PeerIndex, Picked, Place, Reading, Recovered,
    Rules, Settings, Shipped, StreamCut, Ticket,
};
pub use follow::{Follow, Step};
pub use state::Core;

#[cfg(test)]
mod tests;
