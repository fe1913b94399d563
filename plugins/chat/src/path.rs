//! A stream's path, as the servers' watches and the memory name it: `rooms/lobby`.

use std::fmt;
use std::sync::Arc;

/// Where streams are.
const PREFIX: &str = "/v1/stream/";
/// Longest path, in bytes.
const MAX: usize = 255;

/// A stream's path below `/v1/stream/`, decoded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPath(Arc<str>);

/// What is wrong with a path; the client sees 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPath(&'static str);

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream's path {}", self.0)
    }
}

impl std::error::Error for BadPath {}

impl StreamPath {
    /// The path of a stream's URL, given the URL's own path as it came; `None` when that is no stream's.
    #[must_use]
    pub fn of_url(path: &str) -> Option<Result<Self, BadPath>> {
        Some(Self::decoded(path.strip_prefix(PREFIX)?))
    }

    /// A path that needs no decoding.
    ///
    /// # Errors
    /// When it is not one.
    pub fn plain(path: &str) -> Result<Self, BadPath> {
        if path.is_empty() || path.len() > MAX {
            return Err(BadPath("has to have 1 to 255 bytes"));
        }
        if path.chars().any(char::is_control) {
            return Err(BadPath("has a control character in it"));
        }
        if path
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return Err(BadPath("has a segment that is empty, `.` or `..`"));
        }
        Ok(Self(path.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn decoded(path: &str) -> Result<Self, BadPath> {
        let bytes = percent_decoded(path).ok_or(BadPath("has a `%` without two hex digits"))?;
        let text = String::from_utf8(bytes).map_err(|_| BadPath("is not UTF-8"))?;
        Self::plain(&text)
    }
}

/// A part of a URL with its `%xx` decoded; `None` when one has no two digits.
pub(crate) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_streams_and_others() {
        let good = |url| StreamPath::of_url(url).unwrap().unwrap().to_string();
        assert_eq!(good("/v1/stream/rooms/lobby"), "rooms/lobby");
        assert_eq!(good("/v1/stream/h%C3%A4user%2f1"), "häuser/1");
        assert_eq!(StreamPath::of_url("/v1/streams"), None);
        assert_eq!(StreamPath::of_url("/"), None);
        for bad in [
            "", "a//b", "a/../b", "%2e%2e", "a%0ab", "a%0", "%zz", "a/%ff", "a/",
        ] {
            let url = format!("/v1/stream/{bad}");
            assert!(StreamPath::of_url(&url).unwrap().is_err(), "{bad}");
        }
        assert!(StreamPath::plain(&"x".repeat(256)).is_err());
    }
}
