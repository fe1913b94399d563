//! What a client has said of itself in subnegotiations, so that another host can be told the same.

use crate::nvt::options::charset;
use crate::nvt::options::text::Text;
use crate::nvt::options::ttype::Types;
use crate::nvt::options::{
    CHARSET, NAWS, NEW_ENVIRON, OLD_ENVIRON, TERMINAL_SPEED, TERMINAL_TYPE, X_DISPLAY_LOCATION,
};

/// The first byte of an answer, and of a question: RFC 1091, RFC 1079, RFC 1096, RFC 1572.
const IS: u8 = 0;
const SEND: u8 = 1;
/// News of a variable, RFC 1572.
const INFO: u8 = 2;
/// Most bytes of an answer but the environment.
const LONGEST: usize = 128;
/// Most bytes of an environment.
const LONGEST_ENVIRON: usize = 1024;

/// What a client has said.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    size: Option<[u8; 4]>,
    types: Types,
    speed: Option<Box<[u8]>>,
    display: Option<Box<[u8]>>,
    /// By the option that it was said with.
    environ: Option<(u8, Box<[u8]>)>,
    charset: Option<Box<[u8]>>,
}

/// How far a host has asked for the types of the terminal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked(usize);

impl Remembered {
    /// The client has said so, and a host was told.
    pub(crate) fn learn(&mut self, option: u8, payload: &[u8]) {
        match (option, payload) {
            (NAWS, [a, b, c, d]) => self.size = Some([*a, *b, *c, *d]),
            (TERMINAL_TYPE, [IS, name @ ..]) => self.types.learn(name),
            (CHARSET, said) if charset::accepted(said).is_some() => {
                self.charset = charset::accepted(said).map(Into::into);
            }
            (TERMINAL_SPEED, [IS, ..]) if payload.len() <= LONGEST => {
                self.speed = Some(payload.into())
            }
            (X_DISPLAY_LOCATION, [IS, ..]) if payload.len() <= LONGEST => {
                self.display = Some(payload.into())
            }
            (NEW_ENVIRON | OLD_ENVIRON, [IS, ..]) if payload.len() <= LONGEST_ENVIRON => {
                self.environ = Some((option, payload.into()));
            }
            (NEW_ENVIRON | OLD_ENVIRON, [INFO, news @ ..]) => {
                // Behind what was said before, where it counts: a host takes the last word.
                let before = match &self.environ {
                    Some((_, before)) => before.to_vec(),
                    None => vec![IS],
                };
                if before.len() + news.len() <= LONGEST_ENVIRON {
                    let all = [before.as_slice(), news].concat();
                    self.environ = Some((option, all.into()));
                }
            }
            (_, _) => {}
        }
    }

    /// Columns and rows of the client's window, if it has said them: RFC 1073. A side of 0 is not known.
    pub(crate) fn size(&self) -> Option<(u16, u16)> {
        let [a, b, c, d] = self.size?;
        let (columns, rows) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        (columns > 0 && rows > 0).then_some((columns, rows))
    }

    /// What the client says by itself once it performs `option`.
    pub(crate) fn at_once(&self, option: u8) -> Option<&[u8]> {
        match (option, &self.size) {
            (NAWS, Some(size)) => Some(size),
            (_, _) => None,
        }
    }

    /// The client's answer to a host's question.
    pub(crate) fn answer(&self, option: u8, question: &[u8], asked: &mut Asked) -> Option<Vec<u8>> {
        if option == CHARSET {
            return charset::answer(question, self.charset.as_deref());
        }
        if question.first() != Some(&SEND) {
            return None;
        }
        match option {
            TERMINAL_TYPE => {
                let name = self.types.answer(&mut asked.0).unwrap_or(b"UNKNOWN");
                Some(Text::Is(name).payload())
            }
            TERMINAL_SPEED => self.speed.as_ref().map(|said| said.to_vec()),
            X_DISPLAY_LOCATION => self.display.as_ref().map(|said| said.to_vec()),
            NEW_ENVIRON | OLD_ENVIRON => match &self.environ {
                Some((of, said)) if *of == option => Some(said.to_vec()),
                // One that is asked and has nothing says so: RFC 1572 section 2.
                Some(_) | None => Some(vec![IS]),
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvt::options::ttype;

    #[test]
    fn another_host_gets_the_character_set_that_was_agreed() {
        let mut client = Remembered::default();
        let mut asked = Asked::default();
        let offer = b"\x01;latin1;UTF-8";
        assert_eq!(client.answer(CHARSET, offer, &mut asked), Some(vec![3]));
        client.learn(CHARSET, b"\x02UTF-8");
        assert_eq!(
            client.answer(CHARSET, offer, &mut asked),
            Some(b"\x02UTF-8".to_vec())
        );
    }

    #[test]
    fn another_host_is_told_the_same_types() {
        let mut client = Remembered::default();
        for name in ["XTERM-256COLOR", "XTERM", "XTERM"] {
            client.learn(TERMINAL_TYPE, &[&[IS], name.as_bytes()].concat());
        }
        let mut asked = Asked::default();
        let told = [0; 4].map(|_| client.answer(TERMINAL_TYPE, &[SEND], &mut asked).unwrap());
        let told = told.map(|said| String::from_utf8(said[1..].to_vec()).unwrap());
        assert_eq!(told, ["XTERM-256COLOR", "XTERM", "XTERM", "XTERM-256COLOR"]);
    }

    #[test]
    fn lists_without_an_end_are_bounded() {
        let mut client = Remembered::default();
        for n in 0..10_000 {
            client.learn(TERMINAL_TYPE, format!("\0T{n}").as_bytes());
            client.learn(NEW_ENVIRON, format!("\x02\0V{n}\x01x").as_bytes());
        }
        client.learn(TERMINAL_TYPE, &vec![0; 100_000]);
        assert_eq!(client.types.names().count(), ttype::MAX_TYPES);
        assert!(client.environ.unwrap().1.len() <= LONGEST_ENVIRON);
    }

    #[test]
    fn the_last_size_counts() {
        let mut client = Remembered::default();
        assert_eq!(client.at_once(NAWS), None);
        client.learn(NAWS, &[0, 80, 0, 24]);
        client.learn(NAWS, &[0, 132, 0, 50]);
        client.learn(NAWS, &[0, 132]);
        assert_eq!(client.size(), Some((132, 50)));
        assert_eq!(client.at_once(NAWS), Some([0, 132, 0, 50].as_slice()));
        client.learn(NAWS, &[0, 0, 0, 0]);
        assert_eq!(client.size(), None);
    }
}
