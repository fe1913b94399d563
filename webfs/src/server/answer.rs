//! What a server is asked, and what it answers. No type here knows HTTP; headers are named for whoever
//! fills them in.

use std::fmt;

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::letter::{Letter, Name, ServerId};
use crate::path::StreamPath;
use crate::stream::{ContentType, Producer, RequestId, StreamSeq};

/// `PUT`: a stream to be there.
#[derive(Debug, Clone)]
pub struct Create {
    /// `Content-Type`; `None` takes what is there, or the protocol's default.
    pub content_type: Option<ContentType>,
    /// The first entry, as in [`Append::payload`]; empty for none.
    pub payload: Bytes,
    /// Messages in `payload`.
    pub count: u32,
    /// `WebFS-Request`.
    pub request: Option<RequestId>,
}

/// A create's answer: 201 when `new`, else 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Made by this request (or by its first copy, for a repeat).
    pub new: bool,
    /// The stream's type.
    pub content_type: ContentType,
    /// `Stream-Next-Offset`.
    pub next: Cursor,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
}

/// `POST`: an entry to be added.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Its bytes. JSON: the messages, joined by commas, without the brackets around them.
    pub payload: Bytes,
    /// JSON: how many messages; otherwise 1.
    pub count: u32,
    /// `Content-Type`.
    pub content_type: Option<ContentType>,
    /// `Producer-Id`, `-Epoch`, `-Seq`.
    pub producer: Option<Producer>,
    /// `Stream-Seq`.
    pub stream_seq: Option<StreamSeq>,
    /// `WebFS-Request`.
    pub request: Option<RequestId>,
    /// `WebFS-Was`: names under which it had been acknowledged before; at most [`Append::MAX_WAS`].
    pub was: Vec<Name>,
    /// `Stream-Min-Offset`: what the writer had seen. The server fetches it first, for a second at most.
    pub min: Option<Cursor>,
}

impl Append {
    /// The most former names of one entry; a write is resent once per crash that it lives through.
    pub const MAX_WAS: usize = 8;
}

/// An append's answer. Without a producer 204; with one 200 when `new`, else 204.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Added by this request (or by its first copy: a repeat of a request id gets its answer again).
    /// `false`: a repeat of the producer's triple under another request id, or with none.
    pub new: bool,
    /// `Stream-Entry`: the name it got.
    pub entry: Name,
    /// `Stream-Next-Offset`: the entry's own place, so that a read from here begins after it.
    pub next: Cursor,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
    /// `Producer-Epoch` and `Producer-Seq`: the highest accepted.
    pub producer: Option<(u64, u64)>,
    /// Not all of [`Append::min`] arrived within a second, and it was added anyway: the answer says
    /// `WebFS-Released: 1`, and it is counted.
    pub released: bool,
}

/// How much one read may return. At least one entry comes, however long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of payload, after which no further entry is begun.
    pub bytes: usize,
    /// Entries.
    pub entries: usize,
    /// Only what [`Slice::stable`] covers.
    pub stable_only: bool,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            entries: 4096,
            stable_only: false,
        }
    }
}

/// One entry, for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name; it may have others.
    pub name: Name,
    /// Its bytes, as in [`Append::payload`].
    pub payload: Bytes,
    /// Messages in it (1 unless JSON).
    pub count: u32,
    /// When it was accepted, milliseconds since 1970, by the accepting server's clock.
    pub accepted_at: u64,
    /// `WebFS-Request` of its write.
    pub request: Option<RequestId>,
    /// The producer's triple of its write.
    pub producer: Option<Producer>,
    /// At least min(2, configured members) servers have synced it. A director keeps the keys of those
    /// entries that are not (place in the slice: sum of the counts, or of the bytes, before it).
    pub stable: bool,
}

/// What follows a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The stream's type.
    pub content_type: ContentType,
    /// Entries in this server's order; none is covered by the position asked for.
    pub entries: Vec<Delivery>,
    /// `Stream-Next-Offset`: what the position covered, and these entries.
    pub next: Cursor,
    /// `Stream-Up-To-Date`: nothing more is here, and nothing that `next` covers is missing here.
    pub up_to_date: bool,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
}

/// What a stream is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its type.
    pub content_type: ContentType,
    /// `Stream-Next-Offset`: the tail.
    pub next: Cursor,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
}

/// Who answers: `Stream-Server: a/5`. It changes with every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The server's letter.
    pub letter: Letter,
    /// How often it has started with this letter, from 1.
    pub start: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.letter, self.start)
    }
}

/// The group as this server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Rises whenever a member or its state (not its load) changes, as seen by this server in this
    /// start.
    pub view: u64,
    /// All configured members, this one first, the others by address.
    pub members: Vec<Member>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id, once it has ever answered.
    pub id: Option<ServerId>,
    /// Its letter and start, while it is up.
    pub identity: Option<Identity>,
    /// `host:port`.
    pub address: String,
    /// In reach, or this server itself.
    pub up: bool,
    /// Live reads it serves.
    pub load: u32,
    /// It takes no new work.
    pub leaving: bool,
}

/// What a director's watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// The server is alive; one every 100 ms.
    Beat,
    /// What is stable now of a stream to which this director wrote.
    Stable {
        /// The stream.
        path: StreamPath,
        /// As in `Stream-Stable-Offset`.
        cursor: Cursor,
    },
}
