//! Downloads whose client is the trouble, and what a node is held to before a client sees its bytes.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::time::Duration;

use director_sdk::testing::{Wire, World};
use proptest::prelude::*;

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content, lines};

/// More than everything on the way can hold.
const SIZE: usize = 400_000;

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.put("/big", content(1, SIZE), BEGUN);
    tree.put("/text", lines(2, SIZE), BEGUN);
    tree.put("/small", content(3, 100), BEGUN);
    tree
}

fn slow(style: Style) -> Settings {
    Settings {
        rate: 200_000,
        ..Settings::of(style)
    }
}

fn port(epsv: &str) -> u16 {
    epsv.split('|').nth(3).unwrap().parse().unwrap()
}

/// Begins a transfer over a passive data connection.
async fn begun(client: &mut Client, command: &str) -> Wire {
    let port = port(&client.ask("EPSV").await.text);
    let data = client.control.connect(port).await.unwrap();
    assert_eq!(client.ask(command).await.code, 150);
    data
}

/// Runs a client of one server whose client takes what comes; nothing is left behind.
fn one<T>(settings: Settings, options: &str, talk: impl AsyncFn(&World, &mut Client) -> T) -> T {
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[settings], tree());
    cluster.start(&world, options);
    let told = world.run(async {
        let mut client = Client::logged_in(&world).await;
        let told = talk(&world, &mut client).await;
        // The session goes on, at the link that it had.
        assert_eq!(client.fetch("RETR /small").await, (content(3, 100), 226));
        told
    });
    let left = world.finish();
    let left = (left.left_behind, left.cancelled, left.panics);
    assert_eq!(left, (0, 0, 0));
    told
}

#[test]
fn a_client_that_takes_nothing_is_given_up_after_idle_seconds() {
    for command in ["RETR /big", "RETR /text"] {
        one(
            Settings::of(Style::Vsftpd),
            r#"{"idle_seconds": 20}"#,
            async |world, client| {
                client
                    .ask(if command.contains("big") {
                        "TYPE I"
                    } else {
                        "TYPE A"
                    })
                    .await;
                let mut data = begun(client, command).await;
                data.read_exact(500).await.unwrap();
                let before = world.now();
                assert_eq!(client.reply().await.code, 426, "{command}");
                let waited = world.now() - before;
                assert!((20..=45).contains(&waited.as_secs()), "{waited:?}");
                data.read_to_end().await.unwrap_err();
                client.ask("TYPE I").await;
            },
        );
    }
}

#[test]
fn a_slow_client_is_not_given_up() {
    one(
        Settings::of(Style::Proftpd),
        r#"{"idle_seconds": 20}"#,
        async |world, client| {
            let mut data = begun(client, "RETR /big").await;
            let mut got = Vec::new();
            while got.len() < 100_000 {
                world.sleep(Duration::from_secs(15)).await;
                got.extend(data.read_exact(10_000).await.unwrap());
            }
            got.extend(data.read_to_end().await.unwrap());
            assert_eq!(client.reply().await.code, 226);
            assert!(got == content(1, SIZE));
        },
    );
}

#[test]
fn a_client_that_closes_early_keeps_its_session_and_its_link() {
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[slow(Style::Vsftpd)], tree());
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let mut data = begun(&mut client, "RETR /big").await;
        data.read_exact(500).await.unwrap();
        drop(data);
        assert_eq!(client.reply().await.code, 426);
        assert_eq!(client.fetch("RETR /small").await, (content(3, 100), 226));
    });
    assert_eq!(
        cluster.servers[0].heard_of("USER"),
        1,
        "one login was enough"
    );
    world.finish();
}

#[test]
fn a_data_connection_that_never_comes_is_a_425() {
    one(Settings::of(Style::Vsftpd), "{}", async |_, client| {
        client.ask("EPSV").await;
        assert_eq!(client.ask("RETR /big").await.code, 425);
        // A port at which nobody listens.
        client.ask("PORT 127,0,0,1,200,200").await;
        assert_eq!(client.ask("LIST").await.code, 425);
        // Nothing was said since.
        assert_eq!(client.ask("RETR /big").await.code, 425);
    });
}

#[test]
fn a_thousand_passive_ports_leave_one_listener() {
    one(
        Settings::of(Style::Vsftpd),
        r#"{"ports": "50000-50003"}"#,
        async |world, client| {
            for nth in 0..1000 {
                let command = if nth % 2 == 0 { "EPSV" } else { "PASV" };
                assert!(matches!(client.ask(command).await.code, 229 | 227));
            }
            let reply = client.ask("EPSV").await;
            assert!((50_000..=50_003).contains(&port(&reply.text)));
            assert_eq!(world.counts().listeners, 1);
        },
    );
}

#[test]
fn a_stranger_gets_no_data_and_no_transfer() {
    one(Settings::of(Style::Vsftpd), "{}", async |world, client| {
        let port = port(&client.ask("EPSV").await.text);
        let local = ([127, 0, 0, 1], port).into();
        let mut stranger = world.reach([192, 0, 2, 66].into(), local).unwrap();
        stranger.read_to_end().await.unwrap_err();
        assert_eq!(world.strangers(), 1);
        // The client itself is still expected there.
        let mut data = client.control.connect(port).await.unwrap();
        assert_eq!(client.ask("RETR /small").await.code, 150);
        assert_eq!(data.read_to_end().await.unwrap(), content(3, 100));
        assert_eq!(client.reply().await.code, 226);
    });
}

#[test]
fn bounces_are_refused_and_epsv_all_is_kept() {
    one(Settings::of(Style::Vsftpd), "{}", async |_, client| {
        for (command, code) in [
            ("PORT 192,0,2,1,100,1", 500),
            ("PORT 127,0,0,1,0,25", 504),
            ("PORT 127,0,0,1,100", 501),
            ("EPRT |1|192.0.2.1|25601|", 500),
            ("EPRT |2|::1|25601|", 522),
            ("EPRT |7|x|25601|", 522),
            ("EPRT 127.0.0.1", 501),
            ("EPSV 2", 522),
            ("EPSV x", 501),
            ("RETR /small", 425),
            ("EPSV ALL", 200),
            ("PASV", 503),
            ("PORT 127,0,0,1,100,1", 503),
            ("EPRT |1|127.0.0.1|25601|", 503),
        ] {
            assert_eq!(client.ask(command).await.code, code, "{command}");
        }
    });
}

/// A download whose first server dies after `after` bytes; `other` is what the second server has.
fn second(
    options: &str,
    settings: &Settings,
    (command, after): (&str, usize),
    other: impl Fn(&mut Tree),
) -> (Vec<u8>, Result<(), std::io::ErrorKind>, u16) {
    let world = World::seeded(3);
    let cluster = Cluster::separate(&[settings.clone(), settings.clone()], &tree());
    cluster.start(&world, options);
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        if command.starts_with("RETR /text") {
            client.ask("TYPE A").await;
        }
        let (used, server) = match cluster.servers[0].heard_of("USER") {
            0 => ("b", &cluster.servers[0]),
            _ => ("a", &cluster.servers[1]),
        };
        other(&mut server.tree.borrow_mut());
        let mut data = begun(&mut client, command).await;
        let mut got = data.read_exact(after).await.unwrap();
        world.kill(used);
        let end = loop {
            let mut piece = [0; 4096];
            match data.read(&mut piece).await {
                Ok(0) => break Ok(()),
                Ok(n) => got.extend_from_slice(&piece[..n]),
                Err(error) => break Err(error.kind()),
            }
        };
        (got, end, client.reply().await.code)
    })
}

const RESET: Result<(), std::io::ErrorKind> = Err(std::io::ErrorKind::ConnectionReset);

#[test]
fn a_mirror_that_did_not_keep_the_time_is_proved_by_its_bytes_where_that_is_asked_for() {
    let touched = |tree: &mut Tree| tree.put("/big", content(1, SIZE), b"20260105120001");
    let vsftpd = slow(Style::Vsftpd);
    let (got, end, code) = second("{}", &vsftpd, ("RETR /big", 1000), touched);
    assert!(
        content(1, SIZE).starts_with(&got) && (end, code) == (RESET, 451),
        "{end:?} {code}"
    );
    let tail = r#"{"proof": "tail"}"#;
    let (got, end, code) = second(tail, &vsftpd, ("RETR /big", 1000), touched);
    assert!(
        got == content(1, SIZE) && (end, code) == (Ok(()), 226),
        "{end:?} {code}"
    );
}

#[test]
fn a_digest_alone_is_asked_for_where_nothing_else_will_do() {
    let same = |_: &mut Tree| {};
    let digest = r#"{"proof": "digest"}"#;
    let hash = Settings {
        hash: true,
        ..slow(Style::Proftpd)
    };
    let (got, end, code) = second(digest, &hash, ("RETR /big", 1000), same);
    assert!(
        got == content(1, SIZE) && (end, code) == (Ok(()), 226),
        "{end:?} {code}"
    );
    let none = Settings {
        hash: false,
        ..slow(Style::Proftpd)
    };
    let (got, end, code) = second(digest, &none, ("RETR /big", 1000), same);
    assert!(
        content(1, SIZE).starts_with(&got) && (end, code) == (RESET, 451),
        "{end:?} {code}"
    );
}

#[test]
fn a_file_that_is_gone_at_the_other_server_is_told_after_a_reset() {
    let gone = |tree: &mut Tree| tree.delete(b"/big").unwrap();
    let (got, end, code) = second("{}", &slow(Style::Vsftpd), ("RETR /big", 1000), gone);
    assert!(
        content(1, SIZE).starts_with(&got) && end == RESET,
        "{end:?}"
    );
    assert!(matches!(code, 426 | 451), "{code}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// In ASCII the delivered part is told by its digest: a byte that differs in it is found, one
    /// behind it cannot be.
    #[test]
    fn another_text_is_never_spliced(at in 0..SIZE, after in 70_000..200_000_usize) {
        let original = lines(2, SIZE);
        let mut changed = original.clone();
        // Never a line's end: the lengths stay.
        prop_assume!(changed[at] != b'\n');
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        let other = |tree: &mut Tree| tree.put("/text", changed.clone(), BEGUN);
        let (got, end, code) = second("{}", &slow(Style::PureFtpd), ("RETR /text", after), other);
        let ascii = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes();
        let (first, second) = (ascii(&original), ascii(&changed));
        if code == 226 {
            prop_assert_eq!(end, Ok(()));
            prop_assert!(got == first || got == second, "spliced");
        } else {
            prop_assert!(first.starts_with(&got), "spliced");
            prop_assert_eq!((end, code), (RESET, 451));
        }
    }
}

#[test]
fn a_long_listing_goes_on_at_the_same_and_ends_at_another() {
    let many = |tree: &mut Tree, size: usize| {
        for nth in 0..3000 {
            tree.put(
                &format!("/many/a-file-of-a-long-name-{nth:04}"),
                content(0, size),
                BEGUN,
            );
        }
    };
    for (size, code) in [(7, 226), (8, 451)] {
        let world = World::seeded(3);
        let mut all = tree();
        many(&mut all, 7);
        let settings = slow(Style::Vsftpd);
        let cluster = Cluster::separate(&[settings.clone(), settings], &all);
        cluster.start(&world, "{}");
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let (used, server) = match cluster.servers[0].heard_of("USER") {
                0 => ("b", &cluster.servers[0]),
                _ => ("a", &cluster.servers[1]),
            };
            many(&mut server.tree.borrow_mut(), size);
            let mut data = begun(&mut client, "LIST /many").await;
            data.read_exact(80_000).await.unwrap();
            world.kill(used);
            let rest = data.read_to_end().await;
            assert_eq!(rest.is_ok(), code == 226, "{rest:?}");
            assert_eq!(client.reply().await.code, code);
        });
    }
}

#[test]
fn a_node_that_takes_a_restart_and_begins_anew_makes_no_whole_file() {
    let world = World::seeded(1);
    let settings = [Settings::of(Style::Vsftpd), Settings::of(Style::Vsftpd)];
    let cluster = Cluster::shared(&settings, tree());
    for server in &cluster.servers {
        server.stumbles.set(Some(100_000));
        for _ in 0..8 {
            server.answer_instead("REST", "350 Restart position accepted.");
        }
    }
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        client.ask("TYPE I").await;
        let (_, code) = client.fetch("RETR /big").await;
        assert!(matches!(code, 426 | 451), "{code}");
    });
}

#[test]
fn what_is_to_be_renamed_is_said_anew_after_any_other_command() {
    one(Settings::of(Style::Vsftpd), "{}", async |_, client| {
        for between in ["NOOP", "CWD /"] {
            assert_eq!(client.ask("RNFR /text").await.code, 350);
            client.ask(between).await;
            assert_eq!(client.ask("RNTO /other").await.code, 503, "{between}");
        }
        client.ask("TYPE I").await;
    });
}
