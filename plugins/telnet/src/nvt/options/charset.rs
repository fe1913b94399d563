//! Character sets, RFC 2066: one end offers some, the other takes one of them or none.

const REQUEST: u8 = 1;
const ACCEPTED: u8 = 2;
const REJECTED: u8 = 3;
const TTABLE_IS: u8 = 4;
const TTABLE_REJECTED: u8 = 5;

/// What RFC 2066 lets a REQUEST begin with, where a table of translation may follow; a byte of version
/// is behind it.
const TTABLE: &[u8] = b"[TTABLE]";

/// Longest name that is remembered.
pub const MAX_NAME: usize = 64;

/// The character set that a payload accepts.
#[must_use]
pub fn accepted(payload: &[u8]) -> Option<&[u8]> {
    match payload {
        [ACCEPTED, name @ ..] if super::text::can_be_said(name) && name.len() <= MAX_NAME => {
            Some(name)
        }
        _ => None,
    }
}

/// What is answered to `payload` by an end that has agreed on `before` with another peer: that one if it
/// is offered, else none. Tables are never taken. `None` if no answer is due.
#[must_use]
pub fn answer(payload: &[u8], before: Option<&[u8]>) -> Option<Vec<u8>> {
    match payload {
        [REQUEST, offer @ ..] => {
            let offer = match offer.strip_prefix(TTABLE) {
                Some(rest) => rest.get(1..).unwrap_or_default(),
                None => offer,
            };
            let taken = before.and_then(|before| {
                let (&separator, names) = offer.split_first()?;
                names
                    .split(|&byte| byte == separator)
                    .find(|name| name.eq_ignore_ascii_case(before))
            });
            Some(taken.map_or_else(|| vec![REJECTED], |name| [&[ACCEPTED], name].concat()))
        }
        [TTABLE_IS, ..] => Some(vec![TTABLE_REJECTED]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_agreed_before() {
        let utf8 = Some(&b"UTF-8"[..]);
        let yes = Some(b"\x02utf-8".to_vec());
        assert_eq!(answer(b"\x01;latin1;utf-8", utf8), yes);
        assert_eq!(answer(b"\x01[TTABLE]\x01;utf-8;x", utf8), yes);
        for (payload, before) in [
            (&b"\x01;latin1"[..], utf8),
            (b"\x01;utf-8", None),
            (b"\x01", utf8),
            (b"\x01[TTABLE]", utf8),
        ] {
            assert_eq!(answer(payload, before), Some(vec![REJECTED]));
        }
        assert_eq!(answer(b"\x04\x01", utf8), Some(vec![TTABLE_REJECTED]));
        assert_eq!(answer(b"\x03", utf8), None);
        assert_eq!(accepted(b"\x02UTF-8"), utf8);
        assert_eq!(accepted(b"\x02a\x1bb"), None);
    }
}
