//! One server, nobody else.

use super::*;
use crate::server::{Conflict, Create};
use crate::stream::{ContentType, Producer};

const ROOM: &str = "rooms/lobby";

fn alone() -> One {
    One::new(settings("a", &[]))
}

fn again(one: One) -> One {
    let identity = one.stored;
    let recovered = Recovered {
        identity,
        damaged: false,
    };
    One::with(settings("a", &[]), one.log, recovered)
}

fn triple(epoch: u64, seq: u64) -> Option<Producer> {
    let id = "p".parse().unwrap();
    Some(Producer { id, epoch, seq })
}

#[test]
fn an_append_is_answered_shown_and_stable_once_it_is_durable_and_not_before() {
    let mut one = alone();
    let ticket = one.append(ROOM, text("one"));
    assert!(one.take(ticket).is_none());
    assert_eq!(one.read(ROOM, "-1").unwrap().0.len(), 0);
    one.sync();
    let Some(Ok(Answer::Appended(appended))) = one.take(ticket) else {
        panic!("no answer");
    };
    assert_eq!(appended.entry.to_string(), "a.1");
    assert_eq!(appended.next.to_string(), "0000000000000001_g0-a.1");
    assert_eq!(appended.stable, appended.next);
    assert!(appended.new && !appended.released);
    let (texts, next) = one.read(ROOM, "-1").unwrap();
    assert_eq!((texts, &next), (vec!["\"one\"".to_owned()], &appended.next));
    assert_eq!(one.read(ROOM, &next.to_string()).unwrap().0.len(), 0);
}

#[test]
fn a_live_read_gets_what_is_added_and_stands_after_it() {
    let mut one = alone();
    let mut follow = one.follow(ROOM, "now").unwrap();
    let limits = ReadLimits::default();
    assert!(
        one.core
            .step(one.now, &follow, limits)
            .unwrap()
            .reading
            .is_none()
    );
    let wakes = one.wakes;
    one.add(ROOM, text("x")).unwrap();
    assert!(one.wakes > wakes);
    let step = one.core.step(one.now, &follow, limits).unwrap();
    let reading = step.reading.unwrap();
    assert_eq!(reading.entries.len(), 1);
    assert!(reading.entries[0].stable && reading.up_to_date);
    follow = step.follow;
    assert_eq!(follow.next().to_string(), "0000000000000001_g0-a.1");
    assert!(
        one.core
            .step(one.now, &follow, limits)
            .unwrap()
            .reading
            .is_none()
    );
}

#[test]
fn a_start_leaps_and_its_first_entry_names_the_last_before_the_hole() {
    let mut one = alone();
    one.add(ROOM, text("one")).unwrap();
    let mut one = again(one);
    assert_eq!(one.stored.unwrap().to_string(), "a/2");
    let appended = one.add(ROOM, text("two")).unwrap();
    assert_eq!(appended.entry.to_string(), "a.65536");
    assert_eq!(one.log[1].before, 1);
    assert_eq!(
        one.read(ROOM, "0000000000000001_g0-a.1").unwrap().0,
        ["\"two\""]
    );
    let mut one = again(one);
    assert_eq!(
        one.add(ROOM, text("three")).unwrap().entry.to_string(),
        "a.131072"
    );
    assert_eq!(
        one.add("rooms/new", text("three"))
            .unwrap()
            .entry
            .to_string(),
        "a.131072"
    );
}

#[test]
fn a_repeated_request_gets_the_first_answer_again_also_after_a_start() {
    let mut one = alone();
    let asked = Append {
        request: Some("d.7".parse().unwrap()),
        ..text("once")
    };
    let first = one.add(ROOM, asked.clone()).unwrap();
    one.add(ROOM, text("other")).unwrap();
    assert_eq!(one.add(ROOM, asked.clone()).unwrap().entry, first.entry);
    let mut one = again(one);
    let repeat = one.add(ROOM, asked).unwrap();
    assert_eq!((repeat.entry, repeat.new), (first.entry, true));
    assert_eq!(one.log.len(), 2);
}

#[test]
fn producers_are_judged_as_the_protocol_says() {
    let mut one = alone();
    let by = |epoch, seq| Append {
        producer: triple(epoch, seq),
        ..text("x")
    };
    assert_eq!(one.add(ROOM, by(0, 0)).unwrap().producer, Some((0, 0)));
    let repeat = one.add(ROOM, by(0, 0)).unwrap();
    assert!(!repeat.new);
    let faults = |one: &One| one.core.counters.producer_faults;
    assert_eq!(faults(&one), 0);
    let mut other = by(0, 0);
    other.payload = bytes::Bytes::from_static(b"\"y\"");
    assert!(!one.add(ROOM, other).unwrap().new);
    assert_eq!(faults(&one), 1, "the producer used a sequence twice");
    let gap = Conflict::ProducerGap {
        expected: 1,
        received: 2,
    };
    assert_eq!(one.add(ROOM, by(0, 2)), Err(gap.into()));
    assert_eq!(one.add(ROOM, by(1, 1)), Err(Refusal::EpochStart(1)));
    assert!(one.add(ROOM, by(1, 0)).unwrap().new);
    let stale = Refusal::StaleEpoch {
        sent: 0,
        current: 1,
    };
    assert_eq!(one.add(ROOM, by(0, 1)), Err(stale));
    let mut resent = by(0, 1);
    resent.was = vec!["b.5".parse().unwrap()];
    assert!(
        one.add(ROOM, resent).unwrap().new,
        "an acknowledged write of an old epoch is kept"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let mut one = alone();
    let type_of = |name: &str| Some(name.parse::<ContentType>().unwrap());
    assert_eq!(one.add(ROOM, Append::default()), Err(Refusal::Empty));
    let unknown = Refusal::UnknownStream("log".parse().unwrap());
    assert_eq!(one.add("log", text("x")), Err(unknown));
    let plain = Append {
        content_type: type_of("text/plain"),
        ..text("x")
    };
    let refused = one.add(ROOM, plain);
    assert!(matches!(
        refused,
        Err(Refusal::Conflict(Conflict::ContentType { .. }))
    ));
    let seq = |seq: &str| Append {
        stream_seq: Some(seq.parse().unwrap()),
        ..text("x")
    };
    one.add(ROOM, seq("2")).unwrap();
    let last = "2".to_owned();
    assert_eq!(
        one.add(ROOM, seq("10")),
        Err(Conflict::StreamSeq { last }.into())
    );
    let big = text(&"x".repeat(1 << 20));
    assert!(matches!(one.add(ROOM, big), Err(Refusal::TooLarge { .. })));
    assert_eq!(
        one.read(ROOM, "9999999999999999_9999999999999999"),
        Err(Refusal::BeyondTail)
    );
}

#[test]
fn a_stream_made_anew_has_another_generation_and_the_old_cursor_is_gone() {
    let mut one = alone();
    let path = "log".parse().unwrap();
    let create = Create {
        content_type: None,
        payload: bytes::Bytes::from_static(b"first"),
        count: 1,
        request: Some("d.1".parse().unwrap()),
    };
    for (generation, new) in [(0, true), (0, true), (1, true)] {
        let ticket = one.ticket();
        let mut create = create.clone();
        if generation == 1 {
            create.request = Some("d.2".parse().unwrap());
            let delete = one.ticket();
            one.core.delete(one.now, delete, &path, None);
            one.sync();
            assert!(matches!(one.take(delete), Some(Ok(Answer::Deleted))));
            assert!(matches!(
                one.read("log", "-1"),
                Err(Refusal::UnknownStream(_))
            ));
        }
        one.core.create(one.now, ticket, &path, create);
        one.sync();
        let Some(Ok(Answer::Created(created))) = one.take(ticket) else {
            panic!("no answer");
        };
        assert_eq!((created.new, created.next.generation), (new, generation));
    }
    assert_eq!(one.read("log", "-1").unwrap().0, ["first"]);
    let gone = one.read("log", "0000000000000001_g0-a.1");
    assert!(matches!(
        gone,
        Err(Refusal::Gone {
            asked: 0,
            now: Some(1),
            ..
        })
    ));
}

#[test]
fn payloads_beyond_the_bound_are_given_up_to_the_log() {
    let mut small = settings("a", &[]);
    small.memory = 10;
    let mut one = One::new(small);
    one.add(ROOM, text("12345678")).unwrap();
    one.add(ROOM, text("abc")).unwrap();
    assert_eq!(one.read(ROOM, "-1").unwrap().0, ["@1", "\"abc\""]);
}

#[test]
fn an_empty_disk_without_peers_in_reach_waits() {
    let mut one = One::new(settings("a", &["b"]));
    one.core.peer_down(one.now, PeerIndex(0));
    one.now.since_start += Duration::from_secs(60);
    one.core.tick(one.now);
    one.run();
    assert!(!one.core.joined());
    let ticket = one.append(ROOM, text("x"));
    assert!(matches!(one.take(ticket), Some(Err(Refusal::NotReady(_)))));
}

#[test]
fn a_timer_that_has_come_is_not_due_again() {
    let mut one = One::new(settings("a", &["b"]));
    one.core.peer_down(one.now, PeerIndex(0));
    while let Some(timer) = one.core.next_timer() {
        assert!(
            timer > one.now.since_start,
            "{timer:?} at {:?}",
            one.now.since_start
        );
        one.now.since_start = timer;
        one.core.tick(one.now);
        one.run();
    }
    assert!(!one.core.joined());
}

#[test]
fn a_live_read_of_a_room_that_nobody_wrote_to_makes_none_and_gets_its_first_entry() {
    let mut one = alone();
    let follow = one.follow(ROOM, "-1").unwrap();
    let limits = ReadLimits::default();
    let step = one.core.step(one.now, &follow, limits).unwrap();
    assert!(step.reading.is_none() && one.core.rooms.is_empty());
    one.add(ROOM, text("x")).unwrap();
    let step = one.core.step(one.now, &step.follow, limits).unwrap();
    assert_eq!(step.reading.unwrap().entries.len(), 1);
}

#[test]
fn an_entry_wakes_its_readers_once() {
    let mut one = alone();
    one.append(ROOM, text("x"));
    assert_eq!(one.wakes, 0);
    one.sync();
    assert_eq!(one.wakes, 1);
}

#[test]
fn only_what_was_waited_for_in_vain_is_released_at_once() {
    let mut one = alone();
    let after = |name: &str| Append {
        min: Some(name.parse().unwrap()),
        ..text("x")
    };
    let ticket = one.append(ROOM, after("0000000000000900_g0-b.900"));
    assert!(one.take(ticket).is_none());
    one.now.since_start += Duration::from_secs(1);
    one.core.tick(one.now);
    one.sync();
    assert!(matches!(one.take(ticket), Some(Ok(Answer::Appended(a))) if a.released));
    assert!(
        one.add(ROOM, after("0000000000000900_g0-b.900"))
            .unwrap()
            .released
    );
    let ticket = one.append(ROOM, after("0000000000000007_g0-b.7"));
    one.sync();
    assert!(one.take(ticket).is_none(), "it may still come");
}
