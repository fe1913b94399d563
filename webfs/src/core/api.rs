//! What goes into the rules and what comes out: the types between [`super::Core`] and its driver.

use std::time::Duration;

use bytes::Bytes;

use super::follow::Follow;
use crate::cursor::{Cursor, Cut};
use crate::entry::Entry;
use crate::letter::{Letter, Name, ServerId};
use crate::path::StreamPath;
use crate::server::{Appended, Created, Fatal, Head, Identity, Refusal};
use crate::stream::{ContentType, DirectorId, Producer, RequestId};

/// The time, as the driver hands it in with every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Since the driver started; never goes back.
    pub since_start: Duration,
    /// Milliseconds since 1970, for [`Entry::accepted_at`] only.
    pub wall: u64,
}

/// One of the other configured members: its place in [`Settings::peers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIndex(pub usize);

/// Names a request that waits for its [`Output::Answer`]; the driver gives them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Where the driver's log keeps an entry; only the log knows what the number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(pub u64);

/// Which rules hold. All of them, but where a test shows that a checker finds the fault that a rule
/// is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// An entry is not delivered to a reader whose cursor covers any of its names; off: a second copy
    /// is merely skipped where this server holds the first.
    pub names: bool,
    /// Indices leap at each start, and a new letter follows a loss; off: the next index is the one
    /// after the last that the disk has.
    pub leap: bool,
    /// Writes wait for their writer's cursor.
    pub min_offset: bool,
    /// A reader whose cursor this server does not cover waits for the peers.
    pub pull_first: bool,
    /// Peers get entries in the order of this server; off: one letter after the other.
    pub apply_order: bool,
    /// Acknowledged, shown and shipped is only what is durable.
    pub durable_first: bool,
    /// The stable view is a prefix; off: a filter.
    pub stable_prefix: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            names: true,
            leap: true,
            min_offset: true,
            pull_first: true,
            apply_order: true,
            durable_first: true,
            stable_prefix: true,
        }
    }
}

/// What a server's rules have to know at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its id.
    pub id: ServerId,
    /// Its own address, `host:port`, as [`Hello`] tells it.
    pub listen: String,
    /// The other configured members' addresses.
    pub peers: Vec<String>,
    /// The group is this server alone, whatever its peers.
    pub alone: bool,
    /// A random number of this process: tells a connection to itself from another server with its id.
    pub session: u64,
    /// How often what has gathered goes to the peers.
    pub interval: Duration,
    /// Bytes of one append.
    pub append_limit: usize,
    /// Bytes of payloads kept in memory; older ones are given up to the log.
    pub memory: usize,
    /// Which rules hold.
    pub rules: Rules,
}

/// What the disk said, after all its entries went through [`super::Core::recovered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// The identity stored last; `None` on an empty disk.
    pub identity: Option<Identity>,
    /// Something that had been durable could not be read.
    pub damaged: bool,
}

/// What two servers tell each other first on a connection. The drivers exchange it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The sender's id.
    pub id: ServerId,
    /// [`Settings::session`].
    pub session: u64,
    /// [`Settings::listen`].
    pub address: String,
    /// The sender has no entry and no letter yet: its disk was empty at its start.
    pub fresh: bool,
}

/// One stream generation's cut, all letters spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCut {
    /// The stream.
    pub path: StreamPath,
    /// Its generation.
    pub generation: u32,
    /// What the sender has synced of it.
    pub cut: Cut,
}

/// What servers say to each other after [`Hello`], in order on one connection.
#[derive(Debug, Clone)]
pub enum Message {
    /// What the sender knows of the receiver's lineage: its newest letter, the highest start seen of
    /// it, and the highest index of the lineage in any stream.
    Known {
        /// The newest letter; `None` when the sender has never heard of the receiver.
        letter: Option<Letter>,
        /// Highest start number of that letter.
        start: u64,
        /// Highest index, 0 for none.
        top: u64,
    },
    /// What the sender has synced: of all its streams after [`Message::Known`], over as many
    /// messages as it takes, `last` in the last of them; afterwards of streams where it moved.
    Synced {
        /// At most [`Message::MAX_CUTS`].
        streams: Vec<StreamCut>,
        /// No more of the first telling follow.
        last: bool,
    },
    /// Entries in the sender's order, [`Message::MAX_BATCH`] bytes and a bit at most.
    Entries(Vec<Shipped>),
    /// Send at once what the receiver lacks of this stream, then [`Message::Pulled`].
    Pull {
        /// Given back.
        nonce: u64,
        /// The stream; `None`: all of them.
        path: Option<StreamPath>,
    },
    /// All that was durable when the pull came has been sent.
    Pulled {
        /// Of the [`Message::Pull`]; 0: of the first telling.
        nonce: u64,
    },
    /// How the sender is; also sent when nothing changed, as a sign of life.
    Status {
        /// Once it has joined.
        identity: Option<Identity>,
        /// Live reads and writes under way.
        load: u32,
        /// It takes no new work.
        leaving: bool,
    },
}

impl Message {
    /// The most streams in one [`Message::Synced`].
    pub const MAX_CUTS: usize = 512;
    /// Bytes of payload after which no further entry is put into a [`Message::Entries`].
    pub const MAX_BATCH: usize = 256 << 10;
}

/// An entry on its way to a peer.
#[derive(Debug, Clone)]
pub struct Shipped {
    /// Without payload when `place` says where that is.
    pub entry: Entry,
    /// The payload was given up to the log: the driver puts it into `entry` before it sends.
    pub place: Option<Place>,
}

/// A payload, here or in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The bytes.
    Here(Bytes),
    /// Where the log has them.
    At {
        /// Where.
        place: Place,
        /// Their number.
        len: u32,
    },
}

/// One entry for a reader; [`crate::server::Delivery`] once its payload is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Its name.
    pub name: Name,
    /// Its bytes.
    pub payload: Payload,
    /// Messages in it.
    pub count: u32,
    /// Milliseconds since 1970.
    pub accepted_at: u64,
    /// `WebFS-Request` of its write.
    pub request: Option<RequestId>,
    /// The producer's triple of its write.
    pub producer: Option<Producer>,
    /// Within the stable cut.
    pub stable: bool,
}

/// [`crate::server::Slice`], with payloads that may still be in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The stream's type.
    pub content_type: ContentType,
    /// Entries in this server's order.
    pub entries: Vec<Picked>,
    /// `Stream-Next-Offset`.
    pub next: Cursor,
    /// `Stream-Up-To-Date`.
    pub up_to_date: bool,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
}

/// What a request came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of [`super::Core::create`].
    Created(Created),
    /// Of [`super::Core::append`].
    Appended(Appended),
    /// Of [`super::Core::delete`].
    Deleted,
    /// Of [`super::Core::head`].
    Head(Head),
    /// Of [`super::Core::read`].
    Read(Reading),
    /// Of [`super::Core::follow`].
    Following(Follow),
}

/// What the driver has to do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Append to the log. The n-th one logged since the log began, recovered ones included, has
    /// sequence n, from 1; [`super::Core::durable`] speaks of these.
    Log {
        /// The entry.
        entry: Entry,
        /// Its payload, empty in `entry`, is that of the entry at this place: the driver copies it.
        copy: Option<Place>,
    },
    /// Send to a peer, after everything sent to it before.
    Send {
        /// To whom.
        peer: PeerIndex,
        /// What.
        message: Message,
    },
    /// End the connection to a peer, which broke the protocol; a new one starts afresh.
    Disconnect {
        /// Whose.
        peer: PeerIndex,
        /// For the log.
        why: &'static str,
    },
    /// Answer a request.
    Answer {
        /// Which.
        ticket: Ticket,
        /// What.
        result: Result<Answer, Refusal>,
    },
    /// More of this stream can be read, or it was deleted, or its stable cut moved.
    Wake(StreamPath),
    /// For a director's watch: the stable cut of a stream that it wrote to moved.
    Stable {
        /// Whose watch.
        director: DirectorId,
        /// The stream.
        path: StreamPath,
        /// Its stable cut.
        cursor: Cursor,
    },
    /// Store this identity durably, then call [`super::Core::identity_stored`].
    StoreIdentity(Identity),
    /// End the server.
    Fatal(Fatal),
}
