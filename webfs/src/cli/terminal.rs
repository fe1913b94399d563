//! The terminal of a chat: what comes in is printed above the line being typed, which stays whole.
//!
//! Without a terminal (a pipe, a file) lines are plain.

use std::io::{IsTerminal as _, Read as _, Write as _, stdin, stdout};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

use super::CliError;

const PROMPT: &str = "> ";
/// To the line's begin, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

/// Where a chat is shown. Dropping it gives the terminal back as it was.
pub(super) struct Terminal {
    /// Its settings before; `None` when it is no terminal.
    before: Option<Termios>,
}

impl Terminal {
    /// Takes keys as they come and echoes nothing, when there is a terminal on both sides.
    pub(super) fn open() -> Result<Self, CliError> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            return Ok(Self { before: None });
        }
        let failed = |error| CliError::Failed(format!("the terminal: {error}"));
        let before = tcgetattr(stdin()).map_err(failed)?;
        let mut keys = before.clone();
        keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(stdin(), OptionalActions::Now, &keys).map_err(failed)?;
        Ok(Self {
            before: Some(before),
        })
    }

    /// Prints a line above the one being typed.
    pub(super) fn print(&self, line: &str, typed: &str) -> Result<(), CliError> {
        let text = match self.before {
            Some(_) => format!("{CLEAR}{line}\n{}", self.prompt(typed)),
            None => format!("{line}\n"),
        };
        write(&text)
    }

    /// Shows the line being typed.
    pub(super) fn show(&self, typed: &str) -> Result<(), CliError> {
        match self.before {
            Some(_) => write(&format!("{CLEAR}{}", self.prompt(typed))),
            None => Ok(()),
        }
    }

    /// The prompt, and as much of the line's end as one row holds.
    fn prompt(&self, typed: &str) -> String {
        let columns = tcgetwinsize(stdout()).map_or(80, |size| usize::from(size.ws_col).max(20));
        format!("{PROMPT}{}", end_of(typed, columns - PROMPT.len() - 1))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There is nobody left to tell.
            let _gone = write(CLEAR);
            let _gone = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn write(text: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(CliError::Output)
}

/// The end of a text that fits into so many columns. From Hangul on characters may take two.
fn end_of(text: &str, columns: usize) -> &str {
    let mut left = columns;
    let fits = text.char_indices().rev().take_while(|(_, char)| {
        let wide = if *char >= '\u{1100}' { 2 } else { 1 };
        let fits = left >= wide;
        left = left.saturating_sub(wide);
        fits
    });
    let from = fits.last().map_or(text.len(), |(at, _)| at);
    text.get(from..).unwrap_or_default()
}

/// Standard input, chunk by chunk, read by a thread of its own, which ends with the input or with the
/// process: a blocking read cannot be called off.
pub(super) fn keyboard() -> Result<mpsc::Receiver<Vec<u8>>, CliError> {
    let (chunks, received) = mpsc::channel(16);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut buffer = [0; 4096];
            // An error is an end too.
            while let Ok(count @ 1..) = stdin().read(&mut buffer) {
                let chunk = buffer.get(..count).unwrap_or_default().to_vec();
                if chunks.blocking_send(chunk).is_err() {
                    return;
                }
            }
        })
        .map_err(|error| CliError::Failed(format!("no thread for standard input: {error}")))?;
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_shows_its_end() {
        assert_eq!(end_of("hello", 10), "hello");
        assert_eq!(end_of("hello", 3), "llo");
        assert_eq!(end_of("日本語", 4), "本語");
        assert_eq!(end_of("日本語", 3), "語");
        assert_eq!(end_of("", 3), "");
    }
}
