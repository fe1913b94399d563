//! The machine by story, then by property.

use proptest::prelude::*;

use super::*;

const ZERO: Duration = Duration::ZERO;
const REFUSED: Seen = Seen::ConnectFailed {
    kind: ConnectFailure::Refused,
};
const REPLIED: Seen = Seen::Replied { first_byte: ZERO };

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn load(leaving: bool) -> NodeLoad {
    NodeLoad {
        load: Some(1.0),
        leaving,
    }
}

/// A node whose first probe was answered.
fn up() -> Health {
    let mut health = Health::new(HealthSettings::default());
    assert_eq!(health.standing(ZERO), Standing::Suspect);
    assert_eq!(health.duty(), Duty::ProbeAt(ZERO));
    assert_eq!(health.probe_answered(load(false), ZERO), Change::Appeared);
    assert_eq!(health.standing(ZERO), Standing::Up);
    health
}

fn down() -> Health {
    let mut health = up();
    health.seen(Seen::Silent, at(1), true);
    assert_eq!(
        health.probe_raised(Kind::Unreachable, at(2), 1.0),
        Change::Died(Suspicion::Silent)
    );
    health
}

#[test]
fn every_suspicion_asks_for_a_probe_and_leaves_the_verdict_to_it() {
    for seen in [
        REFUSED,
        Seen::ConnectFailed {
            kind: ConnectFailure::TimedOut,
        },
        Seen::Failed(Kind::Lost),
        Seen::Failed(Kind::Stalled),
        Seen::Failed(Kind::Garbled),
        Seen::Failed(Kind::Unreachable),
        Seen::Failed(Kind::Leaving),
        Seen::Silent,
    ] {
        let mut health = up();
        assert!(
            matches!(health.seen(seen, at(1), true), Change::Suspected(_)),
            "{seen:?}"
        );
        assert_eq!(health.duty(), Duty::ProbeAt(at(1)), "{seen:?}");
        assert_eq!(
            health.probe_answered(load(false), at(2)),
            Change::Cleared,
            "{seen:?}"
        );
        assert_eq!(health.standing(at(2)), Standing::Up, "{seen:?}");
        assert_eq!(health.weight(at(2)), 1.0, "it was never away: {seen:?}");
    }
}

#[test]
fn an_ended_watch_is_a_suspicion() {
    let mut health = up();
    assert_eq!(
        health.watch_ended(ZERO),
        Change::Suspected(Suspicion::WatchEnded)
    );
    assert_eq!(
        health.probe_raised(Kind::Unreachable, at(1), 0.0),
        Change::Died(Suspicion::WatchEnded)
    );
    assert_eq!(health.standing(at(1)), Standing::Down);
}

#[test]
fn what_is_the_clients_or_the_requests_own_matter_says_nothing_of_the_node() {
    for kind in [
        Kind::Missing,
        Kind::Diverged,
        Kind::Denied,
        Kind::Invalid,
        Kind::Unknown,
        Kind::ClientGone,
        Kind::Fault,
        Kind::Exhausted,
    ] {
        let mut health = up();
        for _ in 0..100 {
            assert_eq!(
                health.seen(Seen::Failed(kind), at(1), true),
                Change::Nothing
            );
        }
        assert_eq!(health.standing(at(1)), Standing::Up, "{kind}");
    }
}

#[test]
fn refused_after_a_reset_is_death_without_a_probe() {
    let mut health = up();
    health.seen(Seen::Failed(Kind::Lost), at(1), true);
    assert_eq!(
        health.seen(REFUSED, at(2), true),
        Change::Died(Suspicion::Failed(Kind::Lost))
    );
    // And a death is declared once.
    assert_eq!(health.seen(REFUSED, at(3), true), Change::Nothing);
    assert_eq!(
        health.seen(Seen::Failed(Kind::Lost), at(3), true),
        Change::Nothing
    );
}

#[test]
fn a_node_that_never_answered_is_not_dead_by_one_refusal() {
    let mut health = Health::new(HealthSettings::default());
    assert_eq!(health.seen(REFUSED, at(1), true), Change::Nothing);
    assert_eq!(health.standing(at(1)), Standing::Suspect);
}

#[test]
fn trials_back_off_and_one_answer_brings_it_back_slowly() {
    let mut health = down();
    let mut waits = Vec::new();
    let mut now = at(2);
    for _ in 0..6 {
        let Duty::TrialAt(next) = health.duty() else {
            panic!("{:?}", health.duty());
        };
        waits.push((next - now).as_millis());
        now = next;
        assert_eq!(
            health.probe_raised(Kind::Unreachable, now, 1.0),
            Change::Nothing
        );
    }
    assert_eq!(waits, [200, 400, 800, 1_600, 2_000, 2_000]);
    assert_eq!(health.probe_answered(load(false), now), Change::Returned);
    assert_eq!(health.weight(now), 0.1);
    assert_eq!(health.weight(now + at(5_000)), 0.5);
    assert_eq!(health.weight(now + at(10_000)), 1.0);
}

#[test]
fn a_suspect_that_answers_anything_lives_but_nothing_comes_up_by_half_an_answer() {
    for kind in [
        Kind::Busy,
        Kind::Missing,
        Kind::Diverged,
        Kind::Denied,
        Kind::Invalid,
    ] {
        let mut health = up();
        health.seen(Seen::Silent, at(1), true);
        assert_eq!(health.probe_raised(kind, at(2), 0.0), Change::Cleared);
        let weight = if kind == Kind::Busy { 0.1 } else { 1.0 };
        assert_eq!(health.weight(at(2)), weight, "{kind}");

        let mut health = down();
        assert_eq!(health.probe_raised(kind, at(202), 0.0), Change::Nothing);
        assert_eq!(health.standing(at(202)), Standing::Down, "{kind}");
        let mut health = Health::new(HealthSettings::default());
        health.probe_raised(kind, at(1), 0.0);
        assert_eq!(health.standing(at(1)), Standing::Down, "{kind}");
    }
}

#[test]
fn our_own_want_kills_nobody() {
    let mut health = up();
    let ours = Seen::ConnectFailed {
        kind: ConnectFailure::Ours,
    };
    assert_eq!(health.seen(ours, at(1), true), Change::Nothing);
    assert_eq!(health.standing(at(1)), Standing::Up);
    health.seen(Seen::Silent, at(2), true);
    for now in [2, 202, 402] {
        assert_eq!(health.duty(), Duty::ProbeAt(at(now)));
        assert_eq!(
            health.probe_raised(Kind::Fault, at(now), 0.0),
            Change::Nothing
        );
    }
    assert_eq!(health.standing(at(402)), Standing::Suspect);
    assert_eq!(health.probe_answered(load(false), at(602)), Change::Cleared);
}

#[test]
fn a_node_that_comes_late_for_the_first_time_has_its_full_share() {
    let mut health = Health::new(HealthSettings::default());
    assert_eq!(
        health.probe_raised(Kind::Unreachable, at(1), 0.0),
        Change::Died(Suspicion::New)
    );
    assert_eq!(
        health.probe_answered(load(false), at(200)),
        Change::Appeared
    );
    assert_eq!(health.weight(at(200)), 1.0);
}

#[test]
fn a_busy_node_gets_less_for_a_while() {
    let mut health = up();
    assert_eq!(
        health.seen(Seen::Failed(Kind::Busy), at(1_000), true),
        Change::Nothing
    );
    assert_eq!(health.standing(at(1_000)), Standing::Up);
    assert_eq!(health.weight(at(1_000)), 0.1);
    assert_eq!(health.weight(at(6_000)), 0.5);
    assert_eq!(health.weight(at(11_000)), 1.0);
}

#[test]
fn leaving_is_what_its_probe_says() {
    let mut health = up();
    health.seen(Seen::Failed(Kind::Leaving), at(1), true);
    health.probe_answered(load(true), at(2));
    assert_eq!(health.standing(at(2)), Standing::Leaving);
    assert_eq!(health.duty(), Duty::Watch);
    // It may think better of it.
    assert_eq!(
        health.seen(Seen::Load(load(false)), at(3), true),
        Change::Leaving(false)
    );
    assert_eq!(health.standing(at(3)), Standing::Up);
}

/// One failure that a probe then contradicts.
fn fail_once(health: &mut Health, now: Duration, may_eject: bool) -> Change {
    let change = health.seen(Seen::Failed(Kind::Garbled), now, may_eject);
    health.probe_answered(load(false), now);
    change
}

#[test]
fn failures_in_a_row_eject_a_node_that_answers_its_probes() {
    let mut health = up();
    for _ in 0..4 {
        fail_once(&mut health, at(1), true);
    }
    assert_eq!(
        fail_once(&mut health, at(1), true),
        Change::Ejected(at(5_001))
    );
    assert_eq!(health.standing(at(5_000)), Standing::Suspect);
    assert_eq!(health.standing(at(5_001)), Standing::Up);
    // Still bad: ejected at once, for twice as long.
    assert_eq!(
        fail_once(&mut health, at(6_000), true),
        Change::Ejected(at(16_000))
    );
    // One good reply after that, and it is whole again.
    health.seen(REPLIED, at(16_000), true);
    for _ in 0..4 {
        fail_once(&mut health, at(17_000), true);
    }
    assert_eq!(health.standing(at(17_000)), Standing::Up);
}

#[test]
fn a_reply_between_failures_keeps_it() {
    let mut health = up();
    for _ in 0..100 {
        for _ in 0..4 {
            fail_once(&mut health, at(1), true);
        }
        health.seen(REPLIED, at(1), true);
    }
    assert_eq!(health.standing(at(1)), Standing::Up);
}

#[test]
fn nothing_is_ejected_that_cannot_be_spared() {
    let mut health = up();
    for _ in 0..100 {
        fail_once(&mut health, at(1), false);
    }
    assert_eq!(health.standing(at(1)), Standing::Up);
}

#[test]
fn the_resets_of_one_crash_are_one_failure() {
    let mut health = up();
    for _ in 0..100 {
        health.seen(Seen::Failed(Kind::Lost), at(1), true);
    }
    health.probe_answered(load(false), at(2));
    assert_eq!(health.standing(at(2)), Standing::Up);
}

#[derive(Debug, Clone)]
enum Step {
    Seen(Seen),
    WatchEnded,
    Answered(bool),
    Raised(Kind),
}

fn steps() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    prop_oneof![
        kind.prop_map(|kind| Step::Seen(Seen::Failed(kind))),
        Just(Step::Seen(REFUSED)),
        Just(Step::Seen(Seen::ConnectFailed {
            kind: ConnectFailure::Other
        })),
        Just(Step::Seen(Seen::Connected { took: ZERO })),
        Just(Step::Seen(REPLIED)),
        Just(Step::Seen(Seen::Silent)),
        prop_oneof![
            Just(f64::NAN),
            Just(f64::NEG_INFINITY),
            Just(f64::INFINITY),
            -1e9..1e9
        ]
        .prop_flat_map(|load| any::<bool>().prop_map(move |leaving| Step::Seen(
            Seen::Load(NodeLoad {
                load: Some(load),
                leaving
            })
        ))),
        Just(Step::WatchEnded),
        any::<bool>().prop_map(Step::Answered),
        prop::sample::select(Kind::ALL.to_vec()).prop_map(Step::Raised),
    ]
}

proptest! {
    /// Whatever happens: death follows only on a failed probe or a second refusal and is declared once,
    /// return only on an answered probe; a suspect is probed, a dead node tried; weights stay in (0, 1].
    #[test]
    fn deaths_and_returns_alternate_and_have_a_cause(
        steps in prop::collection::vec((steps(), 0_u64..3_000, any::<bool>(), 0.0_f64..1.0), 0..200),
    ) {
        let mut health = Health::new(HealthSettings::default());
        let mut now = ZERO;
        let (mut dead, mut known) = (false, false);
        for (step, passed, may_eject, chance) in steps {
            now += at(passed);
            let before = health.duty();
            let change = match &step {
                Step::Seen(seen) => health.seen(*seen, now, may_eject),
                Step::WatchEnded => health.watch_ended(now),
                Step::Answered(leaving) => health.probe_answered(load(*leaving), now),
                Step::Raised(kind) => health.probe_raised(*kind, now, chance),
            };
            match change {
                Change::Died(_) => {
                    prop_assert!(!dead);
                    prop_assert!(matches!(before, Duty::ProbeAt(_)), "only what was in doubt dies");
                    prop_assert!(matches!(step, Step::Raised(_) | Step::Seen(REFUSED)));
                    dead = true;
                }
                Change::Appeared | Change::Returned => {
                    prop_assert!(matches!(
                        step,
                        Step::Answered(_) | Step::Raised(Kind::Leaving)
                    ));
                    prop_assert_eq!(change == Change::Appeared, !known);
                    known = true;
                    dead = false;
                }
                Change::Suspected(_) => prop_assert_eq!(before, Duty::Watch),
                Change::Ejected(until) => prop_assert!(may_eject && until > now),
                Change::Cleared => {
                    prop_assert!(matches!(step, Step::Answered(_) | Step::Raised(_)));
                    prop_assert!(known);
                }
                Change::Nothing | Change::Leaving(_) => {}
            }
            let standing = health.standing(now);
            prop_assert_eq!(standing == Standing::Down, dead);
            prop_assert_eq!(matches!(health.duty(), Duty::TrialAt(_)), dead);
            if let Duty::TrialAt(next) = health.duty() {
                prop_assert!(next <= now + HealthSettings::default().trial_wait_max);
            }
            let weight = health.weight(now);
            prop_assert!(weight > 0.0 && weight <= 1.0, "{}", weight);
            prop_assert!(health.load().is_none_or(|load| load.is_finite() && load >= 0.0));
        }
    }
}
