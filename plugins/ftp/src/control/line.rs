//! The client's side of the control line: bytes to commands, by RFC 959 sections 4.1 and 5.3.
//!
//! The line is a Telnet one (RFC 854). Options are refused, what Telnet says besides (IP, DM, AYT) is
//! taken out, and a doubled 255 is one. Bounds: no line is kept beyond [`Lines::new`]'s limit, and what
//! is beyond is passed over to the line's end without being kept.

use zeroize::Zeroizing;

/// Telnet's own bytes, RFC 854: the lowest of its commands, and the others that are looked at.
pub(crate) const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
/// "Interpret as command"; a data byte of this value is doubled.
pub(crate) const IAC: u8 = 255;

/// Room that a line has at first.
const FIRST_ROOM: usize = 64;
/// Longest name of a command: the RFCs' have four letters, some in use have more (`XSHA512`).
const LONGEST_VERB: usize = 12;

/// A command as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its name, in capitals.
    pub(crate) verb: String,
    /// What follows the one space behind it; `None` when there is no space. Bytes, in whatever
    /// encoding; without CR, LF and NUL. It may be a password.
    pub(crate) argument: Option<Zeroizing<Vec<u8>>>,
}

/// What a line turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A command, known or not.
    Command(Command),
    /// Not a command.
    Bad(BadLine),
}

/// Why a line is no command. RFC 959 section 4.2: 500 is right for all of them but the last, whose
/// command may be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLine {
    /// Longer than the bound.
    TooLong,
    /// No name of a command at its beginning.
    NoVerb,
    /// A bare CR or a NUL, which no file name here may have: what one server takes as part of a name,
    /// another takes as the end of the line.
    Control,
}

/// Where in a Telnet command the last byte left us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telnet {
    Data,
    Iac,
    /// WILL, WONT, DO or DONT; the option follows.
    Option(u8),
    Sub,
    SubIac,
}

/// Bytes to lines to commands; a state machine that does no I/O.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    telnet: Telnet,
    line: Zeroizing<Vec<u8>>,
    /// The last byte was a CR, which is not in `line` yet.
    cr: bool,
    bad: Option<BadLine>,
}

impl Lines {
    /// Lines of at most `limit` bytes, their end not counted.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            telnet: Telnet::Data,
            line: Zeroizing::default(),
            cr: false,
            bad: None,
        }
    }

    /// Takes bytes up to the end of a line, and says how many. What Telnet has to be answered is put
    /// into `answers`.
    pub(crate) fn take(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> (usize, Option<Heard>) {
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(data) = self.telnet(*byte, answers)
                && self.data(data)
            {
                return (at + 1, Some(self.end()));
            }
        }
        (bytes.len(), None)
    }

    /// Forgets a line that has begun.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Whether a line has begun and not ended.
    #[cfg(test)]
    fn is_in_a_line(&self) -> bool {
        self.cr || self.bad.is_some() || !self.line.is_empty()
    }

    /// A byte of data, if this is one.
    fn telnet(&mut self, byte: u8, answers: &mut Vec<u8>) -> Option<u8> {
        let (next, data) = match (self.telnet, byte) {
            (Telnet::Data, IAC) => (Telnet::Iac, None),
            (Telnet::Data, byte) => (Telnet::Data, Some(byte)),
            (Telnet::Iac, IAC) => (Telnet::Data, Some(IAC)),
            (Telnet::Iac, WILL..=DONT) => (Telnet::Option(byte), None),
            (Telnet::Iac, SB) => (Telnet::Sub, None),
            (Telnet::Iac, _) => (Telnet::Data, None),
            (Telnet::Option(asked), option) => {
                match asked {
                    WILL => answers.extend([IAC, DONT, option]),
                    DO => answers.extend([IAC, WONT, option]),
                    // WONT and DONT say what is so already.
                    _ => {}
                }
                (Telnet::Data, None)
            }
            (Telnet::Sub, IAC) => (Telnet::SubIac, None),
            (Telnet::SubIac, SE) => (Telnet::Data, None),
            (Telnet::Sub | Telnet::SubIac, _) => (Telnet::Sub, None),
        };
        self.telnet = next;
        data
    }

    /// Takes a byte of data; whether it ended the line.
    fn data(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            return true;
        }
        if std::mem::replace(&mut self.cr, byte == b'\r') || byte == 0 {
            // A CR that no LF follows, Telnet's CR NUL included.
            self.bad.get_or_insert(BadLine::Control);
        }
        if byte == b'\r' || self.bad.is_some() {
            return false;
        }
        if self.line.len() >= self.limit {
            self.bad = Some(BadLine::TooLong);
        } else {
            self.keep(byte);
        }
        false
    }

    /// Appends to the line, without a copy of it left where a smaller one stood: it may be a password.
    fn keep(&mut self, byte: u8) {
        if self.line.len() == self.line.capacity() {
            let room = (2 * self.line.capacity()).max(FIRST_ROOM);
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.line);
            self.line = larger;
        }
        self.line.push(byte);
    }

    fn end(&mut self) -> Heard {
        self.cr = false;
        let line = std::mem::take(&mut self.line);
        match self.bad.take() {
            Some(bad) => Heard::Bad(bad),
            None => parse(&line),
        }
    }
}

/// Appends `bytes` as they are sent on a Telnet line: each 255 doubled.
pub(crate) fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    for byte in bytes {
        if *byte == IAC {
            into.push(IAC);
        }
        into.push(*byte);
    }
}

fn parse(line: &[u8]) -> Heard {
    let (verb, argument) = match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], Some(Zeroizing::new(line[at + 1..].to_vec()))),
        None => (line, None),
    };
    let is_verb = (1..=LONGEST_VERB).contains(&verb.len())
        && verb[0].is_ascii_alphabetic()
        && verb.iter().all(u8::is_ascii_alphanumeric);
    if !is_verb {
        return Heard::Bad(BadLine::NoVerb);
    }
    Heard::Command(Command {
        verb: String::from_utf8_lossy(verb).to_ascii_uppercase(),
        argument,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(bytes: &[u8]) -> (Vec<Heard>, Vec<u8>) {
        let (mut lines, mut heard, mut answers) = (Lines::new(100), Vec::new(), Vec::new());
        let mut left = bytes;
        while !left.is_empty() {
            let (taken, found) = lines.take(left, &mut answers);
            heard.extend(found);
            left = &left[taken..];
        }
        (heard, answers)
    }

    fn command(verb: &str, argument: Option<&[u8]>) -> Heard {
        Heard::Command(Command {
            verb: verb.into(),
            argument: argument.map(|bytes| Zeroizing::new(bytes.to_vec())),
        })
    }

    #[test]
    fn lines_are_commands() {
        for (line, expected) in [
            (&b"NOOP\r\n"[..], command("NOOP", None)),
            (b"noop\n", command("NOOP", None)),
            (b"CWD  a b \r\n", command("CWD", Some(b" a b "))),
            (b"CWD \r\n", command("CWD", Some(b""))),
            (b"RETR \xff\xff\xe4\r\n", command("RETR", Some(b"\xff\xe4"))),
            (b"XSHA512 f\r\n", command("XSHA512", Some(b"f"))),
            (b"\r\n", Heard::Bad(BadLine::NoVerb)),
            (b" NOOP\r\n", Heard::Bad(BadLine::NoVerb)),
            (b"123\r\n", Heard::Bad(BadLine::NoVerb)),
            (b"N\xffOOP\r\n", command("NOP", None)), // IAC 'O' is a command of Telnet's
            (b"AVERYLONGVERB x\r\n", Heard::Bad(BadLine::NoVerb)),
            (b"CWD a\rb\r\n", Heard::Bad(BadLine::Control)),
            (b"CWD a\r\r\n", Heard::Bad(BadLine::Control)),
            (b"CWD a\r\0b\r\n", Heard::Bad(BadLine::Control)),
            (b"CWD a\0b\r\n", Heard::Bad(BadLine::Control)),
        ] {
            assert_eq!(heard(line).0, [expected], "{line:?}");
        }
    }

    #[test]
    fn telnet_is_answered_and_taken_out() {
        // IP, DM, then an option each way, a subnegotiation, and a command among them.
        let sent = b"\xff\xf4\xff\xf2AB\xff\xfd\x01OR\xff\xfb\x03\xff\xfa\x01x\xff\xff\n\xff\xf0\xff\xfe\x05\r\n";
        let (lines, answers) = heard(sent);
        assert_eq!(lines, [command("ABOR", None)]);
        assert_eq!(answers, b"\xff\xfc\x01\xff\xfe\x03");
    }

    #[test]
    fn a_line_of_a_megabyte_is_not_kept() {
        let mut long = vec![b'x'; 1 << 20];
        long.extend(b"\r\nNOOP\r\n");
        let mut lines = Lines::new(100);
        let (taken, found) = lines.take(&long, &mut Vec::new());
        assert_eq!(found, Some(Heard::Bad(BadLine::TooLong)));
        assert_eq!(&long[taken..], b"NOOP\r\n");
        assert!(!lines.is_in_a_line());
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_into_pieces_does_not_matter(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(IAC), Just(b'A'), Just(b' '), any::<u8>()
            ], 0..200),
            piece in 1_usize..9,
        ) {
            let (mut lines, mut found, mut answers) = (Lines::new(100), Vec::new(), Vec::new());
            for mut left in bytes.chunks(piece) {
                while !left.is_empty() {
                    let (taken, heard) = lines.take(left, &mut answers);
                    found.extend(heard);
                    left = &left[taken..];
                }
            }
            prop_assert_eq!(&(found, answers), &heard(&bytes));
        }

        #[test]
        fn an_argument_comes_out_as_it_went_in(
            argument in proptest::collection::vec(
                any::<u8>().prop_filter("no end of line", |b| !matches!(b, 0 | b'\r' | b'\n')), 0..80),
        ) {
            let mut line = b"stor ".to_vec();
            escape(&argument, &mut line);
            line.extend(b"\r\n");
            prop_assert_eq!(heard(&line).0, [command("STOR", Some(&argument))]);
        }
    }
}
