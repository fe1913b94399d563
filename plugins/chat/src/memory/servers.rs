//! Which starts of which servers can still be believed to hold what they acknowledged.
//!
//! A server that failed, or came back as another start, may have lost writes that were not yet stable. Each
//! such event is a *mark*: all starts of that letter up to one are gone as of a stamp, a number that rises
//! with every mark. An acknowledgement carries the stamp at which its request was sent, so one that was
//! sent before a mark is in doubt, and one that the same server gave after it (it had not died at all) is
//! not.

use std::collections::{BTreeMap, HashMap};

use crate::name::{Identity, Letter};

/// What is known of the servers behind the nodes.
#[derive(Debug, Default)]
pub struct Servers {
    nodes: HashMap<u32, Identity>,
    gone: BTreeMap<Letter, Mark>,
    stamp: u64,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// This start and all before it.
    start: u64,
    stamp: u64,
}

impl Servers {
    /// To be kept with a request when it is sent.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Whether a server of the group signs with that letter, or did.
    #[must_use]
    pub fn knows(&self, letter: Letter) -> bool {
        let mut nodes = self.nodes.values();
        nodes.any(|server| server.letter.same_lineage(letter) && server.letter >= letter)
    }

    /// A node said who it is. `true` when it had been another start before, which is marked now.
    pub fn seen(&mut self, node: u32, identity: Identity) -> bool {
        match self.nodes.insert(node, identity) {
            None => false,
            Some(before) if before == identity => false,
            // An answer that had been on its way for long.
            Some(before) if before.letter == identity.letter && before.start > identity.start => {
                self.nodes.insert(node, before);
                false
            }
            Some(before) => {
                self.mark(before);
                true
            }
        }
    }

    /// A node failed. `true` when a server is known behind it, which is marked now.
    pub fn failed(&mut self, node: u32) -> bool {
        let Some(identity) = self.nodes.get(&node).copied() else {
            return false;
        };
        self.mark(identity);
        true
    }

    /// Whether an acknowledgement of that server, to a request sent at that stamp, is in doubt.
    #[must_use]
    pub fn in_doubt(&self, home: Identity, stamp: u64) -> bool {
        self.gone
            .get(&home.letter)
            .is_some_and(|mark| home.start <= mark.start && stamp < mark.stamp)
    }

    /// The stamp of the last mark of a letter.
    #[must_use]
    pub fn marked(&self, letter: Letter) -> Option<u64> {
        self.gone.get(&letter).map(|mark| mark.stamp)
    }

    fn mark(&mut self, identity: Identity) {
        self.stamp += 1;
        let start = self
            .gone
            .get(&identity.letter)
            .map_or(identity.start, |mark| mark.start.max(identity.start));
        self.gone.insert(
            identity.letter,
            Mark {
                start,
                stamp: self.stamp,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Identity {
        text.parse().unwrap()
    }

    #[test]
    fn a_failed_node_leaves_its_acknowledgements_in_doubt_until_it_repeats_them() {
        let mut servers = Servers::default();
        assert!(!servers.failed(1), "nobody was seen there");
        assert!(!servers.seen(1, id("a/5")));
        let before = servers.stamp();
        assert!(!servers.in_doubt(id("a/5"), before));
        assert!(servers.failed(1));
        assert!(servers.in_doubt(id("a/5"), before));
        assert!(servers.in_doubt(id("a/4"), before));
        assert!(!servers.in_doubt(id("b/1"), before));
        assert!(!servers.in_doubt(id("a/5"), servers.stamp()));
        assert!(!servers.in_doubt(id("a/6"), before));
    }

    #[test]
    fn another_start_or_letter_marks_the_one_before() {
        let mut servers = Servers::default();
        servers.seen(1, id("a/5"));
        let first = servers.stamp();
        assert!(servers.seen(1, id("a/6")));
        assert!(servers.in_doubt(id("a/5"), first) && !servers.in_doubt(id("a/6"), first));
        assert!(!servers.seen(1, id("a/5")), "a late answer");
        assert!(!servers.seen(1, id("a/6")));
        assert!(servers.seen(1, id("a1/1")));
        assert!(servers.in_doubt(id("a/6"), first));
        assert_eq!(servers.marked(id("a/1").letter), Some(servers.stamp()));
        assert_eq!(servers.marked(id("a1/1").letter), None);
    }
}
