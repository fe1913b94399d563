//! JSON mode: a body becomes messages, and messages a body.
//!
//! Exactly one level of array is flattened, one message each; what is deeper stays as it was sent, byte
//! for byte, numbers and escapes included.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

/// A body's messages, as an entry stores them: joined by commas, without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Messages {
    /// The messages; empty when there are none.
    pub(crate) payload: Bytes,
    /// How many.
    pub(crate) count: u32,
}

/// The body is no JSON: 400.
#[derive(Debug, thiserror::Error)]
#[error("the body is no JSON: {0}")]
pub(crate) struct BadJson(#[from] serde_json::Error);

/// Flattens one body.
pub(crate) fn flatten(body: &[u8]) -> Result<Messages, BadJson> {
    let whole: &RawValue = serde_json::from_slice(body)?;
    if !whole.get().starts_with('[') {
        return Ok(Messages {
            payload: Bytes::copy_from_slice(whole.get().as_bytes()),
            count: 1,
        });
    }
    let messages: Vec<&RawValue> = serde_json::from_str(whole.get())?;
    let mut payload = BytesMut::with_capacity(body.len());
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            payload.extend_from_slice(b",");
        }
        payload.extend_from_slice(message.get().as_bytes());
    }
    Ok(Messages {
        payload: payload.freeze(),
        // A message has a byte at least, and a body is far below 4 GiB.
        count: u32::try_from(messages.len()).unwrap_or(u32::MAX),
    })
}

/// Puts entries' payloads into one array.
pub(crate) fn array<'a>(payloads: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let size: usize = payloads.clone().map(|payload| payload.len() + 1).sum();
    let mut out = Vec::with_capacity(size + 2);
    out.push(b'[');
    for (at, payload) in payloads.filter(|payload| !payload.is_empty()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(payload);
    }
    out.push(b']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn flat(body: &str) -> (String, u32) {
        let messages = flatten(body.as_bytes()).unwrap();
        (
            String::from_utf8(messages.payload.to_vec()).unwrap(),
            messages.count,
        )
    }

    #[test]
    fn one_level_is_flattened_and_no_more() {
        assert_eq!(flat(" {\"a\": 1} "), ("{\"a\": 1}".into(), 1));
        assert_eq!(flat("[1, [2,3] ,\"x\"]"), ("1,[2,3],\"x\"".into(), 3));
        assert_eq!(flat("[[1,2]]"), ("[1,2]".into(), 1));
        assert_eq!(flat("[ ]"), (String::new(), 0));
        assert_eq!(flat("null"), ("null".into(), 1));
    }

    #[test]
    fn numbers_and_escapes_stay_as_they_were() {
        let body = "[1.000000000000000000001, 1e400, \"\\u0041\\/\", {\"a\":1,\"a\":2}]";
        let expected = "1.000000000000000000001,1e400,\"\\u0041\\/\",{\"a\":1,\"a\":2}";
        assert_eq!(flat(body), (expected.into(), 4));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in [
            "",
            "{",
            "[1,]",
            "1 2",
            "{'a':1}",
            "nul",
            "\"\u{0}\"",
            "[1]]",
        ] {
            assert!(flatten(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(flatten(b"\"\xff\"").is_err());
        assert!(flatten("[".repeat(100_000).as_bytes()).is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn bodies_come_back_as_one_array(bodies in prop::collection::vec(value(), 1..5)) {
            let flattened: Vec<Messages> = bodies
                .iter()
                .map(|body| flatten(&serde_json::to_vec_pretty(body).unwrap()).unwrap())
                .collect();
            let expected: Vec<Value> = bodies
                .iter()
                .flat_map(|body| body.as_array().cloned().unwrap_or_else(|| vec![body.clone()]))
                .collect();
            let whole = array(flattened.iter().map(|m| &m.payload[..]));
            let back: Value = serde_json::from_slice(&whole).unwrap();
            prop_assert_eq!(back, Value::from(expected.clone()));
            let count: u32 = flattened.iter().map(|m| m.count).sum();
            prop_assert_eq!(count as usize, expected.len());
        }
    }
}
