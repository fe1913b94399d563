//! The command line of WebFS: `webfs ...`, and `director webfs ...`.
//!
//! Exit status: 0 when it did what was asked, 1 when it failed, 2 when it was asked wrongly.

mod append;
mod chat;
mod editor;
mod message;
mod serve;
mod tail;
mod terminal;

use std::process::ExitCode;

use clap::Subcommand;

use crate::client::ClientError;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one server of a group
    Serve(serve::Serve),
    /// Print what a stream holds, and what is added to it
    Tail(tail::Tail),
    /// Add to a stream
    Append(append::Append),
    /// Talk in a room: lines from the keyboard go in, everybody's messages come out
    Chat(chat::Chat),
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// It was asked wrongly: 2.
    #[error("{0}")]
    Usage(String),
    /// It failed: 1.
    #[error("{0}")]
    Failed(String),
    /// The server did not do it: 1.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Standard output is gone, as with `| head`: nobody reads on, which is no failure.
    #[error("standard output: {0}")]
    Output(std::io::Error),
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Self::Failed(_) | Self::Client(_) | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs a command to its end, in a runtime of its own. Log lines go to standard error, as `RUST_LOG`
/// says, unless the program already has a subscriber.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    start_log();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("webfs: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run().await,
            Command::Tail(tail) => tail.run().await,
            Command::Append(append) => append.run().await,
            Command::Chat(chat) => chat.run().await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            if code != ExitCode::SUCCESS {
                eprintln!("webfs: {error}");
            }
            code
        }
    }
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Fails when the program that we are part of has one.
    let _already_there = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Prints one line, at once.
fn print_line(line: &[u8]) -> Result<(), CliError> {
    use std::io::Write as _;

    let mut out = std::io::stdout().lock();
    let printed = out
        .write_all(line)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    printed.map_err(CliError::Output)
}
