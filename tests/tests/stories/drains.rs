//! A node is drained by the command line while a download hangs on it.

use std::time::Duration;

use director_tests::director::{Director, NodeStatus};
use director_tests::fetch::{self, Download, Mirrors};

use crate::bounded::story;

/// Bytes a second that a node gives one download.
const RATE: u64 = 2_000_000;
/// What the download takes three seconds for.
const SIZE: usize = 6_000_000;
const SOON: Duration = Duration::from_secs(10);

/// The node that the only download hangs on.
async fn in_use(director: &Director) -> NodeStatus {
    let used = |nodes: Vec<NodeStatus>| nodes.into_iter().find(|node| node.in_flight > 0);
    let status = director
        .status_with("a node in use", SOON, |status| {
            used(status.nodes()).is_some()
        })
        .await
        .unwrap();
    used(status.nodes()).unwrap()
}

async fn standing_of(director: &Director, address: &str) -> NodeStatus {
    let nodes = director.status().await.unwrap().nodes();
    let found = nodes.into_iter().find(|node| node.address == address);
    found.unwrap()
}

#[test]
fn a_drained_node_keeps_its_session_and_gets_no_other() {
    story(60, || async {
        let mirrors = Mirrors::start(3, RATE, false).await.unwrap();
        let director = mirrors.director().await.unwrap();
        let address = director.address.clone();
        let long = tokio::spawn(async move { fetch::download(&address, SIZE, |_| ()).await });
        let used = in_use(&director).await.address;
        let service = ["--service", "fetch"];
        let said = director
            .command(&["drain", &used, service[0], service[1]])
            .await
            .unwrap();
        assert!(
            said.contains("1 sessions are on it, it is draining"),
            "{said}"
        );
        for _ in 0..10 {
            let short = fetch::download(&director.address, 1_000, |_| ()).await;
            assert_eq!(short.unwrap(), Download::Whole);
        }
        let drained = standing_of(&director, &used).await;
        assert_eq!(
            (drained.standing.as_str(), drained.in_flight),
            ("draining", 1)
        );
        assert_eq!(long.await.unwrap().unwrap(), Download::Whole);
        let switches = director.metric("director_switches_total").await.unwrap();
        assert_eq!(switches, 0.0, "nobody had to move");
        director
            .command(&["undrain", &used, service[0], service[1]])
            .await
            .unwrap();
        assert_eq!(standing_of(&director, &used).await.standing, "up");
    });
}

#[test]
fn the_drain_deadline_moves_a_download_which_arrives_whole() {
    story(60, || async {
        let mirrors = Mirrors::start(3, RATE, false).await.unwrap();
        let director = mirrors
            .director_with("drain_deadline = \"500ms\"")
            .await
            .unwrap();
        let address = director.address.clone();
        let long = tokio::spawn(async move { fetch::download(&address, SIZE, |_| ()).await });
        let used = in_use(&director).await.address;
        director
            .command(&["drain", &used, "--service", "fetch"])
            .await
            .unwrap();
        director
            .status_with("nobody on the drained node", SOON, |status| {
                let nodes = status.nodes();
                let gone = nodes
                    .iter()
                    .all(|node| node.address != used || node.in_flight == 0);
                gone && nodes.iter().any(|node| node.in_flight > 0)
            })
            .await
            .unwrap();
        assert_eq!(long.await.unwrap().unwrap(), Download::Whole);
        assert_eq!(standing_of(&director, &used).await.standing, "draining");
    });
}
