//! The chat plugin: HTTP and Durable Streams to a WebFS group.

#![forbid(unsafe_code)]
