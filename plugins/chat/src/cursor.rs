//! Cursors: how far a reader has read, as the servers spell it.
//!
//! A [`Cut`] holds one index per letter and stands for all entries up to them; a [`Cursor`] is a cut of one
//! generation of a stream, and its spelling, `0000000000000137_g3-a.80-b.57`, is the protocol's offset. It
//! means the same on every server. The director does three things with cursors and needs nothing else of
//! them: it merges what it was told, asks whether one covers a name, and prints.

use std::fmt;
use std::str::FromStr;

use crate::name::{Letter, Name, positive};

/// The token of the first entry, in any generation.
pub const START: &str = "0000000000000000_0000000000000000";
/// Longest token, in bytes.
const MAX_TOKEN: usize = 255;
/// The sum has 16 digits.
const MAX_SUM: u64 = 9_999_999_999_999_999;

/// No server gets beyond this index: 152 million starts, or a million appends a second for 100 days.
const MAX_INDEX: u64 = 10_000_000_000_000;

/// A server's indices go on at the next multiple of this whenever it starts.
const LEAP: u64 = 65_536;

/// One index per letter, sorted by letter, no zeros.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cut(Vec<(Letter, u64)>);

/// A cut of one generation of a stream.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// How often the stream had been made anew.
    pub generation: u32,
    /// How far.
    pub cut: Cut,
}

/// Not a cursor's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCursor {
    text: String,
    why: &'static str,
}

impl fmt::Display for BadCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no offset: {}", self.text, self.why)
    }
}

impl std::error::Error for BadCursor {}

impl Cut {
    /// The index of one letter; 0 when it is not there.
    #[must_use]
    pub fn get(&self, letter: Letter) -> u64 {
        self.find(letter).map_or(0, |at| self.0[at].1)
    }

    /// Whether an entry with this name lies before it.
    #[must_use]
    pub fn covers(&self, name: Name) -> bool {
        name.index <= self.get(name.letter)
    }

    /// Whether an entry with this name lies before it, and no leap in between: what a server lost before it
    /// leapt lies in a hole, which a cut covers as it covers entries.
    #[must_use]
    pub fn covers_surely(&self, name: Name) -> bool {
        let tail = self.get(name.letter);
        name.index <= tail && name.index / LEAP == tail / LEAP
    }

    /// Whether every name that `other` covers lies before it.
    #[must_use]
    pub fn covers_all(&self, other: &Self) -> bool {
        other.names().all(|name| self.covers(name))
    }

    /// Raises one letter to at least the name's index.
    pub fn raise(&mut self, name: Name) {
        match self.find(name.letter) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(name.index),
            Err(at) if name.index > 0 => self.0.insert(at, (name.letter, name.index)),
            Err(_) => {}
        }
    }

    /// The least cut above both.
    pub fn merge(&mut self, other: &Self) {
        for name in other.names() {
            self.raise(name);
        }
    }

    /// Keeps the letters whose last name `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(Name) -> bool) {
        self.0
            .retain(|&(letter, index)| keep(Name { letter, index }));
    }

    /// The last name of each letter, sorted.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = Name> + '_ {
        self.0.iter().map(|&(letter, index)| Name { letter, index })
    }

    /// Whether it holds a later letter of the same server.
    #[must_use]
    pub fn supersedes(&self, letter: Letter) -> bool {
        self.0
            .iter()
            .any(|&(other, _)| other.same_lineage(letter) && other > letter)
    }

    /// Whether it is the cut before everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest letter's index of each lineage, added up: what a token begins with.
    fn sum(&self) -> u64 {
        self.0
            .iter()
            .filter(|(letter, _)| !self.supersedes(*letter))
            .fold(0, |sum, &(_, index)| index.saturating_add(sum))
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

impl Cursor {
    /// Takes in what a server said: the merge within one generation, the newer of two generations.
    pub fn merge(&mut self, other: &Self) {
        match other.generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => self.cut.merge(&other.cut),
            std::cmp::Ordering::Greater => self.clone_from(other),
        }
    }

    /// Whether any stream can ever have come so far. What lies beyond could not be added to.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.cut.names().all(|name| name.index <= MAX_INDEX)
    }

    /// Whether servers take its token: neither it nor its sum is too long.
    #[must_use]
    pub fn fits(&self) -> bool {
        let mut all = self.cut.names();
        let all = all.try_fold(0u64, |sum, name| sum.checked_add(name.index));
        all.is_some_and(|all| all <= MAX_SUM) && self.to_string().len() <= MAX_TOKEN
    }

    /// What of it lies beyond another: what a server added to a cursor that it was asked with.
    #[must_use]
    pub fn beyond(&self, asked: &Self) -> Self {
        let mut beyond = self.clone();
        if asked.generation == self.generation {
            beyond.cut.retain(|name| !asked.cut.covers(name));
        }
        beyond
    }

    /// The cut, when the cursor is of this generation.
    #[must_use]
    pub fn cut_of(&self, generation: u32) -> Option<&Cut> {
        (self.generation == generation).then_some(&self.cut)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        parse(text).map_err(|why| BadCursor {
            text: text.chars().take(64).collect(),
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
    let mut all = 0u64;
    for component in vector.into_iter().flat_map(|vector| vector.split('-')) {
        let name: Name = component
            .parse()
            .map_err(|_| "a component is no letter, dot and index")?;
        if cut.0.last().is_some_and(|&(last, _)| last >= name.letter) {
            return Err("its letters are not sorted");
        }
        all = all.saturating_add(name.index);
        cut.0.push((name.letter, name.index));
    }
    if all > MAX_SUM {
        return Err("its sum has more than 16 digits");
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

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(text: &str) -> Cursor {
        text.parse().unwrap()
    }

    #[test]
    fn one_cursor_has_one_spelling() {
        for good in [
            "0000000000000137_g3-a.80-b.57",
            "0000000000000000_g0",
            "0000000000131130_g0-a.8-a1.131073-b.57",
        ] {
            assert_eq!(cursor(good).to_string(), good);
        }
        for bad in [
            "",
            START,
            "137_g3-a.80-b.57",
            "0000000000000138_g3-a.80-b.57",
            "0000000000000137_g3-b.57-a.80",
            "0000000000000137_g3-a.57-a.80",
            "0000000000000137_g03-a.80-b.57",
            "0000000000000137_g3-a.80-b.57-",
            "0000000000000080_g3-a.80-b.0",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newer_generation_wins_and_the_older_is_no_news() {
        let mut known = cursor("0000000000000080_g1-a.80");
        known.merge(&cursor("0000000000000099_g0-b.99"));
        assert_eq!(known, cursor("0000000000000080_g1-a.80"));
        known.merge(&cursor("0000000000000001_g2-b.1"));
        assert_eq!(known, cursor("0000000000000001_g2-b.1"));
    }

    #[test]
    fn a_later_letter_of_the_same_server_supersedes() {
        let cut = cursor("0000000000131130_g0-a1.131073-b.57").cut;
        assert!(cut.supersedes("a".parse().unwrap()));
        assert!(!cut.supersedes("a1".parse().unwrap()));
        assert!(!cut.supersedes("b".parse().unwrap()));
    }

    fn names() -> impl Strategy<Value = Vec<Name>> {
        let name = ("[a-c]", 0u16..3, 1u64..200).prop_map(|(id, number, index)| {
            let letter = if number == 0 {
                id
            } else {
                format!("{id}{number}")
            };
            Name {
                letter: letter.parse().unwrap(),
                index,
            }
        });
        proptest::collection::vec(name, 0..8)
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(names in names(), generation: u32) {
            let cursor = Cursor { generation, cut: names.into_iter().collect() };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }

        #[test]
        fn a_merge_covers_both_and_nothing_else(one in names(), other in names(), probe in names()) {
            let (one, other): (Cut, Cut) = (one.into_iter().collect(), other.into_iter().collect());
            let mut both = one.clone();
            both.merge(&other);
            prop_assert!(both.covers_all(&one) && both.covers_all(&other));
            for name in probe {
                prop_assert_eq!(both.covers(name), one.covers(name) || other.covers(name));
            }
        }

        #[test]
        fn what_is_beyond_merges_to_the_whole(one in names(), other in names()) {
            let cursor = |names: Vec<Name>| Cursor { generation: 1, cut: names.into_iter().collect() };
            let asked = cursor(one);
            let mut answered = asked.clone();
            answered.merge(&cursor(other));
            let beyond = answered.beyond(&asked);
            prop_assert!(beyond.cut.names().all(|name| !asked.cut.covers(name)));
            let mut both = asked;
            both.merge(&beyond);
            prop_assert_eq!(both, answered);
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
