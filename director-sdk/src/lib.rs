//! What a plugin's author depends on: traits, exceptions, glue and a test kit.

#![forbid(unsafe_code)]
