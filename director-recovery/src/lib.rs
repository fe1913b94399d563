//! One request's way past failed nodes, as a pure state machine.
//!
//! The director's one operation is *perform this at a node* ("Using Smart Clients to Build
//! Scalable Services", USENIX 1997, section 3.1): a failure becomes an [`Exception`], what the
//! failed attempt left behind is cleaned up, and the request is resent. A node that failed may have
//! done half the work, and half an answer may have reached the client. So nothing here leads from a
//! failed attempt to another one except through [`CleaningUp`]: the types of [`states`] carry that
//! order, and [`Ticket`] only drives them.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time, chance and the shared
//! [`Budget`] are handed in with each [`Event`], and what to do comes out as an [`Order`]. The core
//! acts on it with real sockets, the SDK's test kit with a network in memory.
//!
//! [`CleaningUp`]: states::CleaningUp

#![forbid(unsafe_code)]

mod budget;
mod course;
mod exception;
pub mod states;
mod ticket;

pub use budget::Budget;
pub use course::Limits;
pub use exception::{Exception, Kind, Outcome, Resend};
pub use states::Failed;
pub use ticket::{Event, Order, Refused, Ticket};

/// A node, as its cluster numbers it.
pub type NodeId = u32;
