//! The whole program against real clients and servers, one file a story.

#![forbid(unsafe_code)]
