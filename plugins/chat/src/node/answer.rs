//! A node's answer, and what it tells a director.

use bytes::Bytes;
use director_sdk::{Failure, Kind};
use hyper::{HeaderMap, StatusCode};

use crate::cursor::Cursor;
use crate::entry::Entry;
use crate::name::{Identity, Name};

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether the link may carry another request.
    pub keeps: bool,
}

/// What an answer's headers tell a director.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `Stream-Server`.
    pub server: Option<Identity>,
    /// `Stream-Next-Offset`.
    pub next: Option<Cursor>,
    /// `Stream-Stable-Offset`.
    pub stable: Option<Cursor>,
    /// `Stream-Entry`.
    pub entry: Option<Name>,
    /// `WebFS-Released`.
    pub released: bool,
    /// `WebFS-Entries`.
    pub entries: Vec<Entry>,
}

impl Told {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`Kind::Garbled`] when one is not what it should be.
    pub fn by(headers: &HeaderMap) -> Result<Self, Failure> {
        let entries = match text(headers, "webfs-entries")? {
            None => Vec::new(),
            Some(json) => serde_json::from_str(json)
                .map_err(|error| garbled(format!("WebFS-Entries: {error}")))?,
        };
        Ok(Self {
            server: parsed(headers, "stream-server")?,
            next: parsed(headers, "stream-next-offset")?,
            stable: parsed(headers, "stream-stable-offset")?,
            entry: parsed(headers, "stream-entry")?,
            released: text(headers, "webfs-released")?.is_some(),
            entries,
        })
    }
}

/// A node that breaks the protocol.
#[must_use]
pub fn garbled(detail: impl Into<String>) -> Failure {
    Failure::new(Kind::Garbled, detail)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(garbled(format!("header {name} is no ASCII"))),
    }
}

fn parsed<T>(headers: &HeaderMap, name: &str) -> Result<Option<T>, Failure>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text(headers, name)?
        .map(|text| text.parse())
        .transpose()
        .map_err(|error| garbled(format!("header {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[(&'static str, &'static str)]) -> Result<Told, Failure> {
        Told::by(
            &lines
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
        )
    }

    #[test]
    fn all_that_is_told_is_read_and_anything_else_is_garbled() {
        let all = told(&[
            ("stream-server", "a/5"),
            ("stream-next-offset", "0000000000000080_g0-a.80"),
            ("stream-stable-offset", "0000000000000000_g0"),
            ("stream-entry", "a.80"),
            ("webfs-released", "1"),
            ("webfs-entries", r#"[{"entry":"a.80","at":0,"len":1}]"#),
        ])
        .unwrap();
        assert_eq!(all.server.unwrap().to_string(), "a/5");
        assert_eq!(all.entry.unwrap().to_string(), "a.80");
        assert!(all.released && all.entries.len() == 1 && all.next.is_some());
        assert!(told(&[]).unwrap().next.is_none());
        for bad in [
            ("stream-server", "a"),
            ("stream-next-offset", "now"),
            ("stream-entry", "a/5"),
            ("webfs-entries", "{}"),
        ] {
            assert_eq!(
                told(&[bad]).unwrap_err().kind(),
                Some(Kind::Garbled),
                "{bad:?}"
            );
        }
    }
}
