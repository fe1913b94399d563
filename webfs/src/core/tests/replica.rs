//! The replica against a naive one.

use proptest::prelude::*;

use super::super::replica::{Fit, Held, Replica};
use crate::cursor::Cut;
use crate::entry::{Entry, Kind};
use crate::letter::{Letter, Name};

fn held(name: Name, before: u64) -> Held {
    Held {
        entry: Entry {
            path: "rooms/x".parse().unwrap(),
            generation: 0,
            name,
            before,
            accepted_at: 0,
            request: None,
            producer: None,
            stream_seq: None,
            was: Vec::new(),
            count: 1,
            kind: Kind::Append,
            content_type: None,
            payload: bytes::Bytes::from_static(b"x"),
        },
        len: 1,
        place: None,
        evicted: false,
        sequence: 0,
        names: None,
    }
}

/// Entries of four servers in any order, with leaps, and new letters now and then.
fn build(steps: &[(u8, u8)]) -> (Replica, Vec<Name>) {
    let mut letters: Vec<Letter> = ["a", "b", "c", "d"].map(|l| l.parse().unwrap()).to_vec();
    let (mut replica, mut order) = (Replica::default(), Vec::<Name>::new());
    for &(who, what) in steps {
        let letter = &mut letters[usize::from(who % 4)];
        let before = replica.top(letter.id).map_or(0, |top| top.index);
        if what % 16 == 15 && before > 0 {
            *letter = letter.next().unwrap();
        }
        let leaps = what % 8 == 7
            || replica
                .top(letter.id)
                .is_some_and(|top| top.letter != *letter);
        let index = if leaps {
            (before / 100 + 1) * 100
        } else {
            before + 1
        };
        let name = letter.name(index);
        assert_eq!(replica.fits(name, before), Fit::Next);
        order.push(name);
        replica.push(held(name, before));
    }
    (replica, order)
}

proptest! {
    #[test]
    fn cuts_and_positions_are_those_of_a_scan(
        steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..60),
        at in any::<prop::sample::Index>(),
        other in prop::collection::vec((0usize..60, 0u64..3), 0..4),
    ) {
        let (replica, order) = build(&steps);
        let len = at.index(order.len() + 1);
        let naive: Cut = order[..len].iter().copied().collect();
        prop_assert_eq!(replica.cut(len), naive.clone());
        prop_assert_eq!(replica.position(&naive), len);
        for (place, name) in order.iter().enumerate() {
            prop_assert_eq!(replica.find(*name), Some(place));
            prop_assert_eq!(replica.fits(*name, 0), Fit::Known);
        }
        // A cut from elsewhere: some letters further, or less far.
        let mut cut = naive;
        for (place, less) in other {
            if let Some(name) = order.get(place) {
                cut.raise(name.letter.name(name.index.saturating_sub(less)));
            }
        }
        replica.expand(&mut cut);
        let first = order.iter().position(|name| cut.get(name.letter) < name.index);
        prop_assert_eq!(replica.position(&cut), first.unwrap_or(order.len()));
    }

    #[test]
    fn folding_loses_nothing(steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..60), at in any::<prop::sample::Index>()) {
        let (replica, order) = build(&steps);
        let whole = replica.cut(at.index(order.len() + 1));
        let mut folded = whole.clone();
        replica.fold(&mut folded, |_, _| false);
        prop_assert_eq!(folded.sum(), whole.sum());
        prop_assert!(folded.names().all(|name| whole.get(name.letter) == name.index));
        prop_assert!(replica.not_understood(&folded).is_empty());
        replica.expand(&mut folded);
        let mut expanded = whole;
        replica.expand(&mut expanded);
        prop_assert_eq!(folded, expanded);
    }

    #[test]
    fn a_name_in_a_hole_is_void_once_the_hole_is_passed(steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..60), who in 0usize..4, index in 1u64..1500) {
        let (replica, order) = build(&steps);
        let letter: Letter = ["a", "b", "c", "d"][who].parse().unwrap();
        let of: Vec<u64> = order.iter().filter(|n| n.letter == letter).map(|n| n.index).collect();
        let next = of.iter().copied().find(|&given| given >= index);
        let void = next.is_some_and(|given| given != index);
        let last = of.last().copied().unwrap_or(0);
        prop_assert_eq!(replica.is_void(letter.name(index), last), void);
        prop_assert!(!replica.is_void(letter.name(index), index));
    }
}
