//! A user who does a day's work: types a command, looks at what comes of it, and types it again when told that the
//! host was changed before there was anything.

use std::collections::BTreeMap;
use std::time::Duration;

use director_sdk::testing::World;

use super::client::Client;

pub struct User {
    pub client: Client,
    /// How often each command was typed.
    pub typed: BTreeMap<String, usize>,
}

impl User {
    pub fn new(world: &World) -> Self {
        Self {
            client: Client::new(world),
            typed: BTreeMap::new(),
        }
    }

    fn notices(&self) -> usize {
        let raw = &self.client.raw;
        raw.windows(10)
            .filter(|text| *text == b"[host lost")
            .count()
    }

    /// Types `line` until `result` has come of it.
    pub async fn does(&mut self, line: &str, result: &str) {
        loop {
            let (notices, start) = (self.notices(), self.client.raw.len());
            *self.typed.entry(line.to_owned()).or_default() += 1;
            self.client.enter(line).await;
            loop {
                let said = &self.client.raw[start..];
                let at = said
                    .windows(result.len())
                    .rposition(|text| text == result.as_bytes());
                let at_prompt = self.client.screen.line().ends_with("$ ");
                if at.is_some() && at_prompt {
                    return;
                }
                if self.notices() > notices && at_prompt {
                    break;
                }
                assert!(
                    !self.client.has_ended,
                    "at {line}:\n{}",
                    self.client.shown()
                );
                let began = self.client.raw.len();
                self.client.hear_within(Duration::from_secs(100)).await;
                let heard = self.client.raw.len() > began || self.client.has_ended;
                assert!(heard, "nothing came of {line}:\n{}", self.client.shown());
            }
        }
    }

    /// Logs out, again when told that the host was changed before.
    pub async fn leaves(&mut self) {
        while !self.client.has_ended {
            let notices = self.notices();
            self.client.enter("exit").await;
            while !self.client.has_ended {
                let at_prompt = self.client.screen.line().ends_with("$ ");
                if self.notices() > notices && at_prompt {
                    break;
                }
                self.client.hear().await;
            }
        }
    }
}
