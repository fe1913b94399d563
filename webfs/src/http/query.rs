//! What a read asks for: `?offset=...&live=...&cursor=...`.

use crate::cursor::{BadCursor, Position};
use crate::letter::shown;

use super::percent::{self, BadEncoding};

/// How a reader waits for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    /// One answer, as soon as there is something.
    LongPoll,
    /// Events without end.
    Sse,
}

/// A read's query, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadQuery {
    /// Where it begins; the start when nothing is said.
    pub(crate) from: Position,
    /// Whether it waits for more.
    pub(crate) live: Option<Live>,
    /// The `Stream-Cursor` of the last answer, echoed. What is no number is as good as none.
    pub(crate) cursor: Option<u64>,
}

/// A query that cannot be answered: 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadQuery {
    /// Two offsets, or two ways of waiting.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// `offset=` with nothing behind it.
    #[error("`offset` is empty; -1 is the start, now is the tail")]
    EmptyOffset,
    /// Not an offset.
    #[error(transparent)]
    Offset(#[from] BadCursor),
    /// Neither way of waiting.
    #[error("`live` is long-poll or sse, not {0:?}")]
    Live(String),
    /// A live read has to say where it begins.
    #[error("a live read needs an `offset`; -1 is the start, now is the tail")]
    LiveWithoutOffset,
    /// Not percent-encoded.
    #[error("the query is not percent-encoded well: {0}")]
    Encoding(#[from] BadEncoding),
}

/// Reads a query; parameters that it does not know are ignored.
pub(crate) fn read_query(query: Option<&str>) -> Result<ReadQuery, BadQuery> {
    let mut offset: Option<String> = None;
    let mut live: Option<Live> = None;
    let mut cursor = None;
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "offset" => put(&mut offset, value_of(value)?, "offset")?,
            "live" => put(&mut live, live_of(value)?, "live")?,
            "cursor" => cursor = value.parse().ok(),
            _ => {}
        }
    }
    let from = match offset.as_deref() {
        None if live.is_some() => return Err(BadQuery::LiveWithoutOffset),
        None => Position::Start,
        Some("") => return Err(BadQuery::EmptyOffset),
        Some(text) => text.parse()?,
    };
    Ok(ReadQuery { from, live, cursor })
}

fn put<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), BadQuery> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadQuery::Twice(name)),
    }
}

/// In a query a plus is a space.
fn value_of(text: &str) -> Result<String, BadEncoding> {
    percent::decode(&text.replace('+', " "))
}

fn live_of(text: &str) -> Result<Live, BadQuery> {
    match text {
        "long-poll" => Ok(Live::LongPoll),
        "sse" => Ok(Live::Sse),
        text => Err(BadQuery::Live(shown(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_read_begins_where_it_says() {
        let read = |query| read_query(query).unwrap();
        assert_eq!(read(None).from, Position::Start);
        assert_eq!(read(Some("offset=-1")).from, Position::Start);
        assert_eq!(read(Some("offset=now&x=1&offsets=2")).from, Position::Now);
        let token = "0000000000000137_g3-a.80-b.57";
        let live = read(Some(
            "live=sse&offset=0000000000000137_g3%2da.80-b.57&cursor=12",
        ));
        assert_eq!(live.from, Position::After(token.parse().unwrap()));
        assert_eq!(live.live, Some(Live::Sse));
        assert_eq!(live.cursor, Some(12));
        assert_eq!(read(Some("offset=-1&cursor=x")).cursor, None);
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        for (query, found) in [
            ("offset=", BadQuery::EmptyOffset),
            ("offset", BadQuery::EmptyOffset),
            ("offset=-1&offset=now", BadQuery::Twice("offset")),
            ("offset=-1&live=sse&live=sse", BadQuery::Twice("live")),
            ("live=sse", BadQuery::LiveWithoutOffset),
            ("live=long-poll", BadQuery::LiveWithoutOffset),
            ("offset=-1&live=yes", BadQuery::Live("yes".into())),
            ("offset=%zz", BadQuery::Encoding(BadEncoding::Digits)),
        ] {
            assert_eq!(read_query(Some(query)), Err(found), "{query}");
        }
    }

    proptest! {
        #[test]
        fn an_offset_with_a_strange_character_is_refused(
            before in "[0-9a-z_.-]{0,8}",
            strange in prop::sample::select(vec![
                "%20", "+", "%2F", "/", "%2C", ",", "%00", "%0A", "%0D%0A", "..", "%2E%2E",
            ]),
            after in "[0-9a-z_.-]{0,8}",
        ) {
            let query = format!("offset={before}{strange}{after}");
            prop_assert!(read_query(Some(&query)).is_err());
        }
    }
}
