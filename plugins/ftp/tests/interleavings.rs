//! What a server may say and send in another order than others do, and what a client may do meanwhile.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::time::Duration;

use director_sdk::testing::World;

use model::Cluster;
use model::client::{Client, Mode};
use model::server::{Quirk, Settings};
use model::style::Style;
use model::tree::{BEGUN, Tree, content, lines};

const SIZE: usize = 30_000;

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, SIZE), BEGUN);
    tree.put("/pub/text.txt", lines(2, SIZE), BEGUN);
    tree.put("/pub/gone", content(4, 40), BEGUN);
    tree
}

/// Runs a client of two servers over one storage; nothing is left, and nothing was done twice.
fn with<T>(
    settings: &Settings,
    options: &str,
    talk: impl AsyncFn(&World, &Cluster, &mut Client) -> T,
) -> T {
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[settings.clone(), settings.clone()], tree());
    cluster.start(&world, options);
    let told = world.run(async {
        let mut client = Client::logged_in(&world).await;
        let told = talk(&world, &cluster, &mut client).await;
        // The dialogue is in step: the next reply is to the next command.
        let at = client.ask("CWD /pub").await;
        assert_eq!(at.code, 250, "{:#?}", client.transcript);
        let at = client.ask("PWD").await.text;
        assert!(at.starts_with("257 \"/pub\""), "{:#?}", client.transcript);
        let got = client.fetch("RETR file.bin").await;
        assert!(got == (content(1, SIZE), 226), "{:#?}", client.transcript);
        told
    });
    let left = world.finish();
    let left = (left.left_behind, left.cancelled, left.panics);
    assert_eq!(left, (0, 0, 0));
    assert_eq!(cluster.done_twice(), [""; 0]);
    told
}

fn of(style: Style) -> Settings {
    Settings::of(style)
}

/// A download of a file, in text and in binary, and of a listing.
async fn downloads(world: &World, cluster: &Cluster, client: &mut Client, quirk: Quirk) {
    let text = String::from_utf8(lines(2, SIZE)).unwrap();
    let text = text.replace('\n', "\r\n").into_bytes();
    for (kind, command, right) in [
        ("TYPE I", "RETR /pub/file.bin", Some(content(1, SIZE))),
        ("TYPE A", "RETR /pub/text.txt", Some(text)),
        ("TYPE A", "LIST /pub", None),
    ] {
        client.ask(kind).await;
        cluster.used().quirk.set(Some(quirk));
        let (got, code) = client.fetch(command).await;
        world.sleep(Duration::from_secs(2)).await;
        let whole = right.map_or(got.ends_with(b"text.txt\r\n"), |right| got == right);
        assert!(
            whole && code == 226,
            "{quirk:?} {command}: {:#?}\n{:?}",
            client.transcript,
            cluster.heard()
        );
    }
    client.ask("TYPE I").await;
}

#[test]
fn a_download_whose_words_and_data_come_in_another_order() {
    for style in Style::ALL {
        for quirk in [
            Quirk::WordFirst,
            Quirk::DataFirst,
            Quirk::NoMark,
            Quirk::TwoMarks,
            Quirk::NoData,
            Quirk::TwoWords,
            Quirk::LateWord,
            Quirk::NoWord,
            Quirk::LeavesAtMark,
            Quirk::LeavesAtEnd,
            Quirk::Leaves(0),
            Quirk::Leaves(1),
            Quirk::Leaves(9000),
        ] {
            with(&of(style), "{}", async |world, cluster, client| {
                downloads(world, cluster, client, quirk).await;
            });
        }
    }
}

#[test]
fn an_upload_whose_words_come_in_another_order() {
    let sent = content(9, 20_000);
    for style in Style::ALL {
        for quirk in [
            Quirk::TwoMarks,
            Quirk::TwoWords,
            Quirk::LateWord,
            Quirk::NoData,
            Quirk::NoMark,
            Quirk::LeavesAtMark,
            Quirk::LeavesAtEnd,
            Quirk::Leaves(0),
            Quirk::Leaves(9000),
        ] {
            with(&of(style), "{}", async |world, cluster, client| {
                cluster.expect("/pub/new", &sent);
                cluster.used().quirk.set(Some(quirk));
                let code = client.store("STOR /pub/new", &sent).await;
                // A word that comes when the next command is on its way is taken for the answer to that, here as
                // at the server itself.
                world.sleep(Duration::from_secs(2)).await;
                let tree = cluster.servers[0].tree.borrow().clone();
                let stored = tree.file(b"/pub/new").map(|(bytes, _)| bytes.to_vec());
                assert!(
                    code == 226 && stored.as_ref() == Ok(&sent),
                    "{style:?} {quirk:?}: {:#?}\n{:?}",
                    client.transcript,
                    cluster.heard()
                );
            });
        }
    }
}

#[test]
fn a_server_that_says_both_426_and_226_of_a_transfer_that_broke() {
    for style in [Style::Vsftpd, Style::Proftpd] {
        with(&of(style), "{}", async |_, cluster, client| {
            let used = cluster.used();
            used.trips.set(Some(10_000));
            used.quirk.set(Some(Quirk::TwoWords));
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(got == (content(1, SIZE), 226), "{:#?}", client.transcript);
            let sent = content(9, 20_000);
            cluster.expect("/pub/new", &sent);
            let used = cluster.used();
            used.trips.set(Some(10_000));
            used.quirk.set(Some(Quirk::TwoWords));
            assert_eq!(client.store("STOR /pub/new", &sent).await, 226);
            let tree = cluster.servers[0].tree.borrow();
            assert!(tree.file(b"/pub/new").unwrap().0 == sent);
        });
    }
}

/// Pure-FTPd says 226 of an upload that broke off, too: `dostor` in its `ftpd.c`.
#[test]
fn a_226_that_says_aborted_is_no_acknowledgement() {
    for at in [0, 5_000, 19_000, 19_900] {
        with(&of(Style::PureFtpd), "{}", async |_, cluster, client| {
            let sent = content(9, 20_000);
            cluster.expect("/pub/new", &sent);
            cluster.used().trips.set(Some(at));
            let code = client.store("STOR /pub/new", &sent).await;
            let tree = cluster.servers[0].tree.borrow();
            assert!(tree.file(b"/pub/new").unwrap().0 == sent, "{at}");
            assert_eq!(code, 226, "{at}");
        });
    }
}

#[test]
fn replies_that_come_byte_by_byte() {
    for style in Style::ALL {
        let slow = Settings {
            mumbles: true,
            ..of(style)
        };
        with(&slow, "{}", async |_, cluster, client| {
            client.ask("CWD pub").await;
            let got = client.fetch("RETR file.bin").await;
            assert!(got == (content(1, SIZE), 226), "{:#?}", client.transcript);
            let sent = content(9, 20_000);
            cluster.expect("/pub/new", &sent);
            assert_eq!(client.store("STOR new", &sent).await, 226);
            assert_eq!(client.ask("DELE gone").await.code, 250);
        });
    }
}

/// The port in a 229.
fn port(text: &str) -> u16 {
    text.split('|').nth(3).unwrap().parse().unwrap()
}

#[test]
fn transfers_that_are_asked_for_all_at_once() {
    for style in Style::ALL {
        with(&of(style), "{}", async |_, cluster, client| {
            cluster.used().trips.set(Some(10_000));
            let line = "EPSV\r\nRETR /pub/file.bin\r\nEPSV\r\nRETR /pub/file.bin\r\nNOOP\r\n";
            client.send(line.as_bytes()).await;
            for _ in 0..2 {
                let port = port(&client.reply().await.text);
                let mut data = client.control.connect(port).await.unwrap();
                assert_eq!(client.reply().await.code, 150);
                assert!(data.read_to_end().await.unwrap() == content(1, SIZE));
                assert_eq!(client.reply().await.code, 226);
            }
            assert_eq!(client.reply().await.code, 200);
        });
    }
}

#[test]
fn an_abort_behind_the_transfer_in_the_same_piece() {
    with(&of(Style::Vsftpd), "{}", async |_, _, client| {
        client
            .send(b"EPSV\r\nRETR /pub/file.bin\r\nABOR\r\nNOOP\r\n")
            .await;
        client.reply().await;
        let mut codes = Vec::new();
        while codes.last() != Some(&200) {
            let code = client.reply().await.code;
            assert_ne!(code, 0, "{:#?}", client.transcript);
            codes.push(code);
        }
        assert!(
            matches!(codes[..], [426, 225 | 226, 200] | [150, 426, 226, 200]),
            "{codes:?}"
        );
    });
}

/// RFC 959 section 4.1.1: QUIT waits for the transfer's end, also for that of a server that dies.
#[test]
fn a_quit_in_a_transfer_waits_for_its_end() {
    for dies in [false, true] {
        let world = World::seeded(1);
        let slow = Settings {
            rate: 100_000,
            ..of(Style::Vsftpd)
        };
        let cluster = Cluster::shared(&[slow.clone(), slow], tree());
        cluster.start(&world, "{}");
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let port = port(&client.ask("EPSV").await.text);
            let mut data = client.control.connect(port).await.unwrap();
            assert_eq!(client.ask("RETR /pub/file.bin").await.code, 150);
            let mut got = data.read_exact(5_000).await.unwrap();
            client.send(b"QUIT\r\n").await;
            if dies {
                world.kill(&cluster.used().name);
            }
            got.extend(data.read_to_end().await.unwrap());
            assert!(got == content(1, SIZE));
            assert_eq!(client.reply().await.code, 226);
            assert_eq!(client.reply().await.code, 221);
            assert!(client.ends().await);
        });
        let left = world.finish();
        assert_eq!((left.left_behind, left.cancelled, left.panics), (0, 0, 0));
    }
}

#[test]
fn when_all_servers_die_and_one_returns_the_session_goes_on() {
    with(&of(Style::Proftpd), "{}", async |world, cluster, client| {
        client.ask("CWD /pub").await;
        for node in ["a", "b"] {
            world.kill(node);
        }
        let code = client.ask("SIZE file.bin").await.code;
        assert!(matches!(code, 421 | 451), "{code}");
        assert!(!client.is_over());
        for node in ["b", "a"] {
            world.revive(node);
            assert_eq!(client.ask("SIZE file.bin").await.text, "213 30000\r\n");
            let sent = content(9, 20_000);
            cluster.expect("/pub/new", &sent);
            cluster.common.ledger.borrow_mut().clear();
            assert_eq!(client.store("STOR new", &sent).await, 226);
            world.kill(node);
            world.sleep(Duration::from_secs(20)).await;
        }
        world.revive("b");
    });
}

#[test]
fn in_a_switch_the_second_server_fails_at_each_step() {
    for (quirk, other) in [0, 1]
        .into_iter()
        .flat_map(|other| QUIRKS.map(|quirk| (quirk, other)))
    {
        let world = World::seeded(1);
        let settings = [of(Style::Vsftpd), of(Style::Proftpd), of(Style::PureFtpd)];
        let cluster = Cluster::shared(&settings, tree());
        cluster.start(&world, "{}");
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let used = cluster.used();
            used.trips.set(Some(10_000));
            let mut others = cluster
                .servers
                .iter()
                .filter(|server| server.name != used.name);
            others.nth(other).unwrap().quirk.set(Some(quirk));
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(
                got == (content(1, SIZE), 226),
                "{quirk:?} {:#?}",
                client.transcript
            );
        });
    }
}

const QUIRKS: [Quirk; 7] = [
    Quirk::NoMark,
    Quirk::LeavesAtMark,
    Quirk::Leaves(0),
    Quirk::Leaves(100),
    Quirk::LeavesAtEnd,
    Quirk::WordFirst,
    Quirk::NoWord,
];

/// RFC 959 section 4.2.1: preliminary replies may be several.
#[test]
fn two_marks_of_an_upload_that_nobody_could_send_again() {
    for (options, command) in [(r#"{"ring": 0}"#, "STOR /pub/new"), ("{}", "STOU")] {
        with(&of(Style::Vsftpd), options, async |_, cluster, client| {
            let sent = content(9, 20_000);
            cluster.used().quirk.set(Some(Quirk::TwoMarks));
            assert_eq!(client.store(command, &sent).await, 226, "{command}");
            let stored = cluster.servers[0].tree.borrow().files();
            assert!(stored.iter().any(|(_, bytes)| *bytes == sent));
        });
    }
}

/// ABOR while the server of a transfer says nothing: the client is answered, in time, and once.
#[test]
fn an_abort_of_a_transfer_whose_server_has_fallen_silent() {
    for (command, quiet) in [("RETR /pub/file.bin", false), ("STOR /pub/new", true)] {
        let slow = Settings {
            rate: 50_000,
            ..of(Style::Vsftpd)
        };
        with(&slow, "{}", async |world, cluster, client| {
            client.mode = Mode::Epsv;
            let port = port(&client.ask("EPSV").await.text);
            let mut data = client.control.connect(port).await.unwrap();
            assert_eq!(client.ask(command).await.code, 150);
            if quiet {
                data.write_all(&content(9, 5_000)).await.unwrap();
            } else {
                data.read_exact(2_000).await.unwrap();
            }
            world.silence(&cluster.used().name);
            let began = world.now();
            client.send(b"ABOR\r\n").await;
            let first = client.reply().await.code;
            assert!(matches!(first, 426 | 226), "{:#?}", client.transcript);
            if first == 426 {
                assert_eq!(client.reply().await.code, 226, "{:#?}", client.transcript);
            }
            let took = world.now() - began;
            assert!(took < Duration::from_secs(10), "{took:?}");
        });
    }
}
