//! Which file a `SITE` is about, as far as servers agree on that. Pure.

/// The word behind SITE, and the path that it is about where it has one: the rest of the line behind the mode of a
/// CHMOD, the group of a CHGRP and the time of a UTIME, the whole of it for others that name a file.
pub(crate) fn read(argument: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (verb, rest) = word(argument);
    let rest = match verb.to_ascii_uppercase().as_slice() {
        b"CHMOD" | b"CHGRP" | b"UTIME" => word(rest).1,
        _ => rest,
    };
    (verb, (!rest.is_empty()).then_some(rest))
}

/// Whether it may change the node's files: all but those that are known to be about the session, for what a
/// server makes of a word is its own affair.
pub(crate) fn changes_files(verb: &[u8]) -> bool {
    let about_the_session: [&[u8]; 5] = [b"HELP", b"IDLE", b"UMASK", b"WHO", b"ALIAS"];
    !about_the_session
        .iter()
        .any(|known| known.eq_ignore_ascii_case(verb))
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b' ') {
        Some(at) => {
            let (word, rest) = text.split_at(at);
            (word, rest.trim_ascii_start())
        }
        None => (text, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_behind_what_a_command_takes_before_it() {
        for (argument, verb, path) in [
            ("CHMOD 644 a file", "CHMOD", Some("a file")),
            ("utime 20200101000000  /x", "utime", Some("/x")),
            ("MKDIR d", "MKDIR", Some("d")),
            ("HELP", "HELP", None),
            ("CHMOD 644", "CHMOD", None),
        ] {
            let found = read(argument.as_bytes());
            assert_eq!(found, (verb.as_bytes(), path.map(str::as_bytes)));
        }
        assert!(changes_files(b"CHMOD") && changes_files(b"anything"));
        assert!(!changes_files(b"umask"));
    }
}
