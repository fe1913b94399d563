//! Uploads of 64 MiB by real clients through the director, whose servers are hurt at twenty points (ten and
//! five where bytes are sent anew, or only the session is hurt): what is stored is right, once, and the
//! client's exit status is 0.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use director_tests::director::Status;
use director_tests::ftp::clients::{self, Running};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, Writer, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;
use rustix::process::Signal;
use tokio::process::Command;

use crate::bounded::{story, story_in_own_network};

const SOON: Duration = Duration::from_secs(60);
const SIZE: usize = 64 << 20;

/// How long after one fault the next one comes: a server of three is up again by then.
const BETWEEN: Duration = Duration::from_millis(1100);

const SHARED: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::Pureftpd];

/// Servers that an upload is gone on with by REST and STOR.
const STORING: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::Vsftpd];

/// Uploads until `due` faults were done, the next after 1/21 more of the file each; a fault counts when the
/// upload has gone on in another session after it.
async fn survives(plan: &Plan, fault: Fault, due: usize) {
    let mut cluster = Cluster::start(plan, |_| Ok(())).await.unwrap();
    let content = content::bytes(3, SIZE);
    let source = cluster.folder.write("source.bin", &content).unwrap();
    let (mut done, mut uploads, mut given_up) = (0, 0, 0);
    // Pure-FTPd is gone on with by APPE, and what a silent server may still append is not guessed.
    let told = plan.kinds.iter().all(|kind| *kind == Kind::Pureftpd);
    while done < due {
        uploads += 1;
        // On a busy machine most of those that may be told are.
        let most = if told { 4 * due } else { 2 * due };
        assert!(uploads <= most, "{fault:?}: {done} moved an upload");
        let name = format!("up-{uploads}.bin");
        let mut client = clients::start(limited(&cluster, &source, &name, due)).unwrap();
        let mut hurt = Vec::new();
        while done < due {
            let at = (SIZE / (due + 1) * (done + 1)) as u64;
            let mut victim = None;
            let mut begun = HashMap::new();
            until(
                &mut client,
                &cluster,
                "a server takes the upload",
                |client| {
                    victim = fresh(&cluster, &hurt)
                        .filter(|writer| fault != Fault::Pause || grows(writer, &mut begun))
                        .filter(|_| client.has_read(&source) >= at);
                    victim.is_some()
                },
            )
            .await;
            let Some(victim) = victim else { break };
            cluster
                .hurt(victim.number, fault, &victim.file)
                .await
                .unwrap();
            hurt.push(victim.pid);
            let mut moved = false;
            until(&mut client, &cluster, "the upload goes on", |_| {
                moved = fresh(&cluster, &hurt).is_some();
                moved
            })
            .await;
            done += usize::from(moved);
            cluster.mend(victim.number, fault).await.unwrap();
            let spare = |status: &Status| up(status) >= 2;
            let status = cluster.director.status_with("a spare server", SOON, spare);
            status.await.unwrap();
        }
        let ended = client.ended(SOON * 2).await.unwrap();
        let said = cluster.director.program.stderr();
        if told && !ended.status.success() {
            given_up += 1;
            continue;
        }
        assert!(
            ended.status.success(),
            "{fault:?} {done}: {ended:?}\n{said}"
        );
        // A vsftpd of which one session alone was stopped waits for good.
        if fault == Fault::Pause {
            woken(&cluster).await;
        }
        stored(&cluster, plan, &name, &content);
    }
    println!("{done} times {fault:?} in {uploads} uploads: {given_up} told, all others whole");
}

/// How many servers the director holds for up.
fn up(status: &Status) -> usize {
    let nodes = status.nodes().into_iter();
    nodes.filter(|node| node.standing == "up").count()
}

/// curl, sending so fast that `due` faults fit in.
fn limited(cluster: &Cluster, source: &Path, name: &str, due: usize) -> Command {
    let rate = SIZE as f64 / (BETWEEN.as_secs_f64() * (due + 1) as f64);
    let mut command = clients::curl(&cluster.place());
    command.arg("--limit-rate").arg(format!("{rate:.0}"));
    command.arg("-T").arg(source);
    let address = &cluster.director.address;
    command.arg(format!("ftp://ann:secret@{address}/{name}"));
    command
}

/// A session that writes, and was not hurt yet.
fn fresh(cluster: &Cluster, hurt: &[u32]) -> Option<Writer> {
    let mut writers = cluster.writers().unwrap().into_iter();
    writers.find(|writer| !hurt.contains(&writer.pid))
}

/// Whether its file is longer than when the session was first seen with it. A vsftpd that is stopped between its
/// file and its data connection never wakes: its other process takes the stop for its end, and waits for that.
fn grows(writer: &Writer, begun: &mut HashMap<u32, u64>) -> bool {
    let size = length(&PathBuf::from(&writer.file));
    size > *begun.entry(writer.pid).or_insert(size)
}

/// Waits until it holds, or the client has ended.
async fn until(
    client: &mut Running,
    cluster: &Cluster,
    what: &str,
    mut holds: impl FnMut(&Running) -> bool,
) {
    process::until(what, SOON, || {
        holds(client) || client.program.has_ended().unwrap()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
}

/// What stands still goes on, and does what it was told before it was left.
async fn woken(cluster: &Cluster) {
    for server in &cluster.servers {
        server.signal(Signal::CONT).unwrap();
    }
    process::until("no session has a file open", SOON, || {
        cluster.writers().unwrap().is_empty()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}: {:?}", cluster.writers()));
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
fn an_upload_to_shared_storage_survives_servers_that_stand_still_and_wake_up() {
    let mut plan = Plan::of(&STORING);
    // A stopped server's kernel may take more (`tcp_rmem`) than is kept by default.
    plan.options += "ring = 67108864\n";
    story(
        240,
        || async move { survives(&plan, Fault::Pause, 10).await },
    );
}

#[test]
fn an_upload_to_servers_that_append_and_fall_silent_is_right_or_told() {
    let plan = Plan::of(&[Kind::Pureftpd; 3]);
    story(
        240,
        || async move { survives(&plan, Fault::Pause, 2).await },
    );
}

#[test]
fn an_upload_to_shared_storage_survives_servers_that_say_421_in_its_middle() {
    let plan = Plan::of(&[Kind::Vsftpd; 2]);
    story(240, || async move {
        survives(&plan, Fault::Goodbye, 20).await;
    });
}

#[test]
fn an_upload_survives_the_kill_of_its_session_alone() {
    let mut plan = Plan::of(&SHARED);
    plan.more = "stall_timeout = \"1s\"\n".to_owned();
    story(240, || async move {
        survives(&plan, Fault::KillSession, 5).await;
    });
}

#[test]
fn an_upload_survives_a_session_that_stands_still_on_a_living_server() {
    let mut plan = Plan::of(&[Kind::Proftpd, Kind::Vsftpd]);
    plan.more = "stall_timeout = \"1s\"\n".to_owned();
    plan.options += "ring = 67108864\n"; // as above
    story(240, || async move {
        survives(&plan, Fault::StopSession, 5).await;
    });
}

#[test]
fn an_upload_to_separate_storage_survives_the_kill_of_its_server() {
    let plan = Plan::of(&[Kind::Proftpd, Kind::Vsftpd, Kind::Pureftpd]).separate();
    story(
        240,
        || async move { survives(&plan, Fault::Kill, 10).await },
    );
}

#[test]
fn an_upload_to_separate_storage_survives_servers_that_stand_still_and_wake_up() {
    let plan = Plan::of(&[Kind::Proftpd, Kind::Vsftpd, Kind::Pureftpd]).separate();
    story(
        240,
        || async move { survives(&plan, Fault::Pause, 5).await },
    );
}

#[test]
fn an_upload_survives_servers_whose_packets_vanish() {
    let name = "ftp_uploads::an_upload_survives_servers_whose_packets_vanish";
    story_in_own_network(name, 240, || async move {
        let mut plan = Plan::of(&STORING);
        plan.hosts = true;
        survives(&plan, Fault::Cut, 20).await;
    });
}
