//! The log: lines on standard error, coloured only on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Begins to log what `filter` lets through.
///
/// # Errors
/// When the filter is none.
pub(crate) fn start(filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    // A colour is for eyes: neither for a file nor for those who said so (no-color.org).
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .try_init();
    // There is one already only if this was called before, and then it stays.
    let _already = started;
    Ok(())
}
