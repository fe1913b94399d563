//! HTTP/1.1 towards nodes, on the host's streams: one request at a time, nothing read ahead, so that a link
//! at rest has all its bytes with the host.

pub mod answer;
pub mod frames;
pub mod head;
pub mod link;
