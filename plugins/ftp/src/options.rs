//! The service's `options`, with their defaults, checked.

use director_sdk::ConfigMistake;
use serde::Deserialize;

/// What stands under `[services.<name>.options]`. `docs/ftp.md` has a table of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What the client is greeted with, behind the code 220.
    pub banner: String,
    /// Seconds without a command after which a client is sent away with 421.
    pub idle_seconds: u64,
    /// Most bytes of a command line.
    pub line_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            banner: "FTP service ready.".to_owned(),
            idle_seconds: 300,
            line_limit: 8 * 1024,
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
        check(
            "banner",
            !self.banner.contains(char::is_control),
            format!("{:?}", self.banner),
            "one line without control characters",
        );
        check(
            "idle_seconds",
            self.idle_seconds > 0,
            self.idle_seconds.to_string(),
            "1 or more",
        );
        check(
            "line_limit",
            (512..=1 << 20).contains(&self.line_limit),
            self.line_limit.to_string(),
            "a number from 512 to 1048576",
        );
        mistakes
    }
}
