//! The line being typed: keys in, lines out. Knows no terminal.

/// Longest line, in bytes; a longer one is sent in parts.
const MAX_LINE: usize = 16 << 10;

/// What a key led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line is finished.
    Line(String),
    /// No more will come.
    End,
}

/// A line being typed.
#[derive(Debug, Default)]
pub(super) struct Editor {
    line: String,
    /// Bytes of a character that is not whole.
    partial: Vec<u8>,
    escape: Escape,
}

/// Where in the sequence of a key like an arrow we are; such keys do nothing here.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    No,
    Begun,
    Inside,
}

impl Editor {
    /// What has been typed of the line.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// One byte from the keyboard, or of a file.
    pub(super) fn key(&mut self, byte: u8) -> Option<Typed> {
        match self.escape {
            Escape::Begun => {
                self.escape = match byte {
                    b'[' | b'O' => Escape::Inside,
                    _ => Escape::No,
                };
                return None;
            }
            Escape::Inside => {
                if (0x40..=0x7e).contains(&byte) {
                    self.escape = Escape::No;
                }
                return None;
            }
            Escape::No => {}
        }
        match byte {
            b'\r' | b'\n' => return self.finish(),
            0x04 if self.line.is_empty() => return Some(Typed::End), // Ctrl-D
            0x08 | 0x7f => {
                self.line.pop();
            }
            0x15 => self.line.clear(), // Ctrl-U
            0x17 => self.rub_word(),   // Ctrl-W
            0x1b => self.escape = Escape::Begun,
            b'\t' => self.line.push(' '),
            byte if byte.is_ascii_control() => {}
            byte => self.text(byte),
        }
        (self.line.len() >= MAX_LINE)
            .then(|| self.finish())
            .flatten()
    }

    /// The last line of a file may have no end.
    pub(super) fn finish(&mut self) -> Option<Typed> {
        self.partial.clear();
        let line = std::mem::take(&mut self.line);
        (!line.trim().is_empty()).then_some(Typed::Line(line))
    }

    fn rub_word(&mut self) {
        let kept = self.line.trim_end();
        let end = kept.rfind(' ').map_or(0, |space| space + 1);
        self.line.truncate(end);
    }

    fn text(&mut self, byte: u8) {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(char) => {
                self.line.push_str(char);
                self.partial.clear();
            }
            // Not whole yet, as opposed to never.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                self.line.push('\u{fffd}');
                self.partial.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn type_all(keys: &[u8]) -> (Vec<Typed>, String) {
        let mut editor = Editor::default();
        let typed = keys.iter().filter_map(|&key| editor.key(key)).collect();
        (typed, editor.line().to_owned())
    }

    #[test]
    fn keys_edit_the_line() {
        let line = |text: &str| Typed::Line(text.to_owned());
        assert_eq!(type_all(b"hi\rho"), (vec![line("hi")], "ho".into()));
        assert_eq!(type_all("hé\x7fi\n".as_bytes()).0, [line("hi")]);
        assert_eq!(type_all(b"one two \x17three\n").0, [line("one three")]);
        assert_eq!(type_all(b"a\x15b\x1b[D\x1bOAc\n").0, [line("bc")]);
        assert_eq!(type_all(b"\n  \n").0, []);
        assert_eq!(type_all(b"a\x04\x7f\x04").0, [Typed::End]);
        assert_eq!(type_all(b"a\xffb\n").0, [line("a\u{fffd}b")]);
    }

    proptest! {
        #[test]
        fn any_text_comes_through(text in "[^\\p{Cc}]{1,40}") {
            let (typed, rest) = type_all(format!("{text}\n").as_bytes());
            let expected = match text.trim().is_empty() {
                true => vec![],
                false => vec![Typed::Line(text)],
            };
            prop_assert_eq!(typed, expected);
            prop_assert_eq!(rest, "");
        }

        #[test]
        fn a_line_is_bounded(keys in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut editor = Editor::default();
            for &key in keys.iter().cycle().take(40_000) {
                editor.key(key);
                prop_assert!(editor.line().len() <= MAX_LINE + 4);
            }
        }
    }
}
