//! What a client says while a transfer runs, and clients that say much and read nothing.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::time::Duration;

use director_sdk::Kind;
use director_sdk::testing::{What, Wire, World};
use futures_util::future::{Either, select};

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content};

/// A minute's worth of a file at [`RATE`].
const SIZE: usize = 60_000;
const RATE: u64 = 1000;

fn slow() -> (World, Cluster) {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, SIZE), BEGUN);
    let settings = Settings {
        rate: RATE,
        ..Settings::of(Style::Vsftpd)
    };
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[settings.clone(), settings], tree);
    cluster.start(&world, "{}");
    (world, cluster)
}

/// A client with a download under way, its mark read.
async fn downloading(world: &World) -> (Client, Wire) {
    let mut client = Client::logged_in(world).await;
    let reply = client.ask("EPSV").await;
    let port: u16 = reply.text.split('|').nth(3).unwrap().parse().unwrap();
    let data = client.control.connect(port).await.unwrap();
    assert_eq!(client.ask("RETR /pub/file.bin").await.code, 150);
    (client, data)
}

fn finish(world: World) {
    let left = world.finish();
    assert_eq!(
        (left.left_behind, left.cancelled, left.panics),
        (0, 0, 0),
        "{left:?}"
    );
}

/// Whether `work` ends within so many seconds of the world's.
async fn within(world: &World, seconds: u64, work: impl Future) -> bool {
    let sleep = world.sleep(Duration::from_secs(seconds));
    match select(std::pin::pin!(work), std::pin::pin!(sleep)).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    }
}

fn sent_away(world: &World) -> bool {
    let ended = world.ended();
    ended
        .iter()
        .any(|ended| ended.what == What::Session && ended.kind == Some(Kind::ClientGone))
}

#[test]
fn abor_is_heard_however_it_is_written() {
    for abor in [
        &b"ABOR\r\n"[..],
        b"ABOR \r\n",
        b"abor\n",
        b"\xff\xf4\xff\xf2ABOR\r\n",
        b"NOOP\r\nABOR\r\n",
    ] {
        let (world, _cluster) = slow();
        world.run(async {
            let (mut client, mut data) = downloading(&world).await;
            data.read_exact(100).await.unwrap();
            client.send(abor).await;
            let before = world.now();
            let mut codes = vec![client.reply().await.code, client.reply().await.code];
            if abor.starts_with(b"NOOP") {
                codes.push(client.reply().await.code);
                assert_eq!(codes, [426, 200, 226]);
            } else {
                assert_eq!(codes, [426, 226], "{abor:?}");
            }
            assert!(world.now() - before < Duration::from_secs(5), "{abor:?}");
            assert_eq!(client.ask("PWD").await.code, 257);
            client.quit().await;
        });
        finish(world);
    }
}

#[test]
fn stat_is_answered_at_once_and_with_a_path_in_its_turn() {
    let (world, _cluster) = slow();
    world.run(async {
        let (mut client, mut data) = downloading(&world).await;
        let before = world.now();
        for stat in ["STAT", "STAT ", "stat"] {
            assert_eq!(client.ask(stat).await.code, 213, "{stat:?}");
        }
        assert!(world.now() - before < Duration::from_secs(1));
        client.send(b"STAT /pub\r\nPWD\r\n").await;
        assert_eq!(data.read_to_end().await.unwrap().len(), SIZE);
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(client.reply().await.code);
        }
        assert_eq!(codes[0], 226);
        assert_eq!(codes[2], 257);
        client.quit().await;
    });
    finish(world);
}

#[test]
fn stat_is_not_answered_before_the_transfer_that_was_asked_for_before_it() {
    for (command, codes) in [
        ("RETR /pub/file.bin", [150, 226, 211]),
        ("STOR /pub/new.bin", [150, 226, 211]),
        ("RETR /pub/none", [550, 211, 200]),
        ("LIST", [150, 226, 211]),
    ] {
        let (world, _cluster) = slow();
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let reply = client.ask("EPSV").await;
            let port: u16 = reply.text.split('|').nth(3).unwrap().parse().unwrap();
            client
                .send(format!("{command}\r\nSTAT\r\nNOOP\r\n").as_bytes())
                .await;
            world.sleep(Duration::from_secs(1)).await;
            let mut data = client.control.connect(port).await.unwrap();
            if command.starts_with("STOR") {
                data.close();
            } else {
                data.read_to_end().await.unwrap();
            }
            for code in codes {
                assert_eq!(client.reply().await.code, code, "{command}");
            }
        });
        finish(world);
    }
}

#[test]
fn who_takes_leave_in_mid_transfer_still_gets_the_file() {
    for quit in ["QUIT\r\n", "QUIT now\r\n", "quit \r\n"] {
        let (world, _cluster) = slow();
        world.run(async {
            let (mut client, mut data) = downloading(&world).await;
            client.send(quit.as_bytes()).await;
            client.control.close();
            assert_eq!(data.read_to_end().await.unwrap(), content(1, SIZE));
            assert_eq!(client.reply().await.code, 226);
            assert_eq!(client.reply().await.code, 221);
            assert_eq!(client.control.read_to_end().await.unwrap(), b"");
        });
        finish(world);
    }
}

#[test]
fn commands_sent_in_mid_transfer_wait_and_only_so_many_are_read() {
    let (world, _cluster) = slow();
    world.run(async {
        let (mut client, mut data) = downloading(&world).await;
        client.send(&b"PWD\r\n".repeat(500)).await;
        assert_eq!(data.read_to_end().await.unwrap().len(), SIZE);
        assert_eq!(client.reply().await.code, 226);
        for _ in 0..500 {
            assert_eq!(client.reply().await.code, 257);
        }
        client.quit().await;
    });
    finish(world);
}

#[test]
fn abor_is_heard_of_a_client_that_does_not_read() {
    let (world, _cluster) = slow();
    // So little room that the first replies to STAT fill it.
    world.buffers(512, 512);
    world.run(async {
        let (mut client, mut data) = downloading(&world).await;
        let said = [b"STAT\r\n".repeat(100), b"ABOR\r\n".to_vec()].concat();
        let (_, mut control) = client.control.split();
        let ends = async {
            let ended = data.read_to_end().await;
            assert!(ended.is_err(), "half a file, and no reset");
        };
        let both = futures_util::future::join(control.write_all(&said), ends);
        assert!(within(&world, 20, both).await, "{}", world.story());
    });
    finish(world);
}

#[test]
fn who_asks_and_never_reads_is_sent_away() {
    let (world, cluster) = slow();
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        assert!(
            within(&world, 200, client.send(&b"PWD\r\n".repeat(200_000))).await,
            "{}",
            world.story()
        );
    });
    assert!(sent_away(&world), "{}", world.story());
    // Its node is free: no connection is left.
    assert_eq!(world.counts().streams, 0, "{:?}", world.counts());
    assert!(cluster.servers.iter().any(|s| s.heard_of("PWD") > 0));
    finish(world);
}

#[test]
fn who_asks_for_the_status_of_its_transfer_and_never_reads_is_sent_away() {
    let (world, _cluster) = slow();
    world.run(async {
        let (mut client, mut data) = downloading(&world).await;
        let asks = async { client.send(&b"STAT\r\n".repeat(200_000)).await };
        let ends = async {
            let ended = data.read_to_end().await;
            assert!(ended.is_err(), "half a file, and no reset");
        };
        let both = futures_util::future::join(asks, ends);
        assert!(within(&world, 50, both).await, "{}", world.story());
    });
    assert!(sent_away(&world), "{}", world.story());
    assert_eq!(world.counts().streams, 0, "{:?}", world.counts());
    finish(world);
}

#[test]
fn who_makes_telnet_answer_and_never_reads_is_sent_away() {
    let (world, _cluster) = slow();
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        assert!(
            within(&world, 200, client.send(&b"\xff\xfd\x01".repeat(300_000))).await,
            "{}",
            world.story()
        );
    });
    assert!(sent_away(&world), "{}", world.story());
    finish(world);
}

#[test]
fn a_slow_reader_hears_everything() {
    let (world, _cluster) = slow();
    world.buffers(512, 512);
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let (mut reads, mut writes) = client.control.split();
        let features = b"FEAT\r\n".repeat(40);
        let asks = writes.write_all(&features);
        let hears = async {
            let mut heard: Vec<u8> = Vec::new();
            while heard
                .windows(7)
                .filter(|part| **part == *b"211 End")
                .count()
                < 40
            {
                world.sleep(Duration::from_secs(20)).await;
                let mut piece = [0; 300];
                let n = reads.read(&mut piece).await.unwrap();
                heard.extend(&piece[..n]);
            }
        };
        let (asked, ()) = futures_util::future::join(asks, hears).await;
        asked.unwrap();
    });
    finish(world);
}
