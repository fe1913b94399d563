//! The protocol's lines, read and checked.

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The bytes of a file, from an offset to its end.
    Get {
        /// The file's name: no blanks, no `..`, no `/` in front.
        name: String,
        /// The first byte.
        offset: u64,
    },
    /// Whether anybody is there.
    Ping,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The whole file's size and digest; its bytes follow.
    Ok {
        /// In bytes, of the whole file.
        size: u64,
        /// The digest of the whole file: 16 hexadecimal digits.
        digest: String,
    },
    /// No.
    Err {
        /// As in HTTP.
        code: u32,
        /// For people.
        text: String,
    },
    /// Somebody is there.
    Pong {
        /// Downloads under way.
        load: f64,
    },
}

/// A line without its end, as words.
fn words(line: &[u8]) -> Option<Vec<&str>> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some(std::str::from_utf8(line).ok()?.split(' ').collect())
}

/// A number as it must be written: digits alone.
fn number(word: &str) -> Option<u64> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| word.parse().ok())?
}

impl Command {
    /// Reads a line with its end; `None` when it is no request.
    pub fn parse(line: &[u8]) -> Option<Self> {
        match words(line)?.as_slice() {
            ["PING"] => Some(Self::Ping),
            ["GET", name, offset] if is_name(name) => Some(Self::Get {
                name: (*name).into(),
                offset: number(offset)?,
            }),
            _ => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.bytes().any(|byte| byte.is_ascii_control())
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

impl Answer {
    /// Reads a line with its end; `None` when it is no answer.
    pub fn parse(line: &[u8]) -> Option<Self> {
        match words(line)?.as_slice() {
            ["OK", size, digest] if is_digest(digest) => Some(Self::Ok {
                size: number(size)?,
                digest: (*digest).into(),
            }),
            ["PONG", load] => Some(Self::Pong {
                load: number(load)? as f64,
            }),
            ["ERR", code, text @ ..] => Some(Self::Err {
                code: number(code)?.try_into().ok()?,
                text: text.join(" "),
            }),
            _ => None,
        }
    }
}

fn is_digest(digest: &str) -> bool {
    digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The digest of a file's bytes: FNV-1a of 64 bits. It tells copies apart that differ by accident,
/// which is what a mirror's do; against an enemy it proves nothing.
pub fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_refused() {
        let get = Command::Get {
            name: "a/b.bin".into(),
            offset: 7,
        };
        assert_eq!(Command::parse(b"GET a/b.bin 7\r\n"), Some(get.clone()));
        assert_eq!(Command::parse(b"GET a/b.bin 7\n"), Some(get));
        for refused in [
            "GET a 7",
            "GET a\r\n",
            "GET a -1\r\n",
            "GET a +1\r\n",
            "GET  7\r\n",
            "GET ../a 7\r\n",
            "GET /etc/passwd 0\r\n",
            "GET a 99999999999999999999\r\n",
            "get a 7\r\n",
            "",
        ] {
            assert_eq!(Command::parse(refused.as_bytes()), None, "{refused:?}");
        }
        for refused in [
            "OK 5\r\n",
            "OK five 0123456789abcdef\r\n",
            "OK 5 0123\r\n",
            "PONG -1\r\n",
            "ERR 99999999999 x\r\n",
        ] {
            assert_eq!(Answer::parse(refused.as_bytes()), None, "{refused:?}");
        }
    }
}
