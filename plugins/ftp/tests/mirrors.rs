//! One mirror in ten differs in one byte: it is refused, and its nine peers go on. Where it is the only one left,
//! the client is told. Two files are never spliced.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::io::ErrorKind;
use std::time::Duration;

use director_sdk::testing::{Limits, World};
use proptest::prelude::*;

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content, lines};

const SIZE: usize = 100_000;
const TEXT: usize = 160_000;
/// Files in the directory that is listed; a line of LIST or MLSD has less than 100 bytes.
const FILES: usize = 2000;
/// Where the client begins, behind REST.
const REST: usize = 20_000;
/// The mirrors.
const TEN: usize = 10;

/// What is fetched, and by what one file is told from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Hash,
    Xsha256,
    Xcrc,
    Time,
    LastBytes,
    RestHash,
    RestTime,
    RestLastBytes,
    Text,
    List,
    Mlsd,
}

impl Proof {
    const ALL: [Self; 11] = [
        Self::Hash,
        Self::Xsha256,
        Self::Xcrc,
        Self::Time,
        Self::LastBytes,
        Self::RestHash,
        Self::RestTime,
        Self::RestLastBytes,
        Self::Text,
        Self::List,
        Self::Mlsd,
    ];

    fn settings(self) -> Settings {
        let plain = Settings {
            rate: 2_000_000,
            ..Settings::of(Style::Proftpd)
        };
        match self {
            Self::Hash | Self::RestHash => Settings {
                hash: true,
                ..plain
            },
            Self::Xsha256 => Settings {
                xsha256: true,
                ..plain
            },
            Self::Xcrc => Settings {
                xcrc: true,
                ..plain
            },
            Self::LastBytes | Self::RestLastBytes => Settings {
                mdtm: false,
                ..plain
            },
            Self::Time | Self::RestTime | Self::Text | Self::List | Self::Mlsd => plain,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Text => "RETR /text",
            Self::List => "LIST /many",
            Self::Mlsd => "MLSD /many",
            Self::Hash | Self::Xsha256 | Self::Xcrc | Self::Time | Self::LastBytes => "RETR /file",
            Self::RestHash | Self::RestTime | Self::RestLastBytes => "RETR /file",
        }
    }

    fn rests(self) -> bool {
        matches!(self, Self::RestHash | Self::RestTime | Self::RestLastBytes)
    }

    /// Whether the client gets nothing of it before the node says that it is complete, up to a bound.
    fn is_held_back(self) -> bool {
        matches!(self, Self::Text | Self::List | Self::Mlsd)
    }

    /// How much the client has when the first server dies: `share` of 100.
    fn after(self, share: usize) -> usize {
        match self.is_held_back() {
            true => 80_000 + share * 300,
            false => 20_000 + share * 300,
        }
    }

    /// Makes a tree's file another one of the same size, in a place that the client knows by then: `at` of 1000.
    fn change(self, tree: &mut Tree, after: usize, at: usize) {
        let flip = |tree: &mut Tree, path: &str, at: usize, time: &[u8]| {
            let mut bytes = tree.file(path.as_bytes()).unwrap().0.to_vec();
            bytes[at] ^= 1;
            tree.put(path, bytes, time);
        };
        let other: &[u8] = b"20260105120001";
        match self {
            Self::Hash | Self::Xsha256 | Self::Xcrc | Self::RestHash => {
                flip(tree, "/file", at * SIZE / 1000, BEGUN);
            }
            Self::Time | Self::RestTime => flip(tree, "/file", at * SIZE / 1000, other),
            // One of the last bytes that the client has.
            Self::LastBytes => flip(tree, "/file", after - 1 - at * 15, BEGUN),
            Self::RestLastBytes => flip(tree, "/file", REST + after - 1 - at * 15, BEGUN),
            Self::Text => {
                // Of the delivered part, and no end of a line.
                let text = tree.file(b"/text").unwrap().0;
                let from = at * after * 8 / 10 / 1000;
                let at = (from..).find(|at| text[*at] == b's').unwrap();
                flip(tree, "/text", at, BEGUN);
            }
            Self::List | Self::Mlsd => {
                let nth = at * after / 100 / 1000;
                tree.put(&name(nth), content(0, 8), BEGUN);
            }
        }
    }
}

fn name(nth: usize) -> String {
    format!("/many/a-file-of-a-rather-long-name-{nth:04}")
}

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.put("/file", content(1, SIZE), BEGUN);
    tree.put("/text", lines(2, TEXT), BEGUN);
    for nth in 0..FILES {
        tree.put(&name(nth), content(0, 7), BEGUN);
    }
    tree
}

/// How a download ended.
struct Got {
    bytes: Vec<u8>,
    ended: Result<(), ErrorKind>,
    code: u16,
    switches: u64,
    /// The server at which it was begun.
    first: String,
    story: String,
}

/// Begins a download, and kills the server that serves it each time when the client has so many bytes more.
async fn fetch(world: &World, cluster: &Cluster, proof: Proof, deaths: &[usize]) -> Got {
    let mut client = Client::logged_in(world).await;
    if proof == Proof::Text {
        client.ask("TYPE A").await;
    }
    let port = client.ask("EPSV").await.text;
    let port = port.split('|').nth(3).unwrap().parse().unwrap();
    let mut data = client.control.connect(port).await.unwrap();
    if proof.rests() {
        client.ask(&format!("REST {REST}")).await;
    }
    assert_eq!(client.ask(proof.command()).await.code, 150);
    let first = cluster.used().name.clone();
    let (mut bytes, mut ended) = (Vec::new(), None);
    for more in deaths {
        match data.read_exact(*more).await {
            Ok(piece) => bytes.extend(piece),
            Err(error) => {
                ended = Some(Err(error.kind()));
                break;
            }
        }
        world.kill(&cluster.used().name);
    }
    let mut piece = [0; 4096];
    while ended.is_none() {
        match data.read(&mut piece).await {
            Ok(0) => ended = Some(Ok(())),
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(error) => ended = Some(Err(error.kind())),
        }
    }
    let code = client.reply().await.code;
    Got {
        bytes,
        ended: ended.unwrap(),
        code,
        switches: world.switches(),
        first,
        story: world.story(),
    }
}

/// What a client sees of a server that has this, for comparison.
fn whole(proof: Proof, tree: &Tree) -> Vec<u8> {
    let world = World::seeded(1);
    let cluster = Cluster::separate(&[proof.settings()], tree);
    cluster.start(&world, "{}");
    let got = world.run(fetch(&world, &cluster, proof, &[]));
    assert_eq!(
        (got.ended, got.code),
        (Ok(()), 226),
        "{proof:?}\n{}",
        got.story
    );
    got.bytes
}

/// Ten mirrors, of which one has another file; two of them die one after the other.
fn ten(seed: u64, proof: Proof, share: usize, at: usize) -> Result<(), TestCaseError> {
    let world = World::seeded(seed);
    let limits = Limits {
        within: Duration::from_secs(120),
        attempts: 20,
        ..Limits::default()
    };
    world.limits(limits, 0.2, 100);
    let settings = vec![proof.settings(); TEN];
    let cluster = Cluster::separate(&settings, &tree());
    let bad = &cluster.servers[seed as usize % TEN];
    let after = proof.after(share);
    proof.change(&mut bad.tree.borrow_mut(), after, at);
    cluster.start(&world, "{}");
    let got = world.run(fetch(&world, &cluster, proof, &[after, 20_000]));
    let right = whole(proof, &tree());
    if got.first == bad.name {
        // Nobody else has this file.
        let other = whole(proof, &bad.tree.borrow());
        prop_assert!(other.starts_with(&got.bytes), "spliced\n{}", got.story);
        prop_assert_eq!(got.ended, Err(ErrorKind::ConnectionReset));
        prop_assert!(matches!(got.code, 426 | 451), "{}\n{}", got.code, got.story);
        return Ok(());
    }
    prop_assert!(
        got.bytes == right,
        "{} bytes\n{}",
        got.bytes.len(),
        got.story
    );
    prop_assert_eq!((got.ended, got.code), (Ok(()), 226));
    prop_assert!(got.switches >= 2, "{}", got.switches);
    Ok(())
}

/// Two mirrors, of which the other has another file: the client is told.
fn two(seed: u64, proof: Proof, share: usize, at: usize) -> Result<(), TestCaseError> {
    let world = World::seeded(seed);
    let settings = vec![proof.settings(); 2];
    let cluster = Cluster::separate(&settings, &tree());
    cluster.start(&world, "{}");
    let after = proof.after(share);
    let got = world.run(async {
        // The next client may be at either: so both differ from each other.
        proof.change(&mut cluster.servers[0].tree.borrow_mut(), after, at);
        fetch(&world, &cluster, proof, &[after]).await
    });
    prop_assert_eq!(got.ended, Err(ErrorKind::ConnectionReset), "{}", got.story);
    prop_assert!(matches!(got.code, 426 | 451), "{}\n{}", got.code, got.story);
    prop_assert!(got.bytes.len() >= after);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn one_mirror_in_ten_differs_in_one_byte(
        seed: u64, which in 0..Proof::ALL.len(), share in 0..100_usize, at in 0..1000_usize,
    ) {
        ten(seed, Proof::ALL[which], share, at)?;
        two(seed, Proof::ALL[which], share, at)?;
    }
}

#[test]
fn by_each_proof_it_is_refused() {
    for (nth, proof) in Proof::ALL.into_iter().enumerate() {
        ten(nth as u64, proof, 30, 500).unwrap();
        two(nth as u64, proof, 30, 500).unwrap();
    }
}

/// An upload goes on only where what stands there can be its own beginning: with so many bytes of it out of the
/// ring, the half-file of another size, or none, is not gone on with.
#[test]
fn a_half_file_that_cannot_be_its_own_is_not_gone_on_with() {
    let sent = content(7, 60_000);
    for (ring, half, right) in [
        (20_000, Some(0), false),
        (20_000, Some(1_000), false),
        (20_000, Some(100_000), false),
        (20_000, None, false),
        (100_000, Some(1_000), true),
        (100_000, Some(100_000), true),
        (100_000, None, true),
    ] {
        let world = World::seeded(3);
        world.buffers(4096, 1024);
        let settings = Settings {
            rate: 10_000_000,
            ..Settings::of(Style::Proftpd)
        };
        let cluster = Cluster::shared(&[settings.clone(), settings], Tree::default());
        cluster.start(&world, &format!(r#"{{"ring": {ring}}}"#));
        let code = world.run(async {
            let mut client = Client::logged_in(&world).await;
            let killer = async {
                loop {
                    world.sleep(Duration::from_micros(50)).await;
                    let mut tree = cluster.servers[0].tree.borrow_mut();
                    if tree
                        .file(b"/up")
                        .is_ok_and(|(bytes, _)| bytes.len() > 40_000)
                    {
                        world.kill(&cluster.used().name);
                        let _it_was_there = tree.delete(b"/up");
                        if let Some(half) = half {
                            tree.put("/up", content(8, half), b"20260105130000");
                        }
                        return;
                    }
                }
            };
            futures_util::future::join(client.store("STOR /up", &sent), killer)
                .await
                .0
        });
        let tree = cluster.servers[0].tree.borrow();
        let stored = tree.file(b"/up").map(|(bytes, _)| bytes == sent);
        match right {
            true => assert_eq!((code, stored), (226, Ok(true)), "{ring} {half:?}"),
            false => assert!(matches!(code, 426 | 451), "{ring} {half:?}: {code}"),
        }
    }
}
