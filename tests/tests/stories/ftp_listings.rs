//! Long listings whose servers die in their middle: begun anew at another server, and right to the last line; or,
//! where the other lists otherwise, ended so that the client can tell.
//!
//! In a network of its own, where sockets hold little: a client that reads slowly then keeps its server at it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use director_tests::ftp::clients::{self, Place};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;

use crate::bounded::story_in_own_network;

const SOON: Duration = Duration::from_secs(60);

/// Files in the folder; with what their names take, every kind of listing has millions of bytes.
const FILES: usize = 10_000;

fn fill(home: &Path) -> std::io::Result<()> {
    let folder = content::folder(&home.join("many"))?;
    let long = "n".repeat(230);
    // One file under all the names: ten thousand of them would take long to make.
    let first = folder.join("first");
    content::file(&first, b"")?;
    for number in 0..FILES {
        std::fs::hard_link(&first, folder.join(format!("{number:05}-{long}")))?;
    }
    Ok(())
}

/// No socket of this network holds more than this on either side; in packets that are much smaller.
async fn small_sockets() {
    for name in ["tcp_rmem", "tcp_wmem"] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        std::fs::write(path, "4096 65536 65536").unwrap();
    }
    let mut command = tokio::process::Command::new("ip");
    command.args(["link", "set", "lo", "mtu", "1500"]);
    assert!(command.status().await.unwrap().success());
}

/// curl with what makes it one kind of listing; at most `rate` bytes a second.
fn listing(
    place: &Place,
    way: &[&str],
    rate: Option<usize>,
    local: &Path,
) -> tokio::process::Command {
    let mut command = clients::curl(place);
    command.args(way).arg("-o").arg(local);
    if let Some(rate) = rate {
        command.arg("--limit-rate").arg(rate.to_string());
    }
    command.arg(place.url("many/"));
    command
}

/// What server `number` lists, asked directly.
async fn directly(cluster: &Cluster, number: usize, way: &[&str]) -> Vec<u8> {
    let place = Place::plain(&cluster.servers[number].address);
    let local = cluster.folder.join("directly");
    let ended = clients::run(listing(&place, way, None, &local), SOON).await;
    let ended = ended.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let listed = std::fs::read(&local).unwrap();
    assert!(listed.len() > 230 * FILES, "{} bytes", listed.len());
    listed
}

/// How a listing ended.
struct Outcome {
    /// curl's exit status is 0.
    whole: bool,
    got: Vec<u8>,
    /// The server that it was begun at.
    first: usize,
}

/// Lists slowly. When `after` (parts of `right` bytes) of it has come its server is killed, for each of them, and
/// `meanwhile` is done; `back`: it is started again at once.
async fn hurt(
    cluster: &mut Cluster,
    way: &[&str],
    right: usize,
    (after, back): (&[f64], bool),
    meanwhile: impl Fn(&Cluster),
) -> Outcome {
    let local: PathBuf = cluster.folder.join("got");
    let command = listing(&cluster.place(), way, Some(right / 2), &local);
    let client = clients::start(command).unwrap();
    let mut first = None;
    let switches = |cluster: &Cluster| {
        let said = cluster.director.program.stderr();
        said.matches("switch: switched").count()
    };
    let before = switches(cluster);
    for part in after {
        let at = (right as f64 * part) as u64;
        process::until("lines come", SOON, || length(&local) > at)
            .await
            .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
        let used = cluster.in_use().await.unwrap();
        let [carrier] = used[..] else {
            panic!("one session has one link: {used:?}");
        };
        first.get_or_insert(carrier);
        cluster.hurt(carrier, Fault::Kill, "").await.unwrap();
        meanwhile(cluster);
        if back {
            cluster.mend(carrier, Fault::Kill).await.unwrap();
            cluster.director.all_up(SOON).await.unwrap();
        }
    }
    let ended = client.ended(SOON).await.unwrap();
    let whole = ended.status.success();
    let got = std::fs::read(&local).unwrap();
    std::fs::remove_file(&local).unwrap();
    let switched = switches(cluster) - before;
    assert!(
        !whole || switched >= after.len(),
        "{way:?}: {switched} switches: its server had sent it all"
    );
    Outcome {
        whole,
        got,
        first: first.unwrap(),
    }
}

async fn survive(kind: Kind, way: &[&str]) {
    small_sockets().await;
    let mut cluster = Cluster::start(&Plan::of(&[kind; 2]), fill).await.unwrap();
    let right = directly(&cluster, 0, way).await;
    let after = (&[0.15, 0.4][..], true);
    let Outcome { whole, got, .. } = hurt(&mut cluster, way, right.len(), after, |_| {}).await;
    let said = cluster.director.program.stderr();
    assert!(whole, "{kind:?} {way:?}: {said}");
    assert!(got == right, "{kind:?} {way:?}: {} bytes", got.len());
}

const LIST: &[&str] = &[];
const NLST: &[&str] = &["--list-only"];
const MLSD: &[&str] = &["-X", "MLSD"];

#[test]
fn vsftpds_listings_survive_the_kill_of_their_server() {
    let name = "ftp_listings::vsftpds_listings_survive_the_kill_of_their_server";
    story_in_own_network(name, 120, || survive(Kind::Vsftpd, LIST));
}

#[test]
fn proftpds_listings_survive_the_kill_of_their_server() {
    let name = "ftp_listings::proftpds_listings_survive_the_kill_of_their_server";
    story_in_own_network(name, 120, || survive(Kind::Proftpd, MLSD));
}

#[test]
fn pureftpds_listings_survive_the_kill_of_their_server() {
    let name = "ftp_listings::pureftpds_listings_survive_the_kill_of_their_server";
    story_in_own_network(name, 120, || survive(Kind::Pureftpd, NLST));
}

#[test]
fn a_listing_that_another_server_would_spell_otherwise_is_not_spliced() {
    let name = "ftp_listings::a_listing_that_another_server_would_spell_otherwise_is_not_spliced";
    story_in_own_network(name, 120, || async {
        small_sockets().await;
        let plan = Plan::of(&[Kind::Vsftpd, Kind::Pureftpd]);
        let mut cluster = Cluster::start(&plan, fill).await.unwrap();
        let rights = [
            directly(&cluster, 0, LIST).await,
            directly(&cluster, 1, LIST).await,
        ];
        assert!(rights[0] != rights[1], "they spell owners differently");
        let least = rights[0].len().min(rights[1].len());
        let after = (&[0.3][..], false);
        let Outcome { whole, got, first } = hurt(&mut cluster, LIST, least, after, |_| {}).await;
        assert!(!whole);
        assert!(rights[first].starts_with(&got), "{} bytes", got.len());
    });
}

#[test]
fn a_listing_of_a_folder_that_has_changed_is_not_spliced() {
    let name = "ftp_listings::a_listing_of_a_folder_that_has_changed_is_not_spliced";
    story_in_own_network(name, 120, || async {
        small_sockets().await;
        let mut cluster = Cluster::start(&Plan::of(&[Kind::Vsftpd; 2]), fill)
            .await
            .unwrap();
        let right = directly(&cluster, 0, NLST).await;
        let another = |cluster: &Cluster| {
            let path = cluster.home(0).join("many/00000-a");
            std::fs::write(path, "").unwrap();
        };
        let after = (&[0.3][..], true);
        let Outcome { whole, got, .. } =
            hurt(&mut cluster, NLST, right.len(), after, another).await;
        assert!(!whole);
        assert!(right.starts_with(&got), "{} bytes", got.len());
    });
}
