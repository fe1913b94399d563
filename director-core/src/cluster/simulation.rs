//! The choice at work over a hundred hosts, by seed: loads that change, reports that lag, a host that dies.

use super::pick::{self, Candidate, Nodes};
use super::table::{Places, Shares, mix};
use super::*;

const HOSTS: usize = 100;

/// A host of the simulation, with what a director knows of it.
#[derive(Debug, Clone, Copy)]
struct SimHost {
    weight: u32,
    up: bool,
    /// Work of others on it, which comes and goes.
    other: f64,
    sessions: u32,
    /// What it last reported, and the sessions that have begun since.
    reported: Option<f64>,
    since: u32,
}

struct Farm {
    hosts: Vec<SimHost>,
    shares: Shares,
    places: Places,
    seed: u64,
    /// How often a host was looked at.
    looks: std::cell::Cell<usize>,
}

impl Nodes for Farm {
    fn count(&self) -> usize {
        self.hosts.len()
    }

    fn candidate(&self, id: NodeId) -> Option<Candidate> {
        self.looks.set(self.looks.get() + 1);
        let host = self.hosts.get(id as usize)?;
        let sessions = f64::from(host.sessions);
        let work = node::work(host.reported, u64::from(host.since), host.sessions as usize);
        let weight = f64::from(host.weight);
        Some(Candidate {
            id,
            standing: if host.up {
                Standing::Up
            } else {
                Standing::Down
            },
            cost: (work + 1.0) / weight,
            sessions: (sessions + 1.0) / weight,
            open: weight > 0.0,
        })
    }

    fn draw(&self, chance: u64) -> Option<NodeId> {
        self.shares.draw(chance)
    }

    fn of_key(&self, key: u64) -> Option<NodeId> {
        self.places.of(key)
    }
}

impl Farm {
    fn new(weights: &[u32], seed: u64) -> Self {
        let names: Vec<String> = (0..weights.len()).map(|at| format!("h{at}")).collect();
        let named: Vec<(&str, u32)> = names
            .iter()
            .map(String::as_str)
            .zip(weights.iter().copied())
            .collect();
        let host = |weight: &u32| SimHost {
            weight: *weight,
            up: true,
            other: 0.0,
            sessions: 0,
            reported: None,
            since: 0,
        };
        Self {
            hosts: weights.iter().map(host).collect(),
            shares: Shares::new(weights),
            places: Places::new(&named),
            seed,
            looks: std::cell::Cell::new(0),
        }
    }

    fn number(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.seed)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn begin(&mut self) -> usize {
        let mut seed = self.number();
        let mut chance = || {
            seed = seed.wrapping_add(1);
            mix(seed)
        };
        let chosen = pick::by_load(self, &[], &mut chance).unwrap() as usize;
        self.hosts[chosen].sessions += 1;
        self.hosts[chosen].since += 1;
        chosen
    }

    fn report(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.reported = Some(host.other + f64::from(host.sessions));
        host.since = 0;
    }

    /// The greatest work of a host, and the mean, of those that are up; by weight.
    fn busiest(&self) -> (f64, f64) {
        let work: Vec<f64> = self
            .hosts
            .iter()
            .filter(|host| host.up)
            .map(|host| (host.other + f64::from(host.sessions)) / f64::from(host.weight))
            .collect();
        let mean = work.iter().sum::<f64>() / work.len() as f64;
        (work.iter().copied().fold(0.0, f64::max), mean)
    }
}

/// Sessions of ten seconds to three minutes, a hundred a second; each host reports every two seconds, at its
/// own time; a tenth of a host's work is others', and wanders. Returns the farm in its swing.
fn swing(weights: &[u32], seed: u64, mut look: impl FnMut(&Farm, u32)) -> Farm {
    const TICKS: u32 = 6_000;
    let mut farm = Farm::new(weights, seed);
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); TICKS as usize + 2_000];
    for tick in 0..TICKS {
        for at in std::mem::take(&mut ends[tick as usize]) {
            farm.hosts[at].sessions -= 1;
        }
        for _ in 0..10 {
            let at = farm.begin();
            let lasts = 100 + (farm.share() * 1_700.0) as usize;
            ends[tick as usize + lasts].push(at);
        }
        for at in 0..farm.hosts.len() {
            if (tick as usize + at).is_multiple_of(20) {
                let step = farm.share() * 4.0 - 2.0;
                let host = &mut farm.hosts[at];
                host.other = (host.other + step).clamp(0.0, 10.0);
                farm.report(at);
            }
        }
        look(&farm, tick);
    }
    farm
}

#[test]
fn the_busiest_of_a_hundred_hosts_is_at_most_a_fifth_over_the_mean() {
    for seed in 1..4 {
        swing(&[1; HOSTS], seed, |farm, tick| {
            let (busiest, mean) = farm.busiest();
            assert!(
                tick < 2_000 || busiest <= 1.2 * mean,
                "seed {seed}, tick {tick}: {busiest} of {mean}"
            );
        });
    }
}

#[test]
fn the_same_holds_by_weight() {
    let weights: Vec<u32> = (0..HOSTS as u32).map(|at| 1 + at % 3).collect();
    swing(&weights, 9, |farm, tick| {
        let (busiest, mean) = farm.busiest();
        assert!(
            tick < 2_000 || busiest <= 1.2 * mean,
            "tick {tick}: {busiest} of {mean}"
        );
    });
}

#[test]
fn a_hundred_sessions_of_a_dead_host_go_to_many_others_between_two_reports() {
    for seed in 1..6 {
        let mut farm = swing(&[1; HOSTS], seed, |_, _| ());
        let dead = 17;
        farm.hosts[dead].up = false;
        let mut took = [0; HOSTS];
        // No host reports meanwhile.
        for _ in 0..100 {
            took[farm.begin()] += 1;
        }
        assert_eq!(took[dead], 0);
        assert!(took.iter().all(|took| *took <= 6), "seed {seed}: {took:?}");
        let (busiest, mean) = farm.busiest();
        assert!(busiest <= 1.2 * mean, "seed {seed}: {busiest} of {mean}");
    }
}

#[test]
fn a_report_that_differs_little_does_not_decide() {
    // Of two hosts with as many sessions, the one that reports a twentieth less is not preferred.
    let mut farm = Farm::new(&[1, 1], 3);
    let mut took = [0; 2];
    for _ in 0..1_000 {
        for (host, reported) in farm.hosts.iter_mut().zip([100.0, 95.0]) {
            *host = SimHost {
                sessions: 100,
                reported: Some(reported),
                since: 0,
                ..*host
            };
        }
        took[farm.begin()] += 1;
    }
    assert!(took.iter().all(|took| *took > 400), "{took:?}");
}

#[test]
fn a_key_stays_with_its_node_while_that_is_fit_and_then_goes_to_one_other() {
    let mut farm = Farm::new(&[1; HOSTS], 5);
    let of = |farm: &Farm, key: u64| pick::by_key(farm, key, &[], &mut || 1).unwrap();
    let before: Vec<NodeId> = (0..1_000).map(|key| of(&farm, mix(key))).collect();
    farm.hosts[17].up = false;
    let after: Vec<NodeId> = (0..1_000).map(|key| of(&farm, mix(key))).collect();
    for (before, after) in before.iter().zip(&after) {
        assert!(*after != 17 && (before == after || *before == 17));
    }
    assert_eq!(
        after,
        (0..1_000)
            .map(|key| of(&farm, mix(key)))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_choice_looks_at_as_few_of_ten_thousand_hosts_as_of_ten() {
    for hosts in [10, 10_000] {
        let mut farm = Farm::new(&vec![1; hosts], 11);
        // A third of them is not fit.
        for host in farm.hosts.iter_mut().step_by(3) {
            host.up = false;
        }
        for key in 0..1_000 {
            farm.begin();
            pick::by_key(&farm, mix(key), &[], &mut || mix(key)).unwrap();
        }
        let looks = farm.looks.get();
        assert!(looks < 2 * 1_000 * 4, "{looks} looks, {hosts} hosts");
    }
}
