//! The director: it chooses nodes, recovers requests, and knows no protocol.

#![forbid(unsafe_code)]
