//! A stream's place in the URL space, checked once.
//!
//! A path has no empty segment, no `.` or `..`, no control byte, and at most 255 bytes; so it can be
//! printed, logged and compared as it is. Streams under `rooms/` come into being when first opened.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::letter::shown;

/// Longest path, in bytes.
pub const MAX_PATH: usize = 255;

/// A stream's path below `/v1/stream/`, decoded: `rooms/lobby`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPath(Arc<str>);

/// What is wrong with a path; the client sees 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing at all.
    #[error("a stream's path cannot be empty")]
    Empty,
    /// Longer than [`MAX_PATH`].
    #[error("a stream's path has at most {MAX_PATH} bytes, this one has {0}")]
    TooLong(usize),
    /// An empty segment, `.` or `..`.
    #[error("`{0}` has a segment that is empty, `.` or `..`")]
    Segment(String),
    /// A control character, NUL included.
    #[error("{0:?} has a control character in it")]
    Control(String),
}

impl StreamPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a chat room: JSON, generation 0, there as soon as somebody opens it.
    #[must_use]
    pub fn is_room(&self) -> bool {
        self.0.starts_with("rooms/")
    }
}

impl FromStr for StreamPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        if text.is_empty() {
            return Err(BadPath::Empty);
        }
        if text.len() > MAX_PATH {
            return Err(BadPath::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(BadPath::Control(shown(text)));
        }
        if text
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return Err(BadPath::Segment(shown(text)));
        }
        Ok(Self(text.into()))
    }
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
    fn bad_paths_are_refused_and_good_ones_kept() {
        let long = "x".repeat(MAX_PATH + 1);
        for bad in [
            "", "/", "a//b", "a/", "/a", "..", "a/../b", "a/.", "a\0b", "a\nb", "\u{7f}", &long,
        ] {
            assert!(bad.parse::<StreamPath>().is_err(), "{bad:?}");
        }
        for good in ["a", "rooms/lobby", "...", "a b", "häuser/1", &long[1..]] {
            assert_eq!(good.parse::<StreamPath>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn rooms_are_what_lies_below_rooms() {
        assert!("rooms/lobby".parse::<StreamPath>().unwrap().is_room());
        assert!(!"rooms".parse::<StreamPath>().unwrap().is_room());
    }
}
