//! A panic in a plugin ends one session; nobody else notices. What a plugin forgot is freed all the same.

use std::time::Duration;

use director_tests::director::{self, Director};
use director_tests::fetch::Mirrors;
use director_tests::programs;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::bounded::story;

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(director: &Director) -> Self {
        Self(BufReader::new(
            TcpStream::connect(&director.address).await.unwrap(),
        ))
    }

    async fn say(&mut self, line: &str) {
        self.0
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// How the connection ends: `reset`, or `end` for an orderly one.
    async fn ending(&mut self) -> &'static str {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest).await {
            Ok(_) => "end",
            Err(_) => "reset",
        }
    }
}

async fn start(mirrors: &Mirrors) -> Director {
    let settings = director::Settings {
        service: "panics".to_owned(),
        plugin: programs::apart("libpanics.so").unwrap(),
        nodes: mirrors
            .nodes
            .iter()
            .map(|node| node.address.clone())
            .collect(),
        more: String::new(),
        options: String::new(),
    };
    let director = Director::start(&settings).await.unwrap();
    director.all_up(Duration::from_secs(10)).await.unwrap();
    director
}

#[test]
fn a_panic_ends_one_session_only() {
    story(60, || async {
        let mirrors = Mirrors::start(2, 1_000_000, false).await.unwrap();
        let director = start(&mirrors).await;
        let before = director.status().await.unwrap().host();
        let mut bystander = Client::connect(&director).await;
        for place in ["serve", "drop", "establish", "attempt", "cleanup", "ask"] {
            bystander.say(&format!("echo before {place}")).await;
            assert_eq!(bystander.hear().await, format!("before {place}"));
            let mut victim = Client::connect(&director).await;
            victim.say("echo hello").await;
            assert_eq!(victim.hear().await, "hello");
            victim.say(&format!("panic {place}")).await;
            assert_eq!(
                victim.ending().await,
                "reset",
                "a panic in {place} is no orderly end"
            );
            bystander.say(&format!("echo after {place}")).await;
            assert_eq!(bystander.hear().await, format!("after {place}"));
        }
        let log = director.program.stderr();
        for told in [
            "as asked, in serve",
            "as asked, in attempt",
            "panics/src/lib.rs",
        ] {
            assert!(log.contains(told), "the log lacks `{told}`:\n{log}");
        }
        let nodes = director.status().await.unwrap().nodes();
        assert!(
            nodes.iter().all(|n| n.standing == "up"),
            "a panic is not the node's fault: {nodes:?}"
        );
        assert_eq!(director.metric("director_panics_total").await.unwrap(), 6.0);
        drop(bystander);
        at_rest(&director, &before).await;
    });
}

#[test]
fn a_chain_that_was_forgotten_is_freed_with_its_session() {
    story(60, || async {
        let mirrors = Mirrors::start(2, 1_000_000, false).await.unwrap();
        let director = start(&mirrors).await;
        let before = director.status().await.unwrap().host();
        let descriptors = director.program.descriptors().unwrap();
        let mut client = Client::connect(&director).await;
        for _ in 0..10 {
            client.say("forget").await;
            assert_eq!(client.hear().await, "forgotten");
        }
        assert!(
            director.program.descriptors().unwrap() >= descriptors + 11,
            "ten links and the client"
        );
        drop(client);
        at_rest(&director, &before).await;
        let same = || director.program.descriptors().unwrap() == descriptors;
        director_tests::process::until("the links are closed", Duration::from_secs(10), same)
            .await
            .unwrap();
    });
}

async fn at_rest(director: &Director, before: &[(String, u64)]) {
    director
        .status_with(
            "no live objects of sessions",
            Duration::from_secs(10),
            |status| status.host() == before && status.nodes().iter().all(|n| n.in_flight == 0),
        )
        .await
        .unwrap();
}
