//! A group of file servers in which chat rooms are files.

#![forbid(unsafe_code)]
