//! Percent-decoding, for paths and queries.

/// A `%` without two hexadecimal digits behind it, or bytes that are no UTF-8: 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadEncoding {
    /// `%` and no two digits.
    #[error("a `%` has to be followed by two hexadecimal digits")]
    Digits,
    /// Decoded, it is no text.
    #[error("decoded, it is not UTF-8")]
    Utf8,
}

/// Decodes every `%41`, and nothing else.
pub(crate) fn decode(text: &str) -> Result<String, BadEncoding> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = bytes.next().and_then(digit).ok_or(BadEncoding::Digits)?;
                let low = bytes.next().and_then(digit).ok_or(BadEncoding::Digits)?;
                high << 4 | low
            }
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|_| BadEncoding::Utf8)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_encoding_is_refused() {
        for bad in ["%", "%4", "a%4g", "%%41", "%+1"] {
            assert_eq!(decode(bad), Err(BadEncoding::Digits), "{bad}");
        }
        assert_eq!(decode("%ff"), Err(BadEncoding::Utf8));
        assert_eq!(decode("a+b%2Fc").unwrap(), "a+b/c");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*") {
            let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = decode(&text);
        }
    }
}
