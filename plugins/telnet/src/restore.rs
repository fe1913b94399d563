//! What is typed at a new host's prompt, so that the session is where it was.

/// Most bytes of a directory's name.
pub(crate) const LONGEST: usize = 4096;

/// The command that goes to `cwd`, by the service's template, with its end; `None` where there is none, or where the
/// name could not be typed: with control characters in it, a terminal would take them for keys.
pub(crate) fn cd(template: &str, cwd: &[u8]) -> Option<Vec<u8>> {
    let typable = cwd.len() <= LONGEST && !cwd.iter().any(u8::is_ascii_control);
    let rooted = cwd.starts_with(b"/") || cwd.starts_with(b"~");
    if template.is_empty() || !typable || !rooted {
        return None;
    }
    let (before, after) = template.split_once("{cwd}")?;
    let mut line = Vec::with_capacity(template.len() + cwd.len() + 8);
    line.extend_from_slice(before.as_bytes());
    quote(cwd, &mut line);
    line.extend_from_slice(after.as_bytes());
    line.extend_from_slice(b"\r\n");
    Some(line)
}

/// Quotes a directory for a POSIX shell (XCU 2.2.2). A `~` or `~name` at its start stays bare, for the shell to
/// replace.
fn quote(cwd: &[u8], into: &mut Vec<u8>) {
    let mut rest = cwd;
    if cwd.starts_with(b"~") {
        let end = cwd.iter().position(|byte| *byte == b'/');
        let (home, below) = cwd.split_at(end.map_or(cwd.len(), |at| at + 1));
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"~/_-.".contains(byte);
        if home.iter().all(plain) {
            into.extend_from_slice(home);
            rest = below;
            if rest.is_empty() {
                return;
            }
        }
    }
    into.push(b'\'');
    for byte in rest {
        match byte {
            b'\'' => into.extend_from_slice(b"'\\''"),
            other => into.push(*other),
        }
    }
    into.push(b'\'');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(cwd: &[u8]) -> Option<String> {
        cd(" cd -- {cwd}", cwd).map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    #[test]
    fn a_directory_is_quoted() {
        for (cwd, right) in [
            ("/", Some(" cd -- '/'\r\n")),
            ("/a b/$(rm)", Some(" cd -- '/a b/$(rm)'\r\n")),
            ("/it's", Some(" cd -- '/it'\\''s'\r\n")),
            ("~", Some(" cd -- ~\r\n")),
            ("~/a b", Some(" cd -- ~/'a b'\r\n")),
            ("~joe/x", Some(" cd -- ~joe/'x'\r\n")),
            ("~;rm", Some(" cd -- '~;rm'\r\n")),
            ("relative", None),
            ("", None),
            ("/a\nrm", None),
            ("/a\x1b[A", None),
        ] {
            assert_eq!(typed(cwd.as_bytes()).as_deref(), right, "{cwd}");
        }
        assert_eq!(cd("", b"/"), None);
        assert_eq!(typed(&[b'/'; LONGEST + 1]), None);
    }

    proptest! {
        #[test]
        fn nothing_leaves_its_quotes(name in "[ -~]{0,40}") {
            let line = typed(format!("/{name}").as_bytes()).unwrap();
            let quoted = line.strip_prefix(" cd -- '").unwrap().strip_suffix("'\r\n").unwrap();
            prop_assert_eq!(quoted.replace("'\\''", "'"), format!("/{}", name));
            prop_assert!(!quoted.replace("'\\''", "").contains('\''));
        }
    }
}
