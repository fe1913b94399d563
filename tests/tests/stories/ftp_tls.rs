//! TLS where it is hard: the third data connection of a session whose servers and whose director require that it
//! resumes (a ticket of TLS 1.3 serves once), TLS that comes first, and an end that was cut short.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use director_tests::director::{Director, LOOPBACK, Settings, Status};
use director_tests::folder::Folder;
use director_tests::ftp::clients::{self, Client, Place};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::content;
use director_tests::ftp::identity::Identity;
use director_tests::ftp::server::Server;
use director_tests::{group, process, programs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);
const BIG: usize = 6_000_000;

fn fill(home: &Path) -> std::io::Result<()> {
    content::file(&home.join("file"), &content::bytes(7, 300_001))?;
    content::file(&home.join("big.bin"), &content::bytes(1, BIG))
}

/// Two servers of this kind with TLS; both sides require that data connections resume.
fn strict(kind: Kind) -> Plan {
    let mut plan = Plan::of(&[kind; 2]).rate(2_500_000);
    plan.tls = true;
    plan.options += "tls = \"required\"\nnode_tls = \"explicit\"\nrequire_reuse = true\n";
    plan
}

/// Three downloads of one session, by TLS 1.3 alone.
fn thrice(client: Client, place: &Place, locals: &[PathBuf; 3]) -> Command {
    let names = ["file", "file", "big.bin"];
    if client == Client::Curl {
        let mut command = clients::curl(place);
        command.arg("--tlsv1.3");
        for (name, local) in names.iter().zip(locals) {
            command.arg("-o").arg(local).arg(place.url(name));
        }
        return command;
    }
    let mut script = String::new();
    for (name, local) in names.iter().zip(locals) {
        script += &format!("get {name} -o {}; ", local.display());
    }
    let only = "set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS1.3";
    clients::lftp(place, &format!("{only}; {script}"))
}

/// The third transfer of a session loses its server, twice.
async fn third_transfer(plan: &Plan, client: Client, place: impl Fn(&Cluster) -> Place) {
    let mut cluster = Cluster::start(plan, fill).await.unwrap();
    let locals = ["one", "two", "three"].map(|name| cluster.folder.join(name));
    let running = clients::start(thrice(client, &place(&cluster), &locals)).unwrap();
    for part in 1..=2_u64 {
        process::until("bytes come", SOON, || length(&locals[2]) > 1_500_000 * part)
            .await
            .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
        if part > 1 && length(&locals[2]) == BIG as u64 {
            break; // on a busy machine it may be done before the first victim is back
        }
        let victim = cluster.carried_by("/big.bin").await.unwrap();
        cluster.hurt(victim, Fault::Kill, "/big.bin").await.unwrap();
        cluster.mend(victim, Fault::Kill).await.unwrap();
        cluster.director.all_up(SOON).await.unwrap();
    }
    let ended = running.ended(SOON).await.unwrap();
    let said = || cluster.director.program.stderr();
    assert!(ended.status.success(), "{client:?}: {ended:?}\n{}", said());
    let small = content::bytes(7, 300_001);
    for local in &locals[..2] {
        assert!(std::fs::read(local).unwrap() == small, "{client:?}");
    }
    assert!(std::fs::read(&locals[2]).unwrap() == content::bytes(1, BIG));
    process::until("the session's end is logged", SOON, || {
        said().contains("director::access: session ended")
    })
    .await
    .unwrap();
    let none = |status: &Status| status.sessions().is_empty();
    let ended = cluster.director.status_with("no session", SOON, none).await;
    ended.unwrap();
    assert!(!said().contains("session=2 "), "one session had all three");
}

fn explicit(cluster: &Cluster) -> Place {
    cluster.tls_place().unwrap()
}

fn implicit(cluster: &Cluster) -> Place {
    let mut place = cluster.tls_place().unwrap();
    place.implicit = true;
    place.address = cluster.implicit.clone().unwrap();
    place
}

#[test]
fn the_third_transfer_resumes_where_vsftpd_requires_it() {
    story(120, || async {
        third_transfer(&strict(Kind::Vsftpd), Client::Curl, explicit).await;
        third_transfer(&strict(Kind::Vsftpd), Client::Lftp, implicit).await;
    });
}

#[test]
fn the_third_transfer_resumes_where_proftpd_requires_it() {
    story(120, || async {
        third_transfer(&strict(Kind::Proftpd), Client::Lftp, explicit).await;
        third_transfer(&strict(Kind::Proftpd), Client::Curl, implicit).await;
    });
}

#[test]
fn nodes_whose_tls_comes_first_are_served_with_and_without_it() {
    story(120, || async {
        let mut plan = Plan::of(&[Kind::Proftpd, Kind::Vsftpd]).rate(2_500_000);
        plan.tls = true;
        plan.setup = |setup| setup.implicit = true;
        plan.options += "tls = \"offered\"\n";
        third_transfer(&plan, Client::Curl, explicit).await;
        third_transfer(&plan, Client::Lftp, Cluster::place).await;
    });
}

/// A wire to a server, for its control port and two of data, which is thin where it carries data: after `most` bytes of the first data connection it
/// says that this was all, as anybody on the way could. What else the server sends there is thrown away, so that
/// the server has said 226.
struct Wire {
    address: String,
    cut: Arc<AtomicBool>,
}

impl Wire {
    async fn to(server: &Server, data: u16, most: usize) -> Self {
        let ip = "127.0.0.7";
        let control = TcpListener::bind((ip, 0)).await.unwrap();
        let address = control.local_addr().unwrap().to_string();
        let server = server.address.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = control.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        let cut = Arc::new(AtomicBool::new(false));
        for port in [data, data + 1] {
            let listener = TcpListener::bind((ip, port)).await.unwrap();
            let mark = Arc::clone(&cut);
            tokio::spawn(async move {
                while let Ok((near, _)) = listener.accept().await {
                    tokio::spawn(carry(near, port, most, Arc::clone(&mark)));
                }
            });
        }
        Self { address, cut }
    }
}

/// One data connection, downwards; what the near end says is the handshake and an end.
async fn carry(
    near: TcpStream,
    port: u16,
    most: usize,
    cut: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut near_in, &mut far_out).await });
    let mut buffer = vec![0; 16_384];
    let mut carried = 0;
    loop {
        let count = far_in.read(&mut buffer).await?;
        if count == 0 {
            return near_out.shutdown().await;
        }
        near_out.write_all(&buffer[..count]).await?;
        carried += count;
        if carried > most && !cut.swap(true, Ordering::SeqCst) {
            near_out.shutdown().await?;
            while far_in.read(&mut buffer).await? > 0 {}
            return Ok(());
        }
    }
}

#[test]
fn an_end_of_data_that_somebody_on_the_way_made_is_not_the_end_of_the_file() {
    story(90, || async {
        let folder = Folder::fresh("ftp").unwrap();
        let identity = Identity::make(folder.path()).await.unwrap();
        let home = content::folder(&folder.join("home")).unwrap();
        fill(&home).unwrap();
        for kind in [Kind::Vsftpd, Kind::Proftpd] {
            let data = group::free_port().unwrap();
            let mut setup = Setup::new(kind, &home);
            setup.identity = Some(identity.both.clone());
            setup.ports = Some(data..=data + 1);
            let server = Server::start(setup).await.unwrap();
            let wire = Wire::to(&server, data, 2_000_000).await;
            let settings = Settings {
                service: "ftp".to_owned(),
                plugin: programs::ftp_plugin().unwrap(),
                listen: LOOPBACK.to_owned(),
                nodes: vec![wire.address.clone()],
                more: format!(
                    "\n[services.ftp.node_tls]\nca = {:?}\nserver_name = \"127.0.0.1\"\n",
                    identity.authority
                ),
                options: "node_tls = \"explicit\"\n".to_owned(),
            };
            let director = Director::start(&settings).await.unwrap();
            director.all_up(SOON).await.unwrap();
            let local = folder.join("got");
            let place = Place::plain(&director.address);
            let command = Client::Curl.fetch(&place, "big.bin", &local);
            let ended = clients::run(command, SOON).await.unwrap();
            let said = director.program.stderr();
            assert!(wire.cut.load(Ordering::SeqCst), "{kind:?}: nothing was cut");
            assert!(ended.status.success(), "{kind:?}: {ended:?}\n{said}");
            let got = std::fs::read(&local).unwrap();
            assert!(got == content::bytes(1, BIG), "{kind:?}: {}", got.len());
        }
    });
}
