//! What a director is told about the entries of a body that are not stable yet: name, place, request
//! id and producer's triple, so that it recognizes them under another name.

use serde::Serialize;

use crate::server::{Delivery, Slice};

/// Most unstable entries in one answer to a director.
pub(crate) const MAX_ENTRIES: usize = 64;
/// Most bytes of the `WebFS-Entries` header.
pub(crate) const MAX_HEADER: usize = 16 << 10;

/// One entry; `at` and `len` count messages in JSON, otherwise payload bytes.
#[derive(Debug, Serialize)]
pub(crate) struct EntryObject<'a> {
    entry: String,
    at: u64,
    len: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer: Option<(&'a str, u64, u64)>,
}

/// The entries that are not stable, each with its place in the body.
pub(crate) fn unstable(entries: &[Delivery], json: bool) -> Vec<EntryObject<'_>> {
    let mut at = 0;
    let mut objects = Vec::new();
    for entry in entries {
        let len = if json {
            u64::from(entry.count)
        } else {
            entry.payload.len() as u64
        };
        if !entry.stable {
            objects.push(EntryObject {
                entry: entry.name.to_string(),
                at,
                len,
                request: entry.request.as_ref().map(|request| request.as_str()),
                producer: entry
                    .producer
                    .as_ref()
                    .map(|producer| (producer.id.as_str(), producer.epoch, producer.seq)),
            });
        }
        at += len;
    }
    objects
}

/// The `WebFS-Entries` header of a slice, or how many of its entries may go at once when they are too
/// many: the read is then asked again for so many.
pub(crate) fn header(slice: &Slice) -> Result<Option<String>, usize> {
    let json = slice.content_type.is_json();
    let objects = unstable(&slice.entries, json);
    if objects.is_empty() {
        return Ok(None);
    }
    let whole = ascii_json(&objects);
    // The worst id is escaped to three times its length, so a handful of entries always fits.
    let fits = if whole.len() > MAX_HEADER {
        (objects.len() / 2).clamp(1, MAX_ENTRIES)
    } else {
        MAX_ENTRIES
    };
    let mut seen = 0;
    let within = slice.entries.iter().take_while(|entry| {
        seen += usize::from(!entry.stable);
        seen <= fits
    });
    let count = within.count().max(1);
    if count < slice.entries.len() {
        Err(count)
    } else {
        Ok(Some(whole))
    }
}

/// JSON in ASCII alone, so that it may be a header. What is not ASCII can only be inside strings.
pub(crate) fn ascii_json<T: Serialize>(value: &T) -> String {
    use std::fmt::Write as _;

    // Serializing these types of ours cannot fail: no map, no foreign `Serialize`.
    let json = serde_json::to_string(value).unwrap_or_default();
    if json.is_ascii() {
        return json;
    }
    let mut out = String::with_capacity(json.len() * 2);
    for char in json.chars() {
        if char.is_ascii() {
            out.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Cursor;
    use crate::stream::Producer;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn slice_of(content_type: &str, stable: &[bool], id: &str) -> Slice {
        let entries = stable.iter().zip(1..).map(|(&stable, index)| Delivery {
            name: format!("a.{index}").parse().unwrap(),
            payload: Bytes::from_static(b"1,2"),
            count: 2,
            accepted_at: 0,
            request: Some(format!("{id}.{index}").parse().unwrap()),
            producer: Some(Producer {
                id: id.parse().unwrap(),
                epoch: 0,
                seq: index,
            }),
            stable,
        });
        Slice {
            content_type: content_type.parse().unwrap(),
            entries: entries.collect(),
            next: Cursor::default(),
            up_to_date: true,
            stable: Cursor::default(),
        }
    }

    #[test]
    fn places_count_messages_in_json_and_bytes_elsewhere() {
        let json = slice_of("application/json", &[true, false], "d1");
        assert_eq!(
            header(&json).unwrap().unwrap(),
            r#"[{"entry":"a.2","at":2,"len":2,"request":"d1.2","producer":["d1",0,2]}]"#
        );
        let text = slice_of("text/plain", &[false, true], "ü😀");
        assert_eq!(
            header(&text).unwrap().unwrap(),
            r#"[{"entry":"a.1","at":0,"len":3,"request":"\u00fc\ud83d\ude00.1","producer":["\u00fc\ud83d\ude00",0,1]}]"#
        );
        assert_eq!(header(&slice_of("text/plain", &[true], "d")), Ok(None));
    }

    proptest! {
        #[test]
        fn a_shortened_slice_fits(
            stable in prop::collection::vec(any::<bool>(), 1..200),
            id in prop::sample::select(vec!["d1".to_owned(), "é".repeat(60), "\"".repeat(120)]),
        ) {
            let mut slice = slice_of("application/json", &stable, &id);
            let mut rounds = 0;
            while let Err(count) = header(&slice) {
                prop_assert!(count >= 1 && count < slice.entries.len());
                slice.entries.truncate(count);
                rounds += 1;
                prop_assert!(rounds < 12);
            }
            if let Ok(Some(text)) = header(&slice) {
                prop_assert!(text.len() <= MAX_HEADER && text.is_ascii());
                let back: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
                prop_assert!(back.len() <= MAX_ENTRIES);
            }
        }
    }
}
