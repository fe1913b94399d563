//! Which variables of a client's environment reach a host: RFC 1572, and CVE-2026-24061, by which a USER of
//! `-f root` is root at a telnetd that hands it to login(1).

const IS: u8 = 0;
const INFO: u8 = 2;
const VAR: u8 = 0;
const VALUE: u8 = 1;
const ESC: u8 = 2;
const USERVAR: u8 = 3;

/// What of `payload` is left when only variables that `names` allow go on; `None` when all of it is.
pub(crate) fn allowed(payload: &[u8], names: &[String]) -> Option<Vec<u8>> {
    let (kind, rest) = payload.split_first()?;
    if !matches!(*kind, IS | INFO) {
        return None;
    }
    let mut left = vec![*kind];
    for variable in variables(rest) {
        if variable.is_allowed(names) {
            left.extend_from_slice(variable.bytes);
        }
    }
    (left != payload).then_some(left)
}

struct Variable<'a> {
    /// As it was said.
    bytes: &'a [u8],
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Variable<'_> {
    fn is_allowed(&self, names: &[String]) -> bool {
        let is_named = names.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => self.name.starts_with(start.as_bytes()),
            None => self.name == name.as_bytes(),
        });
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        is_named
            && self.name.iter().all(is_plain)
            && !self.value.starts_with(b"-")
            && !self.value.iter().any(u8::is_ascii_control)
    }
}

/// The variables in `rest`. Bytes before the first are none's.
fn variables(rest: &[u8]) -> Vec<Variable<'_>> {
    let mut starts = Vec::new();
    let mut is_escaped = false;
    for (at, byte) in rest.iter().enumerate() {
        match (is_escaped, *byte) {
            (false, ESC) => is_escaped = true,
            (false, VAR | USERVAR) => starts.push(at),
            (_, _) => is_escaped = false,
        }
    }
    let ends = starts.iter().skip(1).copied().chain([rest.len()]);
    let pieces = starts.iter().copied().zip(ends);
    pieces
        .filter_map(|(start, end)| rest.get(start..end))
        .map(variable)
        .collect()
}

fn variable(bytes: &[u8]) -> Variable<'_> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let (mut is_value, mut is_escaped) = (false, false);
    for byte in bytes.iter().skip(1) {
        match (is_escaped, *byte) {
            (false, ESC) => is_escaped = true,
            (false, VALUE) => is_value = true,
            (_, byte) => {
                is_escaped = false;
                if is_value { &mut value } else { &mut name }.push(byte);
            }
        }
    }
    Variable { bytes, name, value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Vec<String> {
        ["LANG", "LC_*"].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_not_allowed_is_taken_out() {
        for (said, left) in [
            ("\0\0LANG\x01C", None),
            ("\0", None),
            ("\x01\0USER", None),
            ("\0\0USER\x01-f root", Some("\0")),
            (
                "\0\x03LC_ALL\x01C\0USER\x01joe\0LANG\x01C",
                Some("\0\x03LC_ALL\x01C\0LANG\x01C"),
            ),
            ("\0\0LANG\x01-f root", Some("\0")),
            ("\0\0LANG\x01a\nb", Some("\0")),
            ("\0\0LANG\x01a\x02\x01b", Some("\0")),
            ("\0\0LC_A B\x01x", Some("\0")),
            ("\0junk\0LANG\x01C", Some("\0\0LANG\x01C")),
        ] {
            let found = allowed(said.as_bytes(), &names());
            assert_eq!(found.as_deref(), left.map(str::as_bytes), "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_begins_with_a_dash(payload in prop::collection::vec(
            prop_oneof![0_u8..4, Just(b'-'), Just(b'L'), any::<u8>()], 0..60
        )) {
            let mut payload = payload;
            payload.insert(0, IS);
            let left = allowed(&payload, &["L*".to_owned()]).unwrap_or(payload);
            for variable in variables(&left[1..]) {
                prop_assert!(!variable.value.starts_with(b"-"));
                prop_assert!(variable.name.starts_with(b"L"));
            }
            prop_assert_eq!(allowed(&left, &["L*".to_owned()]), None);
        }
    }
}
