//! Downloads through the real director: nodes are killed, stopped and cut off in the middle of them.
//!
//! The director is told nothing. A download either arrives whole, with the digest that was promised, or
//! ends so that its client can tell; these stories want every one whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use director_tests::director::{Director, Rest};
use director_tests::fetch::{self, Download, Mirrors};
use director_tests::process;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::bounded::{story, story_in_own_network};
use crate::chance::Chance;

/// Bytes a second that a node gives one download.
const RATE: u64 = 2_000_000;

/// Starts a download; its second part says how many bytes have come.
fn begin(downloads: &mut JoinSet<Download>, address: &str, size: usize) -> Arc<AtomicUsize> {
    let come = Arc::new(AtomicUsize::new(0));
    let (count, address) = (Arc::clone(&come), address.to_owned());
    downloads.spawn(async move {
        let count = |bytes| count.store(bytes, Ordering::Relaxed);
        fetch::download(&address, size, count)
            .await
            .expect("the director takes connections")
    });
    come
}

/// The node that the only download hangs on.
async fn in_use(director: &Director, mirrors: &Mirrors) -> usize {
    let status = director.status().await.unwrap();
    let nodes = status.nodes();
    let used = nodes
        .iter()
        .max_by_key(|node| node.in_flight)
        .filter(|node| node.in_flight > 0);
    let used = used.unwrap_or_else(|| panic!("no node is in use: {nodes:?}"));
    mirrors
        .nodes
        .iter()
        .position(|node| node.address == used.address)
        .unwrap()
}

async fn all_whole(mut downloads: JoinSet<Download>) {
    while let Some(ended) = downloads.join_next().await {
        assert_eq!(ended.unwrap(), Download::Whole);
    }
}

/// Kills whichever node is in use, several times in one download; each comes back.
async fn survives(hosts: bool, fault: Fault) {
    let mut mirrors = Mirrors::start(3, RATE, hosts).await.unwrap();
    let director = mirrors.director().await.unwrap();
    let before = director.steady(Duration::from_secs(10)).await.unwrap();
    let mut downloads = JoinSet::new();
    let size = 6_000_000;
    let come = begin(&mut downloads, &director.address, size);
    for part in 1..=4 {
        let due = size * part / 6;
        process::until("the download goes on", Duration::from_secs(20), || {
            come.load(Ordering::Relaxed) >= due
        })
        .await
        .unwrap();
        director.all_up(Duration::from_secs(20)).await.unwrap();
        let used = in_use(&director, &mirrors).await;
        let node = &mut mirrors.nodes[used];
        match fault {
            Fault::Kill => {
                node.kill().await.unwrap();
                let at = come.load(Ordering::Relaxed);
                let goes_on = || come.load(Ordering::Relaxed) > at + 65_536;
                process::until(
                    "it goes on after the kill",
                    Duration::from_secs(10),
                    goes_on,
                )
                .await
                .unwrap();
                node.start().await.unwrap();
            }
            Fault::Stop => {
                node.signal(Signal::STOP).unwrap();
                let at = come.load(Ordering::Relaxed);
                let goes_on = || come.load(Ordering::Relaxed) > at + 65_536;
                process::until(
                    "it goes on after the stop",
                    Duration::from_secs(10),
                    goes_on,
                )
                .await
                .unwrap();
                node.signal(Signal::CONT).unwrap();
            }
            Fault::Drop => {
                let host = node.host.as_ref().unwrap();
                host.cut().await.unwrap();
                let at = come.load(Ordering::Relaxed);
                let goes_on = || come.load(Ordering::Relaxed) > at + 65_536;
                process::until("it goes on after the cut", Duration::from_secs(10), goes_on)
                    .await
                    .unwrap();
                host.heal().await.unwrap();
            }
        }
    }
    all_whole(downloads).await;
    assert_at_rest(&director, before).await;
}

enum Fault {
    Kill,
    Stop,
    Drop,
}

async fn assert_at_rest(director: &Director, before: Rest) {
    let after = director
        .settled(&before, Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(
        after, before,
        "in flight, descriptors and objects, after and before"
    );
}

#[test]
fn a_download_survives_the_kill_of_each_node_it_is_moved_to() {
    story(120, || survives(false, Fault::Kill));
}

#[test]
fn a_download_survives_nodes_that_fall_silent() {
    story(120, || survives(false, Fault::Stop));
}

#[test]
fn a_download_survives_nodes_whose_packets_vanish() {
    let name = "downloads::a_download_survives_nodes_whose_packets_vanish";
    story_in_own_network(name, 120, || survives(true, Fault::Drop));
}

/// How many downloads have to be cut: 400, or `FETCH_CUTS`.
fn cuts_due() -> usize {
    std::env::var("FETCH_CUTS").map_or(400, |text| text.parse().expect("FETCH_CUTS is a number"))
}

#[test]
fn downloads_cut_at_random_instants_are_never_wrong() {
    let due = cuts_due();
    let seconds = 180 + due as u64;
    story(seconds, || cut_at_random(due));
}

/// Rounds of 30 downloads of many sizes; in each round one node dies at a random instant. The downloads
/// that hung on it at that instant, by the director's own word, are the cuts.
async fn cut_at_random(due: usize) {
    let seed = std::env::var("FETCH_SEED").map_or(1, |text| text.parse().unwrap());
    let mut chance = Chance::new(seed);
    let mut mirrors = Mirrors::start(3, RATE, false).await.unwrap();
    let director = mirrors.director().await.unwrap();
    let before = director.steady(Duration::from_secs(10)).await.unwrap();
    let (mut cut, mut rounds, mut with_bytes, mut whole) = (0, 0, 0, 0);
    while cut < due {
        rounds += 1;
        director.all_up(Duration::from_secs(20)).await.unwrap();
        let mut downloads = JoinSet::new();
        let mut come = Vec::new();
        for _ in 0..30 {
            let size = 50_000 + chance.below(1_000_000);
            come.push(begin(&mut downloads, &director.address, size));
        }
        tokio::time::sleep(Duration::from_millis(chance.below(350) as u64)).await;
        let victim = chance.below(3);
        let address = mirrors.nodes[victim].address.clone();
        let status = director.status().await.unwrap();
        let on_it = status
            .nodes()
            .iter()
            .filter(|n| n.address == address)
            .map(|n| n.in_flight)
            .sum::<u64>();
        with_bytes +=
            usize::from(come.iter().any(|bytes| bytes.load(Ordering::Relaxed) > 0) && on_it > 0);
        let silent = chance.below(4) == 0;
        if silent {
            mirrors.nodes[victim].signal(Signal::STOP).unwrap();
        } else {
            mirrors.nodes[victim].kill().await.unwrap();
        }
        while let Some(ended) = downloads.join_next().await {
            let ended = ended.unwrap();
            assert_eq!(ended, Download::Whole, "seed {seed}, round {rounds}");
            whole += 1;
        }
        cut += usize::try_from(on_it).unwrap();
        if silent {
            mirrors.nodes[victim].signal(Signal::CONT).unwrap();
        } else {
            mirrors.nodes[victim].start().await.unwrap();
        }
    }
    println!(
        "{cut} downloads cut in {rounds} rounds ({with_bytes} in mid-file), {whole} downloads, all whole"
    );
    assert!(
        with_bytes * 2 >= rounds,
        "in half of the rounds bytes had reached the client"
    );
    assert_at_rest(&director, before).await;
}
