//! Every client at once, with and without TLS, each with a transfer of its own; every server dies in turn, so that
//! each of the transfers has lost its server at least once. Then what lftp does beside single files, over TLS.

use std::path::PathBuf;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client, Running};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);
const MIXED: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::Pureftpd];
const SIZE: usize = 12_000_000;

#[test]
fn every_client_keeps_its_download_when_every_server_dies_in_turn() {
    story(180, || async {
        let mut plan = Plan::of(&MIXED).rate(1_500_000);
        plan.tls = true;
        plan.options += "tls = \"offered\"\nnode_tls = \"explicit\"\n";
        let content = content::bytes(1, SIZE);
        let mut cluster =
            Cluster::start(&plan, |home| content::file(&home.join("big.bin"), &content))
                .await
                .unwrap();
        let mut running: Vec<(String, PathBuf, Running)> = Vec::new();
        for place in [cluster.place(), cluster.tls_place().unwrap()] {
            let tls = place.authority.is_some();
            for client in Client::ALL {
                if tls && !client.speaks_tls() {
                    continue;
                }
                let what = format!("{client:?}, tls {tls}");
                let local = cluster.folder.join(format!("got-{client:?}-{tls}"));
                let command = client.fetch(&place, "big.bin", &local);
                running.push((what, local, clients::start(command).unwrap()));
            }
        }
        let mut died = 0;
        for number in 0..MIXED.len() {
            let least = 500_000 + 1_000_000 * number as u64;
            process::until("bytes come to all", SOON, || {
                running.iter().all(|(_, local, _)| length(local) > least)
            })
            .await
            .unwrap_or_else(|error| {
                let have: Vec<_> = running
                    .iter()
                    .map(|(what, local, _)| (what, length(local)))
                    .collect();
                panic!("{error}: {have:?}; {}", cluster.director.program.stderr())
            });
            let ended = |(_, local, _): &(_, PathBuf, _)| length(local) == SIZE as u64;
            if number > 0 && running.iter().any(ended) {
                break; // on a busy machine some may be done before the last victim is back
            }
            died += 1;
            cluster.hurt(number, Fault::Kill, "").await.unwrap();
            cluster.mend(number, Fault::Kill).await.unwrap();
            cluster.director.all_up(SOON).await.unwrap();
        }
        let mut wrong = Vec::new();
        let due = running.len();
        for (what, local, client) in running {
            let ended = client.ended(SOON).await.unwrap();
            let got = std::fs::read(&local).unwrap_or_default();
            if !ended.status.success() || got != content {
                wrong.push(format!("{what}: {} bytes: {ended:?}", got.len()));
            }
        }
        let said = cluster.director.program.stderr();
        assert!(wrong.is_empty(), "{}\n{said}", wrong.join("\n"));
        let switches = said.matches("director::switch: switched").count();
        assert!(
            switches >= 1 && (switches >= due || died < MIXED.len()),
            "{switches} switches of {due}\n{said}"
        );
    });
}

/// Runs lftp over TLS, and kills the server that carries `name`.
async fn lftp_with_a_kill(cluster: &mut Cluster, script: &str, name: &str) {
    let place = cluster.tls_place().unwrap();
    let client = clients::start(clients::lftp(&place, script)).unwrap();
    let victim = cluster.carried_by(name).await.unwrap();
    cluster.hurt(victim, Fault::Kill, name).await.unwrap();
    cluster.mend(victim, Fault::Kill).await.unwrap();
    cluster.director.all_up(SOON).await.unwrap();
    let ended = client.ended(SOON * 2).await.unwrap();
    let said = cluster.director.program.stderr();
    assert!(ended.status.success(), "{script}: {ended:?}\n{said}");
}

#[test]
fn lftp_continues_splits_and_mirrors_over_tls_while_servers_die() {
    story(180, || async {
        let mut plan = Plan::of(&MIXED).rate(4_000_000);
        plan.tls = true;
        plan.options += "tls = \"required\"\nnode_tls = \"explicit\"\n";
        let content = content::bytes(1, SIZE);
        let mut cluster = Cluster::start(&plan, |home| {
            content::file(&home.join("big.bin"), &content)?;
            let tree = content::folder(&home.join("tree"))?;
            for number in 0..20 {
                let path = tree.join(format!("{number}.bin"));
                content::file(&path, &content::bytes(number + 1, 100_000))?;
            }
            Ok(())
        })
        .await
        .unwrap();
        let part = cluster.folder.write("part", &content[..5_000_000]).unwrap();
        let script = format!("get -c big.bin -o {}", part.display());
        lftp_with_a_kill(&mut cluster, &script, "/big.bin").await;
        assert!(std::fs::read(&part).unwrap() == content, "get -c");
        let split = cluster.folder.join("split");
        let script = format!("pget -n 3 big.bin -o {}", split.display());
        lftp_with_a_kill(&mut cluster, &script, "/big.bin").await;
        assert!(std::fs::read(&split).unwrap() == content, "pget");
        let mirrored = cluster.folder.join("mirrored");
        let script = format!("mirror --parallel=3 tree {}", mirrored.display());
        lftp_with_a_kill(&mut cluster, &script, ".bin").await;
        for number in 0..20_u64 {
            let file = mirrored.join(format!("{number}.bin"));
            let right = content::bytes(number + 1, 100_000);
            assert!(std::fs::read(&file).unwrap() == right, "{file:?}");
        }
    });
}
