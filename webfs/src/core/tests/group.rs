//! Two servers and a link between them, step by step.

use super::*;
use crate::letter::Name;
use crate::server::{Conflict, Create, NotReady};
use crate::stream::Producer;

const ROOM: &str = "rooms/lobby";
const OTHER: PeerIndex = PeerIndex(0);

/// Two servers that are each other's only peer.
struct Pair {
    servers: [One; 2],
}

impl Pair {
    fn new() -> Self {
        Self::of(["a", "b"].map(|id| {
            let peer = if id == "a" { "b" } else { "a" };
            One::new(settings(id, &[peer]))
        }))
    }

    /// Connects them and lets them talk until both are silent.
    fn of(servers: [One; 2]) -> Self {
        let mut pair = Self { servers };
        pair.connect();
        pair
    }

    fn connect(&mut self) {
        let hellos = [0, 1].map(|one| self.servers[one].core.hello());
        for (one, hello) in hellos.into_iter().rev().enumerate() {
            let at = &mut self.servers[one];
            at.core.peer_up(at.now, OTHER, hello);
        }
        self.talk();
    }

    fn part(&mut self) {
        for at in &mut self.servers {
            at.core.peer_down(at.now, OTHER);
            at.sent.clear();
            at.run();
        }
    }

    /// Delivers what is sent, both ways; nobody syncs.
    fn talk(&mut self) {
        loop {
            self.servers.iter_mut().for_each(One::run);
            let [one, two] = &mut self.servers;
            if one.sent.is_empty() && two.sent.is_empty() {
                return;
            }
            Self::carry(one, two);
            Self::carry(two, one);
        }
    }

    fn carry(from: &mut One, to: &mut One) {
        for (_, message) in std::mem::take(&mut from.sent) {
            to.core.peer_message(to.now, OTHER, message);
            from.core.peer_drained(from.now, OTHER);
        }
    }

    fn settle(&mut self) {
        for _ in 0..6 {
            self.servers.iter_mut().for_each(One::sync);
            self.talk();
        }
    }

    /// Lets time pass at both.
    fn pass(&mut self, millis: u64) {
        for at in &mut self.servers {
            at.now.since_start += Duration::from_millis(millis);
            at.core.tick(at.now);
        }
        self.talk();
    }

    fn texts(&mut self, one: usize) -> Vec<String> {
        self.servers[one].read(ROOM, "-1").unwrap().0
    }

    /// Ends a server and starts it with what is left of its log.
    fn restart(self, one: usize, keep: usize, identity: bool) -> Self {
        let mut servers = self.servers;
        servers.iter_mut().for_each(|at| at.sent.clear());
        let now = servers[one].now;
        let mut log = std::mem::take(&mut servers[one].log);
        log.truncate(keep);
        let recovered = Recovered {
            identity: servers[one].stored.filter(|_| identity),
            damaged: false,
        };
        let settings = servers[one].core.settings.clone();
        servers[one] = One::with(settings, log, recovered);
        servers[one].now = now;
        Self { servers }
    }
}

fn took(answer: Option<Result<Answer, Refusal>>) -> Appended {
    match answer {
        Some(Ok(Answer::Appended(appended))) => appended,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_entry_after_a_quiet_time_goes_at_once_and_the_next_with_the_interval() {
    let mut pair = Pair::new();
    pair.servers[0].add(ROOM, text("one")).unwrap();
    pair.talk();
    assert_eq!(pair.texts(1), ["\"one\""]);
    pair.servers[0].add(ROOM, text("two")).unwrap();
    pair.talk();
    assert_eq!(pair.texts(1), ["\"one\""]);
    pair.pass(299);
    assert_eq!(pair.texts(1).len(), 1);
    pair.pass(1);
    assert_eq!(pair.texts(1), ["\"one\"", "\"two\""]);
}

#[test]
fn stable_is_what_two_have_synced() {
    let mut pair = Pair::new();
    let added = pair.servers[0].add(ROOM, text("one")).unwrap();
    assert!(added.stable.cut.is_empty());
    pair.talk();
    let path = ROOM.parse().unwrap();
    assert!(pair.servers[1].core.stable(&path).unwrap().cut.is_empty());
    pair.settle();
    for at in &pair.servers {
        assert_eq!(at.core.stable(&path).unwrap(), added.next);
    }
}

#[test]
fn a_write_waits_for_what_its_writer_saw_and_is_released_after_a_second() {
    let mut pair = Pair::new();
    let question = pair.servers[0].add(ROOM, text("question")).unwrap();
    pair.part();
    let answer = Append {
        min: Some(question.next),
        ..text("answer")
    };
    let ticket = pair.servers[1].append(ROOM, answer.clone());
    pair.servers[1].sync();
    assert!(pair.servers[1].take(ticket).is_none());
    pair.connect();
    pair.settle();
    assert!(!took(pair.servers[1].take(ticket)).released);
    assert_eq!(pair.texts(1), ["\"question\"", "\"answer\""]);

    let lost = Append {
        min: Some("0000000000000009_g0-a.9".parse().unwrap()),
        ..text("late")
    };
    pair.part();
    let ticket = pair.servers[1].append(ROOM, lost);
    pair.servers[1].now.since_start += Duration::from_millis(999);
    let now = pair.servers[1].now;
    pair.servers[1].core.tick(now);
    pair.servers[1].sync();
    assert!(pair.servers[1].take(ticket).is_none());
    pair.pass(1);
    pair.servers[1].sync();
    assert!(took(pair.servers[1].take(ticket)).released);
}

#[test]
fn a_gap_is_a_conflict_only_when_every_member_was_asked() {
    let mut pair = Pair::new();
    let by = |seq| Append {
        producer: Some(Producer {
            id: "p".parse().unwrap(),
            epoch: 0,
            seq,
        }),
        ..text("x")
    };
    pair.part();
    pair.servers[0].add(ROOM, by(0)).unwrap();
    let gap = NotReady::ProducerGap { expected: 0 };
    assert_eq!(pair.servers[1].add(ROOM, by(1)), Err(gap.into()));
    pair.connect();
    let ticket = pair.servers[1].append(ROOM, by(1));
    pair.settle();
    assert!(took(pair.servers[1].take(ticket)).new);
    let ticket = pair.servers[1].append(ROOM, by(7));
    pair.talk();
    let gap = Conflict::ProducerGap {
        expected: 2,
        received: 7,
    };
    assert_eq!(
        pair.servers[1].take(ticket).unwrap().unwrap_err(),
        gap.into()
    );
}

#[test]
fn a_write_resent_elsewhere_is_one_message_with_two_names() {
    let mut pair = Pair::new();
    pair.part();
    let asked = Append {
        request: Some("d.1".parse().unwrap()),
        ..text("once")
    };
    let first = pair.servers[0].add(ROOM, asked.clone()).unwrap();
    let second = pair.servers[1]
        .add(
            ROOM,
            Append {
                was: vec![first.entry],
                ..asked
            },
        )
        .unwrap();
    assert_ne!(first.entry, second.entry);
    pair.connect();
    pair.settle();
    pair.pass(300);
    for one in [0, 1] {
        assert_eq!(pair.texts(one), ["\"once\""]);
        for seen in [&first.next, &second.next] {
            let (texts, _) = pair.servers[one].read(ROOM, &seen.to_string()).unwrap();
            assert!(texts.is_empty(), "{one} {seen}");
        }
    }
}

#[test]
fn a_reader_that_has_seen_more_is_never_told_that_there_is_nothing() {
    let mut pair = Pair::new();
    let added = pair.servers[0].add(ROOM, text("one")).unwrap();
    pair.part();
    let at = &mut pair.servers[1];
    let behind = at.read(ROOM, &added.next.to_string());
    let cursor = added.next.clone();
    assert_eq!(behind, Err(NotReady::Behind { cursor }.into()));
    let follow = at.follow(ROOM, &added.next.to_string()).unwrap();
    assert!(!follow.up_to_date());
    pair.connect();
    pair.settle();
    let at = &mut pair.servers[1];
    let step = at
        .core
        .step(at.now, &follow, ReadLimits::default())
        .unwrap();
    assert!(step.reading.is_none() && step.follow.up_to_date());
}

#[test]
fn a_server_that_lost_its_disk_fetches_its_entries_and_takes_the_next_letter() {
    let mut pair = Pair::new();
    pair.servers[0].add(ROOM, text("one")).unwrap();
    pair.settle();
    pair.part();
    let mut pair = pair.restart(0, 0, false);
    assert!(!pair.servers[0].core.joined());
    pair.connect();
    assert_eq!(pair.servers[0].stored.unwrap().to_string(), "a1/1");
    assert_eq!(pair.texts(0), ["\"one\""]);
    let added = pair.servers[0].add(ROOM, text("two")).unwrap();
    assert_eq!(added.next.to_string(), "0000000000065536_g0-a1.65536");
    pair.settle();
    let (texts, _) = pair.servers[1].read(ROOM, &added.next.to_string()).unwrap();
    assert!(texts.is_empty());
    let (texts, _) = pair.servers[1]
        .read(ROOM, "0000000000000001_g0-a.1")
        .unwrap();
    assert_eq!(texts, ["\"two\""]);
}

#[test]
fn an_entry_inside_a_hole_is_logged_again_by_whoever_holds_it() {
    let mut pair = Pair::new();
    pair.servers[0].add(ROOM, text("one")).unwrap();
    pair.settle();
    pair.part();
    // The disk forgets it, nobody who knows is in reach, and the server goes on.
    let mut pair = pair.restart(0, 0, true);
    let now = pair.servers[0].now;
    pair.servers[0].core.peer_down(now, OTHER);
    pair.servers[0].run();
    let added = pair.servers[0].add(ROOM, text("two")).unwrap();
    assert_eq!(added.entry.to_string(), "a.65536");
    pair.connect();
    pair.settle();
    pair.pass(300);
    pair.settle();
    for one in [0, 1] {
        let mut texts = pair.texts(one);
        texts.sort();
        assert_eq!(texts, ["\"one\"", "\"two\""]);
        let (texts, _) = pair.servers[one]
            .read(ROOM, &added.next.to_string())
            .unwrap();
        assert_eq!(
            texts,
            ["\"one\""],
            "to a reader that passed the hole, at {one}"
        );
    }
    let was: Vec<Name> = pair.servers[0].log.last().unwrap().was.clone();
    assert_eq!(was, ["a.1".parse().unwrap()]);
}

#[test]
fn a_create_is_at_the_peer_before_it_is_answered() {
    let mut pair = Pair::new();
    pair.servers[0].add(ROOM, text("just shipped")).unwrap();
    pair.talk();
    let create = Create {
        content_type: None,
        payload: bytes::Bytes::new(),
        count: 0,
        request: None,
    };
    let (path, ticket) = ("log".parse().unwrap(), pair.servers[0].ticket());
    let now = pair.servers[0].now;
    pair.servers[0].core.create(now, ticket, &path, create);
    pair.servers[0].sync();
    assert!(pair.servers[0].take(ticket).is_none());
    pair.talk();
    assert!(
        pair.servers[0].take(ticket).is_none(),
        "not durable there yet"
    );
    pair.servers[1].sync();
    pair.talk();
    assert!(matches!(
        pair.servers[0].take(ticket),
        Some(Ok(Answer::Created(_)))
    ));
    assert!(pair.servers[1].read("log", "-1").is_ok());
}

#[test]
fn a_second_server_with_the_same_id_is_fatal_and_oneself_is_not() {
    let mut one = One::new(settings("a", &["b"]));
    let mut hello = one.core.hello();
    one.core.peer_up(one.now, OTHER, hello.clone());
    one.run();
    assert!(one.core.joined(), "the only peer is itself");
    hello.session += 1;
    hello.fresh = true;
    one.core.peer_up(one.now, OTHER, hello.clone());
    let outputs = one.core.outputs();
    assert!(
        matches!(outputs[..], [Output::Disconnect { .. }]),
        "a newcomer ends by itself"
    );
    hello.fresh = false;
    one.core.peer_up(one.now, OTHER, hello);
    let fatal = |output: &Output| matches!(output, Output::Fatal(crate::server::Fatal::SameId(_)));
    assert!(one.core.outputs().iter().any(fatal));
}

#[test]
fn what_the_disk_had_behind_damage_is_logged_again() {
    let mut one = One::new(settings("a", &[]));
    for said in ["one", "two", "three"] {
        one.add(ROOM, text(said)).unwrap();
    }
    let mut log = one.log;
    log.remove(1);
    let recovered = Recovered {
        identity: one.stored,
        damaged: true,
    };
    let mut one = One::with(settings("a", &[]), log, recovered);
    one.sync();
    assert_eq!(one.stored.unwrap().to_string(), "a1/1");
    assert_eq!(one.read(ROOM, "-1").unwrap().0, ["\"one\"", "\"three\""]);
    assert_eq!(one.log.last().unwrap().was, ["a.3".parse().unwrap()]);
}

#[test]
fn a_deletion_ends_the_generation_everywhere_with_what_was_written_elsewhere_meanwhile() {
    let mut pair = Pair::new();
    let first = pair.servers[0].add(ROOM, text("old")).unwrap();
    pair.settle();
    pair.part();
    pair.servers[1].add(ROOM, text("meanwhile")).unwrap();
    let (path, ticket) = (ROOM.parse().unwrap(), pair.servers[0].ticket());
    let now = pair.servers[0].now;
    let request = Some("d.5".parse().unwrap());
    pair.servers[0]
        .core
        .delete(now, ticket, &path, request.clone());
    pair.servers[0].sync();
    assert!(matches!(
        pair.servers[0].take(ticket),
        Some(Ok(Answer::Deleted))
    ));
    let new = pair.servers[0].add(ROOM, text("new")).unwrap();
    assert_eq!(new.next.generation, 1);
    pair.connect();
    pair.settle();
    for one in [0, 1] {
        assert_eq!(pair.texts(one), ["\"new\""]);
        let gone = pair.servers[one].read(ROOM, &first.next.to_string());
        assert!(
            matches!(
                gone,
                Err(Refusal::Gone {
                    asked: 0,
                    now: Some(1),
                    ..
                })
            ),
            "{one}"
        );
    }
    let ticket = pair.servers[1].ticket();
    pair.servers[1].core.delete(now, ticket, &path, request);
    pair.servers[1].run();
    assert!(matches!(
        pair.servers[1].take(ticket),
        Some(Ok(Answer::Deleted))
    ));
    assert_eq!(pair.texts(1), ["\"new\""], "a repeat deletes nothing more");
}
