//! The kill matrix: every state and every verb, cut at bytes of every connection to a node, both ways,
//! by every fault; and a second fault during the recovery. What the client sees is what it sees
//! without a fault, and what the nodes did they did once.
//!
//! The short form takes every so-manieth byte, others for each seed; `FTP_MATRIX=1` takes every byte
//! (2 every other, and so on), `FTP_PAIRS=1000` so many pairs of faults a scenario, and `FTP_SEED=2` is
//! another sample.

#![forbid(unsafe_code)]

mod model;

use director_sdk::testing::{Cut, World};

use model::Cluster;
use model::client::{Client, Mode};
use model::server::Settings;
use model::style::Style;
use model::sweep::{FAULTS, OLD, play, session, sweep, sweep_by, three, tree};
use model::tree::{content, lines};

/// A session over shared storage.
fn shared<F>(world: &World, style: Style, options: &str, talk: F) -> Vec<String>
where
    F: AsyncFn(&Cluster, &mut Client),
{
    let cluster = Cluster::shared(&three(style), tree());
    session(world, &cluster, options, talk)
}

#[test]
fn a_dialogue() {
    for style in Style::ALL {
        sweep("dialogue", 11, |world| {
            shared(world, style, "{}", async |_, client| {
                client.ask("CWD pub").await;
                client.ask("PWD").await;
                client.ask("TYPE A").await;
                client.ask("TYPE I").await;
                client.ask("SIZE file.bin").await;
                client.ask("MDTM file.bin").await;
                client.ask("CDUP").await;
                client.ask("SIZE pub/none").await;
                client.ask("NOOP").await;
            })
        });
    }
}

#[test]
fn a_binary_download() {
    sweep("RETR", 23, |world| {
        shared(world, Style::Vsftpd, "{}", async |_, client| {
            client.ask("CWD pub").await;
            let got = client.fetch("RETR file.bin").await;
            assert!(got == (content(1, 1500), 226), "{:#?}", client.transcript);
        })
    });
}

#[test]
fn a_binary_download_from_an_offset() {
    sweep("REST", 31, |world| {
        shared(world, Style::Proftpd, "{}", async |_, client| {
            client.ask("REST 700").await;
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(
                got == (content(1, 1500)[700..].to_vec(), 226),
                "{:#?}",
                client.transcript
            );
        })
    });
}

#[test]
fn an_ascii_download() {
    sweep("RETR in ASCII", 23, |world| {
        shared(world, Style::PureFtpd, "{}", async |_, client| {
            client.ask("TYPE A").await;
            let (got, code) = client.fetch("RETR /pub/text.txt").await;
            let text = String::from_utf8(lines(2, 700))
                .unwrap()
                .replace('\n', "\r\n");
            assert!(
                got == text.as_bytes() && code == 226,
                "{:#?}",
                client.transcript
            );
        })
    });
}

#[test]
fn listings() {
    sweep("LIST, NLST, MLSD", 37, |world| {
        shared(world, Style::Proftpd, "{}", async |_, client| {
            client.ask("CWD /pub/many").await;
            for command in ["LIST", "NLST", "MLSD", "LIST /pub"] {
                let (got, code) = client.fetch(command).await;
                assert!(!got.is_empty() && code == 226, "{:#?}", client.transcript);
            }
        })
    });
}

#[test]
fn an_upload_to_shared_storage() {
    for (style, command) in [
        (Style::Vsftpd, "STOR /pub/new"),
        (Style::Proftpd, "STOR /pub/old"),
        (Style::PureFtpd, "APPE /pub/old"),
    ] {
        // What a silent server would append is told, not gone on with: `uploads.rs` has that.
        let faults: &[Cut] = match command {
            "APPE /pub/old" => &[Cut::Reset, Cut::End, Cut::Kill],
            _ => &FAULTS,
        };
        sweep_by(command, (faults, 29, 2), |world| {
            let sent = content(9, 1200);
            let whole = match command {
                "APPE /pub/old" => [content(3, OLD), sent.clone()].concat(),
                _ => sent.clone(),
            };
            let cluster = Cluster::shared(&three(style), tree());
            let path = command.split(' ').nth(1).unwrap();
            cluster.expect(path, &whole);
            let mut told = session(world, &cluster, "{}", async |_, client| {
                let code = client.store(command, &sent).await;
                assert_eq!(
                    code,
                    226,
                    "{:#?}\n{}\n{:?}",
                    client.transcript,
                    world.story(),
                    cluster.heard()
                );
            });
            told.push(cluster.servers[0].tree.borrow().to_string());
            assert!(
                cluster.servers[0]
                    .tree
                    .borrow()
                    .file(path.as_bytes())
                    .unwrap()
                    .0
                    == whole
            );
            told
        });
    }
}

#[test]
fn an_upload_to_separate_storage() {
    sweep("STOR, separate", 29, |world| {
        let sent = content(9, 1200);
        let cluster = Cluster::separate(&three(Style::Vsftpd), &tree());
        cluster.expect("/pub/new", &sent);
        let told = session(
            world,
            &cluster,
            r#"{"storage": "separate"}"#,
            async |_, client| {
                let code = client.store("STOR /pub/new", &sent).await;
                assert_eq!(
                    code,
                    226,
                    "{:#?}\n{}\n{:?}",
                    client.transcript,
                    world.story(),
                    cluster.heard()
                );
            },
        );
        // Where it is, it is whole: never half of it under its own name. A rename of which nobody knows
        // leaves it at that server, and it is at the next one, too.
        let stored = cluster.stored("/pub/new");
        assert!(
            stored.iter().all(|times| *times <= 1),
            "{stored:?} {:?}",
            cluster.heard()
        );
        assert!(stored.contains(&1), "{stored:?} {:?}", cluster.heard());
        for server in &cluster.servers {
            let tree = server.tree.borrow();
            assert!(
                tree.file(b"/pub/new")
                    .map_or(true, |(bytes, _)| bytes == sent)
            );
        }
        told
    });
}
#[test]
fn commands_with_effects() {
    for style in [Style::Proftpd, Style::PureFtpd, Style::Vsftpd] {
        sweep("effects", 23, |world| {
            let cluster = Cluster::shared(&three(style), tree());
            let mut told = session(world, &cluster, "{}", async |_, client| {
                client.ask("CWD /pub").await;
                assert_eq!(client.ask("DELE gone").await.code, 250);
                assert_eq!(client.ask("MKD made").await.code, 257);
                assert_eq!(client.ask("RNFR old").await.code, 350);
                assert_eq!(client.ask("RNTO made/moved").await.code, 250);
                assert_eq!(client.ask("MKD other").await.code, 257);
                assert_eq!(client.ask("RMD other").await.code, 250);
                assert_eq!(client.ask("DELE gone").await.code, 550);
            });
            told.push(cluster.servers[0].tree.borrow().to_string());
            told
        });
    }
}

/// Everything over TLS on both sides, with data connections that must resume.
fn private<F>(world: &World, cluster: &Cluster, talk: F) -> Vec<String>
where
    F: AsyncFn(&mut Client),
{
    let options = r#"{"tls": "required", "node_tls": "explicit"}"#;
    play(world, cluster, options, true, talk)
}

fn private_three() -> Vec<Settings> {
    let tls = |settings: Settings| Settings {
        tls: true,
        ..settings
    };
    three(Style::Vsftpd).into_iter().map(tls).collect()
}

#[test]
fn transfers_over_tls() {
    sweep("RETR, TLS", 61, |world| {
        let cluster = Cluster::shared(&private_three(), tree());
        private(world, &cluster, async |client| {
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(got == (content(1, 1500), 226), "{:#?}", client.transcript);
        })
    });
    sweep("STOR, TLS", 61, |world| {
        let sent = content(9, 1200);
        let cluster = Cluster::shared(&private_three(), tree());
        cluster.expect("/pub/new", &sent);
        let mut told = private(world, &cluster, async |client| {
            let code = client.store("STOR /pub/new", &sent).await;
            assert_eq!(code, 226, "{:#?}", client.transcript);
        });
        told.push(cluster.servers[0].tree.borrow().to_string());
        let stored: usize = cluster.stored("/pub/new").into_iter().sum();
        assert!(stored <= 1, "stored {stored} times: {:?}", cluster.heard());
        told
    });
}

#[test]
fn active_data_connections_on_both_sides() {
    sweep("RETR, active", 43, |world| {
        shared(
            world,
            Style::PureFtpd,
            r#"{"node_data": "active"}"#,
            async |_, client| {
                client.mode = Mode::Port;
                let got = client.fetch("RETR /pub/file.bin").await;
                assert!(got == (content(1, 1500), 226), "{:#?}", client.transcript);
            },
        )
    });
}

#[test]
fn an_ascii_upload() {
    sweep("STOR in ASCII", 43, |world| {
        let cluster = Cluster::shared(&three(Style::Proftpd), tree());
        let kept = lines(5, 600);
        let sent = String::from_utf8(kept.clone())
            .unwrap()
            .replace('\n', "\r\n");
        cluster.expect("/pub/new", &kept);
        let mut told = session(world, &cluster, "{}", async |_, client| {
            client.ask("TYPE A").await;
            let code = client.store("STOR /pub/new", sent.as_bytes()).await;
            assert_eq!(
                code,
                226,
                "{:#?}\n{}\n{:?}",
                client.transcript,
                world.story(),
                cluster.heard()
            );
        });
        told.push(cluster.servers[0].tree.borrow().to_string());
        let stored: usize = cluster.stored("/pub/new").into_iter().sum();
        assert!(stored <= 1, "stored {stored} times: {:?}", cluster.heard());
        told
    });
}

/// ProFTPD as it comes: no REST before STOR, and what is broken off is gone.
#[test]
fn an_upload_to_servers_that_keep_no_half() {
    sweep("STOR, discarded", 43, |world| {
        let settings = three(Style::Proftpd).map(|settings| Settings {
            restart_stores: false,
            discards: true,
            ..settings
        });
        let sent = content(9, 900);
        let cluster = Cluster::shared(&settings, tree());
        cluster.expect("/pub/new", &sent);
        let mut told = session(world, &cluster, "{}", async |_, client| {
            let code = client.store("STOR /pub/new", &sent).await;
            assert_eq!(
                code,
                226,
                "{:#?}\n{}\n{:?}",
                client.transcript,
                world.story(),
                cluster.heard()
            );
        });
        told.push(cluster.servers[0].tree.borrow().to_string());
        let stored: usize = cluster.stored("/pub/new").into_iter().sum();
        assert!(stored <= 1, "stored {stored} times: {:?}", cluster.heard());
        told
    });
}
