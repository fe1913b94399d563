//! Tables that make a choice cost the same with three nodes and with ten thousand, as pure functions.
//!
//! [`Shares`] draws a node by its weight (Vose's alias method). [`Places`] is a Maglev table (Eisenbud and
//! others, NSDI 2016): the node of a key, nearly the same one when nodes come and go.

use super::NodeId;

/// Places a table has at least. A prime, so that any step through it meets every place.
const LEAST_PLACES: u64 = 65_537;
/// Places for each node at least: shares are then right to about one part in a hundred.
const PLACES_A_NODE: u64 = 100;

/// Draws nodes by their weights.
#[derive(Debug)]
pub(super) struct Shares {
    /// For each place: how much of it is the node's own, of 2^32, and whose the rest is.
    places: Vec<(u64, NodeId)>,
}

impl Shares {
    /// `weights` by node. A node of weight 0 is never drawn, unless all are.
    pub(super) fn new(weights: &[u32]) -> Self {
        let count = weights.len() as u128;
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let whole = 1_u128 << 32;
        let mut scaled: Vec<u128> = weights
            .iter()
            .map(|weight| {
                let share = u128::from(*weight) * count * whole;
                share.checked_div(total).unwrap_or(whole)
            })
            .collect();
        let mut places: Vec<(u64, NodeId)> = (0..)
            .zip(weights)
            .map(|(id, _)| (1_u64 << 32, id))
            .collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..scaled.len()).partition(|at| scaled[*at] < whole);
        while let (Some(less), Some(&more)) = (small.pop(), large.last()) {
            places[less] = (scaled[less] as u64, more as NodeId);
            scaled[more] -= whole - scaled[less];
            if scaled[more] < whole {
                large.pop();
                small.push(more);
            }
        }
        Self { places }
    }

    /// One node; `None` when there is none.
    pub(super) fn draw(&self, chance: u64) -> Option<NodeId> {
        let at = ((chance >> 32) * self.places.len() as u64) >> 32;
        let (own, other) = self.places.get(at as usize)?;
        let part = chance & u64::from(u32::MAX);
        Some(if part < *own { at as NodeId } else { *other })
    }
}

/// The nodes of keys.
#[derive(Debug)]
pub(super) struct Places(Vec<NodeId>);

impl Places {
    /// Of nodes by their names and weights; those of weight 0 get no key.
    pub(super) fn new(nodes: &[(&str, u32)]) -> Self {
        let heaviest = nodes.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        if heaviest == 0 {
            return Self(Vec::new());
        }
        let size = prime_from(LEAST_PLACES.max(nodes.len() as u64 * PLACES_A_NODE));
        let mut steps: Vec<Walk> = (0..)
            .zip(nodes)
            .filter(|(_, (_, weight))| *weight > 0)
            .map(|(id, (name, weight))| Walk::new(id, name, *weight, size))
            .collect();
        let mut places = vec![None; size as usize];
        let mut free = places.len();
        let mut round = 0;
        'filling: loop {
            round += 1;
            for walk in &mut steps {
                // Turns in proportion to the weight: the heaviest has one in each round.
                if u64::from(walk.weight) * round < u64::from(heaviest) * (walk.turns + 1) {
                    continue;
                }
                walk.turns += 1;
                let mut place = walk.next(size);
                while places[place].is_some() {
                    place = walk.next(size);
                }
                places[place] = Some(walk.id);
                free -= 1;
                if free == 0 {
                    break 'filling;
                }
            }
        }
        Self(places.into_iter().flatten().collect())
    }

    /// The node of a key; `None` when there is none.
    pub(super) fn of(&self, key: u64) -> Option<NodeId> {
        let at = key.checked_rem(self.0.len() as u64)?;
        self.0.get(at as usize).copied()
    }
}

/// One node's way through the places.
struct Walk {
    id: NodeId,
    weight: u32,
    turns: u64,
    at: u64,
    step: u64,
}

impl Walk {
    fn new(id: NodeId, name: &str, weight: u32, size: u64) -> Self {
        let hash = hash(name.as_bytes());
        Self {
            id,
            weight,
            turns: 0,
            at: hash % size,
            step: mix(hash) % (size - 1) + 1,
        }
    }

    fn next(&mut self, size: u64) -> usize {
        let place = self.at;
        self.at = (self.at + self.step) % size;
        place as usize
    }
}

/// The least prime that is not less.
fn prime_from(least: u64) -> u64 {
    let is_prime = |n: &u64| {
        *n > 1
            && (2..)
                .take_while(|divisor| divisor * divisor <= *n)
                .all(|divisor| !n.is_multiple_of(divisor))
    };
    (least..).find(is_prime).unwrap_or(least)
}

/// A hash that is the same in every process, so that several directors send a key to the same node:
/// FNV-1a, mixed. It need not withstand anybody: who chooses keys chooses his node anyway.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}

/// Spreads the bits of a number over all of it (SplitMix64's last steps).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(weights: &[u32], draws: u64) -> Vec<f64> {
        let shares = Shares::new(weights);
        let mut taken = vec![0_u64; weights.len()];
        for draw in 0..draws {
            taken[shares.draw(mix(draw)).unwrap() as usize] += 1;
        }
        taken
            .iter()
            .map(|times| *times as f64 / draws as f64)
            .collect()
    }

    #[test]
    fn nodes_are_drawn_by_their_weights() {
        let shares = counts(&[1, 2, 3, 0, 4], 200_000);
        for (share, expected) in shares.iter().zip([0.1, 0.2, 0.3, 0.0, 0.4]) {
            assert!((share - expected).abs() < 0.01, "{shares:?}");
        }
        assert!(Shares::new(&[]).draw(7).is_none());
        assert!(counts(&[0, 0], 1_000).iter().all(|share| *share > 0.4));
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("10.0.0.{at}:23")).collect()
    }

    fn places(names: &[String], weight: impl Fn(usize) -> u32) -> Places {
        let nodes: Vec<(&str, u32)> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), weight(at)))
            .collect();
        Places::new(&nodes)
    }

    #[test]
    fn keys_go_to_nodes_by_weight() {
        let names = names(5);
        let table = places(&names, |at| [1, 1, 2, 0, 4][at]);
        let mut taken = [0.0_f64; 5];
        for key in 0..80_000 {
            taken[table.of(mix(key)).unwrap() as usize] += 1.0 / 80_000.0;
        }
        for (share, expected) in taken.iter().zip([0.125, 0.125, 0.25, 0.0, 0.5]) {
            assert!((share - expected).abs() < 0.01, "{taken:?}");
        }
        assert!(Places::new(&[]).of(7).is_none());
    }

    #[test]
    fn few_keys_move_when_a_node_goes() {
        let names = names(50);
        let (all, without) = (places(&names, |_| 1), places(&names[..49], |_| 1));
        let keys = 0..50_000_u64;
        let stay = keys
            .map(mix)
            .filter(|key| all.of(*key) != Some(49))
            .filter(|key| all.of(*key) == without.of(*key))
            .count();
        assert!(stay > 46_500, "{stay} of 49,000 stayed");
    }

    #[test]
    fn ten_thousand_nodes_have_a_table_too() {
        let table = places(&names(10_000), |_| 1);
        assert!(table.0.len() >= 1_000_000);
        let mut taken = vec![0_u32; 10_000];
        for id in &table.0 {
            taken[*id as usize] += 1;
        }
        assert!(taken.iter().all(|times| (99..=103).contains(times)));
    }

    proptest! {
        #[test]
        fn any_weights_make_tables(weights in prop::collection::vec(0_u32..1_000, 0..12), key: u64) {
            let names = names(weights.len());
            let any = weights.iter().any(|weight| *weight > 0);
            let of = places(&names, |at| weights[at]).of(key);
            prop_assert_eq!(of.is_some(), any);
            if let Some(id) = of {
                prop_assert!(weights[id as usize] > 0);
            }
            if let Some(id) = Shares::new(&weights).draw(key) {
                prop_assert!(!any || weights[id as usize] > 0);
            }
        }
    }
}
