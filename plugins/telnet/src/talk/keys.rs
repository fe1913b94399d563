//! The line that the user types, as far as it has to be known: whether there is one, whether it is a password, and
//! whether it was a goodbye.

use std::time::Duration;

/// A logout that was typed leads to the end within this time.
const SOON: Duration = Duration::from_secs(5);
/// End of transmission: the key by which a terminal ends its input.
const EOT: u8 = 4;
/// What ends a shell.
const GOODBYES: [&[u8]; 3] = [b"exit", b"logout", b"\x04"];
/// No goodbye is longer.
const LONGEST: usize = 8;

/// What was typed since the last end of a line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keys {
    line: [u8; LONGEST],
    /// Bytes of the line, kept or not.
    typed: usize,
    /// The host has written something since the first of them.
    echoed: bool,
    /// The line was begun at a prompt.
    at_prompt: bool,
    /// When a goodbye was typed.
    goodbye: Option<Duration>,
}

/// The user has ended a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

impl Keys {
    /// The user typed `data`, at a prompt or not. Whether a line has ended in it.
    pub(crate) fn type_in(&mut self, data: &[u8], at_prompt: bool, now: Duration) -> Option<Ended> {
        let mut ended = None;
        for byte in data {
            if self.typed == 0 {
                (self.at_prompt, self.echoed) = (at_prompt, false);
            }
            match byte {
                b'\r' | b'\n' => {
                    self.end(now);
                    ended = Some(Ended);
                }
                // Behind a CR: RFC 854.
                b'\0' if self.typed == 0 => {}
                byte => {
                    if let Some(at) = self.line.get_mut(self.typed) {
                        *at = *byte;
                    }
                    self.typed += 1;
                    if *byte == EOT && self.typed == 1 {
                        self.end(now);
                    }
                }
            }
        }
        ended
    }

    fn end(&mut self, now: Duration) {
        if self.typed > 0 {
            let line = self.line.get(..self.typed).unwrap_or_default();
            let line = line.trim_ascii();
            let is_goodbye = self.at_prompt && GOODBYES.contains(&line);
            self.goodbye = is_goodbye.then_some(now);
        }
        // It may have been a password.
        (self.line, self.typed) = ([0; LONGEST], 0);
    }

    /// The host has written something.
    pub(crate) fn echo(&mut self) {
        self.echoed = true;
    }

    /// Whether a line was begun, and not ended.
    pub(crate) fn is_in_a_line(&self) -> bool {
        self.typed > 0
    }

    /// Whether that line may be a password: nothing was written since it was begun.
    pub(crate) fn may_be_secret(&self) -> bool {
        self.typed > 0 && !self.echoed
    }

    /// Whether the user has just said goodbye.
    pub(crate) fn has_said_goodbye(&self, now: Duration) -> bool {
        self.goodbye
            .is_some_and(|at| now.saturating_sub(at) <= SOON)
    }

    /// The line is over, whatever was in it.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    #[test]
    fn a_goodbye_is_one_at_a_prompt_alone() {
        for (typed, at_prompt, right) in [
            ("exit\r\0", true, true),
            (" logout \r\n", true, true),
            ("\x04", true, true),
            ("exit\r", false, false),
            ("exit now\r", true, false),
            ("exit", true, false),
            ("exit\rls\r", true, false),
        ] {
            let mut keys = Keys::default();
            keys.type_in(typed.as_bytes(), at_prompt, NOW);
            assert_eq!(keys.has_said_goodbye(NOW), right, "{typed:?}");
            assert!(!keys.has_said_goodbye(NOW + 2 * SOON));
        }
    }

    #[test]
    fn what_is_not_echoed_may_be_secret() {
        let mut keys = Keys::default();
        keys.type_in(b"pa", false, NOW);
        assert!(keys.may_be_secret());
        keys.echo();
        assert!(keys.is_in_a_line() && !keys.may_be_secret());
        assert_eq!(keys.type_in(b"x\r", false, NOW), Some(Ended));
        assert!(!keys.is_in_a_line());
    }
}
