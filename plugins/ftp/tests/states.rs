//! The kill matrix goes on: the states that a session passes through when it is made again, transfers of which
//! the client has a part that must be proved, and what is never resent. As in `matrix.rs`; and each command
//! answered with 421 in its turn.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::time::Duration;

use director_sdk::testing::{Cut, World};

use model::Cluster;
use model::client::{Client, Mode};
use model::server::Settings;
use model::style::Style;
use model::sweep::{OLD, Scene};
use model::tree::{BEGUN, content, lines};

/// Restarts the server that serves the session: so that what follows is a switch, whose bytes are swept, too.
async fn restart(world: &World, cluster: &Cluster) {
    let used = cluster.used().name.clone();
    world.kill(&used);
    world.sleep(Duration::from_millis(1)).await;
    world.revive(&used);
}

fn text_of(file: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(file.to_vec()).unwrap();
    text.replace('\n', "\r\n").into_bytes()
}

#[test]
fn each_step_of_making_a_session_again() {
    let settings = Settings {
        account: Some("books"),
        tls: true,
        ..Settings::of(Style::Proftpd)
    };
    for (options, private) in [
        ("{}", false),
        (r#"{"tls": "required", "node_tls": "explicit"}"#, true),
    ] {
        let scene = Scene {
            settings: settings.clone(),
            options,
            private,
            ..Scene::of(
                "a session made again",
                if private { 83 } else { 47 },
                Style::Proftpd,
            )
        };
        scene.sweep(async |world, cluster, client| {
            assert_eq!(client.ask("ACCT books").await.code, 230);
            for set in [
                "CLNT lftp",
                "OPTS UTF8 ON",
                "OPTS MLST type;size;",
                "LANG en",
                "TYPE I",
                "CWD /pub/many",
            ] {
                assert!(client.ask(set).await.code / 100 == 2, "{set}");
            }
            restart(world, cluster).await;
            assert!(client.ask("PWD").await.text.contains("/pub/many"));
            restart(world, cluster).await;
            let got = client.fetch("RETR file3").await;
            assert_eq!(got, (content(3, 10), 226));
            restart(world, cluster).await;
            assert_eq!(client.ask("RNFR file3").await.code, 350);
            restart(world, cluster).await;
            assert_eq!(client.ask("RNTO file33").await.code, 250);
        });
    }
}

#[test]
fn a_host_and_another_user() {
    Scene::of("HOST, REIN", 29, Style::PureFtpd).sweep(async |world, cluster, client| {
        assert!(client.ask("REIN").await.code / 100 == 2);
        assert_eq!(client.ask("PWD").await.code, 530);
        assert!(client.ask("HOST ftp.example.org").await.code / 100 == 2);
        client.log_in().await;
        client.ask("TYPE A").await;
        client.ask("CWD pub").await;
        restart(world, cluster).await;
        assert_eq!(client.ask("MLST many").await.code, 250);
    });
}

/// More than is held back until the end: a part of it must be swallowed at the next server.
#[test]
fn texts_and_listings_of_which_the_client_has_a_part() {
    let text = lines(7, 80_000);
    let mut scene = Scene::of("RETR in ASCII, long", 8_000, Style::PureFtpd);
    scene.tree.put("/pub/long", text.clone(), BEGUN);
    scene.settings.piece = 4096;
    let right = text_of(&text);
    scene.sweep(async |_, _, client| {
        client.ask("TYPE A").await;
        let (got, code) = client.fetch("RETR /pub/long").await;
        assert!(got == right && code == 226, "{:#?}", client.transcript);
    });
    for (command, stride) in [("LIST /pub/many", 11_000), ("MLSD /pub/many", 11_000)] {
        let mut scene = Scene::of(command, stride, Style::Proftpd);
        scene.settings.piece = 4096;
        for n in 0..1300 {
            let name = format!("/pub/many/a-name-that-is-rather-long-{n}");
            scene.tree.put(&name, content(n, 3), BEGUN);
        }
        scene.sweep(async |_, _, client| {
            let (got, code) = client.fetch(command).await;
            assert!(
                got.len() > 80_000 && code == 226,
                "{:#?}",
                client.transcript
            );
        });
    }
}

/// By a digest, by the last bytes alone, and where the mirrors have storage of their own.
#[test]
fn downloads_by_each_proof() {
    let plain = Settings::of(Style::Proftpd);
    for (name, settings) in [
        (
            "RETR, HASH",
            Settings {
                hash: true,
                mdtm: false,
                ..plain.clone()
            },
        ),
        (
            "RETR, XSHA256",
            Settings {
                xsha256: true,
                ..plain.clone()
            },
        ),
        (
            "RETR, the last bytes",
            Settings {
                mdtm: false,
                size: false,
                ..plain.clone()
            },
        ),
    ] {
        let scene = Scene {
            settings,
            separate: true,
            options: r#"{"compare_limit": 0}"#,
            ..Scene::of(name, 61, Style::Proftpd)
        };
        scene.sweep(async |_, _, client| {
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(got == (content(1, 1500), 226), "{:#?}", client.transcript);
            client.ask("REST 900").await;
            let got = client.fetch("RETR /pub/file.bin").await;
            let right = content(1, 1500)[900..].to_vec();
            assert!(got == (right, 226), "{:#?}", client.transcript);
        });
    }
}

#[test]
fn an_upload_behind_a_restart() {
    for style in Style::ALL {
        let sent = content(9, 900);
        let whole = [content(3, OLD), sent.clone()].concat();
        let scene = Scene {
            expect: vec![("/pub/old", whole.clone())],
            ..Scene::of("REST, STOR", 41, style)
        };
        scene.sweep(async |_, cluster, client| {
            client.ask(&format!("REST {OLD}")).await;
            let code = client.store("STOR /pub/old", &sent).await;
            let tree = cluster.servers[0].tree.borrow();
            let stored = tree.file(b"/pub/old").unwrap().0;
            assert!(code == 226 && stored == whole, "{:#?}", client.transcript);
        });
    }
}

/// What the client is told when nothing can be promised: the truth. The code of a success means that it was done.
#[test]
fn what_is_never_resent() {
    let sent = content(9, 600);
    for command in [
        "STOU",
        "SITE CHMOD 600 old",
        "SITE UMASK 077",
        "APPE /pub/old",
        "REST STOR",
    ] {
        let whole = match command {
            "APPE /pub/old" | "REST STOR" => [content(3, OLD), sent.clone()].concat(),
            _ => sent.clone(),
        };
        let apart = matches!(command, "APPE /pub/old" | "REST STOR");
        let scene = Scene {
            separate: apart,
            options: if apart {
                r#"{"storage": "separate"}"#
            } else {
                "{}"
            },
            compares: false,
            expect: vec![("/pub/old", whole)],
            ..Scene::of(command, 23, Style::Vsftpd)
        };
        scene.sweep(async |_, cluster, client| {
            let (code, did) = match command {
                "STOU" => (client.store("STOU", &sent).await, "STOU"),
                "APPE /pub/old" => (client.store(command, &sent).await, "STOR /pub/old"),
                "REST STOR" => {
                    client.ask(&format!("REST {OLD}")).await;
                    (client.store("STOR /pub/old", &sent).await, "STOR /pub/old")
                }
                _ => (client.ask(command).await.code, command),
            };
            let times = match command {
                // Once for each link.
                "SITE UMASK 077" => usize::from(code == 200),
                _ => cluster.times(did),
            };
            let told = matches!(code, 425 | 426 | 450..=452);
            assert!(
                times <= 1 && (code / 100 == 2 && times == 1 || told),
                "{code}, done {times} times: {:#?}\n{:?}",
                client.transcript,
                cluster.heard()
            );
            assert_eq!(client.ask("NOOP").await.code, 200);
        });
    }
}

/// Files of nothing: an end is all that there is of them.
#[test]
fn empty_files() {
    for (style, command) in
        Style::ALL
            .into_iter()
            .zip(["STOR /pub/new", "STOR /pub/old", "STOR /pub/empty"])
    {
        let mut scene = Scene::of(command, 61, style);
        // An end that nobody said is here the end of all, and what is stored then is right.
        scene.faults = &[Cut::Reset, Cut::Silence, Cut::Stall, Cut::Kill];
        scene.tree.put("/pub/empty", content(0, 0), BEGUN);
        scene.expect = vec![(&command[5..], Vec::new())];
        scene.sweep(async |_, cluster, client| {
            let got = client.fetch("RETR /pub/empty").await;
            assert!(got == (Vec::new(), 226), "{:#?}", client.transcript);
            assert_eq!(client.store(command, b"").await, 226);
            let tree = cluster.servers[0].tree.borrow();
            assert!(tree.file(&command.as_bytes()[5..]).unwrap().0.is_empty());
        });
    }
}

#[test]
fn other_commands_with_effects() {
    for style in [Style::Proftpd, Style::PureFtpd] {
        Scene::of("MFMT, XMKD, XRMD", 31, style).sweep(async |_, _, client| {
            assert_eq!(client.ask("MFMT 20200101000000 /pub/old").await.code, 213);
            assert_eq!(client.ask("XMKD /pub/made").await.code, 257);
            assert_eq!(client.ask("MKD /pub/made").await.code, 550);
            assert_eq!(client.ask("XRMD /pub/made").await.code, 250);
            assert!(client.ask("RNFR /pub/none").await.code == 550);
        });
    }
}

#[test]
fn primaries_with_storage_of_their_own() {
    // A node that is gone with what it did is not asked, and the next has not done it.
    let scene = Scene {
        separate: true,
        faults: &[Cut::Reset, Cut::End],
        options: r#"{"storage": "separate", "primary": ["a", "b", "c"]}"#,
        ..Scene::of("DELE, MKD, RNTO, separate", 31, Style::Proftpd)
    };
    scene.sweep(async |_, _, client| {
        assert_eq!(client.ask("DELE /pub/gone").await.code, 250);
        assert_eq!(client.ask("MKD /pub/made").await.code, 257);
        assert_eq!(client.ask("RNFR /pub/old").await.code, 350);
        assert_eq!(client.ask("RNTO /pub/new").await.code, 250);
    });
}

#[test]
fn data_connections_of_every_kind() {
    let sent = content(9, 700);
    for (mode, node_data) in [
        (Mode::Pasv, "passive"),
        (Mode::Eprt, "passive"),
        (Mode::Port, "active"),
        (Mode::Epsv, "active"),
    ] {
        let (name, options) = (
            format!("{mode:?}, {node_data}"),
            format!(r#"{{"node_data": "{node_data}"}}"#),
        );
        let scene = Scene {
            options: &options,
            expect: vec![("/pub/new", sent.clone())],
            ..Scene::of(&name, 97, Style::Vsftpd)
        };
        scene.sweep(async |_, _, client| {
            client.mode = mode;
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(got == (content(1, 1500), 226), "{:#?}", client.transcript);
            assert_eq!(client.store("STOR /pub/new", &sent).await, 226);
            let (got, code) = client.fetch("NLST /pub").await;
            assert!(!got.is_empty() && code == 226, "{:#?}", client.transcript);
        });
    }
}

/// ABOR in each state: in a download, an upload and a listing, before and after. It is answered once, and the
/// session goes on.
#[test]
fn aborts() {
    for style in Style::ALL {
        let scene = Scene {
            compares: false,
            settings: Settings {
                rate: 20_000,
                ..Settings::of(style)
            },
            ..Scene::of("ABOR", 67, style)
        };
        scene.sweep(async |_, _, client| {
            assert!(matches!(client.ask("ABOR").await.code, 225 | 226));
            let (got, codes) = client.abort_after("RETR /pub/file.bin", 600).await;
            assert!(
                content(1, 1500).starts_with(&got),
                "{:#?}",
                client.transcript
            );
            assert!(is_of_an_abort(&codes), "{:#?}", client.transcript);
            let codes = abort_an_upload(client).await;
            assert!(is_of_an_abort(&codes), "{:#?}", client.transcript);
            client.ask("EPSV").await;
            assert!(matches!(client.ask("ABOR").await.code, 225 | 226));
            assert_eq!(client.ask("NOOP").await.code, 200);
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(got == (content(1, 1500), 226), "{:#?}", client.transcript);
        });
    }
}

/// Aborted, or done before it was heard.
fn is_of_an_abort(codes: &[u16]) -> bool {
    matches!(codes, [426, 226] | [226] | [226, 225 | 226])
}

async fn abort_an_upload(client: &mut Client) -> Vec<u16> {
    let port = client.ask("EPSV").await.text;
    let port = port.split('|').nth(3).unwrap().parse().unwrap();
    let mut data = client.control.connect(port).await.unwrap();
    assert_eq!(client.ask("STOR /pub/half").await.code, 150);
    data.write_all(&content(5, 300)).await.unwrap();
    client.send(b"ABOR\r\n").await;
    let mut codes = vec![client.reply().await.code];
    if codes == [426] {
        codes.push(client.reply().await.code);
    }
    codes
}
