//! Which part of the server a request's path means.

use crate::PEER_PATH;
use crate::path::{BadPath, StreamPath};

use super::percent::{self, BadEncoding};

/// Where all streams lie.
pub(crate) const STREAMS: &str = "/v1/stream/";
/// First segment that the protocol keeps for itself.
const RESERVED: &str = "__ds";

/// A path that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// The chat page.
    Page,
    /// Counters for Prometheus.
    Metrics,
    /// The probe.
    Health,
    /// A director's beat.
    Watch,
    /// The group's view.
    Group,
    /// A peer that wants to upgrade.
    Peer,
    /// A stream.
    Stream(StreamPath),
}

/// A path that means nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    /// 404.
    #[error("there is nothing at this path; streams are under {STREAMS}")]
    Unknown,
    /// 404.
    #[error(
        "paths that begin with `{RESERVED}` are kept for the protocol's subscriptions, which this server does not offer"
    )]
    Reserved,
    /// 400.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// 400.
    #[error("the path is not percent-encoded well: {0}")]
    Encoding(#[from] BadEncoding),
    /// 400: it would be read as a separator by some and as a letter by others.
    #[error("an encoded slash (%2F) cannot be in a stream's path")]
    EncodedSlash,
}

/// Finds the route of a path as it was sent, still percent-encoded.
pub(crate) fn route(path: &str) -> Result<Route, NoRoute> {
    match path {
        "/" => Ok(Route::Page),
        "/metrics" => Ok(Route::Metrics),
        "/.well-known/webfs/health" => Ok(Route::Health),
        "/.well-known/webfs/watch" => Ok(Route::Watch),
        "/.well-known/webfs/group" => Ok(Route::Group),
        PEER_PATH => Ok(Route::Peer),
        path => stream(path.strip_prefix(STREAMS).ok_or(NoRoute::Unknown)?),
    }
}

fn stream(encoded: &str) -> Result<Route, NoRoute> {
    let decoded = percent::decode(encoded)?;
    if decoded.matches('/').count() != encoded.matches('/').count() {
        return Err(NoRoute::EncodedSlash);
    }
    let path: StreamPath = decoded.parse()?;
    if path.as_str().split('/').next() == Some(RESERVED) {
        return Err(NoRoute::Reserved);
    }
    Ok(Route::Stream(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn streams_are_decoded_once() {
        let path = |text: &str| match route(text) {
            Ok(Route::Stream(path)) => path.as_str().to_owned(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(path("/v1/stream/rooms/lobby"), "rooms/lobby");
        assert_eq!(path("/v1/stream/h%C3%A4user%20x"), "häuser x");
        assert_eq!(path("/v1/stream/a%2525"), "a%25");
    }

    #[test]
    fn no_path_leads_out_of_the_streams() {
        for bad in [
            "/v1/stream/../secret",
            "/v1/stream/a/%2e%2e/b",
            "/v1/stream/%2E%2e",
            "/v1/stream/a%2fb",
            "/v1/stream/a%2F..%2Fb",
            "/v1/stream/a%00",
            "/v1/stream/a%0d%0ab",
            "/v1/stream/",
            "/v1/stream//a",
            "/v1/stream/%",
            "/v1/stream/%ff",
        ] {
            let found = route(bad);
            assert!(
                matches!(
                    found,
                    Err(NoRoute::Path(_) | NoRoute::Encoding(_) | NoRoute::EncodedSlash)
                ),
                "{bad}: {found:?}"
            );
        }
        assert_eq!(
            route("/v1/stream/__ds/subscriptions/1"),
            Err(NoRoute::Reserved)
        );
        assert_eq!(route("/v1/streams/a"), Err(NoRoute::Unknown));
        assert_eq!(route("*"), Err(NoRoute::Unknown));
    }

    proptest! {
        #[test]
        fn a_stream_found_has_no_dots_and_no_control_bytes(text in "[./%a-f0-9]{0,24}") {
            if let Ok(Route::Stream(path)) = route(&format!("{STREAMS}{text}")) {
                prop_assert!(path.as_str().split('/').all(|s| !matches!(s, "" | "." | "..")));
                prop_assert!(!path.as_str().chars().any(char::is_control));
            }
        }
    }
}
