//! The dialogue's twenty points: the server that a session hangs on is killed before each line; what servers
//! say of themselves (421, full, strange); and what is begun anew at another node (text, listings).

use std::path::Path;
use std::time::Duration;

use director_tests::director::Director;
use director_tests::ftp::clients::{self, Client};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::content;
use director_tests::ftp::server::Server;
use director_tests::ftp::talk::Talk;
use director_tests::process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);

/// What is said, with the code of its last reply; `<` receives, `>` sends.
const SCRIPT: &[(&str, u16)] = &[
    ("USER ann", 331),
    ("PASS secret", 230),
    ("SYST", 215),
    ("CWD dir", 250),
    ("PWD", 257),
    ("TYPE I", 200),
    ("SIZE inner", 213),
    ("MDTM inner", 213),
    ("<RETR inner", 226),
    ("REST 3", 350),
    ("<RETR inner", 226),
    ("MKD new", 257),
    ("RNFR new", 350),
    ("RNTO other", 250),
    ("RMD other", 250),
    ("<LIST", 226),
    ("<NLST", 226),
    (">STOR up", 226),
    ("SIZE up", 213),
    ("DELE up", 250),
    ("CDUP", 250),
    ("PWD", 257),
    ("QUIT", 221),
];

fn fill(home: &Path) -> std::io::Result<()> {
    let dir = content::folder(&home.join("dir"))?;
    content::file(&dir.join("inner"), b"0123456789")
}

/// Says it all; before each line that is said to the server in use, it is hurt, and mended after it.
async fn transcript(fault: Option<Fault>) -> (Vec<String>, usize) {
    let mut cluster = Cluster::start(&Plan::of(&[Kind::Vsftpd; 2]), fill)
        .await
        .unwrap();
    let mut talk = Talk::open(&cluster.director.address).await.unwrap();
    let (mut told, mut hurt) = (Vec::new(), 0);
    let mut after_rest = false;
    for (line, code) in SCRIPT {
        let mut used = Vec::new();
        if let Some(fault) = fault {
            used = cluster.in_use().await.unwrap();
            // Nobody has said anything to the node since it said 421: REST is kept for the next transfer.
            used.retain(|_| fault != Fault::Goodbye || !after_rest);
            for number in &used {
                cluster.hurt(*number, fault, "").await.unwrap();
                hurt += 1;
            }
        }
        after_rest = line.starts_with("REST");
        let (last, bytes) = if let Some(command) = line.strip_prefix('<') {
            let (replies, bytes) = talk.receive(command).await.unwrap();
            (replies.last().unwrap().clone(), bytes)
        } else if let Some(command) = line.strip_prefix('>') {
            let replies = talk.send(command, b"uploaded").await.unwrap();
            (replies.last().unwrap().clone(), Vec::new())
        } else {
            (talk.ask(line).await.unwrap(), Vec::new())
        };
        let said = cluster.director.program.stderr();
        assert_eq!(last.code, *code, "{line}: {last:?}\n{said}");
        told.push(format!(
            "{line}: {} {:?}",
            last.text(),
            String::from_utf8_lossy(&bytes)
        ));
        if let Some(fault) = fault {
            for number in used {
                cluster.mend(number, fault).await.unwrap();
            }
        }
        cluster.director.all_up(SOON).await.unwrap();
    }
    (told, hurt)
}

#[test]
fn a_session_does_not_learn_that_its_server_dies_before_each_line() {
    story(180, || async {
        let (undisturbed, _) = transcript(None).await;
        for fault in [Fault::Kill, Fault::Goodbye] {
            let (told, hurt) = transcript(Some(fault)).await;
            assert_eq!(told, undisturbed, "{fault:?}");
            assert!(hurt >= 20, "{fault:?} {hurt} times");
        }
    });
}

#[test]
fn a_server_that_is_full_is_passed_over() {
    story(90, || async {
        let mut cluster = Cluster::start(&Plan::of(&[Kind::Vsftpd; 2]), fill)
            .await
            .unwrap();
        cluster.servers[0].kill().await.unwrap();
        // One place, which the director's own watch takes, or its next client.
        cluster.servers[0].setup.clients = Some(1);
        cluster.servers[0].restart().await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = Talk::logged_in(&cluster.director.address).await.unwrap();
            client.say("CWD dir", 250).await.unwrap();
            clients.push(client);
        }
        for client in &mut clients {
            let (_, bytes) = client.receive("RETR inner").await.unwrap();
            assert_eq!(bytes, b"0123456789");
        }
    });
}

#[test]
fn a_server_that_sends_a_sleepy_client_away_is_not_noticed() {
    story(90, || async {
        let mut cluster = Cluster::start(&Plan::of(&[Kind::Vsftpd]), fill)
            .await
            .unwrap();
        cluster.servers[0].kill().await.unwrap();
        cluster.servers[0].setup.idle_seconds = 1;
        cluster.servers[0].restart().await.unwrap();
        cluster.director.all_up(SOON).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("CWD dir", 250).await.unwrap();
        for _ in 0..2 {
            // The session itself is what is watched: its server's process ends when it has said 421.
            let gone = cluster.servers[0].processes().unwrap();
            let newest = gone.into_iter().max().unwrap();
            process::until("the server ends the session", SOON, || {
                !process::is_alive(newest)
            })
            .await
            .unwrap();
            let reply = talk.say("PWD", 257).await.unwrap();
            assert!(reply.text().contains("\"/dir\""), "{reply:?}");
        }
        let nodes = cluster.director.status().await.unwrap().nodes();
        assert!(nodes.iter().all(|node| node.standing == "up"), "{nodes:?}");
    });
}

/// A download in ASCII, or a listing, by curl: `path` ends with what makes it one.
async fn begun_anew(path: &str, right: &[u8], kinds: &[Kind]) {
    let content = right.to_vec();
    let plan = Plan::of(kinds).rate(1_000_000);
    let mut cluster = Cluster::start(&plan, |home| content::file(&home.join("text"), &content))
        .await
        .unwrap();
    let local = cluster.folder.join("got");
    let client = clients::start(Client::Curl.fetch(&cluster.place(), path, &local)).unwrap();
    for part in 1..=3_u64 {
        process::until("bytes come", SOON, || length(&local) > 700_000 * part)
            .await
            .unwrap();
        let victim = cluster.carried_by("/text").await.unwrap();
        cluster.hurt(victim, Fault::Kill, "/text").await.unwrap();
        cluster.mend(victim, Fault::Kill).await.unwrap();
        cluster.director.all_up(SOON).await.unwrap();
    }
    let ended = client.ended(SOON).await.unwrap();
    let said = cluster.director.program.stderr();
    assert!(ended.status.success(), "{ended:?}\n{said}");
    let sent = String::from_utf8_lossy(right).replace('\n', "\r\n");
    let got = std::fs::read(&local).unwrap();
    assert!(
        got == sent.as_bytes() || got == right,
        "{} bytes of {}",
        got.len(),
        sent.len()
    );
}

#[test]
fn a_text_survives_the_kill_of_its_server() {
    story(120, || async {
        let text: String = (0..200_000)
            .map(|number| format!("line {number} of it\n"))
            .collect();
        for kinds in [[Kind::Proftpd, Kind::Vsftpd], [Kind::Pureftpd; 2]] {
            begun_anew("text;type=a", text.as_bytes(), &kinds).await;
        }
    });
}

/// A server that greets, and then says `reply` to each line.
async fn strange_server(greeting: &'static [u8], reply: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(greeting).await?;
                let mut bytes = [0; 512];
                while stream.read(&mut bytes).await? > 0 {
                    stream.write_all(reply).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

#[test]
fn a_server_that_breaks_the_protocol_is_passed_over() {
    story(120, || async {
        let folder = director_tests::folder::Folder::fresh("ftp").unwrap();
        let home = content::folder(&folder.join("home")).unwrap();
        fill(&home).unwrap();
        let good = Server::start(Setup::new(Kind::Vsftpd, &home))
            .await
            .unwrap();
        for (greeting, reply) in [
            (&b"220 hello\r\n"[..], &b"what?\r\n"[..]),
            (b"220 hello\r\n", b"331-it never\r\n332 ends\r\n"),
            (b"220 hello\r\n", b"331 a\r\n331 more than asked\r\n"),
            (b"hello\r\n", b"200 ok\r\n"),
            (b"220 half a line", b""),
        ] {
            let strange = strange_server(greeting, reply).await;
            let settings = director_tests::director::Settings {
                service: "ftp".to_owned(),
                plugin: director_tests::programs::ftp_plugin().unwrap(),
                listen: director_tests::director::LOOPBACK.to_owned(),
                nodes: vec![strange, good.address.clone()],
                more: "stall_timeout = \"1s\"\n".to_owned(),
                options: String::new(),
            };
            let director = Director::start(&settings).await.unwrap();
            let up = |status: &director_tests::director::Status| status.nodes()[1].standing == "up";
            director
                .status_with("the good one is up", SOON, up)
                .await
                .unwrap();
            for _ in 0..3 {
                let mut talk = Talk::logged_in(&director.address)
                    .await
                    .unwrap_or_else(|error| {
                        panic!(
                            "{greeting:?} {reply:?}: {error}\n{}",
                            director.program.stderr()
                        )
                    });
                talk.say("CWD dir", 250).await.unwrap();
                let (_, bytes) = talk.receive("RETR inner").await.unwrap();
                assert_eq!(bytes, b"0123456789");
            }
        }
    });
}
