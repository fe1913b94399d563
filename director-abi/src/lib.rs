//! The C layout of the boundary between the director and its plugins.

#![forbid(unsafe_code)]
