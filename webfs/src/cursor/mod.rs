//! How far a reader has read: a cut, and the token that spells it.
//!
//! A [`Cut`] holds one index per letter and stands for all entries up to it. It means the same on
//! every server, because an index never names two entries. A [`Cursor`] is a cut of one generation of
//! one stream; its spelling is the Durable Streams offset.
//!
//! **Letters of one lineage.** `a1` succeeded `a`: its first entry names the last index `F` of `a` that
//! it knew, so a cut with `a1` in it covers `a.1` to `a.F` unspoken. `a` is spelled beside `a1` only while
//! a reader may have seen entries beyond `F` (on the disk that was lost); [`Cut::fold`] drops it.
//!
//! **The sum** in front of a token counts, per lineage, the index of the *newest* letter alone. Indices
//! rise along a lineage, from one letter to the next too, so dropping a superseded letter does not change
//! the sum, and along any reader's way, on which a cut only grows, the sum never falls.

mod token;

use std::fmt;

use crate::letter::{Letter, Name, ServerId};

pub use token::{BadCursor, Position};

/// One index per letter, sorted by letter, no zeros: all entries up to there.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Cut(Vec<(Letter, u64)>);

/// A cut of one generation of a stream. `Display` gives the token, without any look at the clock.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// How often the stream had been made anew; 0 for a room that nobody ever deleted.
    pub generation: u32,
    /// How far.
    pub cut: Cut,
}

impl Cut {
    /// The index of one letter; 0 when it is not there.
    #[must_use]
    pub fn get(&self, letter: Letter) -> u64 {
        self.find(letter).map_or(0, |at| self.0[at].1)
    }

    /// Raises one letter to at least `name.index`.
    pub fn raise(&mut self, name: Name) {
        match self.find(name.letter) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(name.index),
            Err(at) if name.index > 0 => self.0.insert(at, (name.letter, name.index)),
            Err(_) => {}
        }
    }

    /// The least cut above both.
    pub fn merge(&mut self, other: &Cut) {
        for name in other.names() {
            self.raise(name);
        }
    }

    /// Takes one letter out.
    pub fn fold(&mut self, letter: Letter) {
        if let Ok(at) = self.find(letter) {
            self.0.remove(at);
        }
    }

    /// The last name of each letter, sorted.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = Name> + '_ {
        self.0.iter().map(|&(letter, index)| letter.name(index))
    }

    /// The newest letter of a lineage, with its index.
    #[must_use]
    pub fn top(&self, id: ServerId) -> Option<Name> {
        let end = self.0.partition_point(|(letter, _)| letter.id <= id);
        let &(letter, index) = self.0.get(end.checked_sub(1)?)?;
        (letter.id == id).then(|| letter.name(index))
    }

    /// Whether it is the cut before everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many letters it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Letters superseded by a newer one of the same lineage in this very cut.
    pub fn superseded(&self) -> impl Iterator<Item = Name> + '_ {
        self.0
            .windows(2)
            .filter(|pair| pair[0].0.id == pair[1].0.id)
            .map(|pair| pair[0].0.name(pair[0].1))
    }

    /// Sum over the lineages of the newest letter's index: orders, and counts nothing.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let superseded: u64 = self.superseded().map(|name| name.index).sum();
        self.0.iter().map(|&(_, index)| index).sum::<u64>() - superseded
    }

    fn find(&self, letter: Letter) -> Result<usize, usize> {
        self.0.binary_search_by_key(&letter, |&(letter, _)| letter)
    }
}

impl FromIterator<Name> for Cut {
    fn from_iter<I: IntoIterator<Item = Name>>(names: I) -> Self {
        let mut cut = Self::default();
        for name in names {
            cut.raise(name);
        }
        cut
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
