//! A chat room behind a director, and its visitors.

use std::time::Duration;

use director_tests::director::{self, Director};
use director_tests::group::{self, Group};
use director_tests::http::{self, Events};
use director_tests::programs;
use serde_json::Value;
use tokio::time::timeout;

/// A group, a director before it, and the room `rooms/lobby`.
///
/// The chat plugin is the one that was built apart, with another tokio and another allocator.
pub(crate) struct Room {
    pub(crate) group: Group,
    pub(crate) director: Director,
}

impl Room {
    /// Starts `nodes` servers and a director.
    pub(crate) async fn open(nodes: usize) -> Self {
        Self::with(&group::Settings {
            nodes,
            ..group::Settings::default()
        })
        .await
    }

    pub(crate) async fn with(settings: &group::Settings) -> Self {
        let group = Group::start(settings).await.unwrap();
        let director = director_for(&group).await;
        Self { group, director }
    }

    pub(crate) fn target(&self) -> String {
        "/v1/stream/rooms/lobby".to_owned()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.director.address, self.target())
    }

    /// Posts a message through the director on a connection of its own.
    pub(crate) async fn post(&self, text: &str) -> String {
        post(&self.director.address, "poster", text).await;
        text.to_owned()
    }

    /// The texts of the room, read through the director from the start, each once.
    pub(crate) async fn texts(&self) -> Vec<String> {
        texts(
            &group::read_all(&self.director.address, "rooms/lobby")
                .await
                .unwrap(),
        )
    }

    /// The room holds exactly these texts.
    pub(crate) async fn holds(&self, expected: &[&str]) {
        assert_eq!(self.texts().await, expected);
    }

    /// The index of the node that most live reads hang on.
    pub(crate) async fn in_use(&self) -> usize {
        let status = self.director.status().await.unwrap();
        let nodes = status.nodes();
        let used = nodes
            .iter()
            .max_by_key(|node| node.in_flight)
            .filter(|node| node.in_flight > 0);
        let used = used.unwrap_or_else(|| panic!("no node is in use: {nodes:?}"));
        self.group
            .nodes
            .iter()
            .position(|node| node.address == used.address)
            .unwrap()
    }

    /// Every node has joined, and the director holds all for up.
    pub(crate) async fn all_up(&self) {
        for node in &self.group.nodes {
            node.joined().await.unwrap();
        }
        self.director.all_up(Duration::from_secs(20)).await.unwrap();
    }
}

pub(crate) async fn director_for(group: &Group) -> Director {
    let settings = director::Settings {
        service: "chat".to_owned(),
        plugin: programs::apart("libchat_apart.so").unwrap(),
        listen: director::LOOPBACK.to_owned(),
        nodes: group.addresses(),
        more: String::new(),
        options: String::new(),
    };
    let director = Director::start(&settings).await.unwrap();
    director.all_up(Duration::from_secs(20)).await.unwrap();
    director
}

pub(crate) async fn post(address: &str, from: &str, text: &str) {
    let message = serde_json::json!({ "from": from, "text": text, "at": "2026-01-01T00:00:00Z" });
    let headers = [("Content-Type", "application/json")];
    let body = message.to_string();
    let target = "/v1/stream/rooms/lobby";
    let answer = http::ask(address, "POST", target, &headers, Some(body.as_bytes()))
        .await
        .unwrap();
    assert!(
        matches!(answer.status(), 200 | 204),
        "{text}: {} {}",
        answer.status(),
        answer.text()
    );
}

pub(crate) fn texts(messages: &[Value]) -> Vec<String> {
    messages
        .iter()
        .map(|m| m["text"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A live read that must never be broken.
pub(crate) struct Visitor {
    events: Events,
    /// All texts shown so far.
    pub(crate) shown: Vec<String>,
}

impl Visitor {
    /// Opens a live read from the start of the room.
    pub(crate) async fn enter(address: &str) -> Self {
        let target = "/v1/stream/rooms/lobby?offset=-1&live=sse";
        Self {
            events: Events::open(address, target, &[]).await.unwrap(),
            shown: Vec::new(),
        }
    }

    /// Reads on, in the same response, until this text is shown.
    pub(crate) async fn sees(&mut self, text: &str, within: Duration) {
        let reading = async {
            while !self.shown.iter().any(|shown| shown == text) {
                let event = self.events.next().await.expect("the live read is unbroken");
                let event = event.expect("the live read is not ended");
                if event.name == "data" {
                    let messages: Vec<Value> = serde_json::from_str(&event.data).unwrap();
                    self.shown.extend(texts(&messages));
                } else {
                    let control: Value = serde_json::from_str(&event.data).unwrap();
                    let token = control["streamNextOffset"].as_str().unwrap();
                    assert!(
                        token.len() < 64,
                        "a token of {} characters: {token}",
                        token.len()
                    );
                }
            }
        };
        let seen = timeout(within, reading).await;
        assert!(
            seen.is_ok(),
            "not within {within:?}: {text}; shown so far: {:?}",
            self.shown
        );
    }
}
