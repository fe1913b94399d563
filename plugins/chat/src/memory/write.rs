//! One append as it goes to nodes: the same at each attempt, and once more when it is sent again. Its body
//! is kept apart, for the outbox may put that into a file.

use crate::cursor::Cursor;

/// An append of a client.
#[derive(Debug, Clone)]
pub struct Write {
    /// Position among all writes of this director: what a write may answer has a lower number.
    pub number: u64,
    /// `WebFS-Request`.
    pub request: String,
    /// `Stream-Min-Offset`: what was known when the client sent it. Not what is known now: that may
    /// cover this very write, whose acknowledgement was lost.
    pub min: Option<Cursor>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Producer-Id`, `Producer-Epoch` and `Producer-Seq`, as they came.
    pub producer: Option<[String; 3]>,
    /// `Stream-Seq`.
    pub stream_seq: Option<String>,
    /// `Stream-Closed`.
    pub closes: bool,
}
