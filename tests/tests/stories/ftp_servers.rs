//! What the other FTP stories count on, without a director: the servers serve, every client gets along
//! with every server, and a server that is killed, stopped or full is so to its client.

use std::time::Duration;

use director_tests::folder::Folder;
use director_tests::ftp::clients::{self, Client, Place};
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::content;
use director_tests::ftp::identity::Identity;
use director_tests::ftp::server::Server;
use director_tests::ftp::talk::Talk;
use director_tests::process;
use rustix::process::Signal;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);

/// Fetches and stores by one client, and says what went wrong.
async fn get_along(
    client: Client,
    place: &Place,
    stores: bool,
    folder: &Folder,
    home: &std::path::Path,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let content = content::bytes(7, 300_001);
    let local = folder.join(format!("{client:?}.got"));
    let ended = clients::run(client.fetch(place, "file", &local), SOON)
        .await
        .unwrap();
    let got = std::fs::read(&local).unwrap_or_default();
    if !ended.status.success() || got != content {
        wrong.push(format!("{client:?} fetched {} bytes: {ended:?}", got.len()));
    }
    let source = folder.join("source");
    std::fs::write(&source, &content).unwrap();
    let remote = format!("up-{client:?}");
    if let Some(command) = client.store(place, &source, &remote).filter(|_| stores) {
        let ended = clients::run(command, SOON).await.unwrap();
        let held = std::fs::read(home.join(&remote)).unwrap_or_default();
        if !ended.status.success() || held != content {
            wrong.push(format!("{client:?} stored {} bytes: {ended:?}", held.len()));
        }
    }
    wrong
}

#[test]
fn every_client_gets_along_with_every_server_directly() {
    story(240, || async {
        let folder = Folder::fresh("ftp").unwrap();
        let identity = Identity::make(folder.path()).await.unwrap();
        let mut wrong = Vec::new();
        for kind in Kind::ALL {
            let home = content::folder(&folder.join(kind.name())).unwrap();
            content::file(&home.join("file"), &content::bytes(7, 300_001)).unwrap();
            let mut setup = Setup::new(kind, &home);
            setup.identity = Some(identity.both.clone());
            let server = Server::start(setup).await.unwrap();
            for client in Client::ALL {
                let mut places = vec![Place::plain(&server.address)];
                if client.speaks_tls() {
                    places.push(Place::tls(&server.address, &identity.authority));
                }
                for place in places {
                    // curl and lftp close a data connection without having read the server's tickets: their
                    // kernel resets it, and vsftpd loses what it has not read yet.
                    let stores = kind != Kind::Vsftpd || place.authority.is_none();
                    for what in get_along(client, &place, stores, &folder, &home).await {
                        wrong.push(format!(
                            "{} tls {}: {what}",
                            kind.name(),
                            place.authority.is_some()
                        ));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn a_killed_server_fails_its_client_and_comes_back() {
    story(120, || async {
        for kind in Kind::ALL {
            let folder = Folder::fresh("ftp").unwrap();
            let home = content::folder(&folder.join("home")).unwrap();
            content::file(&home.join("file"), &content::bytes(7, 8_000_000)).unwrap();
            let mut setup = Setup::new(kind, &home);
            setup.rate = Some(1_000_000);
            let mut server = Server::start(setup).await.unwrap();
            let local = folder.join("got");
            let place = Place::plain(&server.address);
            let client = clients::start(Client::Curl.fetch(&place, "file", &local)).unwrap();
            let come = || std::fs::metadata(&local).map_or(0, |file| file.len()) > 100_000;
            process::until("bytes come", SOON, come).await.unwrap();
            assert!(
                !server.sessions_with("/file").unwrap().is_empty(),
                "{kind:?}: a session has it open"
            );
            server.kill().await.unwrap();
            let ended = client.ended(SOON).await.unwrap();
            assert!(!ended.status.success(), "{kind:?}: {ended:?}");
            server.restart().await.unwrap();
            let mut talk = Talk::logged_in(&server.address).await.unwrap();
            talk.say("TYPE I", 200).await.unwrap();
            assert_eq!(
                talk.say("SIZE file", 213).await.unwrap().lines,
                ["213 8000000"]
            );
        }
    });
}

#[test]
fn a_stopped_session_is_silent_and_its_server_is_not() {
    story(120, || async {
        for kind in Kind::ALL {
            let folder = Folder::fresh("ftp").unwrap();
            let home = content::folder(&folder.join("home")).unwrap();
            content::file(&home.join("file"), &content::bytes(7, 4_000_000)).unwrap();
            let mut setup = Setup::new(kind, &home);
            setup.rate = Some(1_000_000);
            let mut server = Server::start(setup).await.unwrap();
            let local = folder.join("got");
            let place = Place::plain(&server.address);
            let client = clients::start(Client::Curl.fetch(&place, "file", &local)).unwrap();
            let length = || std::fs::metadata(&local).map_or(0, |file| file.len());
            process::until("bytes come", SOON, || length() > 100_000)
                .await
                .unwrap();
            let with = server.sessions_with("/file").unwrap();
            for pid in &with {
                process::signal(*pid, Signal::STOP).unwrap();
            }
            Talk::logged_in(&server.address).await.unwrap();
            server.kill().await.unwrap();
            let ended = client.ended(SOON).await.unwrap();
            assert!(!ended.status.success(), "{kind:?}: {ended:?}");
            assert!(length() < 4_000_000, "{kind:?}");
        }
    });
}

#[test]
fn a_full_server_says_so_in_its_greeting() {
    story(60, || async {
        for kind in Kind::ALL {
            let folder = Folder::fresh("ftp").unwrap();
            let home = content::folder(&folder.join("home")).unwrap();
            let mut setup = Setup::new(kind, &home);
            setup.clients = Some(1);
            let server = Server::start(setup).await.unwrap();
            // The harness's own look at the greeting may still be counted.
            let mut first = loop {
                if let Ok(talk) = Talk::logged_in(&server.address).await {
                    break talk;
                }
            };
            let mut second = Talk::connect(&server.address).await.unwrap();
            let greeting = second.reply().await;
            println!("{kind:?} is full: {greeting:?}");
            assert!(!greeting.is_ok_and(|reply| reply.code == 220), "{kind:?}");
            first.say("NOOP", 200).await.unwrap();
        }
    });
}
