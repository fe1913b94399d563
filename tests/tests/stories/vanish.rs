//! The fault of the other stories is what it says: packets vanish, nobody is told, and they come back.

use std::time::Duration;

use director_tests::fetch::{self, Download, Mirrors};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::bounded::story_in_own_network;

#[test]
fn packets_of_a_host_vanish_and_come_back() {
    story_in_own_network(
        "vanish::packets_of_a_host_vanish_and_come_back",
        60,
        || async {
            let mirrors = Mirrors::start(2, 1 << 30, true).await.unwrap();
            let node = &mirrors.nodes[0];
            let whole = fetch::download(&node.address, 100_000, |_| {})
                .await
                .unwrap();
            assert_eq!(whole, Download::Whole);
            let mut stream = TcpStream::connect(&node.address).await.unwrap();
            let mut answer = [0; 8];
            stream.write_all(b"PING\r\n").await.unwrap();
            stream.read_exact(&mut answer).await.unwrap();
            let host = node.host.as_ref().unwrap();
            host.cut().await.unwrap();
            stream.write_all(b"PING\r\n").await.unwrap();
            let silence = timeout(Duration::from_millis(500), stream.read_exact(&mut answer)).await;
            assert!(
                silence.is_err(),
                "neither an answer nor an error: {silence:?}"
            );
            let connecting = timeout(
                Duration::from_millis(500),
                TcpStream::connect(&node.address),
            )
            .await;
            assert!(
                connecting.is_err(),
                "neither a connection nor a refusal: {connecting:?}"
            );
            let other = fetch::download(&mirrors.nodes[1].address, 100_000, |_| {})
                .await
                .unwrap();
            assert_eq!(other, Download::Whole, "the other host is not touched");
            host.heal().await.unwrap();
            timeout(Duration::from_secs(20), stream.read_exact(&mut answer))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(&answer, b"PONG 0\r\n");
        },
    );
}
