//! A client of the director: HTTP/1.1 over a wire.

use std::collections::BTreeMap;

use director_sdk::testing::{Wire, World};
use serde_json::Value;

/// One connection.
pub struct Client(pub Wire);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Client {
    pub fn new(world: &World) -> Self {
        Self(world.connect())
    }

    pub async fn send(&mut self, head: &str, body: &str) {
        let length = match body {
            "" => String::new(),
            body => format!(
                "Content-Length: {}\r\nContent-Type: application/json\r\n",
                body.len()
            ),
        };
        let text = format!("{head} HTTP/1.1\r\nHost: director\r\n{length}\r\n{body}");
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub async fn ask(&mut self, head: &str, body: &str) -> Answer {
        self.send(head, body).await;
        self.answer().await
    }

    pub async fn append(&mut self, message: &str) -> Answer {
        self.ask("POST /v1/stream/rooms/x", message).await
    }

    /// All messages from the start.
    pub async fn history(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut offset = "-1".to_owned();
        loop {
            let answer = self
                .ask(&format!("GET /v1/stream/rooms/x?offset={offset}"), "")
                .await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let some: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
            if some.is_empty() {
                return all;
            }
            all.extend(some);
            offset.clone_from(&answer.headers["stream-next-offset"]);
        }
    }

    pub async fn head(&mut self) -> (u16, BTreeMap<String, String>) {
        let first = self.0.read_line().await.unwrap();
        let status = first
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("{first:?}"));
        let status = status.parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            let line = self.0.read_line().await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                return (status, headers);
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }

    pub async fn answer(&mut self) -> Answer {
        let (status, headers) = self.head().await;
        let length = headers
            .get("content-length")
            .map_or(0, |n| n.parse().unwrap());
        let body = self.0.read_exact(length).await.unwrap();
        Answer {
            status,
            headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// Begins a live read.
    pub async fn live(world: &World, offset: &str) -> Live {
        let mut client = Self::new(world);
        let head = format!("GET /v1/stream/rooms/x?offset={offset}&live=sse");
        client.send(&head, "").await;
        let (status, headers) = client.head().await;
        assert_eq!(
            (status, headers["content-type"].as_str()),
            (200, "text/event-stream")
        );
        Live {
            client,
            text: String::new(),
            offset: offset.to_owned(),
        }
    }
}

/// A live read.
pub struct Live {
    client: Client,
    text: String,
    /// The last control event's.
    pub offset: String,
}

impl Live {
    /// Reads until that many messages have come, with their control events.
    pub async fn messages(&mut self, n: usize) -> Vec<Value> {
        let mut all = Vec::new();
        while all.len() < n {
            all.extend(self.unit().await);
        }
        all
    }

    /// The messages of the next data event and its control event; none when that came alone.
    pub async fn unit(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let event = self.event().await;
            let mut lines = event.lines();
            match (lines.next(), lines.next()) {
                (Some("event: data"), Some(data)) => {
                    assert!(messages.is_empty(), "two data events, one control event");
                    messages = serde_json::from_str(data.strip_prefix("data:").unwrap()).unwrap();
                }
                (Some("event: control"), Some(control)) => {
                    let control: Value =
                        serde_json::from_str(control.strip_prefix("data:").unwrap()).unwrap();
                    let keys: Vec<&String> = control.as_object().unwrap().keys().collect();
                    let known = ["streamCursor", "streamNextOffset", "upToDate"];
                    assert!(
                        keys.iter().all(|key| known.contains(&key.as_str())),
                        "{keys:?}"
                    );
                    let offset = control["streamNextOffset"].as_str().unwrap();
                    assert!(
                        self.offset.as_str() <= offset || self.offset == "-1",
                        "{} after {}",
                        offset,
                        self.offset
                    );
                    offset.clone_into(&mut self.offset);
                    return messages;
                }
                (Some(":"), _) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn event(&mut self) -> String {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return event;
            }
            let size = self.client.0.read_line().await.unwrap();
            let size =
                usize::from_str_radix(size.trim_end(), 16).unwrap_or_else(|_| panic!("{size:?}"));
            assert!(size > 0, "the live read ended");
            let chunk = self.client.0.read_exact(size + 2).await.unwrap();
            self.text
                .push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        }
    }
}
