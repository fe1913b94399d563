//! What the user typed before the first prompt, to be typed again at another host. Kept in memory only,
//! and zeroized when it is dropped.

use zeroize::Zeroizing;

use super::{Expect, Line};

/// Most lines of a login.
const MOST_LINES: usize = 8;
/// Most bytes of one of them.
const LONGEST: usize = 256;
/// Most bytes of the word that is waited for before a line.
const LONGEST_WORD: usize = 64;

/// What was typed so far.
#[derive(Default)]
pub(crate) struct Typed {
    lines: Vec<Line>,
    /// The line that has begun, and its prompt's last word.
    current: Option<(String, Zeroizing<Vec<u8>>)>,
    /// A CR has ended the last line; a LF or a NUL behind it is its own.
    after_cr: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// A prompt has been seen: what is typed now is no login any more.
    Whole,
    /// It was too much, or did not do: the user logs in.
    Spoiled,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Typed")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Typed {
    /// The user typed `data`, after the host had written `line` where the cursor is.
    pub(crate) fn type_in(&mut self, data: &[u8], line: &str) {
        if self.state != State::Open {
            return;
        }
        for byte in data {
            if std::mem::take(&mut self.after_cr) && matches!(byte, b'\n' | b'\0') {
                if let Some(last) = self.lines.last_mut() {
                    last.send.push(*byte);
                }
                continue;
            }
            let (_, bytes) = self.current.get_or_insert_with(|| {
                // Made at once, so that no copy is left where a smaller one stood.
                (last_word(line), Zeroizing::new(Vec::with_capacity(LONGEST)))
            });
            if bytes.len() + 2 > LONGEST {
                return self.spoil();
            }
            bytes.push(*byte);
            if matches!(byte, b'\r' | b'\n') {
                self.after_cr = *byte == b'\r';
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let Some((word, send)) = self.current.take() else {
            return;
        };
        let is_first = |line: &Line| matches!(&line.expect, Expect::Word(first) if *first == word);
        // The host began anew: what was typed before was refused.
        if !word.is_empty() && self.lines.first().is_some_and(is_first) {
            self.lines.clear();
        }
        if self.lines.len() == MOST_LINES {
            return self.spoil();
        }
        let expect = Expect::Word(word);
        self.lines.push(Line { expect, send });
    }

    /// A prompt has been seen.
    pub(crate) fn seal(&mut self) {
        if self.state == State::Open {
            self.current = None;
            self.state = State::Whole;
        }
    }

    /// It is not to be used, now and later.
    pub(crate) fn spoil(&mut self) {
        *self = Self {
            state: State::Spoiled,
            ..Self::default()
        };
    }

    /// A login is begun anew by the user.
    pub(crate) fn restart(&mut self) {
        if self.state == State::Open {
            *self = Self::default();
        }
    }

    /// The whole login, if there is one.
    pub(crate) fn lines(&self) -> Option<&[Line]> {
        (self.state == State::Whole && !self.lines.is_empty()).then_some(&self.lines)
    }
}

fn last_word(line: &str) -> String {
    let word = line.split_whitespace().next_back().unwrap_or_default();
    let start = word.len().saturating_sub(LONGEST_WORD);
    let start = (start..=word.len())
        .find(|at| word.is_char_boundary(*at))
        .unwrap_or(word.len());
    word[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(typed: &Typed) -> Option<Vec<(String, String)>> {
        let lines = typed.lines()?.iter().map(|line| {
            let word = match &line.expect {
                Expect::Word(word) => word.clone(),
                Expect::Pattern(_) => panic!("a pattern"),
            };
            (word, String::from_utf8_lossy(&line.send).into_owned())
        });
        Some(lines.collect())
    }

    #[test]
    fn lines_are_kept_with_the_word_before_them() {
        let mut typed = Typed::default();
        typed.type_in(b"j", "debian login: ");
        typed.type_in(b"oe\r", "debian login: j");
        typed.type_in(b"\0", "");
        typed.type_in(b"secret\r\n", "Password: ");
        assert_eq!(shown(&typed), None);
        typed.seal();
        typed.type_in(b"ls\r", "$ ");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            shown(&typed).unwrap(),
            [pair("login:", "joe\r\0"), pair("Password:", "secret\r\n")]
        );
    }

    #[test]
    fn a_login_that_was_refused_is_not_typed_again() {
        let mut typed = Typed::default();
        for (line, text) in [
            ("a login: ", "joe\r"),
            ("Password: ", "wrong\r"),
            ("a login: ", "joe\r"),
            ("Password: ", "right\r"),
        ] {
            typed.type_in(text.as_bytes(), line);
        }
        typed.seal();
        let shown = shown(&typed).unwrap();
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1].1, "right\r");
    }

    #[test]
    fn too_much_is_kept_no_more() {
        let mut typed = Typed::default();
        typed.type_in(&[b'x'; 1000], "login: ");
        typed.seal();
        assert!(shown(&typed).is_none());
        let mut typed = Typed::default();
        for n in 0..=MOST_LINES {
            typed.type_in(b"a\r", &format!("{n}:"));
        }
        typed.seal();
        assert!(shown(&typed).is_none());
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let mut typed = Typed::default();
        typed.type_in(b"secret\r", "Password: ");
        assert!(!format!("{typed:?}").contains("secret"));
    }
}
