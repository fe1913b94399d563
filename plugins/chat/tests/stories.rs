//! What happens to messages when servers die and come back: one story a test.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::collections::BTreeSet;
use std::time::Duration;

use director_sdk::testing::{Counts, World};
use model::client::Client;
use model::group::SERVERS;
use serde_json::{Value, json};

/// Which server serves what is not to be seen from outside, so each is hurt in turn, over some seeds.
fn each_server_and_seed(story: impl Fn(&World, usize)) {
    for seed in 0..8 {
        for at in 0..SERVERS.len() {
            let world = World::seeded(seed);
            story(&world, at);
            let left = world.finish();
            assert_eq!(left.counts, Counts::default(), "seed {seed}, server {at}");
        }
    }
}

fn is_each_once(seen: &[Value], expected: usize) -> Result<(), String> {
    let distinct: BTreeSet<String> = seen.iter().map(Value::to_string).collect();
    match distinct.len() == seen.len() && seen.len() == expected {
        true => Ok(()),
        false => Err(format!("{expected} expected: {seen:?}")),
    }
}

#[test]
fn acknowledged_before_a_death_is_read_after_it() {
    each_server_and_seed(|world, at| {
        model::start(world, "{}");
        let history = world.run(async {
            let mut client = Client::new(world);
            for n in 0..6 {
                assert_eq!(client.append(&format!(r#"{{"n":{n}}}"#)).await.status, 204);
            }
            // Nothing has been replicated yet but what requests asked for.
            world.kill(SERVERS[at]);
            world.sleep(Duration::from_millis(500)).await;
            client.history().await
        });
        let expected: Vec<Value> = (0..6).map(|n| json!({ "n": n })).collect();
        assert_eq!(history, expected);
    });
}

#[test]
fn without_the_outbox_something_is_lost() {
    let mut lost = 0;
    for seed in 0..8 {
        for server in SERVERS {
            let world = World::seeded(seed);
            model::start(&world, r#"{"without": ["outbox"]}"#);
            let history = world.run(async {
                let mut client = Client::new(&world);
                client.append(r#"{"n":0}"#).await;
                world.kill(server);
                world.sleep(Duration::from_millis(500)).await;
                client.history().await
            });
            lost += usize::from(history.is_empty());
        }
    }
    assert!(lost > 0, "the outbox is for nothing");
}

/// A server takes a write, shows it to its readers and dies without an answer. Its writer sends it again to
/// another; that server comes back with its disk, and the readers move to it.
fn lost_acknowledgement(world: &World, at: usize, options: &str) -> Vec<Vec<Value>> {
    let (group, faults) = model::start(world, options);
    group.borrow_mut().without_names = options.contains("names");
    world.run(async {
        let mut writer = Client::new(world);
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(Client::live(world, "-1").await);
        }
        let mut seen: Vec<Vec<Value>> = vec![Vec::new(); readers.len()];
        writer.append(r#"{"n":0}"#).await;
        for (reader, seen) in readers.iter_mut().zip(&mut seen) {
            seen.extend(reader.messages(1).await);
        }
        faults.borrow_mut().dies_before_answer = Some(at);
        for n in 1..4 {
            assert_eq!(writer.append(&format!(r#"{{"n":{n}}}"#)).await.status, 204);
            world.sleep(Duration::from_millis(5)).await;
        }
        world.kill(SERVERS[at]);
        world.sleep(Duration::from_millis(700)).await;
        group.borrow_mut().restart(at, false);
        world.revive(SERVERS[at]);
        world.watch(SERVERS[at]);
        world.sleep(Duration::from_millis(700)).await;
        // The others die: all readers have to move back.
        for (other, name) in SERVERS.iter().enumerate() {
            if other != at {
                world.kill(name);
                world.sleep(Duration::from_millis(300)).await;
            }
        }
        writer.append(r#"{"n":4}"#).await;
        for (reader, seen) in readers.iter_mut().zip(&mut seen) {
            while seen.last() != Some(&json!({"n": 4})) {
                seen.extend(reader.unit().await);
            }
        }
        seen
    })
}

#[test]
fn a_write_whose_acknowledgement_was_lost_is_shown_once() {
    each_server_and_seed(|world, at| {
        for seen in lost_acknowledgement(world, at, "{}") {
            is_each_once(&seen, 5).unwrap_or_else(|why| panic!("{why}\n{}", world.story()));
        }
    });
}

#[test]
fn without_names_something_is_shown_twice() {
    let mut twice = 0;
    for seed in 0..2 {
        for at in 0..SERVERS.len() {
            let world = World::seeded(seed);
            let all = lost_acknowledgement(&world, at, r#"{"without": ["names"]}"#);
            twice += all
                .iter()
                .filter(|seen| is_each_once(seen, 5).is_err())
                .count();
        }
    }
    assert!(twice > 0, "names are for nothing");
}

#[test]
fn a_server_that_comes_back_empty_takes_nothing_with_it() {
    each_server_and_seed(|world, at| {
        let (group, _) = model::start(world, "{}");
        let (history, live) = world.run(async {
            let mut client = Client::new(world);
            let mut reader = Client::live(world, "-1").await;
            let mut live = Vec::new();
            for n in 0..4 {
                client.append(&format!(r#"{{"n":{n}}}"#)).await;
            }
            world.kill(SERVERS[at]);
            group.borrow_mut().restart(at, true);
            world.revive(SERVERS[at]);
            world.watch(SERVERS[at]);
            world.sleep(Duration::from_millis(50)).await;
            for n in 4..8 {
                client.append(&format!(r#"{{"n":{n}}}"#)).await;
            }
            world.sleep(Duration::from_secs(1)).await;
            while live.len() < 8 {
                live.extend(reader.unit().await);
            }
            (client.history().await, live)
        });
        is_each_once(&history, 8).unwrap();
        is_each_once(&live, 8).unwrap();
    });
}

#[test]
fn one_writers_order_and_answers_after_questions_survive_deaths() {
    each_server_and_seed(|world, at| {
        let (group, _) = model::start(world, "{}");
        let (seen, other) = world.run(async {
            let mut ann = Client::new(world);
            let mut bob = Client::new(world);
            let mut reader = Client::live(world, "-1").await;
            let mut other = Client::live(world, "-1").await;
            let (mut seen, mut others) = (Vec::new(), Vec::new());
            for n in 0..12 {
                let writer = if n % 2 == 0 { &mut ann } else { &mut bob };
                if n == 5 {
                    world.kill(SERVERS[at]);
                }
                writer.append(&format!(r#"{{"n":{n}}}"#)).await;
                // Each answers what it has seen.
                while seen.len() <= n {
                    seen.extend(reader.unit().await);
                }
            }
            while others.len() < 12 {
                others.extend(other.unit().await);
            }
            (seen, others)
        });
        let expected: Vec<Value> = (0..12).map(|n| json!({ "n": n })).collect();
        assert_eq!(group.borrow().released, 0);
        assert_eq!(seen, expected);
        assert_eq!(other, expected);
    });
}

#[test]
fn a_silent_death_is_noticed_by_the_beat() {
    let world = World::seeded(4);
    model::start(&world, "{}");
    let waited = world.run(async {
        let mut reader = Client::live(&world, "-1").await;
        let mut writer = Client::new(&world);
        writer.append(r#"{"n":0}"#).await;
        reader.messages(1).await;
        let mut longest = Duration::ZERO;
        for (n, name) in SERVERS.iter().take(2).enumerate() {
            let since = world.now();
            world.silence(name);
            writer.append(&format!(r#"{{"n":{}}}"#, n + 1)).await;
            reader.messages(1).await;
            longest = longest.max(world.now() - since);
        }
        longest
    });
    assert!(waited <= Duration::from_secs(1), "{waited:?}");
}

#[test]
fn busy_servers_are_asked_again_and_the_last_refusal_is_the_clients() {
    let world = World::seeded(1);
    let (_, faults) = model::start(&world, "{}");
    let (first, second) = world.run(async {
        let mut client = Client::new(&world);
        faults.borrow_mut().busy = 2;
        let first = client.append("1").await;
        faults.borrow_mut().busy = usize::MAX;
        let second = client.append("2").await;
        (first, second)
    });
    assert_eq!(first.status, 204);
    assert_eq!(
        (second.status, second.body.as_str()),
        (503, "too many writes")
    );
    assert_eq!(second.headers["retry-after"], "1");
}

#[test]
fn garbage_instead_of_a_control_event_drops_the_data_event() {
    each_server_and_seed(|world, _| {
        let (_, faults) = model::start(world, "{}");
        let seen = world.run(async {
            let mut writer = Client::new(world);
            let mut reader = Client::live(world, "-1").await;
            let mut seen = Vec::new();
            for n in 0..4 {
                faults.borrow_mut().garbage_after_data = n % 2 == 1;
                writer.append(&format!(r#"{{"n":{n}}}"#)).await;
                while seen.len() <= n {
                    seen.extend(reader.unit().await);
                }
            }
            seen
        });
        let expected: Vec<Value> = (0..4).map(|n| json!({ "n": n })).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn with_no_node_left_the_client_hears_so_and_whether_it_may_have_happened() {
    let world = World::seeded(1);
    let (_, faults) = model::start(&world, "{}");
    let (unknown, not_done) = world.run(async {
        let mut client = Client::new(&world);
        faults.borrow_mut().dies_before_answer = Some(0);
        world.kill("b");
        world.kill("c");
        client.send("POST /v1/stream/rooms/x", "1").await;
        world.sleep(Duration::from_millis(20)).await;
        world.kill("a");
        let unknown = client.answer().await;
        let not_done = client.ask("POST /v1/stream/rooms/x", "2").await;
        (unknown, not_done)
    });
    assert_eq!(unknown.status, 502, "{unknown:?}");
    assert!(
        unknown.body.contains(r#""outcome":"unknown""#),
        "{unknown:?}"
    );
    assert!(!unknown.headers.contains_key("retry-after"));
    assert_eq!(not_done.status, 503, "{not_done:?}");
    assert!(
        not_done.body.contains(r#""outcome":"not done""#),
        "{not_done:?}"
    );
    assert!(not_done.headers.contains_key("retry-after"));
}

#[test]
fn what_no_node_has_is_404_and_other_paths_are_forwarded() {
    let world = World::seeded(1);
    model::start(&world, "{}");
    world.run(async {
        let mut client = Client::new(&world);
        let deleted = client.ask("DELETE /v1/stream/none", "").await;
        assert_eq!(
            (deleted.status, deleted.body.as_str()),
            (404, "there is no such stream")
        );
        let page = client.ask("GET /", "").await;
        assert_eq!((page.status, page.body.as_str()), (200, "<p>page"));
        for path in ["/.well-known/webfs/watch", "/.well-known/webfs/peer"] {
            assert_eq!(client.ask(&format!("GET {path}"), "").await.status, 404);
        }
        assert_eq!(client.ask("PATCH /v1/stream/x", "").await.status, 405);
        let far = "GET /v1/stream/rooms/x?offset=9999999999999999_g0-a.9999999999999999";
        assert_eq!(client.ask(far, "").await.status, 400);
        assert_eq!(client.ask("GET /v1/stream/a/../b", "").await.status, 400);
        let bad = client
            .ask(
                "GET /v1/stream/x HTTP/1.1\r\nStream-Min-Offset: 7\r\nX: y",
                "",
            )
            .await;
        assert_eq!(bad.status, 400);
    });
}

#[test]
fn a_body_over_the_bound_is_413_and_a_slow_one_408() {
    let world = World::seeded(1);
    model::start(&world, r#"{"max_body": 100, "client_timeout": 5}"#);
    world.run(async {
        let mut client = Client::new(&world);
        let long = "x".repeat(101);
        assert_eq!(client.append(&long).await.status, 413);
        let mut client = Client::new(&world);
        let head =
            "POST /v1/stream/rooms/x HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.0.write_all(head.as_bytes()).await.unwrap();
        client
            .0
            .write_all(format!("65\r\n{long}\r\n0\r\n\r\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(client.head().await.0, 413);
        let mut client = Client::new(&world);
        let head = "POST /v1/stream/rooms/x HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\n1";
        client.0.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.0, 408);
    });
}

#[test]
fn options_are_checked_all_at_once() {
    let world = World::seeded(1);
    let mistakes = world
        .start::<director_chat::Chat>(r#"{"max_body": 0, "keep_alive": 40}"#)
        .unwrap_err();
    let paths: Vec<&str> = mistakes
        .iter()
        .map(|mistake| mistake.path.as_str())
        .collect();
    assert_eq!(paths, ["max_body", "keep_alive"]);
}

#[test]
fn a_quiet_live_read_gets_a_comment_and_only_then() {
    let world = World::seeded(1);
    model::start(&world, r#"{"keep_alive": 10, "client_timeout": 600}"#);
    world.run(async {
        let mut writer = Client::new(&world);
        let mut reader = Client::live(&world, "-1").await;
        reader.unit().await;
        world.sleep(Duration::from_secs(8)).await;
        writer.append("1").await;
        assert_eq!(reader.unit().await, [json!(1)]);
        let since = world.now();
        assert_eq!(reader.event().await, ":");
        let waited = world.now() - since;
        let (least, most) = (Duration::from_millis(9_900), Duration::from_millis(10_100));
        assert!(waited > least && waited < most, "{waited:?}");
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up_and_holds_no_memory() {
    let world = World::seeded(1);
    world.buffers(64, 64);
    model::start(&world, r#"{"client_timeout": 10}"#);
    world.run(async {
        let mut reader = Client::new(&world);
        let head = "GET /v1/stream/rooms/x?offset=-1&live=sse";
        reader.send(head, "").await;
        for n in 0..20 {
            let mut writer = Client::new(&world);
            writer.append(&format!(r#"{{"n":{n}}}"#)).await;
        }
        world.sleep(Duration::from_secs(30)).await;
        let late = world.ended();
        let late = late
            .iter()
            .filter(|ended| ended.detail.contains("took nothing"));
        assert_eq!(late.count(), 1, "{}", world.story());
    });
}
