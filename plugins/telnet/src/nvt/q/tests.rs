//! The Q method whole: the RFC's table, two ends that always agree, and one who only listens.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::nvt::Verb;

/// RFC 1143 section 7: state, then what becomes of it and what is said when WILL is received and
/// agreed to, received and not agreed to, when WONT is received, when we want it on, when we want it off.
#[test]
fn the_table_of_the_rfc() {
    use Side::{No, WantNo, WantNoOpposite, WantYes, WantYesOpposite, Yes};
    let (on, off) = (Some(true), Some(false));
    #[rustfmt::skip]
    let table = [
        (No, [(Yes, on), (No, off), (No, None), (WantYes, on), (No, None)]),
        (Yes, [(Yes, None), (Yes, None), (No, off), (Yes, None), (WantNo, off)]),
        (WantNo, [(No, None), (No, None), (No, None), (WantNoOpposite, None), (WantNo, None)]),
        (WantNoOpposite, [(Yes, None), (Yes, None), (WantYes, on), (WantNoOpposite, None), (WantNo, None)]),
        (WantYes, [(Yes, None), (Yes, None), (No, None), (WantYes, None), (WantYesOpposite, None)]),
        (WantYesOpposite, [(WantNo, off), (WantNo, off), (No, None), (WantYes, None), (WantYesOpposite, None)]),
    ];
    for (state, expected) in table {
        let actions: [fn(&mut Side) -> Option<bool>; 5] = [
            |side| side.receive(true, true),
            |side| side.receive(true, false),
            |side| side.receive(false, true),
            |side| side.ask(true),
            |side| side.ask(false),
        ];
        for (action, expected) in actions.iter().zip(expected) {
            let mut side = state;
            let said = action(&mut side);
            assert_eq!((side, said), expected, "from {state:?}");
        }
    }
}

/// What happens next at two ends, and on the way between them.
#[derive(Debug, Clone, Copy)]
enum Step {
    Ask {
        end: usize,
        on: bool,
    },
    /// The next word from this end moves on by one place.
    Move {
        from: usize,
        place: usize,
    },
}

fn step(places: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0_usize..2, any::<bool>()).prop_map(|(end, on)| Step::Ask { end, on }),
        2 => (0_usize..2, 0..places).prop_map(|(from, place)| Step::Move { from, place }),
    ]
}

/// Two ends with one option, which the first performs, and one between them who passes words on.
struct Dialogue {
    ends: [Side; 2],
    allow: [bool; 2],
    /// Words of each end: on the way to the middle, and behind it.
    ways: [[VecDeque<bool>; 2]; 2],
    /// What the middle knows of each end.
    middle: [Table; 2],
    said: usize,
}

const OPTION: u8 = 1;

impl Dialogue {
    fn new(allow: [bool; 2]) -> Self {
        Self {
            ends: [Side::No; 2],
            allow,
            ways: Default::default(),
            middle: [Table::new(), Table::new()],
            said: 0,
        }
    }

    fn verb(from: usize, positive: bool) -> Verb {
        if from == 0 {
            Verb::of_performer(positive)
        } else {
            Verb::of_other(positive)
        }
    }

    fn say(&mut self, end: usize, word: Option<bool>) {
        if let Some(word) = word {
            self.said += 1;
            self.ways[end][0].push_back(word);
        }
    }

    fn ask(&mut self, end: usize, on: bool) {
        let word = self.ends[end].ask(on);
        self.say(end, word);
    }

    fn step(&mut self, from: usize, place: usize) -> bool {
        let Some(word) = self.ways[from][place].pop_front() else {
            return false;
        };
        if place == 0 {
            let verb = Self::verb(from, word);
            assert!(self.middle[from].observe(Direction::Received, verb, OPTION));
            assert!(self.middle[1 - from].observe(Direction::Sent, verb, OPTION));
            self.ways[from][1].push_back(word);
        } else {
            let answer = self.ends[1 - from].receive(word, self.allow[1 - from]);
            self.say(1 - from, answer);
        }
        true
    }

    fn run(&mut self, steps: &[Step]) -> usize {
        let mut asked = 0;
        for &step in steps {
            match step {
                Step::Ask { end, on } => {
                    self.ask(end, on);
                    asked += 1;
                }
                Step::Move { from, place } => {
                    self.step(from, place);
                }
            }
        }
        asked
    }

    /// Lets every word arrive.
    fn rest(&mut self) {
        while (0..2).any(|from| (0..2).any(|place| self.step(from, place))) {}
    }
}

proptest! {
    #[test]
    fn two_ends_always_stop_and_always_agree(
        allow in any::<[bool; 2]>(),
        steps in vec(step(2), 0..60),
    ) {
        let mut dialogue = Dialogue::new(allow);
        let asked = dialogue.run(&steps);
        dialogue.rest();
        let [one, other] = dialogue.ends;
        prop_assert!(one.is_settled());
        prop_assert_eq!(one, other);
        prop_assert!(dialogue.said <= 4 * asked, "{} words for {asked} wishes", dialogue.said);
    }

    #[test]
    fn who_passes_words_on_knows_what_was_agreed(
        allow in any::<[bool; 2]>(),
        steps in vec(step(2), 0..60),
    ) {
        let mut dialogue = Dialogue::new(allow);
        dialogue.run(&steps);
        dialogue.rest();
        let on = dialogue.ends[0].is_on();
        let [to_performer, to_other] = &dialogue.middle;
        prop_assert_eq!(to_performer.side(Performer::Peer, OPTION), dialogue.ends[0]);
        prop_assert_eq!(to_other.side(Performer::Us, OPTION), dialogue.ends[0]);
        prop_assert_eq!(to_performer.him(OPTION), on);
        prop_assert_eq!(to_other.us(OPTION), on);
        prop_assert!(!to_performer.us(OPTION) && !to_other.him(OPTION));
    }

    /// At any moment one end dies. The middle takes its place, and wants something of its own.
    #[test]
    fn who_takes_the_place_of_an_end_agrees_with_the_other(
        allow in any::<[bool; 2]>(),
        steps in vec(step(2), 0..40),
        dead in 0_usize..2,
        lets in any::<bool>(),
        wish in any::<Option<bool>>(),
    ) {
        let mut dialogue = Dialogue::new(allow);
        dialogue.run(&steps);
        let alive = 1 - dead;
        dialogue.ways[dead][0].clear(); // the dead one's last words
        dialogue.ways[alive][1].clear(); // what it was never told
        let performer = if alive == 0 { Performer::Peer } else { Performer::Us };
        let words = dialogue.middle[alive].settle(|_, _| lets);
        let asks = wish.and_then(|on| dialogue.middle[alive].ask(performer, OPTION, on));
        for verb in words.iter().map(|(verb, _)| *verb).chain(asks) {
            dialogue.ways[dead][1].push_back(verb.is_positive());
        }
        loop {
            if let Some(word) = dialogue.ways[alive][0].pop_front() {
                let answer =
                    dialogue.middle[alive].receive(Dialogue::verb(alive, word), OPTION, lets);
                dialogue.ways[dead][1].extend(answer.map(Verb::is_positive));
            } else if !dialogue.step(dead, 1) {
                break;
            }
        }
        prop_assert_eq!(
            dialogue.middle[alive].side(performer, OPTION),
            dialogue.ends[alive]
        );
        prop_assert!(dialogue.ends[alive].is_settled());
        if wish == Some(false) {
            // It may be on all the same where the peer asked for it afterwards.
            prop_assert!(lets || !dialogue.ends[alive].is_on());
        }
    }

    #[test]
    fn no_words_make_a_table_grow(
        words in vec((any::<bool>(), 251_u8..=254, any::<u8>()), 0..2000),
    ) {
        let mut table = Table::new();
        for (sent, verb, option) in words {
            let verb = Verb::from_byte(verb).unwrap();
            let direction = if sent { Direction::Sent } else { Direction::Received };
            let _ = table.observe(direction, verb, option);
            prop_assert!(table.memory() <= 8 * MAX_OPTIONS);
        }
        let _ = table.settle(|_, option| option % 2 == 0);
        table.calm();
        prop_assert!(table.memory() <= 8 * MAX_OPTIONS);
    }
}

#[test]
fn an_option_that_flaps_is_held_and_is_off_then() {
    let mut table = Table::new();
    let mut passed = 0;
    for _ in 0..1000 {
        for (verb, answer) in [(Verb::Will, Verb::Do), (Verb::Wont, Verb::Dont)] {
            if table.observe(Direction::Received, verb, OPTION) {
                passed += 1;
                assert!(table.observe(Direction::Sent, answer, OPTION));
            }
        }
    }
    assert_eq!(passed, usize::from(MAX_WORDS));
    assert!(!table.him(OPTION));
    table.calm();
    assert!(!table.observe(Direction::Received, Verb::Will, OPTION));
    assert!(table.observe(Direction::Received, Verb::Will, OPTION + 1));
}

#[test]
fn passwords_all_day_long_do_not_flap() {
    let mut table = Table::new();
    for _ in 0..1000 {
        for (verb, answer) in [(Verb::Will, Verb::Do), (Verb::Wont, Verb::Dont)] {
            assert!(table.observe(Direction::Received, verb, OPTION));
            assert!(table.observe(Direction::Sent, answer, OPTION));
        }
        table.calm();
    }
}

#[test]
fn two_that_fight_are_bounded() {
    // The peer insists, we refuse, and it asks again for each refusal.
    let mut table = Table::new();
    let mut on = 0;
    for _ in 0..1000 {
        assert_eq!(table.receive(Verb::Will, OPTION, false), Some(Verb::Dont));
        // Nor does it get further with one who lets it, and whom it then tells that it does not.
        if table.receive(Verb::Will, OPTION + 1, true) == Some(Verb::Do) {
            on += 1;
            assert_eq!(
                table.receive(Verb::Wont, OPTION + 1, true),
                Some(Verb::Dont)
            );
        }
    }
    assert_eq!(on, MAX_WORDS / 2);
    // A word said twice is answered by nobody.
    assert_eq!(table.receive(Verb::Wont, OPTION, true), None);
}

#[test]
fn one_option_too_many_is_refused() {
    let mut table = Table::new();
    for option in 0..64 {
        assert_eq!(table.receive(Verb::Do, option, true), Some(Verb::Will));
    }
    assert_eq!(table.receive(Verb::Do, 200, true), Some(Verb::Wont));
    assert_eq!(table.receive(Verb::Dont, 200, true), None);
    assert!(!table.observe(Direction::Received, Verb::Will, 201));
    assert_eq!(table.on().count(), 64);
}
