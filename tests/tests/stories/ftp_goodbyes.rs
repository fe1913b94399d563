//! 421 where it is least wanted, by real servers: in the middle of a transfer, and in the greetings of those
//! that a broken transfer is taken to. It ends a link; it is no sign against its server.

use std::time::Duration;

use director_tests::folder::Folder;
use director_tests::ftp::clients::{self, Client};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::content;
use director_tests::ftp::server::Server;
use director_tests::ftp::talk::Talk;
use director_tests::process;
use tokio::io::AsyncReadExt;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);
const SIZE: usize = 24_000_000;

#[test]
fn a_server_says_421_in_mid_transfer_when_it_is_brought_to_it() {
    story(60, || async {
        let folder = Folder::fresh("ftp").unwrap();
        let home = content::folder(&folder.join("home")).unwrap();
        content::file(&home.join("file"), &content::bytes(7, 40_000_000)).unwrap();
        let mut setup = Setup::new(Kind::Vsftpd, &home);
        setup.rate = Some(6_000_000);
        let server = Server::start(setup).await.unwrap();
        let mut talk = Talk::logged_in(&server.address).await.unwrap();
        let mut data = talk.passive().await.unwrap();
        assert_eq!(talk.ask("RETR file").await.unwrap().code, 150);
        data.read_exact(&mut vec![0; 100_000]).await.unwrap();
        let reader = tokio::spawn(async move {
            let mut rest = Vec::new();
            // Closed or reset: either is an end before the file's.
            let _end = data.read_to_end(&mut rest).await;
            rest.len()
        });
        server.say_goodbye("/file").await.unwrap();
        talk.expect(421).await.unwrap();
        assert!(talk.ends().await.unwrap());
        assert!(reader.await.unwrap() < 30_000_000);
        assert!(server.runs());
        Talk::logged_in(&server.address).await.unwrap();
    });
}

#[test]
fn a_download_outlives_the_time_that_its_servers_give_a_session() {
    story(120, || async {
        let mut plan = Plan::of(&[Kind::Proftpd; 2]).rate(5_000_000);
        plan.setup = |setup| setup.session_seconds = Some(1);
        let content = content::bytes(1, SIZE);
        let cluster = Cluster::start(&plan, |home| content::file(&home.join("big.bin"), &content))
            .await
            .unwrap();
        let local = cluster.folder.join("got");
        let command = Client::Curl.fetch(&cluster.place(), "big.bin", &local);
        let ended = clients::run(command, SOON).await.unwrap();
        let said = cluster.director.program.stderr();
        assert!(ended.status.success(), "{ended:?}\n{said}");
        assert!(std::fs::read(&local).unwrap() == content);
        let goodbyes = said.matches(" 421").count();
        assert!(goodbyes >= 3, "{goodbyes} times 421: {said}");
        assert!(!said.contains("node is suspect"), "{said}");
    });
}

#[test]
fn a_broken_download_passes_over_servers_that_are_full() {
    story(120, || async {
        let full = [Kind::Proftpd, Kind::Pureftpd];
        let mut plan = Plan::of(&[Kind::Vsftpd, full[0], full[1], Kind::Vsftpd]).rate(4_000_000);
        plan.setup = |setup| {
            // The director's own watch takes the one place; Pure-FTPd greets the next with 421, ProFTPD closes.
            setup.clients = (setup.kind != Kind::Vsftpd).then_some(1);
        };
        let content = content::bytes(1, SIZE);
        let mut cluster =
            Cluster::start(&plan, |home| content::file(&home.join("big.bin"), &content))
                .await
                .unwrap();
        let local = cluster.folder.join("got");
        let command = Client::Curl.fetch(&cluster.place(), "big.bin", &local);
        let client = clients::start(command).unwrap();
        for part in 1..=4_u64 {
            process::until("bytes come", SOON, || length(&local) > 4_000_000 * part)
                .await
                .unwrap_or_else(|error| panic!("{error}; {}", cluster.director.program.stderr()));
            if part > 1 && length(&local) == SIZE as u64 {
                break; // on a busy machine it may be done before the last victim is back
            }
            let victim = cluster.carried_by("/big.bin").await.unwrap();
            cluster.hurt(victim, Fault::Kill, "/big.bin").await.unwrap();
            cluster.mend(victim, Fault::Kill).await.unwrap();
        }
        let ended = client.ended(SOON).await.unwrap();
        let said = cluster.director.program.stderr();
        assert!(ended.status.success(), "{ended:?}\n{said}");
        assert!(std::fs::read(&local).unwrap() == content);
    });
}
