//! Downloads whose client is the trouble, and what a node is held to before a client sees its bytes.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::net::{IpAddr, Ipv6Addr};
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
                assert!(data.read_to_end().await.is_err());
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

/// Nothing but its size is asked, in one piece with where the node listens. The bytes that the client has are
/// compared with the other server's: what comes out is a file that one of the servers has, or the truth.
#[test]
fn a_small_file_is_proved_by_its_bytes() {
    const MIDDLE: usize = 10_000;
    let tree = |tree: &mut Tree| tree.put("/part", content(4, 20_000), BEGUN);
    let hash = Settings {
        hash: true,
        ..slow(Style::Proftpd)
    };
    let run = |options: &str, other: &dyn Fn(&mut Tree)| {
        let world = World::seeded(3);
        let cluster = Cluster::separate(&[hash.clone(), hash.clone()], &Tree::default());
        for server in &cluster.servers {
            tree(&mut server.tree.borrow_mut());
        }
        cluster.start(&world, options);
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let mut data = begun(&mut client, "RETR /part").await;
            let got = data.read_exact(MIDDLE).await.unwrap();
            let used = cluster.used();
            let asked: Vec<String> = used.heard.borrow().clone();
            for server in cluster.servers.iter().filter(|s| s.name != used.name) {
                other(&mut server.tree.borrow_mut());
            }
            world.kill(&used.name);
            let rest = data.read_to_end().await;
            let whole = rest.map(|rest| [got, rest].concat());
            (whole, client.reply().await.code, asked)
        })
    };
    let changed = |at: usize| {
        move |tree: &mut Tree| {
            let mut other = content(4, 20_000);
            other[at] ^= 1;
            // Another time, too: it is not asked for.
            tree.put("/part", other, b"20260105120001");
        }
    };
    let (got, code, asked) = run("{}", &|_| {});
    assert!(got.unwrap() == content(4, 20_000) && code == 226);
    let asked = asked.join(" ");
    assert!(
        asked.ends_with("SIZE /part EPSV RETR /part") && !asked.contains("MDTM"),
        "{asked}"
    );
    let (got, code, _) = run("{}", &changed(5));
    assert!(got.is_err() && code == 451, "{code}");
    let (got, code, _) = run("{}", &changed(19_990));
    let mut other = content(4, 20_000);
    other[19_990] ^= 1;
    assert!(got.unwrap() == other && code == 226, "{code}");
    let (got, code, asked) = run(r#"{"compare_limit": 0}"#, &changed(19_990));
    assert!(got.is_err() && code == 451, "{code} {asked:?}");
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

#[test]
fn a_digest_of_a_part_proves_nothing() {
    let world = World::seeded(3);
    let settings = Settings {
        hash: true,
        ..slow(Style::Proftpd)
    };
    let cluster = Cluster::separate(&[settings.clone(), settings], &tree());
    for server in &cluster.servers {
        // Of the same first bytes, as far as they say: the files are not the same.
        server.answer_instead("HASH", "213 CRC32 0-10 deadbeef /big");
    }
    cluster.start(&world, r#"{"proof": "digest"}"#);
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let (used, server) = match cluster.servers[0].heard_of("USER") {
            0 => ("b", &cluster.servers[0]),
            _ => ("a", &cluster.servers[1]),
        };
        server
            .tree
            .borrow_mut()
            .put("/big", content(9, SIZE), BEGUN);
        let mut data = begun(&mut client, "RETR /big").await;
        data.read_exact(1000).await.unwrap();
        world.kill(used);
        assert!(data.read_to_end().await.is_err());
        assert_eq!(client.reply().await.code, 451);
    });
}

#[test]
fn a_node_that_takes_its_time_for_a_digest_is_well() {
    let hash = Settings {
        hash: true,
        ..Settings::of(Style::Proftpd)
    };
    // Larger than it is, so that its digest may take longer than a well node is silent.
    for (size, seconds, logins) in [(320 << 20, 20, 1), (SIZE, 20, 2)] {
        let world = World::seeded(1);
        let cluster = Cluster::shared(std::slice::from_ref(&hash), tree());
        let server = &cluster.servers[0];
        server.ponders.set(Duration::from_secs(seconds));
        server.answer_instead("SIZE", &format!("213 {size}"));
        cluster.start(&world, r#"{"proof": "digest"}"#);
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let before = world.now();
            assert_eq!(client.fetch("RETR /big").await, (content(1, SIZE), 226));
            let waited = (world.now() - before).as_secs();
            assert!(waited <= seconds + 1, "{waited}");
            // Too long: it is not asked for another one at a new link.
            assert_eq!(server.heard_of("USER"), logins);
            assert_eq!(server.heard_of("HASH"), 1);
        });
    }
}

#[test]
fn a_digest_is_asked_for_up_to_its_limit() {
    let hash = Settings {
        hash: true,
        ..Settings::of(Style::Proftpd)
    };
    for (options, times) in [
        ("{}", 1),
        (r#"{"digest_limit": 399999}"#, 0),
        (r#"{"proof": "digest", "digest_limit": 399999}"#, 0),
        (r#"{"proof": "digest", "digest_limit": 400000}"#, 1),
        (r#"{"proof": "tail"}"#, 0),
    ] {
        let world = World::seeded(1);
        let cluster = Cluster::shared(std::slice::from_ref(&hash), tree());
        cluster.start(&world, options);
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            assert_eq!(client.fetch("RETR /big").await, (content(1, SIZE), 226));
        });
        assert_eq!(cluster.servers[0].heard_of("HASH"), times, "{options}");
    }
}

#[test]
fn a_last_word_that_is_none_is_not_passed_on() {
    for word in ["350 Go on.", "331 Password required"] {
        let world = World::seeded(1);
        let settings = [Settings::of(Style::Vsftpd), Settings::of(Style::Vsftpd)];
        let cluster = Cluster::shared(&settings, tree());
        for server in &cluster.servers {
            server.last_words.borrow_mut().push_back(word.to_owned());
        }
        cluster.start(&world, "{}");
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            // One node after the other says it, and then what is right.
            assert_eq!(client.fetch("RETR /big").await, (content(1, SIZE), 226));
            assert_eq!(
                cluster
                    .servers
                    .iter()
                    .map(|s| s.heard_of("RETR"))
                    .sum::<usize>(),
                3
            );
        });
    }
}

#[test]
fn of_nothing_a_last_word_that_is_none_is_not_passed_on_either() {
    let world = World::seeded(1);
    let mut tree = tree();
    tree.make_directory(b"/empty").unwrap();
    let cluster = Cluster::shared(&[Settings::of(Style::Vsftpd)], tree);
    let words = std::iter::repeat_n("350 Go on.".to_owned(), 100);
    cluster.servers[0].last_words.borrow_mut().extend(words);
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        assert_eq!(client.fetch("LIST /empty").await, (Vec::new(), 426));
    });
}

#[test]
fn a_node_that_cannot_go_on_is_left_out_and_the_next_one_can() {
    for (verb, reply) in [
        ("REST", "502 REST not implemented."),
        ("REST", "501 No."),
        ("RETR", "530 Please login with USER and PASS."),
        ("RETR", "550 Failed to open file."),
        ("RETR", "553 No."),
        ("EPSV", "530 Please login with USER and PASS."),
        ("TYPE", "504 No."),
    ] {
        for other in [1, 2] {
            let world = World::seeded(3);
            let settings = slow(Style::Vsftpd);
            let cluster = Cluster::shared(&vec![settings; 3], tree());
            cluster.start(&world, "{}");
            world.run(async {
                let mut client = Client::logged_in(&world).await;
                let logged_in =
                    |server: &&std::rc::Rc<_>| model::server::Server::heard_of(server, "USER") > 0;
                let used = cluster
                    .servers
                    .iter()
                    .position(|server| logged_in(&server))
                    .unwrap();
                let server = &cluster.servers[(used + other) % 3];
                for _ in 0..4 {
                    server.answer_instead(verb, reply);
                    // RFC 2428: what EPSV cannot, PASV may.
                    server.answer_instead("PASV", reply);
                }
                let mut data = begun(&mut client, "RETR /big").await;
                let mut got = data.read_exact(1000).await.unwrap();
                world.kill(model::NAMES[used]);
                got.extend(data.read_to_end().await.unwrap_or_default());
                assert_eq!(client.reply().await.code, 226, "{verb} {reply} {other}");
                assert!(got == content(1, SIZE));
            });
        }
    }
}

#[test]
fn when_no_node_can_go_on_the_client_is_told() {
    for (verb, reply, code) in [
        ("REST", "502 REST not implemented.", 426),
        ("RETR", "530 Please login with USER and PASS.", 426),
        ("RETR", "550 Failed to open file.", 451),
    ] {
        let refuses = |server: &model::server::Server| {
            for _ in 0..4 {
                server.answer_instead(verb, reply);
            }
        };
        let world = World::seeded(3);
        let cluster = Cluster::shared(&vec![slow(Style::Vsftpd); 3], tree());
        cluster.start(&world, "{}");
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let mut data = begun(&mut client, "RETR /big").await;
            data.read_exact(1000).await.unwrap();
            let used = cluster
                .servers
                .iter()
                .position(|server| server.heard_of("RETR") > 0);
            cluster.servers.iter().for_each(|server| refuses(server));
            world.kill(model::NAMES[used.unwrap()]);
            assert!(data.read_to_end().await.is_err());
            assert_eq!(client.reply().await.code, code, "{verb} {reply}");
        });
    }
}

#[test]
fn a_node_that_pauses_is_not_taken_for_a_client_that_takes_nothing() {
    let settings = Settings {
        // A piece in ten seconds.
        rate: 51,
        ..Settings::of(Style::Vsftpd)
    };
    let world = World::seeded(1);
    let mut tree = tree();
    tree.put("/slow", content(4, 2_000), BEGUN);
    let cluster = Cluster::shared(&[settings], tree);
    cluster.start(&world, r#"{"idle_seconds": 4}"#);
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        assert_eq!(client.fetch("RETR /slow").await, (content(4, 2_000), 226));
    });
}

/// Telnet's IP and Synch, and ABOR: the codes of what is said then, and how many seconds it took.
async fn abort(world: &World, client: &mut Client) -> (Vec<u16>, u64) {
    let before = world.now();
    client
        .control
        .write_urgent(b"\xff\xf4\xff\xf2")
        .await
        .unwrap();
    client.send(b"ABOR\r\n").await;
    let codes = vec![client.reply().await.code, client.reply().await.code];
    (codes, (world.now() - before).as_secs())
}

#[test]
fn an_abort_before_the_data_connection_is_up_is_heard_at_once() {
    one(Settings::of(Style::Vsftpd), "{}", async |world, client| {
        client.ask("EPSV").await;
        client.send(b"RETR /big\r\n").await;
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(abort(world, client).await, (vec![426, 226], 0));
        // Nothing runs.
        assert_eq!(client.ask("ABOR").await.code, 226);
    });
}

#[test]
fn an_abort_while_the_node_makes_a_digest_is_heard() {
    let world = World::seeded(1);
    let hash = Settings {
        hash: true,
        ..Settings::of(Style::Proftpd)
    };
    let cluster = Cluster::shared(&[hash], tree());
    cluster.servers[0].answer_instead("SIZE", "213 16000000");
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        for (ponders, logins) in [(2, 1), (5, 2)] {
            cluster.servers[0].ponders.set(Duration::from_secs(ponders));
            client.ask("EPSV").await;
            client.send(b"RETR /big\r\n").await;
            world.sleep(Duration::from_millis(100)).await;
            let (codes, seconds) = abort(&world, &mut client).await;
            assert!(codes == [426, 226] && seconds <= 3, "{codes:?} {seconds}");
            cluster.servers[0].ponders.set(Duration::ZERO);
            assert_eq!(client.fetch("RETR /small").await, (content(3, 100), 226));
            // A link whose dialogue is whole again is kept.
            assert_eq!(cluster.servers[0].heard_of("USER"), logins);
        }
    });
}

#[test]
fn an_abort_at_the_end_is_heard_before_the_last_word() {
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[Settings::of(Style::Vsftpd)], tree());
    cluster.servers[0].lingers.set(Duration::from_secs(4));
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let mut data = begun(&mut client, "RETR /small").await;
        assert_eq!(data.read_exact(100).await.unwrap(), content(3, 100));
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(abort(&world, &mut client).await, (vec![426, 226], 0));
        assert!(data.read_to_end().await.is_err());
        cluster.servers[0].lingers.set(Duration::ZERO);
        assert_eq!(client.fetch("RETR /small").await, (content(3, 100), 226));
        assert_eq!(cluster.servers[0].heard_of("USER"), 1, "its link is whole");
    });
}

#[test]
fn an_abort_while_a_switch_is_under_way_is_heard() {
    let world = World::seeded(1);
    let settings = [slow(Style::Vsftpd), slow(Style::Vsftpd)];
    let cluster = Cluster::shared(&settings, tree());
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let mut data = begun(&mut client, "RETR /big").await;
        data.read_exact(1000).await.unwrap();
        // The one is lost, and the other lets nobody in for a while.
        for (server, name) in cluster.servers.iter().zip(model::NAMES) {
            match server.heard_of("RETR") {
                0 => world.silence(name),
                _ => world.kill(name),
            }
        }
        world.sleep(Duration::from_millis(100)).await;
        let (codes, seconds) = abort(&world, &mut client).await;
        assert!(codes == [426, 226] && seconds <= 5, "{codes:?} {seconds}");
        assert!(data.read_to_end().await.is_err());
        model::NAMES
            .iter()
            .take(2)
            .for_each(|name| world.revive(name));
        assert_eq!(client.fetch("RETR /small").await, (content(3, 100), 226));
    });
}

#[test]
fn a_restart_that_was_aborted_is_not_the_next_files() {
    for after in (0..600).step_by(7) {
        let mumbling = Settings {
            mumbles: true,
            ..Settings::of(Style::Vsftpd)
        };
        one(mumbling, "{}", async |world, client| {
            client.ask("TYPE I").await;
            let port = port(&client.ask("EPSV").await.text);
            let data = client.control.connect(port).await.unwrap();
            client.send(b"REST 50\r\nRETR /small\r\n").await;
            assert_eq!(client.reply().await.code, 350);
            world.sleep(Duration::from_millis(after)).await;
            client.send(b"ABOR\r\nNOOP\r\n").await;
            // Marked or not, and ended by the file's end or by ABOR.
            let mut codes = Vec::new();
            while codes.last() != Some(&200) {
                assert!(codes.len() < 5, "{codes:?}");
                codes.push(client.reply().await.code);
            }
            drop(data);
        });
    }
}

/// A listing that is held back up to its end, and larger than what is on its way to a client.
fn listed() -> Tree {
    let mut tree = tree();
    for nth in 0..600 {
        let path = format!("/many/a-file-of-a-long-name-{nth:04}");
        tree.put(&path, content(0, 7), BEGUN);
    }
    tree
}

#[test]
fn a_client_that_does_not_take_the_last_of_it_is_given_up_or_aborts() {
    for aborts in [false, true] {
        let world = World::seeded(1);
        let cluster = Cluster::shared(&[Settings::of(Style::Vsftpd)], listed());
        cluster.start(&world, r#"{"idle_seconds": 20}"#);
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let mut data = begun(&mut client, "LIST /many").await;
            data.read_exact(500).await.unwrap();
            world.sleep(Duration::from_secs(5)).await;
            if aborts {
                assert_eq!(abort(&world, &mut client).await, (vec![426, 226], 0));
            } else {
                let before = world.now();
                assert_eq!(client.reply().await.code, 426);
                let waited = (world.now() - before).as_secs();
                assert!((14..=25).contains(&waited), "{waited}");
            }
            assert!(data.read_to_end().await.is_err());
            assert_eq!(client.fetch("RETR /small").await, (content(3, 100), 226));
        });
        assert_eq!(cluster.servers[0].heard_of("USER"), 1);
    }
}

#[test]
fn a_node_that_dies_while_the_client_takes_the_last_of_it_is_not_seen() {
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[Settings::of(Style::Vsftpd)], listed());
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let mut data = begun(&mut client, "LIST /many").await;
        let got = data.read_exact(500).await.unwrap();
        world.sleep(Duration::from_secs(5)).await;
        world.declare_down("a");
        world.sleep(Duration::from_secs(5)).await;
        let rest = data.read_to_end().await.unwrap();
        assert_eq!(client.reply().await.code, 226);
        assert_eq!(
            String::from_utf8([got, rest].concat())
                .unwrap()
                .lines()
                .count(),
            600
        );
    });
}

#[test]
fn pasv_is_for_ipv4_alone() {
    let mapped = std::net::Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped();
    for (options, told) in [
        ("{}", None),
        (r#"{"address": "203.0.113.7"}"#, Some("203,0,113,7")),
    ] {
        for (ip, code) in [(Ipv6Addr::LOCALHOST, 425), (mapped, 227)] {
            let world = World::seeded(1);
            let cluster = Cluster::shared(&[Settings::of(Style::Vsftpd)], tree());
            cluster.start(&world, options);
            world.run(async {
                let mut client = Client::over(world.connect_from(IpAddr::V6(ip))).await;
                client.log_in().await;
                // What was agreed upon before a refused command stays.
                let port = port(&client.ask("EPSV").await.text);
                let reply = client.ask("PASV").await;
                assert_eq!(reply.code, code, "{ip} {options}");
                if code == 227 {
                    let told = told.unwrap_or("127,0,0,1");
                    assert!(reply.text.contains(told), "{}", reply.text);
                    return;
                }
                let mut data = client.control.connect(port).await.unwrap();
                assert_eq!(client.ask("LIST").await.code, 150);
                data.read_to_end().await.unwrap();
                assert_eq!(client.reply().await.code, 226);
            });
        }
    }
}

#[test]
fn when_no_port_is_free_that_is_a_425() {
    let world = World::seeded(1);
    let cluster = Cluster::shared(&[Settings::of(Style::Vsftpd)], tree());
    cluster.start(&world, r#"{"ports": "50000-50001"}"#);
    world.run(async {
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(Client::logged_in(&world).await);
        }
        let [first, second, third] = &mut clients[..] else {
            panic!("three");
        };
        let port = port(&first.ask("EPSV").await.text);
        assert_eq!(second.ask("PASV").await.code, 227);
        for command in ["EPSV", "PASV"] {
            assert_eq!(third.ask(command).await.code, 425);
        }
        assert_eq!(third.ask("LIST").await.code, 425);
        // It is bound before it is named, and free once its connection is there.
        let mut data = first.control.connect(port).await.unwrap();
        assert_eq!(first.ask("RETR /small").await.code, 150);
        assert_eq!(third.fetch("RETR /small").await, (content(3, 100), 226));
        assert_eq!(data.read_to_end().await.unwrap(), content(3, 100));
        assert_eq!(first.reply().await.code, 226);
    });
}

#[test]
fn what_was_begun_is_what_the_client_has_bytes_of() {
    let world = World::seeded(3);
    let timeless = Settings {
        mdtm: false,
        ..slow(Style::Vsftpd)
    };
    let cluster = Cluster::separate(&[slow(Style::Vsftpd), timeless], &tree());
    let [a, b] = &cluster.servers[..] else {
        panic!("two");
    };
    // As long, and what the client gets of it is from here.
    b.tree.borrow_mut().put("/big", content(9, SIZE), BEGUN);
    b.busy.set(true);
    a.trips.set(Some(0));
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        b.busy.set(false);
        let mut data = begun(&mut client, "RETR /big").await;
        let got = data.read_exact(100_000).await.unwrap();
        assert!(content(9, SIZE).starts_with(&got));
        world.kill("b");
        // `a` tells the same of its file as when it began, and sent nothing.
        assert!(data.read_to_end().await.is_err());
        assert_eq!(client.reply().await.code, 451);
    });
}

#[test]
fn a_226_that_says_aborted_is_no_end() {
    let world = World::seeded(1);
    let settings = [Settings::of(Style::PureFtpd), Settings::of(Style::PureFtpd)];
    let cluster = Cluster::shared(&settings, tree());
    for server in &cluster.servers {
        server.stumbles.set(Some(100_000));
        let word = "226-Transfer aborted\r\n226 0.001 seconds";
        server.last_words.borrow_mut().push_back(word.to_owned());
    }
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        assert_eq!(client.fetch("RETR /big").await, (content(1, SIZE), 226));
    });
}

#[test]
fn a_server_that_is_stopped_while_it_makes_a_digest_is_found_at_once() {
    let world = World::seeded(1);
    let hash = Settings {
        hash: true,
        ..Settings::of(Style::Proftpd)
    };
    let cluster = Cluster::shared(&[hash.clone(), hash], tree());
    cluster.start(&world, "{}");
    world.run(async {
        let mut client = Client::logged_in(&world).await;
        let used = cluster.servers[1].heard_of("USER");
        cluster.servers[used].ponders.set(Duration::from_secs(4));
        let port = port(&client.ask("EPSV").await.text);
        let mut data = client.control.connect(port).await.unwrap();
        client.send(b"RETR /big\r\n").await;
        world.sleep(Duration::from_millis(100)).await;
        assert_eq!(cluster.servers[used].heard_of("HASH"), 1);
        world.silence(model::NAMES[used]);
        let before = world.now();
        assert_eq!(client.reply().await.code, 150);
        let waited = world.now() - before;
        assert!(waited < Duration::from_millis(1500), "{waited:?}");
        assert!(data.read_to_end().await.unwrap() == content(1, SIZE));
        assert_eq!(client.reply().await.code, 226);
    });
}
