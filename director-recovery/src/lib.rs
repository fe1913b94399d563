//! One request's way past failed nodes: a pure state machine.

#![forbid(unsafe_code)]
