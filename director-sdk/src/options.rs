//! A service's options, from the host's JSON to the plugin's own type, and where a mistake is.

use serde::de::DeserializeOwned;

use crate::protocol::ConfigMistake;

/// Reads `options`.
///
/// # Errors
///
/// The mistake that serde found, with the path of the option in which it is.
pub(crate) fn read<C: DeserializeOwned>(options: &[u8]) -> Result<C, ConfigMistake> {
    serde_json::from_slice(options).map_err(|error| {
        let text = error.to_string();
        // What serde_json adds is a place in JSON that the operator never saw.
        let message = match text.rfind(" at line ") {
            Some(at) => &text[..at],
            None => &text,
        };
        ConfigMistake::new(path_at(options, error.line(), error.column()), message)
    })
}

/// What encloses a place in JSON.
enum Around {
    Object(Option<String>),
    Array(usize),
}

/// The path (`a.b.0`) of the value that is read when `line` and `column` (both from 1) are reached.
/// The JSON is sound up to there, for a mistake of types is found after its syntax.
fn path_at(json: &[u8], line: usize, column: usize) -> String {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(nth) => json
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(nth)
            .map_or(0, |(at, _)| at + 1),
    };
    let before = &json[..json.len().min(start + column)];
    let mut around: Vec<Around> = Vec::new();
    let mut closed = 0;
    let mut at = 0;
    while let Some(byte) = before.get(at) {
        at += 1;
        match byte {
            b'{' => around.push(Around::Object(None)),
            b'[' => around.push(Around::Array(0)),
            // The value that has just been closed may be the mistake, so it is left at the next.
            b'}' | b']' => closed += 1,
            b',' => {
                around.truncate(around.len().saturating_sub(std::mem::take(&mut closed)));
                if let Some(Around::Array(index)) = around.last_mut() {
                    *index += 1;
                }
            }
            b'"' => {
                let text = string(before, &mut at);
                let is_key = json.get(at..).is_some_and(|rest| {
                    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
                });
                if let (true, Some(Around::Object(key))) = (is_key, around.last_mut()) {
                    *key = Some(text);
                }
            }
            _ => {}
        }
    }
    // A value that is closed is whole: a field that is missing is its own, not its last key's.
    around.truncate((around.len() + 1).saturating_sub(closed));
    if let (true, Some(Around::Object(key))) = (closed > 0, around.last_mut()) {
        *key = None;
    }
    let steps: Vec<String> = around
        .into_iter()
        .filter_map(|step| match step {
            Around::Object(key) => key,
            Around::Array(index) => Some(index.to_string()),
        })
        .collect();
    steps.join(".")
}

/// The text of the string whose opening quote was passed; `at` ends behind its closing one.
fn string(json: &[u8], at: &mut usize) -> String {
    let start = *at;
    while let Some(byte) = json.get(*at) {
        *at += 1;
        match byte {
            b'\\' => *at += 1,
            b'"' => break,
            _ => {}
        }
    }
    let end = at.saturating_sub(1).clamp(start, json.len());
    String::from_utf8_lossy(&json[start..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Options {
        room: String,
        inner: Inner,
        many: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        count: u8,
    }

    fn mistake(json: &str) -> String {
        read::<Options>(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_told_with_its_path() {
        for (json, expected) in [
            (
                r#"{"room": 7, "inner": {}}"#,
                "room: invalid type: integer `7`",
            ),
            (
                r#"{"inner": {"count": 300}}"#,
                "inner.count: invalid value: integer `300`",
            ),
            (
                r#"{"inner": {"cuont": 3}}"#,
                "inner.cuont: unknown field `cuont`",
            ),
            (r#"{"inner": {}}"#, "inner: missing field `count`"),
            (
                "{\"many\": [{\"count\": 1},\n {\"count\": \"\"}]}",
                "many.1.count: invalid type: string \"\"",
            ),
            (
                r#"{"inner": {"count": 3}, "many": []}"#,
                "missing field `room`",
            ),
            (r#"{"room": {"a\"b": 1}}"#, "room: invalid type: map"),
        ] {
            let found = mistake(json);
            assert!(found.starts_with(expected), "{json}: {found}");
        }
    }
}
