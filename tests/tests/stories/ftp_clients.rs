//! Every client before a mixed cluster, with and without TLS; and what lftp does beside single files.

use std::path::Path;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client, Place};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);

const MIXED: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::Pureftpd];

fn some_files(home: &Path) -> std::io::Result<()> {
    content::file(&home.join("file"), &content::bytes(7, 300_001))?;
    content::file(&home.join("big.bin"), &content::bytes(1, 16_000_000))?;
    let tree = content::folder(&home.join("tree"))?;
    for part in ["one", "two", "three"] {
        let part = content::folder(&tree.join(part))?;
        for number in 0..20 {
            content::file(
                &part.join(format!("{number}.bin")),
                &content::bytes(number + 1, 20_000),
            )?;
        }
    }
    Ok(())
}

/// Each client fetches thrice (the third TLS session is where others fail) and stores once.
async fn get_along(cluster: &Cluster, places: &[Place]) {
    let content = content::bytes(7, 300_001);
    let source = cluster.folder.write("source", &content).unwrap();
    let mut wrong = Vec::new();
    for (turn, place) in (0..).zip(places) {
        for client in Client::ALL {
            if place.authority.is_some() && !client.speaks_tls()
                || place.implicit && client == Client::Python
            {
                continue;
            }
            for _ in 0..3 {
                let local = cluster.folder.join("got");
                let ended = clients::run(client.fetch(place, "file", &local), SOON)
                    .await
                    .unwrap();
                let got = std::fs::read(&local).unwrap_or_default();
                if !ended.status.success() || got != content {
                    wrong.push(format!(
                        "{client:?} {place:?} fetched {} bytes: {ended:?}",
                        got.len()
                    ));
                }
                // It may not have been made.
                let _gone = std::fs::remove_file(&local);
            }
            let remote = format!("up-{client:?}-{turn}");
            if let Some(command) = client.store(place, &source, &remote) {
                let ended = clients::run(command, SOON).await.unwrap();
                let held = std::fs::read(cluster.home(0).join(&remote)).unwrap_or_default();
                if !ended.status.success() || held != content {
                    wrong.push(format!(
                        "{client:?} {place:?} stored {} bytes: {ended:?}",
                        held.len()
                    ));
                }
            }
        }
    }
    let said = cluster.director.program.stderr();
    assert!(wrong.is_empty(), "{}\n{said}", wrong.join("\n"));
}

#[test]
fn every_client_gets_along_with_a_mixed_cluster() {
    story(180, || async {
        let cluster = Cluster::start(&Plan::of(&MIXED), some_files).await.unwrap();
        get_along(&cluster, &[cluster.place()]).await;
    });
}

#[test]
fn every_client_gets_along_over_tls_with_nodes_that_have_none() {
    story(180, || async {
        let mut plan = Plan::of(&MIXED);
        plan.tls = true;
        plan.options += "tls = \"offered\"\n";
        let cluster = Cluster::start(&plan, some_files).await.unwrap();
        let explicit = cluster.tls_place().unwrap();
        let mut implicit = explicit.clone();
        implicit.implicit = true;
        implicit.address = cluster.implicit.clone().unwrap();
        get_along(&cluster, &[explicit, implicit]).await;
    });
}

#[test]
fn every_client_gets_along_with_nodes_over_tls() {
    story(240, || async {
        let mut plan = Plan::of(&MIXED);
        plan.tls = true;
        plan.options += "tls = \"offered\"\nnode_tls = \"explicit\"\nrequire_reuse = false\n";
        let cluster = Cluster::start(&plan, some_files).await.unwrap();
        get_along(&cluster, &[cluster.place(), cluster.tls_place().unwrap()]).await;
    });
}

#[test]
fn a_download_over_tls_survives_the_kill_of_its_server() {
    story(180, || async {
        let mut plan = Plan::of(&MIXED).rate(4_000_000);
        plan.tls = true;
        plan.options += "tls = \"required\"\nnode_tls = \"explicit\"\nrequire_reuse = true\n";
        let mut cluster = Cluster::start(&plan, some_files).await.unwrap();
        let local = cluster.folder.join("got");
        let place = cluster.tls_place().unwrap();
        let client = clients::start(Client::Curl.fetch(&place, "big.bin", &local)).unwrap();
        for part in 1..=4_u64 {
            process::until("bytes come", SOON, || length(&local) > 3_000_000 * part)
                .await
                .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
            if part > 1 && length(&local) == 16_000_000 {
                break; // on a busy machine it may be done before the last victim is back
            }
            let victim = cluster.carried_by("/big.bin").await.unwrap();
            cluster.hurt(victim, Fault::Kill, "/big.bin").await.unwrap();
            cluster.mend(victim, Fault::Kill).await.unwrap();
            cluster.director.all_up(SOON).await.unwrap();
        }
        let ended = client.ended(SOON).await.unwrap();
        assert!(
            ended.status.success(),
            "{ended:?}; {}",
            cluster.director.program.stderr()
        );
        assert!(std::fs::read(&local).unwrap() == content::bytes(1, 16_000_000));
    });
}

/// Runs lftp, and kills a server that carries `name` once `local` has `at` bytes.
async fn lftp_with_a_kill(cluster: &mut Cluster, script: &str, name: &str) {
    let client = clients::start(clients::lftp(&cluster.place(), script)).unwrap();
    let victim = cluster.carried_by(name).await.unwrap();
    cluster.hurt(victim, Fault::Kill, name).await.unwrap();
    cluster.mend(victim, Fault::Kill).await.unwrap();
    cluster.director.all_up(SOON).await.unwrap();
    let ended = client.ended(SOON * 2).await.unwrap();
    let said = cluster.director.program.stderr();
    assert!(ended.status.success(), "{script}: {ended:?}\n{said}");
}

#[test]
fn lftp_continues_splits_and_mirrors_while_servers_die() {
    story(240, || async {
        let plan = Plan::of(&MIXED).rate(4_000_000);
        let mut cluster = Cluster::start(&plan, some_files).await.unwrap();
        let content = content::bytes(1, 16_000_000);
        let part = cluster.folder.write("part", &content[..5_000_000]).unwrap();
        let script = format!("get -c big.bin -o {}", part.display());
        lftp_with_a_kill(&mut cluster, &script, "/big.bin").await;
        assert!(std::fs::read(&part).unwrap() == content, "get -c");
        let split = cluster.folder.join("split");
        let script = format!("pget -n 4 big.bin -o {}", split.display());
        lftp_with_a_kill(&mut cluster, &script, "/big.bin").await;
        assert!(std::fs::read(&split).unwrap() == content, "pget");
        let mirrored = cluster.folder.join("mirrored");
        let script = format!("mirror --parallel=4 tree {}", mirrored.display());
        lftp_with_a_kill(&mut cluster, &script, ".bin").await;
        for part in ["one", "two", "three"] {
            for number in 0..20_u64 {
                let file = mirrored.join(part).join(format!("{number}.bin"));
                assert!(
                    std::fs::read(&file).unwrap() == content::bytes(number + 1, 20_000),
                    "{file:?}"
                );
            }
        }
    });
}
