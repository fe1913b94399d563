//! Nodes that are local processes, started and supervised by the director.

pub mod command;
