//! The Q method, RFC 1143: what both ends of a connection agreed on, option by option.
//!
//! [`Side`] is the RFC's table for one option on one side. [`Table`] holds those of a connection to
//! one peer, and keeps them in either of two ways: *actively*, when the director itself is the other
//! end ([`Table::ask`], [`Table::receive`]); or *passively*, when it only passes on what two others
//! say ([`Table::observe`]). From the second to the first leads [`Table::settle`]: the other end has
//! died, and the director speaks in its place.

mod side;
mod table;
#[cfg(test)]
mod tests;

pub use side::Side;
pub use table::{Direction, MAX_OPTIONS, MAX_WORDS, Performer, Table};
