//! Downloads by real clients through the director, whose servers are killed, stopped and cut off at
//! twenty points of the file (eight and five where only its session is): the client's file is right, and its exit status 0.

use std::path::PathBuf;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client, Place};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;

use crate::bounded::{story, story_in_own_network};

const SOON: Duration = Duration::from_secs(60);

/// The file's size.
const SIZE: usize = 64 << 20;

/// Bytes a second that a server gives.
const RATE: u64 = 12_000_000;

/// Waits until a server carries the file, and says which.
async fn carrier(cluster: &Cluster, name: &str) -> usize {
    let mut found = None;
    process::until("a server has the file open", SOON, || {
        found = cluster.carrier(name).unwrap();
        found.is_some()
    })
    .await
    .unwrap();
    found.unwrap()
}

/// Downloads until `due` faults were done, one after another, at points all over the file; every download
/// is whole.
async fn survives(plan: &Plan, fault: Fault, due: usize, place: impl Fn(&Cluster) -> Place) {
    let content = content::bytes(1, SIZE);
    let mut cluster = Cluster::start(plan, |home| content::file(&home.join("big.bin"), &content))
        .await
        .unwrap();
    let mut done = 0;
    let mut downloads = 0;
    while done < due {
        downloads += 1;
        let local: PathBuf = cluster.folder.join(format!("got-{downloads}"));
        let command = Client::Curl.fetch(&place(&cluster), "big.bin", &local);
        let mut client = clients::start(command).unwrap();
        // Points of this file still ahead: the twenty are spread over it as far as the servers come back.
        while done < due {
            let at = (SIZE / (due + 1) * (done + 1)) as u64;
            let mut over = false;
            process::until("the download goes on", SOON, || {
                over = client.program.has_ended().unwrap();
                over || length(&local) >= at
            })
            .await
            .unwrap();
            if over || length(&local) + (1 << 20) > SIZE as u64 {
                break;
            }
            let victim = carrier(&cluster, "/big.bin").await;
            cluster.hurt(victim, fault, "/big.bin").await.unwrap();
            done += 1;
            let at = length(&local);
            process::until("it goes on after the fault", SOON, || {
                length(&local) > at + 65_536 || client.program.has_ended().unwrap()
            })
            .await
            .unwrap_or_else(|error| {
                panic!(
                    "{error}: {fault:?} {done} at {at}; {}",
                    cluster.director.program.stderr()
                )
            });
            cluster.mend(victim, fault).await.unwrap();
            cluster.director.all_up(SOON).await.unwrap();
        }
        let ended = client.ended(SOON).await.unwrap();
        let said = cluster.director.program.stderr();
        assert!(
            ended.status.success(),
            "{fault:?} {done}: {ended:?}\n{said}"
        );
        assert!(
            std::fs::read(&local).unwrap() == content,
            "{fault:?}: another file, {} bytes",
            length(&local)
        );
        std::fs::remove_file(&local).unwrap();
    }
    println!("{done} times {fault:?} in {downloads} downloads, all whole");
}

#[test]
fn a_download_survives_the_kill_of_its_server() {
    let plan = Plan::of(&[Kind::Vsftpd; 3]).rate(RATE);
    story(200, || async move {
        survives(&plan, Fault::Kill, 20, Cluster::place).await
    });
}

#[test]
fn a_download_survives_servers_that_stand_still() {
    let plan = Plan::of(&[Kind::Proftpd, Kind::Pureftpd, Kind::Proftpd]).rate(RATE);
    story(200, || async move {
        survives(&plan, Fault::Stop, 20, Cluster::place).await
    });
}

#[test]
fn a_download_survives_the_kill_of_its_session_alone() {
    // Pure-FTPd's other half keeps the control connection, and says nothing.
    let mut plan = Plan::of(&[Kind::Pureftpd, Kind::Proftpd, Kind::Vsftpd]).rate(RATE);
    plan.more = "stall_timeout = \"1s\"\n".to_owned();
    story(200, || async move {
        survives(&plan, Fault::KillSession, 8, Cluster::place).await;
    });
}

#[test]
fn a_download_survives_a_session_that_stands_still_on_a_living_server() {
    let mut plan = Plan::of(&[Kind::Proftpd, Kind::Pureftpd, Kind::Vsftpd]).rate(RATE);
    plan.more = "stall_timeout = \"1s\"\n".to_owned();
    story(200, || async move {
        survives(&plan, Fault::StopSession, 5, Cluster::place).await
    });
}

#[test]
fn a_download_survives_servers_whose_packets_vanish() {
    let name = "ftp_downloads::a_download_survives_servers_whose_packets_vanish";
    story_in_own_network(name, 200, || async move {
        let mut plan = Plan::of(&[Kind::Vsftpd, Kind::Proftpd, Kind::Pureftpd]).rate(RATE);
        plan.hosts = true;
        survives(&plan, Fault::Cut, 20, Cluster::place).await;
    });
}

#[test]
fn a_download_survives_servers_that_say_421_in_its_middle() {
    let plan = Plan::of(&[Kind::Vsftpd; 2]).rate(RATE);
    story(200, || async move {
        survives(&plan, Fault::Goodbye, 20, Cluster::place).await
    });
}
