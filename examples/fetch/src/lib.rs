//! A small resumable download protocol: the example plugin, and the core's own test.

#![forbid(unsafe_code)]
