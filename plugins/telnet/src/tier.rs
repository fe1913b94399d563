//! How far a session is, which decides what a change of its host can spare the user.

use regex_lite::Regex;

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Tier {
    /// T0: its host has said nothing.
    #[default]
    Connecting,
    /// T1: the user logs in.
    Login,
    /// T2: the user is at a prompt.
    Prompt,
    /// T3: a program runs.
    Program,
}

impl Tier {
    /// Its name in logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Login => "login",
            Self::Prompt => "prompt",
            Self::Program => "program",
        }
    }
}

/// What shows it, at one host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signs {
    /// The host has said something.
    heard: bool,
    /// There was a prompt once: the login is over.
    was_at_prompt: bool,
    /// A line has begun since the prompt before.
    new_line: bool,
    /// There is one, with or without what the user has typed behind it: the host has begun no line since.
    at_prompt: bool,
}

/// Where a prompt stands in a line, by the service's pattern.
pub(crate) struct Prompt<'a> {
    /// The working directory that it tells.
    pub(crate) cwd: Option<&'a str>,
}

/// What `line` is, by `pattern`.
pub(crate) fn prompt<'a>(pattern: &Regex, line: &'a str) -> Option<Prompt<'a>> {
    let found = pattern.captures(line)?;
    let cwd = found.name("cwd").map(|cwd| cwd.as_str());
    Some(Prompt { cwd })
}

impl Signs {
    /// Of a host at which the director has logged in, and seen a prompt.
    pub(crate) fn logged_in() -> Self {
        Self {
            heard: true,
            was_at_prompt: true,
            new_line: false,
            at_prompt: true,
        }
    }

    /// The host has written data.
    pub(crate) fn hear(&mut self, data: &[u8]) {
        self.heard = true;
        self.new_line |= data.contains(&b'\n');
        // What is typed at a prompt is echoed in its line; what is done is told in others.
        if self.at_prompt && data.contains(&b'\n') {
            self.at_prompt = false;
        }
    }

    /// The cursor's line is a prompt.
    pub(crate) fn see_prompt(&mut self) {
        (self.was_at_prompt, self.at_prompt, self.new_line) = (true, true, false);
    }

    /// The host's shell says that a command runs now.
    pub(crate) fn see_command(&mut self) {
        (self.at_prompt, self.new_line) = (false, false);
    }

    /// Whether the host has said anything.
    pub(crate) fn has_been_heard(self) -> bool {
        self.heard
    }

    /// Whether a line has begun since the last prompt, or command.
    pub(crate) fn has_a_new_line(self) -> bool {
        self.new_line
    }

    /// Whether the host's last line is a prompt, as far as is known.
    pub(crate) fn is_at_prompt(self) -> bool {
        self.at_prompt
    }

    /// Whether there was a prompt once.
    pub(crate) fn was_at_prompt(self) -> bool {
        self.was_at_prompt
    }

    /// How far the session is. On the `alternate` screen a program runs, whatever is written there.
    pub(crate) fn tier(self, alternate: bool) -> Tier {
        match self {
            Self { heard: false, .. } => Tier::Connecting,
            Self {
                was_at_prompt: false,
                ..
            } => Tier::Login,
            Self {
                at_prompt: true, ..
            } if !alternate => Tier::Prompt,
            Self { .. } => Tier::Program,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_from_tier_to_tier() {
        let mut signs = Signs::default();
        assert_eq!(signs.tier(false), Tier::Connecting);
        signs.hear(b"login: ");
        assert_eq!(signs.tier(false), Tier::Login);
        signs.hear(b"\r\n$ ");
        signs.see_prompt();
        assert_eq!(signs.tier(false), Tier::Prompt);
        signs.hear(b"vi x");
        assert_eq!(signs.tier(false), Tier::Prompt);
        signs.hear(b"\r\n\x1b[?1049h");
        assert_eq!(signs.tier(true), Tier::Program);
        signs.hear(b"$ ");
        signs.see_prompt();
        assert_eq!(signs.tier(true), Tier::Program);
        assert_eq!(signs.tier(false), Tier::Prompt);
    }

    #[test]
    fn a_prompt_may_tell_the_directory() {
        let plain = Regex::new(r"[$#%>] ?$").unwrap();
        assert!(prompt(&plain, "joe@a:~$ ").unwrap().cwd.is_none());
        assert!(prompt(&plain, "login: ").is_none());
        let telling = Regex::new(r":(?<cwd>[/~][^$]*)\$ $").unwrap();
        let prompt = prompt(&telling, "joe@a:~/x y$ ").unwrap();
        assert_eq!(prompt.cwd, Some("~/x y"));
    }
}
