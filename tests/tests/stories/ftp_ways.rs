//! The ways of data: IPv4 and IPv6, mixed on both sides; who connects to whom, on both sides; an address behind
//! NAT. And who logs in at the nodes.

use std::path::Path;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client, Place};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::ftp::talk::Talk;
use director_tests::network::Host;
use director_tests::{folder, process};
use tokio::process::Command;

use crate::bounded::{story, story_in_own_network};

const SOON: Duration = Duration::from_secs(60);
const MIXED: [Kind; 3] = [Kind::Vsftpd, Kind::Proftpd, Kind::Pureftpd];
const SMALL: usize = 300_001;
const BIG: usize = 8_000_000;

fn fill(home: &Path) -> std::io::Result<()> {
    content::file(&home.join("file"), &content::bytes(7, SMALL))?;
    content::file(&home.join("big.bin"), &content::bytes(1, BIG))
}

/// Every client fetches and stores one file; then servers die under a large one.
async fn get_along(mut cluster: Cluster, active: bool) {
    let mut place = cluster.place();
    place.active = active;
    let content = content::bytes(7, SMALL);
    let source = cluster.folder.write("source", &content).unwrap();
    let mut wrong = Vec::new();
    for client in Client::ALL {
        if client == Client::Lftp && active && place.address.starts_with('[') {
            // It names `::` in EPRT, which no server takes for its client's address.
            continue;
        }
        let local = cluster.folder.join(format!("got-{client:?}"));
        let command = client.fetch(&place, "file", &local);
        let ended = clients::run(command, SOON).await.unwrap();
        let got = std::fs::read(&local).unwrap_or_default();
        if !ended.status.success() || got != content {
            let count = got.len();
            wrong.push(format!("{client:?} fetched {count} bytes: {ended:?}"));
        }
        let remote = format!("up-{client:?}");
        if let Some(command) = client.store(&place, &source, &remote) {
            let ended = clients::run(command, SOON).await.unwrap();
            let held = std::fs::read(cluster.home(0).join(&remote)).unwrap_or_default();
            if !ended.status.success() || held != content {
                let count = held.len();
                wrong.push(format!("{client:?} stored {count} bytes: {ended:?}"));
            }
        }
    }
    let said = cluster.director.program.stderr();
    assert!(wrong.is_empty(), "{}\n{said}", wrong.join("\n"));
    let local = cluster.folder.join("got");
    let fetch = |_: &Cluster| Client::Curl.fetch(&place, "big.bin", &local);
    survives(&mut cluster, fetch, &local).await;
}

/// Downloads the large file into `local` until two servers have died under it; on a busy machine a download may
/// be done before its next victim is found. Every one is whole.
async fn survives(cluster: &mut Cluster, fetch: impl Fn(&Cluster) -> Command, local: &Path) {
    let local = local.to_path_buf();
    let (mut done, mut downloads) = (0, 0);
    while done < 2 {
        downloads += 1;
        assert!(downloads <= 10, "{done} died under a download");
        let mut client = clients::start(fetch(cluster)).unwrap();
        while done < 2 {
            let mut victim = None;
            process::until("bytes come from a server", SOON, || {
                if length(&local) > 2_000_000 * (done + 1) {
                    victim = cluster.carrier("/big.bin").unwrap();
                }
                victim.is_some() || client.program.has_ended().unwrap()
            })
            .await
            .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
            let Some(victim) = victim else { break };
            cluster.hurt(victim, Fault::Kill, "/big.bin").await.unwrap();
            done += 1;
            cluster.mend(victim, Fault::Kill).await.unwrap();
            cluster.director.all_up(SOON).await.unwrap();
        }
        let ended = client.ended(SOON).await.unwrap();
        let said = cluster.director.program.stderr();
        assert!(ended.status.success(), "{ended:?}\n{said}");
        assert!(std::fs::read(&local).unwrap() == content::bytes(1, BIG));
        std::fs::remove_file(&local).unwrap();
    }
}

/// A cluster of all kinds; each transfer of the large file takes three seconds.
fn mixed() -> Plan {
    Plan::of(&MIXED).rate(3_000_000)
}

#[test]
fn clients_of_ipv6_get_along_with_nodes_of_ipv4() {
    story(120, || async {
        let mut plan = mixed();
        plan.listen = "[::1]:0".to_owned();
        let cluster = Cluster::start(&plan, fill).await.unwrap();
        get_along(cluster, false).await;
    });
}

#[test]
fn clients_of_ipv4_that_listen_get_along_with_nodes_of_ipv6() {
    story(120, || async {
        let mut plan = mixed();
        plan.ips = vec!["::1"];
        let cluster = Cluster::start(&plan, fill).await.unwrap();
        get_along(cluster, true).await;
    });
}

#[test]
fn clients_of_ipv6_that_listen_get_along_with_nodes_that_are_connected_from() {
    story(120, || async {
        let mut plan = mixed();
        plan.listen = "[::1]:0".to_owned();
        plan.ips = vec!["::1", "127.0.0.1", "::1"];
        plan.options += "node_data = \"active\"\n";
        let cluster = Cluster::start(&plan, fill).await.unwrap();
        get_along(cluster, true).await;
    });
}

#[test]
fn clients_of_ipv4_get_along_with_nodes_that_are_connected_from() {
    story(120, || async {
        let mut plan = mixed();
        plan.options += "node_data = \"active\"\n";
        let cluster = Cluster::start(&plan, fill).await.unwrap();
        get_along(cluster, false).await;
    });
}

/// A download as `anonymous`, which is who curl is without an account.
fn anonymous(cluster: &Cluster, local: &Path) -> Command {
    let mut command = clients::curl(&cluster.place());
    let url = format!("ftp://{}/big.bin", cluster.director.address);
    command.arg("-o").arg(local).arg(url);
    command
}

/// Without the director: what a server refuses on its own account proves nothing of the director.
async fn every_server_lets_in(cluster: &Cluster) {
    for server in &cluster.servers {
        let local = cluster.folder.join("direct");
        let mut command = clients::curl(&cluster.place());
        let url = format!("ftp://{}/file", server.address);
        command.arg("-o").arg(&local).arg(url);
        let ended = clients::run(command, SOON).await.unwrap();
        let kind = server.setup.kind;
        assert!(ended.status.success(), "{kind:?}: {ended:?}");
    }
}

/// An account of the client's own is refused, whatever its password.
async fn refuses_others(cluster: &Cluster) {
    let mut talk = Talk::open(&cluster.director.address).await.unwrap();
    talk.say("USER ann", 530).await.unwrap();
    talk.say("RETR big.bin", 530).await.unwrap();
}

#[test]
fn an_anonymous_client_is_logged_in_again_at_another_server() {
    story(120, || async {
        let mut plan = mixed();
        plan.options += "login = \"anonymous\"\n";
        plan.setup = |setup| setup.anonymous = true;
        let mut cluster = Cluster::start(&plan, fill).await.unwrap();
        // Whoever of them is not in the dance leaves the story to chance.
        for server in &cluster.servers {
            let mut talk = Talk::open(&server.address).await.unwrap();
            let reply = talk.ask("USER anonymous").await.unwrap();
            if reply.code != 230 {
                talk.say("PASS guest", 230).await.unwrap();
            }
        }
        every_server_lets_in(&cluster).await;
        let local = cluster.folder.join("got");
        let fetch = |cluster: &Cluster| anonymous(cluster, &local);
        survives(&mut cluster, fetch, &local).await;
        refuses_others(&cluster).await;
    });
}

#[test]
fn every_client_uses_the_service_account() {
    story(120, || async {
        let secrets = folder::Folder::fresh("secrets").unwrap();
        let file = secrets.write("password", "secret\n").unwrap();
        let mut plan = mixed();
        plan.options += &format!("login = {{ user = \"ann\", password_file = {file:?} }}\n");
        let mut cluster = Cluster::start(&plan, fill).await.unwrap();
        let local = cluster.folder.join("got");
        let fetch = |cluster: &Cluster| anonymous(cluster, &local);
        survives(&mut cluster, fetch, &local).await;
        refuses_others(&cluster).await;
    });
}

/// Runs `nft` in this network.
async fn nft(line: &str) {
    let output = Command::new("nft").arg(line).output().await.unwrap();
    assert!(output.status.success(), "nft {line}: {output:?}");
}

#[test]
fn clients_behind_nat_are_told_the_address_that_they_can_reach() {
    let name = "ftp_ways::clients_behind_nat_are_told_the_address_that_they_can_reach";
    story_in_own_network(name, 120, || async {
        // The clients' host knows the director as 203.0.113.7 alone.
        let host = Host::make("c", 9).await.unwrap();
        nft("add table ip nat").await;
        nft("add chain ip nat in { type nat hook prerouting priority -100; }").await;
        nft("add rule ip nat in ip daddr 203.0.113.7 dnat to 10.77.9.1").await;
        let mut plan = mixed();
        plan.listen = "10.77.9.1:0".to_owned();
        plan.options += "address = \"203.0.113.7\"\nports = \"50000-50009\"\n";
        let cluster = Cluster::start(&plan, fill).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        let reply = talk.say("PASV", 227).await.unwrap();
        assert!(reply.text().contains("(203,0,113,7,195,"), "{reply:?}");
        let (_, port) = cluster.director.address.rsplit_once(':').unwrap();
        let place = Place::plain(&format!("203.0.113.7:{port}"));
        let url = place.url("file");
        for program in ["curl", "lftp", "tnftp", "wget"] {
            let local = cluster.folder.join(format!("got-{program}"));
            let mut command = host.command(program);
            match program {
                "curl" => {
                    // It would take the address of the control connection otherwise.
                    command.args(["-sS", "-q", "--disable-epsv", "--no-ftp-skip-pasv-ip", "-o"]);
                    command.arg(&local).arg(&url);
                }
                "lftp" => {
                    let script = format!(
                        "set ftp:fix-pasv-address no; set ftp:prefer-epsv no; set ftp:ssl-allow no; \
                         set cmd:fail-exit yes; set net:max-retries 1; \
                         get {url} -o {}",
                        local.display()
                    );
                    command.args(["--norc", "-c", &script]);
                }
                "tnftp" => {
                    command.args(["-n", "-V", "-o"]).arg(&local).arg(&url);
                }
                _wget => {
                    command
                        .args(["-nv", "--tries=1", "-O"])
                        .arg(&local)
                        .arg(&url);
                }
            }
            let ended = clients::run(command, SOON).await.unwrap();
            assert!(ended.status.success(), "{program}: {ended:?}");
            let got = std::fs::read(&local).unwrap();
            assert!(got == content::bytes(7, SMALL), "{program}: {}", got.len());
        }
    });
}
