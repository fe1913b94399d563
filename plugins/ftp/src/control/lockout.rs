//! Which nodes are not told the present login's password again.
//!
//! Servers count passwords that they do not take, and lock the account at some number. A node that denies what
//! another has accepted is left out for this login, and so is one that got the password and did not answer, again
//! and again: some servers end the connection instead of saying no.

use director_sdk::NodeId;

/// How often in a row a node may get a password and not let the client in.
const MOST_UNANSWERED: u32 = 3;

/// What nodes have made of one login.
#[derive(Debug, Default)]
pub(crate) struct Lockout {
    denied: Vec<NodeId>,
    /// Nodes that got the password since they last let the client in, and how often.
    told: Vec<(NodeId, u32)>,
}

impl Lockout {
    /// Whether the node is not asked any more.
    pub(crate) fn leaves_out(&self, node: NodeId) -> bool {
        let often = |(told, times): &(NodeId, u32)| *told == node && *times >= MOST_UNANSWERED;
        self.denied.contains(&node) || self.told.iter().any(often)
    }

    /// Whether some node is left out.
    pub(crate) fn is_any(&self) -> bool {
        let often = |(_, times): &(NodeId, u32)| *times >= MOST_UNANSWERED;
        !self.denied.is_empty() || self.told.iter().any(often)
    }

    /// The node denies what another has accepted.
    pub(crate) fn deny(&mut self, node: NodeId) {
        self.denied.push(node);
    }

    /// The node is told the password now.
    pub(crate) fn tell(&mut self, node: NodeId) {
        match self.told.iter_mut().find(|(told, _)| *told == node) {
            Some((_, times)) => *times += 1,
            None => self.told.push((node, 1)),
        }
    }

    /// The node has let the client in.
    pub(crate) fn let_in(&mut self, node: NodeId) {
        self.told.retain(|(told, _)| *told != node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_left_out_by_its_no_or_after_three_silences() {
        let (a, b, mut lockout) = (NodeId(1), NodeId(2), Lockout::default());
        for _ in 0..2 {
            lockout.tell(a);
        }
        lockout.let_in(a);
        for _ in 0..2 {
            lockout.tell(a);
            assert!(!lockout.leaves_out(a));
        }
        lockout.tell(a);
        assert!(lockout.leaves_out(a) && !lockout.leaves_out(b) && lockout.is_any());
        lockout.deny(b);
        assert!(lockout.leaves_out(b));
    }
}
