//! One append as it goes to nodes: the same at each attempt, and once more when it is sent again. Its body
//! is kept apart, for the outbox may put that into a file.

use hyper::HeaderMap;

use crate::cursor::Cursor;

/// An append of a client.
#[derive(Debug, Clone)]
pub struct Write {
    /// Position among all writes of this director: what a write may answer has a lower number.
    pub number: u64,
    /// The path, as it came.
    pub target: String,
    /// `WebFS-Request`.
    pub request: String,
    /// `Stream-Min-Offset`: what was known when the client sent it. Not what is known now: that may
    /// cover this very write, whose acknowledgement was lost.
    pub min: Option<Cursor>,
    /// The client's headers, those of its connection apart.
    pub headers: HeaderMap,
}
