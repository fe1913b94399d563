//! Answers: what every one carries, and errors as text.

use std::time::Duration;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONNECTION,
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::cursor::Cursor;
use crate::server::{Conflict, Identity, NotReady, Refusal};

use super::body::ReplyBody;
use super::failure::Failure;
use super::names;

/// Not to be kept by anybody.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// To be asked about again each time.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// The word that all flags of the protocol are spelled with.
pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer under way.
pub(crate) struct Reply(Response<ReplyBody>);

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, ReplyBody::whole(""))
    }

    /// An answer with a body.
    pub(crate) fn new(status: StatusCode, body: ReplyBody) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Self(response)
    }

    /// An answer of JSON that nobody keeps.
    pub(crate) fn json(status: StatusCode, json: String) -> Self {
        Self::new(status, ReplyBody::whole(json))
            .with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .with(CACHE_CONTROL, NO_STORE)
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// Adds a header whose text is ours, or was checked. A value that HTTP cannot carry is left out, and
    /// said in the log.
    pub(crate) fn with_text(self, name: HeaderName, text: &str) -> Self {
        match HeaderValue::from_bytes(text.as_bytes()) {
            Ok(value) => self.with(name, value),
            Err(_) => {
                tracing::warn!(%name, text, "not a header's value; left out");
                self
            }
        }
    }

    /// Adds `Stream-Next-Offset` and `Stream-Stable-Offset`.
    pub(crate) fn at(self, next: &Cursor, stable: &Cursor) -> Self {
        self.with_text(names::NEXT_OFFSET, &next.to_string())
            .with_text(names::STABLE_OFFSET, &stable.to_string())
    }

    /// The answer's headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// What `failure` tells its client.
    pub(crate) fn failure(failure: &Failure) -> Self {
        let reply = Self::new(failure.status(), ReplyBody::whole(format!("{failure}\n")))
            .with(CONTENT_TYPE, TEXT)
            .with(CACHE_CONTROL, NO_STORE);
        match failure {
            Failure::Method { allowed } => reply.with_text(ALLOW, allowed),
            Failure::Crowded => reply
                .with(RETRY_AFTER, HeaderValue::from(1))
                .with(CONNECTION, HeaderValue::from_static("close")),
            Failure::Upgrade => reply
                .with(UPGRADE, HeaderValue::from_static(crate::PEER_PROTOCOL))
                .with(CONNECTION, HeaderValue::from_static("upgrade")),
            // What is left of the body is not read.
            Failure::TooLarge { .. } | Failure::BodyLate | Failure::BodyBroken(_) => {
                reply.with(CONNECTION, HeaderValue::from_static("close"))
            }
            Failure::Refused(refusal) => reply.refusal(refusal),
            Failure::Route(_)
            | Failure::Query(_)
            | Failure::Header(_)
            | Failure::Json(_)
            | Failure::Empty
            | Failure::Consistency { .. }
            | Failure::NotOffered(_) => reply,
        }
    }

    fn refusal(self, refusal: &Refusal) -> Self {
        match refusal {
            Refusal::StaleEpoch { current, .. } => {
                self.with(names::PRODUCER_EPOCH, HeaderValue::from(*current))
            }
            Refusal::Conflict(Conflict::ProducerGap { expected, received }) => self
                .with(names::PRODUCER_EXPECTED, HeaderValue::from(*expected))
                .with(names::PRODUCER_RECEIVED, HeaderValue::from(*received)),
            Refusal::NotReady(not_ready) => self.retry_after(not_ready),
            Refusal::Conflict(Conflict::ContentType { .. } | Conflict::StreamSeq { .. })
            | Refusal::UnknownStream(_)
            | Refusal::Gone { .. }
            | Refusal::BeyondTail
            | Refusal::EpochStart(_)
            | Refusal::Empty
            | Refusal::TooLarge { .. }
            | Refusal::DiskFull
            | Refusal::Unreadable(_) => self,
        }
    }

    fn retry_after(self, not_ready: &NotReady) -> Self {
        let wait = not_ready.retry_after();
        let up = u64::from(wait.subsec_nanos() > 0);
        let reply = self.with(RETRY_AFTER, HeaderValue::from(wait.as_secs() + up));
        match not_ready {
            // A write may have happened.
            NotReady::Stopping => reply.with(names::OUTCOME, HeaderValue::from_static("unknown")),
            NotReady::Joining { .. }
            | NotReady::Behind { .. }
            | NotReady::ProducerGap { .. }
            | NotReady::Busy => reply,
        }
    }

    /// The answer, with what every answer carries.
    pub(crate) fn finish(self, identity: Option<Identity>) -> Response<ReplyBody> {
        let reply = match identity {
            Some(identity) => self.with_text(names::SERVER, &identity.to_string()),
            None => self,
        };
        reply
            .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
            .with(
                names::RESOURCE_POLICY,
                HeaderValue::from_static("cross-origin"),
            )
            .with(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
            .with(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(names::EXPOSED),
            )
            .0
    }
}

/// The answer to a browser that asks before it sends.
pub(crate) fn preflight(methods: &'static str) -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
        .with(ALLOW, HeaderValue::from_static(methods))
        .with(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(methods),
        )
        .with(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(names::ALLOWED),
        )
        .with(
            ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from(Duration::from_secs(86_400).as_secs()),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_carries_what_a_browser_needs() {
        let failure = Failure::NotOffered("a fork (stream-forked-from)");
        let identity = Identity {
            letter: "a".parse().unwrap(),
            start: 5,
        };
        let response = Reply::failure(&failure).finish(Some(identity));
        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("access-control-allow-origin", "*"),
            ("stream-server", "a/5"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
    }

    #[test]
    fn not_now_says_when() {
        for (not_ready, seconds) in [(NotReady::Busy, "1"), (NotReady::Stopping, "1")] {
            let is_unknown = not_ready == NotReady::Stopping;
            let reply = Reply::failure(&Refusal::from(not_ready).into());
            assert_eq!(reply.0.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(reply.headers()[RETRY_AFTER], seconds);
            assert_eq!(reply.headers().contains_key(names::OUTCOME), is_unknown);
        }
    }

    #[test]
    fn a_browser_may_send_and_read_what_there_is() {
        let reply = preflight("GET, POST");
        let allowed = reply.headers()[ACCESS_CONTROL_ALLOW_HEADERS]
            .to_str()
            .unwrap();
        for header in ["if-none-match", "content-type", "producer-id", "stream-seq"] {
            assert!(allowed.split(", ").any(|one| one == header), "{header}");
        }
    }
}
