//! Bulk bytes: moved inside the host, from one stream to another.

use std::io;

use crate::glue::host;
use crate::stream_error::{Side, StreamError};

/// How a relay ended.
#[derive(Debug)]
pub enum RelayEnd {
    /// The limit was reached.
    Limit,
    /// The source ended before the limit.
    End,
    /// Reading failed.
    FromFailed(io::Error),
    /// Writing failed.
    ToFailed(io::Error),
}

/// A relay under way. Its end, however it comes, adds what the destination accepted to `moved`.
pub(crate) struct Relay<'a> {
    number: u64,
    from: Side,
    to: Side,
    before: u64,
    moved: &'a mut u64,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(number: u64, from: Side, to: Side, moved: &'a mut u64) -> Self {
        Self {
            number,
            from,
            to,
            before: *moved,
            moved,
        }
    }

    pub(crate) async fn end(mut self) -> RelayEnd {
        if self.number == 0 {
            return RelayEnd::FromFailed(StreamError::io(self.from, director_abi::CODE_GONE));
        }
        std::future::poll_fn(|cx| {
            let (end, moved) = host::relay_poll(self.number, cx);
            self.count(moved);
            end
        })
        .await
        .into_end(self.from, self.to)
    }

    fn count(&mut self, moved: u64) {
        *self.moved = self.before.saturating_add(moved);
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        if self.number != 0 {
            let moved = host::relay_end(self.number);
            self.count(moved);
        }
    }
}

impl host::RelayWhy {
    fn into_end(self, from: Side, to: Side) -> RelayEnd {
        match self {
            Self::Limit => RelayEnd::Limit,
            Self::End => RelayEnd::End,
            Self::FromFailed(code) => RelayEnd::FromFailed(StreamError::io(from, code)),
            Self::ToFailed(code) => RelayEnd::ToFailed(StreamError::io(to, code)),
        }
    }
}
