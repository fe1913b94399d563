//! The end of a director: sessions may end, then they are reset; and how many sessions it takes at all.

use std::time::Duration;

use director_tests::director::{self, Director};
use director_tests::fetch::{self, Download, Mirrors};
use director_tests::programs;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(10);

async fn start(mirrors: &Mirrors, more: &str) -> Director {
    let settings = director::Settings {
        service: "fetch".to_owned(),
        plugin: programs::fetch_plugin().unwrap(),
        listen: director::LOOPBACK.to_owned(),
        nodes: mirrors
            .nodes
            .iter()
            .map(|node| node.address.clone())
            .collect(),
        more: more.to_owned(),
        options: String::new(),
    };
    let director = Director::start(&settings).await.unwrap();
    director.all_up(SOON).await.unwrap();
    director
}

/// A download of a megabyte, of which the first bytes have come.
async fn begun(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET 1000000 0\r\n").await.unwrap();
    let mut first = [0; 64];
    stream.read_exact(&mut first).await.unwrap();
    stream
}

/// A client that asks for a byte or two.
async fn ping(address: &str) -> std::io::Result<usize> {
    let mut client = TcpStream::connect(address).await?;
    client.write_all(b"PING\r\n").await?;
    client.read_exact(&mut [0; 6]).await
}

#[test]
fn a_stop_lets_a_download_end_and_takes_no_new_client() {
    story(60, || async {
        let mirrors = Mirrors::start(1, 500_000, false).await.unwrap();
        let mut director = start(&mirrors, "stop_grace = \"30s\"").await;
        let address = director.address.clone();
        let (come, first) = tokio::sync::oneshot::channel();
        let mut come = Some(come);
        let download = tokio::spawn({
            let address = address.clone();
            async move {
                let progress = |_| {
                    // Whoever waited for the first byte has gone by then, or has it.
                    let _told = come.take().map(|come| come.send(()));
                };
                fetch::download(&address, 1_000_000, progress)
                    .await
                    .unwrap()
            }
        });
        first.await.unwrap();
        director.program.signal(Signal::TERM).unwrap();
        director.program.line_with("stopping", SOON).await.unwrap();
        // Each worker closes its listener when it hears of the stop; until then a client may slip in.
        let refused = async {
            while ping(&address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let soon = tokio::time::timeout(SOON, refused).await;
        assert!(soon.is_ok(), "no new client is served");
        assert!(ping(&address).await.is_err(), "nor another one later");
        assert_eq!(download.await.unwrap(), Download::Whole);
        let status = director.program.ended(SOON).await.unwrap();
        assert!(status.success(), "{status}");
    });
}

#[test]
fn a_stop_resets_what_has_not_ended_in_its_grace() {
    story(60, || async {
        let mirrors = Mirrors::start(1, 50_000, false).await.unwrap();
        let mut director = start(&mirrors, "stop_grace = \"300ms\"").await;
        let mut client = begun(&director.address).await;
        director.program.signal(Signal::TERM).unwrap();
        let mut rest = Vec::new();
        let end = client.read_to_end(&mut rest).await;
        assert!(
            end.is_err(),
            "a reset, for the file is not whole: {} bytes",
            rest.len()
        );
        let status = director.program.ended(SOON).await.unwrap();
        assert!(status.success(), "{status}");
    });
}

#[test]
fn more_clients_than_there_may_be_are_refused_and_the_others_go_on() {
    story(60, || async {
        let mirrors = Mirrors::start(1, 1_000_000, false).await.unwrap();
        let director = start(&mirrors, "max_sessions = 2").await;
        let mut clients = [
            begun(&director.address).await,
            begun(&director.address).await,
        ];
        let third = ping(&director.address).await;
        assert!(third.is_err(), "the third is refused");
        for client in &mut clients {
            client.read_exact(&mut [0; 100_000]).await.unwrap();
        }
        drop(clients);
        director
            .status_with("no session", SOON, |status| status.sessions().is_empty())
            .await
            .unwrap();
        assert_eq!(
            fetch::download(&director.address, 1000, |_| {})
                .await
                .unwrap(),
            Download::Whole
        );
    });
}
