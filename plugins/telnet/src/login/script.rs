//! The service's own dialogue, made ready at the start.

use director_sdk::ConfigMistake;
use regex_lite::Regex;

use super::secret;
use super::{Expect, Line};
use crate::options::{Script, Step};

/// Compiles the patterns of `script`, and reads its secrets.
///
/// # Errors
///
/// Every mistake in it at once, each with the path of its option.
pub(crate) fn made(script: &Script) -> Result<Vec<Line>, Vec<ConfigMistake>> {
    let (mut lines, mut mistakes) = (Vec::new(), Vec::new());
    for (nth, step) in script.script.iter().enumerate() {
        match line(step) {
            Ok(Some(line)) => lines.push(line),
            // The options' own check has said so.
            Ok(None) => {}
            Err((key, message)) => {
                let path = format!("login.script.{nth}.{key}");
                mistakes.push(ConfigMistake::new(path, message));
            }
        }
    }
    if mistakes.is_empty() {
        Ok(lines)
    } else {
        Err(mistakes)
    }
}

fn line(step: &Step) -> Result<Option<Line>, (&'static str, String)> {
    let text = match (&step.send, &step.send_file, &step.send_env) {
        (Some(text), None, None) => Some(secret::of_text(text)),
        (None, Some(path), None) => {
            Some(secret::of_file(path).map_err(|found| ("send_file", found))?)
        }
        (None, None, Some(name)) => {
            Some(secret::of_environment(name).map_err(|found| ("send_env", found))?)
        }
        (_, _, _) => None,
    };
    let (Ok(expect), Some(mut send)) = (Regex::new(&step.expect), text) else {
        return Ok(None);
    };
    // RFC 854's end of a line; hosts with a terminal behind them take it for one key.
    send.extend_from_slice(b"\r\n");
    let expect = Expect::Pattern(expect);
    Ok(Some(Line { expect, send }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(expect: &str) -> Step {
        Step {
            expect: expect.into(),
            send: None,
            send_file: None,
            send_env: None,
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_path() {
        let script = Script {
            script: vec![
                Step {
                    send: Some("joe".into()),
                    ..step("login:")
                },
                Step {
                    send_file: Some("/not/there".into()),
                    ..step("word:")
                },
                Step {
                    send_env: Some("DIRECTOR_TELNET_NOT_THERE".into()),
                    ..step("code:")
                },
            ],
        };
        let mistakes = made(&script).err().unwrap();
        let paths: Vec<&str> = mistakes.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(
            paths,
            ["login.script.1.send_file", "login.script.2.send_env"]
        );
    }

    #[test]
    fn a_line_has_its_end() {
        let script = Script {
            script: vec![Step {
                send: Some("joe".into()),
                ..step("login:")
            }],
        };
        let lines = made(&script).unwrap();
        assert_eq!(&*lines[0].send, b"joe\r\n");
    }
}
