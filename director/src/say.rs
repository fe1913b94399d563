//! What is printed: one line a thing, at once.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use director_core::config::Mistake;

/// Asked wrongly.
pub(crate) const USAGE: u8 = 2;

/// Prints one line on standard output, at once. Nobody may be reading any more, as with `| head`, and the
/// work goes on.
pub(crate) fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _nobody_reads = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// An error with what is behind it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// Tells an error and ends with 1.
pub(crate) fn failure(error: &dyn Error) -> ExitCode {
    eprintln!("director: {}", chain(error));
    ExitCode::FAILURE
}

/// Tells mistakes, one a line, and ends with `code`.
pub(crate) fn mistakes(mistakes: &[Mistake], code: u8) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    ExitCode::from(code)
}
