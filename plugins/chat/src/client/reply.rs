//! What a client is answered: a node's answer, or a clean error of our own.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use director_sdk::{Exception, Kind};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::client::live_body::LiveBody;
use crate::node::answer::Answer;
use crate::shared::Said;

/// The body of an answer.
pub enum ReplyBody {
    /// Known whole.
    Whole(Full<Bytes>),
    /// A live read.
    Live(Box<LiveBody>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Live(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Live(_) => SizeHint::default(),
        }
    }
}

/// An answer to a client.
pub type Reply = Response<ReplyBody>;

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
}

/// A node's answer.
#[must_use]
pub fn of(answer: Answer) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(Full::new(answer.body)));
    *reply.status_mut() = answer.status;
    *reply.headers_mut() = answer.headers;
    shown(reply.headers_mut());
    reply
}

/// The head of a live read, with its body to come.
#[must_use]
pub fn live(headers: HeaderMap, body: LiveBody) -> Reply {
    let mut reply = Response::new(ReplyBody::Live(Box::new(body)));
    *reply.headers_mut() = headers;
    shown(reply.headers_mut());
    // Of a node that may be another one soon, and of a place that the client is not at.
    for name in [
        "stream-server",
        "stream-next-offset",
        "stream-stable-offset",
    ] {
        reply.headers_mut().remove(name);
    }
    reply
}

/// An error of our own: one line in JSON.
#[must_use]
pub fn error(status: StatusCode, error: &str) -> Reply {
    problem(
        status,
        &Problem {
            error,
            outcome: None,
        },
    )
}

/// No node could spare the client this exception.
#[must_use]
pub fn gave_up(exception: &Exception, said: Said) -> Reply {
    if said.unknown {
        metrics::counter!("director_chat_unknown_total").increment(1);
        let text = format!("no node answered, and one of them may have done it: {exception}");
        return problem(
            StatusCode::BAD_GATEWAY,
            &Problem {
                error: &text,
                outcome: Some("unknown"),
            },
        );
    }
    if let Some(answer) = said.last {
        return of(answer);
    }
    let status = match exception.kind {
        Kind::Garbled | Kind::Diverged | Kind::Fault => StatusCode::BAD_GATEWAY,
        Kind::Unreachable
        | Kind::Lost
        | Kind::Stalled
        | Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Denied
        | Kind::Invalid
        | Kind::Unknown
        | Kind::ClientGone
        | Kind::Exhausted => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = format!("no node could be asked: {exception}");
    let mut reply = problem(
        status,
        &Problem {
            error: &text,
            outcome: Some("not done"),
        },
    );
    let wait = exception.retry_after.unwrap_or_default().as_secs().max(1);
    reply.headers_mut().insert(RETRY_AFTER, wait.into());
    reply
}

/// Too much is waiting to become stable.
#[must_use]
pub fn outbox_full() -> Reply {
    let text = "too many writes wait for a second server to store them";
    let mut reply = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        &Problem {
            error: text,
            outcome: Some("not done"),
        },
    );
    reply.headers_mut().insert(RETRY_AFTER, 1.into());
    reply
}

fn problem(status: StatusCode, problem: &Problem<'_>) -> Reply {
    // Two strings: it cannot fail.
    let text = serde_json::to_string(problem).unwrap_or_default();
    let mut reply = Response::new(ReplyBody::Whole(Full::new(text.into())));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    reply
}

/// Takes out what only a director is told.
fn shown(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("webfs-"))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(kind: Kind) -> Exception {
        Exception {
            kind,
            code: 0,
            retry_after: None,
            node: None,
            attempt: 3,
            sent: 0,
            answered: 0,
            detail: "refused".to_owned(),
        }
    }

    fn answer(status: StatusCode) -> Answer {
        Answer {
            status,
            headers: [("webfs-entries", "[]"), ("stream-server", "a/1")]
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
            body: Bytes::new(),
            keeps: true,
        }
    }

    #[test]
    fn a_client_sees_the_last_answer_or_a_clean_error() {
        let reply = gave_up(&exception(Kind::Exhausted), Said::default());
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers()[RETRY_AFTER], "1");
        let said = |unknown| {
            let mut said = Said::default();
            said.last = Some(answer(StatusCode::NOT_FOUND));
            said.unknown = unknown;
            said
        };
        let reply = gave_up(&exception(Kind::Exhausted), said(false));
        assert_eq!(reply.status(), StatusCode::NOT_FOUND);
        assert!(!reply.headers().contains_key("webfs-entries"));
        let reply = gave_up(&exception(Kind::Exhausted), said(true));
        assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
        assert!(
            !reply.headers().contains_key(RETRY_AFTER),
            "a repeat may do it twice"
        );
    }
}
