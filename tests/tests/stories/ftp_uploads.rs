//! Uploads by real clients through the director, whose servers are hurt at twenty points: what is stored
//! is right, once, and the client's exit status is 0.

use std::path::{Path, PathBuf};
use std::time::Duration;

use director_tests::ftp::clients;
use director_tests::ftp::cluster::{Cluster, Fault, Plan};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;

use crate::bounded::{story, story_in_own_network};

const SOON: Duration = Duration::from_secs(60);
const SIZE: usize = 32 << 20;

/// Bytes a second that the client sends.
const RATE: u64 = 6_000_000;

const SHARED: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::Pureftpd];

/// Uploads until `due` faults were done, the next after 1/21 more of the file each.
async fn survives(plan: &Plan, fault: Fault, due: usize) {
    let mut cluster = Cluster::start(plan, |_| Ok(())).await.unwrap();
    let content = content::bytes(3, SIZE);
    let source = cluster.folder.write("source.bin", &content).unwrap();
    let (mut done, mut uploads) = (0, 0);
    while done < due {
        uploads += 1;
        let name = format!("up-{uploads}.bin");
        let mut command = clients::curl(&cluster.place());
        command
            .arg("--limit-rate")
            .arg(RATE.to_string())
            .arg("-T")
            .arg(&source);
        command.arg(format!(
            "ftp://ann:secret@{}/{name}",
            cluster.director.address
        ));
        let mut client = clients::start(command).unwrap();
        let began = std::time::Instant::now();
        while done < due {
            let mut victim = None;
            // The next point in the client's own time: what a server has of it is the plugin's affair.
            let at = began + Duration::from_secs_f64(point(done, due));
            let mut over = false;
            process::until("a server takes the upload", SOON, || {
                over = client.program.has_ended().unwrap();
                victim = cluster.writer().unwrap();
                over || std::time::Instant::now() >= at && victim.is_some()
            })
            .await
            .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
            let (Some((victim, file)), false) = (victim, over) else {
                break;
            };
            cluster.hurt(victim, fault, &file).await.unwrap();
            done += 1;
            cluster.mend(victim, fault).await.unwrap();
            cluster.director.all_up(SOON).await.unwrap();
        }
        let ended = client.ended(SOON * 2).await.unwrap();
        let said = cluster.director.program.stderr();
        assert!(
            ended.status.success(),
            "{fault:?} {done}: {ended:?}\n{said}"
        );
        stored(&cluster, plan, &name, &content);
    }
    println!("{done} times {fault:?} in {uploads} uploads, all whole");
}

/// Seconds from the start of an upload to the fault number `done`.
fn point(done: usize, due: usize) -> f64 {
    let whole = SIZE as f64 / RATE as f64;
    whole * (done % 20 + 1) as f64 / (due + 1) as f64
}

/// The file is whole in the home where it was stored, and nothing else is left in any.
fn stored(cluster: &Cluster, plan: &Plan, name: &str, content: &[u8]) {
    let mut homes: Vec<PathBuf> = Vec::new();
    for server in &cluster.servers {
        if !homes.contains(&server.setup.home) {
            homes.push(server.setup.home.clone());
        }
    }
    let with: Vec<&PathBuf> = homes
        .iter()
        .filter(|home| home.join(name).exists())
        .collect();
    assert_eq!(
        with.len(),
        1,
        "{name} is in one home, shared {}",
        plan.shared
    );
    assert!(
        std::fs::read(with[0].join(name)).unwrap() == content,
        "{name} is not what was sent"
    );
    // With separate storage a killed server keeps what it had under a temporary name.
    let temporary = |other: &String| !plan.shared && other.starts_with(".upload-");
    for home in &homes {
        let mut strange = names(home);
        strange.retain(|other| !other.starts_with("up-") && !temporary(other));
        assert!(
            strange.is_empty(),
            "left in {}: {strange:?}",
            home.display()
        );
    }
}

fn names(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn an_upload_to_shared_storage_survives_the_kill_of_its_server() {
    let plan = Plan::of(&SHARED);
    story(
        240,
        || async move { survives(&plan, Fault::Kill, 20).await },
    );
}

#[test]
fn an_upload_to_shared_storage_survives_servers_that_stand_still() {
    let plan = Plan::of(&SHARED);
    story(
        240,
        || async move { survives(&plan, Fault::Stop, 20).await },
    );
}

#[test]
fn an_upload_to_separate_storage_survives_the_kill_of_its_server() {
    let plan = Plan::of(&[Kind::Proftpd, Kind::Vsftpd, Kind::Pureftpd]).separate();
    story(
        240,
        || async move { survives(&plan, Fault::Kill, 20).await },
    );
}

#[test]
fn an_upload_survives_servers_whose_packets_vanish() {
    let name = "ftp_uploads::an_upload_survives_servers_whose_packets_vanish";
    story_in_own_network(name, 240, || async move {
        let mut plan = Plan::of(&SHARED);
        plan.hosts = true;
        survives(&plan, Fault::Cut, 20).await;
    });
}
