//! Logging in without the user: by the service's script, or by what the user typed at the first host.
//!
//! Both are a list of [`Line`]s that a [`Runner`] walks through. It does no I/O, and nothing of what it
//! types is ever logged.

pub(crate) mod script;
pub(crate) mod secret;
pub(crate) mod typed;

use regex_lite::Regex;
use zeroize::Zeroizing;

/// Most bytes of what a host says that are looked at for one step, the last ones.
const HEARD: usize = 2048;

/// One step: what the host says first, and what is typed then, its end included.
pub(crate) struct Line {
    pub(crate) expect: Expect,
    pub(crate) send: Zeroizing<Vec<u8>>,
}

/// What is waited for.
pub(crate) enum Expect {
    /// A pattern, anywhere in what came since the step before.
    Pattern(Regex),
    /// The last word of what came, blanks apart. Empty: nothing is waited for.
    Word(String),
}

impl Expect {
    fn is_in(&self, heard: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(heard),
            Self::Word(word) => heard.trim_end().ends_with(word),
        }
    }
}

/// How far a login has got at one host.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    at: usize,
    heard: Vec<u8>,
}

/// What is to be done for a login now.
pub(crate) enum Next<'a> {
    /// To wait for what the host says.
    Wait,
    /// To type this.
    Type(&'a [u8]),
    /// Nothing: all was typed.
    Over,
    /// To give up: all was typed, and the host asks from the beginning again.
    Refused,
}

impl Runner {
    /// The host said so, without what is Telnet's.
    pub(crate) fn hear(&mut self, data: &[u8]) {
        let kept = data.len().min(HEARD);
        self.heard.extend_from_slice(&data[data.len() - kept..]);
        let over = self.heard.len().saturating_sub(HEARD);
        self.heard.drain(..over);
    }

    /// What is next. A step is over once it has been told.
    pub(crate) fn next<'a>(&mut self, lines: &'a [Line]) -> Next<'a> {
        let heard = String::from_utf8_lossy(&self.heard);
        match lines.get(self.at) {
            None => match lines.first() {
                Some(first) if first.expect.is_in(&heard) => Next::Refused,
                Some(_) | None => Next::Over,
            },
            Some(line) if line.expect.is_in(&heard) => {
                self.at += 1;
                self.heard.clear();
                Next::Type(&line.send)
            }
            Some(_) => Next::Wait,
        }
    }

    /// Whether [`next`](Self::next) has something to do, or to tell.
    pub(crate) fn is_due(&self, lines: &[Line]) -> bool {
        let heard = String::from_utf8_lossy(&self.heard);
        let line = lines.get(self.at).or(lines.first());
        line.is_some_and(|line| line.expect.is_in(&heard))
    }

    /// Whether all was typed.
    pub(crate) fn is_over(&self, lines: &[Line]) -> bool {
        self.at >= lines.len()
    }

    /// The number of the step that is waited for, from 1.
    pub(crate) fn step(&self) -> usize {
        self.at + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(expect: Expect, send: &str) -> Line {
        let send = Zeroizing::new(send.as_bytes().to_vec());
        Line { expect, send }
    }

    fn lines() -> Vec<Line> {
        let user = Expect::Pattern(Regex::new("(?i)login: ?$").unwrap());
        vec![
            line(user, "joe\r\n"),
            line(Expect::Word("Password:".into()), "secret\r\n"),
        ]
    }

    fn typed(next: &Next<'_>) -> Option<String> {
        match next {
            Next::Type(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Next::Wait | Next::Over | Next::Refused => None,
        }
    }

    #[test]
    fn a_step_waits_for_the_one_before_it() {
        let (lines, mut runner) = (lines(), Runner::default());
        assert!(matches!(runner.next(&lines), Next::Wait));
        runner.hear(b"Debian\r\n\r\nhost lo");
        assert!(matches!(runner.next(&lines), Next::Wait));
        runner.hear(b"gin: ");
        assert_eq!(typed(&runner.next(&lines)).as_deref(), Some("joe\r\n"));
        assert!(matches!(runner.next(&lines), Next::Wait));
        runner.hear(b"joe\r\nPassword: ");
        assert_eq!(typed(&runner.next(&lines)).as_deref(), Some("secret\r\n"));
        assert!(runner.is_over(&lines));
        runner.hear(b"\r\nWelcome\r\n$ ");
        assert!(matches!(runner.next(&lines), Next::Over));
    }

    #[test]
    fn a_host_that_asks_from_the_beginning_has_refused() {
        let (lines, mut runner) = (lines(), Runner::default());
        for said in ["login: ", "Password: "] {
            runner.hear(said.as_bytes());
            assert!(typed(&runner.next(&lines)).is_some());
        }
        runner.hear(b"\r\nLogin incorrect\r\nlogin: ");
        assert!(matches!(runner.next(&lines), Next::Refused));
    }

    #[test]
    fn what_is_heard_is_bounded() {
        let (lines, mut runner) = (lines(), Runner::default());
        for _ in 0..1000 {
            runner.hear(&[b'x'; 5000]);
        }
        assert!(runner.heard.capacity() <= 4 * HEARD);
        runner.hear(b"login:");
        assert!(typed(&runner.next(&lines)).is_some());
    }
}
