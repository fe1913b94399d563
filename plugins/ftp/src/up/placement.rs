//! At which node a command has to be performed: uploads and other changes at the first of the primaries
//! that can be had, reads of a path just written where it was written.
//!
//! The director picks nodes by load and health; a node that is not the wanted one is declined before a
//! word is said to it, and the next is picked. A better node that never comes is taken to be absent when
//! a declined one is picked for the second time, and for some seconds nobody waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use director_sdk::{Failure, Kind};

/// For how long a node that could not be had is not waited for.
const ABSENT: Duration = Duration::from_secs(5);
/// How many written paths are remembered, and for how long.
const MOST_WRITTEN: usize = 4096;
const REMEMBERED: Duration = Duration::from_secs(300);

/// Which nodes a request wants, best first, and which it has declined so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// By name.
    order: Vec<String>,
    /// Nodes outside the order will do, when none of it can be had.
    others: bool,
    absent: Vec<bool>,
    declined: Vec<usize>,
}

/// What becomes of a node that was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Accept,
    NotNow,
    Never,
}

impl Wanted {
    /// Any node.
    pub(crate) fn any() -> Self {
        Self::default()
    }

    fn of(order: Vec<String>, others: bool, is_absent: impl Fn(&str) -> bool) -> Self {
        Self {
            absent: order.iter().map(|name| is_absent(name)).collect(),
            order,
            others,
            declined: Vec::new(),
        }
    }

    fn look(&mut self, name: &str) -> Look {
        if self.order.is_empty() {
            return Look::Accept;
        }
        let listed = self.order.iter().position(|listed| listed == name);
        let rank = match listed {
            Some(rank) => rank,
            None if self.others => self.order.len(),
            None => return Look::Never,
        };
        let mut better = self.absent.iter().take(rank);
        if better.all(|absent| *absent) {
            return Look::Accept;
        }
        let best = self.declined.iter().min();
        if self.declined.contains(&rank) && best == Some(&rank) {
            // All were to be had by now; what is better than this one was not.
            self.absent.iter_mut().take(rank).for_each(|it| *it = true);
            return Look::Accept;
        }
        if !self.declined.contains(&rank) {
            self.declined.push(rank);
        }
        Look::NotNow
    }

    /// Whether the node of this name may have the request.
    ///
    /// # Errors
    ///
    /// Not this one, or not now. No fault of the node's, and its link is as it was.
    pub(crate) fn accepts(&mut self, name: &str) -> Result<(), Failure> {
        match self.look(name) {
            Look::Accept => Ok(()),
            // A kind that says nothing against the node, and lets it be picked once more.
            Look::NotNow => {
                let detail = "another node is wanted before this one";
                Err(Failure::new(Kind::Unknown, detail).fit())
            }
            Look::Never => {
                let detail = "this node takes no uploads";
                Err(Failure::new(Kind::Missing, detail).fit())
            }
        }
    }

    /// The node of this name is wanted before all others: it may have done what it was asked, and can tell.
    pub(crate) fn first(&mut self, name: &str) {
        self.others |= self.order.is_empty();
        let rest = std::mem::take(&mut self.order).into_iter();
        let rest = rest.zip(std::mem::take(&mut self.absent));
        let rest = rest.filter(|(listed, _)| listed != name);
        (self.order, self.absent) = std::iter::once((name.to_owned(), false))
            .chain(rest)
            .unzip();
        self.declined.clear();
    }

    /// The node of this name was lost: it is not waited for.
    pub(crate) fn lost(&mut self, name: &str) {
        for (listed, absent) in self.order.iter().zip(&mut self.absent) {
            *absent |= listed == name;
        }
    }

    /// Names of the nodes that were not to be had.
    fn absentees(&self) -> impl Iterator<Item = &str> {
        let names = self.order.iter().zip(&self.absent);
        names
            .filter(|(_, absent)| **absent)
            .map(|(name, _)| name.as_str())
    }
}

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
    user: Vec<u8>,
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
            user: user.to_vec(),
            path: steps.join(&b'/'),
        }
    }
}

impl Memory {
    fn with<R>(&self, with: impl FnOnce(&mut Known) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The nodes for a change: `primary` in this order, or any when there is none.
    pub(crate) fn writers(&self, primary: &[String], now: Duration) -> Wanted {
        self.with(|known| {
            known.absent.retain(|_, until| *until > now);
            Wanted::of(primary.to_vec(), false, |name| {
                known.absent.contains_key(name)
            })
        })
    }

    /// The nodes for a read of `place`: where it was just written, if it was.
    pub(crate) fn readers(&self, place: &Place, now: Duration) -> Wanted {
        self.with(|known| {
            known.absent.retain(|_, until| *until > now);
            let written = known
                .written
                .iter()
                .rev()
                .find(|written| written.place == *place && written.until > now);
            written.map_or_else(Wanted::any, |written| {
                Wanted::of(vec![written.node.clone()], true, |name| {
                    known.absent.contains_key(name)
                })
            })
        })
    }

    /// Keeps what a request has learnt of nodes that could not be had.
    pub(crate) fn learn(&self, wanted: &Wanted, now: Duration) {
        self.with(|known| {
            for name in wanted.absentees() {
                let until = now.saturating_add(ABSENT);
                known.absent.entry(name.to_owned()).or_insert(until);
            }
        });
    }

    /// Keeps that `place` was written at `node`.
    pub(crate) fn wrote(&self, place: Place, node: &str, now: Duration) {
        self.with(|known| {
            known
                .written
                .retain(|written| written.place != place && written.until > now);
            if known.written.len() >= MOST_WRITTEN {
                known.written.pop_front();
            }
            known.written.push_back(Written {
                place,
                node: node.to_owned(),
                until: now.saturating_add(REMEMBERED),
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|n| format!("n{n}")).collect()
    }

    /// Picks as the director does: each node that is up once a round, in an order of chance.
    fn picked(wanted: &mut Wanted, rounds: &[Vec<String>]) -> Option<String> {
        let all = rounds.iter().flatten();
        all.into_iter()
            .find(|name| wanted.look(name) == Look::Accept)
            .cloned()
    }

    proptest! {
        #[test]
        fn the_first_primary_that_is_up_gets_it(
            up in prop::collection::vec(any::<bool>(), 4),
            first in Just(names(4)).prop_shuffle(),
            second in Just(names(4)).prop_shuffle(),
        ) {
            let is_up = |name: &String| up[names(4).iter().position(|n| n == name).unwrap()];
            let rounds: Vec<Vec<String>> = [first, second]
                .map(|round| round.into_iter().filter(&is_up).collect())
                .into();
            let best = names(4).into_iter().find(is_up);
            let mut wanted = Wanted::of(names(4), false, |_| false);
            prop_assert_eq!(picked(&mut wanted, &rounds), best.clone());
            // And what was learnt of it spares the next request the second round.
            let memory = Memory::default();
            memory.learn(&wanted, Duration::ZERO);
            let mut next = memory.writers(&names(4), Duration::ZERO);
            prop_assert_eq!(picked(&mut next, &rounds[..1]), best);
        }

        #[test]
        fn a_node_outside_the_order_takes_no_upload_but_a_read(name in "[a-z]{1,4}") {
            let mut wanted = Wanted::of(names(1), false, |_| false);
            prop_assert_eq!(wanted.look(&name), Look::Never);
            let mut wanted = Wanted::of(names(1), true, |_| false);
            prop_assert_eq!(wanted.look(&name), Look::NotNow);
            prop_assert_eq!(wanted.look(&name), Look::Accept);
        }
    }

    #[test]
    fn a_node_that_may_have_done_it_comes_first_and_the_others_after_it() {
        let mut wanted = Wanted::of(names(3), false, |name| name == "n0");
        wanted.first("n1");
        assert_eq!(wanted.look("n2"), Look::NotNow);
        assert_eq!(wanted.look("n1"), Look::Accept);
        assert_eq!(wanted.look("n2"), Look::Accept);
        let mut wanted = Wanted::any();
        wanted.first("n1");
        assert_eq!(wanted.look("n0"), Look::NotNow);
        assert_eq!(wanted.look("n0"), Look::Accept);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let memory = Memory::default();
        for n in 0..=MOST_WRITTEN {
            let place = Place::of(b"u", None, n.to_string().as_bytes());
            memory.wrote(place, "n", Duration::ZERO);
        }
        assert_eq!(memory.with(|known| known.written.len()), MOST_WRITTEN);
    }

    #[test]
    fn a_lost_primary_is_passed_over_at_once_and_tried_again_later() {
        let mut wanted = Wanted::of(names(2), false, |_| false);
        assert_eq!(wanted.look("n0"), Look::Accept);
        wanted.lost("n0");
        assert_eq!(wanted.look("n1"), Look::Accept);
        let memory = Memory::default();
        memory.learn(&wanted, Duration::ZERO);
        let mut soon = memory.writers(&names(2), ABSENT / 2);
        assert_eq!(soon.look("n1"), Look::Accept);
        let mut later = memory.writers(&names(2), ABSENT);
        assert_eq!(later.look("n1"), Look::NotNow);
        assert_eq!(later.look("n0"), Look::Accept);
    }

    #[test]
    fn a_read_goes_where_the_path_was_written_by_whatever_name() {
        let memory = Memory::default();
        memory.wrote(Place::of(b"u", Some(b"/a"), b"b/./x"), "n1", Duration::ZERO);
        for (cwd, path) in [(Some(&b"/a/b"[..]), &b"x"[..]), (None, b"/a/c/../b/x")] {
            let mut wanted = memory.readers(&Place::of(b"u", cwd, path), Duration::ZERO);
            assert_eq!(wanted.look("n0"), Look::NotNow);
            assert_eq!(wanted.look("n1"), Look::Accept);
        }
        for (user, path) in [(&b"u"[..], &b"/a/x"[..]), (b"v", b"/a/b/x")] {
            let mut wanted = memory.readers(&Place::of(user, None, path), Duration::ZERO);
            assert_eq!(wanted.look("n0"), Look::Accept);
        }
        let place = Place::of(b"u", None, b"/a/b/x");
        assert_eq!(memory.readers(&place, REMEMBERED), Wanted::any());
    }
}
