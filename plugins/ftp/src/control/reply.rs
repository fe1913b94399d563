//! Replies, by RFC 959 section 4.2: parsed as nodes say them, made for the client.
//!
//! Bounds: a node's reply has at most [`LONGEST_LINE`] bytes a line, [`MOST_BYTES`] in all; beyond, and
//! when it breaks the grammar, the node is [`Garbled`](director_sdk::Kind::Garbled).

use std::fmt;

use super::line::{IAC, SE, escape};

/// Most bytes of one line of a reply.
pub(crate) const LONGEST_LINE: usize = 16 * 1024;
/// Most bytes of a whole reply: the listing of a big directory by STAT fits in.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// A reply: its code, and the text of its lines.
///
/// Of the first and the last line the code and the separator are taken off. Lines between them are
/// whole, for some servers repeat the code on them and some do not, and a client may look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// From 100 to 599.
    pub(crate) code: u16,
    /// At least one; without line ends.
    pub(crate) lines: Vec<Vec<u8>>,
}

/// What a reply asks of who reads it: RFC 959 section 4.2.1, the first digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Degree {
    /// 1yz: another reply follows.
    Preliminary,
    /// 2yz: done.
    Complete,
    /// 3yz: more is needed.
    Intermediate,
    /// 4yz: not now.
    Transient,
    /// 5yz: no.
    Permanent,
}

impl Reply {
    /// A reply of one line. `text` is stripped of control characters: a file's name may be in it.
    pub(crate) fn new(code: u16, text: impl AsRef<[u8]>) -> Self {
        Self {
            code,
            lines: vec![one_line(text.as_ref())],
        }
    }

    /// A reply of several lines; those between `first` and `last` are indented by a space, so that
    /// none looks like the last (RFC 2389 section 3.2 asks for it in FEAT).
    pub(crate) fn several<T: AsRef<[u8]>>(
        code: u16,
        first: &str,
        between: impl IntoIterator<Item = T>,
        last: &str,
    ) -> Self {
        let mut lines = vec![one_line(first.as_bytes())];
        lines.extend(between.into_iter().map(|line| {
            let mut indented = vec![b' '];
            indented.extend(one_line(line.as_ref()));
            indented
        }));
        lines.push(one_line(last.as_bytes()));
        Self { code, lines }
    }

    /// Its degree.
    pub(crate) fn degree(&self) -> Degree {
        match self.code {
            ..=199 => Degree::Preliminary,
            200..=299 => Degree::Complete,
            300..=399 => Degree::Intermediate,
            400..=499 => Degree::Transient,
            500.. => Degree::Permanent,
        }
    }

    /// Whether it says that what was asked is done: 2yz.
    pub(crate) fn is_complete(&self) -> bool {
        self.degree() == Degree::Complete
    }

    /// The first line's text, as far as it is UTF-8: for the log, and where a reply's text has a form.
    pub(crate) fn text(&self) -> String {
        let first = self.lines.first().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(first).into_owned()
    }

    /// The path of a 257: between quotes, of which those inside are doubled (RFC 959 appendix II). None
    /// with a CR or a NUL in it: it is to be sent to other nodes, and would end a line there.
    pub(crate) fn path(&self) -> Option<Vec<u8>> {
        let mut rest = self.lines.first()?.iter().skip_while(|byte| **byte != b'"');
        rest.next()?;
        let mut path = Vec::new();
        while let Some(byte) = rest.next() {
            if *byte != b'"' {
                path.push(*byte);
            } else if rest.clone().next() == Some(&b'"') {
                path.push(b'"');
                rest.next();
            } else {
                let ends_a_line = path.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
                return (!path.is_empty() && !ends_a_line).then_some(path);
            }
        }
        None
    }

    /// The bytes that go over the line.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            if at == 0 || at == last {
                let separator = if at == last { ' ' } else { '-' };
                into.extend(format!("{}{separator}", self.code).into_bytes());
            }
            escape(line, into);
            into.extend(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.text().chars().take(200).collect();
        write!(f, "{} {}", self.code, text.replace(char::is_control, "?"))
    }
}

/// Bytes as a line of a reply: what could end it is replaced.
fn one_line(text: &[u8]) -> Vec<u8> {
    let clean = |byte: &u8| match byte {
        b'\r' | b'\n' | 0 => b'?',
        other => *other,
    };
    text.iter().map(clean).collect()
}

/// Why a node's bytes are no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A line that begins with no code, where one has to be.
    NoCode(String),
    /// A last line with another code than the first: RFC 959 section 4.2 has other lines that look
    /// like one indented.
    OtherCode {
        /// The first line's.
        begun: u16,
        /// The line that was found.
        found: String,
    },
    /// A line beyond [`LONGEST_LINE`].
    LongLine,
    /// More than [`MOST_BYTES`].
    Long,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCode(found) => write!(f, "a reply that begins with no code: {found:?}"),
            Self::OtherCode { begun, found } => {
                write!(
                    f,
                    "a reply that began with {begun} and ended with {found:?}"
                )
            }
            Self::LongLine => write!(f, "a reply with a line of more than {LONGEST_LINE} bytes"),
            Self::Long => write!(f, "a reply of more than {MOST_BYTES} bytes"),
        }
    }
}

/// Bytes to replies; a state machine that does no I/O.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    line: Vec<u8>,
    iac: bool,
    begun: Option<Reply>,
    bytes: usize,
}

impl Replies {
    /// Takes bytes up to the end of a reply, and says how many.
    ///
    /// # Errors
    ///
    /// The bytes are no reply; nothing that follows can be understood.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Reply>), Broken> {
        for (at, byte) in bytes.iter().enumerate() {
            self.bytes += 1;
            if self.bytes > MOST_BYTES {
                return Err(Broken::Long);
            }
            let after_iac = std::mem::take(&mut self.iac);
            if after_iac && *byte < SE {
                // No Telnet command: a name with this byte, which the server has not doubled.
                self.push(IAC)?;
            } else if after_iac {
                // Of Telnet's commands in a reply only a doubled 255 says something.
                if *byte == IAC {
                    self.push(IAC)?;
                }
                continue;
            } else if *byte == IAC {
                self.iac = true;
                continue;
            }
            if *byte != b'\n' {
                self.push(*byte)?;
                continue;
            }
            if let Some(reply) = self.end_line()? {
                return Ok((at + 1, Some(reply)));
            }
        }
        Ok((bytes.len(), None))
    }

    fn push(&mut self, byte: u8) -> Result<(), Broken> {
        if self.line.len() >= LONGEST_LINE {
            return Err(Broken::LongLine);
        }
        self.line.push(byte);
        Ok(())
    }

    /// Whether a reply has begun and not ended.
    pub(crate) fn is_in_a_reply(&self) -> bool {
        self.bytes > 0
    }

    fn end_line(&mut self) -> Result<Option<Reply>, Broken> {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let shown = || String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        let head = head(&line);
        let Some(begun) = &mut self.begun else {
            let Some((code, more)) = head else {
                return Err(Broken::NoCode(shown()));
            };
            let reply = Reply {
                code,
                lines: vec![line.get(4..).unwrap_or_default().to_vec()],
            };
            if more {
                self.begun = Some(reply);
                return Ok(None);
            }
            self.bytes = 0;
            return Ok(Some(reply));
        };
        match head {
            Some((code, false)) if code == begun.code => {
                begun.lines.push(line.get(4..).unwrap_or_default().to_vec());
                self.bytes = 0;
                Ok(self.begun.take())
            }
            Some((_, false)) => Err(Broken::OtherCode {
                begun: begun.code,
                found: shown(),
            }),
            Some((_, true)) | None => {
                begun.lines.push(line);
                Ok(None)
            }
        }
    }
}

/// The code at a line's beginning, and whether more lines follow. A code alone is taken for a last
/// line: some servers say no text.
fn head(line: &[u8]) -> Option<(u16, bool)> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let more = match line.get(3) {
        None | Some(b' ') => false,
        Some(b'-') => true,
        Some(_) => return None,
    };
    (100..=599).contains(&code).then_some((code, more))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Vec<Reply>, Broken> {
        let (mut replies, mut found, mut left) = (Replies::default(), Vec::new(), bytes);
        while !left.is_empty() {
            let (taken, reply) = replies.take(left)?;
            found.extend(reply);
            left = &left[taken..];
        }
        Ok(found)
    }

    fn encoded(reply: &Reply) -> Vec<u8> {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        bytes
    }

    #[test]
    fn replies_of_one_and_of_several_lines_come_out_as_they_went_in() {
        for bytes in [
            &b"220 hello\r\n"[..],
            b"211-Features:\r\n MDTM\r\n REST STREAM\r\n211 End\r\n",
            b"230-Welcome\r\n230-230 files\r\n 331 of them mine\r\nstray\r\n\r\n230 In\r\n",
            b"257 \"/\xff\xff\" is it\r\n",
            b"200 \r\n",
        ] {
            let found = parse(bytes).unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(encoded(&found[0]), bytes);
        }
        assert_eq!(parse(b"200\n").unwrap(), [Reply::new(200, "")]);
        assert_eq!(
            parse(b"257 \"/\xff\xff\"\r\n").unwrap()[0].lines[0],
            b"\"/\xff\""
        );
    }

    #[test]
    fn a_name_with_a_byte_of_255_that_a_server_has_not_doubled_is_kept() {
        for (bytes, text) in [
            (&b"257 \"/\xff\" is it\r\n"[..], &b"\"/\xff\" is it"[..]),
            (b"550 \xff: no\r\n", b"\xff: no"),
            (b"257 made \xff\r\n", b"made \xff"),
            // Telnet's own commands are not part of the text.
            (b"200 o\xff\xf1k\r\n", b"ok"),
        ] {
            assert_eq!(parse(bytes).unwrap()[0].lines, [text]);
        }
        let path = parse(b"257 \"/\xff\" is it\r\n").unwrap()[0].path();
        assert_eq!(path.as_deref(), Some(&b"/\xff"[..]));
    }

    #[test]
    fn what_is_no_reply_is_told() {
        assert_eq!(parse(b"hello\r\n"), Err(Broken::NoCode("hello".into())));
        assert_eq!(parse(b"650 x\r\n"), Err(Broken::NoCode("650 x".into())));
        assert_eq!(parse(b"2200 x\r\n"), Err(Broken::NoCode("2200 x".into())));
        let other = Broken::OtherCode {
            begun: 211,
            found: "212 End".into(),
        };
        assert_eq!(parse(b"211-Features\r\n212 End\r\n"), Err(other));
        assert_eq!(parse(&vec![b'2'; LONGEST_LINE + 1]), Err(Broken::LongLine));
        let endless = [&b"211-x\r\n"[..], &b" line\r\n".repeat(MOST_BYTES / 7)].concat();
        assert_eq!(parse(&endless), Err(Broken::Long));
    }

    #[test]
    fn what_is_put_into_a_reply_cannot_end_it() {
        let reply = Reply::new(550, b"a\r\nb\0: no");
        assert_eq!(encoded(&reply), b"550 a??b?: no\r\n");
        let several = Reply::several(211, "Extensions:", ["211 x", "MLST a;"], "End");
        assert_eq!(parse(&encoded(&several)).unwrap(), [several]);
    }

    #[test]
    fn a_path_stands_between_quotes() {
        for (text, path) in [
            (r#""/a/b" is the current directory"#, Some("/a/b")),
            (r#""/a ""b""" it is"#, Some(r#"/a "b""#)),
            (r#"It is "/""#, Some("/")),
            (r#""/a"#, None),
            ("/a", None),
            (r#""""#, None),
        ] {
            assert_eq!(
                Reply::new(257, text).path(),
                path.map(|p| p.as_bytes().to_vec())
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_replies_or_broken_however_they_are_cut(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b'\r'), Just(b'2'), Just(b'-'), Just(b' '), Just(IAC), any::<u8>()
            ], 0..200),
            piece in 1_usize..9,
        ) {
            let whole = parse(&bytes);
            let (mut replies, mut found) = (Replies::default(), Vec::new());
            let mut broken = None;
            'all: for mut left in bytes.chunks(piece) {
                while !left.is_empty() {
                    match replies.take(left) {
                        Ok((taken, reply)) => {
                            found.extend(reply);
                            left = &left[taken..];
                        }
                        Err(error) => {
                            broken = Some(error);
                            break 'all;
                        }
                    }
                }
            }
            prop_assert_eq!(whole, broken.map_or(Ok(found), Err));
        }
    }
}
