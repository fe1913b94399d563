//! What a node's answer means: the client's to see, or a failure that another node may spare it.

use std::time::Duration;

use director_sdk::{Failure, FailureRow, Kind};
use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, StatusCode};

use crate::node::answer::Answer;

/// Longest wait that a node is believed.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Statuses and what they mean, where they mean a failure.
pub static ROWS: [FailureRow; 5] = [
    FailureRow::new(404..=404, Kind::Missing),
    FailureRow::new(429..=429, Kind::Busy),
    FailureRow::new(503..=503, Kind::Busy),
    // Its disk is full: it goes on reading, and others write.
    FailureRow::new(507..=507, Kind::Busy),
    FailureRow::new(500..=599, Kind::Garbled),
];

/// The failure that an answer is, if it is one. Everything else is the client's to see: a 409 is the same
/// wherever it is asked for.
#[must_use]
pub fn of(answer: &Answer) -> Option<Failure> {
    let code = u32::from(answer.status.as_u16());
    // What no server of the kind does, another does not do either.
    if matches!(answer.status, StatusCode::NOT_IMPLEMENTED) {
        return None;
    }
    if !ROWS.iter().any(|row| row.codes().contains(&code)) {
        return None;
    }
    let mut failure = Failure::code(code, said(answer));
    if let Some(wait) = retry_after(&answer.headers) {
        failure = failure.retry_after(wait);
    }
    Some(if answer.keeps { failure.fit() } else { failure })
}

/// Whether what was asked may have been done although this is the answer: the node broke in the middle, or
/// says itself that it does not know.
#[must_use]
pub fn leaves_unknown(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        503 => answer.headers.contains_key("webfs-outcome"),
        507 => false,
        status => status >= 500,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// The answer's own words, for the log.
fn said(answer: &Answer) -> String {
    let text: String = String::from_utf8_lossy(&answer.body)
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    format!("status {}: {text}", answer.status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: [(RETRY_AFTER, "7".parse().unwrap())].into_iter().collect(),
            body: "no\n".into(),
            keeps: true,
        }
    }

    #[test]
    fn statuses_are_failures_or_the_clients_to_see() {
        for status in [200, 201, 204, 304, 400, 403, 409, 410, 413, 501] {
            assert_eq!(of(&answer(status)), None, "{status}");
        }
        for status in [404, 429, 500, 502, 503, 507] {
            let failure = of(&answer(status)).unwrap();
            assert_eq!(failure.wait(), Some(Duration::from_secs(7)));
            assert!(failure.is_fit());
            assert_eq!(failure.detail(), format!("status {status}: no"));
        }
    }

    #[test]
    fn only_some_answers_leave_open_whether_it_happened() {
        for (status, unknown) in [
            (404, false),
            (429, false),
            (503, false),
            (507, false),
            (500, true),
        ] {
            assert_eq!(leaves_unknown(&answer(status)), unknown, "{status}");
        }
        let mut stopping = answer(503);
        stopping
            .headers
            .insert("webfs-outcome", "unknown".parse().unwrap());
        assert!(leaves_unknown(&stopping));
    }
}
