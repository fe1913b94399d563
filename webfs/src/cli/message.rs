//! A chat message, and how a terminal shows it.

use serde::{Deserialize, Serialize};

/// One message of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// Who says it.
    pub(super) from: String,
    /// What.
    pub(super) text: String,
    /// When, by the writer's clock, as RFC 3339 spells it.
    pub(super) at: String,
}

impl Message {
    /// A message of this moment.
    pub(super) fn now(from: &str, text: &str) -> Self {
        Self {
            from: from.to_owned(),
            text: text.to_owned(),
            at: format!("{:.3}", jiff::Timestamp::now()),
        }
    }
}

/// One entry of a room as a line. What is no message is shown as it is.
pub(super) fn line(json: &str) -> String {
    match serde_json::from_str::<Message>(json) {
        Ok(message) => format!(
            "{} {}: {}",
            time(&message.at),
            harmless(&message.from),
            harmless(&message.text)
        ),
        Err(_) => harmless(json),
    }
}

/// Hours and minutes here, of a time anywhere.
fn time(at: &str) -> String {
    match at.parse::<jiff::Timestamp>() {
        Ok(at) => {
            let here = at.to_zoned_datetime(jiff::tz::TimeZone::system());
            format!("{:02}:{:02}", here.hour(), here.minute())
        }
        Err(_) => "--:--".to_owned(),
    }
}

/// Text without anything that a terminal would obey. Line breaks become spaces.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '\n' | '\r' | '\t' => ' ',
            char if char.is_control() || is_directional(char) => '\u{fffd}',
            char => char,
        })
        .collect()
}

/// Marks that turn the direction of what follows, and so make one line look like another.
fn is_directional(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line() {
        let json = serde_json::to_string(&Message::now("ann", "hi\nthere")).unwrap();
        let line = line(&json);
        assert!(line.ends_with(" ann: hi there"), "{line}");
        assert_eq!(line.as_bytes()[2], b':');
    }

    #[test]
    fn no_message_commands_the_terminal() {
        for json in [
            r#"{"from":"\u001b[2Jann","text":"\u0007\u009b1m\u202ex","at":"never"}"#,
            r#"{"from":1,"x":"\u001b"}"#,
            "\"\u{9b}31m\"",
        ] {
            let line = line(json);
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}
