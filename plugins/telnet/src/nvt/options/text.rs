//! What TERMINAL-TYPE (RFC 1091), TERMINAL-SPEED (RFC 1079) and X-DISPLAY-LOCATION (RFC 1096) have in
//! common: SEND asks for a text, IS gives it.

const IS: u8 = 0;
const SEND: u8 = 1;

/// Most bytes of a text that is remembered. RFC 1091 has 40 for a terminal's type; a display is a
/// host's name (255) and a number.
pub const MAX_TEXT: usize = 272;

/// What a payload says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// The text.
    Is(&'a [u8]),
    /// "What is it?"
    Send,
}

impl<'a> Text<'a> {
    /// What a payload says; `None` when it is neither. Bytes behind a SEND mean nothing.
    #[must_use]
    pub const fn parse(payload: &'a [u8]) -> Option<Self> {
        match payload {
            [IS, text @ ..] => Some(Self::Is(text)),
            [SEND, ..] => Some(Self::Send),
            _ => None,
        }
    }

    /// The payload that says it.
    #[must_use]
    pub fn payload(self) -> Vec<u8> {
        match self {
            Self::Is(text) => [&[IS], text].concat(),
            Self::Send => vec![SEND],
        }
    }
}

/// Whether `text` may be said to another host than the one it was said to: some text, not too long, of
/// printable ASCII, that no program takes for a flag.
#[must_use]
pub fn can_be_said(text: &[u8]) -> bool {
    (1..=MAX_TEXT).contains(&text.len())
        && !text.starts_with(b"-")
        && text.iter().all(|byte| (0x20..0x7f).contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(Text::parse(b"\0xterm"), Some(Text::Is(b"xterm")));
        assert_eq!(Text::parse(b"\x01"), Some(Text::Send));
        assert_eq!(Text::parse(b"\x02x"), None);
        assert_eq!(Text::parse(b""), None);
        assert_eq!(Text::Is(b"9600,9600").payload(), b"\x009600,9600");
        assert_eq!(Text::Send.payload(), b"\x01");
        assert!(can_be_said(b"pc:0.0") && can_be_said(&[b'x'; MAX_TEXT]));
        for bad in [&b""[..], b"-f", b"a\nb", b"a\x1b[c", &[b'x'; MAX_TEXT + 1]] {
            assert!(!can_be_said(bad));
        }
    }
}
