//! The recovery engine against every order of events: a script of what nodes do, drawn at random,
//! and an oracle that knows only the promises.

// A test may stop at what it did not expect.
#![allow(clippy::expect_used, clippy::wildcard_enum_match_arm)]

use std::collections::HashSet;
use std::time::Duration;

use director_recovery::{
    Budget, Event, Exception, Failed, Kind, Limits, NodeId, Order, Outcome, Resend, Ticket,
};
use proptest::prelude::*;

const NODES: [NodeId; 3] = [0, 1, 2];

fn limits() -> Limits {
    Limits {
        attempts: 12,
        within: Duration::from_secs(10),
        ..Limits::default()
    }
}

fn failed(kind: Kind, node: NodeId) -> Failed {
    Failed {
        exception: Exception::new(kind, Some(node), "as told"),
        fit: false,
        answered: 0,
        stood: Duration::ZERO,
        node_died: false,
        spread: Duration::ZERO,
    }
}

/// A ticket with its budget and a clock that only waits move.
struct Run {
    ticket: Ticket,
    budget: Budget,
    now: Duration,
}

impl Run {
    fn new() -> Self {
        Self {
            ticket: Ticket::new(limits()),
            budget: Budget::new(0.2, 10),
            now: Duration::ZERO,
        }
    }

    fn on(&mut self, event: Event) -> Order {
        self.ticket
            .on(event, self.now, &mut self.budget, &mut || 0.5)
            .expect("an answer in turn")
    }

    /// To the attempt at `node`, through pick, connect and establish.
    fn reach(&mut self, order: Order, node: NodeId) -> Order {
        let mut order = order;
        if let Order::Wait(wait) = order {
            self.now += wait;
            order = self.on(Event::Waited);
        }
        assert!(matches!(order, Order::Pick { .. }), "{order:?}");
        assert_eq!(self.on(Event::Picked(node)), Order::Connect(node));
        assert_eq!(self.on(Event::Connected), Order::Establish(node));
        self.on(Event::Established)
    }
}

#[test]
fn a_lost_node_is_cleaned_up_after_and_another_one_replies() {
    let mut run = Run::new();
    let begun = run.on(Event::Begin { link: None });
    assert_eq!(run.reach(begun, 0), Order::Attempt(0));
    let order = run.on(Event::Failed(failed(Kind::Lost, 0)));
    assert!(
        matches!(
            order,
            Order::CleanUp {
                node: 0,
                link: false,
                ..
            }
        ),
        "{order:?}"
    );
    let order = run.on(Event::Cleaned(Resend::Anywhere));
    assert_eq!(
        order,
        Order::Pick {
            avoid: vec![0],
            only: None
        }
    );
    assert_eq!(run.reach(order, 1), Order::Attempt(1));
    assert_eq!(run.on(Event::Replied), Order::Reply(1));
    assert!(run.ticket.is_over());
}

#[test]
fn an_unknown_outcome_is_asked_about_before_anything_is_resent() {
    let mut run = Run::new();
    let begun = run.on(Event::Begin { link: Some(0) });
    assert_eq!(begun, Order::Attempt(0));
    run.on(Event::Failed(failed(Kind::Lost, 0)));
    let order = run.on(Event::Cleaned(Resend::Ask));
    assert_eq!(run.reach(order, 1), Order::Ask(1));
    assert_eq!(run.on(Event::Asked(Outcome::NotDone)), Order::Attempt(1));
}

#[test]
fn what_no_node_can_tell_is_reported_as_unknown() {
    let mut run = Run::new();
    run.on(Event::Begin { link: Some(0) });
    run.on(Event::Failed(Failed {
        fit: true,
        ..failed(Kind::Unknown, 0)
    }));
    assert_eq!(
        run.on(Event::Cleaned(Resend::Ask)),
        Order::Ask(0),
        "on the link that stands"
    );
    let order = run.on(Event::Asked(Outcome::Unknown));
    assert!(
        matches!(order, Order::GiveUp(ref end) if end.kind == Kind::Unknown),
        "{order:?}"
    );
}

#[test]
fn a_torn_attempt_is_never_resent() {
    let mut run = Run::new();
    run.on(Event::Begin { link: Some(0) });
    run.on(Event::Torn(Exception::new(Kind::Lost, Some(0), "cut")));
    let order = run.on(Event::Cleaned(Resend::Anywhere));
    assert!(matches!(order, Order::GiveUp(_)), "{order:?}");
}

#[test]
fn the_same_node_is_asked_again_only_after_a_wait_and_not_before_it_said() {
    let mut run = Run::new();
    run.on(Event::Begin { link: Some(2) });
    let mut busy = failed(Kind::Busy, 2);
    busy.exception.retry_after = Some(Duration::from_secs(3));
    run.on(Event::Failed(busy));
    assert_eq!(
        run.on(Event::Cleaned(Resend::SameNode)),
        Order::Wait(Duration::from_secs(3))
    );
    let order = run.on(Event::Waited);
    assert_eq!(
        order,
        Order::Pick {
            avoid: vec![],
            only: Some(2)
        }
    );
}

#[test]
fn a_file_that_every_node_lacks_is_missing_at_once() {
    let mut run = Run::new();
    let mut order = run.on(Event::Begin { link: None });
    for node in NODES {
        order = run.reach(order, node);
        assert_eq!(order, Order::Attempt(node));
        run.on(Event::Failed(Failed {
            fit: true,
            ..failed(Kind::Missing, node)
        }));
        order = run.on(Event::Cleaned(Resend::Anywhere));
    }
    assert!(matches!(order, Order::Pick { .. }));
    let end = run.on(Event::NonePicked);
    let Order::GiveUp(end) = end else {
        panic!("{end:?}")
    };
    assert_eq!(end.kind, Kind::Exhausted);
    assert_eq!(end.detail.matches("missing").count(), 3, "{}", end.detail);
    assert_eq!(run.now, Duration::ZERO, "nobody waited");
}

#[test]
fn a_cluster_that_is_down_is_waited_for_and_not_for_ever() {
    let mut run = Run::new();
    let mut order = run.on(Event::Begin { link: None });
    let end = loop {
        order = match order {
            Order::Pick { .. } => run.on(Event::NonePicked),
            Order::Wait(wait) => {
                run.now += wait;
                run.on(Event::Waited)
            }
            Order::GiveUp(end) => break end,
            other => panic!("{other:?}"),
        };
    };
    assert_eq!(end.kind, Kind::Exhausted);
    assert!(
        run.now > Duration::from_secs(8) && run.now < Duration::from_secs(10),
        "{:?}",
        run.now
    );
}

#[test]
fn the_first_switch_from_a_dead_node_is_free_and_the_second_is_not() {
    let mut run = Run::new();
    while run.budget.withdraw(run.now) {}
    run.on(Event::Begin { link: Some(0) });
    run.on(Event::Failed(Failed {
        node_died: true,
        ..failed(Kind::Lost, 0)
    }));
    let order = run.on(Event::Cleaned(Resend::Anywhere));
    assert_eq!(run.reach(order, 1), Order::Attempt(1));
    run.on(Event::Failed(Failed {
        node_died: true,
        ..failed(Kind::Lost, 1)
    }));
    let order = run.on(Event::Cleaned(Resend::Anywhere));
    assert!(
        matches!(order, Order::GiveUp(ref end) if end.detail.contains("budget")),
        "{order:?}"
    );
}

#[test]
fn progress_starts_the_bounds_anew() {
    let mut run = Run::new();
    let mut order = run.on(Event::Begin { link: None });
    for turn in 0..100 {
        assert_eq!(run.reach(order, turn % 2), Order::Attempt(turn % 2));
        run.now += Duration::from_secs(1);
        let lost = Failed {
            answered: 1,
            node_died: true,
            ..failed(Kind::Lost, turn % 2)
        };
        run.on(Event::Failed(lost));
        order = run.on(Event::Cleaned(Resend::Anywhere));
    }
    assert!(matches!(order, Order::Pick { .. }), "{order:?}");
}

#[test]
fn a_live_read_in_a_quiet_time_may_lose_one_node_after_another() {
    let mut run = Run::new();
    while run.budget.withdraw(run.now) {}
    let mut order = run.on(Event::Begin { link: None });
    for turn in 0..20 {
        assert_eq!(run.reach(order, turn % 2), Order::Attempt(turn % 2));
        let stood = Duration::from_secs(3600);
        run.now += stood;
        while run.budget.withdraw(run.now) {}
        let lost = Failed {
            stood,
            node_died: true,
            ..failed(Kind::Lost, turn % 2)
        };
        run.on(Event::Failed(lost));
        order = run.on(Event::Cleaned(Resend::Anywhere));
    }
    assert!(matches!(order, Order::Pick { .. }), "{order:?}");
}

#[test]
fn a_node_that_owed_nothing_only_for_a_moment_has_not_done_its_work() {
    let mut run = Run::new();
    let mut order = run.on(Event::Begin { link: None });
    for turn in 0.. {
        if let Order::GiveUp(end) = order {
            assert_eq!(end.kind, Kind::Exhausted);
            break;
        }
        assert!(turn < 100, "no bound holds it");
        // Waits come in between whenever both nodes were tried.
        if let Order::Wait(wait) = order {
            run.now += wait;
            order = run.on(Event::Waited);
        }
        if matches!(&order, Order::Pick { avoid, .. } if avoid.len() == 2) {
            order = run.on(Event::NonePicked);
            continue;
        }
        let Order::Pick { avoid, .. } = &order else {
            panic!("{order:?}")
        };
        let node = NodeId::from(avoid.contains(&0));
        assert_eq!(run.reach(order, node), Order::Attempt(node));
        run.on(Event::Failed(Failed {
            stood: Duration::from_millis(50),
            ..failed(Kind::Lost, node)
        }));
        order = run.on(Event::Cleaned(Resend::Anywhere));
    }
}

#[test]
fn an_event_out_of_turn_ends_the_ticket() {
    let mut run = Run::new();
    run.on(Event::Begin { link: None });
    let refused = run
        .ticket
        .on(Event::Replied, run.now, &mut run.budget, &mut || 0.5);
    let refused = refused.expect_err("nothing was attempted");
    assert_eq!(refused.state, "seeking");
    assert!(run.ticket.is_over());
}

/// What the world does at each turn.
#[derive(Debug, Clone)]
struct Turn {
    pick: prop::sample::Index,
    none: bool,
    fails: bool,
    kind: prop::sample::Index,
    fit: bool,
    torn: bool,
    answered: bool,
    resend: prop::sample::Index,
    outcome: prop::sample::Index,
    takes: u64,
}

fn turn() -> impl Strategy<Value = Turn> {
    (
        any::<prop::sample::Index>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.7),
        any::<prop::sample::Index>(),
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        0..500_u64,
    )
        .prop_map(
            |(pick, none, fails, kind, fit, torn, answered, (resend, outcome), takes)| Turn {
                pick,
                none,
                fails,
                kind,
                fit,
                torn,
                answered,
                resend,
                outcome,
                takes,
            },
        )
}

/// Holds the promises against each order as it comes.
#[derive(Default)]
struct Oracle {
    /// An attempt failed and its cleanup has not been ordered yet.
    uncleaned: bool,
    /// No attempt may follow any more.
    ended: bool,
    /// Nobody may attempt before a node was asked.
    must_ask: bool,
    answered_no: HashSet<NodeId>,
}

impl Oracle {
    fn sees(&mut self, order: &Order) {
        match order {
            Order::Attempt(_) => {
                assert!(!self.uncleaned, "resent before its cleanup");
                assert!(!self.ended, "resent after a final word");
                assert!(!self.must_ask, "resent without asking");
            }
            Order::CleanUp { .. } => self.uncleaned = false,
            Order::Pick { avoid, only: None } => {
                assert!(!self.ended && !self.uncleaned);
                assert!(self.answered_no.iter().all(|node| avoid.contains(node)));
            }
            Order::Pick { .. } | Order::Connect(_) | Order::Establish(_) | Order::Ask(_) => {
                assert!(!self.ended && !self.uncleaned);
            }
            Order::Wait(wait) => assert!(*wait <= Duration::from_secs(10)),
            Order::Reply(_) | Order::GiveUp(_) => {}
        }
    }
}

const RESENDS: [Resend; 4] = [
    Resend::Anywhere,
    Resend::SameNode,
    Resend::Ask,
    Resend::Never,
];
const OUTCOMES: [Outcome; 3] = [Outcome::Happened, Outcome::NotDone, Outcome::Unknown];

fn failure(turn: &Turn, node: NodeId) -> Failed {
    Failed {
        exception: Exception::new(Kind::ALL[turn.kind.index(13)], Some(node), ""),
        fit: turn.fit,
        answered: u64::from(turn.answered),
        stood: Duration::ZERO,
        node_died: turn.torn,
        spread: Duration::from_millis(turn.takes),
    }
}

/// The world's answer to an order.
fn answer(order: &Order, turn: &Turn, oracle: &mut Oracle) -> Option<Event> {
    Some(match order {
        Order::Pick { avoid, only } => {
            let open: Vec<NodeId> = NODES
                .into_iter()
                .filter(|node| !avoid.contains(node))
                .collect();
            match only {
                Some(node) if !turn.none => Event::Picked(*node),
                None if !turn.none && !open.is_empty() => {
                    Event::Picked(open[turn.pick.index(open.len())])
                }
                Some(_) | None => Event::NonePicked,
            }
        }
        Order::Connect(node) if turn.fails => {
            let failed = failed(Kind::Unreachable, *node);
            Event::Failed(failed)
        }
        Order::Connect(_) => Event::Connected,
        Order::Establish(node) if turn.fails && turn.torn => {
            Event::Torn(Exception::new(Kind::Stalled, Some(*node), ""))
        }
        Order::Establish(node) if turn.fails => {
            let failed = failure(turn, *node);
            oracle.ended |= failed.exception.kind.is_final();
            note_answer(oracle, &failed, *node);
            Event::Failed(failed)
        }
        Order::Establish(_) => Event::Established,
        Order::Attempt(node) if turn.fails => {
            oracle.uncleaned = true;
            if turn.torn {
                oracle.ended = true;
                return Some(Event::Torn(Exception::new(Kind::Lost, Some(*node), "")));
            }
            let failed = failure(turn, *node);
            oracle.ended |= failed.exception.kind.is_final();
            if failed.answered > 0 {
                oracle.answered_no.clear();
            }
            note_answer(oracle, &failed, *node);
            Event::Failed(failed)
        }
        Order::Attempt(_) => Event::Replied,
        Order::CleanUp { .. } => {
            let resend = RESENDS[turn.resend.index(RESENDS.len())];
            oracle.ended |= resend == Resend::Never;
            oracle.must_ask = resend == Resend::Ask;
            Event::Cleaned(resend)
        }
        Order::Ask(node) if turn.fails => {
            let failed = failure(turn, *node);
            oracle.ended |= failed.exception.kind.is_final();
            note_answer(oracle, &failed, *node);
            Event::Failed(failed)
        }
        Order::Ask(_) => {
            let outcome = OUTCOMES[turn.outcome.index(OUTCOMES.len())];
            oracle.must_ask &= outcome != Outcome::NotDone;
            oracle.ended |= outcome == Outcome::Unknown;
            Event::Asked(outcome)
        }
        Order::Wait(_) => Event::Waited,
        Order::Reply(_) | Order::GiveUp(_) => return None,
    })
}

fn note_answer(oracle: &mut Oracle, failed: &Failed, node: NodeId) {
    if failed.exception.kind.is_an_answer() {
        oracle.answered_no.insert(node);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever nodes and cleanups do: a cleanup stands before every resend, final words are final,
    /// and every request ends within its bounds.
    #[test]
    fn the_promises_hold_in_any_world(turns in prop::collection::vec(turn(), 400)) {
        let mut run = Run::new();
        let mut oracle = Oracle::default();
        let mut order = run.on(Event::Begin { link: None });
        let mut last_progress = Duration::ZERO;
        for turn in &turns {
            oracle.sees(&order);
            run.now += Duration::from_millis(turn.takes);
            if let Order::Wait(wait) = order {
                run.now += wait;
            }
            let Some(event) = answer(&order, turn, &mut oracle) else { break };
            if matches!(&event, Event::Failed(failed) if failed.answered > 0) {
                last_progress = run.now;
            }
            order = run.on(event);
            prop_assert!(
                run.now.saturating_sub(last_progress) < Duration::from_secs(25),
                "no end in sight"
            );
        }
        oracle.sees(&order);
    }
}
