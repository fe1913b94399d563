//! Rust source as text: files, and what is left of one without comments and tests.

use std::io;
use std::path::{Path, PathBuf};

/// All `.rs` files below `folder`, sorted; what was built or fetched is left out.
///
/// # Errors
/// When a folder cannot be read.
pub fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = files(folder)?;
    files.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    Ok(files)
}

/// All files below `folder`, likewise.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            if !path.is_dir() {
                files.push(path);
            } else if name != "target" && name != "node_modules" {
                folders.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The code alone: comments become blanks, items under `#[cfg(test)]` too; lines keep their numbers.
/// String literals stay, for what a program says is part of what it knows.
#[must_use]
pub fn without_comments_and_tests(source: &str) -> String {
    without_tests(&without_comments(source))
}

/// Words of the code with the number of their line: identifiers are split at `_` and at humps, all in
/// lower case (`HttpServer_v1` gives `http`, `server`, `v1`).
#[must_use]
pub fn words(code: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut word = String::new();
        let mut before = ' ';
        for c in line.chars().chain([' ']) {
            let hump = c.is_uppercase() && before.is_lowercase();
            if (hump || !c.is_alphanumeric()) && !word.is_empty() {
                words.push((number + 1, std::mem::take(&mut word)));
            }
            if c.is_alphanumeric() {
                word.extend(c.to_lowercase());
            }
            before = c;
        }
    }
    words
}

fn without_comments(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => {
                at = line_end(&chars, at);
                continue;
            }
            ('/', Some('*')) => {
                let end = block_end(&chars, at);
                out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
                at = end;
                continue;
            }
            ('"', _) => string_end(&chars, at),
            ('r', Some('"' | '#')) if !within_word(&chars, at) => raw_end(&chars, at),
            ('\'', _) => char_end(&chars, at),
            _ => at + 1,
        };
        out.extend(&chars[at..end]);
        at = end;
    }
    out
}

fn within_word(chars: &[char], at: usize) -> bool {
    // `br"..."` is a raw string as well; any other letter before the `r` makes it part of a name.
    let Some(before) = at.checked_sub(1).and_then(|b| chars.get(b)) else {
        return false;
    };
    (before.is_alphanumeric() || *before == '_') && *before != 'b'
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..]
        .iter()
        .position(|c| *c == '\n')
        .map_or(chars.len(), |n| at + n)
}

fn block_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at + 1; // `r#name`
    }
    let mut i = at + 2 + hashes;
    while i < chars.len() {
        let closes = chars[i] == '"'
            && chars[i + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        if closes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    chars.len()
}

fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let rest = &chars[(at + 3).min(chars.len())..];
            rest.iter()
                .position(|c| *c == '\'')
                .map_or(chars.len(), |n| at + 4 + n)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1, // a lifetime
    }
}

fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..start]);
        let item = &rest[start..];
        let end = item_end(item);
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// The end of the item that begins with an attribute: its `;`, or the brace that closes it.
fn item_end(item: &str) -> usize {
    let mut depth = 0usize;
    let chars: Vec<(usize, char)> = item.char_indices().collect();
    let plain: Vec<char> = item.chars().collect();
    let mut i = "#[cfg(test)]".len();
    while i < plain.len() {
        let next = match plain[i] {
            '"' => string_end(&plain, i),
            'r' if matches!(plain.get(i + 1), Some('"' | '#')) && !within_word(&plain, i) => {
                raw_end(&plain, i)
            }
            '\'' => char_end(&plain, i),
            _ => i + 1,
        };
        match plain[i] {
            '{' => depth += 1,
            '}' if depth <= 1 => return chars.get(i + 1).map_or(item.len(), |(at, _)| *at),
            '}' => depth -= 1,
            ';' if depth == 0 => return chars.get(i + 1).map_or(item.len(), |(at, _)| *at),
            _ => {}
        }
        i = next;
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_go_and_strings_stay() {
        let source = r##"
//! chat
/* http /* nested */ ftp */ fn a() { let x = "// telnet"; } // webfs
fn b<'a>(c: &'a str) -> char { '"' } /// sse
let raw = r#"no "// comment"#; let q = '\''; let u = '\u{1}'; // gone
#[cfg(test)]
mod tests { fn x() { "}"; } }
fn after() {}
#[cfg(test)]
mod more;
fn last() {}
"##;
        let code = without_comments_and_tests(source);
        for gone in [
            "chat",
            "http",
            "ftp",
            "webfs",
            "sse",
            "gone",
            "mod tests",
            "mod more",
        ] {
            assert!(!code.contains(gone), "{gone} is left in {code}");
        }
        for kept in ["// telnet", "// comment", "fn after", "fn last", "'\\u{1}'"] {
            assert!(code.contains(kept), "{kept} is gone from {code}");
        }
        assert_eq!(code.lines().count(), source.lines().count());
    }

    #[test]
    fn words_are_found_in_names() {
        let words: Vec<String> = words("HttpServer_v1 chatter my_ftp \"telnet\"")
            .into_iter()
            .map(|(_, w)| w)
            .collect();
        assert_eq!(
            words,
            ["http", "server", "v1", "chatter", "my", "ftp", "telnet"]
        );
    }
}
