//! `least-load` by two random choices, as pure functions.

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
pub(crate) fn choose(
    all: &[Candidate],
    avoid: &[NodeId],
    chance: &mut dyn FnMut() -> u64,
) -> Option<NodeId> {
    let all_down = all.iter().all(|node| node.standing == Standing::Down);
    [
        Standing::Up,
        Standing::Suspect,
        Standing::Leaving,
        Standing::Down,
    ]
    .into_iter()
    .filter(|standing| *standing != Standing::Down || all_down)
    .find_map(|standing| {
        let open: Vec<Candidate> = all
            .iter()
            .filter(|node| node.standing == standing && !avoid.contains(&node.id))
            .copied()
            .collect();
        two_choices(&open, chance)
    })
}

/// Draws two different nodes and takes the cheaper; of equals, the one drawn first.
fn two_choices(open: &[Candidate], chance: &mut dyn FnMut() -> u64) -> Option<NodeId> {
    let count = open.len() as u64;
    let first = match count {
        0 => return None,
        1 => return open.first().map(|node| node.id),
        _more => chance() % count,
    };
    // Uniform over the others.
    let second = (first + 1 + chance() % (count - 1)) % count;
    let (first, second) = (open[first as usize], open[second as usize]);
    Some(if second.cost < first.cost {
        second.id
    } else {
        first.id
    })
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
        assert!((0..100).all(|_| choose(&two, &[], &mut chance) == Some(1)));
    }

    #[test]
    fn equals_share_the_work() {
        let three: Vec<_> = (0..3).map(|id| candidate(id, Standing::Up, 1.0)).collect();
        let mut chance = draws(7);
        let mut taken = [0; 3];
        for _ in 0..3_000 {
            taken[choose(&three, &[], &mut chance).unwrap() as usize] += 1;
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
        assert_eq!(choose(&one_left, &[], &mut chance), Some(1));
        assert_eq!(choose(&one_left, &[1], &mut chance), None);
        let none_left = [candidate(0, Standing::Down, 1.0)];
        assert_eq!(choose(&none_left, &[], &mut chance), Some(0));
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
            let rank = |standing| match standing {
                Standing::Up => 0,
                Standing::Suspect => 1,
                Standing::Leaving => 2,
                Standing::Down => 3,
            };
            let open = |node: &&Candidate| !avoid.contains(&node.id);
            let best = all.iter().filter(open).map(|node| rank(node.standing)).min();
            match choose(&all, &avoid, &mut draws(seed)) {
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
