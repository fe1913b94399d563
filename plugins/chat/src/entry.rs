//! What a server tells a director of the entries in an answer: `WebFS-Entries`, `webfsEntries`.
//!
//! Only entries that are not yet stable are told, with their place in the body: messages in a JSON stream,
//! bytes in any other. One object: `{"entry":"a.80","at":0,"len":1,"request":"d1.5","producer":["id",0,7]}`.

use std::ops::Range;

use serde::{Deserialize, Deserializer};

use crate::name::Name;

/// One entry that is not yet stable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The name under which it came.
    #[serde(rename = "entry", deserialize_with = "name")]
    pub name: Name,
    /// Where it begins in the body.
    pub at: usize,
    /// How much of the body it is.
    pub len: usize,
    /// The request id of its write.
    #[serde(default)]
    pub request: Option<String>,
    /// Producer id, epoch and sequence of its write.
    #[serde(default)]
    pub producer: Option<(String, u64, u64)>,
}

impl Entry {
    /// Its place in the body; `None` when the node made one up that no body has.
    #[must_use]
    pub fn place(&self) -> Option<Range<usize>> {
        Some(self.at..self.at.checked_add(self.len)?)
    }
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_with_and_without_what_is_optional() {
        let text = r#"[{"entry":"a.80","at":0,"len":1,"request":"d1.5","producer":["id",0,7]},
                       {"entry":"b1.131073","at":1,"len":2,"later":true}]"#;
        let entries: Vec<Entry> = serde_json::from_str(text).unwrap();
        assert_eq!(entries[0].producer, Some(("id".to_owned(), 0, 7)));
        assert_eq!(entries[0].request.as_deref(), Some("d1.5"));
        assert_eq!(entries[1].place(), Some(1..3));
        assert_eq!(entries[1].name.to_string(), "b1.131073");
        for bad in [
            r#"[{"entry":"a","at":0,"len":1}]"#,
            r#"[{"entry":"a.1","at":-1,"len":1}]"#,
            r#"[{"entry":"a.1","len":1}]"#,
        ] {
            assert!(serde_json::from_str::<Vec<Entry>>(bad).is_err(), "{bad}");
        }
        let far = format!(r#"{{"entry":"a.1","at":{},"len":2}}"#, usize::MAX);
        assert_eq!(serde_json::from_str::<Entry>(&far).unwrap().place(), None);
    }
}
