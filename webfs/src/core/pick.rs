//! Which entries a reader gets.
//!
//! The rule of names: an entry is not delivered to a reader whose cursor covers *any* of its names. It is
//! asked of the cursor that the reader came with and of where it has come to since; a name in a hole
//! counts only for a cursor that has not passed the hole, and a dead name brings nothing to a cursor that
//! has the letter after it.

use super::room::Room;
use crate::cursor::Cut;
use crate::letter::Name;
use crate::server::ReadLimits;

/// A reader's way through a replica.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// The cursor it came with, expanded.
    pub(super) from: Cut,
    /// What it covers now, expanded.
    pub(super) at: Cut,
    /// Every entry before it is covered by `at`, or dead for it.
    pub(super) position: usize,
}

impl Room {
    /// Whether this server can say where a cursor begins: it has every letter that others follow on.
    pub(super) fn understands(&self, from: &Cut) -> bool {
        self.replica.not_understood(from).is_empty()
    }

    /// Where a cursor begins. What is not understood is taken for covered: that is asked only when no
    /// member can tell any more.
    pub(super) fn way(&self, mut from: Cut) -> Way {
        self.replica.expand(&mut from);
        for name in self.replica.not_understood(&from) {
            from.raise(name);
        }
        Way {
            position: self.replica.position(&from),
            at: from.clone(),
            from,
        }
    }

    /// Moves along to `end` at most; gives the positions of what is to be delivered.
    pub(super) fn pick(
        &self,
        way: &mut Way,
        end: usize,
        limits: ReadLimits,
        names: bool,
    ) -> Vec<usize> {
        let (mut picked, mut bytes) = (Vec::new(), 0);
        while way.position < end
            && let Some(held) = self.replica.get(way.position)
        {
            let name = held.entry.name;
            if self.replica.is_dead_for(&way.at, name) && way.at.get(name.letter) < name.index {
                way.position += 1; // it comes under the name under which it was logged again
                continue;
            }
            let covered = way.at.get(name.letter) >= name.index;
            if !covered && held.len > 0 && !self.has_other_name(way, name, held.names, names) {
                if picked.len() >= limits.entries.max(1)
                    || !picked.is_empty() && bytes >= limits.bytes
                {
                    break;
                }
                picked.push(way.position);
                bytes += held.len as usize;
            }
            way.at.raise(name);
            way.position += 1;
        }
        picked
    }

    /// Whether the reader has the entry under another name.
    fn has_other_name(&self, way: &Way, name: Name, group: Option<u32>, names: bool) -> bool {
        let Some(group) = group else {
            return false;
        };
        let mut others = self.names.group(group).iter().filter(|&&n| n != name);
        if names {
            others.any(|&other| self.counts(&way.at, other) || self.counts(&way.from, other))
        } else {
            others.any(|&other| self.replica.find(other).is_some_and(|p| p < way.position))
        }
    }

    fn counts(&self, cut: &Cut, name: Name) -> bool {
        let seen = cut.get(name.letter);
        seen >= name.index && !self.replica.is_void(name, seen)
    }
}
