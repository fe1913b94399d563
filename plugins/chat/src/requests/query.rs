//! A read's query: where from, and whether it waits for more.

use crate::cursor::Cursor;
use crate::path::percent_decoded;

/// How a read goes on at the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It ends.
    CatchUp,
    /// It waits for one answer.
    LongPoll,
    /// It goes on for ever, as events.
    Live,
}

/// A read's target, taken apart so that its offset can be replaced.
#[derive(Debug, Clone)]
pub struct Query {
    path: String,
    /// The parameters other than `offset`, as they came.
    others: Vec<String>,
    /// The `offset`, decoded; `None` when it is missing, or not there exactly once: then the node says
    /// what is wrong with it.
    offset: Option<String>,
    original: String,
    mode: Mode,
}

impl Query {
    /// Takes a target apart.
    #[must_use]
    pub fn of(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut others = Vec::new();
        let mut offsets = Vec::new();
        let mut mode = Mode::CatchUp;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match (decoded(key).as_str(), value.as_str()) {
                ("offset", _) => offsets.push(value),
                ("live", "sse") => mode = Mode::Live,
                ("live", "long-poll") => mode = Mode::LongPoll,
                _ => {}
            }
            if decoded(key) != "offset" {
                others.push(pair.to_owned());
            }
        }
        let offset = match (offsets.pop(), offsets.is_empty()) {
            (Some(offset), true) => Some(offset),
            _ => None,
        };
        Self {
            path: path.to_owned(),
            others,
            offset,
            original: target.to_owned(),
            mode,
        }
    }

    /// How it goes on at the tail.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The cursor that the client brings, if it is one.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.offset.as_deref()?.parse().ok()
    }

    /// The target as it came, or from another offset on.
    #[must_use]
    pub fn from(&self, offset: Option<&str>) -> String {
        let Some(offset) = offset else {
            return self.original.clone();
        };
        let mut target = format!("{}?offset={offset}", self.path);
        for other in &self.others {
            target.push('&');
            target.push_str(other);
        }
        target
    }
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let bytes = percent_decoded(&spaced).unwrap_or_else(|| spaced.into_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_found_and_replaced() {
        let query = Query::of("/v1/stream/a?live=sse&offset=0000000000000001_g0%2Da.1&x=%26");
        assert_eq!(query.mode(), Mode::Live);
        assert_eq!(
            query.cursor().unwrap().to_string(),
            "0000000000000001_g0-a.1"
        );
        assert_eq!(
            query.from(Some("now")),
            "/v1/stream/a?offset=now&live=sse&x=%26"
        );
        assert!(query.from(None).contains("%2Da.1"));
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for target in [
            "/a",
            "/a?",
            "/a?offset=-1",
            "/a?offset=now",
            "/a?offset=",
            "/a?offset=1&offset=2",
        ] {
            let query = Query::of(target);
            assert_eq!(
                (query.cursor(), query.mode()),
                (None, Mode::CatchUp),
                "{target}"
            );
            assert_eq!(query.from(None), target);
        }
        assert_eq!(Query::of("/a?live=long-poll").mode(), Mode::LongPoll);
        assert_eq!(Query::of("/a?live=%73se").mode(), Mode::Live);
        assert_eq!(Query::of("/a?live=other").mode(), Mode::CatchUp);
    }
}
