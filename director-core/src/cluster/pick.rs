//! `least-load` by two random choices, as pure functions.

use std::cmp::Ordering;

use super::NodeId;
use crate::health::standing::Standing;

/// What is known of one node when a choice is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: NodeId,
    pub(crate) standing: Standing,
    /// Work over weight.
    pub(crate) cost: f64,
}

/// Chooses a node that is none of `avoid`.
///
/// Nodes that are up come first, then suspects, then those that are leaving. A node that is down is
/// chosen only when the whole cluster is: then the fault may be ours, and trying costs nothing.
///
/// Two different nodes are drawn from the best standing there is, and the cheaper one is taken; of equals,
/// either.
pub(crate) fn choose(
    all: impl Iterator<Item = Candidate>,
    avoid: &[NodeId],
    chance: &mut dyn FnMut() -> u64,
) -> Option<NodeId> {
    let mut all_down = true;
    let mut best: Option<Drawn> = None;
    for node in all {
        all_down &= node.standing == Standing::Down;
        if avoid.contains(&node.id) {
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
        Standing::Leaving => 2,
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
        let (first, Some(second)) = (self.first, self.second) else {
            return self.first.id;
        };
        let second_wins = match second.cost.total_cmp(&first.cost) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => chance().is_multiple_of(2),
        };
        if second_wins { second.id } else { first.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(id: NodeId, standing: Standing, cost: f64) -> Candidate {
        Candidate { id, standing, cost }
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
