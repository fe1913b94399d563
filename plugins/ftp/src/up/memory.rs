//! What the sessions of an instance know together of where paths were written.
//!
//! With separate storages a path just written is at one node, perhaps at no other yet. What reads it or builds
//! on it goes there: the path itself, or the nearest directory above it that was made or renamed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::up::placement::Wanted;

/// For how long a node that could not be had is not waited for.
pub(crate) const ABSENT: Duration = Duration::from_secs(5);
/// How many written paths are remembered, of all users together, and for how long.
const MOST_WRITTEN: usize = 4096;
const REMEMBERED: Duration = Duration::from_secs(300);

/// What the sessions of an instance know together of where to go.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By name, until when.
    absent: BTreeMap<String, Duration>,
    written: VecDeque<Written>,
}

#[derive(Debug)]
struct Written {
    place: Place,
    node: String,
    until: Duration,
}

/// A file, as one user calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Zeroed when it is forgotten, as the session's own copy is.
    user: Zeroizing<Vec<u8>>,
    /// Absolute, or from where the login leads.
    path: Vec<u8>,
}

impl Place {
    /// The file that `path` is for `user` in the directory `cwd`.
    pub(crate) fn of(user: &[u8], cwd: Option<&[u8]>, path: &[u8]) -> Self {
        let joined = match (path, cwd) {
            ([b'/', ..], _) | (_, None) => path.to_vec(),
            (_, Some(cwd)) => [cwd, b"/", path].concat(),
        };
        let mut steps: Vec<&[u8]> = Vec::new();
        for step in joined.split(|byte| *byte == b'/') {
            match step {
                b"" | b"." => {}
                b".." => {
                    steps.pop();
                }
                step => steps.push(step),
            }
        }
        Self {
            user: Zeroizing::new(user.to_vec()),
            path: steps.join(&b'/'),
        }
    }

    /// Whether it is in the directory `above`, however deep.
    fn is_beneath(&self, above: &Self) -> bool {
        let rest = self.path.strip_prefix(above.path.as_slice());
        let beneath = above.path.is_empty() || rest.is_some_and(|rest| rest.first() == Some(&b'/'));
        self.user == above.user && beneath && self.path != above.path
    }
}

/// What a change builds on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ties<'a> {
    /// Nothing.
    None,
    /// The directory that this is in: the file itself is made anew.
    Within(&'a Place),
    /// What stands there.
    To(&'a Place),
}

impl Memory {
    fn with<R>(&self, with: impl FnOnce(&mut Known) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The nodes for a change: where what it builds on was just written, then `primary` in this order; any
    /// when there is neither.
    pub(crate) fn writers(&self, primary: &[String], ties: Ties<'_>, now: Duration) -> Wanted {
        self.with(|known| {
            let first = match ties {
                Ties::None => None,
                Ties::Within(place) => known.above(place, now),
                Ties::To(place) => known.at(place, now),
            };
            let first = first.map(str::to_owned);
            let others = primary.is_empty();
            let rest = primary.iter().filter(|name| first.as_ref() != Some(*name));
            known.wanted(first.iter().chain(rest).cloned().collect(), others, now)
        })
    }

    /// The nodes for a read of `place`: where it was just written, if it was.
    pub(crate) fn readers(&self, place: &Place, now: Duration) -> Wanted {
        self.with(|known| match known.at(place, now).map(str::to_owned) {
            Some(node) => known.wanted(vec![node], true, now),
            None => Wanted::any(),
        })
    }

    /// Keeps what a request has learnt of nodes that could not be had.
    pub(crate) fn learn(&self, wanted: &Wanted, now: Duration) {
        self.with(|known| {
            for name in wanted.found_absent() {
                let until = now.saturating_add(ABSENT);
                known.absent.insert(name.to_owned(), until);
            }
        });
    }

    /// Keeps that `place` was written at `node`, or removed there: a read finds there what became of it.
    pub(crate) fn wrote(&self, place: Place, node: &str, now: Duration) {
        self.with(|known| known.put(place, node, now));
    }

    /// Keeps that `from` became `to` at `node`, with all that was written there beneath it.
    pub(crate) fn renamed(&self, from: &Place, to: &Place, node: &str, now: Duration) {
        self.with(|known| {
            known
                .written
                .retain(|written| !written.place.is_beneath(to));
            for written in &mut known.written {
                if written.node == node && written.place.is_beneath(from) {
                    let rest = written
                        .place
                        .path
                        .get(from.path.len()..)
                        .unwrap_or_default();
                    written.place.path = [to.path.as_slice(), rest].concat();
                }
            }
            known.put(from.clone(), node, now);
            known.put(to.clone(), node, now);
        });
    }
}

impl Known {
    /// `order` without waiting for those that were not to be had lately.
    fn wanted(&mut self, order: Vec<String>, others: bool, now: Duration) -> Wanted {
        self.absent.retain(|_, until| *until > now);
        if order.is_empty() {
            return Wanted::any();
        }
        Wanted::of(order, others, |name| self.absent.contains_key(name))
    }

    /// Where `place` itself was last written, or else the nearest directory above it.
    fn at(&self, place: &Place, now: Duration) -> Option<&str> {
        let mut written = self.written.iter().rev();
        let itself = written.find(|written| written.place == *place && written.until > now);
        match itself {
            Some(written) => Some(&written.node),
            None => self.above(place, now),
        }
    }

    /// Where the nearest directory above `place` was last written.
    fn above(&self, place: &Place, now: Duration) -> Option<&str> {
        let above = self.written.iter().filter(|written| {
            written.until > now
                && place.is_beneath(&written.place)
                && !written.place.path.is_empty()
        });
        let nearest = above.max_by_key(|written| written.place.path.len());
        nearest.map(|written| written.node.as_str())
    }

    /// Forgets the oldest path of the user who has most of them: nobody's many push another's few out.
    fn forget_one(&mut self) {
        let mut shares: BTreeMap<&[u8], usize> = BTreeMap::new();
        for written in &self.written {
            *shares.entry(written.place.user.as_slice()).or_default() += 1;
        }
        let most = shares.into_iter().max_by_key(|(_, share)| *share);
        let oldest = most.and_then(|(user, _)| {
            let mut written = self.written.iter();
            written.position(|written| written.place.user.as_slice() == user)
        });
        if let Some(oldest) = oldest {
            self.written.remove(oldest);
        }
    }

    fn put(&mut self, place: Place, node: &str, now: Duration) {
        self.written
            .retain(|written| written.place != place && written.until > now);
        if self.written.len() >= MOST_WRITTEN {
            self.forget_one();
        }
        self.written.push_back(Written {
            place,
            node: node.to_owned(),
            until: now.saturating_add(REMEMBERED),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::placement::accepted;

    #[test]
    fn what_is_remembered_is_bounded() {
        let memory = Memory::default();
        for n in 0..=MOST_WRITTEN {
            let place = Place::of(b"u", None, n.to_string().as_bytes());
            memory.wrote(place, "n", Duration::ZERO);
        }
        assert_eq!(memory.with(|known| known.written.len()), MOST_WRITTEN);
    }

    /// One user's many files do not push another's few out.
    #[test]
    fn a_user_has_a_fair_share_of_what_is_remembered() {
        let memory = Memory::default();
        let few = Place::of(b"few", None, b"x");
        memory.wrote(few.clone(), "a", Duration::ZERO);
        for n in 0..2 * MOST_WRITTEN {
            let place = Place::of(b"many", None, n.to_string().as_bytes());
            memory.wrote(place, "n", Duration::ZERO);
        }
        assert_ne!(memory.readers(&few, Duration::ZERO), Wanted::any());
        assert_eq!(memory.with(|known| known.written.len()), MOST_WRITTEN);
    }

    /// A node that is found away again is not waited for anew; one that was merely known to be is.
    #[test]
    fn an_absence_is_renewed_by_those_who_found_it() {
        let memory = Memory::default();
        let primary = ["a", "b"].map(str::to_owned);
        let writers = |at: Duration| memory.writers(&primary, Ties::None, at);
        let mut found = writers(Duration::ZERO);
        found.lost("a");
        memory.learn(&found, Duration::ZERO);
        let knows = writers(ABSENT / 2);
        memory.learn(&knows, ABSENT / 2);
        let mut later = writers(ABSENT);
        assert_eq!(accepted(&mut later, &["b"]), None);
        // It was asked for before the first absence was over, and its end noted after that.
        let mut again = writers(ABSENT);
        again.lost("a");
        memory.learn(&found, Duration::ZERO);
        memory.learn(&again, ABSENT + ABSENT / 2);
        let mut soon = writers(2 * ABSENT);
        assert_eq!(accepted(&mut soon, &["b"]).as_deref(), Some("b"));
    }

    #[test]
    fn a_read_goes_where_the_path_was_written_by_whatever_name() {
        let memory = Memory::default();
        memory.wrote(Place::of(b"u", Some(b"/a"), b"b/./x"), "n1", Duration::ZERO);
        for (cwd, path) in [(Some(&b"/a/b"[..]), &b"x"[..]), (None, b"/a/c/../b/x")] {
            let mut wanted = memory.readers(&Place::of(b"u", cwd, path), Duration::ZERO);
            let node = accepted(&mut wanted, &["n0", "n1"]);
            assert_eq!(node.as_deref(), Some("n1"));
        }
        for (user, path) in [(&b"u"[..], &b"/a/x"[..]), (b"v", b"/a/b/x")] {
            let mut wanted = memory.readers(&Place::of(user, None, path), Duration::ZERO);
            assert_eq!(accepted(&mut wanted, &["n0"]).as_deref(), Some("n0"));
        }
        let place = Place::of(b"u", None, b"/a/b/x");
        assert_eq!(memory.readers(&place, REMEMBERED), Wanted::any());
    }

    /// The node that a change gets of `a` and `b`, both up, with `a` the first of the primaries.
    fn writer(memory: &Memory, ties: Ties<'_>) -> String {
        let primary = ["a", "b"].map(str::to_owned);
        let mut wanted = memory.writers(&primary, ties, Duration::ZERO);
        accepted(&mut wanted, &["b", "a", "b", "a"]).unwrap()
    }

    #[test]
    fn what_builds_on_a_path_goes_where_it_was_written_and_a_new_file_where_its_directory_was() {
        let memory = Memory::default();
        let place = |path: &str| Place::of(b"u", None, path.as_bytes());
        memory.wrote(place("/d"), "b", Duration::ZERO);
        memory.wrote(place("/x"), "b", Duration::ZERO);
        for (ties, expected) in [
            (Ties::To(&place("/x")), "b"),
            (Ties::Within(&place("/x")), "a"),
            (Ties::To(&place("/d/e/f")), "b"),
            (Ties::Within(&place("/d/e")), "b"),
            (Ties::Within(&place("/d")), "a"),
            (Ties::To(&place("/dd")), "a"),
            (Ties::None, "a"),
        ] {
            assert_eq!(writer(&memory, ties), expected, "{ties:?}");
        }
    }

    #[test]
    fn a_rename_takes_along_what_is_remembered() {
        let memory = Memory::default();
        let place = |path: &str| Place::of(b"u", None, path.as_bytes());
        memory.wrote(place("/d/x"), "b", Duration::ZERO);
        memory.wrote(place("/e/x"), "a", Duration::ZERO);
        memory.renamed(&place("/d"), &place("/e"), "b", Duration::ZERO);
        for path in ["/e/x", "/e", "/e/y", "/d", "/d/x"] {
            assert_eq!(writer(&memory, Ties::To(&place(path))), "b", "{path}");
        }
    }
}
