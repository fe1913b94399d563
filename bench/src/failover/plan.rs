//! Which faults, in which order: decided before the run, by its seed alone.

use std::time::Duration;

use super::chance::Chance;

/// What is done to the node in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9`, and a start after a while.
    Kill,
    /// `kill -9`, a start that the server itself refuses, and only then one that works.
    RefusedRestart,
    /// `SIGSTOP`: a silent death. Its sockets stay.
    Stop,
    /// Its packets vanish: a silent death of which not even a new connection learns.
    Drop,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The process is killed (if it was not) and started again, with its disk.
    Restart,
    /// The same, and its disk is gone.
    RestartWithoutDisk,
    /// It goes on as if nothing had been.
    GoOn,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub kind: Kind,
    /// Traffic without a fault before it, counted from when all nodes were up.
    pub pause: Duration,
    /// From the fault to its end.
    pub down: Duration,
    /// How it ends.
    pub end: End,
    /// Which director is asked which node is in use.
    pub director: usize,
}

/// What a plan is made of.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// How many.
    pub faults: usize,
    /// Only [`Kind::Drop`].
    pub drop: bool,
    /// Every so many-th start finds its disk gone; 0 for none.
    pub wipe_every: usize,
    /// Directors.
    pub directors: usize,
}

impl Kind {
    /// Its row.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::RefusedRestart => "kill -9, restart refused",
            Self::Stop => "SIGSTOP",
            Self::Drop => "packets dropped",
        }
    }

    /// Nothing says that the node is gone but its silence.
    #[must_use]
    pub const fn is_silent(self) -> bool {
        match self {
            Self::Kill | Self::RefusedRestart => false,
            Self::Stop | Self::Drop => true,
        }
    }
}

/// The plan of a seed.
#[must_use]
pub fn plan(seed: u64, wishes: &Wishes) -> Vec<Planned> {
    let mut chance = Chance::new(seed, 1);
    let mut restarts = 0;
    let faults = 0..wishes.faults;
    faults
        .map(|_| {
            let kind = match (wishes.drop, chance.below(10)) {
                (true, _) => Kind::Drop,
                (false, 0..=5) => Kind::Kill,
                (false, 6..=8) => Kind::Stop,
                (false, _) => Kind::RefusedRestart,
            };
            let end = if kind.is_silent() && chance.once_in(2) {
                End::GoOn
            } else {
                restarts += 1;
                let wiped = wishes.wipe_every > 0 && restarts % wishes.wipe_every == 0;
                if wiped {
                    End::RestartWithoutDisk
                } else {
                    End::Restart
                }
            };
            let shortest = if kind.is_silent() { 1500 } else { 200 };
            Planned {
                kind,
                pause: chance.between(Duration::from_millis(300), Duration::from_millis(1500)),
                down: chance.between(
                    Duration::from_millis(shortest),
                    Duration::from_millis(shortest + 1500),
                ),
                end,
                director: usize::try_from(chance.below(wishes.directors.max(1) as u64))
                    .unwrap_or(0),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(faults: usize, drop: bool) -> Wishes {
        Wishes {
            faults,
            drop,
            wipe_every: 10,
            directors: 2,
        }
    }

    #[test]
    fn a_seed_repeats_its_plan_and_another_has_its_own() {
        assert_eq!(plan(7, &wishes(100, false)), plan(7, &wishes(100, false)));
        assert_ne!(plan(7, &wishes(100, false)), plan(8, &wishes(100, false)));
    }

    #[test]
    fn every_fault_and_every_end_is_in_a_hundred() {
        for seed in 0..50 {
            let plan = plan(seed, &wishes(100, false));
            for kind in [Kind::Kill, Kind::RefusedRestart, Kind::Stop] {
                assert!(
                    plan.iter().any(|p| p.kind == kind),
                    "seed {seed}: no {kind:?}"
                );
            }
            assert!(plan.iter().any(|p| p.end == End::GoOn));
            let restarts = plan.iter().filter(|p| p.end != End::GoOn).count();
            let wiped = plan
                .iter()
                .filter(|p| p.end == End::RestartWithoutDisk)
                .count();
            assert_eq!(wiped, restarts / 10, "one directory in ten");
        }
    }

    #[test]
    fn drops_replace_every_other_fault() {
        assert!(
            plan(3, &wishes(50, true))
                .iter()
                .all(|p| p.kind == Kind::Drop)
        );
    }
}
