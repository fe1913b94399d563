//! Bodies, as far as entries are cut out of them: JSON arrays by messages, anything else by bytes.

use std::hash::Hasher;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::value::RawValue;

/// How the bytes of a stream stand in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON array, one element a message.
    Json,
    /// The bytes themselves.
    Bytes,
    /// The bytes in base64 (in events of streams that are no text).
    Base64,
}

/// A body that is not what its form says, or has no place as the entries tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadBody(pub &'static str);

impl std::fmt::Display for BadBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadBody {}

/// A body taken apart, so that places in it can be found.
#[derive(Debug)]
pub enum Parts<'a> {
    /// The messages.
    Json(Vec<&'a RawValue>),
    /// The bytes.
    Bytes(&'a [u8]),
    /// The bytes, decoded.
    Base64(Vec<u8>),
}

impl<'a> Parts<'a> {
    /// Takes a body apart.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn of(form: Form, body: &'a [u8]) -> Result<Self, BadBody> {
        match form {
            Form::Json => serde_json::from_slice(body)
                .map(Self::Json)
                .map_err(|_| BadBody("the body is no JSON array")),
            Form::Bytes => Ok(Self::Bytes(body)),
            Form::Base64 => {
                let text: Vec<u8> = body.iter().copied().filter(|b| *b != b'\n').collect();
                BASE64
                    .decode(text)
                    .map(Self::Base64)
                    .map_err(|_| BadBody("the event's data is no base64"))
            }
        }
    }

    /// How many messages or bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(messages) => messages.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Base64(bytes) => bytes.len(),
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A number that tells contents apart, for one process. `None` when the place is not in the body.
    #[must_use]
    pub fn digest(&self, place: Range<usize>) -> Option<u64> {
        let mut digest = std::hash::DefaultHasher::new();
        match self {
            Self::Json(messages) => {
                for message in messages.get(place)? {
                    digest.write(message.get().as_bytes());
                    digest.write(b",");
                }
            }
            Self::Bytes(bytes) => digest.write(bytes.get(place)?),
            Self::Base64(bytes) => digest.write(bytes.get(place)?),
        }
        Some(digest.finish())
    }

    /// The body without some places, in its form. The places are sorted and do not overlap.
    ///
    /// # Errors
    /// When a place is not in the body.
    pub fn without(&self, places: &[Range<usize>]) -> Result<Bytes, BadBody> {
        let kept = kept(places, self.len())?;
        Ok(match self {
            Self::Json(messages) => {
                let mut out = Vec::new();
                for message in kept.into_iter().flat_map(|range| &messages[range]) {
                    out.push(if out.is_empty() { b'[' } else { b',' });
                    out.extend_from_slice(message.get().as_bytes());
                }
                if out.is_empty() {
                    out.push(b'[');
                }
                out.push(b']');
                out.into()
            }
            Self::Bytes(bytes) => joined(bytes, kept).into(),
            Self::Base64(bytes) => BASE64.encode(joined(bytes, kept)).into(),
        })
    }
}

fn kept(places: &[Range<usize>], len: usize) -> Result<Vec<Range<usize>>, BadBody> {
    let mut kept = Vec::with_capacity(places.len() + 1);
    let mut from = 0;
    for place in places {
        if place.start < from || place.end < place.start || place.end > len {
            return Err(BadBody("an entry's place is not in the body"));
        }
        kept.push(from..place.start);
        from = place.end;
    }
    kept.push(from..len);
    Ok(kept)
}

fn joined(bytes: &[u8], kept: Vec<Range<usize>>) -> Vec<u8> {
    kept.into_iter()
        .flat_map(|range| bytes[range].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(form: Form, body: &[u8], places: &[Range<usize>]) -> Result<Bytes, BadBody> {
        Parts::of(form, body)?.without(places)
    }

    #[test]
    fn messages_are_cut_out_and_the_rest_keeps_its_spelling() {
        let body = br#"[ {"a" : 1}, "x,]" ,[2,3] ]"#;
        assert_eq!(
            cut(Form::Json, body, &[1..2]).unwrap(),
            &br#"[{"a" : 1},[2,3]]"#[..]
        );
        assert_eq!(cut(Form::Json, body, &[0..1, 1..3]).unwrap(), &b"[]"[..]);
        assert!(cut(Form::Json, body, &[2..4]).is_err());
        assert!(cut(Form::Json, body, &[1..2, 0..1]).is_err());
        assert!(cut(Form::Json, b"{}", &[]).is_err());
    }

    #[test]
    fn base64_is_cut_by_the_bytes_it_stands_for() {
        let body = BASE64.encode([1u8, 2, 3, 4, 5]);
        let rest = cut(Form::Base64, body.as_bytes(), &[1..3]).unwrap();
        assert_eq!(BASE64.decode(rest).unwrap(), [1, 4, 5]);
        assert!(cut(Form::Base64, b"*", &[]).is_err());
    }

    #[test]
    fn a_digest_is_of_the_content_alone() {
        let one = Parts::of(Form::Json, br#"[1,{"x": 2},3]"#).unwrap();
        let other = Parts::of(Form::Json, br#"[ {"x": 2} ]"#).unwrap();
        assert_eq!(one.digest(1..2), other.digest(0..1));
        assert_ne!(one.digest(0..1), one.digest(2..3));
        assert_eq!(one.digest(3..4), None);
    }

    proptest! {
        #[test]
        fn bytes_without_places(body: Vec<u8>, mut ends in proptest::collection::vec(0usize..40, 0..6)) {
            ends.sort_unstable();
            let places: Vec<_> = ends.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let inside = places.iter().all(|place| place.end <= body.len());
            let result = cut(Form::Bytes, &body, &places);
            prop_assert_eq!(result.is_ok(), inside);
            if let Ok(rest) = result {
                let expected: Vec<u8> = body.iter().enumerate()
                    .filter(|(at, _)| !places.iter().any(|place| place.contains(at)))
                    .map(|(_, byte)| *byte).collect();
                prop_assert_eq!(&rest[..], &expected[..]);
            }
        }
    }
}
