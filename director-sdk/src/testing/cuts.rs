//! One scenario, run again and again with one fault in it, each time at another place.

use std::fmt::Debug;

use super::exec::Chance;
use super::faults::{Crowds, Fault};
use super::net::{Cut, Way};
use super::second::Second;
use super::{Counts, Leftover, World};

/// What a sweep went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Runs with a fault.
    pub runs: usize,
    /// Of those, in which bytes of an answer had reached the client when the fault struck.
    pub mid_answer: usize,
    /// Of those, in which the fault hit more than one connection of a node at once.
    pub wide: usize,
    /// Attempts after the first, in all runs.
    pub switches: u64,
}

/// Where a fault is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Nowhere,
    Byte(Fault),
    /// And once more, some bytes later.
    Twice(Fault, Second),
    /// At this poll of a session, its node is declared down.
    Down(u64),
    /// At this poll of a session, it is cancelled.
    Cancelled(u64),
    /// This operation on a node's stream fails.
    Call(u64),
}

/// Runs `scenario` without faults, then with each kind of cut at each byte that went to or from a
/// node. What it returns (what the client saw) and what the nodes did must be the same each time.
/// Where the node has more than one connection at that byte, the cut hits the one that carries it, and
/// in a further run all of them at once ([`Cut::Silence`] and [`Cut::Kill`] are the whole node's anyway).
/// `kinds` are those that the protocol must survive: [`Cut::ALL`], or all but [`Cut::Garbage`] for a
/// protocol that cannot tell.
///
/// # Panics
///
/// When a run is not like the first, or leaves anything behind: with seed, place and log.
pub fn every_cut<T: PartialEq + Debug>(
    seed: u64,
    kinds: &[Cut],
    scenario: impl Fn(&World) -> T,
) -> Swept {
    some_cuts(seed, kinds, 1, scenario)
}

/// As [`every_cut`], at every `stride`th byte of each way, from one on that the seed chooses, and at the
/// first and the last: for scenarios with much data.
///
/// # Panics
///
/// As [`every_cut`].
pub fn some_cuts<T: PartialEq + Debug>(
    seed: u64,
    kinds: &[Cut],
    stride: u64,
    scenario: impl Fn(&World) -> T,
) -> Swept {
    let sound = Run::of(seed, At::Nowhere, &scenario);
    sound.check_rest();
    let mut swept = Swept::default();
    let stride = stride.max(1) as usize;
    let mut chance = Chance::seeded(seed);
    for (connection, passed) in sound.traffic.iter().enumerate() {
        for way in [Way::Out, Way::In] {
            let bytes = passed[way.index()];
            for cut in kinds {
                let first = chance.below(stride) as u64;
                let between = (first..bytes).step_by(stride).filter(|at| *at > 0);
                for at in [0]
                    .into_iter()
                    .chain(between)
                    .chain((bytes > 0).then_some(bytes))
                {
                    let fault = Fault {
                        connection,
                        way,
                        at,
                        cut: *cut,
                        wide: false,
                    };
                    for fault in sound.widths(fault) {
                        let run = Run::of(seed, At::Byte(fault), &scenario);
                        run.check_like(&sound);
                        swept.add(&run);
                    }
                }
            }
        }
    }
    swept
}

/// Runs `scenario` without faults, then `runs` times with a cut at some byte that went to or from a
/// node and another at one of those that went after it, on whichever connection: kinds and places are
/// the seed's. One second cut in two is in the first quarter of what follows, where the recovery is.
/// A scenario needs three nodes, to have one left.
///
/// # Panics
///
/// As [`every_cut`].
pub fn two_cuts<T: PartialEq + Debug>(
    seed: u64,
    kinds: &[Cut],
    runs: usize,
    scenario: impl Fn(&World) -> T,
) -> Swept {
    let sound = Run::of(seed, At::Nowhere, &scenario);
    sound.check_rest();
    let mut swept = Swept::default();
    let mut chance = Chance::seeded(seed);
    for _ in 0..runs {
        let fault = sound.fault_at(chance.next(), kinds[chance.below(kinds.len())]);
        let once = Run::of(seed, At::Byte(fault), &scenario);
        once.check_like(&sound);
        swept.add(&once);
        let share = if chance.below(2) == 0 { 4 } else { 1 };
        let second = Second {
            after: 1 + chance.below((once.passed_since / share) as usize) as u64,
            cut: kinds[chance.below(kinds.len())],
        };
        let twice = Run::of(seed, At::Twice(fault, second), &scenario);
        twice.check_like(&sound);
        swept.add(&twice);
    }
    swept
}

/// Runs `scenario` without faults, then with its node declared down at each poll of a session,
/// which is between every two awaits: what the client sees must be the same. Then with the session
/// cancelled at each poll: what the client sees is not compared (`cancelled` says how to run it, for
/// a client whose session was cancelled sees a reset), only that nothing is left.
///
/// # Panics
///
/// As [`every_cut`].
pub fn every_poll<T: PartialEq + Debug>(
    seed: u64,
    scenario: impl Fn(&World) -> T,
    cancelled: impl Fn(&World),
) -> Swept {
    let sound = Run::of(seed, At::Nowhere, &scenario);
    sound.check_rest();
    let mut swept = Swept::default();
    for poll in 1..=sound.polls {
        let run = Run::of(seed, At::Down(poll), &scenario);
        run.check_like(&sound);
        swept.add(&run);
        let run = Run::of(seed, At::Cancelled(poll), &cancelled);
        run.check_rest();
        swept.add(&run);
    }
    swept
}

/// Runs `scenario` without faults, then with each operation on a node's stream failing (`EIO`) in
/// its turn: what the client sees and the nodes do must be the same.
///
/// # Panics
///
/// As [`every_cut`].
pub fn every_call<T: PartialEq + Debug>(seed: u64, scenario: impl Fn(&World) -> T) -> Swept {
    let sound = Run::of(seed, At::Nowhere, &scenario);
    sound.check_rest();
    let mut swept = Swept::default();
    for call in 1..=sound.calls {
        let run = Run::of(seed, At::Call(call), &scenario);
        run.check_like(&sound);
        swept.add(&run);
    }
    swept
}

impl Swept {
    fn add<T>(&mut self, run: &Run<T>) {
        self.runs += 1;
        self.mid_answer += usize::from(run.struck.is_some_and(|answered| answered > 0));
        self.wide += usize::from(matches!(run.at, At::Byte(fault) if fault.wide));
        self.switches += run.switches;
    }
}

/// One run and what came of it.
struct Run<T> {
    seed: u64,
    at: At,
    output: T,
    effects: Vec<String>,
    traffic: Vec<[u64; 2]>,
    crowds: Crowds,
    polls: u64,
    calls: u64,
    struck: Option<u64>,
    passed_since: u64,
    switches: u64,
    left: Leftover,
    story: String,
}

impl<T> Run<T> {
    fn of(seed: u64, at: At, scenario: &impl Fn(&World) -> T) -> Self {
        let tell = Tell { seed, at };
        let world = World::seeded(seed);
        {
            let mut state = world.state.borrow_mut();
            match at {
                At::Nowhere => {}
                At::Byte(fault) => state.fault = Some(fault),
                At::Twice(fault, second) => {
                    (state.fault, state.second) = (Some(fault), Some(second));
                }
                At::Down(poll) => state.down_at_poll = Some(poll),
                At::Cancelled(poll) => state.cancel_at_poll = Some(poll),
                At::Call(call) => state.fail_at_call = Some(call),
            }
        }
        let output = scenario(&world);
        let story = world.story();
        let mut run = {
            let mut state = world.state.borrow_mut();
            let mut effects = state.effects.clone();
            effects.sort();
            Self {
                seed,
                at,
                output,
                effects,
                traffic: state
                    .opened
                    .iter()
                    .map(|index| {
                        let pipes = &state.connections[*index].pipes;
                        [pipes[0].passed, pipes[1].passed]
                    })
                    .collect(),
                crowds: std::mem::take(&mut state.crowds),
                polls: state.session_polls,
                calls: state.node_calls,
                struck: state.struck,
                passed_since: state.passed_since,
                switches: state.switches,
                left: Leftover::default(),
                story,
            }
        };
        run.left = world.finish();
        std::mem::forget(tell);
        run
    }

    /// A cut at one of the bytes that this run moved, by a number.
    fn fault_at(&self, number: u64, cut: Cut) -> Fault {
        let total: u64 = self.traffic.iter().flatten().sum();
        let mut at = number % total.max(1);
        for (connection, passed) in self.traffic.iter().enumerate() {
            for way in [Way::Out, Way::In] {
                let bytes = passed[way.index()];
                if at < bytes {
                    let fault = Fault {
                        connection,
                        way,
                        at,
                        cut,
                        wide: false,
                    };
                    let is_wide = number >> 63 == 1;
                    return match self.widths(fault).nth(1) {
                        Some(wide) if is_wide => wide,
                        Some(_) | None => fault,
                    };
                }
                at -= bytes;
            }
        }
        panic!("the scenario has no byte that goes to or from a node");
    }

    /// The fault on its connection alone, and on all of the node's where there are others.
    fn widths(&self, fault: Fault) -> impl Iterator<Item = Fault> + use<T> {
        let parts = match fault.cut {
            Cut::Reset | Cut::End | Cut::Stall | Cut::Garbage => true,
            Cut::Silence | Cut::Kill => false,
        };
        let crowded = parts && self.crowds.hold(fault.connection, fault.way, fault.at);
        let wide = crowded.then_some(Fault {
            wide: true,
            ..fault
        });
        [fault].into_iter().chain(wide)
    }

    /// Nothing is left.
    fn check_rest(&self) {
        let Self { seed, at, left, .. } = self;
        assert!(
            left.counts == Counts::default() && left.left_behind == 0 && left.panics == 0,
            "seed {seed}, {at:?}: left at the end: {left:?}\n{}",
            self.story
        );
    }
}

impl<T: PartialEq + Debug> Run<T> {
    fn check_like(&self, sound: &Self) {
        let Self { seed, at, .. } = self;
        assert!(
            self.output == sound.output,
            "seed {seed}, {at:?}: the client saw\n{:?}\nand without a fault\n{:?}\n{}",
            self.output,
            sound.output,
            self.story
        );
        assert!(
            self.effects == sound.effects,
            "seed {seed}, {at:?}: the nodes did\n{:?}\nand without a fault\n{:?}\n{}",
            self.effects,
            sound.effects,
            self.story
        );
        self.check_rest();
    }
}

/// Says where a scenario panicked by itself.
struct Tell {
    seed: u64,
    at: At,
}

impl Drop for Tell {
    fn drop(&mut self) {
        eprintln!(
            "the scenario panicked with seed {}, {:?}",
            self.seed, self.at
        );
    }
}
