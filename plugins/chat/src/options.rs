//! The service's `options`, with their defaults, checked.

use std::time::Duration;

use director_sdk::ConfigMistake;
use serde::Deserialize;

use crate::keys;
use crate::memory::{Bounds, Without, store};

/// What stands under `[services.<name>.options]`. `docs/chat.md` has a table of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Most bytes of a client's request body.
    pub max_body: usize,
    /// Most bytes of a node's answer, and of one event.
    pub max_answer: usize,
    /// Seconds in which a client has to send its next request's head, and then the body, and for which it
    /// may take no byte of an answer.
    pub client_timeout: u64,
    /// Seconds after which a quiet live read gets a comment.
    pub keep_alive: u64,
    /// Streams of which something is remembered.
    pub streams: usize,
    /// Bytes of the outbox in memory; what is beyond goes to files.
    pub outbox_memory: u64,
    /// Bytes of the outbox in all; a write beyond is refused with 503.
    pub outbox_bytes: u64,
    /// Writes in the outbox; a write beyond is refused with 503.
    pub outbox_writes: usize,
    /// Entries a stream of which the keys are kept, so that they are not shown twice.
    pub keys: usize,
    /// Seconds for which they are kept.
    pub keys_seconds: u64,
    /// Rules switched off, to show what each is for. Not for use.
    pub without: Vec<Rule>,
}

/// A rule that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Sending again what may be lost.
    Outbox,
    /// Former names, and keys.
    Names,
    /// `Stream-Min-Offset`.
    MinOffset,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_body: 4 << 20,
            max_answer: 16 << 20,
            client_timeout: 60,
            keep_alive: 15,
            streams: 65_536,
            outbox_memory: 16 << 20,
            outbox_bytes: 1 << 30,
            outbox_writes: 100_000,
            keys: 4096,
            keys_seconds: 600,
            without: Vec::new(),
        }
    }
}

impl Options {
    /// Every mistake in it.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigMistake> {
        let mut mistakes = Vec::new();
        let mut check = |path: &str, good: bool, found: String, right: &str| {
            if !good {
                let message = format!("{found} was found; {right} is right");
                mistakes.push(ConfigMistake::new(path, message));
            }
        };
        let positive = |n: u64| (n > 0, n.to_string());
        for (path, value) in [
            ("max_body", self.max_body as u64),
            ("client_timeout", self.client_timeout),
            ("keep_alive", self.keep_alive),
            ("streams", self.streams as u64),
            ("outbox_writes", self.outbox_writes as u64),
            ("keys_seconds", self.keys_seconds),
        ] {
            let (good, found) = positive(value);
            check(path, good, found, "a number from 1");
        }
        check(
            "max_answer",
            self.max_answer >= 1 << 20,
            self.max_answer.to_string(),
            "at least 1048576, for a server sends a mebibyte in one answer,",
        );
        check(
            "outbox_bytes",
            self.outbox_bytes >= self.max_body as u64,
            self.outbox_bytes.to_string(),
            "at least `max_body`",
        );
        check(
            "outbox_memory",
            self.outbox_memory <= self.outbox_bytes,
            self.outbox_memory.to_string(),
            "at most `outbox_bytes`",
        );
        check(
            "keep_alive",
            self.keep_alive < 30,
            self.keep_alive.to_string(),
            "less than 30: a read is given up after 30 seconds without a byte and without a node",
        );
        mistakes
    }

    /// The bounds of the memory.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds {
            streams: self.streams,
            keys: keys::Bounds {
                keys: self.keys,
                age: Duration::from_secs(self.keys_seconds),
            },
            outbox: store::Bounds {
                memory: self.outbox_memory,
                bytes: self.outbox_bytes,
                writes: self.outbox_writes,
            },
        }
    }

    /// The rules switched off.
    #[must_use]
    pub fn without(&self) -> Without {
        let off = |rule| self.without.contains(&rule);
        Without {
            outbox: off(Rule::Outbox),
            names: off(Rule::Names),
            min_offset: off(Rule::MinOffset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> Result<Options, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_good_and_mistakes_are_told_together() {
        assert!(options("{}").unwrap().mistakes().is_empty());
        let bad = options(
            r#"{"max_body": 0, "max_answer": 5, "outbox_memory": 9, "outbox_bytes": 8, "keep_alive": 60}"#,
        );
        let mistakes: Vec<_> = bad.unwrap().mistakes();
        let paths: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.path.as_str())
            .collect();
        assert_eq!(
            paths,
            ["max_body", "max_answer", "outbox_memory", "keep_alive"]
        );
        assert!(mistakes[0].message.contains("0 was found"));
    }

    #[test]
    fn unknown_options_and_rules_are_mistakes() {
        assert!(options(r#"{"max_bodies": 1}"#).is_err());
        assert!(options(r#"{"without": ["everything"]}"#).is_err());
        let some = options(r#"{"without": ["names", "min-offset"]}"#).unwrap();
        let without = some.without();
        assert!(without.names && without.min_offset && !without.outbox);
    }
}
