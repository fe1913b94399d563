//! The service's `options`, with their defaults, checked.

use std::path::PathBuf;

use director_sdk::ConfigMistake;
use regex_lite::Regex;
use serde::Deserialize;

/// Most steps of a login script.
pub(crate) const MOST_STEPS: usize = 32;

/// What stands under `[services.<name>.options]`. `docs/telnet.md` has a table of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether a session whose host fails is opened again at another one.
    pub resumable: bool,
    /// Options of Telnet, by number, that are let through although a resumable session cannot follow them.
    pub pass: Vec<u8>,
    /// Names of environment variables (RFC 1572) that may reach a host; a `*` at the end stands for anything.
    pub environment: Vec<String>,
    /// How a session is logged in: the user's own dialogue where there is none.
    pub login: Option<Login>,
    /// What the cursor's line looks like at a prompt: a regular expression. Its group `cwd`, if it has one, is the
    /// working directory.
    pub prompt: String,
    /// The command that goes back to the working directory; `{cwd}` stands for it, quoted for a shell. Empty: none.
    pub cd: String,
    /// The command that is typed last in a session that was opened again.
    pub resume: Option<String>,
    /// What the user is told when the host was changed.
    pub notice: Notice,
    /// What becomes of input that no host has confirmed when its host fails.
    pub replay: Replay,
    /// What the end of a host's stream is.
    pub eof: Eof,
    /// The word after `OSC 7717;` by which a host marks a logout.
    pub hook: String,
    /// How a quiet connection is kept alive.
    pub keep_alive: KeepAlive,
    /// Seconds without a byte after which that is done.
    pub keep_alive_seconds: u64,
    /// How a quiet host is asked within a session.
    pub watch: Watch,
    /// Seconds without a byte of the host's after which it is asked.
    pub watch_seconds: u64,
    /// Seconds that one step of a login may take, and the coming of a prompt.
    pub login_seconds: u64,
    /// Seconds without a byte of the user's after which the session is ended; 0 for never.
    pub idle_seconds: u64,
}

/// How a session is logged in at a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Login {
    /// By a word.
    Word(LoginWord),
    /// By a dialogue of the service's own.
    Script(Script),
}

/// How a session is logged in at a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginWord {
    /// The user does it at the first host; what was typed then is kept in memory, and typed again at the next.
    Typed,
}

/// A dialogue: what is waited for, and what is typed then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// In this order.
    pub script: Vec<Step>,
}

/// One step of a script. Of the three ways to send, one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the host says first: a regular expression, sought in what came since the step before.
    pub expect: String,
    /// The line that is typed then.
    #[serde(default)]
    pub send: Option<String>,
    /// The file whose first line is typed.
    #[serde(default)]
    pub send_file: Option<PathBuf>,
    /// The environment variable of the director's whose value is typed.
    #[serde(default)]
    pub send_env: Option<String>,
}

/// Whether, and in which words, the user is told that the host was changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Notice {
    /// In the plugin's own words, or not at all.
    Told(bool),
    /// In these.
    Text(String),
}

/// What becomes of input that no host has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// It is dropped, and the user told.
    Drop,
    /// At a prompt it is typed again, and what was typed meanwhile after it; else it is dropped. What the dead
    /// host did without saying so is then done twice.
    Prompt,
}

/// What the end of a host's stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eof {
    /// A logout when the host answers and no other session there ended in the same second; else a failure.
    Auto,
    /// A logout.
    Logout,
    /// A failure, unless the host has marked a logout, or the user has just said goodbye at a prompt.
    Failure,
}

/// How a quiet connection is kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepAlive {
    /// By NOP (RFC 854), to whoever has spoken Telnet.
    Nop,
    /// By TCP, which the director's host sees to.
    Tcp,
    /// Not at all.
    None,
}

/// How a quiet host is asked within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watch {
    /// By DO TIMING-MARK (RFC 860), if it has spoken Telnet, and for as long as it answers.
    TimingMark,
    /// Not at all.
    None,
}

impl Default for Options {
    fn default() -> Self {
        let environment = ["COLORTERM", "DISPLAY", "LANG", "LC_*"];
        Self {
            resumable: true,
            pass: Vec::new(),
            environment: environment.map(str::to_owned).to_vec(),
            login: None,
            prompt: r"[$#%>] ?$".to_owned(),
            cd: " cd -- {cwd}".to_owned(),
            resume: None,
            notice: Notice::Told(true),
            replay: Replay::Drop,
            eof: Eof::Auto,
            hook: "logout".to_owned(),
            keep_alive: KeepAlive::Nop,
            keep_alive_seconds: 60,
            watch: Watch::TimingMark,
            watch_seconds: 10,
            login_seconds: 10,
            idle_seconds: 0,
        }
    }
}

/// Collects mistakes.
struct Mistakes(Vec<ConfigMistake>);

impl Mistakes {
    fn check(&mut self, path: impl Into<String>, good: bool, found: &str, right: &str) {
        if !good {
            let message = format!("{found} was found; {right} is right");
            self.0.push(ConfigMistake::new(path, message));
        }
    }

    fn pattern(&mut self, path: &str, pattern: &str) {
        if let Err(error) = Regex::new(pattern) {
            let message = format!("{pattern:?} was found ({error}); a regular expression is right");
            self.0.push(ConfigMistake::new(path, message));
        }
    }
}

impl Options {
    /// Every mistake in it.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigMistake> {
        let mut mistakes = Mistakes(Vec::new());
        mistakes.pattern("prompt", &self.prompt);
        for (nth, name) in self.environment.iter().enumerate() {
            let plain = name.strip_suffix('*').unwrap_or(name);
            let good = !plain.is_empty()
                && plain
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let right = "the name of a variable, with a * at its end or without";
            mistakes.check(
                format!("environment.{nth}"),
                good,
                &format!("{name:?}"),
                right,
            );
        }
        mistakes.check(
            "cd",
            self.cd.is_empty() || self.cd.contains("{cwd}") && is_line(&self.cd),
            &format!("{:?}", self.cd),
            "a command with {cwd} in it, or an empty text",
        );
        if let Some(resume) = &self.resume {
            let right = "one line without control characters";
            mistakes.check(
                "resume",
                is_line(resume) && !resume.is_empty(),
                &format!("{resume:?}"),
                right,
            );
        }
        if let Notice::Text(text) = &self.notice {
            let right = "true, false, or one line without control characters";
            mistakes.check("notice", is_line(text), &format!("{text:?}"), right);
        }
        let hook = &self.hook;
        let good = !hook.is_empty()
            && hook.len() <= 64
            && hook.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let right = "a word of up to 64 letters and digits";
        mistakes.check("hook", good, &format!("{hook:?}"), right);
        for (path, seconds) in [
            ("keep_alive_seconds", self.keep_alive_seconds),
            ("watch_seconds", self.watch_seconds),
            ("login_seconds", self.login_seconds),
        ] {
            let right = "a number from 1 to 86400";
            mistakes.check(
                path,
                (1..=86_400).contains(&seconds),
                &seconds.to_string(),
                right,
            );
        }
        if let Some(Login::Script(script)) = &self.login {
            script.check(&mut mistakes);
        }
        mistakes.0
    }
}

impl Script {
    fn check(&self, mistakes: &mut Mistakes) {
        mistakes.check(
            "login.script",
            (1..=MOST_STEPS).contains(&self.script.len()),
            &format!("{} steps", self.script.len()),
            "a script of 1 to 32 steps",
        );
        for (nth, step) in self.script.iter().enumerate() {
            mistakes.pattern(&format!("login.script.{nth}.expect"), &step.expect);
            let ways = [
                step.send.is_some(),
                step.send_file.is_some(),
                step.send_env.is_some(),
            ];
            let ways = ways.into_iter().filter(|way| *way).count();
            mistakes.check(
                format!("login.script.{nth}"),
                ways == 1,
                &format!("{ways} of `send`, `send_file` and `send_env`"),
                "one of them",
            );
            if let Some(send) = &step.send {
                // Not shown: it may be what should stand in a file.
                mistakes.check(
                    format!("login.script.{nth}.send"),
                    is_line(send),
                    "a control character",
                    "one line without them",
                );
            }
        }
    }
}

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_mistake() {
        assert_eq!(Options::default().mistakes(), []);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let wrong = Options {
            environment: vec!["LC_*".into(), "A=B".into()],
            login: Some(Login::Script(Script {
                script: vec![Step {
                    expect: "(".into(),
                    send: Some("a\nb".into()),
                    send_file: None,
                    send_env: Some("X".into()),
                }],
            })),
            prompt: "[".into(),
            cd: "cd".into(),
            resume: Some(String::new()),
            notice: Notice::Text("\u{1b}[2J".into()),
            hook: "a;b".into(),
            keep_alive_seconds: 0,
            watch_seconds: 0,
            login_seconds: 86_401,
            ..Options::default()
        };
        let found = wrong.mistakes();
        let paths: Vec<&str> = found.iter().map(|mistake| mistake.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "prompt",
                "environment.1",
                "cd",
                "resume",
                "notice",
                "hook",
                "keep_alive_seconds",
                "watch_seconds",
                "login_seconds",
                "login.script.0.expect",
                "login.script.0",
                "login.script.0.send",
            ]
        );
        assert!(
            found
                .iter()
                .all(|mistake| !mistake.message.contains("a\nb"))
        );
    }
}
