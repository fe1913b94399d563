//! At which node a command has to be performed: uploads and other changes at the first of the primaries
//! that can be had, what builds on a path just written where it was written ([`Memory`](crate::up::memory::Memory)).
//!
//! The director picks nodes by load and health; a node that is not the wanted one is declined before a
//! word is said to it, and the next is picked. A better node that never comes is taken to be absent when
//! a declined one is picked for the second time, and for some seconds nobody waits for it.

use std::collections::BTreeSet;

use director_sdk::{Failure, Kind};

/// Which nodes a request wants, best first, and which it has declined so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// By name.
    order: Vec<String>,
    /// Nodes outside the order will do, when none of it can be had.
    others: bool,
    absent: Vec<bool>,
    /// Names of those that this request itself has found away.
    found: BTreeSet<String>,
    /// By rank and name: nodes outside the order have one rank together.
    declined: Vec<(usize, String)>,
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

    /// These, best first; with `others`, any other node after them. Nobody waits for one that `is_absent`.
    pub(crate) fn of(order: Vec<String>, others: bool, is_absent: impl Fn(&str) -> bool) -> Self {
        Self {
            absent: order.iter().map(|name| is_absent(name)).collect(),
            order,
            others,
            found: BTreeSet::new(),
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
        let best = self.declined.iter().map(|(rank, _)| *rank).min();
        let before = self.declined.iter().any(|(_, declined)| declined == name);
        if before && best == Some(rank) {
            // All were to be had by now; what is better than this one was not.
            for (listed, absent) in self.order.iter().zip(&mut self.absent).take(rank) {
                if !std::mem::replace(absent, true) {
                    self.found.insert(listed.clone());
                }
            }
            return Look::Accept;
        }
        if !before {
            self.declined.push((rank, name.to_owned()));
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
            if listed == name {
                *absent = true;
                self.found.insert(listed.clone());
            }
        }
    }

    /// Names of the nodes that this request has found away; not of those that were known to be.
    pub(crate) fn found_absent(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(String::as_str)
    }
}

/// Which of the nodes, picked one after the other, is accepted.
#[cfg(test)]
pub(crate) fn accepted(wanted: &mut Wanted, picks: &[&str]) -> Option<String> {
    let mut picks = picks.iter();
    picks
        .find(|name| wanted.look(name) == Look::Accept)
        .map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::memory::{ABSENT, Memory, Ties};
    use proptest::prelude::*;
    use std::time::Duration;

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
            let mut next = memory.writers(&names(4), Ties::None, Duration::ZERO);
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
    fn two_other_nodes_do_not_make_the_wanted_one_absent() {
        let mut wanted = Wanted::of(names(1), true, |_| false);
        let picks = ["n1", "n2", "n0"];
        assert_eq!(accepted(&mut wanted, &picks).as_deref(), Some("n0"));
        let mut wanted = Wanted::of(names(1), true, |_| false);
        let picks = ["n1", "n2", "n2", "n1"];
        assert_eq!(accepted(&mut wanted, &picks).as_deref(), Some("n2"));
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
    fn a_lost_primary_is_passed_over_at_once_and_tried_again_later() {
        let mut wanted = Wanted::of(names(2), false, |_| false);
        assert_eq!(wanted.look("n0"), Look::Accept);
        wanted.lost("n0");
        assert_eq!(wanted.look("n1"), Look::Accept);
        let memory = Memory::default();
        memory.learn(&wanted, Duration::ZERO);
        let mut soon = memory.writers(&names(2), Ties::None, ABSENT / 2);
        assert_eq!(soon.look("n1"), Look::Accept);
        let mut later = memory.writers(&names(2), Ties::None, ABSENT);
        assert_eq!(later.look("n1"), Look::NotNow);
        assert_eq!(later.look("n0"), Look::Accept);
    }
}
