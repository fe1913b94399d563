//! LINEMODE, RFC 1184: which keys the client handles itself, and where it ends a line.

use crate::nvt::Verb;

const MODE: u8 = 1;
const FORWARDMASK: u8 = 2;
const SLC: u8 = 3;

/// Lines are edited at the client.
pub const EDIT: u8 = 1;
/// The client sends signals for keys.
pub const TRAPSIG: u8 = 2;
/// The mode is an acknowledgement.
pub const MODE_ACK: u8 = 4;
/// Tabs are made spaces at the client.
pub const SOFT_TAB: u8 = 8;
/// Control characters are shown as they are.
pub const LIT_ECHO: u8 = 16;

/// Most functions of RFC 1184 section 4 (SLC_SYNCH to SLC_EEOL).
const MAX_FUNCTION: u8 = 30;
/// The lowest two bits of a triple's second byte: how far the function is supported.
const LEVELS: u8 = 3;
/// The sender acknowledges what it was told.
const SLC_ACK: u8 = 128;

/// What a payload says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linemode<'a> {
    /// The mode, in bits.
    Mode(u8),
    /// A word about the characters that end a line, and their mask.
    ForwardMask(Verb, &'a [u8]),
    /// Special characters: triples of function, flags and character.
    Characters(&'a [u8]),
}

impl<'a> Linemode<'a> {
    /// What a payload says; `None` when it is nothing of RFC 1184.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        match *payload {
            [MODE, mode] => Some(Self::Mode(mode)),
            [verb, FORWARDMASK, ref mask @ ..] => {
                Some(Self::ForwardMask(Verb::from_byte(verb)?, mask))
            }
            [SLC, ref triples @ ..] if triples.len().is_multiple_of(3) => {
                Some(Self::Characters(triples))
            }
            _ => None,
        }
    }
}

/// The payload that says `mode`.
#[must_use]
pub const fn mode(mode: u8) -> [u8; 2] {
    [MODE, mode]
}

/// The client's answer to a host that says `mode`: the same, acknowledged. `None` to an acknowledgement,
/// which is not acknowledged again.
#[must_use]
pub const fn mode_answer(mode: u8) -> Option<[u8; 2]> {
    if mode & MODE_ACK == 0 {
        Some([MODE, mode | MODE_ACK])
    } else {
        None
    }
}

/// The special characters of a client, the last word on each; at most 90 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Characters {
    /// Triples, by function.
    triples: Vec<[u8; 3]>,
}

impl Characters {
    /// The client said `triples`. Functions that RFC 1184 does not know are left out, and so is 0, which
    /// asks for defaults.
    pub fn learn(&mut self, triples: &[u8]) {
        let (triples, _) = triples.as_chunks::<3>();
        for &[function, flags, character] in triples {
            if !(1..=MAX_FUNCTION).contains(&function) {
                continue;
            }
            let triple = [function, flags & !SLC_ACK, character];
            match self.triples.binary_search_by_key(&function, |it| it[0]) {
                Ok(at) => self.triples[at] = triple,
                Err(at) => self.triples.insert(at, triple),
            }
        }
    }

    /// The payload that says all of them; `None` when none is known.
    #[must_use]
    pub fn payload(&self) -> Option<Vec<u8>> {
        let all = self.triples.as_flattened();
        (!all.is_empty()).then(|| [&[SLC], all].concat())
    }

    /// The client's answer to a host that says `triples`: RFC 1184 section 5.2's agreement to each that
    /// is not an acknowledgement itself and not what the client has. `None` if no answer is due.
    #[must_use]
    pub fn answer(&self, triples: &[u8]) -> Option<Vec<u8>> {
        let mut payload = vec![SLC];
        for &[function, flags, character] in triples.as_chunks::<3>().0 {
            let known = self.triples.iter().any(|it| {
                it[0] == function && it[1] & LEVELS == flags & LEVELS && it[2] == character
            });
            if flags & SLC_ACK == 0 && !known && (1..=MAX_FUNCTION).contains(&function) {
                payload.extend([function, flags | SLC_ACK, character]);
            }
        }
        (payload.len() > 1).then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let parse = Linemode::parse;
        assert_eq!(parse(&[1, 3]), Some(Linemode::Mode(EDIT | TRAPSIG)));
        assert_eq!(
            parse(&[253, 2, 9]),
            Some(Linemode::ForwardMask(Verb::Do, &[9]))
        );
        assert_eq!(parse(&[3, 1, 2, 3]), Some(Linemode::Characters(&[1, 2, 3])));
        for bad in [&[][..], &[1], &[1, 2, 3], &[3, 1], &[9, 2, 1], &[4, 0]] {
            assert_eq!(parse(bad), None);
        }
        assert_eq!(mode_answer(EDIT), Some([1, EDIT | MODE_ACK]));
        assert_eq!(mode_answer(EDIT | MODE_ACK), None);
    }

    #[test]
    fn the_last_word_on_each_character() {
        let mut characters = Characters::default();
        assert_eq!(characters.payload(), None);
        characters.learn(&[3, 2, 3, 10, 2, 127, 0, 3, 0, 31, 2, 1]);
        characters.learn(&[10, 2 | 128, 8, 9]);
        assert_eq!(characters.payload(), Some(vec![3, 3, 2, 3, 10, 2, 8]));
        assert_eq!(
            characters.answer(&[10, 2, 8, 3, 2, 3 | 128]),
            Some(vec![3, 3, 130, 131])
        );
        assert_eq!(characters.answer(&[10, 2, 8, 3, 130, 4, 99, 2, 1]), None);
        for function in 0..=255 {
            characters.learn(&[function, 2, 1]);
        }
        assert_eq!(characters.payload().map(|it| it.len()), Some(91));
    }
}
