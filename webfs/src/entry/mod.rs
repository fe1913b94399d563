//! One entry of an origin log, as it stands on disk and as it goes to peers.
//!
//! An entry is what one append (or create, or delete) left behind, with everything that another server
//! needs to apply it as if it had accepted it itself. [`Entry::encode`] gives its only spelling; the log
//! and the frames between peers put a length in front of it and add nothing.

mod code;

use bytes::Bytes;

use crate::letter::Name;
use crate::path::StreamPath;
use crate::server::{Append, Limits};
use crate::stream::{ContentType, Producer, RequestId, StreamSeq};

pub use code::BadEntry;
pub(crate) use code::{Reader, put_name, put_text};

/// The version of the spelling, its first byte. Another one is refused.
pub const VERSION: u8 = 1;
/// Longest payload, in bytes.
pub const MAX_PAYLOAD: usize = Limits::MAX_APPEND;
/// Longest spelling of one entry, in bytes: the payload, and 2 KiB for all the rest (every other field
/// at its longest takes less).
pub const MAX_ENTRY: usize = MAX_PAYLOAD + 2048;
/// Highest index: a cursor's sum has 16 digits.
pub const MAX_INDEX: u64 = 9_999_999_999_999_999;

/// One entry. Its identity is its [`Name`] together with path and generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The stream.
    pub path: StreamPath,
    /// Which making of the stream; 0 for a room that nobody ever deleted.
    pub generation: u32,
    /// Who accepted it, and the index it got: 1 to [`MAX_INDEX`].
    pub name: Name,
    /// The index before it in its lineage's log of this stream and generation, 0 for none. Less than
    /// `name.index - 1` where the server leapt; of the letter before, in a letter's first entry.
    pub before: u64,
    /// When it was accepted, milliseconds since 1970, by the accepting server's clock.
    pub accepted_at: u64,
    /// `WebFS-Request` of its write.
    pub request: Option<RequestId>,
    /// The producer's triple of its write.
    pub producer: Option<Producer>,
    /// `Stream-Seq` of its write.
    pub stream_seq: Option<StreamSeq>,
    /// Other names under which the same write had been acknowledged before; at most
    /// [`Append::MAX_WAS`].
    pub was: Vec<Name>,
    /// Messages in the payload: 1 unless JSON, 0 when there is no payload.
    pub count: u32,
    /// What it is.
    pub kind: Kind,
    /// [`Kind::Create`]: the stream's type. Nothing otherwise.
    pub content_type: Option<ContentType>,
    /// Its bytes, at most [`MAX_PAYLOAD`]. JSON: the messages joined by commas, without brackets.
    pub payload: Bytes,
}

/// What an entry does to its stream. The numbers are those of the format; 3 to 7 are reserved for
/// close (3), seal (4), trim (5), fork (6) and expiry (7), and refused until they mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Adds its payload.
    Append = 0,
    /// Makes the generation, with a content type and perhaps a first payload.
    Create = 1,
    /// Ends the generation.
    Delete = 2,
}

impl Kind {
    /// The kind of a number.
    ///
    /// # Errors
    /// Gives the number back when it is reserved or unknown.
    pub fn from_number(number: u8) -> Result<Self, u8> {
        match number {
            0 => Ok(Self::Append),
            1 => Ok(Self::Create),
            2 => Ok(Self::Delete),
            other => Err(other),
        }
    }
}

impl Entry {
    /// Bytes it holds in memory, about: what bounds count. Its spelling is not longer.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = [
            Some(self.path.as_str()),
            self.request.as_ref().map(RequestId::as_str),
            self.producer.as_ref().map(|producer| producer.id.as_str()),
            self.stream_seq.as_ref().map(StreamSeq::as_str),
            self.content_type.as_ref().map(ContentType::as_str),
        ];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        size_of::<Self>() + self.payload.len() + self.was.len() * size_of::<Name>() + texts
    }

    /// What makes it no entry, if anything: the same conditions hold for what is encoded and decoded.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn check(&self) -> Result<(), BadEntry> {
        let Name { index, .. } = self.name;
        if index == 0 || index > MAX_INDEX {
            return Err(BadEntry::Index(index));
        }
        if self.before >= index {
            return Err(BadEntry::Before {
                index,
                before: self.before,
            });
        }
        if self.was.len() > Append::MAX_WAS {
            return Err(BadEntry::Was(self.was.len()));
        }
        if let Some(name) = self
            .was
            .iter()
            .find(|n| n.index == 0 || n.index > MAX_INDEX)
        {
            return Err(BadEntry::Index(name.index));
        }
        if self.payload.len() > MAX_PAYLOAD {
            return Err(BadEntry::Payload(self.payload.len()));
        }
        if self.payload.is_empty() != (self.count == 0) {
            return Err(BadEntry::Count {
                count: self.count,
                payload: self.payload.len(),
            });
        }
        let shape = match self.kind {
            Kind::Append => self.content_type.is_none() && self.count > 0,
            Kind::Create => self.content_type.is_some(),
            Kind::Delete => self.content_type.is_none() && self.count == 0,
        };
        if shape {
            Ok(())
        } else {
            Err(BadEntry::Shape(self.kind))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
