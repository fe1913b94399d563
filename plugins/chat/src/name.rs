//! Names of entries: `a.80` is the 80th entry that the server with letter `a` accepted in one stream.
//!
//! The grammar is the servers' own (`docs/webfs-protocol.md`): a letter is an id of one to five letters
//! `a`-`z` and, after each loss of that server's data, a number up to 999. An entry that was accepted twice
//! has two names.

use std::fmt;
use std::str::FromStr;

const MAX_ID: usize = 5;
const MAX_NUMBER: u16 = 999;

/// What a server signs its entries with. All letters of one id are a *lineage*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letter {
    id: [u8; MAX_ID],
    number: u16,
}

/// One entry of one stream, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Who accepted it.
    pub letter: Letter,
    /// Position among what that letter accepted in this stream; the first is 1.
    pub index: u64,
}

/// A server in one of its starts: `a/5`, as `Stream-Server` says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Its letter.
    pub letter: Letter,
    /// How often it has started with it, from 1.
    pub start: u64,
}

/// Not a letter, name or identity: the node breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadName(String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no name of an entry or server", self.0)
    }
}

impl std::error::Error for BadName {}

impl BadName {
    fn of(text: &str) -> Self {
        Self(text.chars().take(64).collect())
    }
}

impl Letter {
    /// Whether both are letters of one server.
    #[must_use]
    pub fn same_lineage(self, other: Self) -> bool {
        self.id == other.id
    }
}

/// A whole number from 1 in its only spelling: no sign, no leading zero, at most 16 digits.
pub(crate) fn positive(text: &str) -> Option<u64> {
    let good = (1..=16).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

impl FromStr for Letter {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::of(text);
        let digits = text
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(text.len());
        let (id, number) = text.split_at(digits);
        if !(1..=MAX_ID).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(bad());
        }
        let number = match number {
            "" => 0,
            number => positive(number)
                .and_then(|n| u16::try_from(n).ok())
                .filter(|&n| n <= MAX_NUMBER)
                .ok_or_else(bad)?,
        };
        let mut bytes = [0; MAX_ID];
        for (to, from) in bytes.iter_mut().zip(id.bytes()) {
            *to = from;
        }
        Ok(Self { id: bytes, number })
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::of(text);
        let (letter, index) = text.split_once('.').ok_or_else(bad)?;
        Ok(Self {
            letter: letter.parse().map_err(|_| bad())?,
            index: positive(index).ok_or_else(bad)?,
        })
    }
}

impl FromStr for Identity {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::of(text);
        let (letter, start) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self {
            letter: letter.parse().map_err(|_| bad())?,
            start: positive(start).ok_or_else(bad)?,
        })
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.id.iter().take_while(|&&b| b != 0) {
            write!(f, "{}", char::from(byte))?;
        }
        match self.number {
            0 => Ok(()),
            number => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.letter, self.index)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.letter, self.start)
    }
}

macro_rules! debug_as_display {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
debug_as_display!(Letter, Name, Identity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_names_and_identities_have_one_spelling() {
        for good in ["a", "a1", "abcde999", "b10"] {
            assert_eq!(good.parse::<Letter>().unwrap().to_string(), good);
        }
        for bad in [
            "", "1", "A", "a0", "a01", "a1000", "abcdef", "a1b", "a-", "a1 ", "é",
        ] {
            assert!(bad.parse::<Letter>().is_err(), "{bad}");
        }
        assert_eq!("a1.80".parse::<Name>().unwrap().to_string(), "a1.80");
        for bad in [
            "a",
            "a.",
            "a.0",
            "a.01",
            "a.+1",
            ".1",
            "a.12345678901234567",
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        assert_eq!("a1/5".parse::<Identity>().unwrap().to_string(), "a1/5");
        for bad in ["a", "a/", "a/0", "/1", "a.5", "a/5/6"] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn letters_sort_by_id_and_number() {
        let mut letters: Vec<Letter> = ["b", "a10", "a2", "a"].map(|l| l.parse().unwrap()).to_vec();
        letters.sort_unstable();
        assert_eq!(format!("{letters:?}"), "[a, a2, a10, b]");
    }
}
