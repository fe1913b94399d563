//! The spelling of a cursor: `<sum, 16 digits>_g<generation>-<letter>.<index>-...`.
//!
//! Decimal, letters sorted, no zero components: one spelling for one cursor, and any other is refused.
//! The empty cut is `0000000000000000_g3`. Two tokens are read first, in any generation: sixteen zeros
//! twice is the start, sixteen nines twice lies beyond every tail.

use std::fmt;
use std::str::FromStr;

use super::{Cursor, Cut};
use crate::letter::{Name, positive, shown};

const START: &str = "0000000000000000_0000000000000000";
const BEYOND: &str = "9999999999999999_9999999999999999";
/// Longest token accepted, in bytes; the protocol's own limit.
const MAX_TOKEN: usize = 255;
/// No component may pass this, nor have more letters than these: whatever a client sends, a cursor merged
/// from it and from what is there has a sum of 16 digits. An own index never gets there.
const MAX_INDEX: u64 = 9_999_999_999_999;
const MAX_LETTERS: usize = 16;

/// Where a read begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At the first entry (`-1`, or the token of sixteen zeros twice).
    Start,
    /// At the tail (`now`).
    Now,
    /// Beyond any tail (the token of sixteen nines twice): always refused.
    Beyond,
    /// After what this cursor covers.
    After(Cursor),
}

/// Not the token of any cursor; the client sees 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no offset of this server: {why}")]
pub struct BadCursor {
    text: String,
    why: &'static str,
}

impl FromStr for Position {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        Ok(match text {
            "-1" | START => Self::Start,
            "now" => Self::Now,
            BEYOND => Self::Beyond,
            text => Self::After(text.parse()?),
        })
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        parse(text).map_err(|why| BadCursor {
            text: shown(text),
            why,
        })
    }
}

fn parse(text: &str) -> Result<Cursor, &'static str> {
    if text.len() > MAX_TOKEN {
        return Err("longer than 255 bytes");
    }
    let (sum, rest) = text
        .split_once("_g")
        .ok_or("no `_g` and generation in it")?;
    let (generation, vector) = match rest.split_once('-') {
        Some((generation, vector)) => (generation, Some(vector)),
        None => (rest, None),
    };
    let generation = match generation {
        "0" => 0,
        text => positive(text)
            .and_then(|g| u32::try_from(g).ok())
            .ok_or("its generation is no number")?,
    };
    let mut cut = Cut::default();
    let mut last: Option<Name> = None;
    for component in vector.into_iter().flat_map(|vector| vector.split('-')) {
        let name: Name = component
            .parse()
            .map_err(|_| "a component is no letter, dot and index")?;
        if last.is_some_and(|last| last.letter >= name.letter) {
            return Err("its letters are not sorted");
        }
        cut.raise(name);
        last = Some(name);
    }
    if cut.names().any(|name| name.index > MAX_INDEX) {
        return Err("an index in it has more than 13 digits");
    }
    if cut.len() > MAX_LETTERS {
        return Err("it has more than 16 letters");
    }
    if sum.len() != 16 || sum != format!("{:016}", cut.sum()) {
        return Err("its sum is not that of its components");
    }
    Ok(Cursor { generation, cut })
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}_g{}", self.cut.sum(), self.generation)?;
        self.cut.names().try_for_each(|name| write!(f, "-{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_special_tokens_come_first() {
        assert_eq!(START.parse(), Ok(Position::Start));
        assert_eq!("-1".parse(), Ok(Position::Start));
        assert_eq!("now".parse(), Ok(Position::Now));
        assert_eq!(BEYOND.parse(), Ok(Position::Beyond));
    }

    #[test]
    fn one_cursor_has_one_spelling() {
        for good in [
            "0000000000000137_g3-a.80-b.57",
            "0000000000000000_g0",
            "0000000000131130_g0-a.8-a1.131073-b.57",
        ] {
            assert_eq!(good.parse::<Cursor>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "137_g3-a.80-b.57",
            "0000000000000138_g3-a.80-b.57",
            "0000000000000137_g3-b.57-a.80",
            "0000000000000137_g03-a.80-b.57",
            "0000000000000137_g3-a.80-b.57-",
            "0000000000000137_g3-a.80-b.57-c.0",
            "0000000000000137_g3-a.080-b.57",
            "0000000000000137_3-a.80-b.57",
            "0000000000000160_g3-a.80-a.80",
            "0000000000000000_g",
            "0000000000000000_g0-",
            "+000000000000137_g3-a.80-b.57",
            "9999999999999999_g0-a.9999999999999999",
            "0010000000000000_g0-a.10000000000000",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
