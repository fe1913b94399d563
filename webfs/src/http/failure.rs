//! Every way the HTTP side says no by itself, and the status of each, the server's own refusals included.

use hyper::StatusCode;
use hyper::header::HeaderName;

use crate::cursor::BadCursor;
use crate::letter::BadName;
use crate::server::{Conflict, Refusal};
use crate::stream::BadValue;

use super::json::BadJson;
use super::query::BadQuery;
use super::route::NoRoute;

/// A request that is answered with an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The path: 404 or 400.
    #[error(transparent)]
    Route(#[from] NoRoute),
    /// The query: 400.
    #[error(transparent)]
    Query(#[from] BadQuery),
    /// A header: 400.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// The body: 400.
    #[error(transparent)]
    Json(#[from] BadJson),
    /// An append without a byte, or in JSON without a message: 400.
    #[error("an append needs at least one byte, or in JSON one message")]
    Empty,
    /// The client went away, or broke the framing of its body: 400, which nobody may read.
    #[error("the body broke off: {0}")]
    BodyBroken(hyper::Error),
    /// The body took too long: 408.
    #[error("the body did not arrive in time")]
    BodyLate,
    /// 413.
    #[error("more than {limit} bytes in one request; that is the limit")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// 405.
    #[error("this path takes {allowed}")]
    Method {
        /// `Allow`.
        allowed: &'static str,
    },
    /// 406.
    #[error("no consistency of {asked:?} is offered; there are: causal, stable (reads)")]
    Consistency {
        /// `Stream-Consistency` of the request.
        asked: String,
    },
    /// 426: a peer has to ask for the protocol of peers.
    #[error(
        "this path is for servers of the group, which upgrade to {}",
        crate::PEER_PROTOCOL
    )]
    Upgrade,
    /// 501: part of the protocol, but not of this server.
    #[error("{0} is not offered by this server")]
    NotOffered(&'static str),
    /// 503: too many connections.
    #[error("too many connections")]
    Crowded,
    /// As the server says.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A header that cannot be: 400.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadHeader {
    /// Given twice.
    #[error("the header {0} is given twice")]
    Twice(HeaderName),
    /// Needed, and not there.
    #[error("the header {0} is missing")]
    Missing(HeaderName),
    /// Not text.
    #[error("the header {0} is not text")]
    NotText(HeaderName),
    /// Its value cannot be stored.
    #[error("the header {0}: {1}")]
    Value(HeaderName, BadValue),
    /// Not an offset.
    #[error("the header {0}: {1}")]
    Offset(HeaderName, BadCursor),
    /// Not a number.
    #[error("the header {name} is a whole number from 0 to {max}, not {found:?}", max = crate::stream::MAX_COUNT)]
    Number {
        /// The header.
        name: HeaderName,
        /// What was sent.
        found: String,
    },
    /// Not a name of an entry.
    #[error("the header webfs-was: {0}")]
    Was(#[from] BadName),
    /// Too many names.
    #[error("the header webfs-was has more than {0} names")]
    TooManyWas(usize),
    /// Only some of the three.
    #[error("producer-id, producer-epoch and producer-seq come together or not at all")]
    ProducerIncomplete,
    /// An append has to say what it appends.
    #[error("an append needs a content-type")]
    NoContentType,
    /// Seconds.
    #[error("stream-ttl is a number of seconds without sign, point or leading zero, not {0:?}")]
    Ttl(String),
    /// A time.
    #[error("stream-expires-at is a time as RFC 3339 spells it, not {0:?}")]
    ExpiresAt(String),
    /// One or the other.
    #[error("stream-ttl and stream-expires-at exclude each other")]
    TtlAndExpiresAt,
    /// A fork's place without a fork.
    #[error("stream-fork-offset and stream-fork-sub-offset need stream-forked-from")]
    ForkWithoutSource,
}

impl Failure {
    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Route(NoRoute::Unknown | NoRoute::Reserved) => StatusCode::NOT_FOUND,
            Self::Route(NoRoute::Path(_) | NoRoute::Encoding(_) | NoRoute::EncodedSlash)
            | Self::Query(_)
            | Self::Header(_)
            | Self::Json(_)
            | Self::Empty
            | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::BodyLate => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Consistency { .. } => StatusCode::NOT_ACCEPTABLE,
            Self::Upgrade => StatusCode::UPGRADE_REQUIRED,
            Self::NotOffered(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(refusal) => refused(refusal),
        }
    }
}

fn refused(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownStream(_) => StatusCode::NOT_FOUND,
        Refusal::Gone { .. } => StatusCode::GONE,
        Refusal::BeyondTail | Refusal::EpochStart(_) | Refusal::Empty => StatusCode::BAD_REQUEST,
        Refusal::Conflict(
            Conflict::ContentType { .. }
            | Conflict::StreamSeq { .. }
            | Conflict::ProducerGap { .. },
        ) => StatusCode::CONFLICT,
        Refusal::StaleEpoch { .. } => StatusCode::FORBIDDEN,
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        Refusal::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
