//! The plugin on a network in memory, cut at every byte of every exchange.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use std::time::Duration;

use director_fetch::Fetch;
use director_fetch::wire::{Command, digest};
use director_sdk::Kind;
use director_sdk::testing::{Counts, Cut, Leftover, Wire, World, every_cut, every_poll, some_cuts};

/// Not [`Cut::Garbage`]: this protocol has no digest of a part, so a node that sends other bytes than
/// it promised is believed; the client finds out by the digest of the whole.
const SURVIVED: [Cut; 5] = [Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];

fn file(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// A node that has one file, `f`.
async fn serve(mut wire: Wire, file: Vec<u8>) {
    while let Ok(line) = wire.read_line().await {
        let answered = match Command::parse(line.as_bytes()) {
            Some(Command::Ping) => wire.write_all(b"PONG 3\r\n").await,
            Some(Command::Get { name, offset }) if name == "f" => {
                let head = format!("OK {} {}\r\n", file.len(), digest(&file));
                let rest = &file[offset as usize..];
                wire.write_all(&[head.as_bytes(), rest].concat()).await
            }
            Some(Command::Get { .. }) => wire.write_all(b"ERR 404 no such file\r\n").await,
            None => return,
        };
        if answered.is_err() {
            return;
        }
    }
}

fn mirrors(world: &World, files: &[&[u8]]) {
    world.start::<Fetch>("{}").unwrap();
    for (nth, file) in files.iter().enumerate() {
        let file = file.to_vec();
        world.node(&format!("mirror {nth}"), move |wire| {
            serve(wire, file.clone())
        });
    }
}

/// What a client gets that asks for all of `requests` at once, and its end.
fn transcript(world: &World, requests: &str) -> Result<Vec<u8>, String> {
    world.run(async {
        let mut client = world.connect();
        client.write_all(requests.as_bytes()).await.unwrap();
        client.close();
        client
            .read_to_end()
            .await
            .map_err(|error| error.to_string())
    })
}

fn whole(size: usize, offset: usize) -> Vec<u8> {
    let file = file(size);
    let head = format!("OK {size} {}\r\n", digest(&file));
    [head.as_bytes(), &file[offset..]].concat()
}

#[test]
fn a_download_is_the_file_from_its_offset() {
    let world = World::seeded(1);
    let file = file(5000);
    mirrors(&world, &[&file]);
    let got = transcript(&world, "GET f 0\r\nGET f 4990\r\nGET f 5000\r\nPING\r\n").unwrap();
    let expected = [
        whole(5000, 0),
        whole(5000, 4990),
        whole(5000, 5000),
        b"PONG 0\r\n".to_vec(),
    ];
    assert_eq!(got, expected.concat());
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn no_cut_at_any_byte_is_seen() {
    let file = file(300);
    let swept = every_cut(7, &SURVIVED, |world| {
        world.buffers(32, 32);
        mirrors(world, &[&file, &file, &file]);
        let got = transcript(world, "GET f 0\r\nGET f 120\r\n");
        assert_eq!(got, Ok([whole(300, 0), whole(300, 120)].concat()));
        got
    });
    println!("{swept:?}");
    assert!(swept.mid_answer > swept.runs / 2, "{swept:?}");
    assert!(swept.switches as usize > swept.runs / 2, "{swept:?}");
}

#[test]
fn no_cut_is_seen_through_small_buffers() {
    let file = file(1200);
    for (room, piece) in [(1, 1), (100, 7), (1024, 1024)] {
        let swept = some_cuts(11, &SURVIVED, 61, |world| {
            world.buffers(room, piece);
            mirrors(world, &[&file, &file]);
            transcript(world, "GET f 0\r\n")
        });
        assert!(swept.switches > 0, "{swept:?}");
    }
}

#[test]
fn no_death_between_two_awaits_is_seen_and_a_cancelled_session_leaves_nothing() {
    let file = file(900);
    let scenario = |world: &World| {
        world.buffers(64, 64);
        mirrors(world, &[&file, &file, &file]);
        transcript(world, "GET f 0\r\nGET f 1\r\n")
    };
    let swept = every_poll(3, scenario, |world| drop(scenario(world)));
    println!("{swept:?}");
    assert!(swept.mid_answer > 20, "{swept:?}");
}

#[test]
fn another_file_under_the_same_name_is_never_mixed_in() {
    // The first mirror dies in mid-file; the second has another file, the third the right one.
    let (right, mut wrong) = (file(2000), file(2000));
    wrong[5] ^= 1;
    let mut reset = 0;
    for seed in 0..40 {
        let world = World::seeded(seed);
        world.buffers(64, 64);
        mirrors(&world, &[&right, &wrong, &right]);
        let got = world.run(async {
            let mut client = world.connect();
            client.write_all(b"GET f 0\r\n").await.unwrap();
            let head = client.read_line().await.unwrap();
            let mut got = client.read_exact(1000).await.unwrap();
            world.kill("mirror 0");
            let rest = client.read_exact(1000).await;
            match rest {
                Ok(rest) => got.extend(rest),
                Err(_) => reset += 1,
            }
            drop(client);
            (head, got)
        });
        let (head, got) = got;
        let expected = if head.contains(&digest(&right)) {
            &right
        } else {
            &wrong
        };
        assert_eq!(got[..], expected[..got.len()], "seed {seed}");
        assert_eq!(got.len(), 2000, "seed {seed}: {}", world.story());
    }
    assert_eq!(reset, 0);
}

#[test]
fn a_promise_that_no_node_can_keep_ends_in_a_reset() {
    let world = World::seeded(5);
    world.buffers(64, 64);
    let (begun, other) = (file(2000), file(1999));
    mirrors(&world, &[&begun, &other]);
    world.declare_down("mirror 1");
    let end = world.run(async {
        let mut client = world.connect();
        client.write_all(b"GET f 0\r\n").await.unwrap();
        client.read_exact(500).await.unwrap();
        world.revive("mirror 1");
        world.kill("mirror 0");
        client.read_to_end().await.unwrap_err().kind()
    });
    assert_eq!(end, std::io::ErrorKind::ConnectionReset);
    assert_eq!(world.ended()[0].kind, Some(Kind::Exhausted));
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn what_no_node_has_is_answered_with_the_nodes_own_code() {
    let world = World::seeded(1);
    mirrors(&world, &[b"", b""]);
    let got = transcript(&world, "GET g 0\r\nnonsense\r\nPING\r\n").unwrap();
    let got = String::from_utf8(got).unwrap();
    let lines: Vec<&str> = got.lines().collect();
    assert!(lines[0].starts_with("ERR 404 exhausted 404"), "{got}");
    assert!(lines[0].contains("no such file"), "{got}");
    assert_eq!(lines[1..], ["ERR 400 not a request", "PONG 0"]);
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_line_without_end_ends_the_session_and_no_more() {
    let world = World::seeded(1);
    mirrors(&world, &[b"x"]);
    world.run(async {
        let mut client = world.connect();
        let _reset = client.write_all(&[b'x'; 100_000]).await;
        client.read_to_end().await.unwrap_err();
    });
    assert_eq!(world.ended()[0].kind, Some(Kind::ClientGone));
    assert_eq!(transcript(&world, "PING\r\n").unwrap(), b"PONG 0\r\n");
}

#[test]
fn a_slow_client_is_not_torn_from_its_download() {
    let file = file(3000);
    let mut switched = 0;
    for seed in 0..8 {
        let world = World::seeded(seed);
        world.buffers(256, 256);
        mirrors(&world, &[&file, &file]);
        world.run(async {
            let mut client = world.connect();
            client.write_all(b"GET f 0\r\n").await.unwrap();
            let head = client.read_line().await.unwrap();
            assert!(head.starts_with("OK 3000"));
            let mut got = client.read_exact(100).await.unwrap();
            // One of them is held for dead, and the client takes a minute to go on.
            world.declare_down("mirror 0");
            world.sleep(Duration::from_secs(60)).await;
            got.extend(client.read_exact(2900).await.unwrap());
            assert_eq!(got, file, "seed {seed}");
        });
        switched += world.switches();
        assert_eq!(world.finish(), Leftover::default());
    }
    assert!(switched > 0, "it was never the one in use");
}

#[test]
fn a_probe_tells_the_load_and_a_watch_keeps_telling() {
    let world = World::seeded(1);
    mirrors(&world, &[b""]);
    assert_eq!(world.probe("mirror 0").load, 3.0);
    world.watch("mirror 0");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.load("mirror 0"), Some(3.0));
    world.kill("mirror 0");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.ended().last().unwrap().kind, Some(Kind::Lost));
    assert_eq!(world.counts().streams, Counts::default().streams);
}

#[test]
fn a_bad_option_is_told_by_its_path() {
    let mistakes = |options: &str| {
        let world = World::seeded(1);
        world.start::<Fetch>(options).unwrap_err()[0].to_string()
    };
    assert!(mistakes(r#"{"line_limit": 3}"#).starts_with("line_limit: found 3, too short"));
    assert!(mistakes(r#"{"idle_seconds": 0}"#).starts_with("idle_seconds: found 0"));
    let both = World::seeded(1).start::<Fetch>(r#"{"line_limit": 3, "idle_seconds": 0}"#);
    assert_eq!(both.unwrap_err().len(), 2);
    assert!(mistakes(r#"{"line_limit": "x"}"#).starts_with("line_limit: invalid type"));
    assert!(mistakes(r#"{"lime": 1}"#).starts_with("lime: unknown field"));
}

#[test]
fn a_client_that_says_nothing_is_let_go_and_so_is_everyone_at_a_stop() {
    let world = World::seeded(1);
    mirrors(&world, &[b"x"]);
    let rest = world.run(async {
        let mut idle = world.connect();
        let began = world.now();
        assert_eq!(idle.read_to_end().await.unwrap(), b"");
        assert_eq!(world.now() - began, Duration::from_secs(300));
        let mut other = world.connect();
        world.sleep(Duration::from_secs(1)).await;
        world.stop();
        other.read_to_end().await.unwrap()
    });
    assert_eq!(rest, b"");
    assert_eq!(world.finish(), Leftover::default());
}
