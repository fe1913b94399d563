//! One stream generation's entries in the order in which this server applied them.
//!
//! A [`Replica`] keeps, beside the entries, one list of positions per letter. Indices of a letter rise
//! along it, so the place of a name, the cut at a position and the first entry that a cut does not
//! cover are found by halving those lists: no table of cuts is kept, and nothing is scanned.
//!
//! **Fitting.** An entry goes in only behind the entry that it names as the one before it, so a replica
//! holds a prefix of each origin log. Where a letter leapt, the prefix has a *hole*: names inside it are
//! void, though a member may hold entries under them (it got them before their server lost them).
//!
//! **Succession.** The first entry of `a1` names the last index of the lineage that its server knew; the
//! letter meant is the newest one of the lineage that begins at or before that index. A cut with `a1` in
//! it covers `a` up to there unspoken ([`Replica::expand`], [`Replica::fold`]). Entries of `a` *beyond*
//! there, which somebody may still hold, are dead: they are logged again by whoever holds them, under
//! names that last, and a cut with `a1` in it never gains more of `a`. So cursors stay short, and the
//! newest letter of each lineage orders them.

use super::api::Place;
use crate::cursor::Cut;
use crate::entry::Entry;
use crate::letter::{Letter, Name, ServerId};

/// An entry where it is held.
#[derive(Debug)]
pub(super) struct Held {
    /// The entry; its payload is empty when `evicted`.
    pub(super) entry: Entry,
    /// Length of the payload.
    pub(super) len: u32,
    /// Where the log has it, once known.
    pub(super) place: Option<Place>,
    /// The payload was given up to the log.
    pub(super) evicted: bool,
    /// Its sequence in the log.
    pub(super) sequence: u64,
    /// The group of its names, when it has several.
    pub(super) names: Option<u32>,
}

/// Whether and how an entry goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is the next of its letter.
    Next,
    /// Its index is covered already.
    Known,
    /// Something before it is missing.
    Gap,
}

/// One letter's part.
#[derive(Debug, Default)]
struct Origin {
    /// Positions of its entries, rising.
    positions: Vec<usize>,
    /// Its first and its last index here.
    first: u64,
    last: u64,
    /// Indices strictly between the two of a pair were never given out, or are lost.
    holes: Vec<(u64, u64)>,
    /// The index before its first entry, in its lineage.
    began_after: u64,
    /// The last name of the letter before that its first entry knew.
    succeeds: Option<Name>,
}

/// The entries of one stream generation, in the order in which they were applied here.
#[derive(Debug, Default)]
pub(super) struct Replica {
    held: Vec<Held>,
    /// Sorted by letter.
    origins: Vec<(Letter, Origin)>,
    /// Some lineage has two letters here.
    succession: bool,
}

impl Replica {
    /// How many entries it holds.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The entry at a position.
    pub(super) fn get(&self, position: usize) -> Option<&Held> {
        self.held.get(position)
    }

    /// The entry at a position.
    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut Held> {
        self.held.get_mut(position)
    }

    /// Where an entry is, by its name.
    pub(super) fn find(&self, name: Name) -> Option<usize> {
        let origin = self.origin(name.letter)?;
        let at = origin
            .positions
            .binary_search_by_key(&name.index, |&p| self.index_at(p))
            .ok()?;
        origin.positions.get(at).copied()
    }

    /// The last name of a lineage.
    pub(super) fn top(&self, id: ServerId) -> Option<Name> {
        let end = self.origins.partition_point(|(letter, _)| letter.id <= id);
        let (letter, origin) = self.origins.get(end.checked_sub(1)?)?;
        (letter.id == id).then(|| letter.name(origin.last))
    }

    /// Whether an entry goes in next.
    pub(super) fn fits(&self, name: Name, before: u64) -> Fit {
        if self.is_dead(name) {
            return Fit::Known;
        }
        if let Some(origin) = self.origin(name.letter) {
            return match origin.last {
                last if last >= name.index => Fit::Known,
                last if last >= before => Fit::Next,
                _ => Fit::Gap,
            };
        }
        match self.predecessor(name.letter, before) {
            Some(_) => Fit::Next,
            None if before == 0 => Fit::Next,
            None => Fit::Gap,
        }
    }

    /// Puts an entry in, whether it fits or not; the caller has asked. Gives its position.
    pub(super) fn push(&mut self, held: Held) -> usize {
        let position = self.held.len();
        let (name, before) = (held.entry.name, held.entry.before);
        self.held.push(held);
        let at = match self.search(name.letter) {
            Ok(at) => at,
            Err(at) => {
                let succeeds = self.predecessor(name.letter, before);
                let same = |(letter, _): &(Letter, Origin)| letter.id == name.letter.id;
                self.succession |= self.origins.iter().any(same);
                let origin = Origin {
                    first: name.index,
                    began_after: before,
                    succeeds,
                    ..Origin::default()
                };
                self.origins.insert(at, (name.letter, origin));
                at
            }
        };
        if let Some((_, origin)) = self.origins.get_mut(at) {
            origin.positions.push(position);
            origin.last = name.index;
            if before + 1 < name.index {
                origin.holes.push((before, name.index));
            }
        }
        position
    }

    /// Entries held under names that a hole would make void, in their order.
    pub(super) fn inside(&self, letter: Letter, before: u64, index: u64) -> Vec<usize> {
        let Some(origin) = self.origin(letter) else {
            return Vec::new();
        };
        let from = origin
            .positions
            .partition_point(|&p| self.index_at(p) <= before);
        let rest = origin.positions.get(from..).unwrap_or_default();
        rest.iter()
            .copied()
            .take_while(|&p| self.index_at(p) < index)
            .collect()
    }

    /// Entries held under names that the first entry of a newer letter, `before` which it knew no
    /// more, would make dead; in their order.
    pub(super) fn outlived(&self, letter: Letter, before: u64) -> Vec<usize> {
        if self.origin(letter).is_some() {
            return Vec::new();
        }
        let older =
            |(other, _): &&(Letter, Origin)| other.id == letter.id && other.number < letter.number;
        let origins = self.origins.iter().filter(older);
        let positions = origins.flat_map(|(_, origin)| origin.positions.iter().copied());
        let beyond = positions.filter(|&p| self.index_at(p) > before);
        let mut beyond: Vec<usize> = beyond.collect();
        beyond.sort_unstable();
        beyond
    }

    /// Whether a name is beyond what the next letter of its lineage knew when it began here.
    pub(super) fn is_dead(&self, name: Name) -> bool {
        self.next_letter(name.letter)
            .is_some_and(|(_, next)| next.began_after < name.index)
    }

    /// Whether a name is dead for whoever has an expanded cut: it covers the next letter, and what that
    /// knew.
    pub(super) fn is_dead_for(&self, cut: &Cut, name: Name) -> bool {
        self.succession
            && self.next_letter(name.letter).is_some_and(|(letter, next)| {
                next.began_after < name.index && cut.get(letter) >= next.first
            })
    }

    /// The next letter of a lineage here.
    fn next_letter(&self, letter: Letter) -> Option<(Letter, &Origin)> {
        let at = self.origins.partition_point(|&(other, _)| other <= letter);
        let (next, origin) = self.origins.get(at)?;
        (next.id == letter.id).then_some((*next, origin))
    }

    /// Whether a name lies in a hole that a cut with `seen` for its letter has passed: then the cut
    /// says nothing about it.
    pub(super) fn is_void(&self, name: Name, seen: u64) -> bool {
        let Some(origin) = self.origin(name.letter) else {
            return false;
        };
        let after = origin
            .holes
            .partition_point(|&(_, index)| index <= name.index);
        match origin.holes.get(after) {
            Some(&(before, index)) => before < name.index && index <= seen,
            None => false,
        }
    }

    /// All that the first `len` entries cover.
    pub(super) fn cut(&self, len: usize) -> Cut {
        let last = |origin: &Origin| {
            let count = origin.positions.partition_point(|&p| p < len);
            let at = *origin.positions.get(count.checked_sub(1)?)?;
            Some(self.index_at(at))
        };
        self.origins
            .iter()
            .filter_map(|(letter, origin)| Some(letter.name(last(origin)?)))
            .collect()
    }

    /// The position of the first entry that an expanded cut does not cover; the number of entries when
    /// it covers all.
    pub(super) fn position(&self, cut: &Cut) -> usize {
        let first = |(letter, origin): &(Letter, Origin)| {
            let seen = cut.get(*letter);
            let unseen = origin.first.max(seen + 1);
            if origin.last <= seen || self.is_dead_for(cut, letter.name(unseen)) {
                return None;
            }
            let at = origin
                .positions
                .partition_point(|&p| self.index_at(p) <= seen);
            origin.positions.get(at).copied()
        };
        self.origins
            .iter()
            .filter_map(first)
            .min()
            .unwrap_or(self.held.len())
    }

    /// Spells out what a cut covers unspoken.
    pub(super) fn expand(&self, cut: &mut Cut) {
        if !self.succession {
            return;
        }
        for (letter, origin) in self.origins.iter().rev() {
            if let Some(name) = origin.succeeds
                && cut.get(*letter) >= origin.first
            {
                cut.raise(name);
            }
        }
    }

    /// Older letters of which this replica cannot say how much a cut covers unspoken, because the newer
    /// one in it is not here; with their last index here.
    pub(super) fn not_understood(&self, cut: &Cut) -> Vec<Name> {
        let unknown = |name: &Name| name.letter.number > 0 && self.origin(name.letter).is_none();
        let older = |new: Name| {
            let older = move |(letter, _): &&(Letter, Origin)| {
                letter.id == new.letter.id && letter.number < new.letter.number
            };
            self.origins.iter().filter(older)
        };
        cut.names()
            .filter(unknown)
            .flat_map(older)
            .map(|(letter, origin)| letter.name(origin.last))
            .filter(|last| cut.get(last.letter) < last.index)
            .collect()
    }

    /// Leaves out what a cut covers unspoken: the inverse of [`Replica::expand`]. A letter that goes a
    /// little further goes too when `covered` says of each name there that the cut covers it by another.
    pub(super) fn fold(&self, cut: &mut Cut, covered: impl Fn(&Cut, Name) -> bool) {
        /// So far is looked.
        const LITTLE: usize = 64;
        if !self.succession {
            return;
        }
        for pair in self.origins.windows(2) {
            let [(letter, origin), (next, new)] = pair else {
                continue;
            };
            let seen = cut.get(*letter);
            if letter.id != next.id || seen == 0 || cut.get(*next) < new.first {
                continue;
            }
            let after = origin
                .positions
                .partition_point(|&p| self.index_at(p) <= new.began_after);
            let held = origin.positions.get(after..).unwrap_or_default().iter();
            let held = held
                .map(|&p| self.index_at(p))
                .take_while(|&index| index <= seen);
            let from = origin.last.max(new.began_after) + 1;
            let all: Vec<u64> = held.chain(from..=seen).take(LITTLE + 1).collect();
            if all.len() <= LITTLE
                && all.iter().all(|&index| covered(cut, letter.name(index)))
                && self.is_said_without(cut, *letter)
            {
                cut.fold(*letter);
            }
        }
    }

    /// Whether a cut says the same of the other letters without one.
    fn is_said_without(&self, cut: &Cut, letter: Letter) -> bool {
        let (mut with, mut without) = (cut.clone(), cut.clone());
        without.fold(letter);
        self.expand(&mut with);
        self.expand(&mut without);
        let same = |name: Name| name.letter == letter || without.get(name.letter) >= name.index;
        with.names().all(same)
    }

    fn predecessor(&self, letter: Letter, before: u64) -> Option<Name> {
        let older = |(other, origin): &&(Letter, Origin)| {
            other.id == letter.id && other.number < letter.number && origin.first <= before
        };
        let (other, origin) = self.origins.iter().rev().find(older)?;
        (before > 0 && origin.last >= before).then(|| other.name(before))
    }

    fn index_at(&self, position: usize) -> u64 {
        self.held.get(position).map_or(0, |h| h.entry.name.index)
    }

    fn origin(&self, letter: Letter) -> Option<&Origin> {
        let at = self.search(letter).ok()?;
        self.origins.get(at).map(|(_, origin)| origin)
    }

    fn search(&self, letter: Letter) -> Result<usize, usize> {
        self.origins
            .binary_search_by_key(&letter, |&(letter, _)| letter)
    }
}
