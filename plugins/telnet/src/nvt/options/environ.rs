//! The environment, RFC 1572, and its older form, RFC 1408.
//!
//! What a client says here ends as arguments and environment of programs that run as root: `USER`
//! of `-f root` logs in as root without a password (CVE-2026-24061). So only variables that a service
//! names go to a host, and of those only values that are no flag, have no control character and are not
//! long. What is taken out is taken out whole; the rest is left byte for byte.

use std::borrow::Cow;

use super::OLD_ENVIRON;

const IS: u8 = 0;
const SEND: u8 = 1;
const INFO: u8 = 2;

const VAR: u8 = 0;
const VALUE: u8 = 1;
const ESC: u8 = 2;
const USERVAR: u8 = 3;

/// Most bytes of a variable's name.
pub const MAX_NAME: usize = 64;
/// Most bytes of a variable's value.
pub const MAX_VALUE: usize = 256;

/// A variable, as a client says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its bytes in the payload, type and all.
    pub raw: &'a [u8],
    /// Its name.
    pub name: Vec<u8>,
    /// Its value; `None` when it has none.
    pub value: Option<Vec<u8>>,
    /// It has more than one value, which no client says and hosts read in ways of their own.
    pub ambiguous: bool,
}

/// Whether `payload` is a client's IS or INFO (else it is a host's SEND, or nothing).
#[must_use]
pub const fn is_told(payload: &[u8]) -> bool {
    matches!(payload, [IS | INFO, ..])
}

/// Whether `payload` is a host's SEND.
#[must_use]
pub const fn is_asked(payload: &[u8]) -> bool {
    matches!(payload, [SEND, ..])
}

/// The variables of an IS or INFO of `option`, which is NEW-ENVIRON or the old ENVIRON; none in any
/// other payload. Bytes before the first of them mean nothing.
#[must_use]
pub fn variables(option: u8, payload: &[u8]) -> Vec<Variable<'_>> {
    let [IS | INFO, list @ ..] = payload else {
        return Vec::new();
    };
    let (var, value) = codes(option, list);
    let mut found = Vec::new();
    let mut at = first_of(list, |byte| byte == var || byte == USERVAR);
    while at < list.len() {
        let rest = &list[at..];
        let end = 1 + first_of(&rest[1..], |byte| byte == var || byte == USERVAR);
        let raw = &rest[..end];
        let name_end = 1 + first_of(&raw[1..], |byte| byte == value);
        let values = raw.get(name_end + 1..);
        found.push(Variable {
            raw,
            name: unescaped(&raw[1..name_end]),
            value: values.map(unescaped),
            ambiguous: values.is_some_and(|rest| first_of(rest, |byte| byte == value) < rest.len()),
        });
        at += end;
    }
    found
}

/// The codes of VAR and VALUE. Clients that follow BSD's header have them the wrong way round in the
/// old option, and RFC 1571 section 3 says how that shows: a list does not begin with a value.
fn codes(option: u8, list: &[u8]) -> (u8, u8) {
    let swapped = match list {
        [VALUE, ..] => true,
        [USERVAR, rest @ ..] => {
            let at = first_of(rest, |byte| matches!(byte, VAR | VALUE));
            rest.get(at) == Some(&VAR)
        }
        _ => false,
    };
    if option == OLD_ENVIRON && swapped {
        (VALUE, VAR)
    } else {
        (VAR, VALUE)
    }
}

/// Where the first byte is that `is` wanted and has no ESC before it; the length if there is none.
fn first_of(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == ESC {
            at += 2;
        } else if is(byte) {
            return at;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes.iter());
    while let Some(&byte) = rest.next() {
        if byte == ESC {
            out.extend(rest.next());
        } else {
            out.push(byte);
        }
    }
    out
}

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        if byte <= USERVAR {
            out.push(ESC);
        }
        out.push(byte);
    }
}

/// Adds a variable to the payload of an IS, which begins with its first ([`told`] makes both).
pub fn push(payload: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    payload.push(VAR);
    push_escaped(payload, name);
    payload.push(VALUE);
    push_escaped(payload, value);
}

/// The payload of an IS of NEW-ENVIRON that says `variables`, by name and value.
#[must_use]
pub fn told<'a>(variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut payload = vec![IS];
    for (name, value) in variables {
        push(&mut payload, name, value);
    }
    payload
}

/// Whether a host may be told that the variable `name` has `value`, by a service that allows `allowed`:
/// names as they are, of which one that ends in `*` stands for all that begin so.
#[must_use]
pub fn is_allowed(name: &[u8], value: &[u8], allowed: &[impl AsRef<str>]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let control = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
    (1..=MAX_NAME).contains(&name.len())
        && name.iter().all(plain)
        && value.len() <= MAX_VALUE
        && !value.starts_with(b"-")
        && !value.iter().any(control)
        && allowed.iter().any(|allowed| {
            let allowed = allowed.as_ref().as_bytes();
            match allowed.strip_suffix(b"*") {
                Some(start) => name.starts_with(start),
                None => name == allowed,
            }
        })
}

/// What of a client's payload may go to the host. What asks for variables, or is nothing that is known,
/// passes as it is only if it is a SEND; of anything else that is no list, nothing is left but an empty
/// IS, so that the host gets its answer.
#[must_use]
pub fn filter<'a>(option: u8, payload: &'a [u8], allowed: &[impl AsRef<str>]) -> Cow<'a, [u8]> {
    if is_asked(payload) {
        return Cow::Borrowed(payload);
    }
    let mut kept = vec![
        payload
            .first()
            .copied()
            .filter(|&it| it == INFO)
            .unwrap_or(IS),
    ];
    for variable in variables(option, payload) {
        let value = variable.value.as_deref().unwrap_or_default();
        if !variable.ambiguous && is_allowed(&variable.name, value, allowed) {
            kept.extend_from_slice(variable.raw);
        }
    }
    if kept == payload {
        Cow::Borrowed(payload)
    } else {
        Cow::Owned(kept)
    }
}

#[cfg(test)]
#[path = "environ_tests.rs"]
mod tests;
