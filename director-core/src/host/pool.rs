//! Links at rest, for the next request of any session of their thread.
//!
//! Bytes or end of file on a link at rest make it unfit: it is reset, never used again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use super::chain::Link;
use super::clock;
use crate::cluster::{InFlight, NodeId};

/// Links that rest for one node and one kind of link.
const MOST: usize = 64;

/// One instance's links at rest on one thread.
#[derive(Debug, Default)]
pub(super) struct Pool(RefCell<HashMap<(NodeId, u64), Vec<Resting>>>);

#[derive(Debug)]
struct Resting {
    link: Link,
    since: u64,
}

impl Pool {
    /// Lays a link to rest. One that is not at rest, or too many, is reset.
    pub(super) fn give(&self, mut link: Link, link_type: u64) {
        // Whatever belongs to the link beside its stream is of the request that is over.
        if !link.is_fit() || !link.stream.is_at_rest() || !link.stream.bundle.is_alone() {
            return;
        }
        link.rest();
        let key = (link.node.id, link_type);
        let mut all = self.0.borrow_mut();
        let resting = all.entry(key).or_default();
        let surplus = if resting.len() < MOST {
            None
        } else {
            Some(resting.remove(0))
        };
        resting.push(Resting {
            link,
            since: clock::now(),
        });
        drop(all);
        drop(surplus);
    }

    /// A fit link to the node, the one that was used last.
    pub(super) fn take(
        &self,
        node: NodeId,
        link_type: u64,
        flight: &mut Option<InFlight>,
    ) -> Option<Link> {
        loop {
            // Not in the `if`, which would keep the pool borrowed while a link is dropped.
            let last = self.pop(node, link_type);
            let Resting { mut link, .. } = last?;
            if link.is_fit() && link.stream.is_at_rest() {
                link.use_again(flight.take()?);
                return Some(link);
            }
        }
    }

    fn pop(&self, node: NodeId, link_type: u64) -> Option<Resting> {
        let mut all = self.0.borrow_mut();
        let resting = all.get_mut(&(node, link_type))?;
        let last = resting.pop();
        if resting.is_empty() {
            all.remove(&(node, link_type));
        }
        last
    }

    /// Resets what has rested for `longest`, or is not fit any more.
    pub(super) fn sweep(&self, longest: Duration) {
        self.retain(|resting| {
            clock::since(resting.since) < longest
                && resting.link.is_fit()
                && resting.link.stream.is_at_rest()
        });
    }

    /// Resets all.
    pub(super) fn clear(&self) {
        self.retain(|_| false);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    fn retain(&self, fit: impl Fn(&Resting) -> bool) {
        let mut unfit = Vec::new();
        self.0.borrow_mut().retain(|_, resting| {
            unfit.extend(resting.extract_if(.., |resting| !fit(resting)));
            !resting.is_empty()
        });
        // Dropped while nothing is borrowed.
        drop(unfit);
    }
}
