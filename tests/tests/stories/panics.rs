//! A panic in a plugin ends one session; nobody else notices. What a plugin forgot is freed all the same.

use std::time::Duration;

use director_tests::director::{self, Director};
use director_tests::fetch::Mirrors;
use director_tests::programs;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(10);

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(director: &Director) -> Self {
        let stream = TcpStream::connect(&director.address).await;
        Self(BufReader::new(stream.unwrap_or_else(|error| {
            panic!("{}", director.program.trouble(&error.to_string()))
        })))
    }

    async fn say(&mut self, line: &str) {
        let written = self.0.write_all(format!("{line}\n").as_bytes()).await;
        assert!(written.is_ok(), "saying `{line}`: {written:?}");
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(_) => line.trim_end().to_owned(),
            Err(error) => error.to_string(),
        }
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
        listen: director::LOOPBACK.to_owned(),
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

/// Panics at each place; a bystander talks on meanwhile.
async fn only_one_ends(places: [&str; 3]) {
    let mirrors = Mirrors::start(2, 1_000_000, false).await.unwrap();
    let director = start(&mirrors).await;
    let before = director.steady(SOON).await.unwrap();
    let mut bystander = Client::connect(&director).await;
    for place in places {
        bystander.say(&format!("echo before {place}")).await;
        assert_eq!(bystander.hear().await, format!("before {place}"));
        panic_at(&director, place).await;
        bystander.say(&format!("echo after {place}")).await;
        assert_eq!(bystander.hear().await, format!("after {place}"));
    }
    let log = director.program.stderr();
    for told in ["panics/src/lib.rs", "as asked"] {
        assert!(log.contains(told), "the log lacks `{told}`:\n{log}");
    }
    let nodes = director.status().await.unwrap().nodes();
    assert!(
        nodes.iter().all(|n| n.standing == "up"),
        "a panic is not the node's fault: {nodes:?}"
    );
    assert_eq!(
        director
            .metric("director_plugin_panics_total")
            .await
            .unwrap(),
        3.0
    );
    drop(bystander);
    assert_eq!(director.settled(&before, SOON).await.unwrap(), before);
}

async fn panic_at(director: &Director, place: &str) {
    let mut victim = Client::connect(director).await;
    victim.say("echo hello").await;
    assert_eq!(victim.hear().await, "hello");
    victim.say(&format!("panic {place}")).await;
    assert_eq!(
        victim.ending().await,
        "reset",
        "a panic in {place} is no orderly end"
    );
}

#[test]
fn a_panic_ends_one_session_only() {
    story(60, || only_one_ends(["serve", "drop", "establish"]));
}

#[test]
fn a_panic_in_a_request_ends_one_session_only() {
    story(60, || only_one_ends(["attempt", "cleanup", "ask"]));
}

#[test]
fn a_plugin_that_panics_again_and_again_gets_no_new_sessions() {
    story(60, || async {
        let mirrors = Mirrors::start(2, 1_000_000, false).await.unwrap();
        let director = start(&mirrors).await;
        let mut bystander = Client::connect(&director).await;
        bystander.say("echo before").await;
        assert_eq!(bystander.hear().await, "before");
        for _ in 0..5 {
            panic_at(&director, "serve").await;
        }
        let refused = async {
            let mut stream = TcpStream::connect(&director.address).await?;
            stream.write_all(b"echo hello\n").await?;
            let mut answer = [0; 6];
            stream.read_exact(&mut answer).await
        };
        assert!(refused.await.is_err(), "it is quarantined");
        assert!(director.program.stderr().contains("quarantined"));
        bystander.say("echo after").await;
        assert_eq!(bystander.hear().await, "after", "those that are there stay");
    });
}

#[test]
fn a_chain_that_was_forgotten_is_freed_with_its_session() {
    story(60, || async {
        let mirrors = Mirrors::start(2, 1_000_000, false).await.unwrap();
        let director = start(&mirrors).await;
        let before = director.steady(SOON).await.unwrap();
        let mut client = Client::connect(&director).await;
        for _ in 0..10 {
            client.say("forget").await;
            assert_eq!(client.hear().await, "forgotten");
        }
        let now = director.rest().await.unwrap();
        let more = now.descriptors - before.descriptors;
        assert!(more >= 11, "ten links and the client, not {more}");
        drop(client);
        assert_eq!(director.settled(&before, SOON).await.unwrap(), before);
    });
}
