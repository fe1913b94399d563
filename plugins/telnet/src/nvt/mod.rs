//! The Network Virtual Terminal: RFC 854, RFC 855 and the options beside them. Nothing here does I/O.
//!
//! [`parser`] takes a stream apart and [`encode`] puts it together again, byte for byte the same; [`q`]
//! holds what was agreed; [`options`] reads and makes what the options say besides.

pub mod command;
pub mod encode;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
pub mod options;
pub mod parser;
pub mod q;
#[cfg(test)]
mod tests;

pub use command::{Command, Verb};
pub use parser::{Event, Parser};

/// "Interpret as command", RFC 854; a data byte of this value is doubled.
pub const IAC: u8 = 255;
/// Begins a subnegotiation, RFC 855.
pub const SB: u8 = 250;
/// Ends a subnegotiation, RFC 855.
pub const SE: u8 = 240;
