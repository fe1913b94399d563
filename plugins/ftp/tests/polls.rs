//! The node declared down, and the session cancelled, between every two awaits; every operation on a
//! node's stream failing in its turn; and connections that move one byte at a time.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use director_sdk::testing::{World, every_call, every_poll};

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content};

fn cluster() -> Cluster {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, 1500), BEGUN);
    tree.put("/pub/gone", content(4, 40), BEGUN);
    let settings = Settings::of(Style::Proftpd);
    let cluster = Cluster::shared(&[settings.clone(), settings.clone(), settings], tree);
    cluster.expect("/pub/new", &content(9, 1200));
    cluster
}

/// A download, an upload and a command with an effect, whatever they come to.
async fn talk(world: &World) -> Vec<String> {
    let mut client = Client::logged_in(world).await;
    client.ask("CWD /pub").await;
    client.fetch("RETR file.bin").await;
    client.store("STOR new", &content(9, 1200)).await;
    client.ask("DELE gone").await;
    client.fetch("LIST").await;
    client.quit().await
}

fn scenario(world: &World) -> Vec<String> {
    let cluster = cluster();
    cluster.start(world, "{}");
    let mut told = world.run(talk(world));
    let stored: usize = cluster.stored("/pub/new").into_iter().sum();
    assert!(stored <= 1, "stored {stored} times: {:?}", cluster.heard());
    told.push(cluster.servers[0].tree.borrow().to_string());
    told
}

#[test]
fn no_death_between_two_awaits_is_seen_and_a_cancelled_session_leaves_nothing() {
    let swept = every_poll(1, scenario, |world| {
        cluster().start(world, "{}");
        world.run(talk(world));
    });
    println!("{swept:?}");
    assert!(swept.switches > 10, "{swept:?}");
}

#[test]
fn no_failing_operation_on_a_node_is_seen() {
    let swept = every_call(2, scenario);
    println!("{swept:?}");
    assert!(swept.switches > 50, "{swept:?}");
}

#[test]
fn one_byte_at_a_time_is_the_same() {
    let whole = scenario(&World::seeded(3));
    // Room for a few commands in one piece: less than that no network has.
    for (room, piece) in [(256, 1), (256, 3), (512, 64)] {
        let world = World::seeded(3);
        world.buffers(room, piece);
        assert_eq!(scenario(&world), whole);
        let left = world.finish();
        assert_eq!(
            (left.left_behind, left.cancelled, left.panics),
            (0, 0, 0),
            "{left:?}"
        );
    }
}
