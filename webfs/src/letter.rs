//! Who wrote an entry: a server's id, the letters it goes through, and the names it gives out.
//!
//! A server is configured with an [`ServerId`] (`a`). It signs its entries with a [`Letter`]: its id,
//! and after each loss of its data the id with the next number (`a`, `a1`, `a2` ...). A letter is
//! never used again, so a [`Name`] (`a1.131073`: letter and index) means one entry for ever.
//!
//! The order of letters and names is that of their spelling's parts: id, number, index. All letters of
//! one id form a *lineage*; indices rise along it, also from one letter to the next.

use std::fmt;
use std::str::FromStr;

/// Longest spelling of a letter, in bytes.
pub const MAX_LETTER: usize = 8;
/// Longest id, in bytes; what is left of [`MAX_LETTER`] is for the number.
pub const MAX_ID: usize = 5;
/// Highest number of a letter: a server may lose its data 999 times.
pub const MAX_NUMBER: u16 = 999;

/// A server's id from its config: one to five letters `a`-`z`, unique in its group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId([u8; MAX_ID]);

/// What a server signs its entries with: its id, and how often it has lost its data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letter {
    /// Whose letter it is.
    pub id: ServerId,
    /// How many letters of this id came before.
    pub number: u16,
}

/// One index of one letter in one room: `a.80`. An entry written twice has two names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Who gave the index out.
    pub letter: Letter,
    /// Position in that letter's origin log of the room; the first is 1.
    pub index: u64,
}

/// What is wrong with a spelling of an id, a letter or a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Not an id.
    #[error("`{0}` is no server id: one to five letters a-z are")]
    Id(String),
    /// Not a letter.
    #[error("`{0}` is no letter: a server id and a number up to 999 without leading zeros is")]
    Letter(String),
    /// Not a name.
    #[error("`{0}` is no entry's name: a letter, a dot and an index from 1 is, as in `a.80`")]
    Name(String),
}

impl ServerId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(MAX_ID);
        std::str::from_utf8(self.0.get(..len).unwrap_or_default()).unwrap_or_default()
    }
}

impl Letter {
    /// The first letter of a server.
    #[must_use]
    pub fn first(id: ServerId) -> Self {
        Self { id, number: 0 }
    }

    /// The letter after this one; `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self.number < MAX_NUMBER).then(|| Self {
            id: self.id,
            number: self.number + 1,
        })
    }

    /// The name of one entry of this letter.
    #[must_use]
    pub fn name(self, index: u64) -> Name {
        Name {
            letter: self,
            index,
        }
    }
}

impl FromStr for ServerId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let good =
            (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase());
        if !good {
            return Err(BadName::Id(shown(text)));
        }
        let mut id = [0; MAX_ID];
        for (to, from) in id.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Ok(Self(id))
    }
}

impl FromStr for Letter {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::Letter(shown(text));
        let digits = text
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(text.len());
        let (id, number) = text.split_at(digits);
        let id = id.parse().map_err(|_| bad())?;
        let number = match number {
            "" => 0,
            number => positive(number)
                .and_then(|n| u16::try_from(n).ok())
                .ok_or_else(bad)?,
        };
        if number > MAX_NUMBER {
            return Err(bad());
        }
        Ok(Self { id, number })
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::Name(shown(text));
        let (letter, index) = text.split_once('.').ok_or_else(bad)?;
        Ok(Self {
            letter: letter.parse().map_err(|_| bad())?,
            index: positive(index).ok_or_else(bad)?,
        })
    }
}

/// A whole number from 1 in its only spelling: no sign, no leading zero, at most 16 digits.
pub(crate) fn positive(text: &str) -> Option<u64> {
    let good = (1..=16).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

/// What a message shows of a text from outside: its first bytes.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}", self.id),
            number => write!(f, "{}{number}", self.id),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.letter, self.index)
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
debug_as_display!(ServerId, Letter, Name);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_one_spelling() {
        for good in ["a", "a1", "abcde", "abcde999", "b10"] {
            assert_eq!(good.parse::<Letter>().unwrap().to_string(), good);
        }
        for bad in [
            "", "1", "A", "a0", "a01", "a1000", "abcdef", "a1b", "a-", "a1 ",
        ] {
            assert!(bad.parse::<Letter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        assert_eq!("a1.80".parse::<Name>().unwrap().to_string(), "a1.80");
        for bad in [
            "a",
            "a.",
            "a.0",
            "a.01",
            "a.+1",
            ".1",
            "a.12345678901234567",
            "a.1.2",
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn letters_of_one_id_sort_by_number() {
        let mut letters: Vec<Letter> = ["b", "a10", "a2", "a"].map(|l| l.parse().unwrap()).to_vec();
        letters.sort_unstable();
        assert_eq!(format!("{letters:?}"), "[a, a2, a10, b]");
    }
}
