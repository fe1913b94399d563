//! Other bytes than were sent, on any connection to a node from any byte on.
//!
//! In clear nobody can tell: FTP has no checksum. What must hold is that the dialogue with the client stays
//! one, that it comes to its end, and that nothing is left. Under TLS the record that was touched does
//! not open, so it is a failure like others, and the client sees none of it.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use director_sdk::testing::{Cut, World, some_cuts};

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content, lines};

fn cluster(tls: bool) -> Cluster {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, 1500), BEGUN);
    tree.put("/pub/text.txt", lines(2, 300), BEGUN);
    let settings = Settings {
        tls,
        ..Settings::of(Style::Proftpd)
    };
    Cluster::shared(&[settings.clone(), settings.clone(), settings], tree)
}

/// What a client may be told of a command.
fn is_final(code: u16) -> bool {
    (200..600).contains(&code)
}

#[test]
fn in_clear_the_dialogue_stays_whole() {
    let swept = some_cuts(1, &[Cut::Garbage], 7, |world: &World| {
        let cluster = cluster(false);
        cluster.start(world, "{}");
        world.run(async {
            let mut client = Client::new(world).await;
            client.log_in().await;
            for command in ["TYPE I", "CWD /pub", "PWD", "SIZE file.bin"] {
                let code = client.ask(command).await.code;
                assert!(
                    is_final(code) || client.is_over(),
                    "{:#?}",
                    client.transcript
                );
            }
            for command in ["RETR file.bin", "LIST"] {
                let (_, code) = client.fetch(command).await;
                assert!(
                    is_final(code) || client.is_over(),
                    "{:#?}",
                    client.transcript
                );
            }
            // Nothing more is said than was asked for.
            let code = client.ask("NOOP").await.code;
            assert!(code == 200 || client.is_over(), "{:#?}", client.transcript);
            client.quit().await;
        });
    });
    assert!(swept.runs > 100, "{swept:?}");
}

#[test]
fn under_tls_it_is_a_failure_like_others() {
    let swept = some_cuts(2, &[Cut::Garbage], 17, |world: &World| {
        let cluster = cluster(true);
        cluster.start(world, r#"{"node_tls": "explicit"}"#);
        world.run(async {
            let mut client = Client::logged_in(world).await;
            let got = client.fetch("RETR /pub/file.bin").await;
            assert!(
                got == (content(1, 1500), 226),
                "{:#?}\n{}",
                client.transcript,
                world.story()
            );
            let (_, code) = client.fetch("LIST /pub").await;
            assert_eq!(code, 226, "{:#?}\n{}", client.transcript, world.story());
            client.quit().await
        })
    });
    assert!(swept.switches as usize > swept.runs / 2, "{swept:?}");
}
