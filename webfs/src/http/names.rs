//! Names of the headers that HTTP itself does not know, in one place.

use hyper::header::HeaderName;

macro_rules! names {
    ($($const:ident = $name:literal;)*) => {
        $(pub(crate) const $const: HeaderName = HeaderName::from_static($name);)*
    };
}

names! {
    NEXT_OFFSET = "stream-next-offset";
    UP_TO_DATE = "stream-up-to-date";
    STREAM_CURSOR = "stream-cursor";
    STREAM_CLOSED = "stream-closed";
    STREAM_SEQ = "stream-seq";
    STREAM_TTL = "stream-ttl";
    EXPIRES_AT = "stream-expires-at";
    FORKED_FROM = "stream-forked-from";
    FORK_OFFSET = "stream-fork-offset";
    FORK_SUB_OFFSET = "stream-fork-sub-offset";
    SSE_ENCODING = "stream-sse-data-encoding";

    PRODUCER_ID = "producer-id";
    PRODUCER_EPOCH = "producer-epoch";
    PRODUCER_SEQ = "producer-seq";
    PRODUCER_EXPECTED = "producer-expected-seq";
    PRODUCER_RECEIVED = "producer-received-seq";

    SERVER = "stream-server";
    STABLE_OFFSET = "stream-stable-offset";
    ENTRY = "stream-entry";
    MIN_OFFSET = "stream-min-offset";
    CONSISTENCY = "stream-consistency";
    DIRECTOR = "webfs-director";
    REQUEST = "webfs-request";
    WAS = "webfs-was";
    RELEASED = "webfs-released";
    ENTRIES = "webfs-entries";
    OUTCOME = "webfs-outcome";
    TYPE = "webfs-type";

    RESOURCE_POLICY = "cross-origin-resource-policy";
}

/// `Access-Control-Allow-Headers`: what a page of another origin may send.
pub(crate) const ALLOWED: &str = "content-type, authorization, if-none-match, stream-seq, stream-ttl, \
    stream-expires-at, stream-closed, stream-forked-from, stream-fork-offset, stream-fork-sub-offset, \
    stream-min-offset, stream-consistency, producer-id, producer-epoch, producer-seq, \
    webfs-director, webfs-request, webfs-was";
/// `Access-Control-Expose-Headers`: what it may read.
pub(crate) const EXPOSED: &str = "etag, location, retry-after, stream-next-offset, \
    stream-up-to-date, stream-cursor, stream-closed, stream-sse-data-encoding, stream-server, \
    stream-stable-offset, stream-entry, producer-epoch, producer-seq, producer-expected-seq, \
    producer-received-seq, webfs-released, webfs-entries, webfs-outcome";
