//! Input that nobody should send: what the client is told, and that nobody else is disturbed.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::net::IpAddr;

use director_sdk::testing::World;

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content};

/// Runs a client against two servers; then another must find everything in order, and nothing is left.
fn two(style: Style, talk: impl AsyncFn(&World, &Cluster)) {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, 5000), BEGUN);
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[Settings::of(style), Settings::of(style)], tree);
    cluster.start(&world, "{}");
    world.run(async {
        talk(&world, &cluster).await;
        let mut other = Client::logged_in(&world).await;
        let got = other.fetch("RETR /pub/file.bin").await;
        assert!(got == (content(1, 5000), 226), "{:#?}", other.transcript);
        other.quit().await;
    });
    let left = world.finish();
    assert_eq!(
        (left.left_behind, left.cancelled, left.panics),
        (0, 0, 0),
        "{left:?}"
    );
}

#[test]
fn lines_that_are_none() {
    two(Style::Vsftpd, async |world, _| {
        let mut client = Client::logged_in(world).await;
        for (line, code) in [
            (vec![b'x'; 1 << 20], 500),
            (b"CWD a\rb".to_vec(), 501),
            (b"CWD a\0b".to_vec(), 501),
            (b"".to_vec(), 500),
            (b"\xff\xf4\xff\xf2NOOP".to_vec(), 200),
            (b"EPSV 9".to_vec(), 522),
            (b"EPRT |9|x|1|".to_vec(), 522),
            (b"PORT 1,2,3".to_vec(), 501),
            (b"TYPE".to_vec(), 501),
            (b"CCC".to_vec(), 534),
            (b"XYZZY".to_vec(), 500),
        ] {
            client.send(&[&line, &b"\r\n"[..]].concat()).await;
            let reply = client.reply().await;
            let shown = String::from_utf8_lossy(&line[..line.len().min(30)]).into_owned();
            assert_eq!(reply.code, code, "{shown:?}: {reply:?}");
        }
    });
}

#[test]
fn half_a_line_and_then_nothing() {
    two(Style::Vsftpd, async |world, _| {
        let mut client = Client::logged_in(world).await;
        client.send(b"RETR /pub/fi").await;
        client.control.close();
    });
}

#[test]
fn a_bounce_is_refused() {
    two(Style::Proftpd, async |world, cluster| {
        let mut client = Client::logged_in(world).await;
        for port in [
            "PORT 203,0,113,9,78,32",
            "PORT 127,0,0,1,0,21",
            "EPRT |1|203.0.113.9|20000|",
        ] {
            let code = client.ask(port).await.code;
            assert!((500..600).contains(&code), "{port}: {code}");
            assert_eq!(client.ask("RETR /pub/file.bin").await.code, 425);
        }
        let asked: usize = cluster
            .servers
            .iter()
            .map(|server| server.heard_of("RETR"))
            .sum();
        assert_eq!(asked, 0);
    });
}

#[test]
fn a_stranger_gets_no_file() {
    two(Style::Vsftpd, async |world, _| {
        let mut client = Client::logged_in(world).await;
        let reply = client.ask("EPSV").await;
        let port: u16 = reply.text.split('|').nth(3).unwrap().parse().unwrap();
        let at = (client.control.peer().ip(), port).into();
        let stranger: IpAddr = [203, 0, 113, 66].into();
        let got = match world.reach(stranger, at) {
            Ok(mut wire) => wire.read_to_end().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        assert!(got.is_empty());
        let mut data = client.control.connect(port).await.unwrap();
        assert_eq!(client.ask("RETR /pub/file.bin").await.code, 150);
        assert_eq!(data.read_to_end().await.unwrap(), content(1, 5000));
        assert_eq!(client.reply().await.code, 226);
    });
}

#[test]
fn a_thousand_listeners_are_one() {
    two(Style::Vsftpd, async |world, _| {
        let mut client = Client::logged_in(world).await;
        for _ in 0..1000 {
            assert_eq!(client.ask("PASV").await.code, 227);
        }
        assert!(world.counts().listeners <= 1, "{:?}", world.counts());
    });
}

#[test]
fn names_of_all_kinds_reach_the_server_as_they_are() {
    two(Style::Proftpd, async |world, cluster| {
        let mut client = Client::logged_in(world).await;
        for name in [
            "*",
            "../../../etc",
            "a b  c",
            "-rf",
            "\u{e4}\u{20ac}",
            "a\"b",
        ] {
            let code = client.ask(&format!("CWD {name}")).await.code;
            assert!(code == 550 || code == 250, "{name}: {code}");
            let heard: usize = cluster
                .servers
                .iter()
                .map(|server| server.heard_of(&format!("CWD {name}")))
                .sum();
            assert!(heard >= 1, "{name}");
        }
        // Above the root is the root.
        client.ask("CWD /").await;
        assert!(client.ask("PWD").await.text.starts_with("257 \"/\""));
    });
}

#[test]
fn a_server_that_babbles_is_left() {
    for babble in [
        "999 what",
        "230-open\r\n231 other",
        "hello",
        "2",
        &format!("257-{}", "x".repeat(20_000)),
    ] {
        two(Style::Vsftpd, async |world, cluster| {
            let mut client = Client::logged_in(world).await;
            let used = cluster
                .servers
                .iter()
                .find(|server| server.heard_of("USER") > 0)
                .unwrap();
            used.answer_instead("PWD", babble);
            let reply = client.ask("PWD").await;
            assert!(
                reply.text.starts_with("257 \"/\""),
                "{babble:.20}: {reply:?}"
            );
        });
    }
}

#[test]
fn a_server_that_answers_before_it_is_asked_is_left() {
    two(Style::Vsftpd, async |world, cluster| {
        let mut client = Client::logged_in(world).await;
        for server in &cluster.servers {
            // The second reply is to nobody's command.
            server.answer_instead("NOOP", "200 once.\r\n257 \"/wrong\" twice.");
            server.answer_instead("CWD", "250 once.\r\n257 \"/wrong\" twice.");
        }
        client.ask("CWD /pub").await;
        let reply = client.ask("PWD").await;
        assert!(!reply.text.contains("wrong"), "{reply:?}");
    });
}

/// Nobody knows what SITE does, nor which name STOU chose: neither is done twice.
#[test]
fn what_must_not_be_done_twice_is_not_resent() {
    for command in ["SITE WHATEVER x", "STOU"] {
        let world = World::seeded(1);
        let settings = Settings {
            rate: 1000,
            ..Settings::of(Style::Vsftpd)
        };
        let cluster = Cluster::shared(&[settings.clone(), settings], Tree::default());
        cluster.start(&world, "{}");
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let used = if cluster.servers[0].heard_of("USER") > 0 {
                0
            } else {
                1
            };
            if command == "STOU" {
                cluster.servers[used].trips.set(Some(100));
                let code = client.store("STOU", &content(1, 2000)).await;
                assert!((400..600).contains(&code), "{:#?}", client.transcript);
            } else {
                // It is done, and nobody hears of it.
                cluster.servers[used].answer_instead("SITE", "what");
                let code = client.ask(command).await.code;
                assert!((400..600).contains(&code), "{:#?}", client.transcript);
            }
            let asked: usize = cluster
                .servers
                .iter()
                .map(|server| server.heard_of(&command[..4]))
                .sum();
            assert_eq!(asked, 1, "{:?}", cluster.heard());
        });
    }
}
