//! The plugin between a client and model servers: what each sees.

#![forbid(unsafe_code)]

mod model;

use director_sdk::testing::World;

use model::Cluster;
use model::client::{Client, Mode};
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content};

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, 3000), BEGUN);
    tree
}

#[test]
fn a_download() {
    for style in Style::ALL {
        for mode in [Mode::Epsv, Mode::Pasv, Mode::Port, Mode::Eprt] {
            let world = World::seeded(1);
            let cluster = Cluster::shared(&[Settings::of(style)], tree());
            cluster.start(&world, "{}");
            let (got, transcript) = world.run(async {
                let mut client = Client::logged_in(&world).await;
                client.mode = mode;
                client.ask("CWD pub").await;
                let got = client.fetch("RETR file.bin").await;
                (got, client.quit().await)
            });
            assert_eq!(got.1, 226, "{transcript:#?}\n{}", world.story());
            assert_eq!(got.0, content(1, 3000));
        }
    }
}
