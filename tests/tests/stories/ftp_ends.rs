//! What may not be helped ends so that the client can tell: the director killed or stopped, no server
//! left, another file under the same name. Never a spliced file, never a short one with exit status 0.

use std::path::PathBuf;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client, Running};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;
use rustix::process::Signal;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);
const SIZE: usize = 8_000_000;

async fn cluster(plan: &Plan) -> Cluster {
    let plan = plan.clone().rate(1_000_000);
    Cluster::start(&plan, |home| {
        content::file(&home.join("big.bin"), &content::bytes(1, SIZE))
    })
    .await
    .unwrap()
}

/// A download of which the first bytes have come, and where they are.
async fn begun(cluster: &Cluster) -> (Running, PathBuf) {
    let local = cluster.folder.join("got");
    let client = clients::start(Client::Curl.fetch(&cluster.place(), "big.bin", &local)).unwrap();
    process::until("bytes come", SOON, || length(&local) > 100_000)
        .await
        .unwrap();
    (client, local)
}

/// The client knows that it has not the file; what it has is the beginning of the one it began.
async fn told(client: Running, local: &PathBuf, what: &str) {
    let ended = client.ended(SOON).await.unwrap();
    assert!(!ended.status.success(), "{what}: {ended:?}");
    let got = std::fs::read(local).unwrap();
    assert!(
        got.len() < SIZE && content::bytes(1, SIZE).starts_with(&got),
        "{what}: spliced"
    );
}

#[test]
fn a_killed_director_is_not_the_end_of_a_file() {
    story(90, || async {
        let mut cluster = cluster(&Plan::of(&[Kind::Vsftpd])).await;
        let (client, local) = begun(&cluster).await;
        cluster.director.program.kill().await.unwrap();
        told(client, &local, "kill -9 of the director").await;
    });
}

#[test]
fn a_stopped_director_is_not_the_end_of_a_file() {
    story(90, || async {
        let mut plan = Plan::of(&[Kind::Vsftpd]);
        plan.more = "stop_grace = \"300ms\"\n".to_owned();
        let cluster = cluster(&plan).await;
        let (client, local) = begun(&cluster).await;
        cluster.director.program.signal(Signal::TERM).unwrap();
        told(client, &local, "SIGTERM, and its grace over").await;
    });
}

#[test]
fn a_stopping_director_lets_a_download_end() {
    story(90, || async {
        let mut plan = Plan::of(&[Kind::Vsftpd]);
        plan.more = "stop_grace = \"60s\"\n".to_owned();
        let mut cluster = cluster(&plan).await;
        let (client, local) = begun(&cluster).await;
        cluster.director.program.signal(Signal::TERM).unwrap();
        let ended = client.ended(SOON).await.unwrap();
        assert!(ended.status.success(), "{ended:?}");
        assert!(std::fs::read(&local).unwrap() == content::bytes(1, SIZE));
        let status = cluster.director.program.ended(SOON).await.unwrap();
        assert!(status.success(), "{status}");
    });
}

#[test]
fn no_server_left_is_not_the_end_of_a_file() {
    story(90, || async {
        let mut plan = Plan::of(&[Kind::Vsftpd, Kind::Proftpd]);
        plan.more = "within = \"3s\"\n".to_owned();
        let mut cluster = cluster(&plan).await;
        let (client, local) = begun(&cluster).await;
        for number in 0..2 {
            cluster.hurt(number, Fault::Kill, "/big.bin").await.unwrap();
        }
        told(client, &local, "both servers killed").await;
    });
}

/// The second server has another file of the same name and size, of `seconds` (since 1970). Whichever
/// carries the download is killed: the other must not go on with it.
async fn another_file(kind: Kind, seconds: u64) {
    let plan = Plan::of(&[kind, kind]).separate();
    let mut cluster = cluster(&plan).await;
    let other = cluster.home(1).join("big.bin");
    std::fs::write(&other, content::bytes(2, SIZE)).unwrap();
    content::aged(&other, seconds).unwrap();
    let (client, local) = begun(&cluster).await;
    let carrier = cluster.carrier("/big.bin").unwrap().unwrap();
    cluster
        .hurt(carrier, Fault::Kill, "/big.bin")
        .await
        .unwrap();
    let ended = client.ended(SOON).await.unwrap();
    assert!(!ended.status.success(), "{kind:?}: {ended:?}");
    let got = std::fs::read(&local).unwrap();
    let begun = content::bytes(1 + carrier as u64, SIZE);
    assert!(
        got.len() < SIZE && begun.starts_with(&got),
        "{kind:?}: spliced, {} bytes",
        got.len()
    );
}

#[test]
fn another_file_of_another_time_is_refused() {
    story(120, || async {
        another_file(Kind::Vsftpd, 1_700_000_001).await;
        another_file(Kind::Pureftpd, 1_700_000_001).await;
    });
}

#[test]
fn another_file_of_the_same_time_is_refused_by_its_digest() {
    story(60, || another_file(Kind::Proftpd, 1_700_000_000));
}
