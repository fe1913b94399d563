//! What a request's headers ask for, checked before the server is called.

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName};

use crate::cursor::{Cursor, Position};
use crate::letter::{Name, shown};
use crate::server::Append;
use crate::stream::{ContentType, DirectorId, MAX_COUNT, Producer, RequestId, StreamSeq};

use super::failure::{BadHeader, Failure};
use super::names;

/// What any request to a stream may say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// `WebFS-Director`: the caller is one, and gets what only directors get.
    pub(crate) director: Option<DirectorId>,
    /// `Stream-Min-Offset`.
    pub(crate) min: Option<Cursor>,
    /// `Stream-Consistency: stable`.
    pub(crate) stable_only: bool,
}

/// What a write says besides its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Write {
    /// `Content-Type`.
    pub(crate) content_type: Option<ContentType>,
    /// `Producer-Id`, `-Epoch` and `-Seq`.
    pub(crate) producer: Option<Producer>,
    /// `Stream-Seq`.
    pub(crate) stream_seq: Option<StreamSeq>,
    /// `WebFS-Request`.
    pub(crate) request: Option<RequestId>,
    /// `WebFS-Was`.
    pub(crate) was: Vec<Name>,
    /// `Stream-Closed: true`; no other value counts.
    pub(crate) close: bool,
}

/// Reads what any request may say. `reading`: a reader may ask for the stable prefix.
pub(crate) fn caller(headers: &HeaderMap, reading: bool) -> Result<Caller, Failure> {
    let director = one(headers, &names::DIRECTOR)?
        .map(|text| {
            text.parse()
                .map_err(|bad| BadHeader::Value(names::DIRECTOR, bad))
        })
        .transpose()?;
    let min = match one(headers, &names::MIN_OFFSET)? {
        Some(text) => match text.parse() {
            Ok(Position::After(cursor)) => Some(cursor),
            Ok(Position::Start) => None,
            Ok(Position::Now | Position::Beyond) => {
                return Err(number(&names::MIN_OFFSET, text).into());
            }
            Err(bad) => return Err(BadHeader::Offset(names::MIN_OFFSET, bad).into()),
        },
        None => None,
    };
    Ok(Caller {
        director,
        min,
        stable_only: stable_only(headers, reading)?,
    })
}

/// The client's list, best first; the first that is offered holds.
fn stable_only(headers: &HeaderMap, reading: bool) -> Result<bool, Failure> {
    let Some(asked) = one(headers, &names::CONSISTENCY)? else {
        return Ok(false);
    };
    let offered = asked.split(',').find_map(|one| match one.trim() {
        "stable" if reading => Some(true),
        "causal" => Some(false),
        _ => None,
    });
    offered.ok_or_else(|| Failure::Consistency {
        asked: shown(asked),
    })
}

/// Reads a write's headers.
pub(crate) fn write(headers: &HeaderMap) -> Result<Write, BadHeader> {
    Ok(Write {
        content_type: stored(headers, &CONTENT_TYPE)?,
        producer: producer(headers)?,
        stream_seq: stored(headers, &names::STREAM_SEQ)?,
        request: stored(headers, &names::REQUEST)?,
        was: was(headers)?,
        close: one(headers, &names::STREAM_CLOSED)?
            .is_some_and(|text| text.eq_ignore_ascii_case("true")),
    })
}

/// Refuses what a create may ask for and this server does not offer, after checking that it is said
/// well: lifetimes, closed streams, forks.
pub(crate) fn refuse_unoffered(headers: &HeaderMap, write: &Write) -> Result<(), Failure> {
    let ttl = one(headers, &names::STREAM_TTL)?;
    let expires = one(headers, &names::EXPIRES_AT)?;
    if ttl.is_some() && expires.is_some() {
        return Err(BadHeader::TtlAndExpiresAt.into());
    }
    if let Some(text) = ttl {
        decimal(text).ok_or_else(|| BadHeader::Ttl(shown(text)))?;
        return Err(Failure::NotOffered("a time to live (stream-ttl)"));
    }
    if let Some(text) = expires {
        let _time: jiff::Timestamp = text
            .parse()
            .map_err(|_| BadHeader::ExpiresAt(shown(text)))?;
        return Err(Failure::NotOffered("an expiry (stream-expires-at)"));
    }
    let offset = one(headers, &names::FORK_OFFSET)?;
    let sub_offset = one(headers, &names::FORK_SUB_OFFSET)?;
    if let Some(text) = sub_offset {
        decimal(text).ok_or_else(|| number(&names::FORK_SUB_OFFSET, text))?;
    }
    if headers.contains_key(names::FORKED_FROM) {
        return Err(Failure::NotOffered("a fork (stream-forked-from)"));
    }
    if offset.is_some() || sub_offset.is_some() {
        return Err(BadHeader::ForkWithoutSource.into());
    }
    if write.close {
        return Err(Failure::NotOffered("a closed stream (stream-closed)"));
    }
    Ok(())
}

/// A header that may come once.
pub(crate) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, BadHeader> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(BadHeader::Twice(name.clone()));
    }
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some).map_err(|_| BadHeader::NotText(name.clone()))
}

fn stored<T>(headers: &HeaderMap, name: &HeaderName) -> Result<Option<T>, BadHeader>
where
    T: std::str::FromStr<Err = crate::stream::BadValue>,
{
    one(headers, name)?
        .map(|text| {
            text.parse()
                .map_err(|bad| BadHeader::Value(name.clone(), bad))
        })
        .transpose()
}

fn producer(headers: &HeaderMap) -> Result<Option<Producer>, BadHeader> {
    let id = stored(headers, &names::PRODUCER_ID)?;
    let epoch = count(headers, &names::PRODUCER_EPOCH)?;
    let seq = count(headers, &names::PRODUCER_SEQ)?;
    match (id, epoch, seq) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq)) => Ok(Some(Producer { id, epoch, seq })),
        _ => Err(BadHeader::ProducerIncomplete),
    }
}

fn count(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, BadHeader> {
    one(headers, name)?
        .map(|text| {
            decimal(text)
                .filter(|&count| count <= MAX_COUNT)
                .ok_or_else(|| number(name, text))
        })
        .transpose()
}

fn was(headers: &HeaderMap) -> Result<Vec<Name>, BadHeader> {
    let Some(text) = one(headers, &names::WAS)? else {
        return Ok(Vec::new());
    };
    let names: Vec<Name> = text
        .split(',')
        .take(Append::MAX_WAS + 1)
        .map(|name| name.trim().parse())
        .collect::<Result<_, _>>()?;
    if names.len() > Append::MAX_WAS {
        return Err(BadHeader::TooManyWas(Append::MAX_WAS));
    }
    Ok(names)
}

/// Digits alone, without a leading zero.
fn decimal(text: &str) -> Option<u64> {
    let good =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    good.then(|| text.parse().ok()).flatten()
}

fn number(name: &HeaderName, text: &str) -> BadHeader {
    BadHeader::Number {
        name: name.clone(),
        found: shown(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn a_producer_is_whole_or_not_there() {
        let read = |pairs: &[(&'static str, &str)]| write(&headers(pairs));
        let whole = [
            ("producer-id", "p"),
            ("producer-epoch", "0"),
            ("producer-seq", "9007199254740991"),
        ];
        let producer = read(&whole).unwrap().producer.unwrap();
        assert_eq!((producer.epoch, producer.seq), (0, MAX_COUNT));
        for left_out in 0..3 {
            let mut part = whole.to_vec();
            part.remove(left_out);
            assert!(matches!(read(&part), Err(BadHeader::ProducerIncomplete)));
        }
        for bad in [
            "",
            "-1",
            "+1",
            "01",
            "1e3",
            "0xyz",
            "9007199254740992",
            "1 ",
        ] {
            let pairs = [
                ("producer-id", "p"),
                ("producer-epoch", "0"),
                ("producer-seq", bad),
            ];
            assert!(
                matches!(read(&pairs), Err(BadHeader::Number { .. })),
                "{bad:?}"
            );
        }
        let empty = [
            ("producer-id", ""),
            ("producer-epoch", "0"),
            ("producer-seq", "0"),
        ];
        assert!(matches!(read(&empty), Err(BadHeader::Value(..))));
    }

    #[test]
    fn former_names_are_a_short_list() {
        let read =
            |text: &str| write(&headers(&[("webfs-was", text)])).map(|write| write.was.len());
        assert_eq!(read("a.57, b.3").unwrap(), 2);
        assert_eq!(read("a.1,a.2,a.3,a.4,a.5,a.6,a.7,a.8").unwrap(), 8);
        assert!(matches!(
            read("a.1,a.2,a.3,a.4,a.5,a.6,a.7,a.8,a.9"),
            Err(BadHeader::TooManyWas(8))
        ));
        assert!(matches!(read("a.57,"), Err(BadHeader::Was(_))));
    }

    #[test]
    fn a_header_comes_once() {
        let twice = headers(&[("webfs-request", "d.1"), ("webfs-request", "d.2")]);
        assert!(matches!(write(&twice), Err(BadHeader::Twice(_))));
    }

    #[test]
    fn a_reader_may_ask_for_the_stable_prefix() {
        let ask = |text: &str, reading| {
            caller(&headers(&[("stream-consistency", text)]), reading).map(|c| c.stable_only)
        };
        assert!(ask("stable", true).unwrap());
        assert!(!ask("total, causal", false).unwrap());
        for (text, reading) in [("total", true), ("stable", false), ("", true)] {
            let failure = ask(text, reading).unwrap_err();
            assert_eq!(failure.status(), StatusCode::NOT_ACCEPTABLE, "{text}");
        }
    }

    #[test]
    fn what_is_not_offered_is_checked_first() {
        let status = |pairs: &[(&'static str, &str)]| {
            let headers = headers(pairs);
            let write = write(&headers).unwrap();
            refuse_unoffered(&headers, &write)
                .err()
                .map(|f| f.status().as_u16())
        };
        assert_eq!(status(&[("stream-closed", "yes")]), None);
        for bad in ["+5", "05", "5.0", "5e0", "-1", "", "abc"] {
            assert_eq!(status(&[("stream-ttl", bad)]), Some(400), "{bad}");
        }
        let time = "2026-01-01T00:00:00Z";
        for (pairs, code) in [
            (&[("stream-ttl", "3600")][..], 501),
            (&[("stream-expires-at", time)], 501),
            (&[("stream-expires-at", "2026-01-01T01:00:00+01:00")], 501),
            (&[("stream-expires-at", "tomorrow")], 400),
            (&[("stream-ttl", "1"), ("stream-expires-at", time)], 400),
            (&[("stream-closed", "TRUE")], 501),
            (&[("stream-forked-from", "/v1/stream/a")], 501),
            (&[("stream-fork-sub-offset", "0")], 400),
            (
                &[
                    ("stream-forked-from", "/a"),
                    ("stream-fork-sub-offset", "x"),
                ],
                400,
            ),
        ] {
            assert_eq!(status(pairs), Some(code), "{pairs:?}");
        }
    }
}
