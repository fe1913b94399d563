//! The environment: what is read, what is taken out, and that nothing else changes.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::nvt::options::NEW_ENVIRON;

const ALLOWED: [&str; 3] = ["DISPLAY", "LC_*", "LANG"];

fn kept(payload: &[u8]) -> Vec<u8> {
    filter(NEW_ENVIRON, payload, &ALLOWED).into_owned()
}

#[test]
fn nobody_is_logged_in_as_root_by_a_variable() {
    // CVE-2026-24061, as it is sent.
    assert_eq!(kept(b"\0\0USER\x01-f root"), b"\0");
    // Nor by a service that allows the variable.
    for value in [
        "-f root",
        "-froot",
        "a\nb",
        "a\0b",
        "a\x1b[c",
        &"x".repeat(257),
    ] {
        let payload = told([(&b"USER"[..], value.as_bytes())]);
        assert_eq!(
            *filter(NEW_ENVIRON, &payload, &["USER"]),
            *b"\0",
            "{value:?}"
        );
    }
    // Nor with the value escaped, said twice, or said of a name that hides it.
    for payload in [
        &b"\0\0USER\x01\x02-f root"[..],
        b"\0\0USER\x01x\x01-f root",
        b"\0\x03USER\x01-f root",
        b"\x02\0USER\x01-f root",
        b"\0\0US\x02ER\x01-f root",
        b"\0\0LANG\x02\0USER\x01-f root",
    ] {
        let kept = filter(NEW_ENVIRON, payload, &["USER", "LANG"]);
        assert!(kept.len() == 1, "{payload:?}");
    }
    assert_eq!(kept(b"\0\0USER\x01guest"), b"\0");
}

#[test]
fn the_rest_is_left_as_it_is() {
    let payload = b"\0\0DISPLAY\x01pc:0\0USER\x01me\x03LC_ALL\x01C\0LANG\x01\0PATH\0LANG";
    assert_eq!(
        kept(payload),
        b"\0\0DISPLAY\x01pc:0\x03LC_ALL\x01C\0LANG\x01\0LANG"
    );
    let good = b"\x02\0DISPLAY\x01pc:0";
    assert!(matches!(filter(NEW_ENVIRON, good, &ALLOWED), Cow::Borrowed(it) if it == good));
    let asked = b"\x01\0USER\0DISPLAY";
    assert_eq!(kept(asked), asked);
    assert_eq!(kept(b"\0"), b"\0");
    assert_eq!(kept(b""), b"\0");
    assert_eq!(kept(b"\x09USER"), b"\0");
    assert_eq!(kept(b"\0junk\x01-f\0LANG\x01C"), b"\0\0LANG\x01C");
}

#[test]
fn the_old_option_is_read_either_way() {
    for payload in [
        &b"\0\0LANG\x01C\0USER\x01me"[..],
        b"\0\x01LANG\0C\x01USER\0me",
    ] {
        let names: Vec<_> = variables(OLD_ENVIRON, payload)
            .into_iter()
            .map(|it| (it.name, it.value))
            .collect();
        assert_eq!(
            names,
            [
                (b"LANG".to_vec(), Some(b"C".to_vec())),
                (b"USER".to_vec(), Some(b"me".to_vec()))
            ]
        );
        assert_eq!(
            *filter(OLD_ENVIRON, payload, &ALLOWED),
            payload[..payload.len() - 8]
        );
    }
    assert_eq!(
        *filter(OLD_ENVIRON, b"\0\x03LANG\0C\x01USER\0me", &ALLOWED),
        *b"\0\x03LANG\0C"
    );
}

proptest! {
    /// However the host reads what is left, by either order of codes: no flag, nothing that was not
    /// allowed, and filtering again changes nothing.
    #[test]
    fn what_is_left_is_harmless(
        payload in vec(prop_oneof![0_u8..5, Just(b'-'), Just(b'U'), Just(b'L'), any::<u8>()], 0..80),
        old in any::<bool>(),
    ) {
        let option = if old { OLD_ENVIRON } else { NEW_ENVIRON };
        let allowed = ["L*", "U"];
        let left = filter(option, &payload, &allowed);
        prop_assert!(left.len() <= payload.len().max(1));
        if !is_asked(&payload) {
            prop_assert!(is_told(&left));
            for variable in variables(option, &left) {
                let value = variable.value.unwrap_or_default();
                prop_assert!(is_allowed(&variable.name, &value, &allowed));
            }
            prop_assert_eq!(&filter(option, &left, &allowed), &left);
        }
    }

    #[test]
    fn what_is_said_is_what_is_read(
        said in vec((vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9)), 0..5),
    ) {
        let payload = told(said.iter().map(|(name, value)| (&name[..], &value[..])));
        let read: Vec<_> = variables(NEW_ENVIRON, &payload)
            .into_iter()
            .map(|it| (it.name, it.value.unwrap()))
            .collect();
        prop_assert_eq!(read, said);
    }
}
