//! What may not be helped ends so that the client can tell: the director killed or stopped, no server
//! left, another file under the same name. Never a spliced file, never a short one with exit status 0.

use std::path::PathBuf;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client, Running};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::{process, programs};
use rustix::process::Signal;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);
const SIZE: usize = 8_000_000;

async fn cluster(plan: &Plan) -> Cluster {
    let plan = plan.clone().rate(1_000_000);
    Cluster::start(&plan, |home| {
        content::file(&home.join("small"), b"small")?;
        content::file(&home.join("big.bin"), &content::bytes(1, SIZE))
    })
    .await
    .unwrap()
}

/// The same, over TLS on both sides.
fn over_tls(mut plan: Plan) -> Plan {
    plan.tls = true;
    plan.options += "tls = \"required\"\nnode_tls = \"explicit\"\n";
    plan
}

/// A download of which the first bytes have come, and where they are.
async fn begun(cluster: &Cluster) -> (Running, PathBuf) {
    let local = cluster.folder.join("got");
    let place = cluster.tls_place().unwrap_or_else(|_| cluster.place());
    let client = clients::start(Client::Curl.fetch(&place, "big.bin", &local)).unwrap();
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
        let plan = Plan::of(&[Kind::Vsftpd]);
        for plan in [plan.clone(), over_tls(plan)] {
            let mut cluster = cluster(&plan).await;
            let (client, local) = begun(&cluster).await;
            cluster.director.program.kill().await.unwrap();
            told(client, &local, "kill -9 of the director").await;
        }
    });
}

#[test]
fn a_stopped_director_is_not_the_end_of_a_file() {
    story(90, || async {
        let mut plan = Plan::of(&[Kind::Vsftpd]);
        plan.more = "stop_grace = \"300ms\"\n".to_owned();
        for plan in [plan.clone(), over_tls(plan)] {
            let cluster = cluster(&plan).await;
            let (client, local) = begun(&cluster).await;
            cluster.director.program.signal(Signal::TERM).unwrap();
            told(client, &local, "SIGTERM, and its grace over").await;
        }
    });
}

#[test]
fn a_panic_is_not_the_end_of_a_file() {
    story(90, || async {
        let mut plan = Plan::of(&[Kind::Proftpd]);
        plan.plugin = || programs::apart("libftp_panics.so");
        for plan in [plan.clone(), over_tls(plan)] {
            let cluster = cluster(&plan).await;
            let (client, local) = begun(&cluster).await;
            let sign = cluster.director.state().join("ftp/plugin/panic");
            std::fs::create_dir_all(sign.parent().unwrap()).unwrap();
            std::fs::write(&sign, "").unwrap();
            told(client, &local, "a panic of the plugin").await;
            let said = cluster.director.program.stderr();
            assert!(said.contains("as asked, in ftp"), "{said}");
            std::fs::remove_file(&sign).unwrap();
            // It was one session's end, and no sign against its node.
            let command = Client::Curl.fetch(&cluster.place(), "small", &local);
            if !plan.tls {
                let ended = clients::run(command, SOON).await.unwrap();
                assert!(ended.status.success(), "{ended:?}");
                assert_eq!(std::fs::read(&local).unwrap(), b"small");
            }
            let nodes = cluster.director.status().await.unwrap().nodes();
            assert!(nodes.iter().all(|node| node.standing == "up"), "{nodes:?}");
        }
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
    let carrier = cluster.carried_by("/big.bin").await.unwrap();
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
