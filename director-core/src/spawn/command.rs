//! The command of a spawned node: placeholders, and what stands for them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The most nodes that one service may spawn: each is named by one letter.
pub const MOST: u32 = 26;

/// Placeholders and what each becomes.
const PLACEHOLDERS: [&str; 6] = ["director", "id", "address", "port", "data", "peers"];

/// What stands for the placeholders in one node's command:
///
/// | placeholder | becomes |
/// |---|---|
/// | `{director}` | the path of this program |
/// | `{id}` | the node's id: `a`, `b`, ... |
/// | `{address}` | where it shall listen, `127.0.0.1:PORT` |
/// | `{port}` | the port alone |
/// | `{data}` | its own directory, which is there |
/// | `{peers}` | the addresses of all the other nodes, joined by commas |
#[derive(Debug, Clone)]
pub struct Place {
    /// This program.
    pub director: PathBuf,
    /// The node's id.
    pub id: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its directory.
    pub data: PathBuf,
    /// The others.
    pub peers: Vec<SocketAddr>,
}

/// The id of the `index`th node, from 0.
#[must_use]
pub fn id(index: u32) -> String {
    let letter = b'a'.saturating_add((index % MOST) as u8);
    char::from(letter).to_string()
}

/// Checks the placeholders of one argument.
///
/// # Errors
/// What was found, and what would be right.
pub fn check(argument: &str) -> Result<(), String> {
    pieces(argument).map(|_pieces| ())
}

/// A stretch of an argument.
enum Piece<'a> {
    Plain(&'a str),
    Placeholder(&'a str),
}

/// `{name}` is a placeholder when it is made of lower-case letters; other braces are plain text.
fn pieces(argument: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = argument;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        let name = after.split_once('}').map(|(name, _)| name);
        let Some(name) = name.filter(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        }) else {
            pieces.push(Piece::Plain(&rest[..=open]));
            rest = after;
            continue;
        };
        if !PLACEHOLDERS.contains(&name) {
            return Err(format!(
                "found the placeholder {{{name}}}, right would be one of {{{}}}",
                PLACEHOLDERS.join("}, {")
            ));
        }
        pieces.push(Piece::Plain(&rest[..open]));
        pieces.push(Piece::Placeholder(name));
        rest = &after[name.len() + 1..];
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

/// One argument with its placeholders filled in.
///
/// # Errors
/// As [`check`].
pub fn fill(argument: &str, place: &Place) -> Result<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut filled = String::new();
    for piece in pieces(argument)? {
        match piece {
            Piece::Plain(plain) => filled.push_str(plain),
            Piece::Placeholder(name) => filled.push_str(&match name {
                "director" => text(&place.director),
                "id" => place.id.clone(),
                "address" => place.address.to_string(),
                "port" => place.address.port().to_string(),
                "data" => text(&place.data),
                _peers => place
                    .peers
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
            }),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            director: "/bin/director".into(),
            id: id(1),
            address: SocketAddr::from(([127, 0, 0, 1], 20_001)),
            data: "/data/b".into(),
            peers: vec![
                SocketAddr::from(([127, 0, 0, 1], 20_000)),
                SocketAddr::from(([127, 0, 0, 1], 20_002)),
            ],
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (argument, filled) in [
            ("{director}", "/bin/director"),
            ("--id={id}", "--id=b"),
            ("{address}", "127.0.0.1:20001"),
            ("{id}{port}x", "b20001x"),
            ("{data}/log", "/data/b/log"),
            ("{peers}", "127.0.0.1:20000,127.0.0.1:20002"),
            ("{", "{"),
            ("{}", "{}"),
            ("{\"a\": 1}{id}", "{\"a\": 1}b"),
            ("{{id}}", "{b}"),
            ("", ""),
        ] {
            assert_eq!(fill(argument, &place()).unwrap(), filled, "{argument}");
        }
    }

    #[test]
    fn an_unknown_placeholder_is_told() {
        let told = check("--x={adress}").unwrap_err();
        assert!(
            told.contains("{adress}") && told.contains("{address}"),
            "{told}"
        );
    }

    #[test]
    fn ids_are_letters() {
        assert_eq!((id(0), id(25)), (String::from("a"), String::from("z")));
    }
}
