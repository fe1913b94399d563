//! The choice of a node, as pure functions: by load, of two that chance has drawn, or by key.
//!
//! Costs that lie near each other count as equal, and then the sessions decide: reports lag and waver, and
//! a session stays where it was sent.

use std::cmp::Ordering;

use super::NodeId;
use super::table::mix;
use crate::health::standing::Standing;

/// What is known of one node when a choice is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: NodeId,
    pub(crate) standing: Standing,
    /// Work over weight.
    pub(crate) cost: f64,
    /// Sessions over weight.
    pub(crate) sessions: f64,
    /// It may get sessions at all: it does not drain, is not full, and has a weight.
    pub(crate) open: bool,
}

/// Costs that differ by less than this share of the greater are equal.
const NEAR: f64 = 0.1;
/// Nodes that are looked at before all of them are: enough to find two that are fit when most are.
const DRAWS: usize = 12;
/// So few nodes are all looked at: then each pair that is fit is as likely as any other.
const FEW: usize = 8;

/// Nodes as a choice sees them.
pub(crate) trait Nodes {
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them; `None` when there is none of this id.
    fn candidate(&self, id: NodeId) -> Option<Candidate>;
    /// One, drawn by chance, by the configured weights.
    fn draw(&self, chance: u64) -> Option<NodeId>;
    /// The one of a key.
    fn of_key(&self, key: u64) -> Option<NodeId>;
}

/// Chooses by load a node that is none of `avoid`: two different ones are drawn, and the cheaper one is
/// taken. What this costs does not grow with their number, unless most of them are not fit.
pub(crate) fn by_load(
    nodes: &impl Nodes,
    avoid: &[NodeId],
    chance: &mut dyn FnMut() -> u64,
) -> Option<NodeId> {
    if nodes.count() > FEW {
        let mut first: Option<Candidate> = None;
        for _ in 0..DRAWS {
            let drawn = nodes.draw(chance()).and_then(|id| nodes.candidate(id));
            let Some(drawn) = drawn.filter(|drawn| is_fit(drawn, avoid)) else {
                continue;
            };
            match first {
                None => first = Some(drawn),
                Some(first) if first.id == drawn.id => {}
                Some(first) => return Some(cheaper(first, drawn, chance)),
            }
        }
    }
    let ids = (0..).take(nodes.count());
    choose(ids.filter_map(|id| nodes.candidate(id)), avoid, chance)
}

/// Chooses by a key: the same key has the same node while that is fit, then the same other one.
pub(crate) fn by_key(
    nodes: &impl Nodes,
    key: u64,
    avoid: &[NodeId],
    chance: &mut dyn FnMut() -> u64,
) -> Option<NodeId> {
    let mut at = key;
    for _ in 0..DRAWS {
        let of = nodes.of_key(at).and_then(|id| nodes.candidate(id));
        if let Some(fit) = of.filter(|of| is_fit(of, avoid)) {
            return Some(fit.id);
        }
        at = mix(at);
    }
    by_load(nodes, avoid, chance)
}

fn is_fit(node: &Candidate, avoid: &[NodeId]) -> bool {
    node.open && node.standing == Standing::Up && !avoid.contains(&node.id)
}

/// The cheaper one. When that is near, the one with fewer sessions; of equals, either.
fn cheaper(one: Candidate, other: Candidate, chance: &mut dyn FnMut() -> u64) -> NodeId {
    let near = (one.cost - other.cost).abs() <= NEAR * one.cost.max(other.cost);
    let by_sessions = || one.sessions.total_cmp(&other.sessions);
    let order = if near {
        by_sessions()
    } else {
        one.cost.total_cmp(&other.cost)
    };
    let other_wins = match order {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => chance().is_multiple_of(2),
    };
    if other_wins { other.id } else { one.id }
}

/// Chooses of all nodes one that is open, and none of `avoid`.
///
/// Nodes that are up come first, then suspects, then those that are leaving. A node that is down is
/// chosen only when the whole cluster is: then the fault may be ours, and trying costs nothing.
///
/// Two different nodes are drawn from the best standing there is, and the cheaper one is taken; of equals,
/// either.
fn choose(
    all: impl Iterator<Item = Candidate>,
    avoid: &[NodeId],
    chance: &mut dyn FnMut() -> u64,
) -> Option<NodeId> {
    let mut all_down = true;
    let mut best: Option<Drawn> = None;
    for node in all {
        all_down &= node.standing == Standing::Down;
        if !node.open || avoid.contains(&node.id) {
            continue;
        }
        match &mut best {
            Some(drawn) if rank(node.standing) > rank(drawn.first.standing) => {}
            Some(drawn) if rank(node.standing) == rank(drawn.first.standing) => {
                drawn.see(node, chance);
            }
            Some(_) | None => best = Some(Drawn::new(node)),
        }
    }
    let drawn = best?;
    if drawn.first.standing == Standing::Down && !all_down {
        return None;
    }
    Some(drawn.cheaper(chance))
}

/// 0 is the best.
fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Up => 0,
        Standing::Suspect => 1,
        Standing::Leaving | Standing::Draining => 2,
        Standing::Down => 3,
    }
}

/// Two different nodes of those seen, each pair as likely as any other: a reservoir of two.
struct Drawn {
    first: Candidate,
    second: Option<Candidate>,
    seen: u64,
}

impl Drawn {
    fn new(first: Candidate) -> Self {
        Self {
            first,
            second: None,
            seen: 1,
        }
    }

    fn see(&mut self, node: Candidate, chance: &mut dyn FnMut() -> u64) {
        self.seen += 1;
        if self.second.is_none() {
            self.second = Some(node);
            return;
        }
        match chance() % self.seen {
            0 => self.first = node,
            1 => self.second = Some(node),
            _stays_out => {}
        }
    }

    fn cheaper(self, chance: &mut dyn FnMut() -> u64) -> NodeId {
        match self.second {
            Some(second) => cheaper(self.first, second, chance),
            None => self.first.id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(id: NodeId, standing: Standing, cost: f64) -> Candidate {
        Candidate {
            id,
            standing,
            cost,
            sessions: cost,
            open: true,
        }
    }

    fn draws(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        }
    }

    #[test]
    fn of_two_the_cheaper_is_taken() {
        let two = [
            candidate(0, Standing::Up, 5.0),
            candidate(1, Standing::Up, 4.0),
        ];
        let mut chance = draws(1);
        assert!((0..100).all(|_| choose(two.iter().copied(), &[], &mut chance) == Some(1)));
    }

    #[test]
    fn of_many_each_pair_is_as_likely() {
        // The dearest of five is never taken, the cheapest whenever it is drawn: 4 of 10 pairs.
        let five: Vec<_> = (0..5)
            .map(|id| candidate(id, Standing::Up, f64::from(id)))
            .collect();
        let mut chance = draws(11);
        let mut taken = [0; 5];
        for _ in 0..10_000 {
            taken[choose(five.iter().copied(), &[], &mut chance).unwrap() as usize] += 1;
        }
        for (times, expected) in taken.iter().zip([4_000, 3_000, 2_000, 1_000, 0_i32]) {
            assert!((times - expected).abs() < 300, "{taken:?}");
        }
    }

    #[test]
    fn equals_share_the_work() {
        let three: Vec<_> = (0..3).map(|id| candidate(id, Standing::Up, 1.0)).collect();
        let mut chance = draws(7);
        let mut taken = [0; 3];
        for _ in 0..3_000 {
            taken[choose(three.iter().copied(), &[], &mut chance).unwrap() as usize] += 1;
        }
        assert!(
            taken.iter().all(|times| (800..1_200).contains(times)),
            "{taken:?}"
        );
    }

    #[test]
    fn a_dead_node_is_asked_only_when_all_are_dead() {
        let mut chance = draws(3);
        let one_left = [
            candidate(0, Standing::Down, 1.0),
            candidate(1, Standing::Suspect, 9.0),
        ];
        assert_eq!(choose(one_left.into_iter(), &[], &mut chance), Some(1));
        assert_eq!(choose(one_left.into_iter(), &[1], &mut chance), None);
        let none_left = [candidate(0, Standing::Down, 1.0)];
        assert_eq!(choose(none_left.into_iter(), &[], &mut chance), Some(0));
    }

    fn standings() -> impl Strategy<Value = Standing> {
        prop_oneof![
            Just(Standing::Up),
            Just(Standing::Suspect),
            Just(Standing::Down),
            Just(Standing::Leaving)
        ]
    }

    proptest! {
        #[test]
        fn no_avoided_node_and_never_a_worse_standing(
            nodes in prop::collection::vec((standings(), 0.0_f64..100.0), 0..8),
            avoid in prop::collection::vec(0_u32..8, 0..5),
            seed: u64,
        ) {
            let all: Vec<_> = nodes
                .iter()
                .enumerate()
                .map(|(id, (standing, cost))| candidate(id as u32, *standing, *cost))
                .collect();
            let open = |node: &&Candidate| !avoid.contains(&node.id);
            let best = all.iter().filter(open).map(|node| rank(node.standing)).min();
            match choose(all.iter().copied(), &avoid, &mut draws(seed)) {
                Some(id) => {
                    prop_assert!(!avoid.contains(&id));
                    prop_assert_eq!(Some(rank(all[id as usize].standing)), best);
                }
                None => {
                    let all_down = all.iter().all(|node| node.standing == Standing::Down);
                    prop_assert!(best.is_none() || (best == Some(3) && !all_down));
                }
            }
        }
    }
}
